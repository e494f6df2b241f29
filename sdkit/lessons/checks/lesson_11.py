"""Checkers of lesson 11, style transfer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


@exercise("11.1")
def _steps_run(steps: Any) -> Hints:
    """steps: how many denoising steps run at strength 0.35, num_inference_steps = 30."""
    steps = float(steps)
    if steps == 10:
        return None
    last = "take that share of the steps, and cut the fraction off."
    mistakes = (
        (10.5, "there are no half steps. What does the pipeline do with the fraction?"),
        (11, "nearly: the number is not rounded up."),
        (9, "one too few. Count the rounds of the loop, not the gaps between the timesteps."),
        (19, "those are the steps that are skipped. How many are left?"),
        (19.5, "those are the steps that are skipped. How many are left?"),
        (20, "those are the steps that are skipped. How many are left?"),
        (30, "30 would start from noise alone. The photo is noised only part of the way."),
        (3, "that is for the ten steps of this lesson. Here num_inference_steps is 30."),
        (3.5, "that is for the ten steps of this lesson. Here num_inference_steps is 30."),
        (350, "those are timesteps of the training, of which there are 1000. Count the steps run."),
        (298, "that is the timestep where the loop starts. How many timesteps are in its list?"),
        (86, "that divides by the strength. Fewer steps than 30 are run, not more."),
        (85, "that divides by the strength. Fewer steps than 30 are run, not more."),
        (0.35, "that is the share. Of how many steps?"),
        (35, "that is the share in percent. Of how many steps?"),
    )
    return match_mistake(steps, mistakes, last) or [
        "the strength says which share of the steps is run.",
        "what is 35 % of the number of steps? A part of a step cannot be run.",
        last,
    ]


@exercise("11.2")
def _keep_the_face(pick_strength: Callable) -> Hints:
    """pick_strength(strengths, content, style, floor): the most style with content >= floor."""
    # Each wrong rule picks another strength. The content of the right one is the floor.
    strengths = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    content = [0.75, 0.55, 0.65, 0.6, 0.5, 0.8, 0.72, 0.95, 0.71, 0.85]
    style = [0.35, 0.9, 0.25, 0.8, 0.68, 0.53, 0.05, 0.45, 0.62, 0.15]
    answer = answer_of(pick_strength, list(strengths), list(content), list(style), 0.71)
    last = (
        "first drop every strength with content < floor. Then take the highest style of the rest."
    )
    if isinstance(answer, (str, bytes)):
        return ["that is a text. Return the strength itself, a number out of the list.", last]
    if np.ndim(answer) > 0:
        return [f"{np.size(answer)} things came back. Give one strength.", last]
    if isinstance(answer, (bool, np.bool_)):
        return ["that says yes or no. Give one of the strengths.", last]
    if isinstance(answer, (int, np.integer)):
        return ["that looks like a position in the list. Which strength is there?", last]
    mistakes = (
        (0.2, "at 0.2 the style is high, but the content is below the floor."),
        (0.4, "at 0.4 the content is below the floor. The floor is for content, not for style."),
        (
            0.1,
            "0.1 is allowed, but others have more style. "
            "Look also behind the first strength that is not allowed.",
        ),
        (0.8, "0.8 keeps the most content. Choose the most style among those that keep enough."),
        (1.0, "1.0 is the strongest that is allowed. Another one that is allowed has more style."),
        (0.6, "at 0.9 the content is exactly the floor. 'At least' includes that."),
        (0.5, "a place in the shorter list is not the same place in `strengths`."),
        (0.7, "0.7 has the least style of those that are allowed."),
    )
    if hints := match_mistake(answer, mistakes, last, atol=1e-9):
        return hints
    scores = [float(score) for score in (*content, *style)]
    if float(answer) != 0.9:
        if float(answer) in scores:
            return ["that is a score. Return the strength that it belongs to.", last]
        return [
            f"on a test list it returned {answer!r}, which is not the best allowed strength.",
            "which strengths may be chosen at all? And which of those has the most style?",
            last,
        ]
    for other, wanted in (
        (([0.6, 0.2, 0.4], [0.75, 0.9, 0.85], [0.9, 0.6, 0.4], 0.8), 0.2),
        (([0.3], [0.4], [0.1], 0.4), 0.3),
    ):
        if answer_of(pick_strength, *other) != wanted:
            return [
                "right for one list, but not for another: use all four arguments, "
                "and lists of any length and order.",
                last,
            ]
    return None


@exercise("11.3")
def _blend(blend: Callable) -> Hints:
    """blend(mask, painted, kept): painted where mask is 0, kept where it is 1."""
    kept = torch.tensor([[2.0, 3.0], [4.0, 5.0]])
    painted = torch.tensor([[10.0, 20.0], [30.0, 40.0]])
    mask = torch.tensor([[0.0, 1.0], [0.25, 0.5]])
    given = mask.clone(), painted.clone(), kept.clone()
    answer = torch.as_tensor(np.asarray(answer_of(blend, *given), dtype=np.float32))
    last = (
        "weigh kept with the mask. Weigh painted with what is left of 1. Then add up both, "
        "number by number."
    )
    wanted = torch.lerp(painted, kept, mask)
    if any(not torch.equal(a, b) for a, b in zip(given, (mask, painted, kept))):
        return ["one of the three arguments itself was changed. Make a new tensor.", last]
    soft = "right for masks of 0 and 1. But a soft edge (0.25) must mix the two."
    mistakes = [
        (mask * painted + (1 - mask) * kept, "the wrong part is kept: where is the mask 1?"),
        (
            mask * kept + painted,
            "where the mask is 1, both are added up. What must painted be multiplied by?",
        ),
        (mask * kept, "that is one of the two parts. Add the other, where the mask leaves room."),
        (
            (1 - mask) * painted,
            "that is one of the two parts. Add the other, where the mask is not 0.",
        ),
        (
            mask * kept - (1 - mask) * painted,
            "the sign: the second part is added, not taken away.",
        ),
        (wanted / 2, "that is half of it. The two weights add up to 1 already."),
        ((kept + painted) / 2, "that mixes half and half everywhere. Where does the mask come in?"),
        (kept + painted, "that adds up both everywhere. Where does the mask come in?"),
        (kept, "that keeps everything, also where the mask is 0."),
        (painted, "that paints everything, also where the mask is 1."),
        (mask * (kept - painted), "that is only the change. What is changed by it?"),
        (mask * (painted - kept), "that is only the change, and of the wrong sign."),
        (kept + mask * (kept - painted), "where the mask is 0, start from painted."),
        (mask**2 * kept + (1 - mask**2) * painted, "use the mask itself, not its square."),
    ]
    mistakes += [
        (torch.where(hard, kept, painted), soft)
        for hard in (mask > 0, mask >= 0.5, mask > 0.5, mask == 1)
    ]
    if answer.shape != wanted.shape:
        return [
            f"the answer has shape {tuple(answer.shape)}, the latents have {tuple(wanted.shape)}. "
            "Nothing is summed up or picked out.",
            last,
        ]
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if not torch.allclose(answer, wanted, atol=1e-4):
        return [
            "where the mask is 1, take kept. Where it is 0, take painted. In between, mix them.",
            "a mask of 0.25 takes a quarter of one and three quarters of the other. Of which?",
            last,
        ]
    generator = torch.Generator().manual_seed(11)
    mask, painted, kept = (
        torch.rand(1, channels, 3, 5, generator=generator) for channels in (1, 8, 8)
    )
    answer = torch.as_tensor(np.asarray(answer_of(blend, mask, painted, kept), dtype=np.float32))
    wanted = torch.lerp(painted, kept, mask)
    if answer.shape != wanted.shape or not torch.allclose(answer, wanted, atol=1e-4):
        return [
            "right for 2 x 2 numbers, but not for latents of shape (1, 8, 3, 5) with a mask of "
            "shape (1, 1, 3, 5). Use nothing but the three arguments.",
            last,
        ]
    return None
