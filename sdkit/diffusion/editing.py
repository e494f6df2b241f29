"""Edit a picture instead of painting a new one: inversion, attention control, anagrams.

`invert` finds the noise from which a picture would have been painted (DDIM inversion: Song et al.
2021, arXiv:2010.02502, section 4.3). `edit` paints from there with another prompt, and keeps what
the two prompts have in common: the attention maps of the old prompt stay for the first share of the
steps (Prompt-to-Prompt: Hertz et al. 2023, arXiv:2208.01626), and the old picture follows its own
inverted path (PnP Inversion: Ju et al. 2024, arXiv:2310.01506). `anagram` is a picture with two
views (Geng et al. 2024, arXiv:2311.17919).
"""

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from sdkit import progress
from sdkit.diffusion import prompts, sampler
from sdkit.diffusion.schedule import Schedule
from sdkit.errors import SdkitError

SMALLEST, LARGEST = 64, 256  # places of the attention maps that a mask is made of


@torch.no_grad()
def invert(
    unet: nn.Module,
    schedule: Schedule,
    latents: torch.Tensor,
    prompt_embeds: torch.Tensor,
    negative_embeds: torch.Tensor,
    timesteps: Sequence[int],
    guidance_scale: float = 1.0,
    on_step: Callable[[], object] | None = None,
) -> list[torch.Tensor]:
    """Walk DDIM's path backwards, from clean latents (B, C, h, w) to noise.

    timesteps : as `sampler.timesteps` gives them, from noisy to clean.

    Returns len(timesteps) + 1 tensors like `latents`, from the noise at timesteps[0] to `latents`
    itself. Each step needs the network's answer at the latents after the step, and uses the answer
    at the latents before it. The two differ a little, so the way back ends near the start, not at
    it. Equal to `DDIMInverseScheduler` of diffusers.
    """
    path = [latents]
    with progress.counted(on_step, len(timesteps), "inverting") as on_step:
        for t, cleaner in zip(reversed(timesteps), [-1, *reversed(timesteps)]):
            output = sampler.ask(unet, path[-1], t, prompt_embeds, negative_embeds, guidance_scale)
            abar, before = schedule.alpha_cumprod(t), schedule.alpha_cumprod(cleaner)
            pred_x0, pred_epsilon = _at_level(schedule, output, path[-1], t, before)
            path.append(abar.sqrt().item() * pred_x0 + (1 - abar).sqrt().item() * pred_epsilon)
            on_step()
    return path[::-1]


def _at_level(
    schedule: Schedule, output: torch.Tensor, sample: torch.Tensor, t: int, abar: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(x0, epsilon) of a sample whose noise level is `abar`, from an answer for timestep t."""
    level = Schedule(schedule.betas, abar, schedule.prediction_type)
    return sampler.predictions(level, output, -1, sample)


@dataclass
class Alignment:
    """Which tokens of a source prompt and of a target prompt belong together; see `align`."""

    matrix: torch.Tensor  # (L, M): turns maps of the L source tokens into maps of the M target ones
    new: torch.Tensor  # (M,): 1 for each target token that has no partner, else 0
    changed: tuple[list[int], list[int]]  # the tokens of source and target that differ


def align(source: Sequence[int], target: Sequence[int]) -> Alignment:
    """Align two lists of tokens.

    Equal tokens belong together, and so do a word and the word that stands in its place. If these
    have different numbers of tokens, each of the new ones gets an even share of the attention.
    """
    matrix, new = torch.zeros(len(source), len(target)), torch.zeros(len(target))
    changed: tuple[list[int], list[int]] = [], []
    pieces = difflib.SequenceMatcher(None, source, target, autojunk=False).get_opcodes()
    for kind, i, i_end, j, j_end in pieces:
        if kind == "equal" or i_end - i == j_end - j:
            matrix[range(i, i_end), range(j, j_end)] = 1
        elif kind == "replace":
            matrix[i:i_end, j:j_end] = 1 / (j_end - j)
        else:
            new[j:j_end] = 1
        if kind != "equal":
            changed[0].extend(range(i, i_end))
            changed[1].extend(range(j, j_end))
    return Alignment(matrix, new, changed)


class AttentionControl:
    """Gives the target of a batch the cross-attention maps of its source.

    tokenizer, source, target : the two prompts of the batch.
    share : for how much of the steps, 0 to 1, counted from the noisy end. A word in the place of
        another one gets its map (Hertz et al. 2023, section 3.2). With 0 nothing is replaced.
    weights : {word of the target: factor} for the word's map, at all steps; 1 changes nothing.

    Use it as ``with control.of(unet): ...``, and set `done` before each call of the UNet. The last
    row of the UNet's batch is the target, the row before it is the source. Rows before these two,
    as guidance adds them for the empty prompt, stay as they are.
    """

    def __init__(
        self,
        tokenizer: Any,
        source: str,
        target: str,
        share: float = 0.4,
        weights: dict[str, float] | None = None,
    ):
        if not 0 <= share <= 1:
            raise SdkitError(f"The share of the steps, {share!r:.20}, is outside 0 to 1.")
        ids = [prompts.tokens(tokenizer, [prompt])[0].tolist() for prompt in (source, target)]
        self.aligned, self.share = align(*ids), share
        self.done = 0.0  # how much of the steps are done, 0 to 1
        self.factors = torch.ones(len(ids[1]))  # (L,)
        for word, factor in (weights or {}).items():
            self.factors[tokens_of(tokenizer, target, word)] = factor
        # where the changed words looked: for source and target, the maps (h w,) of each call
        self.looked: tuple[list[torch.Tensor], list[torch.Tensor]] = [], []

    def mix(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The maps that the target gets, from those of source and target: (..., L) all."""
        for looked, maps, places in zip(self.looked, (source, target), self.aligned.changed):
            if places and SMALLEST <= maps.shape[-2] <= LARGEST:
                looked.append(maps[..., places].mean((0, 2)))
        if self.done < self.share:
            target = source @ self.aligned.matrix.to(source) + target * self.aligned.new.to(target)
        return target * self.factors.to(target)

    def mask(self, height: int, width: int, threshold: float = 0.4) -> torch.Tensor:
        """Where the changed words look, as (1, 1, height, width) of 0 and 1.

        The maps of all calls so far are added. A place counts if it, or a neighbour, has more than
        `threshold` of the largest sum, for the source or for the target. The authors of
        Prompt-to-Prompt keep the old latents outside such a mask ("local blend" in their code).
        """
        mask = torch.zeros(1, 1, height, width)
        for looked in self.looked:
            total = torch.zeros(1, 1, height, width)
            for each in looked:
                scale = (height * width / len(each)) ** 0.5
                places = each.float().cpu().reshape(1, 1, round(height / scale), -1)
                total += F.interpolate(places, (height, width), mode="bilinear")
            if looked:
                total = F.max_pool2d(total, 3, 1, 1)
                mask = torch.maximum(mask, (total > threshold * total.max()).float())
        return mask

    @contextmanager
    def of(self, unet: nn.Module) -> Iterator["AttentionControl"]:
        """Control the cross-attention of a `UNet2DConditionModel` within the block.

        The UNet's own processors are put back at the end, also after an error.
        """
        original = unet.attn_processors
        looks_at_text = {
            name: getattr(layer, "is_cross_attention", False)
            for name, layer in unet.named_modules()
        }
        unet.set_attn_processor(
            {
                path: ControlledProcessor(self)
                if looks_at_text[path.removesuffix(".processor")]
                else processor
                for path, processor in original.items()
            }
        )
        try:
            yield self
        finally:
            unet.set_attn_processor(original)


class ControlledProcessor:
    """A diffusers attention processor whose weights an `AttentionControl` changes."""

    def __init__(self, control: AttentionControl):
        self.control = control

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        *arguments: Any,
        **keywords: Any,
    ) -> torch.Tensor:
        # (B, h w, C) and (B, L, D) -> (B heads, h w, d) and (B heads, L, d)
        query, key, value = (
            attn.head_to_batch_dim(x)
            for x in (
                attn.to_q(hidden_states),
                attn.to_k(encoder_hidden_states),
                attn.to_v(encoder_hidden_states),
            )
        )
        weights = attn.get_attention_scores(query, key)  # (B heads, h w, L)
        weights = weights.unflatten(0, (-1, attn.heads)).clone()  # (B, heads, h w, L)
        weights[-1] = self.control.mix(weights[-2], weights[-1])
        out = attn.batch_to_head_dim(weights.flatten(0, 1) @ value)  # (B, h w, C)
        return attn.to_out[1](attn.to_out[0](out))


@torch.no_grad()
def edit(
    unet: nn.Module,
    schedule: Schedule,
    path: Sequence[torch.Tensor],
    source_embeds: torch.Tensor,
    target_embeds: torch.Tensor,
    negative_embeds: torch.Tensor,
    timesteps: Sequence[int],
    guidance_scale: float,
    control: AttentionControl,
    local: bool = False,
    on_step: Callable[[], object] | None = None,
) -> Iterator[sampler.State]:
    """Paint from the noise path[0] with the target prompt; a `sampler.State` per step.

    path : what `invert` returns for one picture and the same timesteps: tensors (1, C, h, w).
    control : the source is painted beside the target and gives it its maps. It takes the inverted
        path backwards, so it ends at the old picture exactly.
    local : after each step, put the old latents back outside `AttentionControl.mask`.

    The embeddings are (1, L, D).
    """
    latents, embeds = path[0], torch.cat([source_embeds, target_embeds])
    with progress.counted(on_step, len(timesteps), "editing") as on_step, control.of(unet):
        for step, t in enumerate(timesteps):
            control.done = step / len(timesteps)
            both = torch.cat([path[step], latents])
            output = sampler.ask(unet, both, t, embeds, negative_embeds, guidance_scale)[1:]
            t_prev = timesteps[step + 1] if step + 1 < len(timesteps) else -1
            latents, pred_x0 = sampler.ddim_step(schedule, output, t, t_prev, latents)
            if local:
                mask = control.mask(*latents.shape[-2:]).to(latents)
                latents = path[step + 1] + mask * (latents - path[step + 1])
            on_step()
            yield sampler.State(step, t, latents, pred_x0)


@torch.no_grad()
def anagram(
    unet: nn.Module,
    schedule: Schedule,
    noise: torch.Tensor,
    upright_embeds: torch.Tensor,
    turned_embeds: torch.Tensor,
    negative_embeds: torch.Tensor,
    timesteps: Sequence[int],
    guidance_scale: float,
) -> torch.Tensor:
    """Latents that show one prompt upright and another one upside down, from noise (B, C, h, w).

    Each step takes the mean of two answers: the one about the latents, and the one about the
    latents upside down, turned back (Geng et al. 2024, equation 3).
    """
    latents = noise
    for t, t_prev in zip(progress.bar(timesteps, "painting"), [*timesteps[1:], -1]):
        upright, turned = (
            sampler.ask(unet, view, t, embeds, negative_embeds, guidance_scale)
            for view, embeds in ((latents, upright_embeds), (latents.flip(2), turned_embeds))
        )
        latents, _ = sampler.ddim_step(schedule, (upright + turned.flip(2)) / 2, t, t_prev, latents)
    return latents


def tokens_of(tokenizer: Any, prompt: str, word: str) -> list[int]:
    """The places of a word, or of some words in a row, among the tokens of a prompt.

    Raises `SdkitError` if the prompt does not have it.
    """
    ids = prompts.tokens(tokenizer, [prompt])[0].tolist()
    wanted = tokenizer(word, add_special_tokens=False).input_ids
    found = [
        k
        for first in range(len(ids) - len(wanted) + 1)
        if wanted and ids[first : first + len(wanted)] == wanted
        for k in range(first, first + len(wanted))
    ]
    if not found:
        raise SdkitError(
            f"The sentence {prompt[:80]!r} does not have {word[:40]!r}. Choose another word."
        )
    return found
