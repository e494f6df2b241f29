"""Attention maps against weights computed from the queries and keys of a layer."""

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor

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


@torch.no_grad()
def test_a_layer_that_attends_to_the_text_in_place_of_the_picture_counts_too(tiny_pipe):
    """attn1 is cross-attention where the UNet has only_cross_attention."""
    config = {name: value for name, value in tiny_pipe.unet.config.items() if name[0] != "_"}
    network = UNet2DConditionModel(**{**config, "only_cross_attention": (True, True, False)})
    network.set_attn_processor(AttnProcessor())
    with attention.attention_maps(network) as maps:
        network(torch.randn(1, 8, 16, 16), 300, torch.randn(1, 5, 8))
    own = {name for name in maps if name.endswith("attn1")}
    assert own and all(maps[name].shape[-1] == 5 for name in maps)
    assert all(network.get_submodule(name).is_cross_attention for name in own)


def test_processors_come_back_after_an_error(tiny_pipe):
    before = tiny_pipe.unet.attn_processors
    with pytest.raises(ValueError), attention.attention_maps(tiny_pipe.unet):
        raise ValueError
    assert tiny_pipe.unet.attn_processors == before
