"""Attention maps against weights computed from the queries and keys of a layer."""

import pytest
import torch

from sdkit import attention


@torch.no_grad()
def test_attention_maps_equal_softmax_of_queries_and_keys(tiny_pipe):
    """softmax(Q K^T / sqrt(d)) for each head, from the real outputs of a layer's projections."""
    network, heard = tiny_pipe.unet, {}
    sample, embeds = torch.randn(2, 8, 16, 16), torch.randn(2, 5, 8)
    plain, before = network(sample, 300, embeds).sample, network.attn_processors
    layer = network.up_blocks[1].attentions[0].transformer_blocks[0].attn2
    hooks = [
        getattr(layer, name).register_forward_hook(
            lambda m, x, y, name=name: heard.__setitem__(name, y)
        )
        for name in ("to_q", "to_k")
    ]
    with attention.attention_maps(network) as maps:
        watched = network(sample, 300, embeds).sample
    for hook in hooks:
        hook.remove()
    torch.testing.assert_close(watched, plain, rtol=0, atol=0)
    assert network.attn_processors == before
    assert all(name.endswith("attn2") for name in maps)
    assert sorted({weights.shape[2] for weights in maps.values()}) == [16, 64]
    assert all(weights.shape[::3] == (2, 5) for weights in maps.values())
    wanted = []
    for q, k in zip(heard["to_q"].chunk(layer.heads, -1), heard["to_k"].chunk(layer.heads, -1)):
        wanted.append((torch.einsum("bpd,bld->bpl", q, k) / q.shape[-1] ** 0.5).exp())
    wanted = torch.stack(wanted, 1)
    torch.testing.assert_close(
        maps["up_blocks.1.attentions.0.transformer_blocks.0.attn2"],
        wanted / wanted.sum(-1, keepdim=True),
    )


def test_processors_come_back_after_an_error(tiny_pipe):
    before = tiny_pipe.unet.attn_processors
    with pytest.raises(ValueError), attention.attention_maps(tiny_pipe.unet):
        raise ValueError
    assert tiny_pipe.unet.attn_processors == before
