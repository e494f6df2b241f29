"""Check the configurations of a model against a table before any of its networks is built.

A folder may come from anywhere. Without these checks, a wrong number in it would stop the program
in the middle of a run, with an error of torch that helps nobody.
"""

import inspect
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sdkit.errors import OTHERS, SdkitError

FILES = {
    "unet": "config.json",
    "vae": "config.json",
    "text_encoder": "config.json",
    "tokenizer": "tokenizer_config.json",
    "scheduler": "scheduler_config.json",
}
LARGEST = 1_000_000  # bytes of a configuration; the shipped ones have less than 2,000
# those that compute with a table of noise levels; a model for flow matching has none
SCHEDULERS = {
    f"{name}Scheduler"
    for name in (
        *("DDIM", "DDPM", "PNDM", "LCM", "TCD", "LMSDiscrete", "HeunDiscrete", "EulerDiscrete"),
        *("EulerAncestralDiscrete", "DPMSolverMultistep", "DPMSolverSinglestep", "UniPCMultistep"),
        *("DEISMultistep", "KDPM2Discrete", "KDPM2AncestralDiscrete"),
    )
}
# A number that must lie in a range: part, key, its value if it is not given, least, most. In
# `WHOLE` it must be a whole number.
WHOLE = (
    ("unet", "in_channels", 4, 1, 64),
    ("unet", "out_channels", 4, 1, 64),
    ("unet", "cross_attention_dim", 1280, 1, 8192),
    ("unet", "norm_num_groups", 32, 1, 1024),
    ("unet", "downsample_padding", 1, 0, 1),
    ("vae", "in_channels", 3, 3, 3),
    ("vae", "out_channels", 3, 3, 3),
    ("vae", "latent_channels", 4, 1, 64),
    ("vae", "norm_num_groups", 32, 1, 1024),
    ("text_encoder", "hidden_size", 512, 1, 8192),
    ("text_encoder", "intermediate_size", 2048, 1, 65_536),
    ("text_encoder", "num_hidden_layers", 12, 1, 128),
    ("text_encoder", "num_attention_heads", 8, 1, 256),
    ("text_encoder", "max_position_embeddings", 77, 3, 2048),
    ("text_encoder", "vocab_size", 49_408, 3, 1_000_000),
    ("text_encoder", "eos_token_id", 49_407, 0, 1_000_000),
    ("tokenizer", "model_max_length", 1e30, 3, 2048),
    # as many as `Settings` allows steps, or more
    ("scheduler", "num_train_timesteps", 1000, 500, 10_000),
    # more would ask for a timestep behind the last one
    ("scheduler", "steps_offset", 0, 0, 1),
)
REAL = (
    ("unet", "freq_shift", 0, 0, 1),
    ("unet", "norm_eps", 1e-5, 1e-12, 0.1),
    ("unet", "mid_block_scale_factor", 1, 1e-4, 1e4),
    ("text_encoder", "layer_norm_eps", 1e-5, 1e-12, 0.1),
    ("vae", "scaling_factor", 0.18215, 1e-4, 1e4),
    ("scheduler", "beta_start", 0.0001, 0, 1),
    ("scheduler", "beta_end", 0.02, 0, 1),
)
# what a text-to-image UNet does not need beside its prompt
UNUSED = ("class_embed_type", "num_class_embeds", "addition_embed_type", "encoder_hid_dim_type")

Configs = dict[str, dict[str, Any]]
Rule = tuple[Callable[[Configs], object], str]  # a condition, and the fault if it is not true
OF_NETWORKS: tuple[Rule, ...] = (
    (
        lambda c: _widths(c["unet"].get("block_out_channels", [1])),
        "the block_out_channels of its unet are not up to 8 whole numbers from 1 to 4096",
    ),
    (
        # a fifth one would shrink pictures by 16, and their sides are multiples of 8
        lambda c: _widths(c["vae"].get("block_out_channels", [1]), 4),
        "the block_out_channels of its vae are not up to 4 whole numbers from 1 to 4096",
    ),
    (
        # the layers are built one by one, so a huge number would never end
        lambda c: all(
            _layers(value)
            for part in ("unet", "vae")
            for key, value in c[part].items()
            if key.endswith("layers_per_block")
        ),
        "a layers_per_block of its unet or vae is not a whole number from 0 to 64, or some",
    ),
    (
        lambda c: c["unet"]["out_channels"] == c["vae"]["latent_channels"],
        "its unet gives {unet[out_channels]} channels and its vae takes {vae[latent_channels]}",
    ),
)
OF_SCHEDULER: tuple[Rule, ...] = (
    (
        lambda c: _text(c["scheduler"].get("_class_name")) in SCHEDULERS,
        "its scheduler has a class that does not work here",
    ),
    (
        lambda c: (
            _text(c["scheduler"].get("prediction_type", "epsilon"))
            in ("epsilon", "v_prediction", "sample")
            and not c["scheduler"].get("use_flow_sigmas")
        ),
        "its scheduler is one for flow matching, or has another odd prediction_type",
    ),
    (
        lambda c: _betas(c["scheduler"].get("trained_betas"), c["scheduler"]),
        "the trained_betas of its scheduler are not numbers from 0 to 1, one for each timestep",
    ),
)
OF_PIPELINE: tuple[Rule, ...] = (
    *OF_NETWORKS,
    (
        lambda c: c["unet"]["in_channels"] == c["vae"]["latent_channels"],
        "its unet takes {unet[in_channels]} channels and its vae gives {vae[latent_channels]}, so "
        "it may be an inpainting model",
    ),
    (
        lambda c: c["unet"]["cross_attention_dim"] == c["text_encoder"]["hidden_size"],
        "its unet takes embeddings of {unet[cross_attention_dim]} numbers and its text_encoder "
        "gives {text_encoder[hidden_size]}",
    ),
    (
        lambda c: (
            c["tokenizer"]["model_max_length"] <= c["text_encoder"]["max_position_embeddings"]
        ),
        "its tokenizer gives {tokenizer[model_max_length]} tokens and its text_encoder takes "
        "{text_encoder[max_position_embeddings]}",
    ),
    (
        lambda c: not any(c["unet"].get(key) for key in UNUSED),
        "its unet needs more than a prompt",
    ),
    *OF_SCHEDULER,
)
OF_UPSCALER: tuple[Rule, ...] = (
    *OF_NETWORKS,
    (
        lambda c: c["unet"]["in_channels"] == c["vae"]["latent_channels"] + 3,
        "its unet takes {unet[in_channels]} channels, and not those of its vae "
        "({vae[latent_channels]}) and 3 of the picture",
    ),
    (
        lambda c: not any("CrossAttn" in _text(kind) for kind in _kinds(c["unet"])),
        "its unet needs a prompt",
    ),
    *OF_SCHEDULER,
)


def read(path: Path, most: int = LARGEST) -> dict[str, Any]:
    """The configuration in a JSON file. Raises `SdkitError` if it is missing, damaged or huge.

    most : the largest size of the file in bytes.
    """
    try:
        # a pipe or a device may never end
        if not path.is_file() or path.stat().st_size > most:
            raise ValueError("no file, or too large")
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("not an object")
        return config
    except (OSError, ValueError, RecursionError) as error:
        raise SdkitError(
            f"{path} is missing or damaged. Copy it again from where it came."
        ) from error


def check(
    folder: Path,
    rules: Iterable[Rule] = OF_PIPELINE,
    parts: Iterable[str] = tuple(FILES),
    borrowed: Configs | None = None,
) -> None:
    """Raise `SdkitError` if the configurations of a model are wrong or do not fit together.

    folder : the model, in diffusers' layout.
    rules : `OF_PIPELINE` or `OF_UPSCALER`.
    parts : the parts of the model that lie in the folder.
    borrowed : the configurations of parts that come from another model.
    """
    configs = {part: read(folder / part / FILES[part]) for part in parts} | (borrowed or {})
    for table, whole in ((WHOLE, True), (REAL, False)):
        for part, key, usual, least, most in table:
            if part in configs:
                value = configs[part].setdefault(key, usual)
                if not _number(value, least, most, whole):
                    kind = "whole number" if whole else "number"
                    wish = f"is not a {kind} from {least} to {most}"
                    raise _unfit(folder, f"the {key} of its {part} is {value!r:.40}, which {wish}")
    for holds, fault in rules:
        if not holds(configs):
            raise _unfit(folder, fault.format(**configs))
    for part in ("unet", "vae", "scheduler"):
        if part in configs:
            _check_kinds(folder, part, configs[part])


def _check_kinds(folder: Path, part: str, config: dict[str, Any]) -> None:
    """Raise `SdkitError` if a value is of another kind than the default of its class.

    The libraries read "no" as yes where they expect true or false. They use text as a number only
    when they paint.
    """
    import diffusers

    names = {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL"}
    cls = getattr(diffusers, names.get(part) or config["_class_name"])
    for key, parameter in inspect.signature(cls.__init__).parameters.items():
        usual, value = parameter.default, config.get(key, parameter.default)
        # some numbers may be given for each block of the network
        listed = isinstance(value, list) and "uple" in str(parameter.annotation)
        for one in value if listed else [value]:
            if isinstance(usual, bool):
                # null counts as false, so it may stand where false is usual
                wish, right = "true or false", isinstance(one, bool) or (one is None and not usual)
            elif isinstance(usual, (int, float)):
                # null and infinity stand in configurations of the libraries themselves
                wish, right = "a number", one is None or isinstance(one, (int, float))
            else:
                continue
            if not right:
                raise _unfit(folder, f"the {key} of its {part} is {one!r:.40}, which is not {wish}")


def _unfit(folder: Path, fault: str) -> SdkitError:
    return SdkitError(
        f"{folder.name} cannot be used: {fault}. Copy or download it again. If that does not "
        f"help, use {OTHERS}."
    )


def _number(value: Any, least: float, most: float, whole: bool) -> bool:
    """Whether a value of JSON is a number from `least` to `most`."""
    kinds = int if whole else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most


def _widths(value: Any, most: int = 8) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= most
        and all(_number(width, 1, 4096, True) for width in value)
    )


def _layers(value: Any) -> bool:
    """Whether this is a number of layers, or a list of them, or of such lists, or not given."""
    listed = isinstance(value, list) and len(value) <= 64
    return value is None or _number(value, 0, 64, True) or (listed and all(map(_layers, value)))


def _betas(value: Any, scheduler: dict[str, Any]) -> bool:
    """Whether these are noise levels, one for each timestep, or none are given."""
    return value is None or (
        isinstance(value, list)
        and len(value) == scheduler["num_train_timesteps"]
        and all(_number(beta, 0, 1, False) for beta in value)
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _kinds(unet: dict[str, Any]) -> list[Any]:
    """The names of the blocks of a UNet."""
    kinds = [unet.get("down_block_types"), unet.get("up_block_types")]
    listed = [kind for some in kinds if isinstance(some, list) for kind in some]
    return [unet.get("mid_block_type"), *listed]
