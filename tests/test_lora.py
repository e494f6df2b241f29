"""LoRA: what is trained, saved and added equals what peft, diffusers and the formula say."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig, get_peft_model_state_dict
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sdkit import lora, models, postcards
from sdkit.errors import SdkitError

SHORT = lora.Recipe(steps=6, rate=1e-2, rank=2, batch=4, size=32)
LAYER = "mid_block.attentions.0.transformer_blocks.0.attn2.to_q"


@pytest.fixture(scope="module")
def pipe(tiny_sd):
    return models.load(tiny_sd, "text2img", device="cpu")


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)) for _ in range(3)]


@pytest.fixture(scope="module")
def learned(pipe, pictures, tmp_path_factory):
    """A LoRA file, and what the UNet answered with the LoRA that it holds."""
    path = tmp_path_factory.mktemp("lora") / "dots.safetensors"
    learner = lora.Learner(pipe, pictures, ["a", "b", "c"], "dots", SHORT)
    for _ in learner.train():
        pass
    learner.save(path)
    answered = answer(pipe)
    learner.remove()
    return path, answered


@torch.no_grad()
def answer(pipe):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(1, 8, 8, 8, generator=generator)
    words = pipe.text_encoder(torch.arange(16)[None])[0]
    return pipe.unet(z, 500, words).sample


def test_nothing_changes_before_the_first_step_and_after_the_lora_is_removed(pipe, pictures):
    before, needed = answer(pipe), [w.requires_grad for w in pipe.unet.parameters()]
    names = list(pipe.unet.state_dict())
    learner = lora.Learner(pipe, pictures, ["a", "b", "c"], "dots", SHORT)
    torch.testing.assert_close(answer(pipe), before, atol=1e-5, rtol=1e-4)
    weights = {name: w.detach().clone() for name, w in learner.weights.items()}
    assert all(not w.any() for name, w in weights.items() if "lora_B" in name)
    assert any(name.startswith("CLIPTextModel") for name in weights)
    learner.step()
    assert all(  # B moves first; A has no gradient while B is zero
        bool((w != weights[name]).any()) for name, w in learner.weights.items() if "lora_B" in name
    )
    assert not torch.allclose(answer(pipe), before, atol=1e-4)
    learner.remove()
    assert torch.equal(answer(pipe), before) and list(pipe.unet.state_dict()) == names
    assert [w.requires_grad for w in pipe.unet.parameters()] == needed


def test_the_file_is_read_by_diffusers_itself(tiny_sd, pipe, learned):
    path, answered = learned
    theirs = StableDiffusionPipeline.from_pretrained(tiny_sd, safety_checker=None).to(torch.float32)
    before = answer(theirs)
    theirs.load_lora_weights(str(path.parent), weight_name=path.name)
    torch.testing.assert_close(answer(theirs), answered, atol=2e-3, rtol=1e-2)
    assert (answer(theirs) - before).abs().max() > 10 * (answer(theirs) - answered).abs().max()
    assert set(theirs.get_list_adapters()) == {"unet", "text_encoder"}


def test_a_layer_computes_w_plus_s_b_a(pipe, learned):
    path, _ = learned
    held = {key: tensor.float() for key, tensor in load_file(path).items()}
    A, B = (held[f"unet.{LAYER}.lora_{letter}.weight"] for letter in "AB")
    W, x = pipe.unet.get_submodule(LAYER).weight.detach(), torch.randn(3, 8)
    with torch.no_grad(), lora.applied(pipe, [lora.read(path, 0.6)]):
        made = pipe.unet.get_submodule(LAYER)(x)
    torch.testing.assert_close(made, x @ (W + 0.6 * B @ A).T, atol=1e-5, rtol=1e-5)
    assert A.shape == (2, 8) and B.shape == (8, 2) and B.abs().max() > 0


def test_two_loras_are_added_by_their_scales_and_leave_nothing_behind(pipe, learned, tmp_path):
    path, _ = learned
    held = load_file(path)
    other = tmp_path / "other.safetensors"
    save_file({key: -0.5 * w if "lora_B" in key else w for key, w in held.items()}, other)
    before = answer(pipe)
    # the second one is minus half of the first: 0.5 - 0.5 * 1 = 0
    with lora.applied(pipe, [lora.read(path, 0.5), lora.read(other, 1)]):
        torch.testing.assert_close(answer(pipe), before, atol=1e-4, rtol=1e-3)
    with lora.applied(pipe, [lora.read(path, 0.5), lora.read(other, -1)]):
        both = answer(pipe)
    with lora.applied(pipe, [lora.read(path, 1)]):
        torch.testing.assert_close(answer(pipe), both, atol=1e-4, rtol=1e-3)
        seen = lora.paused(pipe, lambda: answer(pipe))()
        torch.testing.assert_close(seen, before, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(answer(pipe), both, atol=1e-4, rtol=1e-3)  # back again
    assert torch.equal(answer(pipe), before)


def test_a_stopped_training_goes_on_as_if_it_had_not_been_stopped(pipe, pictures, tmp_path):
    def learner():
        return lora.Learner(pipe, pictures, ["a", "b", "c"], "dots", SHORT)

    whole = learner()
    losses = [loss for _, loss in whole.train()]
    expected = whole.state()
    whole.remove()
    first = learner()
    half = [loss for _, loss in first.train(3)]
    first.save_progress(tmp_path / "x.progress", "these")
    first.remove()
    second = learner()
    assert not second.go_on(tmp_path / "x.progress", "others") and second.done == 0
    assert not second.go_on(tmp_path / "gone", "these") and second.done == 0
    assert second.go_on(tmp_path / "x.progress", "these") and second.done == 3
    assert half + [loss for _, loss in second.train()] == losses
    resumed = second.state()
    second.remove()
    assert all(torch.equal(resumed[name], tensor) for name, tensor in expected.items())


def test_half_of_the_batch_are_postcards_and_none_without_a_prior(pipe, pictures):
    recipe = lora.Recipe(steps=1, batch=8, size=32, prior=0.5)
    learner = lora.Learner(pipe, pictures, ["a", "b", "c"], "dots", recipe)
    tokens = learner.batch()[2].tolist()
    new, known = learner.examples[1].tolist(), learner.known[1].tolist()
    assert all(row in new for row in tokens[:4]) and all(row in known for row in tokens[4:])
    learner.remove()
    alone = lora.Learner(
        pipe, pictures, ["a", "b", "c"], "dots", lora.Recipe(batch=8, size=32, prior=0)
    )
    assert all(row in new for row in alone.batch()[2].tolist()) and alone.known is None
    alone.remove()


def test_a_noisy_example_is_the_picture_plus_the_noise_that_is_asked_for(pipe, pictures):
    learner = lora.Learner(
        pipe, pictures[:1], ["a"], "dots", lora.Recipe(batch=64, size=32, prior=0)
    )
    noisy, t, _, noise = learner.batch()
    learner.remove()
    abar = pipe.scheduler.alphas_cumprod[t][:, None, None, None]
    clean = learner.examples[0][:1]
    torch.testing.assert_close(noisy, abar.sqrt() * clean + (1 - abar).sqrt() * noise)
    # an example without a trace holds less of its picture than the formula alone would leave
    share = (noise * clean).flatten(1).sum(1) / clean.square().sum()
    assert 0.2 < float((share < -0.02).float().mean()) <= 1


def test_the_prior_are_training_postcards_with_fitting_captions():
    drawn, captions = lora.prior(lora.Recipe(size=32))
    assert len(drawn) == len(captions) == lora.PRIOR_PICTURES and drawn[0].size == (32, 32)
    cards = [postcards.sample(1, k) for k in range(lora.PRIOR_PICTURES)]
    assert not any(postcards.is_held_out(card) for card in cards)
    np.testing.assert_array_equal(drawn[5], postcards.draw(cards[5], 32))
    names = {name: (name, *postcards.OTHER_NAMES.get(name, ())) for name in postcards.THINGS}
    assert all(
        any(name in caption for name in names[card.thing]) for card, caption in zip(cards, captions)
    )


def test_the_file_says_word_and_model_and_is_small(learned):
    path, _ = learned
    found = lora.read(path, 0.5)
    assert (found.word, found.base, found.scale) == ("dots", "mini-sd", 0.5)
    assert found.label == "dots.safetensors, scale 0.5, word dots"
    with safe_open(path, "pt") as file:
        assert file.metadata()["sdkit.steps"] == "6"
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118


def test_the_file_of_the_shipped_model_has_at_most_2_mb():
    """Counted from the shapes of the shipped networks: rank x (inputs + outputs) for each layer."""
    pipe, count = models.load(task="text2img", device="cpu"), 0
    for network, ends in (
        (pipe.unet, lora.UNET_LAYERS),
        (pipe.text_encoder, lora.TEXT_LAYERS),
    ):
        for name, layer in network.named_modules():
            if any(name == end or name.endswith(f".{end}") for end in ends):
                outputs, inputs = layer.weight.flatten(1).shape
                count += lora.Recipe().rank * (inputs + outputs)
    assert 0 < 2 * count < 2e6  # two bytes each


def test_what_does_not_fit_is_one_sentence(pipe, learned, tmp_path):
    path, _ = learned
    held = load_file(path)
    notes = {"format": "pt", "sdkit.base": "sd15", "sdkit.word": "dots"}
    save_file(held, tmp_path / "real.safetensors", notes)
    wide = {
        key: w.repeat(1, 3) if "lora_A" in key and w.ndim == 2 else w for key, w in held.items()
    }
    save_file(wide, tmp_path / "wide.safetensors")
    save_file({f"x.{key}": w for key, w in held.items()}, tmp_path / "names.safetensors")
    save_file({"model.weight": torch.ones(2)}, tmp_path / "model.safetensors")
    save_file({"a.lora_A.weight": torch.tensor([torch.nan])}, tmp_path / "nan.safetensors")
    (tmp_path / "bytes.safetensors").write_bytes(b"no tensors")
    (tmp_path / "old.ckpt").write_bytes(b"PK")
    before = answer(pipe)
    for name, words in (("real", "--model sd15"), ("wide", "fit"), ("names", "fit")):
        found = lora.read(tmp_path / f"{name}.safetensors")
        with pytest.raises(SdkitError, match=words), lora.applied(pipe, [lora.read(path), found]):
            pass
        assert torch.equal(answer(pipe), before)
    for name, words in (
        ("model.safetensors", "not a LoRA"),
        ("nan.safetensors", "finite"),
        ("bytes.safetensors", "cannot be read"),
        ("old.ckpt", "programs"),
        ("gone.safetensors", "no LoRA file"),
    ):
        with pytest.raises(SdkitError, match=words):
            lora.read(tmp_path / name)


def test_a_lora_of_another_program_on_attention_alone_loads(pipe, tmp_path):
    theirs = StableDiffusionPipeline.from_pipe(pipe)
    torch.manual_seed(1)
    config = LoraConfig(r=3, lora_alpha=3, target_modules=["to_q", "to_v"], init_lora_weights=False)
    theirs.unet.add_adapter(config)
    expected = answer(theirs)
    state = get_peft_model_state_dict(theirs.unet)
    theirs.unet.delete_adapters("default")
    StableDiffusionPipeline.save_lora_weights(tmp_path, unet_lora_layers=state)
    found = lora.read(tmp_path / "pytorch_lora_weights.safetensors")
    assert (found.word, found.base) == ("", "")
    with lora.applied(pipe, [found]):
        torch.testing.assert_close(answer(pipe), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "text, file, scale",
    [
        ("chalk.safetensors", "chalk.safetensors", 1.0),
        ("chalk.safetensors:0.8", "chalk.safetensors", 0.8),
        ("a/b:-1", "a/b", -1.0),
        (r"C:\styles\chalk.safetensors", r"C:\styles\chalk.safetensors", 1.0),
        (r"C:\styles\chalk.safetensors:2", r"C:\styles\chalk.safetensors", 2.0),
    ],
)
def test_a_file_and_its_scale_are_split(text, file, scale):
    assert lora.split(text) == (file, scale)


@pytest.mark.parametrize("number", ["9", "-5.1", "nan", "inf"])
def test_scales_far_out_are_refused(number):
    with pytest.raises(SdkitError, match="scale"):
        lora.split(f"x.safetensors:{number}")


def test_words_that_cannot_name_a_style_are_refused():
    known = {"red", "house"}
    assert lora.check_word(" Chalk ", known) == "chalk"
    for word, reason in (("red", "already"), ("the", "already"), ("two words", "one word")):
        with pytest.raises(SdkitError, match=reason):
            lora.check_word(word, known)
    for word in ("", "!", "x" * 31):
        with pytest.raises(SdkitError, match="one word"):
            lora.check_word(word, known)


def test_what_a_picture_shows_is_said_by_a_text_or_by_its_name(tmp_path):
    known = {"a", "red", "house", "in", "the", "snow"}
    named, texted, dumb = (
        tmp_path / name for name in ("a-red_house in the snow 2.png", "IMG_1.png", "red.png")
    )
    (tmp_path / "IMG_1.txt").write_text("a blue boat\n at night ", encoding="utf-8")
    assert lora.caption_of(named, known) == "a red house in the snow"
    assert lora.caption_of(texted, known) == "a blue boat at night"
    assert lora.caption_of(dumb, known) == ""
    (tmp_path / "red.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(SdkitError, match="UTF-8"):
        lora.caption_of(dumb, known)
    assert lora.mark("a house", "chalk") == "a house, chalk"
    assert lora.mark("a house", "chalk", before=True) == "chalk, a house"
    assert lora.mark("", "chalk") == "chalk"


@pytest.mark.parametrize(
    "values", [{"steps": 0}, {"rank": 65}, {"size": 70}, {"rate": 0}, {"prior": 1}, {"seed": -1}]
)
def test_values_that_make_no_sense_are_refused(values):
    with pytest.raises(SdkitError, match=next(iter(values))):
        lora.Recipe(**values)


def test_another_picture_caption_word_or_setting_is_another_training(pictures):
    base = (pictures, ["a"], "dots", SHORT, "mini-sd")
    assert lora.fingerprint(*base) == lora.fingerprint(*base)
    others = [
        (pictures[:2], *base[1:]),
        (pictures, ["b"], *base[2:]),
        (*base[:2], "dot", *base[3:]),
        (*base[:3], lora.Recipe(steps=7), base[4]),
        (*base[:4], "other"),
    ]
    assert len({lora.fingerprint(*other) for other in [base, *others]}) == 6
