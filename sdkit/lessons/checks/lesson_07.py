"""Checkers of lesson 07, the UNet."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


def _meet_of_another_size(meet: Callable, last: str) -> Hints:
    deep, skip = torch.arange(30.0).reshape(1, 2, 3, 5), -torch.arange(300.0).reshape(1, 5, 6, 10)
    hint = (
        "right for 4 x 4 places and 3 channels each, but not for 2 channels of 3 x 5 places "
        "that meet 5 channels of 6 x 10: take the sizes from deep and skip."
    )
    try:
        answer = torch.as_tensor(answer_of(meet, deep.clone(), skip.clone()))
    except (RuntimeError, IndexError):
        return [hint, last]
    wanted = torch.cat([F.interpolate(deep, scale_factor=2.0), skip], 1)
    right = answer.shape == wanted.shape and torch.allclose(answer.to(wanted), wanted)
    return None if right else [hint, last]


@exercise("07.1")
def _meet(meet: Callable) -> Hints:
    """meet(deep, skip): the input of an up block, (B, C + D, 2h, 2w).

    deep has shape (B, C, h, w), skip has shape (B, D, 2h, 2w).
    """
    last = (
        "two steps: F.interpolate makes deep twice as high and wide (nearest is its usual mode). "
        "Then torch.cat joins it with skip along the axis of the channels, which is axis 1."
    )
    generator = torch.Generator().manual_seed(7)
    deep, skip = (
        torch.randn(2, 3, 4, 4, generator=generator),
        torch.randn(2, 3, 8, 8, generator=generator),
    )
    try:
        answer = torch.as_tensor(answer_of(meet, deep.clone(), skip.clone()))
    except RuntimeError as error:
        if "must match" not in str(error):
            raise
        return [
            "as they are they do not fit together, 4 x 4 and 8 x 8 places. "
            "Enlarge deep first, in both directions.",
            last,
        ]
    larger = F.interpolate(deep, scale_factor=2.0, mode="nearest")
    mistakes = (
        (
            larger + skip,
            "those are added, and then nobody can take them apart again. "
            "Put the channels side by side.",
        ),
        (
            torch.cat([skip, larger], 1),
            "the other order: what comes from below is first, then the skip.",
        ),
        (
            torch.cat([larger, skip], 3),
            "side by side as pictures. Make more channels, at the same places.",
        ),
        (
            torch.cat([larger, skip], 2),
            "one above the other as pictures. Make more channels, the places stay.",
        ),
        (
            torch.cat([larger, skip], 0),
            "that makes a larger batch. Make more channels for each picture.",
        ),
        (
            torch.cat([deep, skip[:, :, ::2, ::2]], 1),
            "the fine one was made smaller. Make the coarse one larger.",
        ),
        (
            torch.cat([deep, F.avg_pool2d(skip, 2)], 1),
            "the fine one was made smaller. Make the coarse one larger.",
        ),
        (
            torch.cat([deep.repeat(1, 1, 2, 2), skip], 1),
            "that lays four copies of the coarse picture beside each other. "
            "Each of its places becomes 2 x 2 places.",
        ),
        (
            torch.cat([F.interpolate(deep, scale_factor=2.0, mode="bilinear"), skip], 1),
            "right but for the enlarging: repeat each value 2 x 2 times (nearest), "
            "without blending neighbours.",
        ),
        (
            (larger + skip) / 2,
            "their mean, and then nobody can take them apart again. Put the channels side by side.",
        ),
        (
            larger * skip,
            "those are multiplied, and then nobody can take them apart again. "
            "Put the channels side by side.",
        ),
        (
            torch.cat([F.interpolate(deep, scale_factor=2.0, mode="bicubic"), skip], 1),
            "right but for the enlarging: repeat each value 2 x 2 times (nearest), "
            "without blending neighbours.",
        ),
        (
            torch.cat([larger.transpose(2, 3), skip], 1),
            "the skip is right. In deep, rows and columns of the picture are exchanged.",
        ),
        (
            torch.stack([larger, skip], 2).flatten(1, 2),
            "the channels of both take turns. Put all of deep first, then all of skip.",
        ),
        (skip, "the skip alone. Where is what comes from below?"),
        (larger, "the coarse one alone. Where is the skip?"),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    wanted = torch.cat([larger, skip], 1)
    if answer.shape != wanted.shape:
        return [
            f"the shape is {tuple(answer.shape)}, not {tuple(wanted.shape)}: "
            "all channels of both, as large as the skip.",
            last,
        ]
    if torch.allclose(answer.to(wanted), wanted, atol=1e-5):
        return _meet_of_another_size(meet, last)
    if torch.allclose(answer[:, 3:].to(skip), skip, atol=1e-5):
        return [
            "the skip is right. Of deep, each value should be repeated 2 x 2 times, nothing else.",
            last,
        ]
    return [
        "the shape is right, the values are not: enlarge deep, then put skip's channels after it.",
        last,
    ]


def _mean_map(layers: list[torch.Tensor], rows: list[int], side: int) -> torch.Tensor:
    maps = []
    for weights in layers:
        small = round(weights.shape[1] ** 0.5)
        one = weights.mean(0)[:, rows].sum(1).reshape(small, small)
        maps.append(one.repeat_interleave(side // small, 0).repeat_interleave(side // small, 1))
    return torch.stack(maps).mean(0)


@exercise("07.2")
def _phrase_map(phrase_map: Callable) -> Hints:
    """phrase_map(layers, rows, side): weights (heads, h w, L) of some layers to one map.

    The map (side, side) is the mean over layers and heads, summed over the phrase's tokens.
    """
    generator = torch.Generator().manual_seed(8)
    layers = [torch.randn(2, n * n, 6, generator=generator).mul(2).softmax(-1) for n in (2, 4, 8)]
    rows = [2, 3]
    answer = torch.as_tensor(
        answer_of(phrase_map, [layer.clone() for layer in layers], list(rows), 8)
    )
    wanted = _mean_map(layers, rows, 8)
    turned = [
        layer.unflatten(1, (n, n)).transpose(1, 2).flatten(1, 2)
        for n, layer in zip((2, 4, 8), layers)
    ]
    last = (
        "write down the shape after each operation. One layer: (heads, h w, L), then (h w, L), "
        "then (h w), then (h, w), then (side, side). The mean of the layers comes last."
    )
    mistakes = (
        (wanted * len(layers), "the layers are added up. Give their mean."),
        (
            _mean_map(layers, rows[:1], 8),
            "that is the first of the rows only. A phrase may take several.",
        ),
        (
            _mean_map(layers, rows[1:], 8),
            "that is the last of the rows only. A phrase may take several.",
        ),
        (
            wanted / len(rows),
            "that is the mean of the rows. A phrase gets what all its rows get together.",
        ),
        (wanted * layers[0].shape[0], "the heads are added up. Give their mean."),
        (
            _mean_map([layer[:1] for layer in layers], rows, 8),
            "that is the first head alone. Take the mean of all.",
        ),
        (
            _mean_map([layer[-1:] for layer in layers], rows, 8),
            "that is the last head alone. Take the mean of all.",
        ),
        (
            _mean_map(layers[-1:], rows, 8),
            "that is the finest layer alone. The coarse ones count as well, enlarged.",
        ),
        (_mean_map(layers[:1], rows, 8), "that is the first layer alone. Take the mean of all."),
        (
            _mean_map([layer.amax(0, keepdim=True) for layer in layers], rows, 8),
            "of the heads that takes the largest. Give their mean.",
        ),
        (
            _mean_map(layers, [row + 1 for row in rows], 8),
            "one row too late: rows are as given, START is counted.",
        ),
        (_mean_map(turned, rows, 8), "rows and columns of the picture are swapped."),
        (
            _mean_map(layers, list(range(6)), 8),
            "that is the sum over all rows of text, which is 1 everywhere. Take the phrase's rows.",
        ),
        (
            wanted / wanted.max(),
            "that is stretched so that its largest value is 1. Leave the weights as they are.",
        ),
        (
            wanted / wanted.sum(),
            "that is divided by its sum. Leave the weights as they are.",
        ),
        (
            (wanted - wanted.min()) / (wanted.max() - wanted.min()),
            "that is stretched to 0 to 1. Leave the weights as they are.",
        ),
        (
            torch.stack([_mean_map([layer], rows, 8) for layer in layers]).amax(0),
            "of the layers that takes the largest. Give their mean.",
        ),
        (
            torch.stack([_mean_map(layers, [row], 8) for row in rows]).amax(0),
            "of the rows that takes the largest. A phrase gets what all its rows get together.",
        ),
        (
            torch.stack(
                [
                    layer.mean(0)[:, rows].sum(1).reshape(n, n).repeat(8 // n, 8 // n)
                    for n, layer in zip((2, 4, 8), layers)
                ]
            ).mean(0),
            "that lays copies of a small map side by side. Each of its values becomes a block.",
        ),
        (
            _mean_map([layer.softmax(-1) for layer in layers], rows, 8),
            "the softmax is done already: those are weights, not scores.",
        ),
        (
            _mean_map(layers[1:], rows, 8),
            "the first layer is missing. Take the mean of all of them.",
        ),
        (
            _mean_map(layers[:-1], rows, 8),
            "the last layer is missing. Take the mean of all of them.",
        ),
        (
            (
                _mean_map(layers[:1], rows, 8)
                + 4 * _mean_map(layers[1:2], rows, 8)
                + 16 * _mean_map(layers[2:], rows, 8)
            )
            / 21,
            "the finer layers count more than the coarse ones. Enlarge first, then take the mean.",
        ),
        (
            _mean_map(layers, [row - 1 for row in rows], 8),
            "one row too early: row 0 is START's, rows are as given.",
        ),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer.shape != wanted.shape:
        return [
            f"the shape is {tuple(answer.shape)}, not one map of {tuple(wanted.shape)}.",
            last,
        ]
    if not torch.allclose(answer, wanted, atol=1e-5):
        return [
            "bring each layer to side x side by repeating its values, "
            "and only then take the mean of the layers.",
            last,
        ]
    layers = [torch.randn(3, n * n, 9, generator=generator).softmax(-1) for n in (3, 6)]
    for rows, side in (([1, 4, 5], 12), ([7], 6)):
        answer = torch.as_tensor(
            answer_of(phrase_map, [layer.clone() for layer in layers], list(rows), side)
        )
        wanted = _mean_map(layers, rows, side)
        if answer.shape != wanted.shape or not torch.allclose(answer, wanted, atol=1e-5):
            return [
                f"right for three layers and rows 2 and 3, but not for two layers, rows {rows} "
                f"and side {side}: use all three arguments. Rows need not be neighbours.",
                last,
            ]
    return None


@exercise("07.3")
def _loss_by_level(loss_by_level: Callable) -> Hints:
    """loss_by_level(predicted, noise, t, edges): the mean squared error in K bins of timesteps.

    predicted and noise are (B, C, h, w), t is (B,), edges (K + 1,); the answer is (K,).
    """
    generator = torch.Generator().manual_seed(9)
    predicted, noise = torch.randn(2, 9, 2, 3, 3, generator=generator)
    t = torch.tensor([999, 0, 250, 10, 499, 500, 750, 900, 100])
    predicted = noise + predicted * (1.2 - t[:, None, None, None] / 1000)
    last = (
        "two steps: the mean squared error of each picture, (B,). Then, for each pair of "
        "neighbouring edges, the mean of those pictures whose t lies between them."
    )
    try:
        answer = answer_of(
            loss_by_level, predicted.clone(), noise.clone(), t.clone(), [0, 250, 500, 1000]
        )
    except RuntimeError as error:
        if "ambiguous" not in str(error):
            raise
        return [
            "`and` wants single values. For whole tensors use &, with each comparison in brackets.",
            last,
        ]
    answer = torch.as_tensor(answer)
    each = (predicted - noise).square().mean((1, 2, 3))

    def bins(
        values: torch.Tensor,
        inside: Callable = lambda t, low, high: (t >= low) & (t < high),
        reduce: Callable = torch.mean,
    ) -> torch.Tensor:
        return torch.stack(
            [
                reduce(values[inside(t, low, high)])
                for low, high in ((0, 250), (250, 500), (500, 1000))
            ]
        )

    wanted, sums = bins(each), bins(each, reduce=torch.sum)
    absolute = bins((predicted - noise).abs().mean((1, 2, 3)))
    upper = bins(each, lambda t, low, high: (t > low) & (t <= high))
    inner = bins(each, lambda t, low, high: (t > low) & (t < high))
    both = bins(each, lambda t, low, high: (t >= low) & (t <= high))
    below = bins(each, lambda t, low, high: t < high)
    above = bins(each, lambda t, low, high: t >= low)
    tight = bins(each, lambda t, low, high: t >= low & (t < high))
    mistakes = (
        (
            sums,
            "those are sums, and a bin with more pictures gets more. Take the mean of each bin.",
        ),
        (sums / len(t), "divided by all pictures. Each bin has its own number of them."),
        (wanted.sqrt(), "those are roots. The loss is the mean of the squares."),
        (wanted * noise[0].numel(), "summed over channels and places. Take their mean."),
        (absolute, "that is the mean of the absolute errors. The loss squares them."),
        (upper, "a bin begins with its lower edge and ends before its upper one: low <= t < high."),
        (inner, "the lower edge belongs to its bin: low <= t < high."),
        (both, "an upper edge belongs to the next bin only: low <= t < high."),
        (
            below,
            "those are all below the upper edge. A bin has a lower edge, too: low <= t < high.",
        ),
        (
            above,
            "those are all from the lower edge on. A bin has an upper edge, too: low <= t < high.",
        ),
        (wanted / 2, "that is half of it. The loss is the mean of the squares."),
        (
            bins(each, reduce=torch.amax),
            "that is the largest loss of each bin. Give the mean.",
        ),
        (
            tight,
            "Python reads & before >=. Put each comparison into brackets.",
        ),
        (each, "those are the losses of single pictures. Put them into the bins."),
        (each.mean(), "that is one loss for all. Give one for each bin of timesteps."),
        (wanted.flip(0), "the order of the bins: as in edges, from little noise to much."),
        (
            bins((predicted - noise).mean((1, 2, 3)).square()),
            "that squares the mean of the errors, in which + and - cancel. Square first.",
        ),
        (
            bins(predicted.square().mean((1, 2, 3))),
            "that is the size of the prediction. Its error is the difference to the noise.",
        ),
        (
            torch.stack([part.mean() for part in each.chunk(3)]),
            "those are the pictures in the order of the batch. The timestep t says which bin.",
        ),
        (
            torch.stack([part.mean() for part in each[t.argsort()].chunk(3)]),
            "those are bins of as many pictures each. The edges say where a bin ends.",
        ),
        (wanted / wanted.sum(), "those are shares of the loss. Leave the means as they are."),
        (
            wanted * torch.bincount(torch.tensor([0] * 4 + [1] * 2 + [2] * 3)) / 9,
            "divided by all pictures. Each bin has its own number of them.",
        ),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if np.shape(answer) != (3,):
        return [
            f"the shape is {tuple(np.shape(answer))}. With 4 edges there are 3 bins: (3,).",
            last,
        ]
    if not torch.allclose(answer.to(wanted), wanted, atol=1e-5):
        return [
            "square the error, take the mean of each picture, then the mean over the pictures "
            "of each bin.",
            last,
        ]
    predicted, noise = torch.randn(2, 5, 4, 2, 6, generator=generator)
    t, edges = torch.tensor([3, 40, 22, 39, 60]), [0, 20, 39, 50, 61]
    wanted = (predicted - noise).square().mean((1, 2, 3))[[0, 2, 1, 4]]
    wanted[2] = (predicted - noise)[[1, 3]].square().mean()
    answer = torch.as_tensor(
        answer_of(loss_by_level, predicted.clone(), noise.clone(), t.clone(), list(edges))
    )
    if answer.shape != wanted.shape or not torch.allclose(answer.to(wanted), wanted, atol=1e-5):
        return [
            f"right for the edges 0, 250, 500 and 1000, but not for {edges} and pictures of "
            "4 channels: use all four arguments.",
            last,
        ]
    return None
