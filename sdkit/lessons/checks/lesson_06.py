"""Checkers of lesson 06, the text encoder."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


def _rows_of_word(pieces: list[str], word: str) -> list[int]:
    rows, letters, mine = [], "", []
    for row, piece in enumerate(pieces, 1):
        letters, mine = letters + piece.removesuffix("</w>"), [*mine, row]
        if piece.endswith("</w>"):
            rows += mine if letters == word else []
            letters, mine = "", []
    return rows


@exercise("06.1")
def _rows_of(rows_of: Callable) -> Hints:
    """rows_of(pieces, word): the positions of a word's tokens; position 0 is the start token."""
    pieces = ["a</w>", "pole", "cat</w>", "and</w>", "a</w>", "z", "eb", "ra</w>", "too</w>"]
    last = (
        "go through the pieces, and collect rows and letters until a piece ends in </w>. "
        "Then compare the letters with the word, and begin a new collection."
    )

    def rows(word: str, pieces: list[str] = pieces) -> list[Any]:
        answer = answer_of(rows_of, list(pieces), word)
        if isinstance(answer, str) or not np.iterable(answer) or any(map(np.ndim, answer)):
            raise TypeError("give one flat list of row numbers for each word")
        return [row if isinstance(row, str) else int(row) for row in answer]

    answer = rows("zebra")
    if any(isinstance(row, str) and not row.isdigit() for row in answer):
        return ["those are pieces. Give the numbers of their rows.", last]
    if any(isinstance(row, str) for row in answer):
        return ["those are texts. Give whole numbers, without quotes.", last]
    mistakes = (
        ([5, 6, 7], "one row too early: which row belongs to START?"),
        ([7, 8, 9], "one row too late: START has row 0, the first piece has the next one."),
        ([6], "that is the first of its rows. Each piece of the word has a row."),
        ([8], "that is the last of its rows. Each piece of the word has a row."),
        ([6, 7], "its last piece, the one with </w>, belongs to the word as well."),
        ([6, 8], "those are its first and its last row. What about the ones between?"),
        ([6, 9], "that looks like a start and an end. Give all rows of the word."),
        ([5], "that counts words. A row belongs to each piece."),
        ([4], "that counts words. A row belongs to each piece."),
        ([6, 7, 8, 9], "one row too many: the word ends at the piece with </w>."),
        ([0, 6, 7, 8], "row 0 belongs to START, not to the word."),
        (
            [1, 2, 3, 4, 5, 6, 7, 8],
            "those are all rows so far. After each </w> a new word begins, with no rows yet.",
        ),
        (
            [1, 5, 6, 7, 8],
            "a piece such as a</w> has letters of zebra, but it is another word. "
            "Put the pieces of a word together, then compare.",
        ),
    )
    for wrong, hint in mistakes:
        if answer == wrong:
            return [hint, last]
    if answer == [] and rows("a") == [1]:
        return ["only the first word is found: do the letters begin again after each </w>?", last]
    if answer == []:
        return [
            "zebra is not found. It has fallen into several pieces, and only the last one "
            "ends in </w>.",
            last,
        ]
    if sorted(answer) == [6, 7, 8] != answer:
        return ["those are the rows. Give them as a list, from the first to the last.", last]
    if answer != [6, 7, 8]:
        return [
            "which pieces make up zebra? Count their rows on paper, START is row 0.",
            last,
        ]
    if len(rows("a")) == 1:
        return ["right for zebra. But the word a is there twice: give the rows of both.", last]
    if rows("a") != [1, 5]:
        return ["right for zebra, but not for a, which is one piece and comes twice.", last]
    if rows("cat") != [] or rows("pole") != []:
        return [
            "right so far. But there is no cat and no pole here, only a polecat: "
            "compare whole words.",
            last,
        ]
    other = ["the</w>", "yel", "low</w>", "snow</w>", "by</w>", "yel", "low</w>", "low", "er</w>"]
    for word in ("yellow", "snow"):
        if rows(word, other) == []:
            return [
                f"right for the first sentence, but {word} is not found in another one. "
                'Does something like strip("</w>") eat its last w? It removes single letters.',
                last,
            ]
    for word in ("yellow", "snow", "lower", "low"):
        if rows(word, other) != _rows_of_word(other, word):
            return [
                f"right for the first sentence, but not for {word} in {' '.join(other)}.",
                last,
            ]
    return None


Change = Callable[[torch.Tensor], torch.Tensor]  # of scores or weights (L, L)


def _attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    before: Change = lambda scores: scores,
    after: Change = lambda weights: weights,
    dim: int = 1,
) -> torch.Tensor:
    """Attention, with functions that change its scores and its weights."""
    return after(before(q @ k.T / q.shape[-1] ** 0.5).softmax(dim)) @ v


@exercise("06.2")
def _causal_attention(causal_attention: Callable) -> Hints:
    """causal_attention(q, k, v), each (L, D): attention in which no token sees a later one."""
    q, k, v = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(6))

    def answer_for(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(answer_of(causal_attention, q.clone(), k.clone(), v.clone()))

    def mask(scores: torch.Tensor, reach: int = 0) -> torch.Tensor:  # row i looks at 0 to i + reach
        see = torch.ones_like(scores).tril(reach).bool()
        return scores.masked_fill(~see, -torch.inf)

    answer, wanted = answer_for(q, k, v), _attention(q, k, v, mask)
    last = (
        "three steps: the scores as in attention; minus infinity wherever the column is larger "
        "than the row; then the softmax of each row, and the mix of v."
    )
    mistakes = (
        (_attention(q, k, v), "that is attention without the mask: every row sees all rows."),
        (
            _attention(q, k, v, lambda scores: mask(scores.T).T),
            "the other way: these rows look ahead only. Row i may look at columns 0 to i.",
        ),
        (
            _attention(q, k, v, torch.tril),
            "a score of 0 still gets weight, because exp(0) = 1. Which score gets none?",
        ),
        (
            _attention(q, k, v, after=torch.tril),
            "the weights of a row no longer add up to 1. Mask the scores, before the softmax.",
        ),
        (
            _attention(q, k, v, mask, dim=0),
            "the softmax runs over the wrong axis: the weights of one row add up to 1.",
        ),
        (
            _attention(q, k, v, lambda scores: mask(scores, 1)),
            "one column too many: row i may look at itself, but not at row i + 1.",
        ),
        (
            (q @ k.T / 2).tril() @ v,
            "the mask is right, but those are scores. Take the softmax before they meet v.",
        ),
        (
            _attention(q, k, torch.eye(5), mask),
            "those are the weights. Mix the rows of v with them.",
        ),
        (
            _attention(q, k, v, lambda scores: mask(scores * (4 / 5) ** 0.5)),
            "the mask is right. Divide by the root of D, the length of a row, not of L.",
        ),
        (
            _attention(2 * q, k, v, mask),
            "the mask is right. One division of attention is missing.",
        ),
        (
            _attention(q / 2, k, v, mask),
            "the mask is right. The scores are divided by D, not by its root.",
        ),
        (
            _attention(k, q, v, mask),
            "the mask is right, but q and k are exchanged: row i asks with its query.",
        ),
        (_attention(q, k, k, mask), "the weights are right. They mix the rows of v, not of k."),
        (
            _attention(q, k, v, mask, torch.t),
            "the weights are right, then they are turned over: row i is mixed by row i of them.",
        ),
        (
            torch.stack([v[: i + 1].mean(0) for i in range(5)]),
            "that is the plain mean of the rows so far. How well do query and key fit?",
        ),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer.shape != wanted.shape:
        return [f"the answer has shape {tuple(answer.shape)}, v has {tuple(v.shape)}.", last]
    if answer[0].isnan().any() and not answer[1:].isnan().any():
        return [
            "row 0 is nan: it may look nowhere, not even at itself. Every row sees itself.",
            last,
        ]
    if answer.isnan().any():
        return [
            "there are rows of nan. Hide a score by minus infinity, and let each row see itself.",
            last,
        ]
    if not torch.allclose(answer, wanted, atol=1e-5):
        return [
            "change only the scores that row i must not see, and leave the rest as in attention.",
            last,
        ]
    for size in ((7, 4), (5, 9), (2, 1)):
        q, k, v = torch.randn(3, *size, generator=torch.Generator().manual_seed(7))
        answer, wanted = answer_for(q, k, v), _attention(q, k, v, mask)
        if answer.shape != wanted.shape or not torch.allclose(answer, wanted, atol=1e-5):
            return [
                f"right for 5 rows of 4 numbers, but not for {size[0]} of {size[1]}: "
                "take the sizes from q.",
                last,
            ]
    return None


@exercise("06.3")
def _classify(classify: Callable) -> Hints:
    """classify(pictures (N, D), captions (K, D)): (N,) index of the caption of largest cosine."""
    # Chosen so that each mistake below gives other numbers.
    captions = torch.tensor(
        [[2.0, 4.0, 1.0], [0.6, -0.6, 1.2], [-3.0, -1.0, 3.0], [-2.0, 8.0, -10.0], [0.0, -2.0, 0.5]]
    )
    pictures = torch.tensor(
        [
            [5.0, -4.0, 3.0],
            [-3.0, 2.0, -2.0],
            [1.0, 5.0, 1.0],
            [-3.0, 5.0, -1.0],
            [-5.0, -4.0, 5.0],
            [0.0, -5.0, -4.0],
        ]
    )
    answer = np.asarray(answer_of(classify, pictures.clone(), captions.clone()), dtype=float)
    cosine = F.cosine_similarity(pictures[:, None], captions, dim=-1)
    dots = pictures @ captions.T
    last = (
        "a product of two vectors of length 1 is their cosine. So make all vectors equally long, "
        "multiply each picture with each caption, and ask argmax for the best column of each row."
    )
    mistakes = (
        (
            dots.argmax(1),
            "a caption with a long vector wins too often. The cosine leaves the length out.",
        ),
        (
            (F.normalize(pictures, dim=0) @ F.normalize(captions, dim=0).T).argmax(1),
            "the lengths are made equal along the wrong axis: a vector is a row, dim=-1.",
        ),
        (
            (pictures @ F.normalize(captions, p=1, dim=-1).T).argmax(1),
            "the length of a vector is the root of the sum of squares, not the sum of the sizes.",
        ),
        (
            (pictures @ (captions / captions.square().sum(1, keepdim=True)).T).argmax(1),
            "divide by the length of each vector, not by the square of the length.",
        ),
        (cosine.argmin(1), "those fit worst."),
        (
            cosine.abs().argmax(1),
            "a cosine of -1 is the opposite, not a good fit. Leave the sign.",
        ),
        (
            cosine.argmax(0),
            "that is the best picture for each caption. Give the best caption for each picture.",
        ),
        (
            dots.argmax(0),
            "that is the best picture for each caption. Give the best caption for each picture.",
        ),
        (cosine.max(1).values, "that is how well the best one fits. Give its number."),
        (
            torch.stack([*cosine.max(1)]),
            "max gives two things, how well and which. Give the second.",
        ),
        (cosine.argmax(1) + 1, "captions are numbered from 0."),
        (cosine, "those are all the cosines. Which caption has the largest?"),
        (dots, "those are all the products. Make cosines of them. Which caption has the largest?"),
        (
            cosine.argsort(1, descending=True),
            "those are all captions in order. Give the first of each row.",
        ),
        (
            F.one_hot(cosine.argmax(1), len(captions)),
            "that marks the best one in a table. Give its number.",
        ),
        (
            cosine.argmax(),
            "that is the one best place of the whole table. Ask for each row of it (dim=1).",
        ),
        (
            torch.cdist(pictures, captions).argmin(1),
            "distance depends on the length of the vectors, the cosine does not.",
        ),
    )
    if not np.array_equal(answer, cosine.argmax(1)):
        if hints := match_mistake(answer, mistakes, last):
            return hints
        if answer.shape != (len(pictures),):
            return [
                f"the answer has shape {answer.shape}: give one number for each "
                f"of the {len(pictures)} pictures.",
                last,
            ]
        return [
            "cosine of each picture with each caption; the number of the largest, from 0.",
            last,
        ]
    generator = torch.Generator().manual_seed(3)
    pictures, captions = (torch.randn(n, 7, generator=generator) for n in (3, 9))
    answer = np.asarray(answer_of(classify, pictures.clone(), captions.clone()), dtype=float)
    wanted = F.cosine_similarity(pictures[:, None], captions, dim=-1).argmax(1)
    if not np.array_equal(answer, wanted):
        return [
            "right for 6 pictures and 5 captions, but not for 3 and 9: use both arguments.",
            last,
        ]
    # Divided by its largest entry, the second caption would win.
    picture, captions = torch.tensor([[1.0, 0.2, 0.2, 0.2]]), torch.ones(2, 4)
    captions[0, 1:], captions[1, 1:] = 0.0, 0.9
    if not np.array_equal(np.asarray(answer_of(classify, picture, captions), dtype=float), [0]):
        return [
            "the length of a vector is the root of the sum of squares, not its largest entry.",
            last,
        ]
    return None
