"""The recipes on a toy folder of pictures: killed and resumed equals never killed, and the outputs load."""

import hashlib
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionUpscalePipeline
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPTextModel, CLIPTokenizer

from sdkit import art, latents, measure, models, photos, postcards
from sdkit.errors import SdkitError
from sdkit.evaluate.judges import StyleClassifier
from sdkit.files import ROOT
from sdkit.recipes import (
    captions,
    classifier,
    muon,
    pairs,
    reader,
    redraws,
    strokes,
    text,
    training,
    unet,
    upscaler,
    vae,
)

TINY = {
    "vae": dict(
        steps=4, adversarial_from=2, batch_size=2, size=32, channels="16,16,16", drawn=8, evaluate=1
    ),
    "classifier": dict(steps=4, batch_size=4, size=32, channels="8,16"),
    "reader": dict(steps=4, batch_size=4, drawn=12, size=32, channels="8,16"),
    "text": dict(
        steps=4, batch_size=4, postcards_per_step=6, drawn=12, size=32, width=16, layers=1
    ),
    "unet": dict(
        steps=4, batch_size=2, sizes="8,12", channels="16,32", drawn=6, large=3, ema_decay=0.9
    ),
    "upscaler": dict(
        steps=4, batch_size=2, sizes="8,12", channels="16,32", drawn=3, squares=3, shown=2
    ),
}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A data folder with an art.tsv of noise pictures in every split, and the folder of those pictures."""
    data, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    rows = ["file\tsplit\tartist\ttitle\tbasis\tsource_repository\tsha256"]
    for folder in art.STYLE_OF_FOLDER:
        (data / "art" / folder).mkdir(parents=True)
        for number, split in enumerate(("train", "train", "validation", "test")):
            path = data / "art" / folder / f"{number}.png"
            Image.fromarray(rng.integers(0, 256, (70 + number, 80, 3), np.uint8)).save(path)
            checksum = hashlib.sha256(path.read_bytes()).hexdigest()
            rows.append(f"{folder}/{path.name}\t{split}\t\ttitle\tours\there\t{checksum}")
    (data / "art.tsv").write_text("\n".join(rows) + "\n")
    return data


@pytest.fixture(autouse=True)
def small(toy, monkeypatch):
    """The toy folder is the data folder, and the recipes' picture sizes fit it."""
    monkeypatch.setenv("SDKIT_DATA", str(toy))
    monkeypatch.setattr(pairs, "SHORT_SIDES", (64, 80))
    monkeypatch.setattr(unet, "HELD_OUT_SIDE", 64)
    monkeypatch.setattr(upscaler, "SIDE", 64)
    monkeypatch.setattr(measure, "SIDE", 64)
    torch.manual_seed(0)
    tiny = StyleClassifier(channels=(8, 16), crop_size=32, short_side=64).eval()
    monkeypatch.setattr(StyleClassifier, "load", lambda: tiny)
    monkeypatch.setattr(vae, "HELD_OUT_SIDE", 64)


def interrupted(monkeypatch, at):
    """Make the next training save after step ``at`` and then be killed."""
    save = training.Run.save

    def save_and_die(run, step, force=False):
        save(run, step, force=force or step == at)
        if step == at:
            raise KeyboardInterrupt

    monkeypatch.setattr(training.Run, "save", save_and_die)


def weights(folder):
    return {
        f"{path.name}/{name}": tensor
        for path in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }


def other_parts(toy, folder):
    """A VAE and a text encoder, which the UNet and the upscaler need first."""
    vae.main(
        art_dir=str(toy / "art"),
        runs=str(folder.parent / "v"),
        out=str(folder / "vae"),
        **TINY["vae"],
    )
    text.main(
        art_dir=str(toy / "art"), runs=str(folder.parent / "t"), out=str(folder), **TINY["text"]
    )


def train(name, toy, folder):
    recipe = {
        "vae": vae,
        "classifier": classifier,
        "reader": reader,
        "text": text,
        "unet": unet,
        "upscaler": upscaler,
    }[name]
    place = {"pipeline" if name == "unet" else "out": str(folder / "model")}
    place |= {"pipeline": str(folder.parent / "parts")} if name == "upscaler" else {}
    place |= {} if name == "reader" else {"art_dir": str(toy / "art")}
    recipe.main(runs=str(folder / "run"), **place, **TINY[name])


@pytest.mark.parametrize("name", TINY)
def test_killed_and_resumed_equals_never_killed(name, toy, tmp_path, monkeypatch):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    if name == "unet":
        other_parts(toy, whole / "model")
        shutil.copytree(whole / "model", halves / "model")
    if name == "upscaler":  # which is saved elsewhere
        other_parts(toy, tmp_path / "parts")
    train(name, toy, whole)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupted(patch, at=3)
        train(name, toy, halves)
    train(name, toy, halves)
    expected, got = weights(whole / "model"), weights(halves / "model")
    assert expected.keys() == got.keys() and expected
    for key in expected:
        assert torch.equal(expected[key], got[key]), key
    log = [json.loads(line) for line in (halves / "run/log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [0, 1, 2, 3]
    assert (halves / "run/curve.png").stat().st_size > 1000
    record = max((halves / "model").rglob("recipe.json"), key=lambda path: path.stat().st_mtime)
    assert (record.parent / "curve.png").read_bytes() == (halves / "run/curve.png").read_bytes()
    assert {
        "command",
        "settings",
        "git_revision",
        "data_hash",
        "wall_time_minutes",
        "machine",
        "metrics",
    } <= json.loads(record.read_text()).keys()


def test_muon_takes_the_steps_of_torch_for_matrices_and_of_adamw_for_the_rest():
    network = torch.nn.Sequential(
        torch.nn.Conv2d(16, 24, 3),
        torch.nn.Linear(40, 20),
        torch.nn.Linear(40, 20),
        torch.nn.Linear(20, 3),
    )
    copy = [
        torch.nn.Parameter((p.flatten(1) if p.ndim > 1 else p).detach().clone())
        for p in network.parameters()
    ]
    kernels, others = muon.split(network)
    assert [tuple(p.shape) for p in kernels] == [(24, 16, 3, 3), (20, 40), (20, 40)] and len(
        others
    ) == 5
    optimizers = [
        muon.Muon(kernels, others, 0.02, weight_decay=0.1),
        torch.optim.Muon(
            [copy[0], copy[2], copy[4]], 0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(
            [copy[1], copy[3], *copy[5:]], 0.005, betas=(0.9, 0.99), weight_decay=0.1
        ),
    ]
    for _ in range(4):
        for p, q in zip(network.parameters(), copy):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.view(q.shape).clone()
        for optimizer in optimizers:
            optimizer.step()
    for p, q in zip(network.parameters(), copy):  # torch iterates in bf16
        torch.testing.assert_close(
            p.flatten(1) if p.ndim > 1 else p, q, atol=2e-3 if p.ndim > 1 else 1e-6, rtol=0
        )


def test_an_orthogonal_step_keeps_the_directions_and_evens_their_lengths():
    matrix = torch.randn(30, 20) @ torch.diag(torch.logspace(0, 1, 20))
    left, lengths, right = torch.linalg.svd(matrix, full_matrices=False)
    made = left.T @ muon.orthogonal(matrix) @ right.T
    assert lengths.max() / lengths.min() > 5
    assert (
        made - made.diag().diag()
    ).abs().max() < 0.1 and 0.6 < made.diag().min() <= made.diag().max() < 1.25


def test_aligned_latents_have_the_reference_s_covariance_and_show_the_same_pictures():
    torch.manual_seed(0)
    first, second = (
        AutoencoderKL(block_out_channels=[16, 16, 16], **vae.CONFIG).eval() for _ in range(2)
    )
    batches = [torch.rand(6, 3, 32, 32) * 2 - 1, torch.rand(4, 3, 40, 40) * 2 - 1]
    before, apart = [vae.reconstruct(second, x) for x in batches], distance(first, second, batches)
    vae.align(second, first, batches)
    for x, y in zip(batches, before):
        torch.testing.assert_close(vae.reconstruct(second, x), y, atol=1e-3, rtol=0)
    wanted, got = (torch.cat([codes(network, x) for x in batches]) for network in (first, second))
    torch.testing.assert_close(got.mean(0), wanted.mean(0), atol=1e-3, rtol=0)
    torch.testing.assert_close(got.T.cov(), wanted.T.cov(), atol=1e-3, rtol=1e-2)
    assert distance(first, second, batches) < apart
    assert second.encode(batches[0]).latent_dist.std.isfinite().all()


def codes(network, x):
    with torch.no_grad():
        return network.encode(x).latent_dist.mean.permute(0, 2, 3, 1).flatten(0, 2)  # (N, C)


def distance(first, second, batches):
    return sum((codes(first, x) - codes(second, x)).square().mean().item() for x in batches)


def test_a_kill_between_the_two_renames_of_a_checkpoint_loses_nothing(tmp_path):
    run = training.Run(tmp_path, training.accelerator())
    run.save(5, force=True)
    run.save(6, force=True)
    (tmp_path / "checkpoint").rename(tmp_path / "gone")
    assert training.Run(tmp_path, training.accelerator()).resume() == 5


def test_splits_do_not_overlap_and_follow_the_rule():
    rows = art.manifest()
    assert len({row["sha256"] for row in rows}) == len(rows)
    assert {row["split"] for row in rows} == {"train", "validation", "test"}


def test_a_changed_picture_is_refused(toy, tmp_path):
    changed = tmp_path / "art"
    for path in (toy / "art").rglob("*.png"):
        target = changed / path.relative_to(toy / "art")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    next((changed / "van_gogh").glob("0.png")).write_bytes(b"other")
    with pytest.raises(SdkitError, match="checksum"):
        art.load(changed, "train")
    with pytest.raises(SdkitError, match="no folder"):
        art.load(tmp_path / "nowhere", "train")


def test_the_upscaler_is_loaded_by_diffusers_and_measured_beside_the_regressor(toy, tmp_path):
    parts, out = tmp_path / "parts", tmp_path / "model"
    other_parts(toy, parts)
    for regression, place in ((True, "regressor"), (False, "unet")):
        upscaler.main(
            art_dir=str(toy / "art"),
            pipeline=str(parts),
            out=str(out),
            regression=regression,
            runs=str(tmp_path / place),
            **TINY["upscaler"],
        )
    figures = [
        json.loads((out / place / "recipe.json").read_text())["metrics"]
        for place in ("regressor", "unet")
    ]
    assert [list(some) for some in figures] == [
        ["bicubic", "regression"],
        ["bicubic", "regression", "diffusion", "diffusion from noise"],
    ]
    assert figures[0]["regression"] == pytest.approx(figures[1]["regression"], abs=0.01)
    assert {"psnr, photos", "feature distance, postcards"} <= figures[1]["diffusion"].keys()
    shared = {
        "vae": AutoencoderKL.from_pretrained(parts / "vae"),
        "text_encoder": CLIPTextModel.from_pretrained(parts / "text_encoder").float(),
        "tokenizer": CLIPTokenizer.from_pretrained(parts / "tokenizer"),
    }
    pipe = StableDiffusionUpscalePipeline.from_pretrained(out, **shared)
    image = pipe(
        "", Image.new("RGB", (16, 16)), num_inference_steps=2, guidance_scale=1, noise_level=100
    ).images[0]
    assert image.size == (64, 64) and pipe.config.max_noise_level == 100
    assert pipe.scheduler.config.prediction_type == "v_prediction"
    assert not [path for path in out.rglob("*.json") if str(tmp_path) in path.read_text()]


def test_a_small_picture_of_a_part_is_the_part_of_the_small_picture():
    square = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole, part = (
        upscaler.shrink(square, box, np.random.default_rng(5), clean=1.0)
        for box in ([0, 0, 64, 64], [8, 16, 40, 56])
    )
    np.testing.assert_array_equal(whole[4:14, 2:10], part)
    worn = upscaler.shrink(square, [0, 0, 64, 64], np.random.default_rng(5), clean=0.0)
    assert worn.shape == whole.shape and 0 < np.abs(worn.astype(float) - whole).mean() < 20


def test_a_repainted_postcard_is_the_small_one_with_noise_in_its_latents():
    """By a VAE that leaves everything as it is, but for a factor."""
    vae = SimpleNamespace(
        device="cpu",
        dtype=torch.float32,
        config=SimpleNamespace(scaling_factor=0.5),
        encode=lambda x: SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: x)),
        decode=lambda z: SimpleNamespace(sample=z),
    )
    squares = [np.full((64, 64, 3), grey, np.uint8) for grey in (60, 120, 180)]
    made = upscaler.repainted(vae, squares, np.random.default_rng(0), together=2)
    assert made.shape == (3, 16, 16, 3) and made.dtype == np.uint8
    np.testing.assert_allclose(made.mean((1, 2, 3)), [60, 120, 180], atol=4)
    # latents are half the picture, so up to 0.15 in them is twice that here
    grain = made.std((1, 2, 3))
    assert (grain > 0).all() and (grain < 2 * 0.15 * 127.5).all() and grain.std() > 1
    assert (made == upscaler.repainted(vae, squares, np.random.default_rng(0), together=2)).all()


def test_the_schedules_of_the_upscaler_agree():
    """What is noised in training is what the solver takes away; at its first step hardly any picture is left."""
    noiser, solver = upscaler.schedulers()
    torch.testing.assert_close(noiser.alphas_cumprod, solver.alphas_cumprod)
    solver.set_timesteps(10)
    assert solver.timesteps[0] == 999 and noiser.alphas_cumprod[999] ** 0.5 < 0.03


def test_crops_have_the_scale_that_was_asked_for():
    ramp = np.tile(np.linspace(0, 255, 512), (512, 1)).astype(np.uint8)  # one grey level in two px
    picture = art.Picture("x", "a photo", "", Image.fromarray(np.dstack([ramp] * 3)))
    square = art.crop(picture, 64, np.random.default_rng(0), (128, 128)).astype(float)
    slope = abs(square[:, -1].mean() - square[:, 0].mean()) / 63
    assert square.shape == (64, 64, 3)
    assert slope == pytest.approx(255 / 128, rel=0.03)  # four times as steep


def test_tokenizer_reads_every_caption_and_any_other_text():
    tokenizer = text.make_tokenizer(captions.vocabulary())
    end = tokenizer.eos_token_id
    for prompt in [*captions.every_caption()[::200], "a zebra", "x", "浮世絵", "don't!"]:
        ids = tokenizer(prompt).input_ids
        assert ids[0] == tokenizer.bos_token_id and ids[-1] == end
        assert end not in ids[1:-1], prompt  # nothing unknown: an unknown word would end the text
    assert len(tokenizer("van gogh").input_ids) == 4
    assert tokenizer("Vincent VAN Gogh").input_ids == tokenizer("vincent van gogh").input_ids


def test_contrastive_loss_equals_clip_when_all_meanings_differ():
    from transformers.models.clip.modeling_clip import image_text_contrastive_loss

    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        text.contrastive_loss(logits, torch.eye(5)), image_text_contrastive_loss(logits)
    )


def test_contrastive_loss_counts_every_right_pair():
    """The best logits for a caption that fits two pictures share the weight between them: the loss is the entropy."""
    fits = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    loss = text.contrastive_loss(torch.where(fits > 0, 0.0, -100.0), fits)
    assert loss.item() == pytest.approx((2 * np.log(2) + 0) / 3, abs=1e-6)


def test_a_caption_fits_the_postcards_of_which_it_is_true():
    red, blue = (
        postcards.Postcard("cat", colour, "left", "sea", "day") for colour in ("red", "blue")
    )
    beside = replace(red, second=("pink", "tree"))
    assert text.fits(red, ["thing", "ground"], blue) and not text.fits(
        red, ["thing", "colour"], blue
    )
    assert text.fits(beside, ["thing", "colour"], red) and not text.fits(
        red, ["thing", "colour"], beside
    )


def test_a_batch_for_clip_holds_groups_that_share_two_parts():
    shown = [postcards.sample(0, index) for index in range(400)]
    alike = {
        (part, word): [k for k, card in enumerate(shown) if getattr(card, part) == word]
        for part, words in postcards.WORDS.items()
        for word in words
    }
    chosen = text.hard_choice(shown, alike, 15, np.random.default_rng(0), groups=4)
    assert len(chosen) == 15
    for group in (chosen[k : k + 4] for k in range(0, 15, 4)):
        same = [
            part for part in postcards.PARTS if len({getattr(shown[k], part) for k in group}) == 1
        ]
        assert len(set(same) - {"thing"}) >= 2


@pytest.mark.parametrize("workers", (0, 2))
def test_batches_come_in_order_whoever_makes_them(workers):
    made = training.made_ahead(
        lambda step: (torch.full((2,), step), f"{step}"), range(3, 9), workers
    )
    assert [(int(x[0]), words) for x, words in made] == [(step, f"{step}") for step in range(3, 9)]
    assert list(training.made_ahead(str, range(0), workers)) == []


def test_a_slip_changes_one_word_a_little():
    rng, clean = np.random.default_rng(0), "a red lighthouse by the sea"
    slips = [captions.misspell(clean, rng, share=1) for _ in range(50)]
    for slip in slips:
        assert (
            abs(len(slip) - len(clean)) <= 1 and len(slip.split()) == 6 and slip.split()[0] == "a"
        )
        assert sorted(set(slip)) == sorted(set(clean)) or len(set(clean) - set(slip)) <= 1
    assert captions.misspell(clean, rng, share=0) == clean
    assert captions.misspell("by a", rng, share=1) == "by a"  # short words stay whole
    assert not {"a cat", "cat"} & {captions.misspell("a car", rng, share=1) for _ in range(50)}


def test_a_heap_of_keywords_has_the_words_of_the_caption_that_say_something():
    rng = np.random.default_rng(0)
    heaps = {
        captions.heap("a red boat on the left by the sea at night", rng, share=1) for _ in range(50)
    }
    assert len(heaps) > 20 and all(
        sorted(heap.split(", ")) == ["boat", "left", "night", "red", "sea"] for heap in heaps
    )
    two = "a red boat on the left with a green tree"
    assert captions.heap(two, rng, share=1) == two and captions.heap(
        "a boat by the sea", rng, share=0
    ).startswith("a ")


def test_chroma_ignores_grey_and_keeps_colour():
    grey = torch.rand(1, 1, 4, 4).expand(1, 3, 4, 4)
    assert vae.chroma(grey).abs().max() < 1e-6
    red_blue, green_magenta = (
        torch.tensor(colour).view(1, 3, 1, 1) for colour in ([1.0, 0, -1], [1.0, -2, 1])
    )
    assert vae.chroma(red_blue).flatten().tolist() == pytest.approx([2**0.5 / 0.29, 0], abs=1e-5)
    assert vae.chroma(green_magenta).flatten().tolist() == pytest.approx(
        [0, 6**0.5 / 0.11], abs=1e-5
    )


@pytest.mark.parametrize("name, network", [("vae", AutoencoderKL), ("classifier", StyleClassifier)])
def test_what_is_saved_is_the_moving_average(name, network, toy, tmp_path):
    train(name, toy, tmp_path)
    state = torch.load(tmp_path / "run/checkpoint/custom_checkpoint_1.pkl")
    saved = network.from_pretrained(tmp_path / "model").float()
    for parameter, average in zip(saved.parameters(), state["shadow_params"], strict=True):
        torch.testing.assert_close(parameter.data, average.half().float())


def test_a_training_can_go_on_from_trained_weights(toy, tmp_path):
    train("vae", toy, tmp_path / "first")
    first = tmp_path / "first/model"
    vae.main(
        art_dir=str(toy / "art"),
        runs=str(tmp_path / "run"),
        out=str(tmp_path / "next"),
        initial=str(first),
        **{**TINY["vae"], "steps": 1, "learning_rate": 0.0},
    )
    before, after = weights(first), weights(tmp_path / "next")
    # alignment with itself is the identity up to rounding, which differs by machine
    for key in before:
        torch.testing.assert_close(after[key], before[key], atol=1e-3, rtol=1e-2)
    record, config = (
        (tmp_path / "next" / name).read_text() for name in ("recipe.json", "config.json")
    )
    assert json.loads(record)["settings"]["initial"] == json.loads(
        (first / "recipe.json").read_text()
    )
    assert str(tmp_path) not in record + config


def test_recoloured_crops_keep_their_drawing_and_change_their_colours():
    rng = np.random.default_rng(0)
    square = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    flat = 0
    for _ in range(200):
        other = vae.recolour(square, rng)
        assert other.shape == square.shape and other.dtype == np.uint8
        if other.std((0, 1)).max() == 0:
            flat += 1
        else:
            greys = [picture.mean(-1).ravel() for picture in (square.astype(float), other)]
            assert np.corrcoef(greys)[0, 1] > 0.8
    assert 20 <= flat <= 60  # a fifth


def test_whitening_removes_what_colours_have_in_common():
    """A 1 x 1 convolution that passes colours through, once whitened, gives uncorrelated ones of variance one."""
    rng = np.random.default_rng(0)
    grey, tint = rng.uniform(20, 230, (8, 8, 8, 1)), rng.uniform(-15, 15, (8, 8, 8, 3))
    squares = list((grey + tint).astype(np.uint8))
    convolution = torch.nn.Conv2d(3, 3, 1, bias=False)
    convolution.weight.data = torch.eye(3).view(3, 3, 1, 1)
    vae.whiten_colours(convolution, squares)
    colours = convolution(art.to_batch(squares)).detach().transpose(0, 1).reshape(3, -1)
    torch.testing.assert_close(colours.cov(), torch.eye(3), atol=1e-3, rtol=0)


def test_principal_components_have_the_variances_of_a_singular_value_decomposition():
    squares = list(np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), np.uint8))
    weight, bias = vae.principal_components(squares, 8)
    x = art.to_batch(squares)
    codes = torch.nn.functional.conv2d(x, weight, bias, stride=4).transpose(0, 1).reshape(8, -1)
    patches = x.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(-1, 48).numpy()
    singular = np.linalg.svd(patches - patches.mean(0), compute_uv=False)[:8] ** 2 / (
        len(patches) - 1
    )
    np.testing.assert_allclose(np.sort(codes.var(1).numpy()), np.sort(singular**0.5), rtol=1e-3)
    torch.testing.assert_close(codes.mean(1), torch.zeros(8), atol=1e-4, rtol=0)


def test_a_whole_palette_transfer_takes_mean_and_covariance_of_the_painting():
    rng = np.random.default_rng(0)
    photo, painting = (
        rng.normal(size=(20, 30, 3)) @ rng.normal(size=(3, 3)) * 9 + 40 for _ in range(2)
    )
    moved = strokes.transfer_palette(photo, painting, 1.0).reshape(-1, 3)
    np.testing.assert_allclose(moved.mean(0), painting.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(
        np.cov(moved.T), np.cov(painting.reshape(-1, 3).T), rtol=1e-3, atol=1e-2
    )
    np.testing.assert_array_equal(strokes.transfer_palette(photo, painting, 0.0), photo)


def test_strokes_run_along_edges():
    wave = 50 + 40 * np.sin(np.arange(64) / 3)
    for lightness, along in (
        (np.tile(wave, (64, 1)), np.pi / 2),
        (np.tile(wave[:, None], (1, 64)), 0.0),
    ):
        angles = strokes.directions(lightness, 4.0, np.random.default_rng(0))
        off = np.abs((angles - along + np.pi / 2) % np.pi - np.pi / 2)  # a stroke has no sign
        assert np.degrees(np.median(off)) < 10


def test_a_stroke_in_an_even_field_is_straight_and_as_long_as_said():
    line = strokes.paths(np.array([[30.0, 20.0]]), np.full((40, 60), np.pi / 6), 4.0)[0]
    steps = np.diff(line, axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=1e-9)
    assert np.linalg.norm(line[-1] - line[0]) == pytest.approx(4.0 * strokes.LENGTH)
    assert steps[0, 1] / steps[0, 0] == pytest.approx(np.tan(np.pi / 6))


def test_strokes_repaint_every_photograph_once(toy, tmp_path):
    for _ in range(2):
        strokes.main(art_dir=str(toy / "art"), out=str(tmp_path), portraits=1, scenes=1)
    files = sorted(tmp_path.glob("*.png"))
    assert [path.name.split("-")[0] for path in files] == ["photo", "portrait"]
    assert 240 <= min(Image.open(files[0]).size) <= 340


def test_the_solver_that_is_saved_keeps_the_spacing_of_stable_diffusion():
    """from_config drops what was not said explicitly, so a default of one scheduler becomes the default of another."""
    solver = DPMSolverMultistepScheduler.from_config(unet.scheduler().config)
    assert (solver.config.timestep_spacing, solver.config.steps_offset) == ("leading", 1)
    shipped = json.loads((ROOT / "data/models/mini-sd/scheduler/scheduler_config.json").read_text())
    assert (shipped["timestep_spacing"], shipped["steps_offset"]) == ("leading", 1)


def test_the_learning_rate_is_constant_until_it_falls_and_does_not_know_the_end_before():
    def rates(steps, upto):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        schedule, seen = training.learning_rate_schedule(optimizer, steps, warmup=4), []
        for _ in range(upto):
            seen.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        return seen

    whole = rates(100, 101)
    assert whole[:5] == [0.25, 0.5, 0.75, 1, 1] and set(whole[4:61]) == {1}
    assert whole[80] == pytest.approx(0.5) and whole[100] == 0.1
    # given more steps later, a run goes on as if it had always had them
    assert rates(1000, 60) == whole[:60]


def test_the_weights_of_the_loss_make_every_noise_level_count():
    snr = torch.tensor([500.0, 5.0, 1.0, 0.25, 0.01])
    assert unet.loss_weights(snr, 5.0).tolist() == pytest.approx([0.01, 1, 1, 2, 10])
    timesteps = (500, 700, 900)
    alphas = unet.scheduler().alphas_cumprod[list(timesteps)]
    shipped = json.loads((ROOT / "data/models/mini-sd/unet/recipe.json").read_text())
    held_out = shipped["metrics"]["held_out_loss, postcards"]
    losses = torch.tensor([held_out[str(t)] for t in timesteps])
    weighted = losses * unet.loss_weights(alphas / (1 - alphas), 5.0)
    assert losses.max() > 4 * losses.min() and weighted.max() < 2 * weighted.min()


def test_the_answers_lead_from_the_noised_source_to_the_picture():
    """By DDIM's own steps, whether the source is the picture itself, another one or nothing."""
    noise_scheduler = unet.scheduler()
    noise_scheduler.set_timesteps(1000)
    latents, others, noise = torch.randn(3, 3, 8, 4, 4)
    sources, starts = (
        torch.stack([latents[0], others[1], torch.zeros(8, 4, 4)]),
        torch.tensor([400, 400, 950]),
    )
    x, answer = unet.noised(latents, sources, noise, starts, starts, noise_scheduler)
    torch.testing.assert_close(
        x, noise_scheduler.add_noise(sources, noise, starts), atol=1e-4, rtol=0
    )
    assert torch.equal(answer[0], noise[0])
    for k, first in enumerate(starts):
        for t in range(first, 100, -1):
            x[k] = noise_scheduler.step(answer[k], t, x[k]).prev_sample
    below = torch.tensor([100, 100, 100])
    seen, same = unet.noised(latents, sources, noise, starts, below, noise_scheduler)
    torch.testing.assert_close(seen, x, atol=1e-3, rtol=0)
    assert torch.equal(same, answer)
    for eps, z, x0 in zip(answer, seen, latents):  # DDIM's own idea of what is under the noise
        torch.testing.assert_close(
            noise_scheduler.step(eps, 100, z).pred_original_sample, x0, atol=1e-3, rtol=0
        )


def test_a_plain_picture_is_smooth_and_has_the_other_palette():
    rng = np.random.default_rng(0)
    rough = (
        128 + 40 * np.sign(np.arange(96) - 48)[:, None, None] + rng.normal(0, 25, (96, 96, 3))
    ).clip(0, 255)
    image, red = Image.fromarray(rough.astype(np.uint8)), Image.new("RGB", (50, 300), (200, 40, 30))
    smooth = np.asarray(pairs.plain(image, red, rng)).astype(float)
    assert smooth.shape == rough.shape
    assert smooth[2:40].std((0, 1)).max() < 0.5 * rough[2:40].std((0, 1)).min()
    assert smooth[..., 0].mean() > smooth[..., 1].mean() + 60
    halves = smooth[:48].mean(), smooth[48:].mean()
    assert halves[1] > halves[0]  # the drawing stays


def test_postcards_are_learned_from_what_the_model_made_of_them_at_half_the_size(
    tiny_data, monkeypatch
):
    pipe = models.load(tiny_data / "models" / "mini-sd", device="cpu")
    parts = {name: getattr(pipe, name) for name in ("vae", "text_encoder", "tokenizer", "unet")}
    monkeypatch.setattr(redraws, "TOGETHER", 1)
    cards, made = redraws.encode(parts, unet.scheduler(), 2, np.random.default_rng(0))
    assert cards == [postcards.sample(1, k) for k in range(2)] and made.shape[:2] == (2, 2)
    large, small = (
        photos.to_tensor(Image.fromarray(postcards.draw(cards[1], side))) for side in (128, 64)
    )
    with torch.no_grad():
        softened = latents.decode(pipe.vae, latents.encode(pipe.vae, small))
        expected = torch.cat(
            [
                latents.encode(pipe.vae, x)
                for x in (large, photos.to_tensor(photos.resize(photos.to_image(softened), 128)))
            ]
        )
    # a pixel on the edge of two grey levels may fall either way
    apart = (made[1].float() - expected).abs()
    assert apart.mean() < 1e-3 * expected.std() and apart.max() < 0.1 * expected.std()
    assert (made[0, 1] - made[0, 0]).abs().mean() > 0.01  # the model has drawn a part of it


def test_the_text_encoder_learns_with_the_unet_unless_its_rate_is_nought_or_all_is_kept(
    toy, tmp_path
):
    parts = tmp_path / "parts"
    other_parts(toy, parts)
    before = weights(parts / "text_encoder")
    saved = {}
    for rate, keep, alike in (
        (0.0, 0.0, True),
        (0.2, 0.0, False),
        (0.2, 0.5, False),
        (0.2, 1.0, True),
    ):
        place = tmp_path / f"{rate}-{keep}"
        shutil.copytree(parts, place / "model")
        unet.main(
            art_dir=str(toy / "art"),
            runs=str(place / "run"),
            pipeline=str(place / "model"),
            **{**TINY["unet"], "text_rate": rate, "keep": keep, "learning_rate": 0.1},
        )
        saved[rate, keep] = after = weights(place / "model/text_encoder")
        assert all(torch.equal(before[key], after[key]) for key in before) == alike
    for key in before:
        torch.testing.assert_close(
            saved[0.2, 0.5][key], (before[key] + saved[0.2, 0.0][key]) / 2, atol=1e-3, rtol=2e-3
        )


def test_a_teacher_is_matched_in_its_answers_and_in_what_the_caption_changes():
    # with the caption only
    answers, wrong = torch.randn(2, 3, 4, 4), torch.tensor([0.5, 0])[:, None, None, None]
    extra = unet.DIFFERENCE_WEIGHT / 4
    for error, losses in ((0, [0, 0]), (2, [4, 4]), (wrong, [0.25 + extra, extra])):
        made = unet.distillation_losses(
            answers + error, lambda *given: (answers, 0), (), training.accelerator()
        )
        assert made.tolist() == pytest.approx(losses, abs=1e-5)


def test_who_is_his_own_teacher_has_nothing_to_learn(toy, tmp_path):
    other_parts(toy, tmp_path / "model")
    train("unet", toy, tmp_path)
    first = tmp_path / "first"
    shutil.copytree(tmp_path / "model", first)
    unet.main(
        art_dir=str(toy / "art"),
        runs=str(tmp_path / "again"),
        pipeline=str(tmp_path / "model"),
        **{
            **TINY["unet"],
            "initial": str(first / "unet"),
            "teacher": str(first),
            "card_share": 0.0,
            "large": 0,
        },
    )
    log = (tmp_path / "again/log.jsonl").read_text().splitlines()
    # 1 of the noise, which an untrained network knows nothing of
    assert json.loads(log[0])["unweighted"] < 0.01
    record = json.loads((tmp_path / "model/unet/recipe.json").read_text())
    assert record["settings"]["teacher"] == json.loads((first / "unet/recipe.json").read_text())
