"""Checkers: right, wrong, strange and missing answers each get a sentence, never a traceback."""

import math

import numpy as np
import pytest
import torch

from sdkit import checks, metrics, schedule
from sdkit.lessons.checks.lesson_00 import JOBS


@pytest.fixture(autouse=True)
def fresh_session():
    checks._tries.clear()
    checks._guesses.clear()
    checks._right.clear()


def say(capsys, *arguments):
    assert checks.check(*arguments) is None  # else a notebook would show it
    return capsys.readouterr().out.strip()


def right_pick(strengths, content, style, floor):
    return max((score, s) for s, kept, score in zip(strengths, content, style) if kept >= floor)[1]


def best_of_allowed(content, style, floor):
    """The place of the best style in the list of the allowed ones alone."""
    allowed = [score for kept, score in zip(content, style) if kept >= floor]
    return allowed.index(max(allowed))


def stops_at_the_first_failure(strengths, content, style, floor):
    best = None
    for strength, kept, score in zip(strengths, content, style):
        if kept < floor:
            break
        best = max(best or (0, 0), (score, strength))
    return best[1]


def right_covered(x, centres, sigma):
    distance, nearest = torch.cdist(x, centres).min(1)
    return len(nearest[distance <= 3 * sigma].unique())


def right_shift(abar, size, base=64):
    snr = abar / (1 - abar) * (base / size) ** 2
    return snr / (1 + snr)


def right_dreambooth(errors, known, weight):
    new, old = errors[~known], errors[known]
    return (new.mean() if len(new) else 0) + weight * (old.mean() if len(old) else 0)


def right_paste(target, source, top, left, side, f=4):
    result = target.clone()
    rows, columns = slice(top // f, (top + side) // f), slice(left // f, (left + side) // f)
    result[:, :, rows, columns] = source[:, :, rows, columns]
    return result


def paste_in_place(target, source, top, left, side, f=4):
    target[:] = right_paste(target, source, top, left, side, f)
    return target


def paste_whole_side(target, source, top, left, side, f=4):
    result = target.clone()
    rows, columns = slice(top // f, top // f + side), slice(left // f, left // f + side)
    result[:, :, rows, columns] = source[:, :, rows, columns]
    return result


def paste_first_picture(target, source, top, left, side, f=4):
    return torch.cat([right_paste(target, source, top, left, side, f)[:1], target[1:]])


def right_heun(eps, x, sigma, sigma_next):
    first = eps(x, sigma)
    second = eps(x + (sigma_next - sigma) * first, sigma_next)
    return x + (sigma_next - sigma) * (first + second) / 2


def right_rows(pieces, word):
    ends = [row for row, piece in enumerate(pieces, 1) if piece.endswith("</w>")]
    starts = [1, *(end + 1 for end in ends[:-1])]
    return [
        row
        for start, end in zip(starts, ends)
        if "".join(pieces[start - 1 : end]) == word + "</w>"
        for row in range(start, end + 1)
    ]


def masked(q, k, v, before=lambda scores: scores, after=lambda weights: weights, axis=1):
    """Attention, with functions that change its scores and its weights."""
    return after(before(q @ k.T / q.shape[-1] ** 0.5).softmax(axis)) @ v


def back(scores, diagonal=0, hidden=-torch.inf):
    return scores.masked_fill(torch.ones_like(scores).triu(1 + diagonal).bool(), hidden)


def cosines(pictures, captions):
    return torch.nn.functional.cosine_similarity(pictures[:, None], captions, dim=-1)


def scaled(x, dim=-1, p=2):
    return torch.nn.functional.normalize(x, dim=dim, p=p)


def naive_rows(pieces, word):
    """Only words of one piece are found."""
    return [row for row, piece in enumerate(pieces, 1) if piece == word + "</w>"]


def rows_without_new_start(pieces, word, keep_letters=False):
    rows, letters, mine = [], "", []
    for row, piece in enumerate(pieces, 1):
        letters, mine = letters + piece.removesuffix("</w>"), [*mine, row]
        if piece.endswith("</w>"):
            rows = rows + mine if letters == word else rows
            letters, mine = (letters, []) if keep_letters else ("", mine)
    return rows


def rows_by_strip(pieces, word):
    return right_rows([p.strip("</w>") + "</w>" * p.endswith("</w>") for p in pieces], word)


def words_not_rows(pieces, word, start=1):
    said = " ".join("".join(pieces).split("</w>")).split()
    return [k for k, one in enumerate(said, start) if one == word]


def right_amplify(uncond, cond, scale):
    return uncond + scale * (cond - uncond)


def by_hand(x):
    return x.repeat_interleave(4, 2).repeat_interleave(4, 3)


def smooth(x):
    return torch.nn.functional.interpolate(x, scale_factor=4, mode="bilinear")


def shrunk(x):
    return x.unflatten(2, (-1, 4)).unflatten(4, (-1, 4)).mean((3, 5))


def right_agree(
    large, small, enlarge=lambda x: torch.nn.functional.interpolate(x, scale_factor=4.0)
):
    return large + enlarge(small - shrunk(large))


def right_unbeaten(points):
    return [k for k, (p, d) in enumerate(points) if not any(q > p and e < d for q, e in points)]


def neighbours_only(points):
    """The points that no neighbour in the list beats."""
    return [
        k
        for k, (p, d) in enumerate(points)
        if not any(q > p and e < d for q, e in points[max(0, k - 2) : k + 2])
    ]


def right_psnr(error, spread, k):
    return -10 * math.log10(error - spread + spread / k)


def right_interval(timesteps, scale, low, high):
    return [scale if low <= t <= high else 1 for t in timesteps]


def right_meet(deep, skip, **how):
    return torch.cat([torch.nn.functional.interpolate(deep, scale_factor=2.0, **how), skip], 1)


def phrase(
    layers,
    rows,
    side,
    heads=lambda x: x.mean(0),
    take=lambda x: x.sum(1),
    layout=lambda x: x,
    how="nearest",
):
    """The attention map of a phrase, with functions that replace its single steps."""
    maps = []
    for weights in layers:
        n = int(weights.shape[1] ** 0.5)
        square = layout(take(heads(weights)[:, rows]).reshape(n, n))
        maps.append(
            torch.nn.functional.interpolate(square[None, None], size=(side, side), mode=how)[0, 0]
        )
    return torch.stack(maps).mean(0)


def half_open(t, low, high):
    return (t >= low) & (t < high)


def right_levels(
    predicted, noise, t, edges, error=torch.square, reduce=torch.mean, inside=half_open
):
    each = error(predicted - noise).mean((1, 2, 3))
    return torch.stack([reduce(each[inside(t, low, high)]) for low, high in zip(edges, edges[1:])])


def wilson_parts(right, count, z=1.96):
    """Share, what is added to it, the root, and what both are divided by."""
    p = right / count
    return (
        p,
        z * z / 2 / count,
        z * (p * (1 - p) / count + z * z / 4 / count**2) ** 0.5,
        1 + z * z / count,
    )


def right_wilson(right, count):
    p, shift, half, below = wilson_parts(right, count)
    return (p + shift - half) / below, (p + shift + half) / below


def wilson_with(right, count, z):
    p, shift, half, below = wilson_parts(right, count, z)
    return (p + shift - half) / below, (p + shift + half) / below


def around(middle, half):
    return middle - half, middle + half


def right_copied(made, own, fresh, take=lambda far: far.amin(1), over=torch.mean):
    return over(((made - own).norm(dim=1) < take((made[:, None] - fresh).norm(dim=2))).float())


def swapped(one, other):
    return {**JOBS, one: JOBS[other], other: JOBS[one]}


def right_z(picture, key, of=np.cos):
    return of(picture - key).sum() / (len(key) / 2) ** 0.5


def right_bend(path):
    return path.diff(dim=0).norm(dim=2).sum(0) / (path[-1] - path[0]).norm(dim=1)


def right_step(z, noise, abar, abar_next):
    x0 = (z - (1 - abar) ** 0.5 * noise) / abar**0.5
    return abar_next**0.5 * x0 + (1 - abar_next) ** 0.5 * noise


def right_mixed(old, new, partner):
    return torch.stack(
        [new[:, j] if k is None else old[:, k] for j, k in enumerate(partner)], dim=1
    )


def mixed_in_place(old, new, partner):
    old[:] = old + 1
    return right_mixed(old, new, partner)


def step_in_place(z, noise, abar, abar_next):
    z[:] = right_step(z, noise, abar, abar_next)
    return z


def right_part(image, truth, where, log=np.log10):
    difference = image.astype(float)[where] - truth[where]
    return 10 * log(255**2 / (difference**2).mean())


EYE5 = torch.ones(5, 5).bool()

# exercises whose answer is a value; the others want a function
NUMBERS = ("00.1", "02.1", "05.1", "09.1", "11.1", "17.3")
RIGHT = {
    "00.1": [JOBS, {job: f" {part.upper()} " for job, part in JOBS.items()}],
    "00.2": [
        lambda width, height, f, channels: width // f * (height // f) * channels,
        lambda width, height, f, channels: width * height * channels / f**2,
    ],
    "01.1": [
        lambda real, fake: -real.log().mean() - (1 - fake).log().mean(),
        lambda real, fake: (
            torch.nn.functional.binary_cross_entropy(real, torch.ones_like(real))
            + torch.nn.functional.binary_cross_entropy(fake, torch.zeros_like(fake))
        ),
    ],
    "01.2": [
        right_covered,
        lambda x, c, s: sum(((x - centre).norm(dim=1) <= 3 * s).any() for centre in c),
    ],
    "01.3": [lambda p, q: p / (p + q), lambda p, q: 1 / (1 + q / p)],
    "02.1": [0.5904, 0.59, torch.tensor(0.5904), "0.5904"],
    "02.2": [
        lambda x_t, noise, abar: (x_t - (1 - abar) ** 0.5 * noise) / abar**0.5,
        lambda x_t, noise, abar: (x_t - np.sqrt(1 - float(abar)) * noise) / np.sqrt(float(abar)),
    ],
    "02.3": [right_shift, lambda abar, size, base: abar / (abar + (1 - abar) * (size / base) ** 2)],
    "04.1": [
        lambda n1, e1, n2, e2: math.log(e1 / e2) / math.log(n2 / n1),
        lambda n1, e1, n2, e2: np.log(e2 / e1) / np.log(n1 / n2),
    ],
    "04.2": [right_heun],
    "04.3": [
        lambda n, T: [round(T - i * T / n) - 1 for i in range(n)],
        lambda n, T: np.round(np.arange(T, 0, -T / n)).astype(int) - 1,
        lambda n, T: torch.arange(n, 0, -1) * T // n - 1,
    ],
    "03.1": [lambda clean, noisy: 1 - noisy / clean, lambda clean, noisy: (clean - noisy) / clean],
    "03.2": [
        lambda x, v, a: a**0.5 * x - (1 - a) ** 0.5 * v,
        lambda x, v, a: np.sqrt(a) * x - np.sqrt(1 - a) * v,
    ],
    "03.3": [
        lambda T: torch.linspace(0.1, 20, T) / T,
        lambda T: np.linspace(1e-4, 20 / T, T),
        lambda T: schedule.cosine(T).betas,
        lambda T: schedule.log_linear(T).betas.tolist(),
    ],
    "05.1": [12, 12.0, "12", torch.tensor(12)],
    "05.2": [right_paste],
    "05.3": [lambda raw: 1 / raw.std(), lambda raw: 1 / float(np.std(raw.numpy()))],
    "06.1": [right_rows, lambda pieces, word: np.array(right_rows(pieces, word))],
    "06.2": [
        lambda q, k, v: masked(q, k, v, back),
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True),
        lambda q, k, v: torch.stack(
            [masked(q[i : i + 1], k[: i + 1], v[: i + 1])[0] for i in range(len(q))]
        ),
        lambda q, k, v: masked(q, k, v, lambda s: back(s, hidden=-1e9)),
        lambda q, k, v: masked(
            q, k, v, after=lambda w: back(w, hidden=0) / back(w, hidden=0).sum(1, keepdim=True)
        ),
    ],
    "06.3": [
        lambda p, c: (p @ torch.nn.functional.normalize(c, dim=-1).T).argmax(1),
        lambda p, c: [int(torch.nn.functional.cosine_similarity(one, c).argmax()) for one in p],
        lambda p, c: torch.cdist(scaled(p), scaled(c)).argmin(1),
    ],
    "07.1": [
        right_meet,
        lambda d, s: torch.cat([d.repeat_interleave(2, 2).repeat_interleave(2, 3), s], 1),
    ],
    "07.2": [
        phrase,
        lambda layers, rows, side: (
            sum(phrase([layer], rows, side) for layer in layers) / len(layers)
        ),
    ],
    "07.3": [right_levels, lambda p, n, t, edges: right_levels(p, n, t, edges).tolist()],
    "09.1": [50, 50.0, torch.tensor(50)],
    "09.2": [
        lambda c, size, f, sigma, g: torch.randn(1, c, size // f, size // f, generator=g) * sigma,
        lambda c, size, f, sigma, g: torch.empty(1, c, size // f, size // f).normal_(
            0, sigma, generator=g
        ),
    ],
    "09.3": [
        lambda a, b, s: a + torch.as_tensor(s).reshape(-1, 1, 1) * (b - a),
        lambda a, b, s: torch.stack([(1 - float(k)) * a[0] + float(k) * b[0] for k in s]),
    ],
    "10.1": [right_agree, lambda large, small: right_agree(large, small, enlarge=by_hand)],
    "10.2": [right_unbeaten, lambda points: np.array(right_unbeaten(points)[::-1])],
    "10.3": [
        right_psnr,
        lambda error, spread, k: torch.tensor(10 * math.log10(1 / (error - spread * (1 - 1 / k)))),
    ],
    "08.1": [
        right_amplify,
        lambda u, c, s: u.add_(s * (c - u)),
        lambda u, c, s: (1 - s) * u + s * c,
        lambda u, c, s: c + (s - 1) * (c - u),
    ],
    "08.2": [
        lambda output, s: right_amplify(*output.chunk(2), s),
        lambda output, s: right_amplify(output[: len(output) // 2], output[len(output) // 2 :], s),
    ],
    "08.3": [
        right_interval,
        lambda ts, s, low, high: np.where((np.array(ts) >= low) & (np.array(ts) <= high), s, 1),
    ],
    "12.1": [
        right_wilson,
        lambda r, n: np.array(right_wilson(r, n)),
        lambda r, n: metrics.wilson(r, n),
    ],
    "12.2": [
        lambda n, f, m, g: (m * g - n * f) / (m - n),
        lambda n, f, m, g: f - (f - g) / (1 / n - 1 / m) / n,
    ],
    "12.3": [
        right_copied,
        lambda made, own, fresh: (
            sum(
                int(torch.cat([o[None], f]).sub(m).square().sum(1).argmin()) == 0
                for m, o, f in zip(made, own, fresh)
            )
            / len(made)
        ),
    ],
    "13.1": [
        lambda W, A, B, s: W + s * B @ A,
        lambda W, A, B, s: torch.addmm(W, B, A, alpha=s),
        lambda W, A, B, s: W + torch.einsum("or,ri->oi", B, A).mul(s),
    ],
    "13.2": [
        right_dreambooth,
        lambda errors, known, weight: (
            errors[~known].sum() / max(1, int((~known).sum()))
            + weight * errors[known].sum() / max(1, int(known.sum()))
        ),
    ],
    "11.1": [10, 10.0, np.int64(10), torch.tensor(10), "10"],
    "11.2": [right_pick],
    "11.3": [
        lambda mask, painted, kept: mask * kept + (1 - mask) * painted,
        lambda mask, painted, kept: painted + mask * (kept - painted),
    ],
    "14.1": [
        lambda x, end, u, u_end: (x - end) / (u - u_end),
        lambda x, end, u, u_end: ((end - x) / (u_end - u)).numpy(),
    ],
    "14.2": [
        lambda x, y, a, s, b, r: (a * y - b * x) / (a * r - b * s),
        lambda x, y, a, s, b, r: ((y - b / a * x) / (r - b / a * s)).numpy(),
    ],
    "14.3": [
        lambda training, before, after: -(-training // (before - after)),
        lambda training, before, after: np.ceil(training / (before - after)),
    ],
    "15.1": [
        lambda x, v, u, u_next: x + (u_next - u) * v,
        lambda x, v, u, u_next: (x - (u - u_next) * v).numpy(),
    ],
    "15.2": [
        right_bend,
        lambda path: (
            path.diff(dim=0).norm(dim=-1).sum(0) / (path[0] - path[-1]).norm(dim=-1)
        ).numpy(),
    ],
    "15.3": [
        lambda u, shift: shift * u / (1 + (shift - 1) * u),
        lambda u, shift: shift * u / (1 - u + shift * u),
    ],
    "16.1": [
        right_step,
        lambda z, n, a, b: (b / a) ** 0.5 * (z - (1 - a) ** 0.5 * n) + n * (1 - b) ** 0.5,
    ],
    "16.2": [
        right_mixed,
        lambda old, new, p: torch.tensor(
            [[o[k] if k is not None else w for w, k in zip(n, p)] for o, n in zip(old, new)]
        ),
    ],
    "16.3": [
        right_part,
        lambda i, t, w: metrics.psnr(np.asarray(i, float)[w], np.asarray(t, float)[w]),
    ],
    "17.1": [
        right_z,
        lambda p, k: float(np.real(np.exp(1j * (p - k)).sum()) * (2 / len(k)) ** 0.5),
        lambda p, k: sum(math.cos(a - b) for a, b in zip(p, k)) / math.sqrt(len(p) / 2),
        lambda p, k: (torch.tensor(p) - torch.tensor(k)).cos().sum() / (len(p) / 2) ** 0.5,
    ],
    "17.2": [
        metrics.auc,
        lambda yes, no: np.mean([(a > b) + (a == b) / 2 for a in yes for b in no]),
        lambda yes, no: (1 + np.sign(np.subtract.outer(yes, no)).mean()) / 2,
    ],
    "17.3": [8.26, 8.3, "8.26", 900 / 10890 * 100, 100 * 900 / (900 + 10_000), torch.tensor(8.264)],
}
# Plausible wrong answers, and a word of the hint that fits each.
WRONG = {
    "00.1": [
        (swapped("makes the photo small", "makes pixels"), "bring back"),
        (
            swapped(
                "says what in the latents is noise", "says how much of the noise to remove now"
            ),
            "only counts",
        ),
        (swapped("makes the photo small", "reads the prompt"), "for words"),
        (swapped("makes pixels", "reads the prompt"), "two are swapped"),
        (swapped("says what in the latents is noise", "makes pixels"), "two are swapped"),
        (swapped("reads the prompt", "says what in the latents is noise"), "two are swapped"),
        ({**JOBS, "makes pixels": "UNet"}, "more than once"),
        (dict.fromkeys(JOBS, "UNet"), "more than once"),
        ({**JOBS, "makes the photo small": "VAE decoder"}, "more than once"),
        (dict(zip(JOBS, [*list(JOBS.values())[1:], "VAE encoder"])), "5 of the five"),
        ({**JOBS, "makes pixels": "GAN"}, "none of the five"),
        ({"makes pixels": "VAE decoder"}, "keep the five jobs"),
    ],
    "00.2": [
        (lambda w, h, f, c: (w // f) * (h // f), "places"),
        (lambda w, h, f, c: 3 * w * h, "picture itself"),
        (lambda w, h, f, c: w * h * c, "where is f"),
        (lambda w, h, f, c: w * h // f * c, "f counts twice"),
        (lambda w, h, f, c: (w // f) * (h // f) * 3, "three colours"),
        (lambda w, h, f, c: (w // f) * (h // f) * 3 * c, "colours are gone"),
        (lambda w, h, f, c: (w // f) * (h // f) // c, "multiply"),
        (lambda w, h, f, c: w * f * h * f * c, "divide by f"),
        (lambda w, h, f, c: (w // f, h // f, c), "one number"),
        (lambda w, h, f, c: (w // 4) * (h // 4) * 6, "all four arguments"),
        (lambda w, h, f, c: w // f * h * c, "f counts twice"),
        (lambda w, h, f, c: w * h // f**3 * c, "divide by f twice"),
        (lambda w, h, f, c: (w // 8) * (h // 8) * c, "divide by f twice"),
        (lambda w, h, f, c: w // f * (h // f) * 4, "of Stable Diffusion"),
        (lambda w, h, f, c: w // f * (h // f) * 8, "of our VAE"),
        (lambda w, h, f, c: w // f * (h // f) + c, "added them once"),
        (lambda w, h, f, c: (w + h) // f * c, "You added them"),
        (lambda w, h, f, c: w // f + h // f + c, "not added"),
        (lambda w, h, f, c: (3 * w * h) / (w // f * (h // f) * c), "times fewer"),
        (lambda w, h, f, c: (w // f) ** 2 * c, "its height counts"),
        (lambda w, h, f, c: (h // f) ** 2 * c, "its width counts"),
        (lambda w, h, f, c: 3 * w * h // f**2, "three colours"),
        (lambda w, h, c, f: w // f * (h // f) * c, "changed places"),
        (lambda w, h, f, c: w // f * (h // f) * (8 - f // 2), "not for 320 x 768"),
        (lambda w, h, f, c: w // f * (w // f if w == 320 else h // f) * c, "not for 320 x 768"),
        (lambda w, h, f, c: 7, "how many places"),
        (lambda w, h: 7, "TypeError"),
    ],
    "01.1": [
        (lambda r, f: r.log().mean() + (1 - f).log().mean(), "turn the sign"),
        (lambda r, f: -r.log().mean(), "about the real samples"),
        (lambda r, f: -(1 - f).log().mean(), "about the fake samples"),
        (lambda r, f: -r.log().mean() - f.log().mean(), "not p_fake"),
        (lambda r, f: -(1 - r).log().mean() - f.log().mean(), "swapped"),
        (lambda r, f: -f.log().mean(), "generator's loss"),
        (lambda r, f: -r.log().sum() - (1 - f).log().sum(), "Take means"),
        (lambda r, f: -torch.cat([r, 1 - f]).log().mean(), "half of it"),
        (lambda r, f: -r.log().mean() + (1 - f).log().mean(), "two signs"),
        (lambda r, f: (1 - r).mean() + f.mean(), "where are the logarithms"),
        (lambda r, f: f.mean() - r.mean(), "where are the logarithms"),
        (lambda r, f: r.log().mean() - (1 - f).log().mean(), "two signs"),
        (lambda r, f: (1 - r).square().mean() + f.square().mean(), "squared errors"),
        (lambda r, f: -r.mean().log() - (1 - f).mean().log(), "then the average"),
        (lambda r, f: -r.log2().mean() - (1 - f).log2().mean(), "natural logarithm"),
        (lambda r, f: -r.log10().mean() - (1 - f).log10().mean(), "natural logarithm"),
        (
            lambda r, f: (
                torch.nn.functional.softplus(-r).mean() + torch.nn.functional.softplus(f).mean()
            ),
            "probabilities already",
        ),
        (lambda r, f: -r.log() - (1 - f).log(), "Average over the batch"),
        (lambda r, f: -(r.log() + (1 - f).log()).sum() / 4, "not for one of 2"),
        (lambda r, f: r.mean(), "two terms"),
    ],
    "01.2": [
        (lambda x, c, s: len(torch.cdist(x, c).argmin(1).unique()), "near some mode"),
        (lambda x, c, s: right_covered(x, c, s / 3), "too strict"),
        (lambda x, c, s: int((torch.cdist(x, c) <= 3 * s).sum()), "counts samples"),
        (lambda x, c, s: len(c), "how many modes there are"),
        (lambda x, c, s: len(c[(torch.cdist(x, c).square() <= 3 * s).any(0)]), "root of the sum"),
        (
            lambda x, c, s: float((torch.cdist(x, c).min(1).values <= 3 * s).float().mean()),
            "share of good",
        ),
        (lambda x, c, s: right_covered(x, c, s) / len(c), "share of the modes"),
        (lambda x, c, s: len(c) - right_covered(x, c, s), "without a sample"),
        (
            lambda x, c, s: int((torch.cdist(x, c, p=1) <= 3 * s).any(0).sum()),
            "not the sum of the sizes",
        ),
        (lambda x, c, s: right_covered(x, c, 0.1), "use the argument"),
        (lambda x, c, s: right_covered(x, c, 0.05), "on the lesson's grid only"),
        (lambda x, c, s: right_covered(x, c, s**2), "without a square"),
        (lambda x, c, s: right_covered(x, c, 3 * s**2), "Square both or neither"),
        (lambda x, c, s: right_covered(x, c, 2 * s / 3), "two sigma"),
        (
            lambda x, c, s: sum(bool(((x - centre).abs() <= 3 * s).all(1).any()) for centre in c),
            "the larger of two coordinates",
        ),
        (lambda x, c, s: bool((torch.cdist(x, c) <= 3 * s).any()), "yes or no"),
        (lambda x, c, s: (torch.cdist(x, c).min(1).values <= 3 * s).all(), "yes or no"),
        (
            lambda x, c, s: sum(
                bool(((x[:14] - c[k]).norm(dim=1) <= 3 * s).any()) for k in range(10)
            ),
            "IndexError",
        ),
        (
            lambda x, c, s: 10 - len(c) + right_covered(x, c, s),
            "not for 3 and 2",
        ),
        (lambda x, c, s: torch.cdist(x, c).min(1).values <= 3 * s, "yes or no"),
        (lambda x, c, s: torch.cdist(x, c).argmin(1), "shape"),
        (lambda x, c, s: 0, "which centre is nearest"),
    ],
    "01.3": [
        (lambda p, q: p, "which share is real"),
        (lambda p, q: p / q, "odds"),
        (lambda p, q: q / p, "fake against real"),
        (lambda p, q: torch.where(p >= q, 1.0, 0.0), "cannot tell"),
        (lambda p, q: q / (p + q), "probability of fake"),
        (lambda p, q: (p > q).float(), "cannot tell"),
        (lambda p, q: p - q, "never negative"),
        (lambda p, q: (p - q + 1) / 2, "should be certain"),
        (lambda p, q: p / (1 + p), "does not come in"),
        (lambda p, q: (p / (p + q)).mean(), "shape"),
        (lambda p, q: p / (p + q).sum(), "over all places"),
        (lambda p, q: p**2 / (p**2 + q**2), "Why the squares"),
        (lambda p, q: torch.stack([p, q]).softmax(0)[0], "no exponential"),
        (lambda p, q: (p / (p + q)).round(), "cannot tell"),
        (lambda p, q: [p[i] / (p[i] + q[i]) for i in range(4)], "IndexError"),
        (lambda p, q: torch.tensor([0.8, 0.5, 0, 0.25]), "nothing but p and q"),
        (lambda p, q: p * q, "about how many of each"),
    ],
    "02.1": [
        (0.72, "second step weakens"),
        (0.4096, "left of the picture"),
        (0.36, "alone"),
        (0.77, "deviation"),
        (0.1296, "less than one step"),
        (0.64, "one step leaves"),
        (0.2304, "some of its own"),
        (0.8704, "not what they bring"),
        (0.4896, "not beta of it"),
        (0.648, "multiplied by 1 - beta"),
        (0.6, "rounded too far"),
        (1, "How much of it is noise"),
        (5, "each step leaves"),
    ],
    "02.2": [
        (lambda x, e, a: x - e, "whole noise"),
        (lambda x, e, a: x - (1 - a) ** 0.5 * e, "still weakened"),
        (lambda x, e, a: (x - (1 - a) * e) / a, "square roots"),
        (lambda x, e, a: (x - (1 - a) ** 0.5 * e) / a, "not abar itself"),
        (lambda x, e, a: (x - (1 - a) ** 0.5 * e) / (1 - a) ** 0.5, "before the noise"),
        (lambda x, e, a: x / a**0.5 - (1 - a) ** 0.5 * e, "after the division"),
        (lambda x, e, a: (x - a**0.5 * e) / (1 - a) ** 0.5, "swapped"),
        (lambda x, e, a: x - (1 - a) ** 0.5 * e / a**0.5, "in brackets"),
        (lambda x, e, a: (x - (1 - a) * e) / a**0.5, "not 1 - abar itself"),
        (lambda x, e, a: (x - (1 - a**0.5) * e) / a**0.5, "first subtract"),
        (lambda x, e, a: (x - e) / a**0.5, "which factor does it have"),
        (lambda x, e, a: (x + (1 - a) ** 0.5 * e) / a**0.5, "the sign"),
        (lambda x, e, a: (x - (1 - a) ** 0.5 * e) * a**0.5, "divide"),
        (lambda x, e, a: x / a**0.5, "still in it"),
        (lambda x, e, a: (x - 0.8 * e) / 0.6, "not for 0.19"),
        (lambda x, e, a: x, "solve it"),
        (lambda x, e, a: x.mean(), "shape"),
        (lambda x, e: x, "TypeError"),
    ],
    "02.3": [
        (lambda a, size, base: a / (1 - a) * (base / size) ** 2, "Turn it back"),
        (lambda a, size, base: a * (base / size) ** 2, "itself was multiplied"),
        (lambda a, size, base: 1 / (1 + (1 - a) / a * size / base), "square the ratio"),
        (lambda a, size, base: right_shift(a, base, size), "wrong way"),
        (lambda a, size, base: a, "nothing has changed"),
        (lambda a, size, base: a / (1 - a) * base / size, "has to be squared"),
        (lambda a, size, base: 10 * torch.log10(a / (1 - a) * (base / size) ** 2), "in dB"),
        (lambda a, size, base: 1 - right_shift(a, size, base), "noise's share"),
        (lambda a, size, base: 1 / (1 / a * (1 - a) * (size / base) ** 2 - 1), "turning back"),
        (lambda a, size, base: right_shift(1 - a, size, base), "upside down"),
        (lambda a, size, base: right_shift(a, size, 64), "both arguments"),
        (lambda a, size, base: right_shift(a, max(size, base), min(size, base)), "size of 32"),
        (lambda a, size, base: a / (1 - a) * (base // size) ** 2, "whole number"),
        (lambda a, size, base: a - 20 * math.log10(size / base), "between 0 and 1"),
        (lambda a, size, base: 1 - a, "three moves"),
        (lambda a, size, base: a.sum(), "shape"),
    ],
    "04.1": [
        (lambda n, e, m, f: math.log(e / f) / math.log(n / m), "upside down"),
        (lambda n, e, m, f: math.log(m / n) / math.log(e / f), "belongs above"),
        (lambda n, e, m, f: e / f, "power of 4"),
        (lambda n, e, m, f: math.log2(e / f), "doubled"),
        (lambda n, e, m, f: math.log(e / f), "divide by"),
        (lambda n, e, m, f: (e - f) / (m - n), "plain axes"),
        (lambda n, e, m, f: 2, "all four"),
        (lambda n, e, m, f: round(math.log(e / f) / math.log(m / n)), "do not round"),
        (lambda n, e, m, f: int(math.log(e / f, m / n) + 1e-9), "do not round"),
        (lambda n, e, m, f: math.log(e - f) / math.log(m - n), "not of differences"),
        (lambda n, e, m, f: math.log(e / f) - math.log(m / n), "divide the two"),
        (lambda n, e, m, f: n / m, "the steps alone"),
        (lambda n, e, m, f: [n, m], "one number"),
        (lambda n, e, m, f: 3, "both sides"),
    ],
    "04.2": [
        (lambda eps, x, s, n: x + (n - s) * eps(x, s), "Euler's step"),
        (lambda eps, x, s, n: x + (n - s) * (eps(x, s) + eps(x, n)) / 2, "old x"),
        (lambda eps, x, s, n: right_heun(lambda y, _: eps(y, s), x, s, n), "at sigma_next"),
        (lambda eps, x, s, n: x + 2 * (right_heun(eps, x, s, n) - x), "added up"),
        (lambda eps, x, s, n: x + (n - s) * eps(x + (n - s) * eps(x, s), n), "second slope alone"),
        (lambda eps, x, s, n: right_heun(eps, x, s, n) + (n - s) * eps(x, s), "from x once more"),
        (lambda eps, x, s, n: 2 * x - right_heun(eps, x, s, n), "wrong way"),
        (lambda eps, x, s, n: x + (right_heun(eps, x, s, n) - x) / (n - s), "How far"),
        (lambda eps, x, s, n: right_heun(eps, x, s, n) - x, "Add it to x"),
        (
            lambda eps, x, s, n: x + (n - s) * eps(x + (n - s) / 2 * eps(x, s), (s + n) / 2),
            "half-way",
        ),
        (
            lambda eps, x, s, n: x + (n - s) * (eps(x, s) + eps(x + n * eps(x, s), n)) / 2,
            "not by sigma_next",
        ),
        (lambda eps, x, s, n: (eps(x, s), right_heun(eps, x, s, n))[1], "3 times"),
        (lambda eps, x, s, n: right_heun(lambda y, t: eps(t, y), x, s, n), "x first, then"),
        (
            lambda eps, x, s, n: x + (n - s) * (eps(x, s) + eps(x + (n - s) * eps(x, s), n) / 2),
            "in brackets",
        ),
        (
            lambda eps, x, s, n: x + (n - s) * (eps(x, s) + eps(x + (s - n) * eps(x, s), n)) / 2,
            "the wrong way",
        ),
        (lambda eps, x, s, n: 3 * x, "three lines"),
        (lambda eps, x, s, n: x.mean(), "shape"),
        (lambda eps, x, s: x, "TypeError"),
    ],
    "04.3": [
        (lambda n, T: [T - i * T // n for i in range(n)], "subtract 1"),
        (lambda n, T: [(i + 1) * T // n - 1 for i in range(n)], "largest"),
        (lambda n, T: [i * T // n + 1 for i in range(n)][::-1], "leading"),
        (lambda n, T: [i * T // n for i in range(n)][::-1], "leading"),
        (lambda n, T: np.linspace(T - 1, 0, n), "hardly at all"),
        (lambda n, T: [int(t) for t in np.linspace(T - 1, -1, n + 1)], "leave it out"),
        (lambda n, T: list(range(T)), "shape"),
        (lambda n, T: [999, 800, 600, 400, 200], "how long"),
        (lambda n, T: [999, 799, 599, 399, 199], "both arguments"),
        (lambda n, T: [T - i * T / n - 1 for i in range(n)], "whole number"),
        (lambda n, T: [int(t) for t in np.linspace(T - 1, 0, n + 1)[:-1]], "ends at 0"),
        (lambda n, T: np.linspace(T - 1, 0, n + 1)[:-1].round(), "ends at 0"),
        (lambda n, T: list(range(T - 1, -1, -(T // n))), "cuts off the rest"),
        (lambda n, T: [T - 1 - i * (T // n) for i in range(n)], "cuts off the rest"),
        (lambda n, T: np.linspace(T - 1, 0, n).astype(int), "hardly at all"),
        (lambda n, T: list(range(T - 1, T - 1 - n, -1)), "equal steps"),
        (lambda n, T: list(range(n))[::-1], "count the steps"),
        (lambda n, T: [str(round(T - i * T / n) - 1) for i in range(n)], "without quotes"),
        (lambda n, T: [999 - i * 1000 // n for i in range(n)], "both arguments"),
        (lambda n, T: [T - 1 - i * T // 5 for i in range(n)], "both arguments"),
        (lambda T, n: [round(T - i * T / n) - 1 for i in range(n)], "shape"),
    ],
    "03.1": [
        (lambda a, b: a - b, "do not subtract"),
        (lambda a, b: 1 - b, "very beginning"),
        (lambda a, b: b / a, "step leaves"),
        (lambda a, b: 1 - a / b, "upside down"),
        (lambda a, b: (1 - b / a) ** 0.5, "deviation"),
        (lambda a, b: 1 - (b / a) ** 0.5, "no square root"),
        (lambda a, b: a / b, "upside down"),
        (lambda a, b: b - a, "do not subtract"),
        (lambda a, b: 0.6, "both arguments"),
        (lambda a, b: (a - b) / 0.8, "not for 0.9"),
        (lambda a, b: round(1 - b / a, 1), "do not round"),
        (lambda a, b: 1 - a, "at the cleaner level"),
        (lambda a, b: a * b, "from the start"),
        (lambda a, b: math.log(a / b), "one long step"),
        (lambda a, b: 0.1, "Which beta"),
        (lambda a: a, "TypeError"),
    ],
    "03.2": [
        (lambda x, v, a: (1 - a) ** 0.5 * x + a**0.5 * v, "that is the noise"),
        (lambda x, v, a: a**0.5 * x + (1 - a) ** 0.5 * v, "sign"),
        (lambda x, v, a: (1 - a) ** 0.5 * x - a**0.5 * v, "swapped"),
        (lambda x, v, a: a * x - (1 - a) * v, "square roots"),
        (lambda x, v, a: (x - (1 - a) ** 0.5 * v) / a**0.5, "takes v for the noise"),
        (lambda x, v, a: (1 - a) ** 0.5 * v - a**0.5 * x, "sign turned"),
        (lambda x, v, a: (a**0.5 * x - (1 - a) ** 0.5 * v) / a**0.5, "to be divided by"),
        (lambda x, v, a: a**0.5 * x, "where does v come in"),
        (lambda x, v, a: x - v, "need factors"),
        (lambda x, v, a: x, "two equations"),
        (lambda x, v, a: 0.6 * x - 0.8 * v, "not for 0.19"),
        (lambda x, v, a: x.mean(), "shape"),
    ],
    "03.3": [
        (lambda T: torch.linspace(1e-4, 0.02, T), "nothing has changed"),
        (lambda T: 20 * torch.linspace(1e-4, 0.02, T), "depend on T"),
        (lambda T: torch.linspace(1e-4, 0.4, T), "depend on T"),
        (lambda T: torch.linspace(1e-4, 0.02, T) * T / 1000, "other way"),
        (lambda T: torch.linspace(1e-4, 0.02, T) * 1000, "between 0 and 1"),
        (lambda T: torch.linspace(1e-4, 0.02, T) * (1000 / T) ** 0.5, "still left"),
        (lambda T: torch.full((T,), 0.5), "start gently"),
        (lambda T: torch.linspace(1e-4, 0.02, 1000), "give T betas"),
        (torch.linspace(0.002, 0.4, 50), "without calling"),
        (
            lambda T: torch.cat([torch.linspace(1e-4, 0.02, T - 1), torch.tensor([0.9999])]),
            "step 50 alone",
        ),
        (
            lambda T: torch.cat([torch.linspace(1e-4, 0.02, T - 5), torch.full((5,), 0.9)]),
            "step 46 alone",
        ),
        (lambda T: torch.linspace(0.02, 1e-4, T) * 20, "start gently"),
        (lambda T: torch.linspace(0, 0.4, T), "between 0 and 1"),
        (lambda T: torch.linspace(0.002, 0.4, 50), "for T = 1000 the answer has shape"),
    ],
    "05.1": [
        (48, "16 are kept"),
        (64, "positions"),
        (4, "three numbers"),
        (1.5, "area"),
        (1 / 12, "upside down"),
        (192, "one patch"),
        (8, "side gets"),
        (6, "our VAE"),
        (16, "channels there are"),
        (0.5, "8 * 8 pixels"),
        (36, "counted twice"),
        (7, "take one patch"),
    ],
    "05.2": [
        (paste_in_place, "itself was changed"),
        (paste_whole_side, "too large"),
        (lambda z, s, top, left, side, f=4: right_paste(z, s, left, top, side, f), "swapped"),
        (lambda z, s, top, left, side, f=4: right_paste(z, s, top, left, side, 1), "divided by f"),
        (lambda z, s, top, left, side, f=4: right_paste(z * 0, s, top, left, side, f), "as before"),
        (lambda z, s, top, left, side, f=4: right_paste(z, s, top, left, side), "not for f = 8"),
        (lambda z, s, top, left, side, f=4: right_paste(s, z, top, left, side, f), "exchanged"),
        (
            lambda z, s, top, left, side, f=4: right_paste(
                z, s.roll((2, 4), (2, 3)), top, left, side, f
            ),
            "upper left",
        ),
        (lambda z, s, top, left, side, f=4: right_paste(z, s, top, left, side + f, f), "too many"),
        (lambda z, s, top, left, side, f=4: right_paste(z, 0 * s, top, left, side, f), "of source"),
        (lambda z, s, top, left, side, f=4: right_paste(z, s + z, top, left, side, f), "of source"),
        (lambda z, s, top, left, side, f=4: s, "slice of rows"),
        (lambda z, s, top, left, side, f=4: s[:, :, 2:4, 4:6], "shape"),
        (paste_first_picture, "not for two"),
        (
            lambda z, s, top, left, side, f=4: torch.cat(
                [right_paste(z, s, top, left, side, f)[:, :2], z[:, 2:]], 1
            ),
            "not for two",
        ),
        (
            lambda z, s, top, left, side, f=4: right_paste(z, s, round(top / 8) * 8, left, side, f),
            "not for two",
        ),
    ],
    "05.3": [
        (lambda raw: raw.std(), "spread itself"),
        (lambda raw: 1 / raw.var(), "over the variance"),
        (lambda raw: raw.var(), "is the variance"),
        (lambda raw: 1 / raw.mean(), "not the mean"),
        (lambda raw: 1 / raw.abs().max(), "extreme"),
        (lambda raw: 1 / raw.square().mean().sqrt(), "deviation from"),
        (lambda raw: 1 / raw.std((0, 2, 3)), "one number"),
        (lambda raw: 0.18215, "of Stable Diffusion's VAE"),
        (lambda raw: 1 / raw.abs().mean(), "not the mean size"),
        (lambda raw: 1 / (raw.max() - raw.min()), "two extreme"),
        (lambda raw: 1 / raw.std((0, 2, 3)).mean(), "over the channels"),
        (lambda raw: (1 / raw.std((0, 2, 3))).mean(), "over the channels"),
        (lambda raw: 1 / raw.std((1, 2, 3)).mean(), "over the pictures"),
        (lambda raw: 1 / raw.var((0, 2, 3)).mean() ** 0.5, "by itself"),
        (lambda raw: 1 / (raw - raw.mean((0, 2, 3), keepdim=True)).std(), "are apart"),
        (lambda raw: 1 / raw[0].std(), "first picture"),
        (lambda raw: 1 / raw[:, 0].std(), "first channel"),
        (lambda raw: 1.0, "after multiplying"),
        (lambda raw: round(1 / float(raw.std()), 1), "after multiplying"),
    ],
    "06.1": [
        (lambda p, w: [row - 1 for row in right_rows(p, w)], "belongs to START"),
        (lambda p, w: [row + 1 for row in right_rows(p, w)], "one row too late"),
        (naive_rows, "is not found"),
        (lambda p, w: right_rows(p, w)[-1:], "the last of its rows"),
        (lambda p, w: right_rows(p, w)[:1], "the first of its rows"),
        (lambda p, w: right_rows(p, w)[:-1], "its last piece"),
        (lambda p, w: right_rows(p, w)[::2], "the ones between"),
        (lambda p, w: [right_rows(p, w)[0], right_rows(p, w)[-1] + 1], "a start and an end"),
        (lambda p, w: [*right_rows(p, w), right_rows(p, w)[-1] + 1], "one row too many"),
        (lambda p, w: [0, *right_rows(p, w)], "row 0 belongs to START"),
        (words_not_rows, "counts words"),
        (lambda p, w: words_not_rows(p, w, start=0), "counts words"),
        (rows_without_new_start, "no rows yet"),
        (lambda p, w: rows_without_new_start(p, w, keep_letters=True), "letters begin again"),
        (
            lambda p, w: [row for row, piece in enumerate(p, 1) if piece.removesuffix("</w>") in w],
            "another word",
        ),
        (lambda p, w: [p[row - 1] for row in right_rows(p, w)], "those are pieces"),
        (lambda p, w: [str(row) for row in right_rows(p, w)], "without quotes"),
        (lambda p, w: right_rows(p, w)[::-1], "from the first to the last"),
        (
            lambda p, w: right_rows(p, w)[:3] if w == "zebra" else right_rows(p, w)[:1],
            "rows of both",
        ),
        (lambda p, w: [6, 7, 8], "but not for a"),
        (lambda p, w: right_rows(p, w) or naive_rows(p, w), "polecat"),
        (rows_by_strip, "removes single letters"),
        (lambda p, w: right_rows(p, w)[:3], "but not for yellow in"),
        (
            lambda p, w: {"zebra": [6, 7, 8], "a": [1, 5], "yellow": [2, 3, 6, 7]}.get(w, []),
            "snow is not found",
        ),
        (lambda p, w: [2, 4], "which pieces"),
        (lambda w, p: right_rows(p, w), "is not found"),
        (lambda p, w: 2, "flat list"),
        (lambda p, w: [right_rows(p, w)], "flat list"),
        (lambda p: [2, 3, 4], "TypeError"),
    ],
    "06.2": [
        (masked, "without the mask"),
        (lambda q, k, v: masked(q, k, v, lambda s: back(s.T).T), "the other way"),
        (lambda q, k, v: masked(q, k, v, lambda s: back(s, hidden=0)), "exp(0) = 1"),
        (lambda q, k, v: masked(q, k, v, after=lambda w: back(w, hidden=0)), "no longer add up"),
        (lambda q, k, v: masked(q, k, v, back, axis=0), "wrong axis"),
        (lambda q, k, v: masked(2 * q, k, v, back), "One division of attention is missing"),
        (lambda q, k, v: masked(q / 2, k, v, back), "not by its root"),
        (lambda q, k, v: masked(q * (4 / 5) ** 0.5, k, v, back), "not of L"),
        (lambda q, k, v: masked(q, k, v, lambda s: back(s, 1)), "one column too many"),
        (lambda q, k, v: back(q @ k.T / 2, hidden=0) @ v, "softmax"),
        (lambda q, k, v: masked(q, k, torch.eye(5), back), "the weights"),
        (lambda k, q, v: masked(q, k, v, back), "are exchanged"),
        (lambda q, v, k: masked(q, v, v, back), "not of k"),
        (lambda q, k, v: masked(q, k, v, back, torch.t), "turned over"),
        (lambda q, k, v: v.cumsum(0) / torch.arange(1, len(v) + 1)[:, None], "plain mean"),
        (lambda q, k, v: masked(q, k, v, lambda s: back(s, hidden=torch.inf)), "minus infinity"),
        (lambda q, k, v: masked(q, k, v, lambda s: back(s, -1)), "not even at itself"),
        (
            lambda q, k, v: masked(q, k, v, lambda s: s.masked_fill(~EYE5.tril(), -torch.inf)),
            "RuntimeError",
        ),
        (lambda q, k, v: masked(q * (q.shape[-1] / 4) ** 0.5, k, v, back), "not for 5 of 9"),
        (
            lambda q, k, v: torch.cat([masked(q[:5], k[:5], v[:5], back), v[5:]]),
            "not for 7 of 4",
        ),
        (lambda q, k, v: masked(q, k, v, lambda s: back(s, hidden=-1.0)), "only the scores"),
        (lambda q, k, v: masked(q, k, v, back)[-1], "shape"),
        (lambda q, k, v: v, "only the scores"),
    ],
    "06.3": [
        (lambda p, c: (p @ c.T).argmax(1), "long vector"),
        (lambda p, c: (scaled(p) @ c.T).argmax(1), "long vector"),
        (lambda p, c: (scaled(p, 0) @ scaled(c, 0).T).argmax(1), "wrong axis"),
        (lambda p, c: (p @ scaled(c, p=1).T).argmax(1), "sum of squares"),
        (lambda p, c: (p @ (c / (c**2).sum(1)[:, None]).T).argmax(1), "not by the square"),
        (lambda p, c: cosines(p, c).argmin(1), "worst"),
        (lambda p, c: cosines(p, c).abs().argmax(1), "the opposite"),
        (lambda p, c: cosines(p, c).argmax(0), "for each caption"),
        (lambda p, c: cosines(c, p).argmax(1), "for each caption"),
        (lambda p, c: (p @ c.T).argmax(0), "for each caption"),
        (lambda p, c: cosines(p, c).amax(1), "how well"),
        (lambda p, c: cosines(p, c), "all the cosines"),
        (lambda p, c: p @ c.T, "all the products"),
        (lambda p, c: cosines(p, c).argsort(1, descending=True), "in order"),
        (lambda p, c: (cosines(p, c) == cosines(p, c).amax(1)[:, None]).long(), "in a table"),
        (lambda p, c: cosines(p, c).argmax(), "the whole table"),
        (lambda p, c: torch.cdist(p, c).argmin(1), "distance"),
        (lambda p, c: cosines(p, c).max(1), "the second"),
        (lambda p, c: cosines(p, c).argmax(1) + 1, "from 0"),
        (lambda p, c: p.argmax(1), "from 0"),
        (lambda p, c: [1, 3, 0, 3, 2, 4], "not for 3 and 9"),
        (lambda p, c: cosines(p, c[:5]).argmax(1), "not for 3 and 9"),
        (lambda p, c: (p @ scaled(c, p=torch.inf).T).argmax(1), "largest entry"),
        (lambda p, c: 1, "one number for each"),
    ],
    "07.1": [
        (lambda d, s: right_meet(d, s)[:, :3] + s, "are added"),
        (lambda d, s: right_meet(d, s).roll(3, 1), "other order"),
        (lambda d, s: torch.cat(right_meet(d, s).chunk(2, 1), 3), "side by side as pictures"),
        (lambda d, s: torch.cat(right_meet(d, s).chunk(2, 1), 2), "one above the other"),
        (lambda d, s: torch.cat(right_meet(d, s).chunk(2, 1), 0), "larger batch"),
        (lambda d, s: torch.cat([d, torch.nn.functional.avg_pool2d(s, 2)], 1), "made smaller"),
        (
            lambda d, s: torch.cat([d, torch.nn.functional.interpolate(s, scale_factor=0.5)], 1),
            "made smaller",
        ),
        (lambda d, s: torch.cat([d.repeat(1, 1, 2, 2), s], 1), "four copies"),
        (lambda d, s: right_meet(d, s, mode="bilinear"), "without blending"),
        (lambda d, s: right_meet(d, s)[:, :3], "Where is the skip"),
        (lambda d, s: torch.cat([d, s], 1), "Enlarge deep"),
        (lambda d, s: (right_meet(d, s)[:, :3] + s) / 2, "their mean"),
        (lambda d, s: right_meet(d, s, mode="bicubic"), "2 x 2 times"),
        (lambda d, s: right_meet(d, s)[:, :3] * s, "are multiplied"),
        (lambda d, s: right_meet(d.transpose(2, 3), s), "are exchanged"),
        (
            lambda d, s: torch.stack([right_meet(d, s)[:, :3], s], 2).flatten(1, 2),
            "take turns",
        ),
        (lambda d, s: right_meet(d.flip(2), s), "nothing else"),
        (
            lambda d, s: torch.cat([torch.nn.functional.interpolate(d, size=(8, 8)), s], 1),
            "not for 2 channels of 3 x 5",
        ),
        (
            lambda d, s: torch.cat(
                [torch.nn.functional.interpolate(d, size=(s.shape[3], s.shape[3])), s], 1
            ),
            "not for 2 channels of 3 x 5",
        ),
        (lambda d, s: right_meet(d, s)[:, :6], "not for 2 channels of 3 x 5"),
        (lambda d, s: s, "what comes from below"),
        (lambda d, s: s * s, "all channels of both"),
        (lambda d, s: d.reshape(7, 7), "RuntimeError"),
        (lambda d, s: 0 * right_meet(d, s), "the values are not"),
    ],
    "07.2": [
        (lambda *a: 3 * phrase(*a), "layers are added up"),
        (lambda layers, rows, side: phrase(layers, rows[:1], side), "first of the rows"),
        (lambda layers, rows, side: phrase(layers, rows[-1:], side), "last of the rows"),
        (lambda *a: phrase(*a, take=lambda x: x.mean(1)), "mean of the rows"),
        (lambda *a: phrase(*a, heads=lambda x: x.sum(0)), "heads are added up"),
        (lambda *a: phrase(*a, heads=lambda x: x[0]), "first head alone"),
        (lambda *a: phrase(*a, heads=lambda x: x[-1]), "last head alone"),
        (lambda layers, rows, side: phrase(layers[-1:], rows, side), "finest layer alone"),
        (lambda *a: phrase(*a, layout=torch.t), "swapped"),
        (
            lambda layers, rows, side: phrase(layers, [row - 1 for row in rows], side),
            "one row too early",
        ),
        (
            lambda layers, rows, side: phrase(layers, [row + 1 for row in rows], side),
            "one row too late",
        ),
        (lambda layers, rows, side: phrase(layers[:1], rows, side), "first layer alone"),
        (lambda *a: phrase(*a, heads=lambda x: x.amax(0)), "takes the largest"),
        (lambda *a: phrase(*a, how="bilinear"), "repeating its values"),
        (lambda layers, rows, side: phrase(layers, range(6), side), "is 1 everywhere"),
        (lambda *a: phrase(*a) / phrase(*a).max(), "its largest value"),
        (lambda *a: phrase(*a) / phrase(*a).sum(), "by its sum"),
        (
            lambda *a: (phrase(*a) - phrase(*a).min()) / (phrase(*a).max() - phrase(*a).min()),
            "stretched to 0 to 1",
        ),
        (
            lambda layers, rows, side: torch.stack([phrase([w], rows, side) for w in layers]).amax(
                0
            ),
            "of the layers that takes the largest",
        ),
        (
            lambda layers, rows, side: torch.stack([phrase(layers, [r], side) for r in rows]).amax(
                0
            ),
            "of the rows that takes the largest",
        ),
        (
            lambda layers, rows, side: (
                sum(
                    w.mean(0)[:, rows].sum(1).reshape(n, n).repeat(side // n, side // n)
                    for w in layers
                    for n in [int(w.shape[1] ** 0.5)]
                )
                / len(layers)
            ),
            "side by side",
        ),
        (
            lambda layers, rows, side: phrase([w.softmax(-1) for w in layers], rows, side),
            "done already",
        ),
        (lambda layers, rows, side: phrase(layers[1:], rows, side), "the first layer is missing"),
        (lambda layers, rows, side: phrase(layers[:-1], rows, side), "the last layer is missing"),
        (
            lambda layers, rows, side: (
                sum(len(w[0]) * phrase([w], rows, side) for w in layers)
                / sum(len(w[0]) for w in layers)
            ),
            "finer layers count more",
        ),
        (
            lambda layers, rows, side: phrase(layers, range(rows[0], rows[-1] + 1), side),
            "need not be neighbours",
        ),
        (lambda layers, rows, side: phrase(layers, [2, 3], side), "not for two layers"),
        (lambda layers, rows, side: phrase(layers, rows, 8), "not for two layers"),
        (
            lambda layers, rows, side: sum(phrase([layer], rows, side) for layer in layers) / 3,
            "not for two layers",
        ),
        (
            lambda layers, rows, side: phrase(layers, rows, side) * len(rows) / 2,
            "not for two layers",
        ),
        (lambda *a: phrase(*a).flatten(), "not one map"),
        (lambda layers, rows: layers[0], "TypeError"),
    ],
    "07.3": [
        (lambda *a: right_levels(*a, reduce=torch.sum), "those are sums"),
        (lambda *a: right_levels(*a, reduce=torch.sum) / len(a[2]), "divided by all"),
        (lambda *a: right_levels(*a).sqrt(), "those are roots"),
        (lambda *a: right_levels(*a) * 18, "summed over channels"),
        (lambda *a: right_levels(*a, error=torch.abs), "absolute"),
        (lambda p, n, t, edges: right_levels(p, n, t - 1, edges), "before its upper one"),
        (
            lambda *a: right_levels(*a, inside=lambda t, low, high: (t > low) & (t < high)),
            "belongs to its bin",
        ),
        (
            lambda *a: right_levels(*a, inside=lambda t, low, high: (t >= low) & (t <= high)),
            "next bin only",
        ),
        (lambda p, n, t, edges: (p - n).square().mean((1, 2, 3)), "single pictures"),
        (lambda p, n, t, edges: (p - n).square().mean(), "one loss for all"),
        (lambda *a: right_levels(*a, inside=lambda t, low, high: t < high), "a lower edge, too"),
        (lambda *a: right_levels(*a, inside=lambda t, low, high: t >= low), "an upper edge, too"),
        (lambda *a: right_levels(*a) / 2, "half of it"),
        (lambda *a: right_levels(*a, reduce=torch.amax), "the largest loss"),
        (
            lambda *a: right_levels(*a, inside=lambda t, low, high: t >= low & (t < high)),
            "into brackets",
        ),
        (
            lambda *a: right_levels(*a, inside=lambda t, low, high: t >= low and t < high),
            "wants single values",
        ),
        (lambda *a: right_levels(*a).flip(0), "order of the bins"),
        (lambda *a: right_levels(*a)[:2], "there are 3 bins"),
        (
            lambda p, n, t, edges: right_levels((p - n).mean((1, 2, 3), keepdim=True), 0, t, edges),
            "+ and - cancel",
        ),
        (lambda p, n, t, edges: right_levels(p, 0, t, edges), "size of the prediction"),
        (
            lambda p, n, t, edges: torch.stack(
                [part.mean() for part in (p - n).square().mean((1, 2, 3)).chunk(len(edges) - 1)]
            ),
            "order of the batch",
        ),
        (
            lambda p, n, t, edges: torch.stack(
                [
                    part.mean()
                    for part in (p - n)[t.argsort()].square().mean((1, 2, 3)).chunk(len(edges) - 1)
                ]
            ),
            "as many pictures each",
        ),
        (lambda *a: right_levels(*a) / right_levels(*a).sum(), "shares of the loss"),
        (
            lambda p, n, t, edges: right_levels(p, n, t, [0, 250, 500, 1000]),
            "use all four arguments",
        ),
        (
            lambda *a: right_levels(*a, error=lambda e: e.square() * e[0].numel() / 18),
            "use all four arguments",
        ),
        (
            lambda p, n, t, edges: right_levels(p[:, :2], n[:, :2], t, edges),
            "use all four arguments",
        ),
        (lambda *a: right_levels(*a) * 0, "square the error"),
        (lambda p, n: 0, "TypeError"),
    ],
    "09.1": [
        (25, "each call hold"),
        (1, "count its rounds"),
        (2, "one round"),
        (51, "another network"),
        (52, "neither the decoder"),
        (100, "counted twice"),
        (20, "has 25"),
        (48, "not the gaps"),
        (75, "the third"),
        (625, "do not multiply"),
        (500, "a timestep"),
        (7, "how many rounds"),
    ],
    "09.2": [
        (
            lambda c, size, f, sigma, g: torch.randn(1, c, size, size, generator=g) * sigma,
            "as large as the picture",
        ),
        (
            lambda c, size, f, sigma, g: (
                torch.randn(1, 3, size // f, size // f, generator=g) * sigma
            ),
            "for colours",
        ),
        (
            lambda c, size, f, sigma, g: torch.randn(c, size // f, size // f, generator=g) * sigma,
            "the shape is",
        ),
        (
            lambda c, size, f, sigma, g: torch.randn(1, c, size // f, size // f, generator=g),
            "has strength 1",
        ),
        (
            lambda c, size, f, sigma, g: torch.randn(1, c, 8, 8, generator=g) * sigma**2,
            "multiply by it, once",
        ),
        (lambda c, size, f, sigma, g: torch.rand(1, c, 8, 8, generator=g) * sigma, "Gaussian"),
        (lambda c, size, f, sigma, g: torch.randn(1, c, 8, 8) * sigma, "pass the generator"),
        (lambda c, size, f, sigma, g: torch.randn(1, c, 8, 8, generator=g) - 3, "scale it"),
        (
            lambda c, size, f, sigma, g: torch.randn(1, c, size / f, size / f, generator=g),
            "whole numbers",
        ),
        (
            lambda c, size, f, sigma, g: torch.randn(1, c, size * f, size * f, generator=g) * sigma,
            "not larger",
        ),
        (
            lambda c, size, f, sigma, g: (
                torch.randn(2, c, size // f, size // f, generator=g) * sigma
            ),
            "doubles the batch",
        ),
        (
            lambda c, size, f, sigma, g: (
                torch.randn(1, size // f, size // f, c, generator=g) * sigma
            ),
            "come second",
        ),
        (lambda c, size, f, sigma, g: torch.randn(1, c, 8, 8, generator=g) * sigma, "one size"),
        (
            lambda c, size, f, sigma, g: (
                torch.randn(1, 6, size // f, size // f, generator=g) * sigma
            ),
            "one size",
        ),
        (
            lambda c, size, f, sigma, g: (
                torch.randn(1, c, size // 4, size // 4, generator=g) * sigma
            ),
            "one size",
        ),
        (
            lambda c, size, f, sigma, g: (
                torch.randn(1, c, size // f, size // f, generator=g.manual_seed(3)) * sigma
            ),
            "another seed",
        ),
        (
            lambda c, size, f, sigma, g: (
                torch.randn(1, c, size // f, size // f, generator=g) + sigma
            ),
            "is a factor",
        ),
        (lambda c, size, f, sigma, g: torch.zeros(1, c, size // f, size // f), "no noise"),
        (
            lambda c, size, f, sigma, g: (
                torch.randn(1, c, size // 8, size // 8, generator=g) * sigma
            ),
            "f is 4, not 8",
        ),
    ],
    "09.3": [
        (lambda a, b, s: b + s.reshape(-1, 1, 1) * (a - b), "other way round"),
        (lambda a, b, s: a + s * (b - a), "two more axes"),
        (lambda a, b, s: [a + x * (b - a) for x in s], "not a list"),
        (lambda a, b, s: a + s.reshape(-1, 1, 1) * b, "nothing of the first"),
        (lambda a, b, s: a + s[None, :, None] * (b - a), "of its own"),
        (lambda a, b, s: a + 0.5 * (b - a), "three shares"),
        (lambda a, b, s: (a + 0.5 * (b - a)).repeat(3, 1, 1), "another mixture"),
        (lambda a, b, s: a - s.reshape(-1, 1, 1) * (b - a), "the sign"),
        (lambda a, b, s: s.reshape(-1, 1, 1) * (b - a), "only the change"),
        (lambda a, b, s: s.reshape(-1, 1, 1) * (a + b), "the same weight"),
        (lambda a, b, s: torch.where(s.reshape(-1, 1, 1) > 0.5, b, a), "that jumps"),
        (lambda a, b, s: a + s.reshape(-1, 1, 1) ** 2 * (b - a), "not its square"),
        (lambda a, b, s: (a + s.reshape(-1, 1, 1) * (b - a)).round(), "three quarters"),
        (lambda a, b, s: a + s.reshape(-1, 1, 1, 1) * (b - a), "length 1 is too much"),
        (lambda a, b, s: a + s.reshape(3, 1, 1) * (b - a), "RuntimeError"),
        (
            lambda a, b, s: torch.cat([a + s[k] * (b - a) for k in range(3)]),
            "IndexError",
        ),
    ],
    "10.1": [
        (lambda large, small: large, "nothing has changed"),
        (lambda large, small: small - shrunk(large), "to all 16 pixels"),
        (lambda large, small: by_hand(small - shrunk(large)), "Add it to large"),
        (lambda large, small: by_hand(small), "nothing of large is left"),
        (lambda large, small: large + by_hand(small), "a mean of their own"),
        (lambda large, small: large - by_hand(small - shrunk(large)), "wrong way"),
        (lambda large, small: large + by_hand(small - shrunk(large)) / 16, "too little"),
        (lambda large, small: large + by_hand(small - shrunk(large)) * 16, "too much"),
        (lambda large, small: large + (small - shrunk(large)).repeat(1, 1, 4, 4), "repeat lays"),
        (lambda large, small: right_agree(large, small, enlarge=smooth), "a smooth change"),
        (lambda large, small: right_agree(large.flip(2), small), "details are not as they were"),
        (lambda large, small: small, "shape"),
        (lambda large, small: large * 2, "spread the difference"),
        (
            lambda large, small: large + (small - shrunk(large)).mean((2, 3), keepdim=True),
            "the whole picture by one number",
        ),
        (
            lambda large, small: large + by_hand((small - shrunk(large)).mean(1, keepdim=True)),
            "three colours the same",
        ),
        (lambda large, small: large * by_hand(small / shrunk(large)), "a factor"),
        (lambda large, small: right_agree(large, small).clamp(0, 1), "cut off"),
        (lambda large, small: large + by_hand(small - large[:, :, ::4, ::4]), "one pixel"),
        (lambda large, small: large + by_hand(small - shrunk(large)) / 2, "half of the way"),
        (lambda large, small: large.add_(by_hand(small - shrunk(large))), "itself was changed"),
        (
            lambda large, small: right_agree(large, small).reshape(1, 3, 16, 24),
            "RuntimeError",
        ),
        (
            lambda large, small: torch.cat([right_agree(large, small)[:1], large[1:]]),
            "not for two",
        ),
        (lambda small, large: right_agree(large, small), "RuntimeError"),
        (lambda large: large, "TypeError"),
    ],
    "10.2": [
        (lambda points: [k + 1 for k in right_unbeaten(points)], "from 0"),
        (
            lambda points: sorted(set(range(len(points))) - set(right_unbeaten(points))),
            "the beaten ones",
        ),
        (
            lambda points: [
                min(range(6), key=lambda k: points[k][1]),
                max(range(6), key=lambda k: points[k][0]),
            ],
            "best of each axis",
        ),
        (lambda points: [max(range(6), key=lambda k: points[k][0])], "the best PSNR"),
        (lambda points: [min(range(6), key=lambda k: points[k][1])], "the best look"),
        (lambda points: right_unbeaten([(p, -d) for p, d in points]), "large distance is bad"),
        (lambda points: right_unbeaten([(-p, d) for p, d in points]), "high PSNR is good"),
        (lambda points: list(range(6)), "position 4 must go"),
        (
            lambda points: [p for k, p in enumerate(points) if k in right_unbeaten(points)],
            "their positions",
        ),
        (lambda points: [k in right_unbeaten(points) for k in range(6)], "true or false"),
        (
            lambda points: [
                k
                for k, (p, d) in enumerate(points)
                if not any(q >= p and e <= d for q, e in points)
            ],
            "beat itself",
        ),
        (
            lambda points: [
                k for k, (p, d) in enumerate(points) if not any(q > p or e < d for q, e in points)
            ],
            "is one win enough",
        ),
        (lambda points: [1, 3], "is there another one"),
        (lambda points: [0, 1, 3], "not for another"),
        (lambda points: [k for k in right_unbeaten(points) if k < 4], "not for another"),
        (lambda points: [0, 0, 1, 3], "more than once"),
        (neighbours_only, "is there another one"),
        (
            lambda points: right_unbeaten([(int(p), d) for p, d in points]),
            "not for another",
        ),
        (lambda points: [str(k) for k in right_unbeaten(points)], "without quotes"),
        (lambda points: 1, "a list of positions"),
        (lambda: [], "TypeError"),
    ],
    "10.3": [
        (lambda e, s, k: e - s + s / k, "into decibel"),
        (lambda e, s, k: -right_psnr(e, s, k), "turn the sign"),
        (lambda e, s, k: 2 * right_psnr(e, s, k), "20 log10"),
        (lambda e, s, k: -10 * math.log(e - s + s / k), "natural"),
        (lambda e, s, k: right_psnr(e, s, k) / 10, "times 10"),
        (lambda e, s, k: 10 * math.log10(255**2 / (e - s + s / k)), "in grey levels"),
        (lambda e, s, k: right_psnr(e, s, k) / 2, "no root"),
        (lambda e, s, k: right_psnr(e / k, 0, k), "only the spread"),
        (lambda e, s, k: right_psnr(e, s, math.inf), "endlessly many"),
        (lambda e, s, k: right_psnr(e + s, s, k), "whole spread of one"),
        (lambda e, s, k: right_psnr(s, s, k), "do wrong together"),
        (lambda e, s, k: right_psnr(s + (e - s) / k, 0, k), "swapped"),
        (lambda e, s, k: right_psnr(e - s / k, 0, k), "what is left of it"),
        (lambda e, s, k: right_psnr(e, s, k**0.5), "not with its root"),
        (lambda e, s, k: right_psnr(e, s, k**2), "once"),
        (lambda e, s, k: right_psnr(e, 0, k), "that is one sample"),
        (lambda e, s, k: right_psnr(e, s, 4), "all three arguments"),
        (lambda e, s, k: right_psnr(e, s, k - 1), "estimating the spread"),
        (lambda e, s, k: round(right_psnr(e, s, k), 1), "do not round"),
        (lambda e, s, k: 17, "shrinks with k"),
        (lambda e, s, k: right_psnr(e, s, 1 / k), "not larger"),
        (lambda e, s, k: right_psnr(e, s, min(k, 4)), "not for 7"),
        (lambda e, s, k: round(right_psnr(e, s, k)), "shrinks with k"),
        (lambda e, s, k: right_psnr(0.010, 0.004, 4), "not for 1"),
        (lambda s, e, k: right_psnr(e, s, k), "ValueError"),
        (lambda e, s, k: right_psnr(e, 0, 1) - right_psnr(s, 0, 1) / k, "subtract first"),
        (lambda e, s: 17, "TypeError"),
    ],
    "08.1": [
        (lambda u, c, s: c + s * (c - u), "already beyond"),
        (lambda u, c, s: c + s * (u - c), "swapped"),
        (lambda u, c, s: u - s * (c - u), "the sign"),
        (lambda u, c, s: s * c, "the noise as well"),
        (lambda u, c, s: s * (c - u), "difference alone"),
        (lambda u, c, s: u + s * c, "without any uncond left"),
        (lambda u, c, s: s * c - u, "add up to 1"),
        (lambda u, c, s: (u + c) / 2, "the middle"),
        (lambda u, c, s: c, "at scale 1. Use"),
        (lambda u, c, s: u, "at scale 0. Use"),
        (lambda u, c, s: u + s**2 * (c - u), "What does the prompt add"),
        (lambda u, c, s: u + 3 * (c - u), "at scale 0 it is not yet"),
        (lambda u, c, s: u + round(s) * (c - u), "at scale 1.5 it is not yet"),
        (lambda u, c, s: u + int(s) * (c - u), "at scale 1.5 it is not yet"),
        (lambda u, c, s: u + min(s, 3) * (c - u), "at scale 7.5 it is not yet"),
        (lambda u, c, s: u + (s - 1) * (c - u), "one too few"),
        (lambda u, c, s: s * (u + c), "at scale 0 it should be uncond"),
        (lambda u, c, s: u + (c - u) / s, "multiply"),
        (lambda u, c, s: s * u + c, "which of the two"),
        (lambda u, c, s: c - s * (c - u), "swapped"),
        (lambda u, c, s: s * u + (1 - s) * c, "swapped"),
        (lambda u, c, s: s * (u + (c - u)), "the noise as well"),
        (lambda u, c, s: u + s * (c - u).abs(), "the sign of each difference"),
        (lambda u, c, s: (c - u).norm(), "shape"),
        (lambda u, c: u, "TypeError"),
    ],
    "08.2": [
        (lambda o, s: right_amplify(o[len(o) // 2 :], o[: len(o) // 2], s), "your friend's"),
        (lambda o, s: right_amplify(*o.chunk(2), -s), "the sign is not"),
        (lambda o, s: right_amplify(o[::2], o[1::2], s), "every other one"),
        (lambda o, s: right_amplify(o[1::2], o[::2], s), "every other one"),
        (lambda o, s: right_amplify(*o.chunk(2), s + 1), "Start from uncond"),
        (lambda o, s: s * (o.chunk(2)[1] - o.chunk(2)[0]), "difference alone"),
        (lambda o, s: o.chunk(2)[1], "without any guidance"),
        (lambda o, s: o.chunk(2)[0], "without the prompt"),
        (lambda o, s: right_amplify(*o.chunk(2), 3), "at scale 0"),
        (lambda o, s: right_amplify(*o.chunk(2), round(s)), "at scale 7.5"),
        (lambda o, s: right_amplify(o[:2], o[2:4], s), "not for 3 pictures"),
        (lambda o, s: right_amplify(o[:2], o[-2:], s), "not for 3 pictures"),
        (lambda o, s: s * o.chunk(2)[1], "louder"),
        (lambda o, s: sum(o.chunk(2)) / 2, "middle between"),
        (lambda o, s: right_amplify(*o.chunk(2), s - 1), "one too few"),
        (lambda o, s: right_amplify(o[:1], o[1:2], s), "chunk the batch"),
        (lambda o, s: right_amplify(*o.flip(0).chunk(2), s), "your friend's"),
        (lambda o, s: right_amplify(*o.chunk(2, dim=2), s), "shape"),
        (lambda o, s: right_amplify(o, o, s), "chunk the batch"),
    ],
    "08.3": [
        (lambda ts, s, low, high: [s if low <= t <= high else 0 for t in ts], "without the prompt"),
        (lambda ts, s, low, high: [1 if low <= t <= high else s for t in ts], "are swapped"),
        (lambda ts, s, low, high: [0 if low <= t <= high else s for t in ts], "off is not 0"),
        (lambda ts, s, low, high: [low <= t <= high for t in ts], "says where"),
        (lambda ts, s, low, high: [s if low < t < high else 1 for t in ts], "bounds themselves"),
        (lambda ts, s, low, high: [s if low <= t < high else 1 for t in ts], "upper bound"),
        (lambda ts, s, low, high: [s if low < t <= high else 1 for t in ts], "lower bound"),
        (lambda ts, s, low, high: right_interval(sorted(ts), s, low, high), "noisiest first"),
        (lambda ts, s, low, high: [s] * len(ts), "every step"),
        (
            lambda ts, s, low, high: [s if low <= k <= high else 1 for k in range(len(ts))],
            "ever true",
        ),
        (lambda ts, s, low, high: [s if t <= high else 1 for t in ts], "the lower bound is not"),
        (lambda ts, s, low, high: [s if t >= low else 1 for t in ts], "the upper bound is not"),
        (lambda ts, s, low, high: [s for t in ts if low <= t <= high], "those inside alone"),
        (lambda ts, s, low, high: [t for t in ts if low <= t <= high], "the timesteps"),
        (lambda ts, s, low, high: [t if low <= t <= high else 1 for t in ts], "the timesteps"),
        (lambda ts, s, high, low: right_interval(ts, s, low, high), "ever true"),
        (lambda ts, s, low, high: [s if t in (low, high) else 1 for t in ts], "all that lie"),
        (
            lambda ts, s, low, high: [s if low <= 999 - t <= high else 1 for t in ts],
            "one by one",
        ),
        (
            lambda ts, s, low, high: [s if k in (2, 3, 4, 5) else 1 for k in range(len(ts))],
            "all four",
        ),
        (lambda ts, s, low, high: [6 if low <= t <= high else 1 for t in ts], "all four"),
        (lambda ts, s, low, high: [s if 401 <= t <= 701 else 1 for t in ts], "all four"),
        (lambda ts, s, low, high: right_interval(ts, int(s), low, high), "do not round"),
        (lambda ts, s, low, high: right_interval(ts, s, low, high + 1), "next to the bounds"),
        (lambda ts, s, low, high: right_interval(ts, s, low - 1, high), "next to the bounds"),
        (lambda ts, s, low, high: [s if low <= t <= high else None for t in ts], "is a number"),
        (lambda ts, s, low, high: s, "shape"),
        (lambda ts, s: [s] * len(ts), "TypeError"),
    ],
    "13.1": [
        (lambda W, A, B, s: W + B @ A, "s is missing"),
        (lambda W, A, B, s: s * B @ A, "Where is W itself"),
        (lambda W, A, B, s: B @ A, "without s"),
        (lambda W, A, B, s: W, "unchanged"),
        (lambda W, A, B, s: s * (W + B @ A), "for the change only"),
        (lambda W, A, B, s: s * W + B @ A, "and not for W"),
        (lambda W, A, B, s: (1 - s) * W + s * B @ A, "all of its weight"),
        (lambda W, A, B, s: W + s / len(A) * B @ A, "do not use the rank"),
        (lambda W, A, B, s: W - s * B @ A, "the sign"),
        (lambda W, A, B, s: W + s * B @ (s * A), "comes once"),
        (lambda W, A, B, s: A @ W.T, "shape of W"),
        (lambda W, A, B, s: W + 0.7 * B @ A, "another strength"),
        (lambda W, A, B, s: W.add_(s * B @ A), "W itself was changed"),
        (lambda W, A, B, s: W + s * A @ B, "RuntimeError"),
        (lambda W, A: W, "TypeError"),
    ],
    "13.2": [
        (lambda e, k, w: e.mean(), "plain mean"),
        (lambda e, k, w: ((~k + w * k) * e).mean(), "a mean for each kind"),
        (lambda e, k, w: ((~k + w * k) * e).sum(), "those are sums"),
        (lambda e, k, w: e[~k].mean() + e[k].mean(), "the weight of the known ones"),
        (lambda e, k, w: e[k].mean() + w * e[~k].mean(), "swapped"),
        (lambda e, k, w: w * (e[k].mean() + e[~k].mean()), "the known ones only"),
        (lambda e, k, w: (1 - w) * e[~k].mean() + w * e[k].mean(), "full weight"),
        (lambda e, k, w: e[~k].mean(), "without the known ones"),
        (lambda e, k, w: e[~k].mean() - w * e[k].mean(), "the sign"),
        (lambda e, k, w: (e[~k].mean() + w * e[k].mean()) / 2, "divide by two"),
        (lambda e, k, w: e[~k].mean() + 0.4 * e[k].mean(), "another one"),
        (lambda e, k, w: e[~k].mean() + w * e[k].mean(), "none of one kind"),
        (lambda e, k: e, "TypeError"),
    ],
    "12.1": [
        (lambda r, n: around(r / n, 1.96 * (r / n * (1 - r / n) / n) ** 0.5), "simple interval"),
        (
            lambda r, n: around(r / n, wilson_parts(r, n)[2] / wilson_parts(r, n)[3]),
            "nearer to one half",
        ),
        (lambda r, n: around(r / n, wilson_parts(r, n)[2]), "nearer to one half"),
        (
            lambda r, n: around(sum(wilson_parts(r, n)[:2]), wilson_parts(r, n)[2]),
            "the denominators",
        ),
        (
            lambda r, n: around(
                sum(wilson_parts(r, n)[:2]), wilson_parts(r, n)[2] / wilson_parts(r, n)[3]
            ),
            "The middle is not yet",
        ),
        (
            lambda r, n: around(
                sum(wilson_parts(r, n)[:2]) / wilson_parts(r, n)[3], wilson_parts(r, n)[2]
            ),
            "The half width is not yet",
        ),
        (
            lambda r, n: around(
                np.mean(right_wilson(r, n)),
                1.96 * (r / n * (1 - r / n) / n) ** 0.5 / wilson_parts(r, n)[3],
            ),
            "under the root",
        ),
        (
            lambda r, n: around(
                np.mean(right_wilson(r, n)), wilson_parts(r, n)[2] / 1.96 / wilson_parts(r, n)[3]
            ),
            "z times the root",
        ),
        (lambda r, n: [n * end for end in right_wilson(r, n)], "numbers of answers"),
        (lambda r, n: [100 * end for end in right_wilson(r, n)], "percent"),
        (lambda r, n: right_wilson(r, n)[::-1], "first the low end"),
        (lambda r, n: right_wilson(n - r, n), "the wrong answers"),
        (lambda r, n: [0.5], "Give two"),
        (lambda r, n: 0.5, "Give two"),
        (
            lambda r, n: (np.mean(right_wilson(r, n)), np.ptp(right_wilson(r, n)) / 2),
            "the half width",
        ),
        (lambda r, n: right_wilson(7, 10), "for 10 of 10"),
        (lambda r, n: right_wilson(r, 10), "for 0 of 4"),
        (lambda r, n: np.round(right_wilson(r, n), 2), "do not round"),
        (lambda r, n: wilson_with(r, n, 2), "Is z = 1.96"),
        (lambda r, n: around(r / n, (r / n * (1 - r / n) / n) ** 0.5), "Where is z"),
        (lambda n, r: right_wilson(r, n), "root of a negative"),
        (lambda r, n: right_wilson(r // n, n), "not yet right"),
        (lambda r: (0, 1), "TypeError"),
    ],
    "12.2": [
        (lambda n, f, m, g: 2 * g - f, "twice n1"),
        (lambda n, f, m, g: (f + g) / 2, "too large as well"),
        (lambda n, f, m, g: (n * f + m * g) / (n + m), "below both"),
        (lambda n, f, m, g: g, "biased still"),
        (lambda n, f, m, g: g + (f - g) / (1 / n - 1 / m) / m, "so take it off"),
        (lambda n, f, m, g: min(f, g), "biased still"),
        (lambda n, f, m, g: (f - g) / (1 / n - 1 / m), "that is c"),
        (lambda n, f, m, g: (f - g) / (1 / n - 1 / m) / m, "bias at n2"),
        (lambda n, f, m, g: (f - g) / (1 / n - 1 / m) / n, "bias at n1"),
        (lambda n, f, m, g: g - (f - g) / (m - n) * m, "straight line"),
        (lambda n, f, m, g: (m * f - n * g) / (m - n), "which n"),
        (lambda n, f, m, g: (n * f - m * g) / (m - n), "the sign"),
        (lambda n, f, m, g: f - g, "has fallen"),
        (lambda n, f, m, g: 7, "two equations"),
        (lambda n, f, m, g: 5.25, "two equations"),
        (lambda n, f, m, g: m * g - n * f, "too large"),
        (lambda n, f, m, g: (m * g - n * f) / (m + n), "what is the factor of truth"),
        (lambda n, f, m, g: round((m * g - n * f) / (m - n)), "do not round"),
        (lambda n, f, m, g: round((m * g - n * f) / (m - n), 1), "do not round"),
        (lambda n, f, m, g: max(0, (m * g - n * f) / (m - n)), "as it comes"),
        (lambda n, f, m, g: round((m * g - n * f) / (m - n), 2), "Solve them"),
        (lambda n, f, m, g: abs(m * g - n * f) / abs(m - n), "as it comes"),
        (lambda n, f, m, g: (250 * g - n * f) / (250 - n), "two equations"),
        (lambda n, f, m, g: [f, g], "one number"),
        (lambda n, f: f, "TypeError"),
    ],
    "12.3": [
        (lambda *a: right_copied(*a, over=torch.sum), "how many"),
        (lambda *a: 100 * right_copied(*a), "percent"),
        (lambda made, own, fresh: right_copied(made, own, fresh[:, :1]), "only the first"),
        (lambda *a: right_copied(*a, over=lambda hits: hits), "says which"),
        (lambda *a: right_copied(*a, over=lambda hits: 1 - hits), "which are not"),
        (lambda *a: 1 - right_copied(*a), "not nearer"),
        (lambda *a: right_copied(*a, take=lambda far: far.mean(1)), "on average"),
        (lambda *a: right_copied(*a, take=lambda far: far.amax(1)), "nearer than one"),
        (
            lambda m, o, f: (
                ((m - o).norm(dim=1)[:, None] < (m[:, None] - f).norm(dim=2)).float().mean()
            ),
            "by itself",
        ),
        (lambda *a: right_copied(*a, take=lambda far: far.min()), "of its row"),
        (lambda m, o, f: (m - o).norm(dim=1)[:3], "shape"),
        (lambda m, o, f: right_copied(m, o, f[:, -1:]), "only the last"),
        (
            lambda m, o, f: (
                ((m - o).norm(p=1, dim=1) < (m[:, None] - f).norm(p=1, dim=2).amin(1)).float()
            ).mean(),
            "summed squares",
        ),
        (
            lambda m, o, f: (
                (torch.cosine_similarity(m, o) > torch.cosine_similarity(m[:, None], f, 2).amax(1))
                .float()
                .mean()
            ),
            "directions alone",
        ),
        (
            lambda m, o, f: ((m * o).sum(1) > (m[:, None] * f).sum(2).amax(1)).float().mean(),
            "bright pictures",
        ),
        (lambda m, o, f: right_copied(m, o, f.mean(1, keepdim=True)), "no picture"),
        (
            lambda m, o, f: (
                ((m - o).norm(dim=1) < (o[:, None] - f).norm(dim=2).amin(1)).float().mean()
            ),
            "compared with `made`",
        ),
        (lambda m, o, f: right_copied(m, o, f) * len(m) / 40, "not for 7"),
        (lambda m, o, f: 0.45, "a perfect copy"),
        (lambda *a: right_copied(*a, take=lambda far: far.median(1).values), "than half of"),
        (
            lambda m, o, f: (
                (torch.cdist(m, o).amin(1) < (m[:, None] - f).norm(dim=2).amin(1)).float().mean()
            ),
            "one training picture of its own",
        ),
        (
            lambda m, o, f: (
                ((m - o).norm(dim=1) < torch.cdist(m, f.flatten(0, 1)).amin(1)).float().mean()
            ),
            "fresh ones of its own: compare row by row",
        ),
        (lambda m, o, f: right_copied(m, o, f[:, :4]), "not for six"),
        (lambda m, o, f: 0.123, "the smallest"),
        (lambda m, o: 0, "TypeError"),
    ],
    "11.1": [
        (10.5, "half"),
        (11, "rounded"),
        (9, "not the gaps"),
        (20, "skipped"),
        (19, "skipped"),
        (30, "noise alone"),
        (3, "ten steps of this lesson"),
        (350, "timesteps of the training"),
        (298, "where the loop starts"),
        (86, "divides by the strength"),
        (0.35, "the share"),
        (35, "percent"),
        (7, "share"),
    ],
    "11.2": [
        (lambda s, c, v, f: s[v.index(max(v))], "below the floor"),
        (lambda s, c, v, f: max((y + k, x) for x, k, y in zip(s, c, v))[1], "below the floor"),
        (lambda s, c, v, f: max((y, x) for x, k, y in zip(s, c, v) if k <= f - 0.01)[1], "below"),
        (
            lambda s, c, v, f: max((k, x) for x, k, y in zip(s, c, v) if y >= f)[1],
            "for content, not for style",
        ),
        (lambda s, c, v, f: max(y for k, y in zip(c, v) if k >= f), "that is a score"),
        (lambda s, c, v, f: max((y, k) for k, y in zip(c, v) if k >= f)[1], "that is a score"),
        (lambda s, c, v, f: [x for x, k in zip(s, c) if k >= f], "Give one"),
        (
            lambda s, c, v, f: max((y, x) for x, k, y in zip(s, c, v) if k >= f),
            "2 things came back",
        ),
        (lambda s, c, v, f: s[c.index(max(c))], "most style"),
        (lambda s, c, v, f: [x for x, k in zip(s, c) if k >= f][-1], "strongest"),
        (lambda s, c, v, f: next(x for x, k in zip(s, c) if k >= f), "more style"),
        (stops_at_the_first_failure, "behind the first"),
        (lambda s, c, v, f: s[best_of_allowed(c, v, f)], "shorter list"),
        (lambda s, c, v, f: best_of_allowed(c, v, f), "position"),
        (lambda s, c, v, f: min((y, x) for x, k, y in zip(s, c, v) if k >= f)[1], "least style"),
        (lambda s, c, v, f: 1, "position"),
        (lambda s, c, v, f: "0.9", "a text"),
        (lambda s, c, v, f: max((y, x) for x, k, y in zip(s, c, v) if k > f)[1], "exactly"),
        (lambda s, c, v, f: right_pick(s, c, v, 0.7), "use all four arguments"),
        (lambda s, c, v, f: 0.9, "use all four arguments"),
        (lambda s, c, v, f: s[8], "IndexError"),
        (lambda s, c, v, f: min((k, x) for x, k in zip(s, c) if k >= f)[1], "all four"),
        (lambda s, c, v, f: 0.33, "best allowed"),
        (lambda s, c: 0.3, "TypeError"),
        (0.3, "without calling"),
    ],
    "11.3": [
        (lambda m, p, k: m * p + (1 - m) * k, "wrong part"),
        (lambda m, k, p: m * k + (1 - m) * p, "wrong part"),
        (lambda m, p, k: m * k, "one of the two parts"),
        (lambda m, p, k: (1 - m) * p, "one of the two parts"),
        (lambda m, p, k: torch.where(m > 0, k, p), "a soft edge"),
        (lambda m, p, k: torch.where(m == 1, k, p), "a soft edge"),
        (lambda m, p, k: m.round() * k + (1 - m.round()) * p, "a soft edge"),
        (lambda m, p, k: m * k + p, "added up"),
        (lambda m, p, k: np.where(m > 0.5, k, p), "soft edge"),
        (lambda m, p, k: m * k - (1 - m) * p, "the sign"),
        (lambda m, p, k: (m * k + (1 - m) * p) / 2, "half of it"),
        (lambda m, p, k: (k + p) / 2, "half and half"),
        (lambda m, p, k: k, "keeps everything"),
        (lambda m, p, k: p, "paints everything"),
        (lambda m, p, k: m * (k - p), "only the change"),
        (lambda m, p, k: k.mul_(m).add_((1 - m) * p), "itself was changed"),
        (lambda m, p, k: (m * k + (1 - m) * p).sum(), "shape"),
        (lambda m, p, k: (m * k + (1 - m) * p)[:1], "shape"),
        (
            lambda m, p, k: torch.stack([m[i] * k[i] + (1 - m[i]) * p[i] for i in range(2)]),
            "IndexError",
        ),
        (lambda m, p, k: torch.tensor([[10, 3], [23.5, 22.5]]), "not for latents"),
        (lambda m, p, k: (m * k + (1 - m) * p).reshape(m.shape), "RuntimeError"),
        (lambda m, p, k: m * 7, "where the mask is 1"),
        (lambda m, p, k: 1 / 0, "ZeroDivisionError"),
    ],
    "14.1": [
        (lambda x, e, u, v: (e - x) / (u - v), "wrong way"),
        (lambda x, e, u, v: x - e, "that is the way"),
        (lambda x, e, u, v: e - x, "that is the way"),
        (lambda x, e, u, v: (x - e) * (u - v), "not multiplied"),
        (lambda x, e, u, v: (x - e) / u, "down to u = 0"),
        (lambda x, e, u, v: (x - e) / v, "where the step ends"),
        (lambda x, e, u, v: 2 * (x - e) / (u - v), "twice as fast"),
        (lambda x, e, u, v: (x - e) / (u - v) / 2, "half as fast"),
        (lambda x, e, u, v: e, "the place at the end"),
        (lambda x, e, u, v: x[0], "has shape (2,)"),
        (lambda x, e, u, v: x * 7, "way over time"),
        (lambda x, e, u, v: (x - e) / (0.8 - v), "not from 1 to 0.75"),
        (lambda x, e: x, "TypeError"),
    ],
    "14.2": [
        (lambda x, y, a, s, b, r: -(a * y - b * x) / (a * r - b * s), "the sign is wrong"),
        (lambda x, y, a, s, b, r: (y - b * x / a) / r, "stands in the formula twice"),
        (lambda x, y, a, s, b, r: (x - a * y) / s, "if y were the clean picture"),
        (lambda x, y, a, s, b, r: (x - y) / (s - r), "different factors"),
        (lambda x, y, a, s, b, r: (x - b * y) / s, "takes y for the clean picture"),
        (lambda x, y, a, s, b, r: y - b * x / a, "Divide by its factor"),
        (lambda x, y, a, s, b, r: a * y - b * x, "Divide by its factor"),
        (lambda x, y, a, s, b, r: (a * y - b * x) / (a * r + b * s), "a sign in the factor"),
        (lambda x, y, a, s, b, r: (a * y - b * x) / (r - b * s), "not multiplied by a"),
        (lambda x, y, a, s, b, r: (y - b * x / a) / (r - b * s), "divided by a as well"),
        (lambda x, y, a, s, b, r: x[:1], "has shape (1, 2)"),
        (lambda x, y, a, s, b, r: x * 7, "Does it give y"),
        (
            lambda x, y, a, s, b, r: (a * y - b * x) / (a * r - b * s) * (1 if r else 2),
            "y is the clean picture",
        ),
        (lambda x, y: x, "TypeError"),
    ],
    "14.3": [
        (lambda t, b, a: t / (b - a), "a part of a picture"),
        (lambda t, b, a: t // (b - a), "a little less is saved"),
        (lambda t, b, a: t / b, "still takes some calls"),
        (lambda t, b, a: -(-t // b), "still takes some calls"),
        (lambda t, b, a: t / a, "fast pictures cost"),
        (lambda t, b, a: t * (b - a), "have to add up"),
        (lambda t, b, a: (b - a) / t, "upside down"),
        (lambda t, b, a: t / (b + a), "not the sum"),
        (lambda t, b, a: t * a / b, "difference of calls"),
        (lambda t, b, a: t // (b - a) + 2, "one picture too many"),
        (lambda t, b, a: 5, "does one picture save"),
        (lambda t, b, a: t // (b - a) + 1, "not for 1000, 12 and 2"),
        (lambda t: t, "TypeError"),
    ],
    "15.1": [
        (lambda x, v, u, n: x + (u - n) * v, "wrong way"),
        (lambda x, v, u, n: x - v, "whole unit"),
        (lambda x, v, u, n: x + v, "towards the noise"),
        (lambda x, v, u, n: x - u * v, "the clean point"),
        (lambda x, v, u, n: x - n * v, "where the step ends"),
        (lambda x, v, u, n: x + n * v, "where the step ends"),
        (lambda x, v, u, n: (n - u) * v, "way alone"),
        (lambda x, v, u, n: (1 - n) * x + n * v, "for the noise"),
        (lambda x, v, u, n: x + (n - u) / u * v, "No further factor"),
        (lambda x, v, u, n: x, "has not moved"),
        (lambda x, v, u, n: x[0], "has shape (2,)"),
        (lambda x, v, u, n: x * 7, "velocity times time"),
        (lambda x, v, u, n: x - 0.3 * v, "from 1 to 0.75"),
        (lambda x: x, "TypeError"),
    ],
    "15.2": [
        (lambda p: 1 / right_bend(p), "upside down"),
        (lambda p: right_bend(p) * (p[-1] - p[0]).norm(dim=1), "length of the path"),
        (lambda p: (p[-1] - p[0]).norm(dim=1), "How long was the path"),
        (lambda p: right_bend(p) / (len(p) - 1), "mean piece"),
        (
            lambda p: p.diff(dim=0).square().sum((0, 2)) / (p[-1] - p[0]).square().sum(1),
            "take the root",
        ),
        (lambda p: p.diff(dim=0).abs().sum((0, 2)) / (p[-1] - p[0]).abs().sum(1), "in a town"),
        (lambda p: right_bend(p[[0, -1]]), "nothing is left"),
        (lambda p: p.norm(dim=2).sum(0) / (p[-1] - p[0]).norm(dim=1), "middle of the plane"),
        (lambda p: (right_bend(p) - 1) * (p[-1] - p[0]).norm(dim=1), "How many times"),
        (lambda p: right_bend(p).mean(), "that is the mean"),
        (
            lambda p: p.diff(dim=0).norm(dim=2).sum() / (p[-1] - p[0]).norm(dim=1).sum(),
            "one number for all",
        ),
        (lambda p: right_bend(p) - 1, "should give 1"),
        (lambda p: right_bend(p)[:2], "one number each"),
        (lambda p: right_bend(p) * 7, "more than 1"),
        (lambda p, q: p, "TypeError"),
    ],
    "15.3": [
        (lambda u, s: s * u, "more than 1"),
        (lambda u, s: min(1, s * u), "half of the way"),
        (lambda u, s: s * u / (1 - u), "Turn it back"),
        (lambda u, s: u / (u + s * (1 - u)), "towards the picture"),
        (lambda u, s: s * u / (1 + s * u), "has to give 1"),
        (lambda u, s: s**2 * u / (1 - u + s**2 * u), "shift squared"),
        (lambda u, s: s**0.5 * u / (1 - u + s**0.5 * u), "root of shift"),
        (lambda u, s: u ** (1 / s), "is a power"),
        (lambda u, s: u**s, "is a power, and"),
        (lambda u, s: u, "nothing has moved"),
        (lambda u, s: 0.1, "before and after"),
        (lambda u, s: 0.75, "right for 0.5 and 3"),
        (lambda u, s: 3 * u / (1 + 2 * u), "not for 0.5 and 2"),
        (lambda u: 3.0, "TypeError"),
    ],
    "16.1": [
        (lambda z, n, a, b: (z - (1 - a) ** 0.5 * n) / a**0.5, "Mix the noise in again"),
        (lambda z, n, a, b: z, "nothing has moved"),
        (lambda z, n, a, b: b**0.5 * (z - (1 - a) ** 0.5 * n) / a**0.5, "is missing"),
        (lambda z, n, a, b: (1 - b) ** 0.5 * n, "The picture is missing"),
        (
            lambda z, n, a, b: (z - (1 - a) ** 0.5 * n) / a**0.5 + (1 - b) ** 0.5 * n,
            "a factor of the new level",
        ),
        (lambda z, n, a, b: b**0.5 * z + (1 - b) ** 0.5 * n, "Take the picture out first"),
        (lambda z, n, a, b: b * (z - 0.6 * n) / 0.8 + (1 - b) * n, "take its root"),
        (
            lambda z, n, a, b: b**0.5 * (z - (1 - a) * n) / a + (1 - b) ** 0.5 * n,
            "take its root",
        ),
        (
            lambda z, n, a, b: (1 - b) ** 0.5 * (z - 0.6 * n) / 0.8 + b**0.5 * n,
            "have changed places",
        ),
        (lambda z, n, a, b: b**0.5 * (z - 0.6 * n) / 0.8 - (1 - b) ** 0.5 * n, "the sign"),
        (lambda z, n, a, b: b**0.5 * (z + 0.6 * n) / 0.8 + (1 - b) ** 0.5 * n, "taken away"),
        (lambda z, n, a, b: b**0.5 * (z - 0.6 * n) + (1 - b) ** 0.5 * n, "divide by"),
        (lambda z, n, a, b: b**0.5 * (z - 0.6 * n) / 0.8 + 0.6 * n, "old level still"),
        (lambda z, n, a, b: 0.8 * (z - 0.6 * n) / 0.8 + (1 - b) ** 0.5 * n, "old level still"),
        (lambda z, n, a, b: right_step(z, n, b, a), "abar is where z is"),
        (lambda z, n, a, b: right_step(z, n, 0.64, 0.25), "right for one pair of levels"),
        (lambda z, n, a, b: right_step(z, n, a, b) + 1, "take the picture out"),
        (lambda z, n, a, b: right_step(z, n, a, b)[:2], "shape (2,)"),
        (step_in_place, "was changed"),
    ],
    "16.2": [
        (lambda old, new, p: new, "nothing was borrowed"),
        (lambda old, new, p: old[:, [k or 0 for k in p]], "None was taken for word 0"),
        (
            lambda old, new, p: torch.stack(
                [0 * new[:, j] if k is None else old[:, k] for j, k in enumerate(p)], 1
            ),
            "yours has none",
        ),
        (
            lambda old, new, p: torch.stack(
                [
                    new[:, j] if k is None else old[:, min(j, old.shape[1] - 1)]
                    for j, k in enumerate(p)
                ],
                1,
            ),
            "use partner[j]",
        ),
        (
            lambda old, new, p: torch.stack(
                [old[:, k] if k else new[:, j] for j, k in enumerate(p)], 1
            ),
            "is None",
        ),
        (lambda old, new, p: (right_mixed(old, new, p) + new) / 2, "mixes both"),
        (lambda old, new, p: right_mixed(old, new, p).T, "words as rows"),
        (lambda old, new, p: list(right_mixed(old, new, p).T), "give one tensor"),
        (lambda old, new, p: right_mixed(old, new, p)[:, :2], "shape (3, 2)"),
        (lambda old, new, p: right_mixed(old, new, p) + 1, "go through partner"),
        (
            lambda old, new, p: right_mixed(old, new, [0, None, 2, 1, 3][: new.shape[1]]),
            "one place and two words",
        ),
        (mixed_in_place, "was changed"),
    ],
    "16.3": [
        (lambda i, t, w: right_part(i, t, np.ones_like(w)), "over all pixels"),
        (lambda i, t, w: right_part(i, t, ~w), "outside the mask"),
        (
            lambda i, t, w: right_part(i * w[..., None], t * w[..., None], np.ones_like(w)),
            "count as right",
        ),
        (
            lambda i, t, w: 10 * np.log10(255**2 / ((i - t)[w].astype(float) ** 2).mean()),
            "have no minus",
        ),
        (lambda i, t, w: 10 * np.log10(255**2 / ((i[w] - t[w]) ** 2).mean()), "have no minus"),
        (lambda i, t, w: -right_part(i, t, w), "upside down"),
        (lambda i, t, w: right_part(i, t, w) / 10, "ten times the logarithm"),
        (lambda i, t, w: 2 * right_part(i, t, w), "10, not 20"),
        (lambda i, t, w: right_part(i, t, w) - 10 * np.log10(255), "is squared, too"),
        (lambda i, t, w: right_part(i, t, w) - 20 * np.log10(255), "not to 1"),
        (lambda i, t, w: right_part(i, t, w, np.log), "to base 10"),
        (
            lambda i, t, w: 10 * np.log10(255**2 / np.abs(i.astype(float) - t)[w].mean()),
            "square the differences",
        ),
        (
            lambda i, t, w: 10 * np.log10(255**2 / (i.astype(float) - t)[w].mean() ** 2),
            "first the square",
        ),
        (
            lambda i, t, w: 10 * np.log10(255**2 / ((i.astype(float) - t)[w] ** 2).sum()),
            "not their sum",
        ),
        (lambda i, t, w: ((i.astype(float) - t)[w] ** 2).mean(), "How many decibels"),
        (lambda i, t, w: right_part(i, t, w) + 1, "over the masked pixels only"),
        (
            lambda i, t, w: right_part(i, t, w) if w.sum() == 10 else 0.0,
            "right for one mask",
        ),
    ],
    "17.1": [
        (lambda p, k: np.cos(p - k).sum(), "How large is it by chance"),
        (lambda p, k: np.cos(p - k).mean(), "that is the mean"),
        (lambda p, k: np.cos(p - k).sum() / len(p) ** 0.5, "1/2, not 1"),
        (lambda p, k: np.cos(p - k).sum() / (len(p) / 2), "Take its root"),
        (lambda p, k: np.cos(p - k).sum() * (len(p) / 2) ** 0.5, "do not multiply"),
        (lambda p, k: np.cos(p - k).sum() / 118**0.5, "236 waves only"),
        (
            lambda p, k: np.cos(p - k).sum() / (np.cos(p - k).std() * len(p) ** 0.5),
            "spread that chance",
        ),
        (lambda p, k: right_z(p, k, np.sin), "Which function is 1"),
        (lambda p, k: (np.cos(p) - np.cos(k)).sum() / (len(p) / 2) ** 0.5, "cosine of the diff"),
        (lambda p, k: (np.cos(p) * np.cos(k)).sum() / (len(p) / 2) ** 0.5, "the product"),
        (lambda p, k: right_z(p, -k), "have added"),
        (lambda p, k: right_z(p, k, lambda x: x), "bare angles"),
        (lambda p, k: right_z(p, k, abs), "bare angles"),
        (lambda p, k: right_z(p, k, lambda x: abs(np.cos(x))), "without their signs"),
        (lambda p, k: right_z(p, k, lambda x: np.cos(x) ** 2), "squared"),
        (lambda p, k: right_z(p, k, lambda x: np.cos(np.radians(x))), "Do not convert"),
        (lambda p, k: right_z(p, k, lambda x: np.cos(np.degrees(x))), "wants radians"),
        (lambda p, k: -right_z(p, k), "is positive"),
        (lambda p, k: np.cos(p - k) / (len(p) / 2) ** 0.5, "Add them up"),
        (lambda p, k: right_z(p[:8], k[:8]), "for 236 waves"),
        (lambda p, k: 3.0, "for 8 waves"),
        (lambda p: 3.0, "TypeError"),
    ],
    "17.2": [
        (lambda y, n: (y[:, None] > n).mean(), "as lost"),
        (lambda y, n: (y[:, None] >= n).mean(), "as won"),
        (lambda y, n: 100 * metrics.auc(y, n), "percent"),
        (lambda y, n: metrics.auc(y, n) * len(y) * len(n), "how many pairs"),
        (lambda y, n: (y[:, None] > n).sum(), "how many pairs"),
        (lambda y, n: metrics.auc(n, y), "other way round"),
        (lambda y, n: 2 * metrics.auc(y, n) - 1, "not 0"),
        (lambda y, n: np.mean([a > b for a, b in zip(y, n)]), "each with each"),
        (lambda y, n: y.mean() - n.mean(), "difference of the means"),
        (lambda y, n: y.mean() > n.mean(), "compares the means"),
        (lambda y, n: (y > n.max()).mean(), "without any false alarm"),
        (lambda y, n: (y > n.mean()).mean(), "one threshold"),
        (lambda y, n: (y.mean() > n).mean(), "hides how much"),
        (
            lambda y, n: max((y >= x).sum() + (n < x).sum() for x in [*y, *n]) / (len(y) + len(n)),
            "best threshold",
        ),
        (lambda y, n: y[:, None] > n, "Take the mean"),
        (lambda y, n: metrics.auc(y[:7], n[:5]), "5 scores against 7"),
        (lambda y, n: 0.123, "7 scores against 5"),
        (lambda y: 0.5, "TypeError"),
    ],
    "17.3": [
        (90, "100 marked ones raise an alarm"),
        (99, "raise no alarm"),
        (1, "unmarked ones raise an alarm"),
        (10, "are missed"),
        (98.9, "one in 1,000 is"),
        (91.74, "the false ones"),
        (9.01, "over all alarms"),
        (9.1, "only 90 %"),
        (9.18, "only 90 %"),
        (0.0826, "is the share"),
        (0.1, "alarm or not"),
        (900, "how many alarms in all"),
        (10890, "Which part"),
        (9990, "false alarms"),
        (50, "shares of shares"),
        ("many", "ValueError"),
    ],
}


@pytest.mark.parametrize(
    "exercise_id, answer", [(e, a) for e, answers in RIGHT.items() for a in answers]
)
def test_right_answers_get_a_tick(exercise_id, answer, capsys):
    assert say(capsys, exercise_id, answer) == f"{exercise_id}: ✓ right."


@pytest.mark.parametrize(
    "exercise_id, answer, word", [(e, *a) for e, answers in WRONG.items() for a in answers]
)
def test_wrong_answers_get_the_fitting_hint(exercise_id, answer, word, capsys):
    line = say(capsys, exercise_id, answer)
    assert line.startswith(f"{exercise_id}: not yet. Hint: ") and word in line
    assert "\n" not in line


def test_a_function_that_gives_nothing_back_is_told_so(capsys):
    """A beginner prints the answer, or writes it into a variable, and has no `return`."""
    line = say(capsys, "01.3", lambda p, q: print(p / (p + q)))
    assert "begin with return" in line
    assert say(capsys, "01.3", lambda p, q: ...) == "01.3: not attempted yet."


@pytest.mark.parametrize("exercise_id", checks._checkers)
def test_stubs_count_as_not_attempted_and_junk_gives_no_traceback(exercise_id, capsys):
    for stub in (None, ..., lambda *a: None, lambda *a: ...):
        line = say(capsys, exercise_id, stub)
        assert "not attempted yet" in line or (exercise_id in NUMBERS and callable(stub))
    for junk in (
        "x",
        [],
        {},
        object(),
        float("nan"),
        lambda: 1,
        lambda *a: a,
        lambda *a: "text",
        np.zeros((3, 3)),
    ):
        assert "✓" not in say(capsys, exercise_id, junk)
    assert "expects" in say(capsys, exercise_id, 1, 2, 3)
    assert "not attempted yet" in say(capsys, exercise_id)


def test_these_tests_cover_every_checker():
    assert set(checks._checkers) == set(RIGHT) == set(WRONG)


def test_hints_get_more_direct_and_the_last_one_stays(capsys):
    lines = [say(capsys, "11.1", 7) for _ in range(4)]
    assert len(set(lines[:3])) == 3 and lines[3].startswith(lines[2])
    assert "cut the fraction off" in lines[2]
    assert lines[3].endswith('(checks.solution("11.1") shows the answer.)')
    assert "not attempted" in say(capsys, "11.1", None)
    assert say(capsys, "11.1", 7) == lines[3]  # a blank in between is no try


def test_each_mistake_has_its_own_hints(capsys):
    """Another mistake starts with its own first hint, however many tries there were before."""
    wrong = [lambda p, q: p, lambda p, q: p / q, lambda p, q: q / (p + q), lambda p, q: p - q]
    words = ["which share is real", "odds", "probability of fake", "never negative"]
    for answer, word in zip(wrong, words):
        assert word in say(capsys, "01.3", answer)
    for answer in wrong:  # the same mistakes again: the more direct hint
        assert "share is part over whole" in say(capsys, "01.3", answer)


@pytest.mark.parametrize("exercise_id, answers", WRONG.items())
def test_no_hint_is_the_answer(exercise_id, answers, capsys):
    """A hint that holds the line of code that solves the exercise would give it away."""
    checks.solution(exercise_id)
    code = capsys.readouterr().out
    if exercise_id == "00.1":
        given_away = [f"{job} is the {part}" for job, part in JOBS.items()]
    else:
        given_away = [
            line.partition("return ")[2] or line.partition("= ")[2].partition("  #")[0]
            for line in code.splitlines()
            if "return " in line or " = " in line
        ]
    assert given_away and all(given_away)
    for answer, _ in answers:
        hints = " ".join(say(capsys, exercise_id, answer) for _ in range(4))
        assert not [line for line in given_away if len(line) > 15 and line in hints]


def test_the_solution_is_shown_on_request(capsys):
    checks.solution("01.3")
    assert capsys.readouterr().out == ("def best_discriminator(p, q):\n    return p / (p + q)\n")
    checks.solution("99.9")
    assert "There is no exercise '99.9'" in capsys.readouterr().out


@pytest.mark.parametrize("exercise_id", checks._checkers)
def test_every_exercise_has_a_solution_to_show(exercise_id, capsys):
    checks.solution(exercise_id)
    code = capsys.readouterr().out
    assert code.strip() and "checks.check" not in code
    compile(code, exercise_id, "exec")


def test_without_the_repository_a_sentence_says_where_the_solutions_are(
    capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr(checks, "SOLUTIONS", tmp_path)
    checks.solution("01.3")
    assert "in the kit's repository" in capsys.readouterr().out


def test_a_cell_can_ask_whether_an_exercise_is_done(capsys):
    assert checks.done("11.1") is False
    assert "exercise 11.1. Run it again" in capsys.readouterr().out
    checks.check("11.1", 10)
    assert checks.done("11.1") is True
    checks.check("11.1", 7)
    assert checks.done("11.1") is False


def test_unknown_exercise_gives_the_known_ones(capsys):
    assert "11.1" in say(capsys, "99.9", 1)


def test_compare_prints_the_guess_beside_the_measured_value(capsys):
    checks.predict("structure kept", None)
    assert "No guess yet" in capsys.readouterr().out
    checks.compare("structure kept", 0.8123)
    assert capsys.readouterr().out == "structure kept: your guess none, measured 0.812\n"
    checks.predict("structure kept", 0.5)
    assert "0.5" in capsys.readouterr().out
    checks.compare("structure kept", np.float32(0.8123))
    assert capsys.readouterr().out == "structure kept: your guess 0.5, measured 0.812\n"
    checks.compare("structure kept", "none of these")
    assert capsys.readouterr().out.endswith("measured none of these\n")


def test_a_withdrawn_guess_is_forgotten(capsys):
    checks.predict("modes", 25)
    checks.predict("modes", None)
    checks.compare("modes", 9)
    assert "your guess none" in capsys.readouterr().out


def test_a_known_mistake_must_have_the_shape_of_the_answer():
    mistakes = [(1.0, "a number"), ([1.0, 1.0], "two numbers")]
    assert checks.match_mistake([1.0, 1.0], mistakes, "last") == ["two numbers", "last"]
    assert checks.match_mistake([2.0, 2.0], mistakes, "last") is None
