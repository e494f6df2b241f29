"""Checkers of lesson 00, start here."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sdkit import language
from sdkit.lessons.checks import Hints, NotAttempted, answer_of, exercise, match_mistake

JOBS = {
    "makes the photo small": "VAE encoder",
    "reads the prompt": "text encoder",
    "says what in the latents is noise": "UNet",
    "says how much of the noise to remove now": "scheduler",
    "makes pixels": "VAE decoder",
}


LAST = {
    "makes the photo small": "The photo goes in, and a small block of numbers comes out.",
    "reads the prompt": "Words go in, and numbers for the UNet come out.",
    "says what in the latents is noise": "It is the only network in the loop.",
    "says how much of the noise to remove now": "It has no parameters. It decides on the steps.",
    "makes pixels": "Clean latents go in, and a picture comes out.",
}


@exercise("00.1")
def _who(who: Any) -> Hints:
    """who: a dictionary from each job to the part of Stable Diffusion that does it."""
    if isinstance(who, dict):  # a translated lesson names the jobs in its own language
        who = {language.original(job): name for job, name in who.items()}
    if not isinstance(who, dict) or set(who) != set(JOBS):
        return [
            "keep the five jobs as they stand, and put a name to each.",
            "run the cell of the exercise again, and fill in one name for each None.",
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
    first = wrong[0]
    last = f"{LAST[first]} Which part is that? Look at its line in the table under the map."
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
        if wrong == [job for job in JOBS if job in pair] and {given[job] for job in pair} == {
            JOBS[job].casefold() for job in pair
        }:
            return [hint, last]
    twice = [part for name, part in parts.items() if list(given.values()).count(name) > 1]
    if twice:
        return [f"{twice[0]} is there more than once. Each part has one job here.", last]
    if len(wrong) == 2:
        return [f"two are swapped. One of them: who {first}?", last]
    return [
        f"{len(wrong)} of the five are wrong. The first of them: who {first}? Look at the map.",
        last,
    ]


@exercise("00.2")
def _latent_numbers(latent_numbers: Callable) -> Hints:
    """latent_numbers(width, height, f, channels): how many numbers the latents consist of."""
    answer = np.asarray(answer_of(latent_numbers, 512, 320, 4, 6), dtype=float)
    last = (
        "count the places first: how many in a row, how many rows? Both sides got shorter. "
        "Then: at each place there are several numbers."
    )
    places = 128 * 80
    mistakes = (
        (places, "those are the places. At each there are several numbers, the channels."),
        (512 * 320 * 3, "those are the numbers of the picture itself."),
        (512 * 320 * 6, "the sides get shorter: where is f?"),
        (512 * 320 // 4 * 6, "both sides get shorter, so f counts twice."),
        (places * 3, "latents do not have three colours at each place, but `channels` numbers."),
        (
            places * 3 * 6,
            "the three colours are gone: at each place there are `channels` numbers, no more.",
        ),
        (128 * 80 // 6, "multiply by the channels."),
        (512 * 4 * 320 * 4 * 6, "the sides get shorter: divide by f."),
        (512 // 4 * 320 * 6, "both sides get shorter, so f counts twice."),
        (
            512 * 320 // 64 * 6,
            "that divides by 64. Here f is 4, and there are two sides: divide by f twice.",
        ),
        (places * 4, "4 is f here, or the channels of Stable Diffusion. Use `channels`."),
        (places * 8, "8 channels are those of our VAE. Use `channels`."),
        (places + 6, "there are `channels` numbers at each place. You added them once."),
        ((512 + 320) // 4 * 6, "width times height gives the places. You added them."),
        (512 // 6 * (320 // 6) * 4, "f and channels have changed places."),
        (128 + 80 + 6, "those three are multiplied, not added."),
        (
            512 * 320 * 3 / (places * 6),
            "that is how many times fewer there are. How many are left?",
        ),
        (128 * 128 * 6, "the picture is not a square: its height counts, too."),
        (80 * 80 * 6, "the picture is not a square: its width counts, too."),
        (512 * 320 * 3 // 16, "that divides the colours of the picture. Count `channels` numbers."),
    )
    if answer.shape:
        return [f"give one number; that has shape {answer.shape}.", last]
    if hints := match_mistake(answer, mistakes, last, atol=0.5):
        return hints
    if answer != places * 6:
        return [
            "how many places are there in a row, how many rows, how many numbers at each place?",
            last,
        ]
    if answer_of(latent_numbers, 512, 512, 8, 4) != 64 * 64 * 4:
        return [
            "right for f = 4 and 6 channels, but not for f = 8 and 4: use all four arguments.",
            last,
        ]
    if answer_of(latent_numbers, 320, 768, 16, 5) != 20 * 48 * 5:
        return [
            "right for two cases, but not for 320 x 768 pixels, f = 16 and 5 channels: "
            "use all four arguments.",
            last,
        ]
    return None
