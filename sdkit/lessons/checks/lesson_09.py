"""Checkers of lesson 09, Stable Diffusion assembled."""

import torch

from sdkit.lessons.checks import answer_of, exercise, match_mistake


@exercise("09.1")
def _looked_at(times):
    """times: how many latents go through the UNet in 25 guided steps."""
    times = float(times)
    if times == 50:
        return None
    last = "25 steps, two at a time."
    mistakes = (
        (25, "that is how often it is called. How many latents does each call hold?"),
        (1, "the loop stands inside paint: count its rounds."),
        (2, "that is one round of the loop."),
        (26, "the decoder is another network."),
        (51, "the decoder is another network."),
        (500, "guidance scale has nothing to do with it: guided is guided."),
    )
    return match_mistake(times, mistakes, last) or [
        "how many rounds has the loop, and how long is the batch in each?",
        last,
    ]


@exercise("09.2")
def _first_latents(first_latents):
    """first_latents(channels, size, f, init_noise_sigma, generator): the noise to start from."""

    def seeded():
        return torch.Generator().manual_seed(3)

    wanted = 14.6 * torch.randn(1, 6, 8, 8, generator=seeded())
    answer = torch.as_tensor(answer_of(first_latents, 6, 32, 4, 14.6, seeded()))
    last = "torch.randn(1, channels, size // f, size // f, generator=generator) * init_noise_sigma."
    if answer.shape == (1, 6, 32, 32):
        return [
            "that is as large as the picture. By how much is a side of the latents shorter?",
            last,
        ]
    if answer.shape == (1, 3, 8, 8):
        return ["three channels are for colours. Latents have `channels` of them.", last]
    if answer.shape != wanted.shape:
        return [
            f"the shape is {tuple(answer.shape)}, wanted is (1, channels, rows, columns).",
            last,
        ]
    if torch.allclose(answer, wanted, atol=1e-4):
        return None
    if torch.allclose(answer, wanted / 14.6, atol=1e-4):
        return ["that noise has strength 1. Multiply by init_noise_sigma.", last]
    if any(
        torch.allclose(answer, wanted * other, rtol=1e-3) for other in (14.6, 14.6**-0.5, 14.6**-2)
    ):
        return ["init_noise_sigma is a standard deviation: multiply by it, once.", last]
    if answer.min() >= 0 and answer.max() < 14.6:
        return ["the noise is Gaussian: torch.randn, not torch.rand.", last]
    if not torch.equal(answer, torch.as_tensor(answer_of(first_latents, 6, 32, 4, 14.6, seeded()))):
        return ["two runs with one seed differ: pass the generator to torch.randn.", last]
    return ["take Gaussian noise from the generator, and scale it.", last]


@exercise("09.3")
def _mix(mix):
    """mix(first, second, share): two embeddings (1, L, D), interpolated for each of N shares.

    The answer has shape (N, L, D).
    """
    first, second = (
        torch.arange(12.0).reshape(1, 3, 4),
        -torch.arange(12.0).reshape(1, 3, 4).flip(2) + 40,
    )
    share = torch.tensor([0.0, 0.25, 1.0])
    wanted = torch.cat([torch.lerp(first, second, float(s)) for s in share])
    last = "share.reshape(-1, 1, 1) goes over words and channels: first + share * (second - first)."
    try:
        answer = answer_of(mix, first, second, share)
    except RuntimeError:  # torch cannot lay the shapes over one another
        return [
            "(N,) and (1, L, D) do not go together as they are: "
            "give share two more axes, for words and channels.",
            last,
        ]
    if isinstance(answer, (list, tuple)):
        return [
            "wanted is one tensor with a row for each share, not a list. No loop is needed.",
            last,
        ]
    answer = torch.as_tensor(answer)
    if answer.shape == first.shape and torch.allclose(
        answer, first + share[None, :, None] * (second - first), atol=1e-4
    ):
        return [
            "the shares went to the words of one sentence; each should make a sentence of its own.",
            last,
        ]
    if answer.shape != wanted.shape:
        return [
            f"for three shares that has shape {tuple(answer.shape)}, "
            f"wanted is {tuple(wanted.shape)}.",
            last,
        ]
    if torch.allclose(answer, wanted, atol=1e-4):
        return None
    if torch.allclose(answer, wanted.flip(0)) or torch.allclose(
        answer, first + second - wanted, atol=1e-4
    ):
        return ["the other way round: share 0 is the first sentence, 1 the second.", last]
    if torch.allclose(answer, first + share.reshape(-1, 1, 1) * second, atol=1e-4):
        return ["with share 1 nothing of the first should be left.", last]
    return ["share 0.25 is three quarters of the first and one quarter of the second.", last]
