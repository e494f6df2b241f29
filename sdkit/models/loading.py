"""From files to networks: the parts of a Stable Diffusion, each by its own class, only from safetensors, offline."""

import json

from sdkit.errors import SdkitError
from sdkit.models import formats, hardware

# parameters: below, float32 costs little, and gives the same numbers everywhere
SMALL = 100_000_000
ADAPTER = "pytorch_lora_weights.safetensors"


def load(where, device, dtype=None, adapter=None, base=None):
    """The networks, tokenizer and scheduler at `where`, still in the computer's memory, and the bytes that they take.

    where : folder in diffusers' layout, or a single file; to that, `base` is the folder with the tokenizer.
    """
    import torch
    from diffusers.utils import logging
    from transformers.utils import logging as transformers_logging

    logging.disable_progress_bar()  # "Loading pipeline components": half a second that needs no bar
    transformers_logging.disable_progress_bar()
    files = {} if where.is_file() else formats.check(where)
    paths = (
        [where] if where.is_file() else [where / name for names in files.values() for name in names]
    )
    try:
        count = sum(map(formats.count_parameters, paths))
        dtype = dtype or (torch.float32 if count < SMALL else hardware.dtype(device))
        weights = count * dtype.itemsize
        hardware.refuse_what_cannot_fit(where.name, weights, device)
        with hardware.enough_memory(
            f"to load {where.name}", "Close other programs, or take a smaller model."
        ):
            parts = (
                _from_file(where, base, dtype)
                if where.is_file()
                else {part: _part(where, part, files[part], dtype) for part in files}
            )
            if adapter:
                _lay_over(parts, adapter)
    except SdkitError:
        raise
    except Exception as error:
        # a damaged folder makes anything: OSError, SafetensorError, KeyError, ...
        reason = " ".join(str(error).split())[:300]
        raise SdkitError(
            f"The weights in {where} cannot be loaded ({reason}). "
            "Put them back from where they came."
        ) from error
    scheduler = parts["scheduler"]
    if type(scheduler).__name__ == "PNDMScheduler":  # asks for one call more than it has steps
        from diffusers import DPMSolverMultistepScheduler

        parts["scheduler"] = DPMSolverMultistepScheduler.from_config(
            scheduler.config, timestep_spacing="linspace"
        )
    return {"safety_checker": None, "feature_extractor": None, **parts}, weights


def _part(folder, part, files, dtype):
    """One part of a folder in diffusers' layout; by its class in `sdkit.models.formats`, so nothing else is ever imported."""
    import diffusers
    import transformers
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    path, how = folder / part, {"local_files_only": True}
    if part == "scheduler":
        name = json.loads((path / "scheduler_config.json").read_text(encoding="utf-8"))[
            "_class_name"
        ]
        if not issubclass(getattr(diffusers, name), diffusers.SchedulerMixin):
            raise ValueError(f"{name} is no scheduler")
        return getattr(diffusers, name).from_pretrained(path, **how)
    cls = {
        "tokenizer": transformers.CLIPTokenizer,
        "feature_extractor": transformers.CLIPImageProcessor,
        "text_encoder": transformers.CLIPTextModel,
        "safety_checker": StableDiffusionSafetyChecker,
        "unet": diffusers.UNet2DConditionModel,
        "vae": diffusers.AutoencoderKL,
    }[part]
    if not files:
        return cls.from_pretrained(path, **how)
    how |= {
        "use_safetensors": True,
        "variant": "fp16" if ".fp16" in files[0] else None,
        "dtype": dtype,
    }
    return cls.from_pretrained(path, **how).eval()


def _from_file(path, base, dtype):
    """The parts of a single file of Stable Diffusion 1.x; tokenizer and configurations come from the folder `base`."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_single_file(
        str(path), config=str(base), dtype=dtype, local_files_only=True, safety_checker=None
    )
    return {part: value for part, value in pipe.components.items() if value is not None}


def _lay_over(parts, adapter):
    """Add a LoRA to the weights of the UNet for good, and take the scheduler that goes with LCM (Luo et al. 2023)."""
    from diffusers import LCMScheduler, StableDiffusionPipeline

    parts["scheduler"] = LCMScheduler.from_config(parts["scheduler"].config)
    pipe = StableDiffusionPipeline(
        **{"safety_checker": None, "feature_extractor": None, **parts},
        requires_safety_checker=False,
    )
    pipe.load_lora_weights(adapter, weight_name=ADAPTER, local_files_only=True)
    pipe.fuse_lora()
    pipe.unload_lora_weights()
