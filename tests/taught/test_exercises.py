"""Every exercise is open in its lesson and solved in the solutions."""

import re

import nbformat
import pytest

from sdkit import checks
from tests import core_path, normalise
from tests.taught import taught


@pytest.mark.parametrize(
    "lesson, number, name",
    [
        ("00_start_here", "00.2", "latent_numbers"),
        ("01_gans", "01.1", "discriminator_loss"),
        ("01_gans", "01.2", "covered"),
        ("01_gans", "01.3", "best_discriminator"),
        ("02_forward_diffusion", "02.2", "rebuild"),
        ("02_forward_diffusion", "02.3", "shifted"),
        ("03_reverse_diffusion", "03.1", "noise_between"),
        ("03_reverse_diffusion", "03.2", "picture_from_v"),
        ("03_reverse_diffusion", "03.3", "short_betas"),
        ("04_samplers", "04.1", "order"),
        ("04_samplers", "04.2", "heun"),
        ("04_samplers", "04.3", "trailing"),
        ("05_vae_latents", "05.2", "paste"),
        ("05_vae_latents", "05.3", "scaling_factor"),
        ("06_text_encoder", "06.1", "rows_of"),
        ("06_text_encoder", "06.2", "causal_attention"),
        ("06_text_encoder", "06.3", "classify"),
        ("07_unet_denoising", "07.1", "meet"),
        ("07_unet_denoising", "07.2", "phrase_map"),
        ("07_unet_denoising", "07.3", "loss_by_level"),
        ("08_guidance", "08.1", "amplify"),
        ("08_guidance", "08.2", "mended"),
        ("08_guidance", "08.3", "interval"),
        ("09_assembled", "09.2", "first_latents"),
        ("09_assembled", "09.3", "mix"),
        ("10_super_resolution", "10.1", "agree"),
        ("10_super_resolution", "10.2", "unbeaten"),
        ("10_super_resolution", "10.3", "psnr_of_mean"),
        ("11_style_transfer", "11.2", "pick_strength"),
        ("11_style_transfer", "11.3", "blend"),
        ("12_how_good", "12.1", "wilson"),
        ("12_how_good", "12.2", "fid_of_endless"),
        ("12_how_good", "12.3", "copied"),
        ("13_make_it_yours", "13.1", "merged"),
        ("13_make_it_yours", "13.2", "dreambooth_loss"),
        ("14_four_steps", "14.1", "target"),
        ("14_four_steps", "14.2", "noise_of_jump"),
        ("14_four_steps", "14.3", "pays_after"),
        ("15_straight_roads", "15.1", "euler"),
        ("15_straight_roads", "15.2", "bend"),
        ("15_straight_roads", "15.3", "shifted"),
        ("16_edit", "16.1", "step"),
        ("16_edit", "16.2", "mixed"),
        ("16_edit", "16.3", "psnr_where"),
        ("17_whose_picture", "17.1", "agreement"),
        ("17_whose_picture", "17.2", "auc"),
    ],
)
def test_an_exercise_is_open_in_the_lesson_and_right_in_the_solution(lesson, number, name, capsys):
    checks.check(number, taught(f"{lesson}.ipynb")[name])
    assert capsys.readouterr().out == f"{number}: not attempted yet.\n"
    checks.check(number, taught(f"solutions/{lesson}.ipynb")[name])
    assert capsys.readouterr().out == f"{number}: ✓ right.\n"


@pytest.mark.parametrize("path", sorted(normalise.NOTEBOOKS.glob("[0-9]*.ipynb")))
def test_the_core_path_uses_the_answer_to_one_of_its_exercises(path):
    parts = core_path.sections(nbformat.read(path, as_version=4))
    core = [part for part in parts if not part.further]
    prose = "\n".join(text for part in core for text in part.prose)
    code = "\n".join(text for part in core for text in part.code)
    asked = re.findall(r"^### Exercise (\S+)", prose, re.M)
    assert set(asked) & set(re.findall(r'checks\.done\("([^"]+)"\)', code))
