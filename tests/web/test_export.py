"""The ONNX files give what the networks give, and are small enough for the page."""

import json

import numpy as np
import pytest
import torch

from sdkit.diffusion.attention import attention_maps
from sdkit.web import export

pytest.importorskip("onnx", reason="the export needs the package onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="the tests of the export need onnxruntime")

LIMIT = 40e6  # bytes


@pytest.fixture(scope="module")
def parts():
    return export.shipped_parts()


def run(path, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {name: x.numpy() for name, x in inputs.items()})


def torch_gives(part, inputs):
    with torch.no_grad():
        made = part.network(*inputs.values())
    return [x.numpy() for x in (made if isinstance(made, tuple) else [made])]


def other_shape(part):
    """Inputs that are wider and lower than the examples with which the export was made."""
    return {
        name: torch.cat([x, x.flip(3)], 3)[:, :, : x.shape[2] * 2 // 3]
        if part.dynamic.get(name)
        else x
        for name, x in part.inputs.items()
    }


@pytest.mark.parametrize("name", export.STORED)
def test_a_file_in_float32_gives_what_the_network_gives(parts, name, tmp_path):
    part = parts[name]
    export.write_onnx(part, tmp_path / "part.onnx")
    for inputs in (part.inputs, other_shape(part)):
        for made, expected in zip(
            run(tmp_path / "part.onnx", inputs), torch_gives(part, inputs), strict=True
        ):
            np.testing.assert_allclose(made, expected, atol=1e-3, rtol=1e-3)


def test_the_attention_for_the_page_is_that_of_lesson_07(parts):
    """The mean over heads and over the layers with the most places, for each place and token."""
    latents, t, words, scale = parts["unet"].inputs.values()
    unet = parts["unet"].network.networks[0]
    with torch.no_grad():
        attention = torch_gives(parts["unet"], parts["unet"].inputs)[1]
        with attention_maps(unet) as maps:
            unet(latents, t, words, timestep_cond=scale)
    places = latents.shape[2] * latents.shape[3] // 4
    assert attention.shape == (1, places, words.shape[1])
    finest = torch.stack([m.mean(1) for m in maps.values() if m.shape[2] == places])
    np.testing.assert_allclose(attention, finest.mean(0), atol=1e-6)
    np.testing.assert_allclose(attention.sum(2), 1, atol=1e-5)
    assert attention.max() > 2 * attention.mean()  # else it would say nothing


@pytest.mark.parametrize("stored, loss", [("float16", 2e-3), ("int8", 3e-2)])
def test_smaller_weights_change_little(parts, stored, loss, tmp_path):
    part = parts["encoder"]
    export.write_onnx(part, tmp_path / "large.onnx")
    export.write_onnx(part, tmp_path / "small.onnx", stored)
    share = (tmp_path / "small.onnx").stat().st_size / (tmp_path / "large.onnx").stat().st_size
    assert share < {"float16": 0.6, "int8": 0.4}[stored]
    made, expected = run(tmp_path / "small.onnx", part.inputs)[0], torch_gives(part, part.inputs)[0]
    assert 0 < np.abs(made - expected).mean() < loss


def test_eight_bits_keep_each_channel_to_half_a_step(tmp_path):
    """One scale for the whole tensor would lose the channels with small weights."""
    import onnx
    from onnx import helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(16, 128)).astype(np.float32)
    weights *= np.logspace(-3, 0, 16, dtype=np.float32)[:, None]
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["y"])],
        "one",
        [],
        [helper.make_tensor_value_info("y", kind, weights.shape)],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = helper.make_opsetid("", export.OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    export.store(model, "int8")
    onnx.save(model, str(tmp_path / "one.onnx"))
    (back,) = run(tmp_path / "one.onnx", {})
    step = np.abs(weights).max(1, keepdims=True) / 127
    assert (np.abs(back - weights) <= 0.501 * step).all()


def test_all_files_of_the_page_are_small_enough(tmp_path):
    sizes = export.export(tmp_path)
    assert sum(sizes.values()) < LIMIT
    listed = json.loads((tmp_path / "model.json").read_text("utf-8"))
    assert listed["bytes"] == sizes
    assert listed["defaults"]["draw"]["size"] * 2 == listed["defaults"]["redraw"]["size"]


def test_a_scheduler_that_the_page_does_not_know_is_refused(parts):
    from diffusers import DPMSolverMultistepScheduler

    from sdkit.errors import SdkitError

    with pytest.raises(SdkitError, match="cannot run a scheduler with solver_order"):
        export._scheduler(
            DPMSolverMultistepScheduler(beta_schedule="scaled_linear", solver_order=3)
        )
