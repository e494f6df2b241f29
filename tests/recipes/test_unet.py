"""The denoiser's loss, noise and captions against diffusers, torch and closed forms."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel
from diffusers.training_utils import compute_snr
from transformers import CLIPTextConfig, CLIPTextModel

from sdkit import postcards
from sdkit.files import ROOT
from sdkit.pictures import art
from sdkit.recipes import chain, text, training, unet

PLAIN = dict(
    caption_dropout=0.0, card_share=0.0, paired=0.0, from_noise=0.0, noise_offset=0.0, decisive=0.0
)
TINY = unet.Settings(
    out=Path("o"), vae=Path("v"), tokenizer=Path("t"), clip=Path("c"), batch_size=4, sizes=(8, 12)
)


@pytest.fixture
def data(latent_data):
    return latent_data


@pytest.fixture
def denoiser():
    torch.manual_seed(0)
    encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=2000,
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=text.LENGTH,
            eos_token_id=1,
        )
    )
    vae = SimpleNamespace(config=SimpleNamespace(latent_channels=8))
    return unet.Denoiser(unet.new_unet(replace(TINY, channels=(16, 32)), vae, encoder), encoder)


def batches(settings, data, count=200):
    return [unet.make_batch(settings, data, training.rng(0, step)) for step in range(count)]


def test_the_weights_are_those_of_min_snr_where_there_is_little_noise():
    """As in diffusers' training scripts: min(SNR, gamma) / SNR for noise prediction."""
    timesteps = torch.arange(0, 330, 7)
    snr = compute_snr(unet.scheduler(), timesteps)
    assert snr.min() > 1
    expected = torch.stack([snr, 5.0 * torch.ones_like(snr)], 1).min(1)[0] / snr
    torch.testing.assert_close(unet.loss_weights(snr, 5.0), expected)


def test_the_weights_make_every_noise_level_count():
    snr = torch.tensor([500.0, 5.0, 1.0, 0.25, 0.01])
    assert unet.loss_weights(snr, 5.0).tolist() == pytest.approx([0.01, 1, 1, 2, 10])
    timesteps = (500, 700, 900)
    alphas = unet.scheduler().alphas_cumprod[list(timesteps)]
    records = chain.records(ROOT / "data/models/mini-sd/unet")
    figures = [record["metrics"] for record in records if record["command"].endswith(".unet")]
    held_out = next(filter(None, figures))["held_out_loss, postcards"]
    losses = torch.tensor([held_out[str(t)] for t in timesteps])
    weighted = losses * unet.loss_weights(alphas / (1 - alphas), 5.0)
    assert losses.max() > 4 * losses.min() and weighted.max() < 2 * weighted.min()


@pytest.mark.parametrize("card_share", [0.0, 1.0])
def test_without_extras_a_batch_is_noised_as_the_scheduler_does_it(data, card_share):
    settings = replace(TINY, **{**PLAIN, "card_share": card_share})
    data = replace(data, redrawn=None)
    for batch in batches(settings, data, 10):
        every = [z[0] for group in data.crops.values() for _, latents in group for z in latents]
        every = data.cards.latents[:, 0] if card_share else every
        scheduler = data.noise_scheduler
        for noisy, noise, t in zip(batch.noisy, batch.noise, batch.timesteps):
            alpha = scheduler.alphas_cumprod[t]
            clean = (noisy - (1 - alpha).sqrt() * noise) / alpha.sqrt()
            found = [window for z in every for window in windows(z.float(), clean.shape[-1])]
            nearest = min(found, key=lambda z: (z - clean).abs().max())
            expected = scheduler.add_noise(nearest[None], noise[None], t[None])[0]
            torch.testing.assert_close(noisy, expected, atol=2e-3, rtol=0)


def windows(z, size):
    rows, columns = (side - size + 1 for side in z.shape[1:])
    return [z[:, r : r + size, c : c + size] for r in range(rows) for c in range(columns)]


def test_the_source_that_is_the_picture_gives_the_noise_that_was_added():
    scheduler = unet.scheduler()
    latents, noise = torch.randn(2, 3, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    starts, timesteps = torch.tensor([950, 500, 300]), torch.tensor([900, 10, 300])
    seen, answer = unet.noised(latents, latents, noise, starts, timesteps, scheduler)
    reference = DDIMScheduler.from_config(scheduler.config)
    torch.testing.assert_close(seen, reference.add_noise(latents, noise, timesteps))
    assert torch.equal(answer, noise)


def test_the_answers_lead_from_the_noised_source_to_the_picture():
    """By the steps of DDIM, whether the source is the picture itself, another picture or zero."""
    noise_scheduler = unet.scheduler()
    noise_scheduler.set_timesteps(1000)
    latents, others, noise = torch.randn(3, 3, 8, 4, 4)
    sources, starts = (
        torch.stack([latents[0], others[1], torch.zeros(8, 4, 4)]),
        torch.tensor([400, 400, 950]),
    )
    x, answer = unet.noised(latents, sources, noise, starts, starts, noise_scheduler)
    torch.testing.assert_close(
        x, noise_scheduler.add_noise(sources, noise, starts), atol=1e-4, rtol=0
    )
    assert torch.equal(answer[0], noise[0])
    for k, first in enumerate(starts):
        for t in range(first, 100, -1):
            x[k] = noise_scheduler.step(answer[k], t, x[k]).prev_sample
    below = torch.tensor([100, 100, 100])
    seen, same = unet.noised(latents, sources, noise, starts, below, noise_scheduler)
    torch.testing.assert_close(seen, x, atol=1e-3, rtol=0)
    assert torch.equal(same, answer)
    for eps, z, x0 in zip(answer, seen, latents):  # what DDIM predicts under the noise
        torch.testing.assert_close(
            noise_scheduler.step(eps, 100, z).pred_original_sample, x0, atol=1e-3, rtol=0
        )


def test_the_shares_of_batches_and_the_ranges_of_timesteps(data):
    """Crops 4 x 8 x 8 or 2 x 12 x 12, small postcards 4 x 8 x 8, large ones 1 x 16 x 16."""
    settings, kinds = replace(TINY, card_share=0.5, decisive=1.0), {}
    for batch in batches(settings, data, 300):
        count, _, side, _ = batch.noisy.shape
        assert (count, side) in {(4, 8), (2, 12), (1, 16)}
        kind = side if (batch.labels == unet.UNSAID).all() or side == 16 else "small"
        kinds.setdefault(kind, []).append(batch.timesteps)
    shares = {kind: len(times) / 300 for kind, times in kinds.items()}
    assert shares["small"] == pytest.approx(1 / 3, abs=0.09)
    assert shares[16] == pytest.approx(1 / 6, abs=0.07)
    for kind, times in kinds.items():
        times = torch.cat(times)
        low, high = (400, 1000) if kind == "small" else (0, 650)
        assert low <= times.min() and times.max() < high
    everywhere = torch.cat([b.timesteps for b in batches(replace(settings, decisive=0.0), data)])
    assert everywhere.min() < 60 and everywhere.max() > 940


def test_so_many_small_postcards_begin_in_pure_noise(data):
    """At their start, what the network gets is noise that has nothing to do with the postcard."""
    settings = replace(TINY, decisive=0.0, from_noise=0.3)
    scheduler, rng = data.noise_scheduler, np.random.default_rng(0)
    latents = 50 * torch.ones(2000, 1, 2, 2)  # any trace of them would show
    examples = unet.Examples(latents, torch.zeros_like(latents), [""] * 2000, None)
    noisy, _, timesteps = unet.add_noise(settings, examples, True, scheduler, rng)
    late = timesteps > 920  # most of these are at, or near, their start
    traces = 50 * scheduler.alphas_cumprod[timesteps[late]].sqrt()
    expected = noisy[late].mean((1, 2, 3))
    from_picture = (expected - traces).abs() < 1.8
    assert traces.min() > 3.3  # the two kinds are told apart
    assert from_picture.float().mean().item() == pytest.approx(0.7, abs=0.12)


@pytest.mark.parametrize("small_cards, first, last", [(True, 900, 999), (False, 200, 699)])
def test_sampling_begins_in_the_range_of_its_task_or_later_at_the_timestep(
    small_cards, first, last
):
    """A huge source shows in the answer with the factor sqrt(SNR) of the start."""
    settings = replace(TINY, decisive=0.0, from_noise=1.0, paired=1.0)
    scheduler, latents = unet.scheduler(), torch.zeros(400, 1, 2, 2)
    examples = unet.Examples(latents, latents + 1e6, [""] * 400, None)
    rng = np.random.default_rng(0)
    _, answer, timesteps = unet.add_noise(settings, examples, small_cards, scheduler, rng)
    alphas = scheduler.alphas_cumprod
    factors = (alphas / (1 - alphas)).sqrt()
    starts = (answer.mean((1, 2, 3))[:, None] / 1e6 - factors).abs().argmin(1)
    assert (starts >= timesteps).all()
    drawn = starts[starts > timesteps]
    assert first <= drawn.min() < first + 20 and last - 20 < drawn.max() <= last
    assert len(drawn) < 400 and timesteps.max() > 990


def test_offset_noise_moves_whole_channels_of_crops_and_not_of_small_postcards(data):
    def spread(card_share):
        settings = {**PLAIN, "noise_offset": 2.0, "card_share": card_share}
        made = batches(replace(TINY, **settings), replace(data, redrawn=None), 60)
        return torch.cat([batch.noise.mean((2, 3)).flatten() for batch in made]).std().item()

    assert spread(0.0) == pytest.approx(2.0, abs=0.2)
    assert spread(1.0) == pytest.approx(1 / 8, abs=0.02)  # of a mean of 64 numbers


def test_captions_are_dropped_at_the_stated_rate_and_their_labels_with_them():
    rng, texts = np.random.default_rng(0), ["a red boat"] * 4000
    made, labels = unet.drop_captions(0.15, texts, np.ones((4000, 5), int), rng)
    dropped = np.array([caption == "" for caption in made])
    assert dropped.mean() == pytest.approx(0.15, abs=0.017)  # three standard deviations
    assert (labels[dropped] == unet.UNSAID).all() and (labels[~dropped] == 1).all()
    kept, _ = unet.drop_captions(0.0, texts, np.ones((4000, 5), int), rng)
    assert "" not in kept


@pytest.mark.parametrize("card_share", [0.0, 1.0])
def test_a_batch_drops_captions_at_the_rate_of_the_settings(data, card_share):
    empty = text.tokens(data.tokenizer, [""])
    settings = replace(TINY, card_share=card_share, caption_dropout=0.4)
    dropped = torch.cat([(b.ids == empty).all(1) for b in batches(settings, data)]).float()
    assert dropped.mean().item() == pytest.approx(0.4, abs=0.08)


def test_labels_are_the_parts_that_the_caption_says(data, monkeypatch):
    monkeypatch.setattr(postcards, "leave_unsaid", lambda rng: {"place", "time"})
    examples = unet.card_examples(TINY, data.cards, np.random.default_rng(0))
    known = [postcards.indices(card) for card in data.cards.cards]
    for z, labels in zip(examples.latents, examples.labels):
        (number,) = (k for k, one in enumerate(data.cards.latents[:, 0]) if torch.equal(one, z))
        expected = [*known[number][:2], unet.UNSAID, known[number][3], unet.UNSAID]
        assert labels.tolist() == expected  # thing, colour, place, ground, time
    assert (examples.sources == 0).all()


def test_a_caption_does_not_say_what_is_unsaid(data, monkeypatch):
    monkeypatch.setattr(postcards, "leave_unsaid", lambda rng: {"place", "time"})
    settings = replace(TINY, batch_size=100)
    examples = unet.card_examples(settings, data.cards, np.random.default_rng(0))
    hidden = {
        phrase.split()[-1]
        for part in ("place", "time")
        for word in postcards.WORDS[part]
        for phrase in (word, *postcards.PHRASES[word])
    }
    said = {word for text in examples.captions for word in text.replace(",", "").split()}
    assert {"left", "night"} < hidden and len(said) > 20 and not said & hidden


def of_one_size(data, count, **groups):
    """Settings for so many crops, and data with these groups: name -> file and style."""
    ((_, latents),) = data.crops["van gogh"]
    crops = {
        name: [(art.Picture(file, style, "", None), latents)]
        for name, (file, style) in groups.items()
    }
    return replace(TINY, batch_size=count, sizes=(8,)), replace(data, crops=crops)


def test_crops_of_a_famous_painting_are_called_by_its_name(data):
    group = {"a painting by name": ("van_gogh/vangogh-starry-night.jpg", "van gogh")}
    examples = unet.art_examples(*of_one_size(data, 400, **group), np.random.default_rng(0))
    assert np.mean(["starry night" in text for text in examples.captions]) == pytest.approx(
        0.75, abs=0.07
    )


@pytest.mark.parametrize("wrong", [0.0, 1.0])
def test_a_share_of_the_crops_has_the_caption_of_another_picture(data, wrong, monkeypatch):
    """Three in four crops are Van Goghs here, and three in four of the captions, too."""
    groups = {"van gogh": ("van_gogh/1.png", "van gogh"), "a photo": ("photo/1.png", "a photo")}
    settings, data = of_one_size(data, 800, **groups)
    chosen, choose = [], unet.choose_picture
    monkeypatch.setattr(
        unet, "choose_picture", lambda *given: (chosen.append(choose(*given)), chosen[-1])[1]
    )
    rng = np.random.default_rng(0)
    texts = unet.art_examples(settings, data, rng, wrong).captions
    said = np.array(["photo" in text or "snapshot" in text for text in texts])
    shown = np.array([picture.style == "a photo" for picture, _ in chosen])[:: 2 if wrong else 1]
    # the shares of the groups are 0.24 and 0.08
    assert shown.mean() == pytest.approx(0.25, abs=0.05)
    assert said.mean() == pytest.approx(0.25, abs=0.05)
    # two pictures that are chosen independently differ with a probability of 2 * 3/4 * 1/4
    assert (said != shown).mean() == pytest.approx(0.375 * wrong, abs=0.06)


def test_each_step_has_its_own_noise_and_captions_and_the_same_ones_again(data):
    first, again, other = (unet.make_batch(TINY, data, training.rng(0, s)) for s in (3, 3, 5))
    for a, b in zip(first, again):
        assert torch.equal(a, b) if torch.is_tensor(a) else a == b
    assert first.noise.flatten()[0] != other.noise.flatten()[0]
    assert first.timesteps[0] != other.timesteps[0]


def predicting(error, heads_loss=0.0):
    """A denoiser that is off by ``error``, for batches whose noise is zero."""
    return lambda noisy, *others: (torch.zeros_like(noisy) + error, torch.tensor(heads_loss))


def test_the_loss_is_the_weighted_squared_error_of_the_noise():
    error = torch.tensor([2.0, 3.0])[:, None, None, None]
    timesteps = torch.tensor([100, 900])
    zeros = torch.zeros(2, 8, 4, 4)
    batch = unet.Batch(zeros, zeros, timesteps, torch.zeros(2, 3), torch.zeros(2, 5))
    settings = replace(TINY, heads_weight=0.25, snr_gamma=4.0)
    loss, figures = unet.loss(settings, predicting(error, 8.0), batch, unet.scheduler())
    alphas = unet.scheduler().alphas_cumprod[timesteps].tolist()
    snr = [alpha / (1 - alpha) for alpha in alphas]
    assert snr[0] > 4 and snr[1] < 1
    by_hand = (4 * 4 / snr[0] + 9 / snr[1] ** 0.5) / 2
    assert figures["loss"].item() == pytest.approx(by_hand, rel=1e-4)
    assert loss.item() == pytest.approx(by_hand + 0.25 * 8, rel=1e-4)
    assert figures["unweighted"].item() == pytest.approx(6.5)


def test_the_loss_of_the_heads_leaves_out_what_is_unsaid(denoiser):
    ids = torch.tensor([[5, 6, 1], [7, 8, 1]])
    labels = torch.tensor([[3, 1, unet.UNSAID, 2, unet.UNSAID], [unet.UNSAID] * 5])
    timesteps = torch.tensor([5, 6])
    with torch.no_grad():
        predicted, loss = denoiser(torch.zeros(2, 8, 8, 8), timesteps, ids, labels)
        encoded = denoiser.text_encoder(ids)
        by_hand = sum(
            -head(encoded.pooler_output)[0].log_softmax(0)[labels[0, k]]
            for k, head in enumerate(denoiser.heads)
            if k in (0, 1, 3)
        )
        expected = denoiser.unet(torch.zeros(2, 8, 8, 8), timesteps, encoded.last_hidden_state)
    torch.testing.assert_close(loss, by_hand / 2)
    torch.testing.assert_close(predicted, expected.sample)


@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_the_text_encoder_has_a_learning_rate_of_its_own(denoiser, rate):
    """The first step of AdamW moves each weight by its learning rate (Kingma & Ba 2015)."""
    optimizer = unet.new_optimizer(replace(TINY, text_rate=rate, learning_rate=0.04), denoiser)
    learned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert learned == {id(p) for p in denoiser.parameters()}
    before = {name: value.clone() for name, value in denoiser.state_dict().items()}
    for p in denoiser.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    for name, value in denoiser.state_dict().items():
        step = (value - before[name]).abs().max().item()
        if name.startswith("text_encoder."):
            assert step == pytest.approx(rate * 0.01, rel=0.02, abs=1e-7), name
        elif name.startswith("heads."):
            assert step == pytest.approx(0.01, rel=0.02), name
        else:
            assert step > 1e-4, name


def test_a_training_goes_on_from_the_weights_of_another_unet(denoiser, tmp_path):
    denoiser.unet.save_pretrained(tmp_path)
    settings = replace(TINY, channels=(16, 32), initial=tmp_path)
    vae = SimpleNamespace(config=SimpleNamespace(latent_channels=8))
    new = unet.new_unet(settings, vae, denoiser.text_encoder)
    for name, value in denoiser.unet.state_dict().items():
        assert torch.equal(new.state_dict()[name], value)


def test_the_held_out_loss_of_a_network_that_predicts_nothing_is_one():
    class Nothing(UNet2DConditionModel):
        def __init__(self):
            pass

        def __call__(self, z, t, embeds):
            return SimpleNamespace(sample=torch.zeros_like(z))

    latents = torch.randn(10, 8, 16, 16)
    losses = unet.held_out_loss(Nothing(), latents, torch.zeros(10, 3, 4), unet.scheduler())
    assert list(losses) == ["100", "300", "500", "700", "900"]
    assert list(losses.values()) == pytest.approx([1] * 5, abs=0.03)


def test_the_solver_that_is_saved_keeps_the_spacing_of_stable_diffusion():
    """from_config drops values that were not given; each scheduler has its own defaults."""
    solver = DPMSolverMultistepScheduler.from_config(unet.scheduler().config)
    assert (solver.config.timestep_spacing, solver.config.steps_offset) == ("leading", 1)
    shipped = json.loads((ROOT / "data/models/mini-sd/scheduler/scheduler_config.json").read_text())
    assert (shipped["timestep_spacing"], shipped["steps_offset"]) == ("leading", 1)
