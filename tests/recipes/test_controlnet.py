"""The ControlNet's recipe: it starts by changing nothing, learns from edges, and stays small."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionControlNetPipeline

from sdkit import models
from sdkit.recipes import cards, controlnet, training, unet

TINY = controlnet.Settings(out=Path("o"), pipeline=Path("p"), batch_size=4, drawn=6, size=32)


@pytest.fixture
def pipe(tiny_sd):
    return models.load(tiny_sd, task="text2img", device="cpu")


@pytest.fixture
def data(pipe):
    shown, drawings = cards.render(6, 32, seed=4)
    latents = training.encode_batches(pipe.vae, drawings)
    return controlnet.Data(shown, drawings, latents, pipe.tokenizer, unet.scheduler())


def test_edges_of_a_square_are_its_outline():
    square = np.zeros((32, 32, 3), np.uint8)
    square[8:24, 8:24] = 255
    edges = controlnet.edges_of(square)
    assert edges.shape == (3, 32, 32) and set(np.unique(edges)) == {0, 1}
    assert (edges[0] == edges[1]).all() and (edges[0] == edges[2]).all()
    rows, columns = np.nonzero(edges[0])
    outside = np.maximum(np.abs(rows - 15.5), np.abs(columns - 15.5))
    assert outside.min() > 6 and outside.max() < 10 and len(rows) >= 50
    assert controlnet.edges_of(np.full((32, 32, 3), 90, np.uint8)).sum() == 0


def test_the_network_for_mini_sd_has_fewer_than_3_million_weights():
    shipped = models.resolve().folder / "unet"
    from diffusers import UNet2DConditionModel

    config = UNet2DConditionModel.load_config(shipped)
    with torch.device("meta"):
        network = controlnet.new_network(TINY, UNet2DConditionModel.from_config(config))
    count = sum(p.numel() for p in network.parameters())
    assert 1e6 < count < 3e6


@torch.no_grad()
def test_at_first_it_changes_nothing_and_then_it_does(pipe, data):
    torch.manual_seed(0)
    network = controlnet.new_network(TINY, pipe.unet)
    batch = controlnet.make_batch(TINY, data, training.rng(0, 0))
    text = pipe.text_encoder(batch.ids).last_hidden_state
    plain = pipe.unet(batch.noisy, batch.timesteps, text).sample
    arguments = network, pipe.unet, batch.noisy, batch.timesteps, text, batch.edges
    assert torch.equal(controlnet.controlled(*arguments), plain)
    for layer in (*network.controlnet_down_blocks, network.controlnet_mid_block):
        torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(network.controlnet_cond_embedding.conv_out.weight)
    first = controlnet.controlled(*arguments)
    assert not torch.allclose(first, plain, atol=1e-3)
    other = controlnet.controlled(*arguments[:-1], 1 - batch.edges)
    assert not torch.allclose(first, other, atol=1e-4)


def test_batches_are_noised_postcards_with_their_own_edges(data):
    same = controlnet.make_batch(TINY, data, training.rng(0, 3))
    again = controlnet.make_batch(TINY, data, training.rng(0, 3))
    other = controlnet.make_batch(TINY, data, training.rng(0, 4))
    assert all(map(torch.equal, same, again)) and not torch.equal(same.noise, other.noise)
    a = data.noise_scheduler.alphas_cumprod[same.timesteps][:, None, None, None]
    clean = (same.noisy - (1 - a).sqrt() * same.noise) / a.sqrt()
    settings = controlnet.Settings(**{**TINY.__dict__, "blur": (10, 10)})
    batch = controlnet.make_batch(settings, data, training.rng(0, 3))
    for z, edges in zip(clean, batch.edges):
        gaps = (data.latents.float() - z).abs().amax((1, 2, 3))
        k = int(gaps.argmin())
        assert gaps[k] < 0.02 * data.latents.float().abs().max() + 0.05
        np.testing.assert_array_equal(edges, controlnet.edges_of(data.drawings[k], 1.0))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_the_captions_is_dropped(pipe, data, share):
    settings = controlnet.Settings(**{**TINY.__dict__, "caption_dropout": share})
    empty = pipe.tokenizer(
        "", padding="max_length", max_length=pipe.tokenizer.model_max_length
    ).input_ids
    batch = controlnet.make_batch(settings, data, training.rng(0, 0))
    assert [ids == empty for ids in batch.ids.tolist()] == [share == 1] * 4


def test_the_loss_is_the_weighted_error_and_reaches_the_network_only(pipe, data):
    torch.manual_seed(0)
    network = controlnet.new_network(TINY, pipe.unet)
    frozen = pipe.unet.requires_grad_(False)
    batch = controlnet.make_batch(TINY, data, training.rng(0, 0))
    value, figures = controlnet.loss(
        TINY, network, batch, frozen, pipe.text_encoder, data.noise_scheduler
    )
    with torch.no_grad():
        text = pipe.text_encoder(batch.ids).last_hidden_state
        plain = frozen(batch.noisy, batch.timesteps, text).sample
    a = data.noise_scheduler.alphas_cumprod[batch.timesteps]
    weights = unet.loss_weights(a / (1 - a), TINY.snr_gamma)
    wanted = ((plain - batch.noise).square().mean((1, 2, 3)) * weights).mean()
    torch.testing.assert_close(value.detach(), wanted, atol=1e-5, rtol=1e-4)
    assert figures["loss"] is value
    value.backward()
    assert network.controlnet_mid_block.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in frozen.parameters())


def test_it_is_a_controlnet_for_the_pipeline_of_diffusers(pipe):
    torch.manual_seed(0)
    network = controlnet.new_network(TINY, pipe.unet)
    painter = StableDiffusionControlNetPipeline(
        **pipe.components, controlnet=network, requires_safety_checker=False
    )
    keywords = dict(height=64, width=64, num_inference_steps=2, guidance_scale=1, output_type="np")
    seed = torch.Generator().manual_seed
    made = painter("a", image=torch.ones(1, 3, 64, 64), generator=seed(0), **keywords).images
    plain = pipe("a", generator=seed(0), **keywords).images
    np.testing.assert_allclose(made, plain, atol=1e-5)
