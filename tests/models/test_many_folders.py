"""A damaged or odd model folder gives the picture of the sound one, or one sentence.

The ordinary run tries a few dozen folders. This command tries 450:
``python3 run.py test -m slow tests/models/test_many_folders.py``.
"""

import json
import random
import shutil
import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sdkit import generate, models
from sdkit.errors import SdkitError
from sdkit.models import checksums
from tests.models.test_foreign import CONFIGS, NAN, WEIGHTS

# no value of a configuration means anything of this kind
VALUES = [
    *("odd", "", "1", [], [1], [[]], {}, {"a": 1}, None, True, 0.5, -1, 10**9, 1e30, 10**400),
    *(NAN, float("inf"), "\0", "\ud800", "x" * 10_000),
]


def every_file(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def config(folder, chance):
    """A value of a configuration becomes one of another kind."""
    path = folder / chance.choice([*CONFIGS.values(), "model_index.json"])
    values = json.loads(path.read_text())
    usual = chance.choice(sorted(values))
    wrong = [v for v in VALUES if kind(v) != kind(values[usual]) or too_large(v)]
    values[usual] = chance.choice(wrong)
    path.write_text(json.dumps(values))
    return f"{path.parent.name} {usual} = {values[usual]!r:.30}"


def kind(value):
    """The kind of a value of JSON; -1 and 0.5 are numbers like any other."""
    return "number" if type(value) in (int, float) else type(value).__name__


def too_large(value):
    return kind(value) == "number" and not abs(value) < 1e8


def lost_value(folder, chance):
    """A configuration without some of its values. A class fills in its own, so it may differ."""
    path = folder / chance.choice([CONFIGS["unet"], CONFIGS["vae"], "model_index.json"])
    values = json.loads(path.read_text())
    del values[key := chance.choice([k for k in sorted(values) if "block" in k or k[0] != "_"])]
    path.write_text(json.dumps(values))
    return f"{path.parent.name} without {key}"


def text(folder, chance):
    """A file of text holds something else, or only a part of it, or in another encoding."""
    path = chance.choice([path for path in every_file(folder) if path.suffix != ".safetensors"])
    data = path.read_bytes()
    contents = {
        "cut": data[: chance.randrange(len(data))],
        "empty": b"",
        "noise": chance.randbytes(200),
        "other encoding": data.decode().encode("utf-16"),
        "mark before it": b"\xef\xbb\xbf" + data,
        "deep": b'{"a":' * 50_000,
        "deep list": b"[" * 50_000,
        "list": b"[1, 2]",
        "long": b" " * 2_000_000 + data,
        "twice": data + data,
        "null": b"null",
    }
    name = chance.choice(sorted(contents))
    path.write_bytes(contents[name])
    return f"{path.relative_to(folder)}: {name}"


def place(folder, chance):
    """A file or folder is missing, has another name, or is something else."""
    path = chance.choice(sorted(folder.rglob("*")))
    kinds = ["gone", "renamed", "folder", "link", "moved"]
    what = chance.choice(kinds + ["exchanged"] * path.is_file())
    name = path.relative_to(folder)
    if what == "exchanged":
        other = chance.choice([one for one in every_file(folder) if one.suffix == path.suffix])
        data = path.read_bytes(), other.read_bytes()
        path.write_bytes(data[1])
        other.write_bytes(data[0])
        return f"{name}: {what} with {other.relative_to(folder)}"
    away = folder.parent / "away"
    path.rename(away)
    if what == "renamed":
        away.rename(path.with_name(path.name.upper()))
    elif what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to(folder.parent / "nowhere")
    elif what == "moved":
        (folder / "deeper").mkdir()
        away.rename(folder / "deeper" / path.name)
    shutil.rmtree(away, ignore_errors=True)
    away.unlink(missing_ok=True)
    return f"{name}: {what}"


def tensor(folder, chance):
    """A tensor has other numbers, another shape, type or name, or is too much."""
    path = folder / WEIGHTS[chance.choice(sorted(WEIGHTS))]
    state = load_file(path)
    name = chance.choice(sorted(state))
    old = state[name]
    made = {
        "nan": lambda: torch.full_like(old, NAN),
        "one nan": lambda: old.flatten().index_fill(0, torch.tensor([0]), NAN).view(old.shape),
        "infinite": lambda: torch.full_like(old, float("inf")),
        "deeper": lambda: old[None].clone(),
        "flat": lambda: old.flatten() if old.ndim > 1 else old[None].clone(),
        "turned": lambda: old.T.contiguous() if old.ndim == 2 else torch.cat([old, old]),
        "empty": lambda: old[:0].clone(),
        "a number": lambda: torch.tensor(1.0),
        "cut": lambda: old[:-1].clone(),
        "whole numbers": lambda: torch.full(old.shape, 10**12),
        "exact": lambda: old.double(),
        "complex": lambda: old.float() + 1j * NAN,
    }
    what = chance.choice([*sorted(made), "lost", "renamed", "added", "all lost"])
    if what in made:
        state[name] = made[what]()
    elif what == "lost":
        del state[name]
    elif what == "renamed":
        state[f"module.{name}"] = state.pop(name)
    elif what == "added":
        state[f"{name}.lora"] = old.clone()
    else:
        state = {}
    save_file(state, path, metadata={"format": "pt"})
    return f"{path.parent.name} {name}: {what}"


def weights(folder, chance):
    """The file with the weights is cut, or its header says what is not so."""
    path = folder / WEIGHTS[chance.choice(sorted(WEIGHTS))]
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    head, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    name = chance.choice([name for name in sorted(head) if name != "__metadata__"])
    what = chance.choice("cut shape dtype offsets length text longer negative".split())
    if what == "cut":
        path.write_bytes(data[: chance.randrange(len(data))])
    elif what == "longer":
        path.write_bytes(data + bytes(chance.randint(1, 99)))
    elif what == "length":
        other = chance.choice([0, 1, length - 1, length + 9, 2**63, 2**64 - 1])
        path.write_bytes(other.to_bytes(8, "little") + data[8:])
    else:
        head[name] = {
            "shape": {**head[name], "shape": chance.choice([[], [10**9] * 9, [0], "odd", None])},
            "negative": {**head[name], "shape": [-1]},
            "dtype": {**head[name], "dtype": chance.choice(["F32", "F8", "odd", 5, None])},
            "offsets": {
                **head[name],
                "data_offsets": chance.choice([[0, 0], [5, 2], [0, 10**12], "x"]),
            },
            "text": chance.choice(["odd", None, 5, []]),
        }[what]
        made = json.dumps(head).encode()
        path.write_bytes(len(made).to_bytes(8, "little") + made + body)
    return f"{path.parent.name} {name}: {what}"


def words(folder, chance):
    """The tokenizer has another vocabulary, or numbers that the text encoder does not know."""
    path = folder / "tokenizer" / "tokenizer.json"
    made = json.loads(path.read_text())
    vocab, model = made["model"]["vocab"], made["model"]
    what = chance.choice("empty half huge negative text list merges type none".split())
    if what == "half":
        model["vocab"] = dict(list(vocab.items())[: len(vocab) // 3])
    elif what == "merges":
        model["merges"] = chance.choice(["odd", [["a", "zz"]], [5], None])
    elif what == "type":
        model["type"] = chance.choice(["WordPiece", "odd", 5, None])
    elif what in ("huge", "negative", "text"):
        key = chance.choice(sorted(vocab))
        vocab[key] = {"huge": chance.choice([10**6, 2**40]), "negative": -1, "text": "1"}[what]
    else:
        model["vocab"] = {"empty": {}, "list": [1], "none": None}[what]
    path.write_text(json.dumps(made))
    return f"tokenizer: {what}"


def listed(folder, chance):
    """One flipped bit in any file, beside a list of checksums as that of the shipped models."""
    checksums.write(folder.parent)
    path = chance.choice([p for p in every_file(folder) if p.suffix in checksums.SUFFIXES])
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return f"{path.relative_to(folder)}: a bit"


DAMAGES = [config, lost_value, text, place, tensor, weights, words, listed]
CHANCES = {config: 3}  # there are many values


def paint(folder):
    # a folder without defaults.json is sound and has the usual settings, so all are given here
    given = {"num_inference_steps": 2, "size": 64, "guidance_scale": 2.0}
    settings = models.settings("van gogh", folder, "draw", **given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (image,) = generate.draw(models.load(folder, "text2img", device="cpu"), settings)
    return np.asarray(image, float) / 255


@pytest.mark.parametrize("count", [4, pytest.param(45, marks=pytest.mark.slow)])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_folder_gives_the_same_picture_or_a_sentence(tiny_sd, tmp_path, damage, count):
    right, wrong, seen = paint(tiny_sd), [], Counter()
    for k in range(count * CHANCES.get(damage, 1)):
        chance = random.Random(f"{damage.__name__} {k}")
        folder = shutil.copytree(tiny_sd, tmp_path / str(k) / "model")
        what = damage(folder, chance)
        try:
            made = paint(folder)
        except SdkitError as error:
            sentence = str(error)
            seen["sentence"] += 1
            if not (sentence.isprintable() and sentence.endswith(".") and ". " in sentence):
                wrong.append(f"{what}: no sentence: {sentence}")
        except Exception as error:
            wrong.append(f"{what}: {type(error).__name__}: {str(error)[:200]}")
        else:
            seen["same picture"] += 1
            if np.abs(made - right).max() > 1e-4:
                wrong.append(f"{what}: another picture")
        shutil.rmtree(tmp_path / str(k))
    assert wrong == [], seen
    assert damage is not listed or seen.keys() == {"sentence"}
