"""Checkers of lesson 13, make it yours."""

from collections.abc import Callable

import numpy as np
import torch

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


@exercise("13.1")
def _merged(merged: Callable) -> Hints:
    """merged(W, A, B, s): W + s B A, with W (out, in), A (r, in) and B (out, r)."""
    generator = torch.Generator().manual_seed(13)

    def matrices(outputs: int, inputs: int, rank: int) -> list[torch.Tensor]:
        shapes = (outputs, inputs), (rank, inputs), (outputs, rank)
        return [torch.randn(shape, generator=generator) for shape in shapes]

    s = 0.7
    W, A, B = matrices(5, 4, 2)
    last = "B @ A has the shape of W. Multiply it by s, and add it to W."
    given = answer_of(merged, W.clone(), A.clone(), B.clone(), s)
    answer = np.asarray(given.detach() if torch.is_tensor(given) else given, dtype=float)
    if answer.shape != tuple(W.shape):
        return [
            f"give a matrix of the shape of W, {tuple(W.shape)}, not {answer.shape}.",
            last,
        ]
    mistakes = (
        (W + B @ A, "s is missing: at s = 0 nothing may change."),
        (s * B @ A, "that is the change. Where is W itself?"),
        (B @ A, "that is the change, without s. And where is W itself?"),
        (W, "that is W, unchanged."),
        (s * (W + B @ A), "s counts for the change only, and not for W."),
        (s * W + B @ A, "s counts for the change, and not for W."),
        ((1 - s) * W + s * B @ A, "W keeps all of its weight: nothing is taken away from it."),
        (W + s / 2 * B @ A, "do not use the rank. Only s multiplies B A."),
        (W - s * B @ A, "the sign: the change is added."),
        (W + s**2 * B @ A, "s comes once, not at both matrices."),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    for shape, scale in (((5, 4, 2), s), ((3, 3, 3), -1.5), ((2, 6, 1), 0.0)):
        W, A, B = matrices(*shape)
        kept = [tensor.clone() for tensor in (W, A, B)]
        given = answer_of(merged, *kept, scale)
        if not np.allclose(np.asarray(given.detach()), W + scale * B @ A, atol=1e-5):
            return [
                "for another shape or another strength it is not right. "
                "Which of the two products has the shape (out, in)?",
                last,
            ]
        if not all(torch.equal(a, b) for a, b in zip(kept, (W, A, B))):
            return ["right, but W itself was changed. Return a new matrix instead.", last]
    return None


@exercise("13.2")
def _dreambooth_loss(dreambooth_loss: Callable) -> Hints:
    """dreambooth_loss(errors, known, weight): mean of the new ones + weight x mean of the known."""
    errors = torch.tensor([1.0, 2.0, 4.0, 9.0, 3.0, 8.0, 5.0, 0.5])
    known = torch.tensor([False, True, False, False, True, False, False, False])
    weight = 0.4

    def wanted(errors: torch.Tensor, known: torch.Tensor, weight: float) -> float:
        parts = [errors[~known], errors[known]]
        new, old = (float(part.mean()) if len(part) else 0.0 for part in parts)
        return new + weight * old

    last = "two means: errors[~known].mean(), and weight times errors[known].mean()."
    answer = np.asarray(
        float(answer_of(dreambooth_loss, errors.clone(), known.clone(), weight)), dtype=float
    )
    new, old = errors[~known], errors[known]
    plain = (1 - known.float() + weight * known.float()) * errors
    mistakes = (
        (errors.mean(), "that is the plain mean: six new examples outweigh two known ones."),
        (plain.mean(), "take a mean for each kind, not one mean over all."),
        (plain.sum(), "those are sums. Take the mean of each kind."),
        (new.sum() + weight * old.sum(), "those are sums. Take the mean of each kind."),
        (new.mean() + old.mean(), "the weight of the known ones is missing."),
        (old.mean() + weight * new.mean(), "new and known are swapped."),
        (weight * (new.mean() + old.mean()), "the weight counts for the known ones only."),
        (
            (1 - weight) * new.mean() + weight * old.mean(),
            "the term of the new ones keeps its full weight.",
        ),
        (new.mean(), "that is the loss without the known ones."),
        (new.mean() - weight * old.mean(), "the sign: both errors should become small."),
        ((new.mean() + weight * old.mean()) / 2, "do not divide by two."),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    for some, flags, factor in (
        (errors, known, weight),
        (errors[:3], known[:3], 1.0),
        (errors, ~known, 2.0),
        (errors, known, 0.0),
    ):
        value = float(answer_of(dreambooth_loss, some.clone(), flags.clone(), factor))
        if not np.isclose(value, wanted(some, flags, factor), atol=1e-5):
            return ["right for one batch, but not for another one. Use all three arguments.", last]
    for flag in (False, True):
        flags = torch.full((8,), flag)
        value = float(answer_of(dreambooth_loss, errors.clone(), flags, weight))
        if not np.isclose(value, wanted(errors, flags, weight), atol=1e-5):
            return ["right, but if there is none of one kind, its term is 0.", last]
    return None
