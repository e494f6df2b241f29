"""Blind pairs: which of two painters do people prefer, if they do not know which one painted what?

`make_key` decides by chance in which order the photographs come and who is on the left. `page`
shows each photograph with both paintings and collects the answers. `count` holds the answers
against the key. A person without a preference puts half of the pairs on each side, so the 95 %
interval of a better painter lies above one half.
"""

import base64
import hashlib
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sdkit.errors import SdkitError
from sdkit.evaluate import metrics

SIDES = ("left", "right")
ANSWERS = (*SIDES, "none")  # none: no preference
MAX_BYTES = 1_000_000  # of a file with answers or a key; real ones are much smaller

Trio = tuple[Image.Image, Image.Image, Image.Image]  # a photograph, A's painting, B's painting
Key = dict[str, Any]  # what `make_key` returns; fits into JSON

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Blind pairs {sheet}</title>
<style>
body {{ font-family: sans-serif; max-width: 1500px; margin: auto; padding: 1em; }}
section {{ border-top: 1px solid #888; padding: 1em 0; }}
.row {{ display: flex; gap: 8px; align-items: flex-start; }}
figure {{ margin: 0; flex: 2; }}
figure.photo {{ flex: 1; }}
img {{ width: 100%; }}
label {{ margin-right: 2em; }}
</style>
<h1>Which painting would you rather hang up?</h1>
<p>{count} pairs. Each row shows a photograph and two paintings of it. Choose one painting, or say
that you have no preference. Then press the button at the end: it saves your answers as a file.</p>
<form>
{pairs}
<button type="button">Save the answers</button>
<output></output>
</form>
<script>
const count = {count}, form = document.querySelector("form");
form.querySelector("button").onclick = () => {{
  const answers = Object.fromEntries(new FormData(form));
  const missing = count - Object.keys(answers).length;
  form.querySelector("output").value =
    missing ? "Saved, but " + missing + " pairs have no answer." : "Saved.";
  const text = JSON.stringify({{sheet: "{sheet}", answers: answers}}, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {{type: "application/json"}}));
  link.download = "answers-{sheet}.json";
  link.click();
}};
</script>
</html>
"""
PAIR = """<section>
<h2>Pair {number}</h2>
<div class="row">
<figure class="photo"><img src="{photo}" alt="the photograph"><figcaption>photograph</figcaption>
</figure>
<figure><img src="{left}" alt="the left painting"><figcaption>left</figcaption></figure>
<figure><img src="{right}" alt="the right painting"><figcaption>right</figcaption></figure>
</div>
<p>{choices}</p>
</section>
"""
CHOICE = '<label><input type="radio" name="{number}" value="{value}"> {text}</label>'


@dataclass(frozen=True)
class Result:
    """How often people preferred each side or none, and how many pairs have no answer."""

    a: int
    b: int
    ties: int
    unanswered: int


def make_key(names: Sequence[str], a: str, b: str, seed: int) -> Key:
    """The side of A and B in each pair, by chance.

    names : of the photographs. Pair 1 may show any of them.
    a, b : what A and B are: folders or models.

    The key has "A", "B", "seed", and under "pairs", from "1" on, {"name": ..., "left": "A" or "B"}.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(names))
    lefts = rng.integers(2, size=len(names))
    pairs = {
        str(number): {"name": names[k], "left": "AB"[left]}
        for number, (k, left) in enumerate(zip(order, lefts), 1)
    }
    return {"A": a, "B": b, "seed": seed, "pairs": pairs}


def page(key: Key, trios: dict[str, Trio]) -> str:
    """The page with all pairs of a key as HTML, with the pictures inside.

    trios : for each name in the key, the photograph and the paintings of A and B. Only their pixels
        reach the page, and no name.

    Adds the name of the sheet to the key as "sheet"; `count` compares it.
    """
    pairs = []
    for number, pair in key["pairs"].items():
        photo, *both = map(_inline, trios[pair["name"]])
        left, right = both if pair["left"] == "A" else both[::-1]
        texts = zip(ANSWERS, ("left", "right", "no preference"))
        choices = "\n".join(CHOICE.format(number=number, value=v, text=t) for v, t in texts)
        pairs.append(
            PAIR.format(number=number, photo=photo, left=left, right=right, choices=choices)
        )
    shown = "\n".join(pairs)
    key["sheet"] = hashlib.sha256(shown.encode()).hexdigest()[:8]
    return PAGE.format(sheet=html.escape(key["sheet"]), count=len(pairs), pairs=shown)


def _inline(image: Image.Image) -> str:
    """A picture as a data URI: JPEG of high quality, without metadata."""
    buffer = io.BytesIO()
    pixels = Image.fromarray(np.asarray(image.convert("RGB")))
    pixels.save(buffer, format="JPEG", quality=95, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def read_key(path: Path) -> Key:
    """The key in a file. Raises `SdkitError` if it is none."""
    key = _read_json(path)
    pairs = key.get("pairs")
    if (
        not isinstance(pairs, dict)
        or not all(isinstance(p, dict) and p.get("left") in ("A", "B") for p in pairs.values())
        or not {"A", "B", "sheet"} <= key.keys()
    ):
        raise SdkitError(f"{path} is not a key. Give the key.json that lies beside the page.")
    return key


def read_answers(path: Path, key: Key) -> dict[str, str]:
    """The answers in a file: {pair: "left", "right" or "none"}.

    Raises `SdkitError` if there are none, or if they belong to another page than the key.
    """
    content = _read_json(path)
    answers = content.get("answers")
    if not isinstance(answers, dict) or not all(a in ANSWERS for a in answers.values()):
        raise SdkitError(
            f'{path} holds no answers such as {{"sheet": "{key["sheet"]}", "answers": '
            '{"1": "left", "2": "none"}}. Give the file that the page has saved.'
        )
    unknown = answers.keys() - key["pairs"].keys()
    if content.get("sheet") != key["sheet"] or unknown:
        raise SdkitError(
            f"{path} and the key belong to different pages. Give the key that lies beside the page "
            "of these answers."
        )
    return answers


def _read_json(path: Path) -> dict[str, Any]:
    """The dictionary in a JSON file. Raises `SdkitError` if there is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SdkitError(f"{path} is too large for answers or a key. Give another file.")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SdkitError(f"{path} cannot be read: {error.strerror}. Check its name.") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, SdkitError):
            raise
        raise SdkitError(f"{path} is damaged, or not JSON. Give another file.") from error
    if not isinstance(content, dict):
        raise SdkitError(f"{path} holds neither answers nor a key. Give another file.")
    return content


def count(answers: dict[str, str], key: Key) -> Result:
    """How often A and B were preferred, by the answers to the pairs of a key."""
    wins = {"A": 0, "B": 0}
    for number, answer in answers.items():
        if answer in SIDES:
            left = key["pairs"][number]["left"]
            wins[left if answer == "left" else "AB".replace(left, "")] += 1
    decided = sum(wins.values())
    return Result(wins["A"], wins["B"], len(answers) - decided, len(key["pairs"]) - len(answers))


def describe(result: Result, key: Key) -> str:
    """The result in lines: for each side wins, share of the decided pairs and its 95 % interval."""
    decided, lines = result.a + result.b, []
    for side, wins in (("A", result.a), ("B", result.b)):
        line = f"{side} ({key[side]}): preferred in {wins} of {decided} decided pairs"
        if decided:
            low, high = metrics.wilson(wins, decided)
            line += f", {wins / decided:.0%} (95 % interval: {low:.0%} to {high:.0%})"
        lines.append(line)
    return "\n".join([*lines, f"no preference: {result.ties}, not answered: {result.unanswered}"])
