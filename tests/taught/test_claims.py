"""The sentences of the lessons say what their stored outputs show.

docs/claims.md lists the claims. New weights or a new run may change an output so that a sentence is
no longer true; then a test here fails, and the sentence has to be corrected.
"""

import re

import nbformat
import numpy as np
import pytest

from sdkit import postcards
from sdkit.files import ROOT
from tests.normalise import NOTEBOOKS

START, GANS, FORWARD, REVERSE, SAMPLERS, LATENTS, TEXT, UNET, GUIDANCE = (
    "00_start_here",
    "01_gans",
    "02_forward_diffusion",
    "03_reverse_diffusion",
    "04_samplers",
    "05_vae_latents",
    "06_text_encoder",
    "07_unet_denoising",
    "08_guidance",
)
ASSEMBLED, ENLARGED, STYLE, MEASURES = (
    "09_assembled",
    "10_super_resolution",
    "11_style_transfer",
    "12_how_good",
)
MINE, FAST, STRAIGHT = "13_make_it_yours", "14_four_steps", "15_straight_roads"
EDIT, WHOSE = "16_edit", "17_whose_picture"
NUMBER = r"(-?[\d,]*\.?\d+)"
TABLE = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")


def printed(lesson, cell_id):
    """What a cell of a lesson has printed, as it is stored."""
    for cell in nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4).cells:
        if cell.id == cell_id:
            return "".join(output.get("text", "") for output in cell.outputs)
    raise KeyError(cell_id)


def numbers(lesson, cell_id, pattern):
    """All numbers where `pattern` fits the printed text; "#" in the pattern stands for a number."""
    pattern = re.sub(r" +", r"\\s+", pattern.replace("#", NUMBER))
    found = re.findall(pattern, printed(lesson, cell_id))
    assert found, f"{pattern} is not in the output of {cell_id}"
    rows = [row if isinstance(row, tuple) else (row,) for row in found]
    return [float(number.replace(",", "")) for row in rows for number in row]


def says(lesson, cell_id, *lines):
    text = printed(lesson, cell_id)
    return all(line in text for line in lines)


def dark_cheeks_found():
    """The share that the card of mini-sd names for faces with the darkest cheeks."""
    card = (ROOT / "data/models/mini-sd/README.md").read_text(encoding="utf-8")
    return float(re.search(r"of 26 with the darkest cheeks \| \| (0\.\d+)", card)[1])


def table_row(name, *cells):
    """A row of the table of layers in lesson 17."""
    return f"{name:22} " + "{:>10}{:>6}{:>10}{:>6}".format(*cells)


def edits_scored(column):
    """A column of the table of lesson 16, from the VAE's row to the last method."""
    names = ("truth through VAE", "redraw", "SDEdit", "inversion", "with maps", "and locally")
    row = r" # dB # dB # of 6"
    return [numbers(EDIT, "code-32", rf"(?m)^{name}{row}")[column] for name in names]


def along_edges(column):
    """A column of the table of edges in lesson 16: [scale 0, 0.5, 1, 2], in per cent."""
    rows = (rf"(?m)^{scale}" + " #%" * 4 for scale in ("0", "0.5", "1", "2"))
    return [numbers(EDIT, "code-lines-6", row)[column] for row in rows]


def by_steps(steps):
    """A row of the table of lesson 14: [steps, FLOPs, as asked, KID, diversity]."""
    return numbers(FAST, "code-10", rf"(?m)^\s*({steps}) # # of 48 # #")


def good_and_off(cell_id, name, count=2):
    """Shares of good points and distances to the teacher after a name in lesson 14."""
    return numbers(FAST, cell_id, rf"(?m)^\s*{name}\s" + r"[^\n\d]*#%[^\n\d]*#" * (count // 2))


WAYS = ("bicubic", "regression", "diffusion")
NIGHT = ("real", "real, night only")
SLOW_AND_QUICK = ("diffusion, 1 step", "diffusion")


def row_of_six(lesson, cell_id, name):
    """The six numbers after a name in a table over timesteps."""
    return numbers(lesson, cell_id, name + " #" * 6)


def shares(cell_id, steps):
    """The shares of good points (noise, v, velocity) in a table of lesson 15, for so many steps."""
    row = rf"(?m)^\s*{steps}" + r" [\d.]+ clouds, #%" * 3
    return numbers(STRAIGHT, cell_id, row)


def only(part, beginning):
    """The words of a part whose phrase in a plain caption begins so."""
    return [
        word for word in postcards.WORDS[part] if postcards.PHRASES[word][0].startswith(beginning)
    ]


CLAIMS = {
    # lesson 00
    "most-parameters-are-in-the-unet": lambda: (
        numbers(START, "code-23", r"measured #")[0] > 50
        and (lambda ours, theirs: theirs > 860 / 2)(*numbers(START, "code-23", r"UNet # #"))
    ),
    "latents-are-several-times-fewer": lambda: (
        numbers(START, "code-28", r"for each latent: #")[0] >= 4
    ),
    "steps-times-seconds": lambda: numbers(START, "code-36", r"measured #") == [4.8],
    # lesson 01
    "no-gan-covers-the-grid": lambda: (
        numbers(GANS, "code-25", r"grid: seeds that cover all modes at the end: # of 16") == [0]
    ),
    "d-gets-dark-where-points-gather": lambda: says(GANS, "code-landscape", "modes: True"),
    "modes-are-lost-again": lambda: says(GANS, "code-25", "which they once had: True"),
    "saturating-gradient-vanishes": lambda: says(
        GANS,
        "code-33",
        "smaller by more than 100: True",
        "larger by more than 10: True",
    ),
    "discriminator-forgets": lambda: says(
        GANS,
        "code-37",
        "last taught: True",
        "a tenth less or worse: True",
        "less than 2 in 10: True",
    ),
    "in-turn-four-times-a-round": lambda: (
        numbers(GANS, "code-44", r"comes back to 1 about # times a round") == [4]
    ),
    "no-pair-of-rates-works": lambda: numbers(GANS, "code-49", r"measured #") == [0],
    "twins-and-their-control": lambda: says(
        GANS, "code-52", "by more than 0.3: True", "by less than 0.001: True"
    ),
    "balloons-collapse": lambda: says(
        GANS, "code-62", "all 36 scenes: False", "of its pictures: False"
    ),
    "repairs-keep-modes-and-lose-quality": lambda: says(
        GANS,
        "code-71",
        "above plain: True",
        "above packing: True",
        "packing False",
        "WGAN-GP False",
    ),
    "wgan-gp-costs-six-times": lambda: 6 <= numbers(GANS, "code-69", r"measured #")[0] < 7,
    "reward-needs-more-samples": lambda: (
        lambda factors: factors == sorted(factors) and factors[-1] > 5000
    )(numbers(GANS, "code-77", r"\d+ 0\.\d+ 0\.\d+ #")),
    # lesson 02
    "variance-stays-one": lambda: set(numbers(FORWARD, "code-07", r"variance #")) == {1.0},
    "jump-equals-steps": lambda: numbers(FORWARD, "code-15", r"thousand steps: #") == [0],
    "a-mistake-is-multiplied": lambda: (
        lambda rows: all(abs(a - b) <= 0.01 * max(1, b) for a, b in zip(rows[::2], rows[1::2]))
    )(numbers(FORWARD, "code-20", r"error of the picture #, formula #")),
    "half-after-a-quarter": lambda: 200 < numbers(FORWARD, "code-13", r"measured #")[0] < 300,
    "terminal-snr": lambda: (
        numbers(FORWARD, "code-28", r"# dB 4\.0e-05")
        + numbers(FORWARD, "code-28", r"# dB 4\.7e-03")
        == [-43.9, -23.3]
    ),
    "six-db-a-doubling": lambda: (
        abs(numbers(FORWARD, "code-41", r"each doubling of the side: #")[0] - 6.02) < 0.5
    ),
    "brightness-can-be-read": lambda: (lambda spread, error: error < spread / 8)(
        numbers(FORWARD, "code-48", r"spread #")[0],
        numbers(FORWARD, "code-48", r"what is read: #")[0],
    ),
    # lesson 03
    "loss-is-the-best-possible": lambda: (
        len(set(numbers(REVERSE, "code-14", r"ours #, best possible #"))) == 1
    ),
    "ddpm-needs-its-noise-ddim-does-not": lambda: (
        numbers(REVERSE, "code-23", r"(?m)^DD.M(?:, perfect)? # of 25 modes") == [1, 25, 1, 25]
    ),
    "fresh-noise-repairs": lambda: (
        lambda ddim, perfect, walked: ddim < 95 <= min(perfect, walked)
    )(
        numbers(REVERSE, "code-23", r"DDIM 25 of 25 modes, high quality #%")[0],
        numbers(REVERSE, "code-23", r"DDIM, perfect 25 of 25 modes, high quality #%")[0],
        numbers(REVERSE, "code-21", r"walked back 25 of 25 modes, high quality #%")[0],
    ),
    "ddpm-takes-twice-as-much": lambda: all(
        1.9 < times < 2.1 for times in numbers(REVERSE, "code-taken", r"dB 0\.\d+ 0\.\d+ #")
    ),
    "every-seed-finds-every-mode": lambda: (
        numbers(REVERSE, "code-side-by-side", r"GAN # of 16, diffusion # of 16") == [0, 16]
    ),
    "scaling-helps-the-gan": lambda: says(REVERSE, "code-side-by-side", "help the GAN: True"),
    "corners-get-less-with-the-perfect-network": lambda: all(
        share < 4
        for share in numbers(REVERSE, "code-29", r"16 networks # %, the perfect network #")
    ),
    "a-lost-mode-costs-the-denoiser": lambda: (lambda all_25, only_24: only_24 > 5 * all_25)(
        *numbers(REVERSE, "code-lost", r"all modes #, knows 24 of 25 #")
    ),
    "a-lost-mode-costs-the-generator-little": lambda: (
        lambda all_25, only_24: 1 < only_24 / all_25 < 1.04
    )(*numbers(REVERSE, "code-lost", r"makes all modes #, makes 24 of 25 #")),
    "errors-do-not-add-up": lambda: (
        max(numbers(REVERSE, "code-36", r"(?m)^\s*\d+ # 0\.\d+$")) < 0.1
    ),
    "one-step-gives-the-mean": lambda: numbers(REVERSE, "code-41", r"1 step # 100%") == [1, 1],
    "ddim-needs-many-steps-too": lambda: (
        lambda five, ten, many: five < 25 and ten < 90 and many > 95
    )(
        numbers(REVERSE, "code-41", r"(?s)DDIM.* 5 steps #")[0],
        numbers(REVERSE, "code-41", r"(?s)DDIM.* 10 steps 25 #%")[0],
        numbers(REVERSE, "code-41", r"(?s)DDIM.* 200 steps 25 #%")[0],
    ),
    "v-follows-the-larger-error": lambda: (
        lambda rows: all(
            abs(v - max(eps, x0)) < 0.05 for eps, x0, v in zip(rows[::3], rows[1::3], rows[2::3])
        )
    )(numbers(REVERSE, "code-50", r"dB # # #")),
    "pictures-more-scenes-than-the-gan": lambda: says(
        REVERSE, "code-pictures-count", "than the GAN: True", "of its pictures: True"
    ),
    # lesson 04
    "network-is-the-bill": lambda: (lambda unet, step, decoder: unet > 100 * step)(
        *numbers(SAMPLERS, "code-03", r"# ms")
    ),
    "ddim-is-euler": lambda: numbers(SAMPLERS, "code-13", r"after 20 steps #") == [0, 0],
    "euler-has-order-one": lambda: 8 <= numbers(SAMPLERS, "code-18", r"measured #")[0] <= 13,
    "dpm-needs-fewer-steps": lambda: numbers(SAMPLERS, "code-26", r"measured #")[0] < 40,
    "dpm-needs-fewer-calls-on-the-network": lambda: (
        numbers(SAMPLERS, "code-37", r"measured #")[0] < 12
    ),
    "guidance-bends-the-beginning": lambda: (
        says(SAMPLERS, "code-bend-figure", "more guidance: True\nthe beginning", "guidance: True\n")
        and (lambda first, last: first < last)(
            *numbers(
                SAMPLERS, "code-bend", r"guidance 1: .* turns by # in the first steps, # at the end"
            )
        )
    ),
    "without-guidance-four-calls-are-near": lambda: (
        lambda one, fourteen: one < 10 and fourteen > 2 * one
    )(
        numbers(SAMPLERS, "code-bend", r"guidance 1: Euler with 4 calls off by #")[0],
        numbers(SAMPLERS, "code-bend", r"guidance 14: Euler with 4 calls off by #")[0],
    ),
    "uneven-levels-let-euler-win": lambda: all(
        (euler < dpm) == (name != "Karras")
        for name in ("leading", "even in t", "Karras")
        for euler, dpm in [numbers(SAMPLERS, "code-45", rf"{name} .* # #\n")]
    ),
    "karras-is-best-for-dpm": lambda: (
        says(SAMPLERS, "code-48", "measured Karras")
        and (lambda euler: max(euler) < 1.5 * min(euler))(
            numbers(SAMPLERS, "code-48", r"Euler # DPM")
        )
    ),
    "karras-has-even-steps": lambda: (lambda ratios: ratios[2] < 3 and min(ratios[:2]) > 6)(
        numbers(SAMPLERS, "code-49", r"by a factor of #")
    ),
    "fresh-noise-forgets-a-shove": lambda: (lambda away: away[0] > 2 * away[2])(
        numbers(SAMPLERS, "code-54", r"after a shove #")
    ),
    "fresh-noise-gives-style-and-takes-likeness": lambda: (
        lambda none, full, few_none, few_full: (
            none[1] < full[0]
            and none[2] < full[2]
            and few_full[0] <= few_none[1]
            and few_none[2] < few_full[2]
        )
    )(
        *(
            numbers(
                SAMPLERS,
                "code-58",
                rf"eta {eta}, {n} calls: van gogh 0\.\d+ \(seeds # to #\), # grey",
            )
            for n in (12, 2)
            for eta in (0, 1)
        )
    ),
    "a-seed-changes-more-than-calls": lambda: (lambda far, seeds: max(far[3:]) < seeds / 5)(
        numbers(SAMPLERS, "code-62", r"converged # # # # # #"),
        numbers(SAMPLERS, "code-62", r"12 calls: # grey")[0],
    ),
    "score-is-flat-from-five-calls": lambda: (lambda score: max(score[3:]) - min(score[3:]) < 0.06)(
        numbers(SAMPLERS, "code-62", r"van gogh score # # # # # #")
    ),
    # lesson 05
    "positions-and-pairs": lambda: (
        lambda f1, f4, f8: (f1 / f4, f1 / f8, (f1 / f4) ** 2, (f1 / f8) ** 2) == (16, 64, 256, 4096)
    )(*numbers(LATENTS, "code-06", r"\d+x #")),
    "vae-ahead-on-text-and-lines": lambda: (
        all(
            vae > shrunk
            for part in ("text", "lines")
            for vae, shrunk in [numbers(LATENTS, "code-22", rf"{part} VAE # dB, .*; shrunk # dB")]
        )
        and (lambda vae, shrunk: vae < shrunk - 0.2)(
            *numbers(LATENTS, "code-22", r"colours VAE .* SSIM #; .* SSIM #")
        )
    ),
    "statistics-carry-the-colour": lambda: (
        lambda card, alone, fixed: abs(fixed - card) < 4 < alone - card
    )(
        numbers(LATENTS, "code-lime", r"on the card \d+ # \d+")[0],
        numbers(LATENTS, "code-lime", r"alone \d+ # \d+")[0],
        numbers(LATENTS, "code-lime", r"card's statistics \d+ # \d+")[0],
    ),
    "pca-is-level-at-eight-numbers": lambda: (lambda vae, pca: abs(pca - vae) < 0.4)(
        *numbers(LATENTS, "code-29", r"VAE # dB, PCA # dB")
    ),
    "pca-fails-at-four-of-192": lambda: (
        lambda pca, seams, vae_seams: pca < 24.2 and seams > 4 and vae_seams < 1.1
    )(
        numbers(LATENTS, "code-larger", r"48 times fewer, PSNR # dB")[0],
        numbers(LATENTS, "code-larger", r"48 times fewer, PSNR .* seams #")[0],
        numbers(LATENTS, "code-larger", r"VAE, .* seams #")[0],
    ),
    "weak-channels-carry-the-damage": lambda: (
        lambda strong, weak, everywhere: weak < strong - 3 and weak - everywhere < 1
    )(
        numbers(LATENTS, "code-32", r"channels 0 to 2 alone: PSNR #")[0],
        numbers(LATENTS, "code-32", r"channels 3 to 7 alone: PSNR #")[0],
        numbers(LATENTS, "code-32", r"VAE error of the code 0\.5: seams .* PSNR #")[0],
    ),
    "a-latent-is-local": lambda: numbers(LATENTS, "code-36", r"28 × 28 pixels: #%")[0] >= 98,
    "pasting-changes-the-whole-picture": lambda: (
        (lambda inside, outside, contrast: inside > 30 > outside and contrast < 90)(
            numbers(LATENTS, "code-38", r"inside the patch, both agree to # dB")[0],
            numbers(LATENTS, "code-38", r"far outside, to # dB")[0],
            numbers(LATENTS, "code-38", r"contrast there #%")[0],
        )
        and says(LATENTS, "code-38", "to more than 80 dB: True")
    ),
    "latents-are-behind-by-about-12-db": lambda: all(
        10 <= behind <= 16 for behind in numbers(LATENTS, "code-50", r"behind by # # # dB")
    ),
    "the-cloud-is-thin": lambda: (
        numbers(LATENTS, "code-56", r"1 cloud widths: # dB to the picture")[0] > 50
    ),
    # lesson 06
    "rare-words-fall-into-letters": lambda: says(
        TEXT, "code-07", "a</w> lighthouse</w> by</w> the</w> sea</w>", "z e b r a</w>"
    ),
    "only-later-rows-change": lambda: (
        set(numbers(TEXT, "code-15", r"row [0-7] \S+ changes by #")) == {0}
        and min(numbers(TEXT, "code-15", r"row (?:8|9|10) \S+ changes by #")) > 1
        and numbers(TEXT, "code-15", r"measured #") == [40]
        and set(numbers(TEXT, "code-19", r"later rows #")) == {0}
    ),
    "end-looks-at-few-words": lambda: min(numbers(TEXT, "code-19", r"\(#% of its")) > 50,
    "order-reaches-the-rows-in-two-ways": lambda: (
        says(TEXT, "code-24", "the same tokens, sorted: True")
        and min(numbers(TEXT, "code-24", r"by #")) > 1
    ),
    "a-row-knows-its-word-and-end-forgets-the-place": lambda: (
        lambda own, end, place: set(own) == {1} and set(end) == {1} and place < 0.8
    )(
        numbers(TEXT, "code-28", r"(?:colour|thing|place|ground|time) [\d.]+ [\d.]+ # [\d.]+"),
        numbers(TEXT, "code-28", r"(?:colour|thing|ground|time) [\d.]+ [\d.]+ [\d.]+ #"),
        numbers(TEXT, "code-28", r"place [\d.]+ [\d.]+ [\d.]+ #")[0],
    ),
    "captions-give-parts-away-early": lambda: (
        [
            only(part, beginning)
            for part, beginning in (
                ("place", "on the "),
                ("place", "in the "),
                ("ground", "by the "),
                ("ground", "in a "),
                ("time", "by "),
            )
        ]
        + [[word for word in postcards.COLOURS if postcards.article(word)[:2] == "an"]]
        == [
            ["left", "right"],
            ["middle"],
            ["sea"],
            ["meadow"],
            ["day"],
            ["orange"],
        ]
    ),
    "loss-begins-at-ln-b": lambda: (lambda log, first: log < first < log + 0.5)(
        *numbers(TEXT, "code-36", r"ln 128 = #; the first step has #,")
    ),
    "cosine-follows-what-is-shared": lambda: (
        lambda cosines: len(cosines) == 6 and cosines == sorted(cosines)
    )(numbers(TEXT, "code-common", r"mean cosine #")),
    "padding-to-the-longest-saves-half": lambda: (
        numbers(TEXT, "code-36", r"last batch has # tokens")[0] < 48 / 2
    ),
    "words-count-and-fillers-do-not": lambda: (
        lambda rows: (
            rows[2] == rows[3] == rows[4]
            and rows[5] == rows[6]
            and all(
                rows[said][part] > rows[said - 1][part]
                for said, part in ((1, 0), (2, 1), (5, 2), (7, 3))
            )
        )
    )(
        (lambda row: [row[k : k + 4] for k in range(0, 32, 4)])(
            numbers(TEXT, "code-45", r"blue #, house #, snow #, night #")
        )
    ),
    "zero-shot-knows-ground-and-not-place": lambda: (
        lambda thing, colour, place, ground, time: (
            min(ground, time) > 98 and colour > 90 and 50 < thing < 75 and place < 50
        )
    )(*numbers(TEXT, "code-50", r"(?:thing|colour|place|ground|time) #%")),
    "noise-leaves-time-and-ground": lambda: (
        lambda thing, colour, place, ground, time: time > ground > colour > thing
    )(*numbers(TEXT, "code-in-noise", r"\w+, in noise #%")),
    "what-a-part-is-worth": lambda: (
        lambda colour, thing, place: (
            colour[0] < 0.3
            and colour[1] - thing[1] > 3 * (colour[0] - thing[0])
            and thing[1] - place[1] < 0.1
        )
    )(
        numbers(TEXT, "code-54", r"(?m)^time, ground, colour  # #"),
        numbers(TEXT, "code-54", r"(?m)^time, ground, colour, thing  # #"),
        numbers(TEXT, "code-54", r"(?m)^time, ground, colour, thing, place  # #"),
    ),
    "the-easiest-is-learned-first": lambda: (
        lambda thing, colour, ground, time: thing < 40 < colour < 80 and min(ground, time) > 95
    )(*numbers(TEXT, "code-51", r"yours: thing #% colour #% place \d+% ground #% time #%")),
    "not-is-not-read": lambda: (
        numbers(TEXT, "code-64", r"(?m)^not #%")[0] < 3
        and says(TEXT, "code-63", "'not': 0, 'two': 0")
    ),
    "left-and-right-are-guessed": lambda: (lambda low, high: low <= 50 <= high)(
        *numbers(TEXT, "code-64", r"left for right \d+% \(#% to #%\)")
    ),
    "two-is-no-number": lambda: (lambda two, pim, zib: two < 50 and pim <= two <= zib)(
        *numbers(TEXT, "code-64", r"for '\w+': two #%")
    ),
    "the-first-is-the-larger": lambda: (
        min(numbers(TEXT, "code-64", r"\w+ swapped #%")) > 80
        and numbers(TEXT, "code-66", r"first chosen #%")[0] > 80
    ),
    "typing-errors-are-read": lambda: all(
        shuffled < misspelled - 5 and misspelled > 70
        for misspelled, shuffled in zip(
            numbers(TEXT, "code-68", r"\w+, misspelled #%"),
            numbers(TEXT, "code-68", r"\w+, shuffled #%"),
        )
    ),
    "place-is-small-in-clips-rows": lambda: (
        lambda clip, ours, others: clip < 10 < 20 < ours and min(others) > 20
    )(
        *numbers(TEXT, "code-71", r"place left -> right # % # %"),
        numbers(TEXT, "code-71", r"(?:thing|colour|ground|time) \w+ -> \w+ # % # %"),
    ),
    "the-place-is-back": lambda: (lambda clip, ours: clip < 0.8 < 0.95 < ours)(
        *numbers(TEXT, "code-73", r"place # #")
    ),
    # lesson 07
    "text-comes-in-below-the-finest-level": lambda: says(
        UNET, "code-34", "10 cross-attentions, 6 of them at 8 × 8"
    ),
    "timesteps-differ": lambda: numbers(UNET, "code-11", r"at least #")[0] > 0.5,
    "a-lie-about-the-time-costs": lambda: (
        numbers(UNET, "code-15", r"least loss when told #") == [200, 500, 800]
        and min(numbers(UNET, "code-15", r"costs # times")) > 2
    ),
    "loss-falls-with-noise": lambda: (
        lambda losses: losses == sorted(losses, reverse=True) and losses[0] > 10 * losses[-1]
    )(row_of_six(UNET, "code-23", "loss, nothing cut")),
    "the-finest-skips-are-needed": lambda: all(
        loss * times > 0.7
        for loss, times in zip(
            row_of_six(UNET, "code-23", "loss, nothing cut"),
            row_of_six(UNET, "code-23", "skips at 16 × 16"),
        )
    ),
    "the-coarsest-level-matters-little": lambda: (
        lambda level, skips: (
            level[0] < 1.02 and 1.05 < level[-1] < 1.5 and all(abs(s - 1) < 0.03 for s in skips)
        )
    )(row_of_six(UNET, "code-23", "level 4 × 4"), row_of_six(UNET, "code-23", "skips at 4 × 4")),
    "text-matters-more-with-noise": lambda: (
        lambda none, wrong: (
            none[0] < 1.25 and none[-1] > none[0] and all(n < w for n, w in zip(none, wrong))
        )
    )(
        row_of_six(UNET, "code-23", "text: empty prompt"),
        row_of_six(UNET, "code-23", "text: another card's"),
    ),
    "ground-and-time-decide-in-thick-noise": lambda: (
        lambda thing, colour, place, ground, time: (
            min(ground, time) > 1.5 * max(thing, colour, place)
        )
    )(
        *(
            row_of_six(UNET, "code-28", rf"{part} wrong \(\+ %\)")[-1]
            for part in ("thing", "colour", "place", "ground", "time")
        )
    ),
    "colour-counts-before-the-place": lambda: (
        lambda colour, place: np.argmax(colour) < np.argmax(place) and place[0] < 5
    )(*(row_of_six(UNET, "code-28", rf"{part} wrong \(\+ %\)") for part in ("colour", "place"))),
    "most-attention-goes-to-no-word": lambda: (
        numbers(UNET, "code-38", r"START gets #%")[0]
        + numbers(UNET, "code-38", r"END gets #%")[0]
        + numbers(UNET, "code-38", r"padding together #%")[0]
        > 50
    ),
    "the-last-timestep-leaks": lambda: numbers(UNET, "code-31", r"999: .* image #%")[0] > 85,
    "maps-find-the-thing": lambda: (
        min(numbers(UNET, "code-41", r"t = +(?:50|200|400): .* \(#% to")) > 75
    ),
    "halves-follow-their-sentence": lambda: (
        numbers(UNET, "code-half-day", r"brighter on the left in # of 4")[0] >= 3
    ),
    "gradients-are-right": lambda: set(numbers(UNET, "code-49", r": #")) == {1.0},
    "plain-mean-hides-thick-noise": lambda: (
        lambda plain, weighted: plain[0] > 10 * plain[-1] and max(weighted) < 5 * min(weighted)
    )(
        row_of_six(UNET, "code-52", r"plain \(%\)"),
        row_of_six(UNET, "code-52", r"weighted \(%\)"),
    ),
    "the-small-network-learns": lambda: says(
        UNET, "code-60", "all six levels: True", "costs something: True"
    ),
    # lesson 08
    "the-prompt-helps-where-errors-are-small": lambda: (
        lambda rows, total: (
            all(a > b for a, b in zip(rows[1::2], rows[3::2]))
            and all(a < b for a, b in zip(rows[::2], rows[2::2]))
            and total < rows[1] / 1.5
        )
    )(
        numbers(GUIDANCE, "code-11", r"dB # [\d.]+ #%"),
        numbers(GUIDANCE, "code-11", r"all together [\d.]+ [\d.]+ #%")[0],
    ),
    "contrast-grows-with-the-scale": lambda: (lambda contrast: contrast == sorted(contrast))(
        numbers(GUIDANCE, "code-20", r"contrast # # # # # #")
    ),
    "a-perfect-network-needs-scale-1": lambda: (
        numbers(GUIDANCE, "code-28", r"measured #") == [1]
        and numbers(GUIDANCE, "code-28", r"hearing 1, scale 5 \d+ # \d+")[0] > 90
    ),
    "guidance-repairs-weak-hearing": lambda: (
        numbers(GUIDANCE, "code-28", r"hearing 0\.4, scale 2\.5 # # #")
        == numbers(GUIDANCE, "code-28", r"hearing 1, scale 1 # # #")
    ),
    "the-prompt-comes-in-below-1": lambda: (lambda none, one: none[1] < 20 and one[1] > 80)(
        *(numbers(GUIDANCE, "code-39", rf"scale {scale} #% #% \(") for scale in (0, 1))
    ),
    "the-end-of-the-dial-burns": lambda: (
        lambda first, last: last[0] < first[0] - 10 and last[1] > 1.5 * first[1]
    )(
        *(
            numbers(GUIDANCE, "code-39", rf"scale {scale} #% \d+% \(.*\) [\d.]+ #%")
            for scale in (1, 24)
        )
    ),
    "guidance-takes-variety": lambda: (lambda drawn, five: five < drawn)(
        *(
            numbers(GUIDANCE, "code-39", rf"{name} \d+% +\d+% \(.*\) #")[0]
            for name in ("drawn by code", "scale 5")
        )
    ),
    "variety-is-largest-without-the-prompt": lambda: (
        lambda diversity: len(diversity) == 8 and diversity[0] > max(diversity[1:])
    )(numbers(GUIDANCE, "code-39", r"(?m)^ scale [\d.]+ \d+% +\d+% \(.*\) #")),
    "guidance-doubles-the-calls": lambda: (
        numbers(GUIDANCE, "code-46", r"(?:never|always) .* #\n") == [1, 2]
    ),
    "early-guidance-takes-variety": lambda: (
        lambda never, early, middle, late: never - early > 0.05 and min(middle, late) > early + 0.05
    )(
        *(
            numbers(GUIDANCE, "code-46", rf"(?m)^ {name} \d+% +\d+% \(.*\) #")[0]
            for name in ("never", "early", "middle", "late")
        )
    ),
    "late-guidance-clips": lambda: (
        says(GUIDANCE, "code-46", "measured early")
        and (lambda never, late: late > 1.1 * never)(
            *(
                numbers(GUIDANCE, "code-46", rf"(?m)^ {name} \d+% +\d+% \(.*\) [\d.]+ #%")[0]
                for name in ("never", "late")
            )
        )
    ),
    "scale-trades-on-photographs": lambda: (lambda rows: rows[0] < rows[-2] and rows[1] > rows[-1])(
        numbers(GUIDANCE, "code-58", r"scale +[\d.]+: van gogh #, kept #")
    ),
    "not-brings-the-night": lambda: (
        lambda plain, said, negative: said > 50 and negative <= min(plain, said)
    )(
        *(
            numbers(GUIDANCE, "code-53", rf"(?m)^a house{name} \d+ #")[0]
            for name in ("", ", not at night", ", negative: night")
        )
    ),
    "one-call-is-half-the-work": lambda: (lambda once, twice: twice == 2 * once)(
        *numbers(GUIDANCE, "6c685f78", r"asked once #, asked twice #")
    ),
    "less-contrast-less-burn": lambda: (lambda burnt, rescaled: rescaled < burnt)(
        *(
            numbers(GUIDANCE, "code-63", rf"{name} \d+% +\d+% \(.*\) [\d.]+ #%")[0]
            for name in ("scale 24", "24, rescaled")
        )
    ),
    "a-loss-of-ones-own-steers": lambda: (
        lambda none, sky, clip: (
            sky[0] < none[0] - 0.3
            and abs(clip[1] - none[1]) < 0.2
            and clip[2] <= none[2] + 1
            and sky[2] > none[2]
            and sky[2] > clip[2]
        )
    )(
        *(
            numbers(
                GUIDANCE,
                "code-own",
                rf"{name}\s*: brightness of the sky #, cosine with night #, .* night in # of 6",
            )
            for name in ("no loss", "sky", "mini-clip")
        )
    ),
    # lesson 09
    "fifteen-lines-are-the-pipeline": lambda: (
        printed(ASSEMBLED, "code-09").count("the same to 1e-5: True") == 3
    ),
    "the-unet-has-the-work": lambda: (
        numbers(ASSEMBLED, "code-15", r"in the UNet: .* measured #")[0] > 85
    ),
    "a-scheduler-changes-least": lambda: (
        lambda scheduler, word, seed: 4 * scheduler < seed < word
    )(*numbers(ASSEMBLED, "code-22", r"mean difference #")),
    "held-out-sentences-come-right": lambda: (
        numbers(ASSEMBLED, "code-30", r"lies between # and")[0] > 0.3
    ),
    "outside-the-mask-nothing-changes": lambda: (
        set(numbers(ASSEMBLED, "code-37", r"outside #:")) == {0}
    ),
    "an-anagram-shows-two-things": lambda: (
        min(numbers(ASSEMBLED, "code-anagram-shown", r"in # of 6")) >= 4
    ),
    # lesson 10
    "one-small-picture-many-large-ones": lambda: (
        (lambda large, small: large > 10 and small == 0)(
            *numbers(ENLARGED, "code-5", r"large: # of 255, small: #")
        )
        and numbers(ENLARGED, "code-3", r"given: #; numbers wanted: #") == [12288, 16 * 12288]
    ),
    "regression-is-better-and-smooth": lambda: (
        lambda bicubic, regression: bicubic[0] < regression[0] and regression[1] < 100
    )(*(numbers(ENLARGED, "code-11", rf"{way} PSNR # dB sharpness #%") for way in WAYS[:2])),
    "upscaler-by-hand-is-the-library": lambda: says(ENLARGED, "code-16", "to 1e-5: True"),
    "diffusion-is-sharp-and-far": lambda: (
        lambda bicubic, regression, diffusion: (
            diffusion[0] < bicubic[0] < regression[0]
            and diffusion[1] > max(bicubic[1], regression[1])
        )
    )(*(numbers(ENLARGED, "code-19", rf"{way} PSNR # dB sharpness #%") for way in WAYS)),
    "two-seeds-disagree": lambda: (
        (lambda apart, truth: apart < truth + 0.5)(
            numbers(ENLARGED, "code-19", r"with each other to # dB")[0],
            numbers(ENLARGED, "code-19", r"diffusion PSNR # dB")[0],
        )
        and (lambda large, shrunk: large > 4 * shrunk)(
            *numbers(ENLARGED, "code-19", r"differ by # of 255, shrunk by #")
        )
    ),
    "strength-buys-sharpness-with-psnr": lambda: (
        lambda psnr, sharp: psnr == sorted(psnr, reverse=True) and sharp == sorted(sharp)
    )(
        numbers(ENLARGED, "code-23", r"(?:regression|strength [\d.]+) PSNR # dB"),
        numbers(ENLARGED, "code-23", r"(?:regression|strength [\d.]+) PSNR .* sharpness #%"),
    ),
    "the-second-judge-dislikes-invention": lambda: (
        lambda bicubic, regression, little, some, more, sharpest: (
            regression < 0.75 * bicubic
            and max(little, some) < regression + 0.005
            and sharpest > bicubic
        )
    )(*numbers(ENLARGED, "code-23", r"feature distance #")),
    "diffusion-has-the-right-details": lambda: (
        lambda bicubic, regression, *strengths: (
            min(strengths) == strengths[-1] < regression < bicubic
        )
    )(*numbers(ENLARGED, "code-detail", r"truths' by #")),
    "two-samples-predict-twelve": lambda: (
        lambda rows: all(abs(a - b) < 0.35 for a, b in zip(rows[::2], rows[1::2]))
    )(numbers(ENLARGED, "code-34", r"PSNR # dB, predicted #")),
    "the-mean-comes-close-to-regression": lambda: (
        lambda psnr, sharp, regression: (
            psnr == sorted(psnr)
            and sharp == sorted(sharp, reverse=True)
            and abs(psnr[-1] - regression) < 0.5
        )
    )(
        numbers(ENLARGED, "code-34", r"mean of \d+: PSNR # dB"),
        numbers(ENLARGED, "code-34", r"predicted .* sharpness #%"),
        numbers(ENLARGED, "code-34", r"regression: PSNR # dB")[0],
    ),
    "less-than-half-is-spread": lambda: (
        numbers(ENLARGED, "code-30", r"squared error, #% is spread")[0] < 50
    ),
    # lesson 11
    "noise-hides-detail-first": lambda: (
        lambda layout, detail: (
            all(low < high for low, high in zip(detail, layout))
            and detail == sorted(detail, reverse=True)
            and layout[3] > 0.9
            and detail[3] < 0.2
        )
    )(
        numbers(STYLE, "code-08", r"layout #, of the detail [\d.]+"),
        numbers(STYLE, "code-08", r"of the detail #"),
    ),
    "strength-1-keeps-a-trace": lambda: (
        numbers(STYLE, "code-08", r"strength 1.0: .* layout #, of")[0] > 0.3
    ),
    "loop-by-hand-is-the-pipeline": lambda: numbers(STYLE, "code-15", r"white is 1\): #") == [0],
    "content-falls-with-strength": lambda: (
        lambda content: content == sorted(content, reverse=True) and content[-1] < content[0]
    )(numbers(STYLE, "code-22", r"content #")),
    "strength-trades-content-for-style": lambda: (
        lambda content, style: content[-1] < content[0] and style[0] < style[-1]
    )(numbers(STYLE, "code-25", r"content #"), numbers(STYLE, "code-25", r"style #")),
    "same-seed-same-picture": lambda: says(STYLE, "code-43", "the same picture: True"),
    "a-note-does-not-last": lambda: (lambda before, after: before > after == 0)(
        *numbers(STYLE, "code-47", r"entries in the PNG: #; left after saving it as JPEG: #")
    ),
    # lesson 12
    "twelve-pairs-say-little": lambda: (lambda low, high: high - low > 40)(
        *numbers(MEASURES, "code-18", r" 1 players, .*\(#% to #%\)")
    ),
    "four-times-the-answers-half-the-width": lambda: (
        lambda five, twenty: 0.4 < (twenty[1] - twenty[0]) / (five[1] - five[0]) < 0.6
    )(
        numbers(MEASURES, "code-18", r" 5 players, .*\(#% to #%\)"),
        numbers(MEASURES, "code-18", r"20 players, .*\(#% to #%\)"),
    ),
    "the-machine-can-tell": lambda: (
        numbers(MEASURES, "code-23", r"diffusion: .* right, .*\(#% to")[0] > 80
    ),
    "the-decoder-alone-is-not-found": lambda: (lambda low, high: low < 50 < high)(
        *numbers(MEASURES, "code-23", r"through the VAE: .*\(#% to #%\)")
    ),
    "the-levels-hardly-trouble-the-machine": lambda: (
        lambda first, *others: len(others) == 2 and min(others) >= first - 10
    )(*numbers(MEASURES, "code-levels", r"right, #%")),
    "fid-falls-like-1-over-n": lambda: all(
        1.6 < larger / smaller < 2.4
        for fid in [numbers(MEASURES, "code-31", r"pictures: FID #")]
        for larger, smaller in zip(fid, fid[1:])
    ),
    "kid-is-near-0-at-every-n": lambda: (
        lambda rows: all(abs(mean) <= scatter for mean, scatter in zip(rows[::2], rows[1::2]))
    )(numbers(MEASURES, "code-31", r"KID # ± #")),
    "night-only-loses-recall": lambda: (
        lambda real, night: night[2] > real[2] - 0.05 and night[3] < real[3] / 2
    )(*(numbers(MEASURES, "code-40", rf"(?m)^{name} # # # #") for name in NIGHT)),
    "gan-has-precision-without-quality": lambda: says(
        MEASURES,
        "code-42",
        "by FID: True",
        "by KID: True",
        "diffusion's: True",
        "of real: True",
    ),
    "blur-keeps-precision": lambda: (
        numbers(MEASURES, "code-40", r"real, blurred [\d.]+ -?[\d.]+ #")[0] > 0.9
    ),
    "fine-print-sees-the-blur": lambda: (
        lambda real, blurred, made: (
            blurred[0] >= real[0] - 0.03 and max(blurred[1], made[1]) < real[1] - 0.1
        )
    )(
        *(
            numbers(MEASURES, "code-fine", rf"(?m)^{name} # #$")
            for name in ("real", "real, blurred", "diffusion")
        )
    ),
    "the-reader-reads-through-the-vae": lambda: (
        min(numbers(MEASURES, "code-46", r"by the VAE # # # # # #")) > 0.95
    ),
    "one-step-loses-things": lambda: (
        lambda one, many: (
            one[0] < many[0] - 0.05 and min(one[3:5]) > 0.95 and one[5] < many[5] - 0.05
        )
    )(*(numbers(MEASURES, "code-46", rf"(?m)^{name} # # # # # #") for name in SLOW_AND_QUICK)),
    "the-copier-is-found": lambda: (
        numbers(MEASURES, "code-53", r"the copying painter: # of 64 \(#%") >= [60, 90]
    ),
    # lesson 14
    "few-steps-keep-the-sentence-and-lose-variety": lambda: (
        (
            lambda many, four, two: (
                abs(four[2] - many[2]) <= 5 and many[4] > four[4] + 0.02 and four[4] > two[4]
            )
        )(*(by_steps(n) for n in (25, 4, 2)))
        and says(FAST, "code-10", "measured variety")
        and numbers(FAST, "code-12", "multiplied by #")[0] > 10
    ),
    "one-step-is-too-few": lambda: (
        lambda many, one: one[2] <= many[2] - 3 and one[3] > 1.5 * many[3] and one[3] > many[3]
    )(by_steps(25), by_steps(1)),
    "one-call-is-half-and-not-perfect": lambda: (
        numbers(FAST, "code-15", r"over one: #") == [2]
        and (lambda strong, middle, weak: 0.05 < strong < 0.5 < min(middle, weak))(
            *numbers(FAST, "code-15", r"changes, #")
        )
    ),
    "the-reader-hardly-notices": lambda: (
        (lambda two, one: abs(two - one) <= 4 and min(two, one) >= 16)(
            *numbers(FAST, "code-18", r"two calls # of 24, one call # of 24")
        )
        and (lambda apart, others: apart < 0.7 * others)(
            *numbers(FAST, "code-18", r"both ways: # grey levels apart; another noise: #")
        )
    ),
    "sixteen-steps-become-one": lambda: (
        lambda teacher, one: (
            teacher[2] - one[2] <= 15
            and one[0] <= 2
            and [good_and_off("code-28", n, 4)[3] for n in (8, 4, 2, 1)]
            == sorted(good_and_off("code-28", n, 4)[3] for n in (8, 4, 2, 1))
        )
    )(good_and_off("code-28", 16, 4), good_and_off("code-28", 1, 4)),
    "the-mean-and-the-judge": lambda: (
        lambda anywhere, pairs, control, judge, both: (
            anywhere[0] == 0
            and judge[0] > control[0] > pairs[0]
            and judge[1] > max(control[1], both[1])
            and both[0] > pairs[0]
        )
    )(*(good_and_off("code-37", name) for name in ("any", "pairs", "control", "judge", "both"))),
    "a-student-for-one-step-has-one-step": lambda: (
        lambda one, two, four: max(two, four) <= one + 2
    )(*numbers(FAST, "code-41", r"steps: #% #% #%")),
    # lesson 15
    "velocity-leads-on-its-own-levels": lambda: (
        all(
            velocity > max(noise, v) + 5
            for noise, v, velocity in (shares("code-18", n) for n in (4, 8))
        )
        and max(shares("code-18", 50)) - min(shares("code-18", 50)) <= 4
        and numbers(STRAIGHT, "code-20", "noise # dB # dB # dB # dB")[:2] == [-45, -22.4]
    ),
    "the-lead-is-in-the-levels": lambda: (
        all(
            noise >= velocity - 1 and abs(v - velocity) <= 3
            for noise, v, velocity in (shares("code-22", n) for n in (4, 8, 20, 50))
        )
        and abs(numbers(STRAIGHT, "code-22", r"exact: #%")[0] - shares("code-22", 4)[2]) <= 4
        and shares("code-22", 4)[0] > shares("code-22", 4)[2] + 5
    ),
    "only-the-reflow-straightens": lambda: (
        lambda three, reflow: max(three) - min(three) < 0.1 < min(three) and reflow[0] <= 0.01
    )(
        numbers(STRAIGHT, "code-27", r"says \w+ +S = #"),
        numbers(STRAIGHT, "code-27", r"after reflow S = #"),
    ),
    "the-walk-is-twice-as-long": lambda: (
        lambda first, reflow: 1.7 < first < 2.2 and reflow < 1.02
    )(*numbers("solutions/15_straight_roads", "code-08", r"have a bend above #")),
    "one-step-after-the-reflow": lambda: (
        lambda first, reflow, control: (
            first[0] == control[0] == 0
            and 65 <= reflow[0] <= 85
            and max(reflow[4], control[4]) < first[4]
            and says(STRAIGHT, "code-36", "8 of 8 clouds")
        )
    )(
        *(
            numbers(STRAIGHT, "code-35", name + " #%" * 5)
            for name in ("first walk", "after reflow", "control")
        )
    ),
    "pictures-need-an-answer-for-pure-noise": lambda: (
        says(STRAIGHT, "code-43", "clean in 4 steps: True", "clean in 20 steps: True")
        and (
            lambda mean, noise, velocity: (
                noise[-1] > 2 * mean[0] and velocity[-1] <= 1.2 * mean[0] and noise[0] <= 0.1
            )
        )(
            numbers(STRAIGHT, "code-46", r"postcards: off by #"),
            numbers(STRAIGHT, "code-46", r"UNet, noise #"),
            numbers(STRAIGHT, "code-46", r"UNet, velocity #"),
        )
    ),
    "the-unet-wins-at-this-size": lambda: (
        says(STRAIGHT, "code-55", "DiT in 20 steps: True")
        and (lambda unet, dit: abs(unet / dit - 1) < 0.02)(
            *numbers(STRAIGHT, "code-53", r"(?:UNet|DiT) # million FLOPs")
        )
    ),
    "the-shift-is-that-of-diffusers": lambda: (
        lambda rows: rows[::2] == rows[1::2] and len(rows) == 8
    )(numbers("solutions/15_straight_roads", "code-12", r"ours #, diffusers #")),
    # lesson 16
    "one-word-changes-and-the-rest-stays": lambda: says(
        EDIT,
        "code-05",
        "at night     the reader sees: house, red, left, sea, night",
        "in the snow  the reader sees: house, red, left, snow, sunset",
        "pink         the reader sees: house, pink, left, sea, sunset",
    ),
    "guidance-spoils-the-way-back": lambda: (
        lambda down: down == sorted(down, reverse=True) and down[0] > down[-1] + 6
    )(numbers(EDIT, "code-13", r"PSNR # dB")),
    "guidance-on-both-ways-loses-too": lambda: all(
        down < both < numbers(EDIT, "code-13", r"PSNR # dB")[0]
        for down, both in zip(
            numbers(EDIT, "code-13", r"PSNR # dB")[1:], numbers(EDIT, "code-13", r"too: # dB")[1:]
        )
    ),
    "old-maps-in-all-steps-cost-both-edits": lambda: (
        lambda boat, flower: (
            flower[0] == max(flower) and boat[-1] < max(boat) - 1 and flower[-1] < flower[0] - 1
        )
    )(*(numbers(EDIT, "code-24", rf"{name} +PSNR .*: # +# +# +#") for name in ("boat", "flower"))),
    "from-row-to-row-more-stays": lambda: (
        lambda stays: stays == sorted(stays) and stays[2] > stays[1] + 2
    )(edits_scored(0)[1:]),
    "the-new-word-comes": lambda: (
        lambda redraw, noised, inverted, *_: redraw >= 5 and inverted >= 5 and noised < inverted
    )(*edits_scored(2)[1:]),
    "what-changes-is-worse": lambda: all(
        stays > changes + 2 for stays, changes in zip(edits_scored(0), edits_scored(1))
    ),
    "a-drawing-becomes-the-sentence": lambda: says(
        EDIT, "code-40", "strength 0.7: the reader sees a red house, right, sea, sunset"
    ),
    "edges-give-the-place": lambda: (
        lambda without, half, full, double: without < 50 and min(half, full, double) >= 80
    )(*along_edges(1)),
    "edges-against-words": lambda: (
        along_edges(0) == sorted(along_edges(0))
        and all(
            scores[3] < scores[2] - 20 and scores[3] < scores[0]
            for scores in (along_edges(2), along_edges(3))
        )
    ),
    "controlnet-is-small": lambda: (lambda denoiser, edges: 4 < denoiser / edges < 6)(
        *numbers(EDIT, "code-lines-1", r"# million")
    ),
    "a-louder-word-is-pinker": lambda: (
        lambda pinks: pinks == sorted(pinks) and pinks[1] - pinks[0] > pinks[3] - pinks[2]
    )(numbers(EDIT, "code-44", r"in the balloon #")),
    "pairs-differ": lambda: (lambda both: max(both) >= 6 and min(both) <= 5)(
        [sum(pair) for pair in np.reshape(numbers(EDIT, "code-48", r"in # of 4"), (4, 2))]
    ),
    # lesson 17
    "one-pixel-breaks-the-signature": lambda: (
        says(WHOSE, "code-11", table_row("as written", "yes", "yes", "holds", "yes"))
        and says(
            WHOSE, "code-11", table_row("one pixel", "yes", "yes", "broken", "yes"), "measured 3"
        )
    ),
    "jpeg-and-screenshot-leave-only-the-mark": lambda: says(
        WHOSE,
        "code-11",
        table_row("saved as JPEG", "no", "no", "none", "yes"),
        table_row("screenshot", "no", "no", "none", "yes"),
    ),
    "a-lie-can-be-signed": lambda: says(
        WHOSE, "code-14", "signature hold? True", "(made by AI)", "this computer? False"
    ),
    "phases-gather-around-the-key": lambda: (
        lambda without, with_mark: 40 < without < 60 and with_mark > 90
    )(*numbers(WHOSE, "code-19", r"mark: #% of the waves")),
    "the-dot-moves-with-the-cut": lambda: (
        numbers(WHOSE, "code-27", r"at # px along, 0 px down") == [0, -8, -16, -24, 24]
        and max(numbers(WHOSE, "code-27", r"corner #,")[1:]) < 3
        and min(numbers(WHOSE, "code-27", r"largest z #")) > 7
    ),
    "everyday-attacks-leave-the-mark": lambda: (
        min(
            numbers(WHOSE, "code-34", r"JPEG, quality 70: #%")
            + numbers(WHOSE, "code-34", r"shrink, width left 0\.75: #% 0\.5: #%")
            + numbers(WHOSE, "code-34", r"blur \(px\) 1: #% 2: #%")
        )
        >= 90
        and numbers(WHOSE, "code-34", r"0\.35: #%")[0] > 50
    ),
    "a-repainting-removes-the-mark-the-vae-does-not": lambda: (
        lambda vae, mild, strong: vae == 100 and mild == 0 and strong == 0
    )(*numbers(WHOSE, "code-34", r"repaint, strength 0: #% 0\.1: #% 0\.4: #%")),
    "turning-only-hides-the-mark": lambda: (
        numbers(WHOSE, "code-43", r"found in # of 8") == [0]
        and numbers(WHOSE, "code-43", r"in # of 8, and in # of 8") == [8, 0]
    ),
    "no-alarm-and-a-wide-interval": lambda: (
        numbers(WHOSE, "code-46", r"false alarms: #") == [0]
        and numbers(WHOSE, "code-46", r"and #% \(95")[0] >= 0.1
    ),
    "chance-is-normal-and-below-the-bound": lambda: (
        lambda measured, bound: (
            all(abs(a - b) < 0.003 for a, b in zip(measured, (0.1587, 0.0228, 0.00135, 0.00003)))
            and all(a < b for a, b in zip(measured, bound))
        )
    )(
        numbers(WHOSE, "code-48", r"measured # # # #"),
        numbers(WHOSE, "code-48", r"/ 2\) # # # #"),
    ),
    "members-are-not-told-from-others": lambda: says(WHOSE, "code-59", "holds 0.5: True"),
    "a-word-brings-the-style": lambda: (
        numbers(MINE, "code-28", "with postcards: style gained #")[0] > 0.5
    ),
    "with-postcards-the-rest-is-kept": lambda: (
        numbers(MINE, "code-28", "with postcards: style gained #, prompts kept #%")[1] >= 85
    ),
    "no-copies-beyond-the-control": lambda: (
        numbers(MINE, "code-40", "300 steps its own is nearest in # of 24")[0]
        <= numbers(MINE, "code-40", " 2 steps its own is nearest in # of 24")[0] + 5
    ),
    "without-postcards-it-forgets": lambda: (
        numbers(MINE, "code-28", "without: style gained #, prompts kept #%")[0] > 0.5
        and numbers(MINE, "code-28", "without: style gained #, prompts kept #%")[1] <= 50
    ),
    "the-loss-does-not-see-it": lambda: (lambda first, last: last < 0.9 * first)(
        *numbers(MINE, "code-24", "beginning #, at the end #")
    ),
    "the-file-is-small": lambda: 0.5 < numbers(MINE, "code-09", "the file: # MB")[0] <= 2,
    "a-layer-is-w-plus-b-a": lambda: says(
        MINE, "code-14", "one part in a million: True; equal without B A: False"
    ),
    "nothing-changes-before-the-first-step": lambda: says(
        MINE, "code-21", "any B: 0.0", "paints as before: True"
    ),
    "at-strength-0-the-old-picture": lambda: (lambda gains: abs(gains[0]) < 0.3 and gains[4] > 0.5)(
        numbers(MINE, "code-34", "style gained # # # # # #")
    ),
    "night-looks-like-a-member": lambda: numbers(WHOSE, "code-61", r"AUC #, interval")[0] > 0.55,
    "few-pictures-seen-often-are-remembered": lambda: (
        numbers(WHOSE, "code-65", r"seen 0 times: AUC \d\.\d+ \(# to")[0] < 0.5
        and numbers(WHOSE, "code-65", r"seen 40 times: AUC \d\.\d+ \(# to")[0] > 0.8
        and numbers(WHOSE, "code-65", r"seen 40 times: AUC #")[0] > 0.9
    ),
    "dark-cheeks-are-lost-and-few": lambda: (
        lambda dark, middle, light: (
            2 * (dark[1] - dark[0]) > sum(of - found for found, of, *_ in (dark, middle, light))
            and light[0] == light[1]
            and dark[-1] > max(middle[-2], light[-2])
            and dark[0] / dark[1] == pytest.approx(dark_cheeks_found(), abs=0.01)
        )
    )(
        *(
            numbers(WHOSE, "code-66c", rf"{name} third # of # found again: #% \( ?#% to #%\)")
            for name in ("darkest", "middle", "lightest")
        )
    ),
    "both-ends-go-to-the-middle": lambda: all(
        painted > dark + 5 and light_painted < light and dark < 10
        for dark, painted, light, light_painted in np.reshape(
            numbers(WHOSE, "code-66g", r"lightness #, painted #"), (2, 4)
        )
    ),
    "monk-tones-come-closer": lambda: (
        lambda tones, spans: (
            [row[0] for row in tones] == list(range(1, 11))
            and all(painted < photo - 2 for _, photo, painted, _ in tones[:3])
            and tones[-1][2] > tones[-1][1] + 2
            and all(change > 2 for *_, change in tones)
            and spans[1] < spans[0] - 5
        )
    )(
        np.reshape(numbers(WHOSE, "code-66m2", r"(?m)^\s*# # # #$"), (-1, 4)).tolist(),
        numbers(WHOSE, "code-66m2", r"darkest: #, painted #"),
    ),
    "small-faces-keep-less": lambda: (
        lambda kept: len(kept) == 4 and kept == sorted(kept) and kept[0] < kept[-1] - 0.2
    )(numbers(WHOSE, "code-66k", r"px \d,\s+\d #")),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_is_what_the_stored_outputs_show(claim):
    assert CLAIMS[claim]()


def test_the_table_names_every_claim_that_is_tested_and_only_tests_that_exist():
    rows = [line.split("|") for line in TABLE.splitlines() if re.match(r"\| \d\d,", line)]
    named = {name for row in rows for name in re.findall(r"`([\w./-]+)`", row[4])}
    files = {name for name in named if name.startswith("tests/")}
    assert named - files == set(CLAIMS)
    assert [name for name in files if not (ROOT / name).is_file()] == []
    assert all(len(row) == 6 and all(part.strip() for part in row[1:5]) for row in rows)
