"""Where a UNet's cross-attention looks: its weights, kept while the network predicts."""

from contextlib import contextmanager


class Watcher:
    """One of diffusers' attention processors that keeps the weights, and lets the one before it do the work."""

    def __init__(self, inner, name, maps):
        self.inner, self.name, self.maps = inner, name, maps

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, *arguments, **keywords):
        query, key = (
            attn.head_to_batch_dim(x)
            for x in (attn.to_q(hidden_states), attn.to_k(encoder_hidden_states))
        )
        # softmax(Q K^T / sqrt(d)), (B heads, h w, L)
        weights = attn.get_attention_scores(query, key)
        self.maps[self.name] = weights.unflatten(0, (-1, attn.heads)).detach()
        return self.inner(attn, hidden_states, encoder_hidden_states, *arguments, **keywords)


@contextmanager
def attention_maps(unet):
    """``with attention_maps(unet) as maps:`` keeps what each place of the picture takes from each row of the text.

    `maps` goes from the name of each cross-attention of a `UNet2DConditionModel` to the weights of its last call,
    (B, heads, h w, L), which add up to 1 over the L rows (Rombach et al. 2022, section 3.3; as pictures: Hertz et al.
    2022, arXiv:2208.01626). What the network predicts stays as it is; afterwards it has its old processors back.
    """
    before, maps = unet.attn_processors, {}
    unet.set_attn_processor(
        {
            path: Watcher(inner, path.removesuffix(".processor"), maps)
            if ".attn2." in path
            else inner
            for path, inner in before.items()
        }
    )
    try:
        yield maps
    finally:
        unet.set_attn_processor(before)
