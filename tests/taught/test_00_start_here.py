"""Lesson 00: its functions do what sdkit and diffusers do."""

from sdkit import formats
from tests.taught import taught


def test_counted_parameters_are_those_in_the_files(tiny_sd, tiny_pipe):
    count = taught("00_start_here.ipynb")["count"]
    for part in ("unet", "vae", "text_encoder"):
        assert count(getattr(tiny_pipe, part)) == formats.count_parameters(
            next((tiny_sd / part).glob("*.safetensors"))
        )
