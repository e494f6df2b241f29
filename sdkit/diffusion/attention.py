"""Cross-attention maps: which words each place of the picture attends to while the UNet runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class RecordingProcessor:
    """A diffusers attention processor that stores the attention weights of each call.

    The processor that it replaces (`inner`) still computes the layer's output, so recording
    changes nothing.
    """

    def __init__(self, inner: Callable, name: str, maps: dict[str, torch.Tensor]):
        self.inner, self.name, self.maps = inner, name, maps

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        *arguments: Any,
        **keywords: Any,
    ) -> torch.Tensor:
        # (B, h w, C) and (B, L, D) -> (B heads, h w, d) and (B heads, L, d)
        query, key = (
            attn.head_to_batch_dim(x)
            for x in (attn.to_q(hidden_states), attn.to_k(encoder_hidden_states))
        )
        # softmax(Q K^T / sqrt(d)) (Vaswani et al. 2017, arXiv:1706.03762, equation 1)
        weights = attn.get_attention_scores(query, key)  # (B heads, h w, L)
        self.maps[self.name] = weights.unflatten(0, (-1, attn.heads)).detach()
        return self.inner(attn, hidden_states, encoder_hidden_states, *arguments, **keywords)


@contextmanager
def attention_maps(unet: nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """Record the cross-attention weights of a UNet: ``with attention_maps(unet) as maps: ...``

    `maps` has one entry for each cross-attention layer of a `UNet2DConditionModel`, from the
    layer's name to the weights of its last call: (B, heads, h w, L), which sum to 1 over the L
    tokens (Rombach et al. 2022, arXiv:2112.10752, section 3.3). Hertz et al. 2022
    (arXiv:2208.01626) show such maps as pictures.

    The UNet's output does not change. Its own attention processors are put back at the end, also
    after an error.
    """
    original, maps = unet.attn_processors, {}
    looks_at_text = {
        name: getattr(layer, "is_cross_attention", False) for name, layer in unet.named_modules()
    }
    unet.set_attn_processor(
        {
            path: RecordingProcessor(processor, name, maps) if looks_at_text[name] else processor
            for path, processor in original.items()
            for name in [path.removesuffix(".processor")]
        }
    )
    try:
        yield maps
    finally:
        unet.set_attn_processor(original)
