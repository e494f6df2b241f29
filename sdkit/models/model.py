"""`resolve` turns the name of a model into a `Model`, with its folder, settings and pipelines."""

import functools
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdkit import postcards
from sdkit.diffusion import advice, prompts
from sdkit.errors import OTHERS, SdkitError
from sdkit.files import expand, model_dir
from sdkit.models import checksums, configurations, formats, hardware, hub, loading
from sdkit.models.picture_settings import Settings, check_defaults
from sdkit.models.registry import REAL, REGISTRY, SD15, USUAL, Entry

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline


@dataclass(frozen=True, eq=False)
class Model:
    """One model. `resolve` makes it, and everything that needs the model gets this object.

    label : what notes and messages call the model. It is never a path on this disk.
    entry : what the registry knows about the model, or None.
    found : where the model is on this disk, or None if it is still on the hub.
    """

    label: str
    entry: Entry | None
    found: Path | None

    @functools.cached_property
    def folder(self) -> Path:
        """The folder of the model, or its single file. Downloads the model if it is not here.

        Raises `SdkitError` if that is not possible.
        """
        if self.found:
            return self.found
        if self._adapter_name and not hub.cached(self._adapter_name, loading.ADAPTER):
            hub.fetch(self._adapter_name, loading.ADAPTER)
        repos = self.entry.repos if self.entry else (self.label,)
        return _first(repos, lambda repo: hub.cached(repo) or hub.fetch(repo))

    @property
    def _adapter_name(self) -> str:
        return self.entry.adapter if self.entry else ""

    @functools.cached_property
    def defaults(self) -> dict[str, Any]:
        """The settings at which this model looks best; from the registry or its `defaults.json`.

        strength, guidance_scale, num_inference_steps and size are as in `Settings`. styles lists
        the styles that the model was trained on. guidance_scales gives a guidance_scale for
        prompts with certain words. draw, redraw and inpaint hold what is different for these tasks.
        one_call is the largest guidance scale that the UNet gives in one call, see
        `generate.works_twice`.

        Raises `SdkitError` if the file is damaged.
        """
        if self.entry and self.entry.defaults:
            return dict(self.entry.defaults)
        path = self.folder / "defaults.json"
        if not path.is_file() and self.entry is not REGISTRY["mini-sd"]:
            return {**USUAL, "size": formats.resolution(self.folder)}
        values = {**USUAL, **configurations.read(path)}
        try:
            check_defaults(values)
        except SdkitError as error:
            raise SdkitError(f"{path} cannot be used: {error}") from error
        return values

    @property
    def styles(self) -> list[str]:
        """The styles of painting that the model was trained on, such as "van gogh"."""
        return self.defaults.get("styles", [])

    @functools.cached_property
    def known_words(self) -> set[str] | None:
        """The words that the model saw in training, or None if it has no such list."""
        return prompts.known_words(self.folder)

    def settings(self, prompt: str, task: str = "style", **changes: Any) -> Settings:
        """The settings of this model for a prompt and a task.

        task : "style", "draw", "redraw", "inpaint" or "edit".
        changes : settings that replace the model's own.

        Raises `SdkitError` if a setting is not allowed.
        """
        own = dict(self.defaults)
        if task == "style":
            own["guidance_scale"] = self._guidance_scale(str(prompt))
        else:
            own = {**own, "strength": 1.0, **own.get(task, {})}
        values = {key: value for key, value in own.items() if key in Settings.__dataclass_fields__}
        return Settings(**{**values, "prompt": prompt, **changes})

    def _guidance_scale(self, prompt: str) -> float:
        """The scale of the first words in guidance_scales that the prompt has, or the usual one."""
        for words, scale in self.defaults.get("guidance_scales", {}).items():
            if re.search(rf"\b{re.escape(words)}", prompt, re.IGNORECASE):
                return scale
        return self.defaults["guidance_scale"]

    def split_style(self, prompt: str) -> tuple[str, str | None]:
        """Split "a red house by the sea, van gogh" into ("a red house by the sea", "van gogh").

        The style is one of `styles`. It stands at the end of the prompt, after a comma, "by" or "in
        the style of", and something comes before it. If not, the result is (prompt, None).
        """
        if not self.styles:
            return prompt, None
        link = r"(?:\s*,|\s+by|,?\s+in the style of)\s+"
        names = "|".join(map(re.escape, self.styles))
        match = re.fullmatch(
            rf"(.*\w){link}({names})[\s.]*", prompt, flags=re.IGNORECASE | re.DOTALL
        )
        return (match[1], match[2].lower()) if match else (prompt, None)

    def advice(self, prompt: str, task: str = "") -> str | None:
        """A note on words of `prompt` that the model did not see in training, or None.

        See `sdkit.diffusion.advice.advice`.
        """
        return advice.advice(prompt, self.known_words, task, self.styles)

    def refusal(self, prompt: str, task: str = "") -> str | None:
        """Why the model cannot paint anything from `prompt`, or None if it can.

        See `sdkit.diffusion.advice.refusal`.
        """
        return advice.refusal(prompt, self.known_words, task, self.styles)

    @property
    def knows_postcards(self) -> bool:
        """Whether the model has learned the words of the kit's postcards."""
        words = {*postcards.THINGS, *postcards.COLOURS}
        return bool(self.known_words) and words <= (self.known_words or set())

    def complete(self, prompt: str, seed: int) -> tuple[str, list[str]]:
        """The prompt for a drawing with its missing parts, and a list of the parts that were added.

        Nothing is added for a model that does not know the postcards' words. See
        `sdkit.postcards.complete`.
        """
        if not self.knows_postcards:
            return prompt, []
        return postcards.complete(prompt, seed)

    def pipeline(
        self,
        task: str = "img2img",
        device: str | None = None,
        dtype: "torch.dtype | None" = None,
    ) -> "DiffusionPipeline":
        """The model as a diffusers pipeline. Downloads the model if it is not here.

        task : "img2img" or "text2img".
        device, dtype : where to compute and in which number format. `sdkit.models.hardware` chooses
            them if they are not given. A small network is in float32 on every device.

        The weights are loaded once: a second call gives the same pipeline, and both tasks share
        their networks. `generate` finds this model as the attribute `sdkit_model` of the pipeline.

        Raises `SdkitError` if weights are missing or damaged, or if there is too little memory.
        """
        loading.check_task(task)
        with loading.garbage_collection_paused():
            device, folder = hardware.device(device), self.folder
            adapter = (
                hub.cached(self._adapter_name, loading.ADAPTER) if self._adapter_name else None
            )
            parts, shortage, pipes = _parts(folder, device, dtype, adapter)
            if task not in pipes:
                pipe = loading.pipeline(parts, task)
                pipe.sdkit_model = self
                with hardware.enough_memory(
                    f"on {device} to load {self.label}", "Use a smaller model."
                ):
                    pipes[task] = hardware.place(pipe, device, shortage)
            return pipes[task]

    def upscaler(
        self,
        shared: "Model",
        device: str | None = None,
        dtype: "torch.dtype | None" = None,
    ) -> "DiffusionPipeline":
        """This model, which must be an upscaler, as a diffusers pipeline; see `sdkit.upscale`.

        shared : the model whose text encoder and tokenizer the upscaler uses, and its VAE if the
            upscaler has none.
        device, dtype : as in `pipeline`.

        The attribute `regressor` of the pipeline is the network that enlarges in one step, or None.
        The weights are loaded once. Raises `SdkitError` like `pipeline`, and for other models.
        """
        if not self.found or self.entry in REAL.values():
            # no upscaler on the hub fits to the VAE of mini-sd, so nothing is downloaded
            raise loading.no_upscaler(self.label)
        with loading.garbage_collection_paused():
            device = hardware.device(device)
            parts, _, pipes = _parts(shared.folder, device, dtype, None)
            if self.found not in pipes:
                checksums.verify(self.found)
                pipes[self.found] = loading.load_upscaler(self.found, parts, device, dtype)
            return pipes[self.found]


def resolve(name: str | os.PathLike | Model = "mini-sd") -> Model:
    """The model of this name.

    name : a name in the registry ("mini" is short for "mini-sd"), a folder in diffusers' layout, a
        .safetensors file, or a repository on the hub, owner/name. A `Model` is returned as it is.

    Downloads nothing; see `Model.folder`. Raises `SdkitError` if there is no such model.
    """
    if isinstance(name, Model):
        return name
    name = "mini-sd" if str(name) == "mini" else str(name)
    if name in REAL:
        entry, found = REAL[name], None
        if not entry.adapter or hub.cached(entry.adapter, loading.ADAPTER):
            found = next(filter(None, map(hub.cached, entry.repos)), None)
        return Model(name, entry, found)
    path = model_dir(name) if name in REGISTRY else expand(name)
    label = name if name in REGISTRY else Path(os.path.abspath(path)).name
    # os.path, because its functions answer False for an impossible name
    if os.path.isfile(path) or path.suffix == ".safetensors" or path.suffix in formats.PICKLES:
        return Model(label, None, formats.check_file(path))
    if os.path.isfile(path / "model_index.json"):
        return Model(label, REGISTRY.get(name), path)
    if os.path.isfile(path / "config.json"):
        raise SdkitError(f"{name[:100]} is a single network and cannot paint alone. Use {OTHERS}.")
    if name in REGISTRY:
        raise SdkitError(
            f"The weights of {name} are not in {path}. Clone the whole repository, or train "
            "them: python -m sdkit.recipes --art DIR."
        )
    if hub.is_repository(name) and not os.path.exists(path):
        return Model(name, None, hub.cached(name))
    raise SdkitError(
        f"There is no model {name[:100]!r}. Use {', '.join(['mini', *REAL])}, a repository on the "
        "hub (owner/name), a folder with a model_index.json, or a .safetensors file."
    )


def _first(repos: tuple[str, ...], get: Callable[[str], Path]) -> Path:
    """The result of `get` for the first of `repos` that is still on the hub."""
    for repo, following in zip(repos, [*repos[1:], None]):
        try:
            return get(repo)
        except hub.Gone as error:
            if not following:
                raise
            print(f"{error} Trying the same at {following}.", file=sys.stderr)
    raise AssertionError("an entry without a repository")


@functools.lru_cache(maxsize=2)
def _parts(
    where: Path, device: str, dtype: "torch.dtype | None", adapter: Path | None
) -> tuple[dict[str, Any], int, dict[Any, "DiffusionPipeline"]]:
    """The parts of a model, how short memory is for them, and the pipelines made of them so far."""
    checksums.verify(where)
    base = _configurations_of_sd15() if where.is_file() else None
    parts, weights = loading.load(where, device, dtype, adapter, base)
    return parts, hardware.shortage(device, weights), {}


def _configurations_of_sd15() -> Path:
    """A folder with the tokenizer and the configurations of Stable Diffusion 1.5 (2 MB).

    A single file of weights has none. Downloads them if they are not here.
    """
    for repo in SD15:
        found = hub.cached(repo) or hub.cached(repo, "tokenizer/vocab.json")
        if found:
            return found
    return _first(SD15, lambda repo: hub.fetch(repo, weights=False))
