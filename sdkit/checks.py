"""The exercise checkers: ``check("11.1", answer)`` says "not attempted yet", gives a tick, or a fitting hint.

A checker is a function that returns None for a right answer and otherwise its hints, from gentle to direct; each
wrong try in a session gets the next. Checkers run the reader's code, so whatever it raises becomes a sentence.
`predict` keeps a guess that is made before a cell runs, and `compare` shows it beside what was measured.
"""

import inspect
from collections import Counter

import numpy as np
import torch

_checkers, _tries, _guesses = {}, Counter(), {}


def exercise(exercise_id):
    """Decorator: register a checker ``(answer, ...) -> None or sequence of hints`` under `exercise_id`."""
    def register(checker):
        _checkers[exercise_id] = checker
        return checker
    return register


def check(exercise_id, *answer):
    """Print what is to be said about an answer. Never raises, and returns nothing that a notebook would show."""
    checker = _checkers.get(exercise_id)
    if checker is None:
        print(f"There is no exercise {exercise_id!r}. Known here: {', '.join(sorted(_checkers))}.")
        return
    wanted = len(inspect.signature(checker).parameters)
    if not answer or any(part is None or part is Ellipsis for part in answer):
        print(f"{exercise_id}: not attempted yet.")
        return
    if len(answer) != wanted:
        print(f"{exercise_id}: expects {wanted} answer{'s' * (wanted > 1)}, got {len(answer)}.")
        return
    try:
        hints = checker(*answer)
    except NotAttempted:
        print(f"{exercise_id}: not attempted yet.")
        return
    except Exception as error:  # the reader's own function, or an answer of a kind that nobody thought of
        hints = [f"that stopped with {type(error).__name__}: {error}"]
    if hints is None:
        print(f"{exercise_id}: ✓ right.")
        return
    hints = [hints] if isinstance(hints, str) else list(hints)
    print(f"{exercise_id}: not yet. Hint: {hints[min(_tries[exercise_id], len(hints) - 1)]}")
    _tries[exercise_id] += 1


class NotAttempted(Exception):
    """A stub that still returns None or an Ellipsis."""


def predict(name, guess):
    """Keep a `guess` (number or text; None while there is none), made before the cell that measures it."""
    if guess is None or guess is Ellipsis:
        _guesses.pop(name, None)
        print("No guess yet. Put one in and run this cell again; it costs nothing to be wrong.")
    else:
        _guesses[name] = guess
        print(f"Your guess is kept: {guess}.")


def compare(name, measured):
    """Print what was `measured` beside the guess that `predict` kept under the same `name`."""
    guess = _guesses.get(name, "none")
    measured = f"{measured:.3g}" if isinstance(measured, (float, np.floating)) else measured
    print(f"{name}: your guess {guess}, measured {measured}")


def _call(function, *arguments):
    """What the reader's `function` answers; an unfinished stub counts as not attempted."""
    if not callable(function):
        raise TypeError("give the function itself, without calling it")
    answer = function(*arguments)
    if answer is None or answer is Ellipsis:
        raise NotAttempted
    return answer


@exercise("02.1")
def _noise_of_two_steps(variance):
    """Variance of the noise after two steps of beta = 0.36."""
    variance = float(variance)
    if abs(variance - 0.5904) < 0.002:
        return None
    last = "compute 1 - (1 - 0.36) * (1 - 0.36)."
    if abs(variance - 0.72) < 0.002:
        return ["nearly: variances add up, but the second step weakens what the first one added.", last]
    if abs(variance - 0.4096) < 0.002:
        return ["that is what is left of the picture's variance. How much is there for the noise?", last]
    if abs(variance - 0.36) < 0.002:
        return ["that is the second step's noise alone. Some of the first step's is left, too.", last]
    if abs(variance - 0.7684) < 0.002:
        return ["that is the noise's standard deviation. The variance is its square.", last]
    if abs(variance - 0.1296) < 0.002:
        return ["0.36 * 0.36 is less than one step brings. What is multiplied are the shares that are left.", last]
    return ["each step leaves 1 - beta of the picture's variance. What is left after two?",
            "picture and noise together always have variance 1.", last]


@exercise("02.2")
def _rebuild(rebuild):
    """rebuild(x_t, noise, abar): solve the jump for x0."""
    x0, noise = torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([[0.5, 1.0, -1.5]])
    abar = torch.tensor(0.36)
    x_t = 0.6 * x0 + 0.8 * noise
    answer = np.asarray(_call(rebuild, x_t, noise, abar), dtype=float)
    last = "(x_t - (1 - abar) ** 0.5 * noise) / abar ** 0.5."
    for wrong, hint in (
        (x_t - noise, "there is not a whole noise in x_t, and the picture in it is weakened."),
        (x_t - 0.8 * noise, "the noise is out. But the picture is still weakened: which factor stands before x0?"),
        ((x_t - 0.64 * noise) / 0.36, "the factors are square roots: abar is a variance."),
        ((x_t - 0.8 * noise) / 0.36, "the factor before x0 is the square root of abar, not abar itself."),
        ((x_t - 0.8 * noise) / 0.8, "divided by the factor before the noise. Take the one before x0."),
        (x_t / 0.6 - 0.8 * noise, "the noise was subtracted after the division. Subtract first, then divide the rest."),
        ((x_t - 0.6 * noise) / 0.8, "the two factors are swapped: abar belongs to the picture."),
    ):
        if answer.shape == wrong.shape and np.allclose(answer, wrong, atol=1e-5):
            return [hint, last]
    if answer.shape != x0.shape:
        return [f"the answer has shape {answer.shape}, the picture has {tuple(x0.shape)}.", last]
    if np.allclose(answer, x0, atol=1e-5):
        return None
    return ["write down the line of add_noise and solve it for x0, as in school.",
            "first take the noise's part away, then undo the weakening.", last]


@exercise("02.3")
def _shifted(shifted):
    """shifted(abar, size, base=64): the SNR times (base / size)^2."""
    abar = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64)
    answer = np.asarray(_call(shifted, abar, 256, 64), dtype=float)
    snr = (abar / (1 - abar)).numpy()
    if answer.shape != snr.shape:
        return [f"the answer has shape {answer.shape}, abar has {snr.shape}.",
                "everything goes elementwise: nothing is summed up."]
    last = "snr = abar / (1 - abar) * (base / size) ** 2, then snr / (1 + snr)."
    for wrong, hint in (
        (snr / 16, "that is the new SNR, not yet abar. Turn it back."),
        (abar / 16, "abar itself was multiplied. It is the SNR, abar / (1 - abar), that must be."),
        (snr / 4 / (1 + snr / 4), "the side counts twice, for a picture has two of them: square the ratio."),
        (snr * 16 / (1 + snr * 16), "the wrong way round: a larger picture needs a lower SNR."),
        (abar, "nothing has changed: where do base and size come in?"),
    ):
        if np.allclose(answer, wrong):
            return [hint, last]
    if not np.allclose(answer, snr / 16 / (1 + snr / 16)):
        return ["three moves: abar to SNR, multiply, SNR back to abar.",
                "from snr = abar / (1 - abar) follows abar = snr / (1 + snr).", last]
    if not np.allclose(_call(shifted, abar, 64, 32), snr / 4 / (1 + snr / 4)):
        return ["right for a base of 64 and a size of 256, but not for others: use both arguments.", last]
    return None


@exercise("05.1")
def _times_fewer(times):
    """RGB numbers over latent numbers, for f = 8 and 16 channels."""
    times = float(times)
    if abs(times - 12) < 0.01:
        return None
    last = "a patch of 8 * 8 pixels has 3 * 8 * 8 numbers; compute 192 / 16."
    for wrong, hint in ((48, "that is for 4 channels. Here 16 are kept."),
                        (64, "that is how many times fewer positions. Count the channels, too."),
                        (4, "a pixel has three numbers, not one."),
                        (1.5, "the side shrinks by 8, so the area shrinks by 8 * 8."),
                        (1 / 12, "upside down: the picture's numbers over the latents'."),
                        (192, "those are the numbers in one patch. How many are left of them?"),
                        (8, "that is how much shorter the side gets. Count numbers: width, height, channels.")):
        if abs(times - wrong) < 0.01:
            return [hint, last]
    return ["take one patch of 8 x 8 pixels: how many numbers go in, how many come out?", last]


@exercise("05.2")
def _paste(paste):
    """paste(target, source, top, left, side, f=4): a square given in pixels, copied in latents."""
    source = torch.arange(1.0, 129).reshape(1, 2, 8, 8)
    target = -source
    wanted = target.clone()
    wanted[:, :, 2:4, 4:6] = source[:, :, 2:4, 4:6]
    given = target.clone()
    answer = torch.as_tensor(_call(paste, given, source, 8, 16, 8))
    last = "rows top // f to (top + side) // f, columns left // f to (left + side) // f, of target.clone()."
    if answer.shape != wanted.shape:
        return [f"the answer has shape {tuple(answer.shape)}, target has {tuple(wanted.shape)}.", last]
    if not torch.equal(given, target):
        return ["target itself was changed. Work on target.clone().", last]
    if not torch.equal(answer, wanted):
        changed = (answer != target).any(1)[0].nonzero().tolist()
        if not changed:
            return ["nothing has moved: are the pixel numbers divided by f?", last]
        if torch.equal(answer[:, :, 4:6, 2:4], source[:, :, 4:6, 2:4]) and len(changed) == 4:
            return ["rows and columns are swapped: top counts rows, which come first.", last]
        if torch.equal(answer, torch.where(wanted == target, 0, wanted)):
            return ["outside the square, target should be as before.", last]
        if len(changed) > 4 and changed[0] == [2, 4]:
            return ["the corner is right, the square is too large: side is in pixels, too.", last]
        return ["divide top, left and side by f; then it is a slice of rows and one of columns.", last]
    wanted = target.clone()
    wanted[:, :, 1:3, :2] = source[:, :, 1:3, :2]
    if not torch.equal(torch.as_tensor(_call(paste, target.clone(), source, 8, 0, 16, 8)), wanted):
        return ["right for f = 4, but not for f = 8: use the argument f.", last]
    return None


@exercise("05.3")
def _scaling_factor(scaling_factor):
    """scaling_factor(raw): one over the standard deviation of all raw latents."""
    raw = torch.tensor([0.0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 30, -20]).reshape(2, 2, 3, 1)
    answer = np.asarray(_call(scaling_factor, raw), dtype=float)
    last = "1 / raw.std()."
    if answer.shape:
        return [f"wanted is one number for all channels; that has shape {answer.shape}.", last]
    std = float(raw.std())
    for wrong, hint in ((std, "that is the spread itself. By what must it be multiplied to become one?"),
                        (1 / std ** 2, "that is one over the variance. Multiplying by c changes the deviation by c."),
                        (std ** 2, "that is the variance. Wanted is a factor that makes the deviation one."),
                        (1 / float(raw.mean()), "it is the spread that should become one, not the mean."),
                        (1 / float(raw.abs().max()), "one extreme value would decide. Take the spread of all."),
                        (1 / float(raw.square().mean() ** 0.5), "take the deviation from the mean.")):
        if np.isclose(answer, wrong):
            return [hint, last]
    if not np.isclose(answer, 1 / std, rtol=0.06):
        return ["after multiplying, the standard deviation of all numbers should be 1.", last]
    return None


@exercise("11.1")
def _steps_walked(steps):
    """Denoising steps at strength 0.35 with num_inference_steps = 30."""
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
        return ["30 would start from noise alone. Strength says which share of the way is walked.", last]
    return ["strength is the share of the num_inference_steps that is walked.",
            "multiply the two numbers and drop what stands behind the point.", last]


@exercise("11.2")
def _keep_the_face(pick_strength):
    """pick_strength(strengths, content, style, floor): most style among those with content >= floor."""
    strengths = [0.1, 0.3, 0.5, 0.7, 0.9]
    content = [0.95, 0.85, 0.70, 0.55, 0.72]
    style = [0.05, 0.60, 0.45, 0.90, 0.50]
    answer = _call(pick_strength, strengths, content, style, 0.7)
    if answer == 0.7:
        return ["the winner must also keep the face: content at least floor.",
                "throw out every strength with content < floor first, then look for the best style."]
    if answer == 0.1:
        return ["that one keeps the most content. Wanted is the most style among those that keep enough.",
                "compare style, not content, among the strengths with content >= floor."]
    if answer == 0.9:
        return ["the strongest one is not always the one with the most style: look at the style list.",
                "max(..., key=style) over the strengths with content >= floor."]
    if isinstance(answer, (int, np.integer)):
        return ["that looks like a position in the list. Return the strength that stands there.",
                "return strengths[i] instead of i."]
    if answer != 0.3:
        return [f"on a test list it returned {answer!r}, which is not the best allowed strength.",
                "keep the strengths with content >= floor; of those, return the one with the highest style.",
                "max((s, x) for x, c, s in zip(strengths, content, style) if c >= floor)[1]."]
    if _call(pick_strength, [0.2, 0.4], [0.9, 0.7], [0.1, 0.8], 0.7) != 0.4:
        return ["'at least floor' includes the floor itself.", "use >= and not >."]
    return None


@exercise("11.3")
def _blend(blend):
    """blend(mask, painted, kept): painted where mask is 0, kept where it is 1."""
    kept, painted = np.full((2, 2), 2.0), np.full((2, 2), 10.0)
    mask = np.array([[0.0, 1.0], [0.25, 1.0]])
    answer = np.asarray(_call(blend, mask, painted, kept), dtype=float)
    wanted = mask * kept + (1 - mask) * painted
    if answer.shape != wanted.shape:
        return [f"the answer has shape {answer.shape}, the latents have {wanted.shape}.",
                "multiply and add elementwise; nothing is summed up or picked out."]
    if np.allclose(answer, wanted):
        return None
    if np.allclose(answer, mask * painted + (1 - mask) * kept):
        return ["the wrong part is kept: where is the mask 1?",
                "swap the two: mask * kept + (1 - mask) * painted."]
    if np.allclose(answer, mask * kept + painted):
        return ["where the mask is 1, both are added up. What must painted be multiplied by?",
                "mask * kept + (1 - mask) * painted."]
    if np.allclose(answer, np.where(mask > 0.5, kept, painted)) or np.allclose(
            answer, np.where(mask > 0, kept, painted)):
        return ["right for masks of 0 and 1; but a soft edge (0.25) must mix the two.",
                "mask * kept + (1 - mask) * painted."]
    return ["where the mask is 1, take kept; where it is 0, take painted; in between, mix them.",
            "weigh kept with mask and painted with 1 - mask.", "mask * kept + (1 - mask) * painted."]
