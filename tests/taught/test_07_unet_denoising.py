"""Lesson 07: what its cells define does what sdkit and diffusers do."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.models.embeddings import get_timestep_embedding

from sdkit.diffusion.schedule import Schedule
from tests.taught import ENDS, taught

UNET = "07_unet_denoising.ipynb"


@pytest.mark.parametrize("size", [16, 64])
def test_time_embedding_equals_that_of_diffusers(size):
    t = torch.tensor([0, 1, 37, 500, 999])
    theirs = get_timestep_embedding(t, size, flip_sin_to_cos=True, downscale_freq_shift=0)
    torch.testing.assert_close(taught(UNET)["time_embedding"](t, size), theirs, atol=1e-4, rtol=0)


def block_by_block(network, sample, t, embeds, level=None, skips=None):
    """A UNet's forward pass, block by block.

    The mean over the batch replaces the output of up block `level` and the skips of up block
    `skips`.
    """

    def mean(h):
        return h.mean(0).repeat(len(h), 1, 1, 1)

    emb = network.time_embedding(network.time_proj(torch.full((len(sample),), t)))
    h = network.conv_in(sample)
    kept = [h]
    for block in network.down_blocks:
        text = {"encoder_hidden_states": embeds} if hasattr(block, "attentions") else {}
        h, more = block(hidden_states=h, temb=emb, **text)
        kept += more
    h = network.mid_block(h, emb, encoder_hidden_states=embeds)
    for k, block in enumerate(network.up_blocks):
        text = {"encoder_hidden_states": embeds} if hasattr(block, "attentions") else {}
        mine, kept = kept[-len(block.resnets) :], kept[: -len(block.resnets)]
        mine = tuple(map(mean, mine)) if k == skips else tuple(mine)
        h = block(hidden_states=h, temb=emb, res_hidden_states_tuple=mine, **text)
        h = mean(h) if k == level else h
    return network.conv_out(network.conv_act(network.conv_norm_out(h)))


@torch.no_grad()
def test_cut_networks_equal_a_forward_pass_block_by_block(tiny_pipe):
    network, cells = tiny_pipe.unet, taught(UNET)
    sample, embeds = torch.randn(3, 8, 16, 16), torch.randn(3, 5, 8)
    whole = network(sample, 300, embeds).sample
    torch.testing.assert_close(
        block_by_block(network, sample, 300, embeds), whole, atol=1e-5, rtol=1e-4
    )
    for k in range(3):
        for name, how in (("without_level", "level"), ("without_skips", "skips")):
            with cells[name](network, k):
                cut = network(sample, 300, embeds).sample
            torch.testing.assert_close(
                cut, block_by_block(network, sample, 300, embeds, **{how: k}), atol=1e-5, rtol=1e-4
            )
            assert not torch.allclose(cut, whole, atol=1e-3)
            torch.testing.assert_close(network(sample, 300, embeds).sample, whole)  # healed


@torch.no_grad()
def test_listen_returns_outputs_and_removes_its_hooks(tiny_pipe):
    network = tiny_pipe.unet
    sample, embeds = torch.randn(2, 8, 16, 16), torch.randn(2, 5, 8)
    modules = {"in": network.conv_in, "down": network.down_blocks[0], "out": network.conv_out}
    outputs = []
    heard = taught(UNET)["listen"](
        modules, lambda: outputs.append(network(sample, 300, embeds).sample)
    )
    torch.testing.assert_close(heard["out"], outputs[0])
    torch.testing.assert_close(heard["in"], network.conv_in(sample))
    assert heard["down"].shape == (2, 4, 8, 8)
    assert not any(module._forward_hooks for module in modules.values())


def test_word_map_finds_the_place_of_the_word():
    weights = torch.zeros(2, 16, 5)
    weights[0, 4 * 1 + 3, 2] = 1.0  # the first head: row 1, column 3 of the picture
    weights[1, 4 * 1 + 3, 2] = 0.5
    wanted = torch.zeros(4, 4)
    wanted[1, 3] = 0.75
    torch.testing.assert_close(taught(UNET)["word_map"](weights, 2), wanted)


def test_training_step_is_gradient_descent_with_the_noise_of_diffusers():
    """The loss before the step and the weights after it equal those from autograd.

    Here diffusers adds the noise, and a plain formula makes the step.
    """
    scheduler = DDPMScheduler(beta_schedule="scaled_linear", **ENDS)
    torch.manual_seed(0)
    network = torch.nn.Conv2d(3, 3, 3, padding=1)
    x0, noise = torch.randn(2, 4, 3, 8, 8).unbind()
    t = torch.tensor([0, 300, 600, 999])
    loss = (network(scheduler.add_noise(x0, noise, t)) - noise).square().mean()
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    wanted = [p.detach() - 0.1 * g for p, g in zip(network.parameters(), gradients)]

    def model(noisy, timesteps, prompt_embeds):
        assert timesteps is t and prompt_embeds is None
        return SimpleNamespace(sample=network(noisy))

    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    returned = taught(UNET)["training_step"](
        model, optimizer, Schedule.of(scheduler), x0, None, t, noise
    )
    assert returned == pytest.approx(float(loss.detach()), rel=1e-4)
    for p, one in zip(network.parameters(), wanted):
        torch.testing.assert_close(p.detach(), one, atol=1e-6, rtol=1e-4)


def test_the_loss_of_the_noise_over_abar_is_the_loss_of_v():
    schedule = Schedule.of(DDPMScheduler(beta_schedule="scaled_linear", **ENDS))
    generator = torch.Generator().manual_seed(0)
    x0, noise, answer = torch.randn(3, 4, 3, 8, 8, generator=generator)
    t = torch.tensor([0, 300, 600, 999])
    abar = schedule.alphas_cumprod[t].reshape(-1, 1, 1, 1).float()
    network = taught(UNET)["ViaV"](lambda noisy, t, text: SimpleNamespace(sample=answer), schedule)
    predicted = network(schedule.add_noise(x0, noise, t), t, None).sample
    v = abar.sqrt() * noise - (1 - abar).sqrt() * x0
    torch.testing.assert_close(
        (predicted - noise).square() / abar, (answer - v).square(), atol=1e-3, rtol=1e-2
    )
