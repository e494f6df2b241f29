"""Checkers of lesson 11, style transfer."""

import numpy as np
import torch

from sdkit.lessons.checks import answer_of, exercise


@exercise("11.1")
def _steps_walked(steps):
    """steps: how many denoising steps run at strength 0.35, num_inference_steps = 30."""
    steps = float(steps)
    if steps == 10:
        return None
    last = "compute int(30 * 0.35): the pipeline cuts the fraction off."
    if steps == 10.5:
        return ["there are no half steps. What does the pipeline do with the fraction?", last]
    if steps == 11:
        return ["nearly: the number is not rounded up.", last]
    if steps in (19, 19.5, 20):
        return ["those are the steps that are skipped. How many are left?", last]
    if steps == 30:
        return [
            "30 would start from noise alone. Strength says which share of the way is walked.",
            last,
        ]
    return [
        "strength is the share of the num_inference_steps that is walked.",
        "multiply the two numbers and drop what stands behind the point.",
        last,
    ]


@exercise("11.2")
def _keep_the_face(pick_strength):
    """pick_strength(strengths, content, style, floor): the most style with content >= floor."""
    strengths = [0.1, 0.3, 0.5, 0.7, 0.9]
    content = [0.95, 0.85, 0.70, 0.55, 0.72]
    style = [0.05, 0.60, 0.45, 0.90, 0.50]
    answer = answer_of(pick_strength, strengths, content, style, 0.7)
    if np.ndim(answer) > 0:
        return [
            f"{np.size(answer)} things came back. Wanted is one strength.",
            "of those with content >= floor, only the one with the highest style: "
            "max(..., key=...).",
        ]
    if answer in (0.6, 0.85):
        return [
            "that is a score. Return the strength that it belongs to.",
            "max((s, x) for x, c, s in zip(strengths, content, style) if c >= floor)[1].",
        ]
    if answer == 0.7:
        return [
            "the winner must also keep the face: content at least floor.",
            "throw out every strength with content < floor first, then look for the best style.",
        ]
    if answer == 0.1:
        return [
            "that one keeps the most content. Wanted is the most style among those "
            "that keep enough.",
            "compare style, not content, among the strengths with content >= floor.",
        ]
    if answer == 0.9:
        return [
            "the strongest one is not always the one with the most style: look at the style list.",
            "max(..., key=style) over the strengths with content >= floor.",
        ]
    if isinstance(answer, (int, np.integer)):
        return [
            "that looks like a position in the list. Return the strength that stands there.",
            "return strengths[i] instead of i.",
        ]
    if answer != 0.3:
        return [
            f"on a test list it returned {answer!r}, which is not the best allowed strength.",
            "keep the strengths with content >= floor; of those, return the one "
            "with the highest style.",
            "max((s, x) for x, c, s in zip(strengths, content, style) if c >= floor)[1].",
        ]
    if answer_of(pick_strength, [0.2, 0.4], [0.9, 0.7], [0.1, 0.8], 0.7) != 0.4:
        return ["'at least floor' includes the floor itself.", "use >= and not >."]
    return None


@exercise("11.3")
def _blend(blend):
    """blend(mask, painted, kept): painted where mask is 0, kept where it is 1."""
    kept, painted = torch.full((2, 2), 2.0), torch.full((2, 2), 10.0)
    mask = torch.tensor([[0.0, 1.0], [0.25, 1.0]])
    answer = np.asarray(answer_of(blend, mask.clone(), painted.clone(), kept.clone()), dtype=float)
    mask, painted, kept = mask.numpy(), painted.numpy(), kept.numpy()
    wanted = mask * kept + (1 - mask) * painted
    if answer.shape != wanted.shape:
        return [
            f"the answer has shape {answer.shape}, the latents have {wanted.shape}.",
            "multiply and add elementwise; nothing is summed up or picked out.",
        ]
    if np.allclose(answer, wanted):
        return None
    if np.allclose(answer, mask * painted + (1 - mask) * kept):
        return [
            "the wrong part is kept: where is the mask 1?",
            "swap the two: mask * kept + (1 - mask) * painted.",
        ]
    if np.allclose(answer, mask * kept + painted):
        return [
            "where the mask is 1, both are added up. What must painted be multiplied by?",
            "mask * kept + (1 - mask) * painted.",
        ]
    if np.allclose(answer, mask * kept) or np.allclose(answer, (1 - mask) * painted):
        return [
            "that is one of the two parts. Add the other, weighed with what is left of the mask.",
            "mask * kept + (1 - mask) * painted.",
        ]
    if np.allclose(answer, np.where(mask > 0.5, kept, painted)) or np.allclose(
        answer, np.where(mask > 0, kept, painted)
    ):
        return [
            "right for masks of 0 and 1; but a soft edge (0.25) must mix the two.",
            "mask * kept + (1 - mask) * painted.",
        ]
    return [
        "where the mask is 1, take kept; where it is 0, take painted; in between, mix them.",
        "weigh kept with mask and painted with 1 - mask.",
        "mask * kept + (1 - mask) * painted.",
    ]
