"""Checkers of lesson 00, start here."""

import numpy as np

from sdkit.lessons.checks import NotAttempted, answer_of, exercise, match_mistake

JOBS = {
    "makes the photo small": "VAE encoder",
    "reads the prompt": "text encoder",
    "says what in the latents is noise": "UNet",
    "says how much of the noise to remove now": "scheduler",
    "makes pixels": "VAE decoder",
}


@exercise("00.1")
def _who(who):
    """who: a dictionary from each job to the part of Stable Diffusion that does it."""
    if not isinstance(who, dict) or set(who) != set(JOBS):
        return [
            "keep the five jobs as they stand, and put a name to each.",
            "run the cell of the exercise anew, and fill in one name for each None.",
        ]
    if any(name is None or name is Ellipsis for name in who.values()):
        raise NotAttempted
    given = {job: " ".join(str(name).split()).casefold() for job, name in who.items()}
    parts = {part.casefold(): part for part in JOBS.values()}
    strange = [who[job] for job, name in given.items() if name not in parts]
    if strange:
        return [f"{strange[0]!r} is none of the five names. They are: {', '.join(JOBS.values())}."]
    wrong = [job for job, part in JOBS.items() if parts[given[job]] != part]
    if not wrong:
        return None
    last = f"the one that {wrong[0]} is the {JOBS[wrong[0]]}."
    for pair, hint in (
        (
            ("makes the photo small", "makes pixels"),
            "encoder and decoder are swapped: to encode is to make small, "
            "to decode is to bring back.",
        ),
        (
            ("says what in the latents is noise", "says how much of the noise to remove now"),
            "UNet and scheduler are swapped: one looks at the latents, the other one only counts.",
        ),
        (
            ("makes the photo small", "reads the prompt"),
            "the two encoders are swapped: one is for pictures, one for words.",
        ),
    ):
        if wrong == [job for job in JOBS if job in pair]:
            return [hint, last]
    return [
        f"{len(wrong)} of the five are wrong, the first: who {wrong[0]}? Look at the map.",
        last,
    ]


@exercise("00.2")
def _latent_numbers(latent_numbers):
    """latent_numbers(width, height, f, channels): how many numbers the latents consist of."""
    answer = np.asarray(answer_of(latent_numbers, 512, 384, 4, 8), dtype=float)
    last = "(width // f) * (height // f) * channels."
    places = 128 * 96
    mistakes = (
        (places, "those are the places. At each there are several numbers, the channels."),
        (512 * 384 * 3, "those are the numbers of the picture itself."),
        (512 * 384 * 8, "the sides get shorter: where is f?"),
        (512 * 384 // 4 * 8, "both sides get shorter, so f counts twice."),
        (places * 3, "latents do not have three colours at each place, but `channels` numbers."),
        (
            places * 3 * 8,
            "the three colours are gone: at each place there are `channels` numbers, no more.",
        ),
        (128 * 96 // 8, "multiply by the channels."),
        (512 * 4 * 384 * 4 * 8, "the sides get shorter: divide by f."),
    )
    if answer.shape:
        return [f"wanted is one number; that has shape {answer.shape}.", last]
    if hints := match_mistake(answer, mistakes, last, atol=0.5):
        return hints
    if answer != places * 8:
        return [
            "how many places are there in a row, how many rows, how many numbers at each place?",
            last,
        ]
    if answer_of(latent_numbers, 512, 512, 8, 4) != 64 * 64 * 4:
        return [
            "right for f = 4 and 8 channels, but not for f = 8 and 4: use all four arguments.",
            last,
        ]
    return None
