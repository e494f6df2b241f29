"""Settings: help comes from the comment above a field; the command line reads every type."""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from sdkit.errors import SdkitError
from sdkit.recipes import (
    classifier,
    controlnet,
    decoder,
    guidance,
    reader,
    settings,
    text,
    unet,
    upscaler,
    vae,
)

RECIPES = [classifier, controlnet, decoder, guidance, reader, text, unet, upscaler, vae]


@dataclass(frozen=True)
class Example(settings.BaseSettings):
    """An example."""

    # how many, at most 50 %
    # of all
    count: int = 3
    rate: float = 0.5  # not the place of the help
    # one or the other
    switch: bool = False
    # a list
    widths: tuple[int, ...] = (8, 16)
    # folder to go on from
    initial: Path | None = None
    # no new comment is needed for a field of the base class
    steps: int = 7
    seed: int = 1


def test_help_is_the_comment_above_the_field():
    texts = settings.field_help(Example)
    assert texts["count"] == "how many, at most 50 % of all"
    assert "rate" not in texts
    assert texts["seed"] == settings.field_help(settings.BaseSettings)["seed"]
    assert texts["steps"].startswith("no new comment")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.__name__.split(".")[-1])
def test_every_setting_of_every_recipe_has_a_help_text(recipe):
    texts = settings.field_help(recipe.Settings)
    assert {one.name for one in fields(recipe.Settings)} - texts.keys() == set()
    shown = " ".join(settings.parser(recipe.Settings).format_help().split())
    for name, said in texts.items():
        assert f"--{name.replace('_', '-')}" in shown
        assert said.split()[0] in shown


def test_the_command_line_reads_every_type():
    @dataclass(frozen=True)
    class Narrow(Example):
        # how much
        rate: float = 0.5

    parser = settings.parser(Narrow)
    words = "--count 5 --rate 0.25 --switch --widths 4,2 --initial a/b --art-dir c".split()
    read = Narrow(**vars(parser.parse_args(words)))
    assert (read.count, read.rate, read.switch, read.widths) == (5, 0.25, True, (4, 2))
    assert (read.initial, read.art_dir, read.steps) == (Path("a/b"), Path("c"), 7)
    assert Narrow(**vars(parser.parse_args([]))) == Narrow()
    with pytest.raises(SystemExit):
        parser.parse_args(["--widths", "4;2"])


def test_places_are_not_published_and_inputs_are_told_apart():
    one = unet.Settings(art_dir=Path("/a"), out=Path("/o"), vae=Path("/v"), initial=Path("/i"))
    shown = settings.published(one)
    assert json.loads(json.dumps(shown)) == shown and shown["sizes"] == [24, 40, 64]
    assert not [value for value in shown.values() if str(value).startswith("/")]
    assert settings.input_folders(one).keys() == {"vae", "tokenizer", "clip", "initial"}
    assert settings.input_folders(text.Settings()) == {}


def test_an_error_of_the_kit_ends_the_command_with_its_sentence(monkeypatch):
    def refuse(chosen):
        raise SdkitError(f"seed {chosen.seed} is refused.")

    monkeypatch.setattr("sys.argv", ["recipe", "--seed", "4"])
    with pytest.raises(SystemExit, match=r"seed 4 is refused\."):
        settings.command_line(vae.Settings, refuse, "A recipe.")
