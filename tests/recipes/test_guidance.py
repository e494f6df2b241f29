"""The distillation of guidance, against diffusers' pipelines and closed forms."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    StableDiffusionImg2ImgPipeline,
    UNet2DConditionModel,
)
from PIL import Image, ImageColor

from sdkit.diffusion import sampler
from sdkit.recipes import guidance, unet

SETTINGS = guidance.Settings(out=Path("o"), teacher=Path("t"), vae=Path("v"))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=16,
        attention_head_dim=4,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"],
        up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"],
    ).eval()


def test_without_a_share_for_the_coarse_parts_it_is_the_usual_formula():
    cond, uncond = torch.randn(2, 3, 4, 16, 16)
    made = guidance.guided_answer(cond, uncond, torch.full((3,), 5.0))
    torch.testing.assert_close(made, sampler.guide(uncond, cond, 5.0), atol=1e-5, rtol=1e-5)


def test_coarse_and_fine_parts_get_their_shares_of_the_guidance():
    """A constant is coarse; a chessboard, which is zero on average, is fine."""
    chess = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1
    zero, scales = torch.zeros(1, 4, 16, 16), torch.tensor([5.0])
    for difference, factor in ((torch.ones(16, 16), 1 + 0.25 * 4), (chess, 1 + 0.75 * 4)):
        made = guidance.guided_answer(zero + difference, zero, scales, 0.25, 0.75)
        torch.testing.assert_close(made, factor * (zero + difference))


def test_skin_is_found_in_latents_by_its_colour():
    """Light and dark skin (Monk skin tones 2 and 8), sky, leaves, snow and a yellow wall."""
    names = ["light skin", "dark skin", "sky", "leaves", "snow", "yellow"]
    colours = ["#f3e7db", "#604134", "#87ceeb", "#3c6e28", "#fafafa", "#e6e614"]
    pixels = torch.tensor([ImageColor.getrgb(colour) for colour in colours]) / 127.5 - 1
    mix = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))  # of latents
    z = (pixels @ mix)[:, :, None, None].expand(-1, -1, 16, 16)
    back = torch.cat([torch.linalg.pinv(mix), torch.zeros(1, 3)])
    found = guidance.skin(z, back)[:, 0, 8, 8]
    assert [name for name, value in zip(names, found) if value == 1] == names[:2]
    assert (found[2:] == 0).all()


def test_colours_are_read_from_latents_by_least_squares():
    """The VAE here has four latents: red, green, blue of half the size, and noise."""
    rng = np.random.default_rng(0)

    class Colours:
        device, dtype, config = (
            torch.device("cpu"),
            torch.float32,
            SimpleNamespace(scaling_factor=2),
        )

        def encode(self, x):
            small = torch.nn.functional.avg_pool2d(x, 2)
            z = torch.cat([small, torch.randn(len(x), 1, 64, 64)], 1)
            return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: z))

    squares = [rng.integers(0, 256, (128, 128, 3), np.uint8) for _ in range(3)]
    pictures = [SimpleNamespace(image=Image.fromarray(square)) for square in squares]
    made = guidance.colours_of_latents(Colours(), pictures)
    expected = torch.cat([torch.eye(3) / 2, torch.zeros(2, 3)])
    torch.testing.assert_close(made, expected, atol=2e-3, rtol=0)


def test_scale_one_is_the_answer_with_the_prompt():
    cond, uncond = torch.randn(2, 3, 4, 16, 16)
    made = guidance.guided_answer(cond, uncond, torch.ones(3), 0.3)
    torch.testing.assert_close(made, cond, atol=1e-5, rtol=1e-5)


def test_a_ddim_step_is_that_of_diffusers():
    scheduler = DDIMScheduler(
        **{name: value for name, value in unet.scheduler().config.items() if name[0] != "_"}
    )
    scheduler.set_timesteps(10)
    noisy, noise = torch.randn(2, 1, 4, 8, 8)
    now = scheduler.timesteps[3]
    then = now - 100
    made = guidance.ddim_step(noisy, noise, now[None], then[None], scheduler)
    torch.testing.assert_close(made, scheduler.step(noise, now, noisy).prev_sample)


def test_a_new_scale_changes_nothing_at_first(network):
    new = guidance.with_scale(network).eval()
    z, t, text = torch.randn(2, 4, 8, 8), torch.tensor([10, 500]), torch.randn(2, 3, 16)
    expected = network(z, t, text).sample
    torch.testing.assert_close(new(z, t, text).sample, expected)
    model = guidance.Guided(new)
    torch.testing.assert_close(model(z, t, text, torch.tensor([2.0, 8.0]), torch.ones(2)), expected)


def test_the_scale_reaches_the_network_as_diffusers_pipelines_give_it(network, tiny_sd):
    """And where no guidance is wanted, the network is the one without a scale."""
    new = guidance.with_scale(network)
    torch.nn.init.normal_(new.time_embedding.cond_proj.weight)
    model, seen = guidance.Guided(new), []
    z, t, text = torch.randn(2, 4, 8, 8), torch.tensor([10, 10]), torch.randn(1, 3, 16)
    texts = text.expand(2, -1, -1)
    guided = model(z, t, texts, torch.tensor([3.0, 3.0]), torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(guided[1], new(z, t, texts).sample[1])
    assert not torch.allclose(guided[0], new(z, t, texts).sample[0])

    class Spy(torch.nn.Module):
        config = SimpleNamespace(time_cond_proj_dim=guidance.EMBEDDING, in_channels=8)
        device, dtype = torch.device("cpu"), torch.float32

        def forward(self, z, *args, timestep_cond=None, **keywords):
            seen.append((len(z), timestep_cond))
            return (torch.zeros_like(z),)

    pipe = StableDiffusionImg2ImgPipeline.from_pretrained(
        tiny_sd, safety_checker=None, torch_dtype=torch.float32
    )
    pipe.unet = Spy()
    image = torch.rand(1, 3, 32, 32)
    pipe("x", image=image, strength=0.5, num_inference_steps=2, guidance_scale=3.0)
    (count, condition), *_ = seen
    assert count == 1  # one call, without the empty prompt
    torch.testing.assert_close(condition, sampler.embed_scales(torch.tensor([3.0]), 256))


def test_a_network_that_answers_as_guided_has_nothing_to_learn():
    noise_scheduler = unet.scheduler()
    text_encoder = lambda ids: SimpleNamespace(last_hidden_state=ids[..., None].float())
    teacher = lambda z, t, text: SimpleNamespace(sample=z * text.mean((1, 2))[:, None, None, None])
    batch = guidance.Batch(
        torch.randn(3, 4, 8, 8),
        torch.tensor([900, 400, 30]),
        torch.tensor([[2], [3], [0]]),
        torch.tensor([5.0, 2.0, 4.0]),
        torch.tensor([1.0, 0.0, 1.0]),
        torch.zeros(3, 1, 8, 8),
        torch.tensor([0.5, 0.0, 0.9]),
    )
    asked = []

    def perfect(noisy, timesteps, text, scales, guided):
        asked.append(timesteps)
        scales = torch.where(guided > 0, scales, 1.0)
        return noisy * (scales * text.mean((1, 2)))[:, None, None, None]

    def value(model):
        of = dict(teacher=(teacher, text_encoder), empty=torch.tensor([[0]]))
        return guidance.loss(SETTINGS, model, batch, noise_scheduler=noise_scheduler, **of)[0]

    assert value(perfect) == pytest.approx(0, abs=1e-9)
    assert asked[1].tolist() == [450, 1, 27]  # between timestep 1 and the first one
    alphas = noise_scheduler.alphas_cumprod[torch.stack(asked)]  # (2, 3)
    weights = unet.loss_weights(alphas / (1 - alphas), SETTINGS.snr_gamma)
    off = value(lambda *inputs: perfect(*inputs) + 1)  # the squared error is 1 both times
    assert off == pytest.approx(weights.mean(1).sum().item(), rel=1e-4)


def test_where_there_is_skin_the_parts_get_the_shares_of_the_settings():
    settings = replace(SETTINGS, skin_coarse=0.25, skin_fine=0.75)
    skin = torch.tensor([0.0, 0.5, 1.0])[:, None, None, None].expand(3, 1, 8, 8)
    coarse, fine = guidance.skin_shares(settings, skin)
    assert coarse[:, 0, 4, 4].tolist() == [1, 0.625, 0.25]
    assert fine[:, 0, 4, 4].tolist() == [1, 0.875, 0.75]


def test_a_batch_knows_where_skin_is_on_art_and_not_on_postcards(latent_data):
    """Latents are colours here: all of the art is skin, and so would the postcards be."""
    tone = torch.tensor(ImageColor.getrgb("#604134")) / 127.5 - 1
    everywhere = guidance.Data(latent_data, torch.cat([torch.zeros(8, 3), tone[None]]))
    settings = replace(SETTINGS, card_share=0.0, batch_size=40, sizes=(8,))
    batch = guidance.make_batch(settings, everywhere, np.random.default_rng(0))
    assert batch.skin.shape == (40, 1, 8, 8) and batch.skin.min() == 1
    assert 1 <= batch.scales.min() < 3 < 8 < batch.scales.max() <= 10
    assert 0.5 < batch.guided.mean() < 0.95
    settings = replace(settings, card_share=1.0)
    assert guidance.make_batch(settings, everywhere, np.random.default_rng(0)).skin.max() == 0


def test_half_of_the_crops_have_the_caption_of_another_picture(latent_data, monkeypatch):
    asked, make = [], unet.art_examples

    def examples(settings, data, rng, wrong=0.0):
        asked.append(wrong)
        return make(settings, data, rng, wrong)

    monkeypatch.setattr(unet, "art_examples", examples)
    data = guidance.Data(latent_data, torch.zeros(9, 3))
    settings = replace(SETTINGS, card_share=0.0, sizes=(8,))
    guidance.make_batch(settings, data, np.random.default_rng(0))
    assert asked == [0.5]


def test_the_clean_latents_of_a_batch_decide_where_skin_is(latent_data, monkeypatch):
    seen = []
    monkeypatch.setattr(guidance, "skin", lambda z, colours: seen.append(z) or torch.zeros(1))
    settings = replace(SETTINGS, card_share=0.0, paired=0.0, sizes=(8,), noise_offset=0.0)
    guidance.make_batch(settings, guidance.Data(latent_data, None), np.random.default_rng(1))
    crops = [z.float() for group in latent_data.crops.values() for _, some in group for z in some]
    for clean in seen[0]:
        windows = (z[0].unfold(1, 8, 1).unfold(2, 8, 1) for z in crops)
        nearest = min(
            (w - clean[:, None, None]).square().mean((0, 3, 4)).min().item() for w in windows
        )
        assert nearest < 1e-2
