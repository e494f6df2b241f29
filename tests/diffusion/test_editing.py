"""Inversion, attention control and anagrams against diffusers, closed forms and each other."""

import pytest
import torch
import torch.nn.functional as F
from diffusers import DDIMInverseScheduler, DDIMScheduler

from sdkit import prompts, sampler
from sdkit.diffusion import editing
from sdkit.diffusion.schedule import Schedule
from sdkit.errors import SdkitError

STEPS = 6


def made(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def pipe(tiny_pipe):
    """The tiny model with attention that differs from token to token."""
    return tiny_pipe


def said(pipe, *texts):
    return [prompts.encode(pipe.tokenizer, pipe.text_encoder, text) for text in texts]


@pytest.mark.parametrize("to_one", [True, False])
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@torch.no_grad()
def test_inversion_equals_diffusers(pipe, to_one, kind):
    config = {**pipe.scheduler.config, "prediction_type": kind, "set_alpha_to_one": to_one}
    inverse = DDIMInverseScheduler.from_config(config)
    schedule = Schedule.of(DDIMScheduler.from_config(config))
    (embeds, empty), z = said(pipe, "a red", ""), made(2, 8, 8, 8)
    path = editing.invert(pipe.unet, schedule, z, embeds, empty, sampler.timesteps(schedule, STEPS))
    inverse.set_timesteps(STEPS)
    assert len(path) == STEPS + 1 and torch.equal(path[-1], z)
    for t, after in zip(inverse.timesteps, path[-2::-1]):
        output = pipe.unet(z, t, embeds.expand(2, -1, -1)).sample
        z = inverse.step(output, t, z).prev_sample
        torch.testing.assert_close(after, z, atol=1e-5, rtol=0)


@torch.no_grad()
def test_inversion_with_guidance_asks_with_and_without_the_prompt(pipe):
    schedule, z = Schedule.of(pipe.scheduler), made(1, 8, 8, 8)
    embeds, empty = said(pipe, "a red", "x")
    *_, t = sampler.timesteps(schedule, STEPS)
    path = editing.invert(pipe.unet, schedule, z, embeds, empty, [t], 3.0)
    cond, uncond = (pipe.unet(z, t, e).sample for e in (embeds, empty))
    epsilon = uncond + 3 * (cond - uncond)
    first, abar = schedule.alphas_cumprod[0], schedule.alphas_cumprod[t]
    x0 = (z - (1 - first).sqrt() * epsilon) / first.sqrt()
    wanted = abar.sqrt() * x0 + (1 - abar).sqrt() * epsilon
    torch.testing.assert_close(path[0], wanted.float(), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_network_that_always_answers_the_same_is_inverted_exactly(pipe):
    """Then the way back takes the same steps, so it ends at the picture."""
    answer = made(1, 8, 8, 8, seed=1)

    class Same(torch.nn.Module):
        def forward(self, x, t, encoder_hidden_states):
            return type("Output", (), {"sample": answer.expand_as(x)})

    schedule, z = Schedule.of(pipe.scheduler), made(1, 8, 8, 8)
    timesteps, embeds = sampler.timesteps(schedule, STEPS), made(1, 4, 8)
    path = editing.invert(Same(), schedule, z, embeds, embeds, timesteps)
    states = [*sampler.denoise(Same(), schedule, path[0], embeds, embeds, timesteps, 1.0)]
    for state, before in zip(states, path[1:], strict=True):
        torch.testing.assert_close(state.latents, before, atol=1e-4, rtol=0)


def test_tokens_are_aligned():
    swap = editing.align([9, 1, 2, 3, 8, 8], [9, 1, 7, 3, 8, 8])
    assert torch.equal(swap.matrix, torch.eye(6)) and not swap.new.any()
    assert swap.changed == ([2], [2])
    longer = editing.align([9, 1, 2, 3, 8, 8], [9, 1, 2, 4, 3, 8])  # 4 is new
    assert longer.new.tolist() == [0, 0, 0, 1, 0, 0] and longer.changed[1] == [3]
    assert longer.matrix[3, 4] == 1 and longer.matrix[:, 3].sum() == 0
    split = editing.align([9, 1, 2, 8], [9, 5, 6, 2, 8])  # 1 becomes 5 and 6
    assert split.matrix[1].tolist() == [0, 0.5, 0.5, 0, 0] and split.changed == ([1], [1, 2])
    shorter = editing.align([9, 5, 6, 2, 8], [9, 2, 8])
    assert shorter.matrix.sum(0).tolist() == [1, 1, 1] and shorter.changed == ([1, 2], [])


def test_maps_are_replaced_for_the_share_of_the_steps_only(pipe):
    control = editing.AttentionControl(pipe.tokenizer, "abc", "abd", share=0.5)
    source, target = made(2, 4, 16), made(2, 4, 16, seed=1)
    for done, wanted in ((0, source), (0.49, source), (0.5, target), (0.9, target)):
        control.done = done
        torch.testing.assert_close(control.mix(source, target), wanted)
    with pytest.raises(SdkitError, match="outside 0 to 1"):
        editing.AttentionControl(pipe.tokenizer, "abc", "abd", share=1.2)


def test_a_new_word_keeps_its_own_map_and_the_others_move_with_their_words(pipe):
    control = editing.AttentionControl(pipe.tokenizer, "ac", "abc", share=1)
    source, target = made(2, 4, 16), made(2, 4, 16, seed=1)
    mixed = control.mix(source, target)
    torch.testing.assert_close(mixed[..., 2], target[..., 2])  # token 0 starts the sentence
    torch.testing.assert_close(mixed[..., 3], source[..., 2])


def test_a_weight_scales_one_words_map_at_all_steps(pipe):
    control = editing.AttentionControl(pipe.tokenizer, "a b", "a c", 0, {"c": 2.5})
    source, target = made(2, 4, 16), made(2, 4, 16, seed=1)
    for control.done in (0, 0.9):
        ratio = control.mix(source, target) / target
        assert torch.allclose(ratio[..., 2], torch.tensor(2.5))
        assert torch.allclose(ratio[..., [0, 1, *range(3, 16)]], torch.tensor(1.0))
    with pytest.raises(SdkitError, match="does not have 'zebra'"):
        editing.AttentionControl(pipe.tokenizer, "a b", "a c", weights={"zebra": 2})


@torch.no_grad()
def test_without_replacement_the_control_changes_nothing(pipe):
    """Our processor gives what diffusers' own gives, for each row of the batch."""
    x, embeds = made(2, 8, 16, 16), made(2, 16, 8)
    plain, before = pipe.unet(x, 300, embeds).sample, pipe.unet.attn_processors
    with editing.AttentionControl(pipe.tokenizer, "abc", "abd", share=0).of(pipe.unet):
        torch.testing.assert_close(pipe.unet(x, 300, embeds).sample, plain, atol=1e-5, rtol=1e-4)
    assert pipe.unet.attn_processors == before
    with (
        pytest.raises(ValueError),
        editing.AttentionControl(pipe.tokenizer, "a", "b").of(pipe.unet),
    ):
        raise ValueError
    assert pipe.unet.attn_processors == before


@torch.no_grad()
def test_the_target_attends_as_the_source_and_other_rows_are_left_alone(pipe):
    """With the source's maps and its own values, computed here from a layer's projections."""
    layer = pipe.unet.up_blocks[1].attentions[0].transformer_blocks[0].attn2
    hidden, embeds = made(4, 16, layer.to_q.in_features), made(4, 16, 8, seed=1)
    control = editing.AttentionControl(pipe.tokenizer, "abc", "abd", share=1)
    out = editing.ControlledProcessor(control)(layer, hidden, embeds)
    plain = layer(hidden, embeds)
    torch.testing.assert_close(out[:3], plain[:3], atol=1e-5, rtol=1e-4)

    def heads(x):
        return x.unflatten(-1, (layer.heads, -1)).transpose(0, 1)  # (places, C) -> (heads, ...)

    q, k = heads(layer.to_q(hidden[2])), heads(layer.to_k(embeds[2]))
    weights = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
    wanted = (weights @ heads(layer.to_v(embeds[3]))).transpose(0, 1).flatten(1)
    torch.testing.assert_close(out[3], layer.to_out[0](wanted), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(out[3], plain[3], atol=1e-4)


def test_the_mask_is_where_the_changed_words_look(pipe):
    control = editing.AttentionControl(pipe.tokenizer, "abc", "abd")
    assert control.mask(16, 16).sum() == 0  # nothing has been seen yet
    source, target = torch.zeros(2, 64, 16), torch.zeros(2, 64, 16)
    source[:, 9, 3] = 1  # row 1, column 1 of 8 x 8; token 3 is the third letter
    target[:, 54, 3] = 1  # row 6, column 6
    source[:, 32, 2] = 5  # another word
    control.mix(source, target)
    mask = control.mask(16, 16)[0, 0]
    assert mask[2:4, 2:4].all() and mask[12:14, 12:14].all()
    assert mask[8:, :8].sum() == 0 and mask[:8, 8:].sum() == 0
    coarse = editing.AttentionControl(pipe.tokenizer, "abc", "abd")
    coarse.mix(torch.ones(2, 16, 16), torch.ones(2, 16, 16))  # 4 x 4 places are too coarse
    assert coarse.mask(16, 16).sum() == 0
    fine = editing.AttentionControl(pipe.tokenizer, "abc", "abd")
    fine.mix(torch.ones(2, 1024, 16), torch.ones(2, 1024, 16))  # 32 x 32 places are too fine
    assert fine.mask(16, 16).sum() == 0
    wide = editing.AttentionControl(pipe.tokenizer, "abc", "abd")
    wide.mix(torch.zeros(2, 72, 16), F.one_hot(torch.tensor(3), 16) * torch.eye(72)[None, :, 11:12])
    assert wide.mask(12, 24)[0, 0, :2, 21:].all() and wide.mask(12, 24)[0, 0, 6:].sum() == 0


def run(pipe, share, guidance=1.0, local=False, texts=("ab", "ac")):
    schedule, z = Schedule.of(pipe.scheduler), made(1, 8, 16, 16)
    timesteps = sampler.timesteps(schedule, STEPS)
    before, after, empty = said(pipe, *texts, "")
    path = editing.invert(pipe.unet, schedule, z, before, empty, timesteps)
    control = editing.AttentionControl(pipe.tokenizer, *texts, share)
    states = editing.edit(
        pipe.unet, schedule, path, before, after, empty, timesteps, guidance, control, local
    )
    alone = sampler.denoise(pipe.unet, schedule, path[0], after, empty, timesteps, guidance)
    return z, path, [*states], [*alone]


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_an_edit_without_maps_is_denoising_from_the_inverted_noise(pipe, guidance):
    _, _, states, alone = run(pipe, 0, guidance)
    for ours, theirs in zip(states, alone, strict=True):
        torch.testing.assert_close(ours.latents, theirs.latents, atol=1e-4, rtol=1e-4)
        assert (ours.step, ours.t) == (theirs.step, theirs.t)


def test_an_edit_with_maps_is_another_one(pipe):
    _, _, states, alone = run(pipe, 1)
    assert not torch.allclose(states[-1].latents, alone[-1].latents, atol=1e-4)


def test_the_control_is_told_how_much_of_the_steps_is_done(pipe, monkeypatch):
    """0 at the first step, and less than 1 at the last."""
    told, mix = [], editing.AttentionControl.mix

    def noting(control, source, target):
        told.append(control.done)
        return mix(control, source, target)

    monkeypatch.setattr(editing.AttentionControl, "mix", noting)
    run(pipe, 0.5)
    assert sorted(set(told)) == [k / STEPS for k in range(STEPS)]


def test_a_local_edit_keeps_the_old_latents_outside_the_mask(pipe, monkeypatch):
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :5] = 1
    monkeypatch.setattr(editing.AttentionControl, "mask", lambda control, h, w: mask)
    z, path, states, _ = run(pipe, 0.5, local=True)
    for state, old in zip(states, path[1:], strict=True):
        assert torch.equal(state.latents[..., 5:], old[..., 5:])
    assert not torch.allclose(states[-1].latents[..., :5], z[..., :5], atol=1e-3)


@torch.no_grad()
def test_an_anagram_with_one_sentence_for_both_views_is_symmetric(pipe):
    """From noise that is the same upside down, and for a network that treats rows alike."""
    schedule = Schedule.of(pipe.scheduler)
    timesteps = sampler.timesteps(schedule, STEPS)
    up, down, empty = said(pipe, "ab", "cd", "")
    noise = made(1, 8, 16, 16)
    noise = noise + noise.flip(2)
    same = editing.anagram(pipe.unet, schedule, noise, up, up, empty, timesteps, 2.0)
    torch.testing.assert_close(same, same.flip(2), atol=1e-4, rtol=1e-4)
    noise = made(1, 8, 16, 16, seed=1)
    first = editing.anagram(pipe.unet, schedule, noise, up, down, empty, timesteps, 2.0)
    turned = editing.anagram(pipe.unet, schedule, noise.flip(2), down, up, empty, timesteps, 2.0)
    torch.testing.assert_close(first, turned.flip(2), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(first, first.flip(2), atol=1e-2)


@torch.no_grad()
def test_two_views_that_agree_are_denoised_as_one(pipe):
    class EachPlaceAlone(torch.nn.Module):
        def forward(self, x, t, encoder_hidden_states):
            return type("Output", (), {"sample": (x + 0.001 * t).sin()})

    schedule, embeds = Schedule.of(pipe.scheduler), made(1, 4, 8)
    given = made(1, 8, 8, 8), embeds, embeds, sampler.timesteps(schedule, STEPS), 1.0
    *_, last = sampler.denoise(EachPlaceAlone(), schedule, *given)
    again = editing.anagram(EachPlaceAlone(), schedule, given[0], embeds, *given[1:])
    torch.testing.assert_close(again, last.latents)


def test_words_of_several_tokens_are_found(pipe):
    assert editing.tokens_of(pipe.tokenizer, "ab c", "c") == [3]
    assert editing.tokens_of(pipe.tokenizer, "ab c ab", "ab") == [1, 2, 4, 5]
    with pytest.raises(SdkitError, match="does not have 'd'"):
        editing.tokens_of(pipe.tokenizer, "ab c", "d")
