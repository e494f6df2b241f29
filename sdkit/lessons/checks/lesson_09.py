"""Checkers of lesson 09, Stable Diffusion assembled."""

from collections.abc import Callable
from typing import Any

import torch

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


@exercise("09.1")
def _looked_at(times: Any) -> Hints:
    """times: how many latents go through the UNet in 25 guided steps."""
    times = float(times)
    if times == 50:
        return None
    last = "at each step the batch is `torch.cat([z, z])`. Multiply its length by the steps."
    mistakes = (
        (25, "that is how often it is called. How many latents does each call hold?"),
        (75, "guidance needs an answer with the prompt and one without. What would be the third?"),
        (100, "each latent is counted twice. How long is the batch of one call?"),
        (10, "that is the test of section 2 with ten steps. A picture here has 25."),
        (20, "that is the test of section 2 with ten steps. A picture here has 25."),
        (49, "also the last step is a guided one."),
        (48, "count the steps, not the gaps between them."),
        (24, "count the steps, not the gaps between them. And how long is the batch?"),
        (625, "the steps do not multiply with one another. What does each call hold?"),
        (150, "the scale of 3 says how strong guidance is, not how often the UNet is called."),
        (1, "the loop is inside paint: count its rounds."),
        (2, "that is one round of the loop."),
        (26, "the decoder is another network. And how long is the batch of a call?"),
        (51, "the decoder is another network."),
        (52, "neither the decoder nor the text encoder is the UNet."),
        (500, "that is a timestep. How many steps are run?"),
    )
    return match_mistake(times, mistakes, last) or [
        "how many rounds has the loop, and how long is the batch in each?",
        last,
    ]


@exercise("09.2")
def _first_latents(first_latents: Callable) -> Hints:
    """first_latents(channels, size, f, init_noise_sigma, generator): the noise to start from."""

    def ask(channels: int, size: int, f: int, sigma: float, seed: int = 3) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        answer = answer_of(first_latents, channels, size, f, sigma, generator)
        if isinstance(answer, torch.Size) or not hasattr(answer, "__len__"):
            raise TypeError("give a tensor of noise")
        return torch.as_tensor(answer)

    wanted = 14.6 * torch.randn(1, 6, 8, 8, generator=torch.Generator().manual_seed(3))
    last = (
        "four numbers make the shape: one picture, its channels, and two sides that are f times "
        "shorter than the picture's. Then scale the noise."
    )
    try:
        answer = ask(6, 32, 4, 14.6)
    except TypeError as error:
        if "float" in str(error):
            return ["a shape needs whole numbers. Which division gives one?", last]
        raise
    if answer.shape == (1, 6, 32, 32):
        return [
            "that is as large as the picture. By how much is a side of the latents shorter?",
            last,
        ]
    if answer.shape == (1, 3, 8, 8):
        return ["three channels are for colours. Latents have `channels` of them.", last]
    if answer.shape == (1, 4, 8, 8):
        return ["4 is f, or the channels of Stable Diffusion. Use `channels`.", last]
    if answer.shape == (1, 6, 4, 4):
        return ["a side is f times shorter, and here f is 4, not 8.", last]
    if answer.shape == (1, 8, 8, 6):
        return ["the channels come second, before rows and columns.", last]
    if answer.shape == (1, 6, 128, 128):
        return ["the latents are smaller than the picture, not larger.", last]
    if answer.shape == (2, 6, 8, 8):
        return ["guidance doubles the batch only inside the loop. Both halves start alike.", last]
    if answer.shape != wanted.shape:
        return [
            f"the shape is {tuple(answer.shape)}, not (1, channels, rows, columns).",
            last,
        ]
    if not torch.equal(answer, ask(6, 32, 4, 14.6)):
        if answer.min() >= 0 and answer.max() <= 14.6:
            return ["the noise is Gaussian: torch.randn, not torch.rand.", last]
        return ["two runs with one seed differ: pass the generator to torch.randn.", last]
    if torch.allclose(answer, wanted, atol=1e-4):
        for sizes in ((3, 64, 8, 1.0), (4, 48, 4, 2.5)):
            channels, size, f, sigma = sizes
            generator = torch.Generator().manual_seed(5)
            shape = 1, channels, size // f, size // f
            wanted = sigma * torch.randn(*shape, generator=generator)
            again = ask(*sizes, seed=5)
            if again.shape != wanted.shape or not torch.allclose(again, wanted, atol=1e-4):
                return [
                    "right for one size, but not for channels, size, f and init_noise_sigma of "
                    f"{channels}, {size}, {f} and {sigma}, or not for another seed.",
                    last,
                ]
        return None
    noise = wanted / 14.6
    mistakes = [
        (noise, "that noise has strength 1. Which one does the scheduler want?"),
        (noise + 14.6, "the strength is a factor. That moves all numbers up."),
        (noise * 0, "that is no noise at all."),
        (-wanted, "why the minus?"),
    ]
    mistakes += [
        (noise * other, "init_noise_sigma is a standard deviation: multiply by it, once.")
        for other in (14.6**2, 14.6**0.5, 1 / 14.6)
    ]
    if hints := match_mistake(answer, mistakes, last, atol=1e-3):
        return hints
    if answer.min() >= 0 and answer.max() <= 14.6:
        return ["the noise is Gaussian: torch.randn, not torch.rand.", last]
    return ["take Gaussian noise from the generator, and scale it.", last]


@exercise("09.3")
def _mix(mix: Callable) -> Hints:
    """mix(first, second, share): two embeddings (1, L, D), interpolated for each of N shares.

    The answer has shape (N, L, D).
    """
    first, second = (
        torch.arange(12.0).reshape(1, 3, 4),
        -torch.arange(12.0).reshape(1, 3, 4).flip(2) + 40,
    )
    share = torch.tensor([0.0, 0.25, 1.0])
    wanted = torch.cat([torch.lerp(first, second, float(s)) for s in share])
    last = (
        "the shares need two axes of length 1 behind their own, for words and channels. Then the "
        "line for one share works for all."
    )
    given = first.clone(), second.clone(), share.clone()
    try:
        answer = answer_of(mix, *given)
    except RuntimeError:  # torch cannot lay the shapes over one another
        return [
            "(N,) and (1, L, D) do not go together as they are: "
            "give share two more axes, for words and channels.",
            last,
        ]
    if any(not torch.equal(a, b) for a, b in zip(given, (first, second, share))):
        return ["one of the arguments itself was changed. Make a new tensor.", last]
    if isinstance(answer, (list, tuple)):
        return [
            "give one tensor with a row for each share, not a list. No loop is needed.",
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
    if answer.shape == (3, 1, 3, 4):
        return ["an axis of length 1 is too much: (N, L, D), not (N, 1, L, D).", last]
    if answer.shape != wanted.shape:
        return [
            f"for three shares that has shape {tuple(answer.shape)}, give {tuple(wanted.shape)}.",
            last,
        ]
    column = share.reshape(-1, 1, 1)
    mistakes = [
        (wanted.flip(0), "the other way round: share 0 is the first sentence, 1 the second."),
        (first + second - wanted, "the other way round: share 0 is the first sentence."),
        (first + column * second, "with share 1 nothing of the first should be left."),
        (first - column * (second - first), "the sign: that goes away from the second."),
        (first * column + second * column, "both have the same weight. Together they should be 1."),
        (column * (second - first), "that is only the change. Where does it start?"),
        (
            torch.where(column >= 0.5, second, first),
            "that jumps from one to the other. 0.25 should mix.",
        ),
        (
            first[:, :1] + column * (second[:, :1] - first[:, :1]) + 0 * wanted,
            "that has the first word everywhere. Mix word by word.",
        ),
        (first + column**2 * (second - first), "use the share itself, not its square."),
        (first + 0.5 * (second - first) + 0 * wanted, "each share should make another mixture."),
    ]
    if hints := match_mistake(answer, mistakes, last, atol=1e-4):
        return hints
    if not torch.allclose(answer, wanted, atol=1e-4):
        return [
            "share 0.25 is three quarters of the first and one quarter of the second.",
            last,
        ]
    long = torch.arange(60.0).reshape(1, 5, 12)
    for some in (torch.tensor([0.5, 0.75]), torch.tensor([0.3])):
        wanted = torch.cat([torch.lerp(long, -long, float(s)) for s in some])
        again = torch.as_tensor(answer_of(mix, long, -long, some))
        if again.shape != wanted.shape or not torch.allclose(again, wanted, atol=1e-4):
            return [
                "right for three shares of 3 words, but not for "
                f"{len(some)} share{'s' * (len(some) > 1)} of 5 words with 12 channels.",
                last,
            ]
    return None
