"""Turn the networks of mini-sd and of the upscaler into ONNX files for the page.

Every network computes in float32, because WASM has no fast half precision. The weights are stored
in a smaller form: in half precision, or in 8 bits with one scale for each output channel. The first
operations of the file turn them back into float32, and the runtime does this once, while it loads
the file.

Only this module needs the package onnx.
"""

import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from sdkit import __version__, generate, models, postcards, upscale
from sdkit.diffusion.attention import attention_maps
from sdkit.errors import SdkitError
from sdkit.files import write_atomically
from sdkit.web import patches

OPSET = 18
# A smaller tensor stays in float32: norms and biases hardly count for the size of the file.
SMALL = 1024
# How the weights of each network are stored on the page: "int8" or "float16". The decoder paints
# every pixel, so it gets the finer one; the text encoder and the encoder are small.
STORED = {
    "text": "float16",
    "unet": "int8",
    "encoder": "float16",
    "decoder": "float16",
    "regressor": "int8",
    "upscaler": "int8",
    "large": "float16",
}


@dataclass(frozen=True)
class Part:
    """One network, ready for export.

    network : takes tensors and returns one tensor or several.
    inputs : {name: example}. The examples fix the shapes, apart from `dynamic`.
    outputs : the names of what comes out.
    dynamic : {name of an input or output: the axes whose length may change}.
    """

    network: nn.Module
    inputs: dict[str, torch.Tensor]
    outputs: list[str]
    dynamic: dict[str, tuple[int, ...]]


class Call(nn.Module):
    """A function of tensors as a module, because the exporter needs a module."""

    def __init__(self, function: Callable[..., Any], *networks: nn.Module) -> None:
        super().__init__()
        self.function, self.networks = function, nn.ModuleList(networks)

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self.function(*tensors)


def parts(pipe: Any, upscaler: Any) -> dict[str, Part]:
    """All networks of the page, by name.

    pipe : mini-sd, from `Model.pipeline`.
    upscaler : from `Model.upscaler`.

    text : the numbers of the tokens (1, L) -> embeddings (1, L, D).
    unet : noisy latents, timestep (1,), embeddings, embedding of the guidance scale -> what the
        network predicts, and how strongly each place attends to each token (1, places, L). All
        zeros for the embedding of the scale mean: no guidance.
    encoder : a picture in [-1, 1] -> mean and standard deviation of its latents, scaled.
    decoder : latents, statistics of its norms -> a picture in about [-1, 1], not clipped, and the
        statistics that were used (`patches.statistics`). All zeros mean: its own statistics.
    regressor, upscaler, large : the two networks of the upscaler, for a small picture without
        noise, and the decoder for the large picture.
    """
    unet, vae, text = pipe.unet, pipe.vae, pipe.text_encoder
    length, width = text.config.max_position_embeddings, unet.config.time_cond_proj_dim
    level = torch.tensor([0])  # the noise of the small picture

    def encode(picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        posterior = vae.encode(picture).latent_dist
        factor = vae.config.scaling_factor
        return posterior.mean * factor, posterior.std * factor

    def decoder(own: Any) -> Part:
        def decode(latents: torch.Tensor, given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            with patches.statistics(own.decoder, given) as used:
                picture = own.decode(latents / own.config.scaling_factor).sample
            return picture, torch.stack(used)

        own_statistics = torch.zeros(patches.count(own.decoder))
        return Part(
            Call(decode, own),
            {"latents": latents, "given": own_statistics},
            ["picture", "used"],
            {"latents": both},
        )

    def predict(
        latents: torch.Tensor, t: torch.Tensor, words: torch.Tensor, scale: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with attention_maps(unet) as maps:
            output = unet(latents, t, words, timestep_cond=scale).sample
        # as in lesson 07: the mean over the heads and over the layers with the most places
        most = max(weights.shape[2] for weights in maps.values())
        finest = [weights.mean(1) for weights in maps.values() if weights.shape[2] == most]
        return output, torch.stack(finest).mean(0)

    def regress(small: torch.Tensor) -> torch.Tensor:
        nothing = torch.zeros_like(small[:, :1]).expand(-1, channels, -1, -1)
        inputs = torch.cat([nothing, small], 1)
        return upscaler.regressor(inputs, 0, None, class_labels=level).sample

    def enlarge(latents: torch.Tensor, small: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        inputs = torch.cat([latents, small], 1)
        return upscaler.unet(inputs, t, None, class_labels=level).sample

    channels = vae.config.latent_channels
    random = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, 48, 32, generator=random) * 2 - 1
    latents = torch.randn(1, channels, 12, 8, generator=random)
    small = torch.rand(1, 3, 12, 8, generator=random) * 2 - 1
    tokens = torch.arange(length, dtype=torch.int32)[None]
    words = torch.randn(1, length, unet.config.cross_attention_dim, generator=random)
    t, scale = torch.tensor([500.0]), torch.rand(1, width, generator=random)
    both = (2, 3)
    return {
        "text": Part(
            Call(lambda ids: text(ids.long())[0], text), {"tokens": tokens}, ["words"], {}
        ),
        "unet": Part(
            Call(predict, unet),
            {"latents": latents, "t": t, "words": words, "scale": scale},
            ["output", "attention"],
            {"latents": both, "attention": (1,)},
        ),
        "encoder": Part(
            Call(encode, vae), {"picture": picture}, ["mean", "std"], {"picture": both}
        ),
        "decoder": decoder(vae),
        "regressor": Part(
            Call(regress, upscaler.regressor), {"small": small}, ["latents"], {"small": both}
        ),
        "upscaler": Part(
            Call(enlarge, upscaler.unet),
            {"latents": latents, "small": small, "t": t},
            ["output"],
            {"latents": both, "small": both},
        ),
        "large": decoder(upscaler.vae),
    }


def shipped_parts() -> dict[str, Part]:
    """The parts of the shipped weights, in float32."""
    model = models.resolve("mini-sd")
    pipe = model.pipeline("text2img", "cpu", torch.float32)
    large = models.resolve("mini-upscaler").upscaler(model, "cpu", torch.float32)
    return parts(pipe, large)


def write_onnx(part: Part, path: Path, stored: str = "float32") -> None:
    """Write one network as an ONNX file.

    stored : "float32", "float16" or "int8", the form of the weights in the file.
    """
    onnx = _onnx()
    names = {1: "places", 2: "height", 3: "width"}
    axes = {name: {axis: names[axis] for axis in own} for name, own in part.dynamic.items()}
    with torch.no_grad(), warnings.catch_warnings(), write_atomically(path) as unfinished:
        warnings.simplefilter("ignore")  # tracing warns about every check of a shape
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            part.network.eval(),
            tuple(part.inputs.values()),
            str(unfinished),
            input_names=list(part.inputs),
            output_names=part.outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        if stored != "float32":
            network = onnx.load(str(unfinished))
            store(network, stored)
            onnx.save(network, str(unfinished))


def store(network: Any, stored: str) -> None:
    """Store the large weights of an ONNX model in another form, in place.

    stored : "float16", or "int8": whole numbers from -127 to 127 with one scale for each output
        channel, chosen so that the largest weight of the channel fits.
    """
    onnx = _onnx()
    from onnx import helper, numpy_helper

    graph, first = network.graph, []
    outputs = _channel_axes(graph)
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALL:
            continue
        name = tensor.name
        graph.initializer.remove(tensor)
        if stored == "int8":
            axis = outputs.get(name, 0)
            others = tuple(k for k in range(values.ndim) if k != axis)
            scale = np.abs(values).max(axis=others, keepdims=True) / 127
            scale = np.maximum(scale, np.finfo(np.float32).tiny).astype(np.float32)
            whole = np.round(values / scale).astype(np.int8)
            graph.initializer.append(numpy_helper.from_array(whole, f"{name}.whole"))
            graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
            first += [
                helper.make_node(
                    "Cast", [f"{name}.whole"], [f"{name}.cast"], to=onnx.TensorProto.FLOAT
                ),
                helper.make_node("Mul", [f"{name}.cast", f"{name}.scale"], [name]),
            ]
        else:
            half = values.astype(np.float16)
            graph.initializer.append(numpy_helper.from_array(half, f"{name}.half"))
            first.append(
                helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT)
            )
    nodes = first + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)


def _channel_axes(graph: Any) -> dict[str, int]:
    """The weights whose output channels are not on axis 0: those (in, out) of a MatMul."""
    return {name: 1 for node in graph.node if node.op_type == "MatMul" for name in node.input[1:]}


def settings() -> dict[str, Any]:
    """All numbers and words that the page needs beside the networks."""
    model = models.resolve("mini-sd")
    pipe = model.pipeline("text2img", "cpu", torch.float32)
    large = models.resolve("mini-upscaler").upscaler(model, "cpu", torch.float32)
    tokenizer = json.loads((model.folder / "tokenizer" / "tokenizer.json").read_text("utf-8"))
    return {
        "version": __version__,
        "model": model.label,
        "defaults": model.defaults,
        "factor": 2 ** (len(pipe.vae.config.block_out_channels) - 1),
        "channels": pipe.vae.config.latent_channels,
        "scale_width": pipe.unet.config.time_cond_proj_dim,
        "statistics": {
            "decoder": patches.count(pipe.vae.decoder),
            "large": patches.count(large.vae.decoder),
        },
        "scheduler": _scheduler(pipe.scheduler),
        "upscaler": {
            "model": "mini-upscaler",
            "num_inference_steps": upscale.STEPS,
            "strength": upscale.STRENGTH,
            "scheduler": _scheduler(large.scheduler),
            # how much of the small picture and how much noise the networks get at noise level 0
            "signal": float(large.low_res_scheduler.alphas_cumprod[0].sqrt()),
            "noise": float((1 - large.low_res_scheduler.alphas_cumprod[0]).sqrt()),
        },
        "tokenizer": {
            "vocab": tokenizer["model"]["vocab"],
            "merges": tokenizer["model"]["merges"],
            "length": pipe.tokenizer.model_max_length,
            "start": pipe.tokenizer.bos_token_id,
            "end": pipe.tokenizer.eos_token_id,
            "pad": pipe.tokenizer.pad_token_id,
        },
        "words": sorted(model.known_words or ()),
        "grammar": {
            "parts": {part: list(words) for part, words in postcards.WORDS.items()},
            "phrases": {word: said[0] for word, said in postcards.PHRASES.items()},
        },
    }


def check() -> dict[str, Any]:
    """A small picture as PyTorch paints it, with which the page tests a graphics chip.

    Every `step`-th pixel of every `step`-th row is there; `Painter.check` makes the picture before.
    """
    model, side, step = models.resolve("mini-sd"), 64, 4
    down, right = np.indices((side, side), np.uint8) * 4
    before = Image.fromarray(np.stack([right, down, 252 - right], 2))
    settings = model.settings("van gogh", num_inference_steps=2, strength=0.5, size=side)
    pipe = model.pipeline("img2img", "cpu", torch.float32)
    (after,) = generate.style(pipe, [before], settings, on_step=lambda: None)
    wish = {
        "prompt": settings.prompt,
        "seed": settings.seed,
        "guidance": settings.guidance_scale,
        "steps": settings.num_inference_steps,
        "strength": settings.strength,
    }
    pixels = np.asarray(after)[::step, ::step]
    return {"side": side, "step": step, "wish": wish, "after": pixels.flatten().tolist()}


def _scheduler(scheduler: Any) -> dict[str, Any]:
    """The settings of a scheduler that the page needs. Raises `SdkitError` for another kind."""
    config = scheduler.config
    needed = {
        "algorithm_type": "dpmsolver++",
        "solver_type": "midpoint",
        "solver_order": 2,
        "beta_schedule": "scaled_linear",
        "final_sigmas_type": "zero",
        "lower_order_final": True,
        "euler_at_final": False,
    }
    for name, value in needed.items():
        if config[name] != value:
            raise SdkitError(f"The page cannot run a scheduler with {name} = {config[name]!r}.")
    kept = "num_train_timesteps beta_start beta_end timestep_spacing steps_offset prediction_type"
    return {name: config[name] for name in kept.split()}


def export(folder: Path, exact: bool = False) -> dict[str, int]:
    """Write all networks and the file ``model.json`` to `folder`. Returns the bytes of each file.

    exact : store every weight in float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {}
    for name, part in shipped_parts().items():
        path = folder / f"{name}.onnx"
        write_onnx(part, path, "float32" if exact else STORED[name])
        sizes[path.name] = path.stat().st_size
        print(f"{path.name:<16}{sizes[path.name] / 1e6:7.2f} MB", flush=True)
    listed = {**settings(), "check": check(), "bytes": sizes}
    with write_atomically(folder / "model.json") as unfinished:
        unfinished.write_text(json.dumps(listed, ensure_ascii=False), "utf-8")
    print(f"{'in all':<16}{sum(sizes.values()) / 1e6:7.2f} MB")
    return sizes


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise SdkitError(
            f"The export needs the package onnx ({error}). Install it: pip install onnx"
        ) from error
    return onnx
