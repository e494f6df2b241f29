"""Checkers of lesson 06, the text encoder."""

import numpy as np
import torch

from sdkit.lessons.checks import answer_of, exercise, match_mistake


@exercise("06.1")
def _rows_of(rows_of):
    """rows_of(pieces, word): the positions of a word's tokens; position 0 is the start token."""
    pieces = ["a</w>", "z", "eb", "ra</w>", "and</w>", "a</w>", "pole", "cat</w>"]
    last = (
        "collect rows and letters until a piece ends in </w>; "
        "then compare the letters with the word."
    )

    def rows(word):
        answer = answer_of(rows_of, list(pieces), word)
        if not isinstance(answer, str) and (not np.iterable(answer) or any(map(np.ndim, answer))):
            raise TypeError("give one flat list of row numbers for each word")
        return (
            answer
            if isinstance(answer, str)
            else [row if isinstance(row, str) else int(row) for row in answer]
        )

    answer = rows("zebra")
    if any(isinstance(row, str) for row in answer):
        return ["those are pieces. Wanted are the numbers of their rows.", last]
    if answer == [1, 2, 3]:
        return ["one row too early: row 0 belongs to START.", last]
    if answer == []:
        return ["zebra is not found, for it has fallen into three pieces: z, eb, ra</w>.", last]
    if answer in ([2], [4]):
        return [
            "that is one of its rows. The word has fallen into several pieces, and each has a row.",
            last,
        ]
    if set(answer) > {2, 3, 4}:
        return [
            "those rows hold other words as well: a piece such as a</w> is in zebra "
            "by its letters only.",
            last,
        ]
    if answer != [2, 3, 4]:
        return ["which pieces make up zebra? Count their rows from START, which has row 0.", last]
    if rows("a") == [1]:
        return ["right for zebra. But the word a is there twice: give the rows of both.", last]
    if rows("a") != [1, 6]:
        return ["right for zebra, but not for a, which stands in rows 1 and 6.", last]
    if rows("cat") != []:
        return [
            "right so far. But there is no cat here, only a polecat: compare whole words.",
            last,
        ]
    return None


@exercise("06.2")
def _causal_attention(causal_attention):
    """causal_attention(q, k, v), each (L, D): attention in which no token sees a later one."""
    q, k, v = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(6))
    answer = torch.as_tensor(answer_of(causal_attention, q.clone(), k.clone(), v.clone()))
    scores = q @ k.T / 2
    back = torch.ones(5, 5).tril().bool()  # token i may attend to tokens 0 to i
    wanted = scores.masked_fill(~back, -torch.inf).softmax(1) @ v
    last = "scores.masked_fill(~torch.ones(L, L).tril().bool(), -torch.inf), then the softmax."
    mistakes = (
        (scores.softmax(1) @ v, "that is attention without the mask: every row sees all rows."),
        (
            scores.masked_fill(~back.T, -torch.inf).softmax(1) @ v,
            "the other way: these rows look ahead only. Row i may look at columns 0 to i.",
        ),
        (
            (scores * back).softmax(1) @ v,
            "a score of 0 still gets weight, for exp(0) = 1. Which score gets none?",
        ),
        (
            (scores.softmax(1) * back) @ v,
            "the weights of a row no longer add up to 1. Mask the scores, before the softmax.",
        ),
        (
            scores.masked_fill(~back, -torch.inf).softmax(0) @ v,
            "the softmax runs over the wrong axis: the weights of one row add up to 1.",
        ),
        (
            scores.masked_fill(~torch.ones(5, 5).tril(1).bool(), -torch.inf).softmax(1) @ v,
            "one column too many: row i may look at itself, but not at row i + 1.",
        ),
        (
            scores.tril() @ v,
            "the mask is right, but those are scores. Take the softmax before they meet v.",
        ),
        (
            scores.masked_fill(~back, -torch.inf).softmax(1),
            "those are the weights. Mix the rows of v with them.",
        ),
        (
            (scores * (4 / 5) ** 0.5).masked_fill(~back, -torch.inf).softmax(1) @ v,
            "the mask is right. Divide by the root of D, the length of a row, not of L.",
        ),
        (
            (q @ k.T).masked_fill(~back, -torch.inf).softmax(1) @ v,
            "the mask is right. Missing is the division by the root of D.",
        ),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer.shape != wanted.shape:
        return [f"the answer has shape {tuple(answer.shape)}, v has {tuple(v.shape)}.", last]
    if answer.isnan().any():
        return [
            "there are rows of nan: they may look nowhere, or what is hidden "
            "is not minus infinity. Let each row see itself and those before.",
            last,
        ]
    if not torch.allclose(answer, wanted, atol=1e-5):
        return [
            "set the scores of all later rows to minus infinity, and leave the rest as "
            "in attention.",
            last,
        ]
    return None


@exercise("06.3")
def _classify(classify):
    """classify(pictures (N, D), captions (K, D)): (N,) index of the caption of largest cosine."""
    captions = torch.tensor([[1.0, 0.0, 0.2], [5.0, 5.0, 5.0], [0.0, 0.1, 0.1]])
    pictures = torch.tensor([[9.0, 1.0, 2.0], [0.1, 0.3, 0.3], [2.0, 2.0, 1.9], [0.2, 0.1, 0.0]])
    answer = np.asarray(answer_of(classify, pictures.clone(), captions.clone()), dtype=float)
    cosine = torch.nn.functional.cosine_similarity(pictures[:, None], captions, dim=-1)
    dots = pictures @ captions.T
    last = "F.normalize both (dim=-1), pictures @ captions.T, then argmax over captions, dim=1."
    mistakes = (
        (
            dots.argmax(1),
            "a caption with a long vector wins everywhere. The cosine leaves the length out.",
        ),
        (cosine.argmin(1), "those fit worst."),
        (
            cosine.argmax(0),
            "that is the best picture for each caption. Wanted is the best caption "
            "for each picture.",
        ),
        (cosine.max(1).values, "that is how well the best one fits. Wanted is its number."),
        (
            torch.stack([*cosine.max(1)]),
            "max gives two things, how well and which. Wanted is the second.",
        ),
        (cosine.argmax(1) + 1, "captions are numbered from 0."),
        (cosine, "those are all the cosines. Which caption has the largest?"),
        (
            torch.cdist(pictures, captions).argmin(1),
            "distance depends on the length of the vectors, the cosine does not.",
        ),
    )
    if np.array_equal(answer, cosine.argmax(1)):
        return None
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer.shape != (len(pictures),):
        return [
            f"the answer has shape {answer.shape}: wanted is one number for each "
            f"of the {len(pictures)} pictures.",
            last,
        ]
    return ["cosine of each picture with each caption; the number of the largest, from 0.", last]
