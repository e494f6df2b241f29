"""Lesson 16: its functions do what sdkit does, and the renderer's truth is what the lesson says."""

import numpy as np
import torch
from diffusers import DDIMScheduler

from sdkit import metrics, postcards
from sdkit.diffusion import editing
from sdkit.diffusion.schedule import Schedule
from tests.taught import taught

EDIT = "16_edit.ipynb"
SOLVED = taught("solutions/16_edit.ipynb")


@torch.no_grad()
def test_a_layer_that_borrows_is_the_controlled_one_with_share_1(tiny_pipe):
    layer = tiny_pipe.unet.up_blocks[1].attentions[0].transformer_blocks[0].attn2
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(2, 16, layer.to_q.in_features, generator=generator)
    embeds = torch.randn(2, 16, 8, generator=generator)
    control = editing.AttentionControl(tiny_pipe.tokenizer, "abc", "abd", share=1)
    ours = taught(EDIT)["Borrow"]()(layer, hidden, embeds)
    torch.testing.assert_close(ours, editing.ControlledProcessor(control)(layer, hidden, embeds))


def test_the_step_of_the_solution_is_that_of_diffusers():
    scheduler = DDIMScheduler(set_alpha_to_one=False, clip_sample=False, steps_offset=1)
    scheduler.set_timesteps(10)
    schedule = Schedule.of(scheduler)
    z, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    t, later = scheduler.timesteps[3:5]
    levels = (float(schedule.alpha_cumprod(int(each))) for each in (t, later))
    theirs = scheduler.step(noise, t, z).prev_sample
    torch.testing.assert_close(SOLVED["step"](z, noise, *levels), theirs, atol=1e-5, rtol=0)


def test_the_map_of_the_solution_is_that_of_the_control(tiny_pipe):
    control = editing.AttentionControl(tiny_pipe.tokenizer, "ac", "abc", share=1)
    old, new = torch.rand(2, 4, 16, generator=torch.Generator().manual_seed(0))
    matrix, fresh = control.aligned.matrix, control.aligned.new
    partner = [None if fresh[j] else int(matrix[:, j].argmax()) for j in range(16)]
    assert partner.count(None) == 1
    torch.testing.assert_close(
        SOLVED["mixed"](old, new, partner), control.mix(old[None], new[None])[0]
    )


def test_the_score_of_the_solution_is_that_of_scikit_image():
    rng = np.random.default_rng(1)
    image, truth = rng.integers(0, 255, (2, 8, 8, 3), dtype=np.uint8)
    where = rng.random((8, 8)) < 0.5
    wanted = metrics.psnr(image[where], truth[where])
    assert abs(SOLVED["psnr_where"](image, truth, where) - wanted) < 1e-6


def test_the_renderer_changes_one_part_and_keeps_the_rest():
    """Another colour or thing changes only pixels near the thing; the ground leaves the sky."""
    card = postcards.Postcard("house", "red", "left", "sea", "sunset", seed=11)

    def changed(**part):
        other = postcards.Postcard(**{**card.__dict__, **part})
        return (postcards.draw(other, 128) != postcards.draw(card, 128)).any(2)

    thing = changed(thing="tree") | changed(colour="pink")
    assert 0.02 < thing.mean() < 0.3 and not thing[:, 100:].any()
    ground = changed(ground="snow")
    assert 0.2 < ground.mean() < 0.6 and ground[110:].mean() > 0.9
    assert changed(time="night").mean() > 0.9
