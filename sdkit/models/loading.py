"""Load the networks of a model, each by its own class, from safetensors only, without the network.

diffusers and transformers take seconds to import, so this module imports them inside its functions.
"""

import contextlib
import gc
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdkit import progress
from sdkit.errors import OTHERS, SdkitError
from sdkit.files import model_dir
from sdkit.models import checksums, configurations, formats, hardware

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

# parameters; a smaller model stays in float32, which costs little and gives the same numbers
# everywhere
SMALL = 100_000_000
# A larger share of the tensors of a network may not hold only zeros. After training, none does.
ZEROS = 0.1
# the name of a LoRA's file on the hub
ADAPTER = "pytorch_lora_weights.safetensors"
# a task, and the class of diffusers that does it
PIPELINES = {
    "img2img": "StableDiffusionImg2ImgPipeline",
    "text2img": "StableDiffusionPipeline",
}


@contextlib.contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Switch Python's search for garbage off in this block.

    Importing torch, transformers and diffusers makes about a million objects that all stay. The
    repeated search of these objects takes a fifth of the time of the imports.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def check_task(task: str) -> None:
    """Raise `SdkitError` for a task that is not in `PIPELINES`."""
    if task not in PIPELINES:
        raise SdkitError(f"There is no task {task!r}. Choose one of: {', '.join(PIPELINES)}.")


def pipeline(parts: dict[str, Any], task: str) -> "DiffusionPipeline":
    """A diffusers pipeline for a task, made of the parts that `load` gives."""
    import diffusers

    try:
        pipe = getattr(diffusers, PIPELINES[task])(**parts, requires_safety_checker=False)
    except Exception as error:  # an odd value in a configuration
        reason = " ".join(str(error).split())[:300]
        raise SdkitError(
            f"The parts of this model do not fit together ({reason}). Use {OTHERS}."
        ) from error
    pipe.progress_bar = progress.of_pipeline
    return pipe


def load(
    where: Path,
    device: str,
    dtype: "torch.dtype | None" = None,
    adapter: Path | None = None,
    base: Path | None = None,
) -> tuple[dict[str, Any], int]:
    """The parts of the model at `where`, still in the computer's memory, and their size in bytes.

    where : a folder in diffusers' layout, or a single safetensors file.
    device : where the model will compute; it decides the number format unless `dtype` is given.
    adapter : folder of a LoRA that is added to the weights.
    base : the folder with tokenizer and configurations, if `where` is a single file.

    The parts are networks, tokenizer and scheduler, by the names of the arguments of diffusers'
    pipelines. Raises `SdkitError` if something is missing or damaged, or does not fit into memory.
    """
    import torch

    files = {} if where.is_file() else formats.check(where)
    if files:
        configurations.check(where)
    paths = (
        [where] if where.is_file() else [where / name for names in files.values() for name in names]
    )
    try:
        count = sum(map(formats.count_parameters, paths))
        dtype = dtype or (torch.float32 if count < SMALL else hardware.dtype(device))
        weights = count * dtype.itemsize
        hardware.refuse_what_cannot_fit(where.name, weights, device)
        with (
            quiet_libraries(),
            hardware.enough_memory(
                f"to load {where.name}", "Close other programs, or use a smaller model."
            ),
        ):
            if where.is_file():
                parts = _from_file(where, base, dtype)
            else:
                parts = {part: _part(where, part, files[part], dtype) for part in files}
            if adapter:
                _add_lora(parts, adapter)
        _check_parts(where, parts)
    except SdkitError:
        raise
    except Exception as error:
        # many kinds: OSError, SafetensorError, KeyError, ...
        raise _cannot_load(where, error) from error
    scheduler = parts["scheduler"]
    # PNDM calls the network once more than it has steps, and needs more steps for the same quality
    if type(scheduler).__name__ == "PNDMScheduler":
        from diffusers import DPMSolverMultistepScheduler

        parts["scheduler"] = DPMSolverMultistepScheduler.from_config(
            scheduler.config, timestep_spacing="linspace"
        )
    return {"safety_checker": None, "feature_extractor": None, **parts}, weights


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Let diffusers and transformers say nothing in this block.

    Loading takes a second, and their progress bars would stay on the screen. They report on the
    weights in a table. This module makes a sentence of it.
    """
    import diffusers.utils.logging
    import transformers.utils.logging

    loggers = diffusers.utils.logging, transformers.utils.logging
    levels = [logger.get_verbosity() for logger in loggers]
    for logger in loggers:
        logger.disable_progress_bar()
        logger.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.set_verbosity(level)


def load_upscaler(
    folder: Path, shared: dict[str, Any], device: str, dtype: "torch.dtype | None" = None
) -> "DiffusionPipeline":
    """The upscaler in `folder` as diffusers' `StableDiffusionUpscalePipeline`.

    shared : the parts of another model, from `load`; the upscaler takes text encoder and tokenizer
        from them, and the VAE if it has none of its own.

    The attribute `regressor` of the pipeline is the network that was trained as a plain regressor,
    or None if the folder has none. Raises `SdkitError` if the folder is no upscaler or is damaged.
    """
    import torch
    from diffusers import StableDiffusionUpscalePipeline

    dtype = dtype or torch.float32
    if folder.is_dir():
        formats.refuse_special_files(folder)
    index = {} if folder.is_file() else formats.read_index(folder, folder)
    if not isinstance(index, dict) or (
        index.get("_class_name") != StableDiffusionUpscalePipeline.__name__
    ):
        raise no_upscaler(folder.name)
    names = [path.relative_to(folder).as_posix() for path in folder.glob("*/*")]

    def own(part: str, kind: str = "unet") -> Any:
        return _part(folder, part, formats.weight_files(names, part, folder), dtype, kind)

    has_vae = (folder / "vae").is_dir()
    configurations.check(
        folder,
        configurations.OF_UPSCALER,
        ("unet", "scheduler", *["vae"] * has_vae),
        {} if has_vae else {"vae": dict(shared["vae"].config)},
    )
    try:
        with quiet_libraries():
            parts = {
                "vae": own("vae", "vae") if has_vae else shared["vae"],
                **{part: _part(folder, part) for part in ("scheduler", "low_res_scheduler")},
                "unet": own("unet"),
            }
            regressor = own("regressor") if (folder / "regressor").is_dir() else None
        _check_parts(folder, {**parts, "regressor": regressor})
        parts |= {part: shared[part] for part in ("text_encoder", "tokenizer")}
        with scaling_factor_kept(parts["vae"]):
            pipe = StableDiffusionUpscalePipeline(**parts, max_noise_level=index["max_noise_level"])
        pipe.regressor = regressor
        pipe.to(device)
        if pipe.regressor is not None:
            pipe.regressor.to(device)
    except SdkitError:
        raise
    except Exception as error:
        raise _cannot_load(folder, error) from error
    pipe.progress_bar = progress.of_pipeline
    return pipe


def no_upscaler(name: str) -> SdkitError:
    """The error for a model that cannot enlarge pictures."""
    return SdkitError(f"{name} is not an upscaler. Use mini-upscaler, or a folder of its kind.")


def _cannot_load(where: Path, error: Exception) -> SdkitError:
    return SdkitError(
        f"The weights in {where} cannot be loaded ({_reason(error)}). Copy them again from where "
        "they came."
    )


def _reason(error: Exception) -> str:
    """The first sentence of an error. The next ones advise what only a programmer can do."""
    text = " ".join(str(error).split())[:300]
    return re.split(r"\.(?: |$)", text)[0]


@contextlib.contextmanager
def scaling_factor_kept(vae: Any) -> Iterator[None]:
    """Let `vae` keep its scaling factor while diffusers builds an upscale pipeline around it.

    `StableDiffusionUpscalePipeline` gives every VAE the factor of the published upscaler, 0.08333,
    and warns about that.
    """
    factor = vae.config.scaling_factor
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The configuration file of the vae", FutureWarning)
        try:
            yield
        finally:
            vae.register_to_config(scaling_factor=factor)


def _part(
    folder: Path,
    part: str,
    files: list[str] | None = None,
    dtype: "torch.dtype | None" = None,
    kind: str | None = None,
) -> Any:
    """One part of a folder in diffusers' layout.

    files : the names of its weights, if it has any.
    kind : which part of a Stable Diffusion it is like; without it, the part of the same name.

    The class comes from this function and never from the folder, so no other code can run.
    """
    import diffusers
    import transformers

    path, kind = folder / part, kind or part
    if kind.endswith("scheduler"):
        name = configurations.read(path / "scheduler_config.json").get("_class_name")
        if name not in configurations.SCHEDULERS:
            raise ValueError(f"{name!r:.40} is no scheduler that works here")
        cls = getattr(diffusers, name)
    elif kind == "safety_checker":
        from diffusers.pipelines.stable_diffusion import safety_checker

        cls = safety_checker.StableDiffusionSafetyChecker
    elif kind in ("unet", "vae"):
        cls = getattr(diffusers, {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL"}[kind])
    else:
        names = {
            "text_encoder": "CLIPTextModel",
            "tokenizer": "CLIPTokenizer",
            "feature_extractor": "CLIPImageProcessor",
        }
        cls = getattr(transformers, names[kind])
    if not files:
        try:
            return cls.from_pretrained(path, local_files_only=True)
        except Exception as error:  # many kinds, as in `load`
            raise SdkitError(
                f"The {part} of {folder} cannot be loaded ({_reason(error)}). Copy the folder "
                f"{part} again from where it came."
            ) from error
    return network(cls, path, variant="fp16" if ".fp16" in files[0] else None, dtype=dtype)


def shipped(cls: Any, name: str) -> Any:
    """A network of the class `cls` that lies alone in the folder ``data/models/NAME``, in float32.

    Raises `SdkitError` if its files are missing or damaged.
    """
    folder = model_dir(name)
    checksums.verify(folder)
    try:
        with quiet_libraries():
            made = network(cls, folder).float()
        _check_parts(folder, {name: made})
        return made
    except SdkitError:
        raise
    except Exception as error:
        raise _cannot_load(folder, error) from error


def network(cls: Any, folder: Path, **options: Any) -> Any:
    """A network from a folder with its configuration and its weights, for inference.

    cls : a class of diffusers or transformers.
    options : for its `from_pretrained`.

    Raises `SdkitError` if the file lacks a tensor of the network, holds another one, or holds one
    in another shape; the libraries would fill it with random numbers. Damage raises other errors.
    """
    import transformers

    for path in sorted(folder.glob("*.safetensors")):
        if odd := formats.not_fractions(path):
            # the libraries would use them as the weights, without a message
            raise SdkitError(
                f"The weights in {path} are whole numbers ({odd}), and a network needs numbers "
                "with a fraction. Copy them again from where they came."
            )
    if issubclass(cls, transformers.PreTrainedModel):
        options["ignore_mismatched_sizes"] = True  # so that it reports the shapes; see below
    made, report = cls.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, output_loading_info=True, **options
    )
    for key, fault in (
        ("missing_keys", "lack the tensor"),
        ("mismatched_keys", "have another shape for the tensor"),
        ("unexpected_keys", "hold a tensor that the network does not have,"),
    ):
        # a mismatched one comes with its shapes; old versions saved the numbers of the positions
        names = [name if isinstance(name, str) else name[0] for name in report[key]]
        names = sorted(name for name in names if not name.endswith("position_ids"))
        if names:
            raise SdkitError(
                f"The weights in {folder} do not fit its config.json: they {fault} {names[0]} "
                f"({len(names)} of this kind). Copy them again from where they came."
            )
    return made.eval()


def _check_parts(where: Path, parts: dict[str, Any]) -> None:
    """Raise `SdkitError` if a part of a model cannot work.

    Its weights must be finite numbers, its schedulers must give timesteps, and its tokenizer must
    fit its text encoder.
    """
    import torch

    for name, part in parts.items():
        if isinstance(part, torch.nn.Module):
            tensors = [*part.named_parameters(), *part.named_buffers()]
            for tensor_name, tensor in tensors:
                fault = (
                    "is missing from" if tensor.is_meta else "is not finite (NaN or infinite) in"
                )
                # one bad number makes the sum bad; this is much faster than a test of each number
                if tensor.is_meta or not tensor.sum(dtype=torch.float32).isfinite():
                    half = (
                        " Or half precision is too coarse for it: use --device cpu, or load it "
                        "with dtype=torch.float32."
                        if tensor.dtype == torch.float16
                        else ""
                    )
                    raise SdkitError(
                        f"{tensor_name} {fault} the {name} of {where}, so it would paint nothing. "
                        f"Copy the weights again from where they came.{half}"
                    )
            _refuse_zeros(where, name, part)
        elif name.endswith("scheduler"):
            part.set_timesteps(2)
            if not part.alphas_cumprod.isfinite().all():
                raise ValueError(f"the {name} gives noise levels that are not finite")
    if "tokenizer" in parts:
        if parts["tokenizer"].padding_side != "right":
            raise SdkitError(
                f"The tokenizer of {where} fills up a short prompt at its left side, and its "
                "text_encoder learned the right side. Copy the folder tokenizer again from where "
                "it came."
            )
        if parts["tokenizer"].pad_token is None:
            raise SdkitError(
                f"The tokenizer of {where} has no pad_token, which fills up a short prompt. "
                "Copy the folder tokenizer again from where it came."
            )
        tokens = parts["tokenizer"].get_vocab()
        known = parts["text_encoder"].config.vocab_size
        if len(tokens) < known / 2 or max(tokens.values()) >= known:
            raise SdkitError(
                f"The tokenizer of {where} has a vocabulary of {len(tokens)} tokens, and its "
                f"text_encoder knows {known}. Copy the folder tokenizer again from where it came."
            )


def _refuse_zeros(where: Path, name: str, part: Any) -> None:
    """Raise `SdkitError` if many weights of a network are zero, as a broken copy leaves them."""
    weights = [tensor for tensor in part.parameters() if tensor.ndim > 1]
    # the sum is cheap; only zeros and a few others have none
    zeros = [tensor for tensor in weights if not tensor.sum() and not tensor.any()]
    if len(zeros) > ZEROS * len(weights):
        raise SdkitError(
            f"{len(zeros)} of the {len(weights)} large tensors in the {name} of {where} hold only "
            "zeros, so it cannot paint. Copy the weights again from where they came."
        )


def _from_file(path: Path, base: Path | None, dtype: "torch.dtype") -> dict[str, Any]:
    """The parts of a single file of Stable Diffusion 1.x; see `load`."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_single_file(
        str(path), config=str(base), dtype=dtype, local_files_only=True, safety_checker=None
    )
    return {part: value for part, value in pipe.components.items() if value is not None}


def _add_lora(parts: dict[str, Any], adapter: Path) -> None:
    """Add a LoRA to the weights of the UNet, and take LCM's scheduler (Luo et al. 2023)."""
    from diffusers import LCMScheduler, StableDiffusionPipeline

    parts["scheduler"] = LCMScheduler.from_config(parts["scheduler"].config)
    pipe = StableDiffusionPipeline(
        **{"safety_checker": None, "feature_extractor": None, **parts},
        requires_safety_checker=False,
    )
    pipe.load_lora_weights(adapter, weight_name=ADAPTER, local_files_only=True)
    pipe.fuse_lora()
    pipe.unload_lora_weights()
