"""Teach a model a style from a few pictures: a LoRA, a small file beside the model's weights.

A LoRA (low-rank adaptation, Hu et al. 2021, arXiv:2106.09685) leaves the weights W of a layer as
they are and learns a small change beside them: W x + s B A x. A has `rank` rows and B has `rank`
columns, so both are small. B is zero at the start, so nothing changes before the first step. peft
makes the layers, and diffusers reads the files.

Prior preservation keeps what the model knew before (DreamBooth, Ruiz et al. 2023, arXiv:2208.12242,
section 3.3): in each step the model also sees pictures of what it knows already. For our model
these are postcards, which our own code draws.
"""

import contextlib
import hashlib
import json
import math
import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from sdkit import __version__, postcards
from sdkit.diffusion import latents, prompts
from sdkit.diffusion.schedule import Schedule
from sdkit.errors import SdkitError
from sdkit.files import expand, write_atomically
from sdkit.models import formats, loading
from sdkit.pictures import photos

# The ends of the names of the layers that get a change. The text encoder gets one, too: ours has
# learned to ignore words that it does not know, so the UNet alone hardly sees a new word.
UNET_LAYERS = (
    *("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2"),
    *("conv1", "conv2", "proj_in", "proj_out"),
)
TEXT_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
NAME = "learned"  # of the adapter while it is trained
WARMUP = 10  # steps in which the rate grows
PRIOR_PICTURES = 64
WITHOUT_TRACE = 0.5  # share of the examples without a trace of their picture; see `Learner.batch`
EARLY = 0.7  # timesteps are T u^EARLY with u uniform: a little more often noisy ones
LARGEST_FILE = 500_000_000  # bytes; the LCM LoRA of Stable Diffusion 1.5 has 135 MB
LARGEST_SCALE = 5.0


@dataclass(frozen=True)
class Recipe:
    """How a LoRA is trained. Raises `SdkitError` for a value that is not allowed.

    steps : updates of the weights.
    rate : learning rate of AdamW; it grows for `WARMUP` steps and falls in the second half.
    rank : rows of A and columns of B.
    prior : share of each batch that are postcards without the word; 0: no prior preservation.
    batch : examples in each step.
    size : side of the pictures in px.
    """

    steps: int = 300
    rate: float = 4e-3
    rank: int = 8
    prior: float = 0.5
    batch: int = 8
    size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        for what, value, low, high in (
            ("steps", self.steps, 1, 100_000),
            ("rank", self.rank, 1, 64),
            ("batch", self.batch, 1, 64),
            ("size", self.size, 32, 512),
            ("seed", self.seed, 0, 2**31 - 1),
        ):
            if not low <= value <= high:
                raise SdkitError(f"{what} is {value}. Choose {low} to {high}.")
        if self.size % 16:
            raise SdkitError(f"size is {self.size}. Choose a multiple of 16, such as 64 or 128.")
        if not 0 < self.rate < 1:
            raise SdkitError(f"rate is {self.rate:g}. Choose one between 0 and 1, such as 4e-3.")
        if not 0 <= self.prior < 1:
            raise SdkitError(f"prior is {self.prior:g}. Choose 0 or more, and less than 1.")


class Learner:
    """Trains a LoRA on the UNet and the text encoder of a pipeline: `step` again and again.

    pictures : RGB, of what is to be learned.
    captions : what each of them shows, without the word.
    word : the new word. Half of the time it stands before the caption, half of the time after it.

    The networks have the LoRA until `remove`, so the pipeline paints with the result so far. Step k
    draws its random numbers from the seed and k alone. So a stopped training goes on as if nobody
    had stopped it.
    """

    def __init__(
        self,
        pipe: Any,
        pictures: Sequence[Image.Image],
        captions: Sequence[str],
        word: str,
        recipe: Recipe | None = None,
    ) -> None:
        from diffusers.models.attention_processor import AttnProcessor

        self.pipe, self.word, self.recipe = pipe, word, recipe or Recipe()
        self.unet, self.text_encoder = pipe.unet, pipe.text_encoder
        self.schedule, self.done = Schedule.of(pipe.scheduler), 0
        marked = [mark(caption, word, before) for before in (True, False) for caption in captions]
        self.examples = self._prepare([*pictures, *pictures], marked)
        self.known = self._prepare(*prior(self.recipe)) if self.recipe.prior else None
        self._were = {
            weight: weight.requires_grad
            for network in (self.unet, self.text_encoder)
            for weight in network.parameters()
        }
        self._processors = self.unet.attn_processors
        self.weights = add(self.unet, self.recipe.rank, UNET_LAYERS, self.recipe.seed)
        self.weights |= add(self.text_encoder, self.recipe.rank, TEXT_LAYERS, self.recipe.seed)
        # on the CPU the backward pass of fused attention costs a third of a step
        self.unet.set_attn_processor(AttnProcessor())
        self.optimizer = torch.optim.AdamW(self.weights.values(), lr=0.0, weight_decay=0.01)

    def _prepare(
        self, pictures: Sequence[Image.Image], captions: Sequence[str]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents (N, C, h, w) and tokens (N, L)."""
        side = (self.recipe.size, self.recipe.size)
        x = photos.to_batch(
            [ImageOps.fit(picture, side, Image.Resampling.LANCZOS) for picture in pictures]
        )
        tokens = prompts.tokens(self.pipe.tokenizer, list(captions))
        z = torch.cat([latents.encode(self.pipe.vae, some) for some in x.split(8)])
        return z, tokens.to(z.device)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Noisy latents, timesteps, tokens, and the noise that is to be predicted.

        Even at the last timestep the noised latents of Stable Diffusion hold a trace of their
        picture. Sampling begins without that trace. So half of the examples have no trace at their
        start, a timestep of 900 or more (Lin et al. 2024, arXiv:2305.08891, name the flaw).
        """
        rng = np.random.default_rng([self.recipe.seed, self.done])
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        from_prior = round(self.recipe.prior * self.recipe.batch) if self.known else 0
        z, texts = [], []
        for examples, count in (
            (self.examples, self.recipe.batch - from_prior),
            (self.known, from_prior),
        ):
            if examples:
                chosen = torch.from_numpy(rng.integers(len(examples[0]), size=count))
                z.append(examples[0][chosen])
                texts.append(examples[1][chosen])
        clean, count, last = torch.cat(z), self.recipe.batch, len(self.schedule)
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        t = torch.from_numpy((last * rng.random(count) ** EARLY).astype(int))
        start = torch.from_numpy(rng.integers(int(0.9 * last), last, count)).maximum(t)
        without = torch.from_numpy(rng.random(count) < WITHOUT_TRACE).to(clean.device)
        abar, abar_start = (
            self.schedule.alphas_cumprod[when].to(clean)[:, None, None, None] for when in (t, start)
        )
        trace = (abar_start / (1 - abar_start)).sqrt() * clean
        noise = noise - without[:, None, None, None] * trace
        noisy = abar.sqrt() * clean + (1 - abar).sqrt() * noise
        return noisy, t.to(clean.device), torch.cat(texts), noise

    def step(self) -> float:
        """One update of the LoRA's weights. Returns the loss (mean squared error of the noise)."""
        noisy, t, tokens, noise = self.batch()
        answer = self.unet(noisy, t, self.text_encoder(tokens)[0]).sample
        loss = (answer - noise).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        share = min(1, (self.done + 1) / WARMUP, 2 * (1 - self.done / self.recipe.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate * max(share, 0)
        self.optimizer.step()
        self.done += 1
        return loss.item()

    def train(self, steps: int | None = None) -> Iterator[tuple[int, float]]:
        """Go on for `steps`, or to the end of the recipe; yields (steps done, loss) for each."""
        end = self.recipe.steps if steps is None else self.done + steps
        while self.done < end:
            loss = self.step()
            yield self.done, loss

    def state(self) -> dict[str, torch.Tensor]:
        """What has been learned, by the names of diffusers' files."""
        from peft import get_peft_model_state_dict

        return {
            f"{part}.{name}": weight.detach().clone()
            for part, network in (("unet", self.unet), ("text_encoder", self.text_encoder))
            for name, weight in get_peft_model_state_dict(network, adapter_name=NAME).items()
        }

    def save(self, path: str | os.PathLike) -> None:
        """Write the LoRA as a safetensors file, in float16. `pipe.load_lora_weights` reads it.

        Its metadata name the word, the model, the steps and the size of the pictures.
        """
        model = getattr(self.pipe, "sdkit_model", None)
        notes = {
            "word": self.word,
            "base": model.label if model else "",
            "steps": str(self.done),
            "size": str(self.recipe.size),
            "software": f"sdkit {__version__}",
        }
        tensors = {name: weight.half().contiguous() for name, weight in self.state().items()}
        _write(tensors, path, {f"sdkit.{key}": value for key, value in notes.items()})

    def remove(self) -> None:
        """Take the LoRA out of the networks again. They are then as they were before."""
        self.pipe.unload_lora_weights()
        self.unet.set_attn_processor(self._processors)
        for weight, needed in self._were.items():
            weight.requires_grad_(needed)

    # Saved for going on later: the weights, AdamW's two means of each, and the number of steps.

    def save_progress(self, path: str | os.PathLike, about: str) -> None:
        """Write the data that are needed for going on with this training later.

        about : a fingerprint of pictures, captions and settings; see `fingerprint`.
        """
        tensors = {f"weight.{name}": weight.detach() for name, weight in self.weights.items()}
        for name, weight in self.weights.items():
            for key in ("exp_avg", "exp_avg_sq"):
                if key in self.optimizer.state[weight]:
                    tensors[f"{key}.{name}"] = self.optimizer.state[weight][key]
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        _write(tensors, path, {"done": str(self.done), "about": about})

    def go_on(self, path: str | os.PathLike, about: str) -> bool:
        """Go on with a training of the same `about`. False, and no change, if that is not there."""
        try:
            with safe_open(path, "pt") as file:
                notes = file.metadata() or {}
                if notes.get("about") != about:
                    return False
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                done = int(notes["done"])
                with torch.no_grad():
                    for name, weight in self.weights.items():
                        weight.copy_(tensors[f"weight.{name}"])
                        self.optimizer.state[weight] = {
                            "step": torch.tensor(float(done)),
                            **{
                                key: tensors[f"{key}.{name}"].to(weight)
                                for key in ("exp_avg", "exp_avg_sq")
                            },
                        }
        except (OSError, SafetensorError, KeyError, ValueError, RuntimeError):
            return False
        self.done = done
        return True


def add(
    network: Any, rank: int, layers: Sequence[str], seed: int = 0, name: str = NAME
) -> dict[str, torch.nn.Parameter]:
    """Add an untrained LoRA to a network with peft. Returns its weights, the only trainable ones.

    layers : the ends of the names of the layers that get one.
    """
    from peft import LoraConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # peft draws A; B is zero
        network.requires_grad_(False)
        config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(layers))
        network.add_adapter(config, adapter_name=name)
    kind = type(network).__name__
    return {f"{kind}.{n}": w for n, w in network.named_parameters() if w.requires_grad}


def prior(recipe: Recipe) -> tuple[list[Image.Image], list[str]]:
    """Postcards of the training and their captions, drawn by our code, for prior preservation."""
    rng = np.random.default_rng(recipe.seed)
    cards = [postcards.sample(1, k) for k in range(PRIOR_PICTURES)]
    drawn = [Image.fromarray(postcards.draw(card, recipe.size)) for card in cards]
    return drawn, [postcards.caption(card, rng) for card in cards]


def mark(caption: str, word: str, before: bool = False) -> str:
    """The caption with the new word: "a red house, chalk", or before it "chalk, a red house"."""
    parts = [word, caption] if before else [caption, word]
    return ", ".join(part for part in parts if part)


def fingerprint(
    pictures: Sequence[Image.Image], captions: Sequence[str], word: str, recipe: Recipe, base: str
) -> str:
    """A checksum of everything that decides the result of a training."""
    found = hashlib.sha256(json.dumps([captions, word, asdict(recipe), base]).encode())
    for picture in pictures:
        found.update(str(picture.size).encode() + picture.tobytes())
    return found.hexdigest()


def check_word(word: str, known: set[str] | None = None) -> str:
    """The word in lower case. Raises `SdkitError` if it cannot be the name of a style.

    known : the words of the model. A word that it knows has a meaning already, which the training
        would change.
    """
    found = prompts.words(word)
    if len(found) != 1 or len(word.strip()) > 30:
        raise SdkitError(
            f"--word is {word[:40]!r}. Choose one word of at most 30 letters, such as chalk."
        )
    if known and found[0] in known | prompts.STOP_WORDS:
        raise SdkitError(
            f"The model knows the word {found[0]!r} already, and it would lose its meaning. "
            "Use a word that is new to it, such as chalk."
        )
    return found[0]


def caption_of(path: Path, known: set[str] | None = None) -> str:
    """What a picture shows, by the name of its file or a text beside it.

    A file of the same name with the ending .txt comes first. Without it, the name of the picture
    counts, if the model knows at least two of its words: "a red house in the snow.png". Otherwise
    "".

    Raises `SdkitError` if the text cannot be read.
    """
    text = path.with_suffix(".txt")
    if os.path.isfile(text):
        try:
            return " ".join(text.read_text(encoding="utf-8")[:300].split())
        except (OSError, ValueError) as error:
            raise SdkitError(
                f"{text.name} cannot be read as text. Write it again in a text editor (UTF-8)."
            ) from error
    said = prompts.words(re.sub(r"[-_]+", " ", path.stem))
    telling = [word for word in said if not word.isdigit()]
    meant = set(telling) & (known or set()) - prompts.STOP_WORDS
    return " ".join(telling) if len(meant) >= 2 else ""


def split(text: str) -> tuple[str, float]:
    """Split the value of --lora, FILE or FILE:SCALE, into the file and the scale (1 by default).

    Raises `SdkitError` for a scale that is too large.
    """
    file, colon, number = text.rpartition(":")
    try:
        scale = float(number) if colon and file else None
    except ValueError:  # C:\chalk.safetensors
        scale = None
    if scale is None:
        return text, 1.0
    if not (math.isfinite(scale) and abs(scale) <= LARGEST_SCALE):
        raise SdkitError(
            f"The scale of a LoRA is {number[:20]}. Use {-LARGEST_SCALE:g} to {LARGEST_SCALE:g}; "
            "1 is as it was learned, 0 is without it."
        )
    return file, scale


@dataclass(frozen=True)
class Lora:
    """A LoRA file, and how strongly it is used.

    word and base are the new word and the model that it was learned on; "" if the file does not
    say, as in files of other programs.
    """

    path: Path
    scale: float = 1.0
    word: str = ""
    base: str = ""

    @property
    def label(self) -> str:
        """The name for notes. It is never a path on this disk."""
        word = f", word {self.word}" if self.word else ""
        return f"{self.path.name}, scale {self.scale:g}{word}"


def read(path: str | os.PathLike, scale: float = 1.0) -> Lora:
    """Look at a LoRA file without loading it.

    Raises `SdkitError` if it is missing, damaged or something else.
    """
    file = expand(path)
    shown = file.name[:100]
    if not os.path.isfile(file):
        raise SdkitError(f"There is no LoRA file {str(path)[:200]}. Check the path and the name.")
    if file.suffix in formats.PICKLES:
        raise SdkitError(
            f"{shown} may hold programs and is not opened. Use a .safetensors file instead."
        )
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise SdkitError(f"{shown} is too large for a LoRA. Is it a whole model? See --model.")
        with safe_open(file, "pt") as opened:
            notes, names = opened.metadata() or {}, list(opened.keys())
            whole = all(bool(opened.get_tensor(name).isfinite().all()) for name in names)
    except (OSError, SafetensorError, ValueError) as error:
        if isinstance(error, SdkitError):
            raise
        raise SdkitError(
            f"{shown} cannot be read as a LoRA. Use a .safetensors file that `learn` or another "
            "program has written."
        ) from error
    if not any("lora" in name for name in names):
        raise SdkitError(f"{shown} is not a LoRA. Is it a whole model? Then name it with --model.")
    if not whole:
        raise SdkitError(f"{shown} holds numbers that are not finite (NaN). Learn it again.")
    said = [notes.get(f"sdkit.{key}", "")[:60] for key in ("word", "base")]
    return Lora(file, scale, *said)


@contextlib.contextmanager
def applied(pipe: Any, loras: Sequence[Lora]) -> Iterator[None]:
    """In this block, the pipeline paints with these LoRAs, added in proportion to their scales.

    The weights of the pipeline are as before afterwards, bit for bit.
    Raises `SdkitError` if a LoRA does not fit the model.
    """
    names = [f"lora{k}" for k in range(len(loras))]
    try:
        for name, lora in zip(names, loras):
            _load(pipe, lora, name)
        if loras:
            pipe.set_adapters(names, [lora.scale for lora in loras])
        yield
    finally:
        if loras:
            pipe.unload_lora_weights()


def paused(pipe: Any, work: Callable[..., Any]) -> Callable[..., Any]:
    """`work`, done without the LoRAs of the pipeline, which are back afterwards."""

    def without(*arguments: Any, **named: Any) -> Any:
        if not pipe.get_active_adapters():
            return work(*arguments, **named)
        pipe.disable_lora()
        try:
            return work(*arguments, **named)
        finally:
            pipe.enable_lora()

    return without


def _load(pipe: Any, lora: Lora, name: str) -> None:
    """Load a LoRA into a pipeline as the adapter `name`, with the scale 1."""
    model = getattr(pipe, "sdkit_model", None)
    label = model.label if model else "this model"
    other = SdkitError(
        f"{lora.path.name} does not fit {label}. "
        + (f"It was learned on {lora.base}: add --model {lora.base}." if lora.base else "")
        + ("" if lora.base else "Use a LoRA that was made for it, or another --model.")
    )
    if lora.base and lora.base != label:
        raise other
    try:
        with loading.quiet_libraries(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipe.load_lora_weights(
                str(lora.path.parent),
                weight_name=lora.path.name,
                adapter_name=name,
                local_files_only=True,
            )
    except Exception as error:  # shapes and names of another network
        raise other from error
    if not any(name in found for found in pipe.get_list_adapters().values()):
        raise other


def _write(tensors: dict[str, torch.Tensor], path: Any, notes: dict[str, str]) -> None:
    data = save({name: tensor.cpu() for name, tensor in tensors.items()}, {"format": "pt", **notes})
    with write_atomically(path) as part:
        part.write_bytes(data)  # `save_file` would make a file that other people cannot read
