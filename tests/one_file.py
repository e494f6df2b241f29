"""A Stable Diffusion as one file, with the names of the original code (CompVis).

The names follow the conversion script of diffusers.
"""


def to_ldm(pipe, levels=4, layers=2):
    """The networks of a pipeline as the state dict of a single file."""
    unet = [
        ("mid_block.attentions.0.", "middle_block.1."),
        ("mid_block.resnets.0.", "middle_block.0."),
        ("mid_block.resnets.1.", "middle_block.2."),
    ]
    for i in range(levels):
        for j in range(layers):
            unet += [
                (f"down_blocks.{i}.resnets.{j}.", f"input_blocks.{3 * i + j + 1}.0."),
                (f"down_blocks.{i}.attentions.{j}.", f"input_blocks.{3 * i + j + 1}.1."),
            ]
        for j in range(layers + 1):
            unet += [
                (f"up_blocks.{i}.resnets.{j}.", f"output_blocks.{3 * i + j}.0."),
                (f"up_blocks.{i}.attentions.{j}.", f"output_blocks.{3 * i + j}.1."),
            ]
        unet += [
            (f"down_blocks.{i}.downsamplers.0.conv.", f"input_blocks.{3 * (i + 1)}.0.op."),
            (f"up_blocks.{i}.upsamplers.0.", f"output_blocks.{3 * i + 2}.{1 if i == 0 else 2}."),
        ]
    inner = [
        ("norm1.", "in_layers.0."),
        ("conv1.", "in_layers.2."),
        ("norm2.", "out_layers.0."),
        ("conv2.", "out_layers.3."),
        ("time_emb_proj.", "emb_layers.1."),
        ("conv_shortcut.", "skip_connection."),
    ]
    whole = [
        ("time_embedding.linear_1.", "time_embed.0."),
        ("time_embedding.linear_2.", "time_embed.2."),
        ("conv_in.", "input_blocks.0.0."),
        ("conv_norm_out.", "out.0."),
        ("conv_out.", "out.2."),
    ]
    state = {}
    for key, value in pipe.unet.state_dict().items():
        new = next(
            (theirs + key[len(ours) :] for ours, theirs in whole if key.startswith(ours)), key
        )
        state["model.diffusion_model." + rename(new, inner * ("resnets" in key) + unet)] = value

    vae = [
        ("mid_block.attentions.0.", "mid.attn_1."),
        ("mid_block.resnets.0.", "mid.block_1."),
        ("mid_block.resnets.1.", "mid.block_2."),
        ("conv_shortcut", "nin_shortcut"),
        ("conv_norm_out", "norm_out"),
    ]
    for i in range(levels):
        up = levels - 1 - i
        vae += [
            (f"encoder.down_blocks.{i}.resnets.{j}.", f"encoder.down.{i}.block.{j}.")
            for j in range(layers)
        ]
        vae += [
            (f"decoder.up_blocks.{i}.resnets.{j}.", f"decoder.up.{up}.block.{j}.")
            for j in range(layers + 1)
        ]
        vae += [
            (f"down_blocks.{i}.downsamplers.0.", f"down.{i}.downsample."),
            (f"up_blocks.{i}.upsamplers.0.", f"up.{up}.upsample."),
        ]
    attention = [
        ("group_norm.", "norm."),
        ("to_q.", "q."),
        ("to_k.", "k."),
        ("to_v.", "v."),
        ("to_out.0.", "proj_out."),
    ]
    for key, value in pipe.vae.state_dict().items():
        if "attentions" in key and value.ndim == 2:
            value = value[..., None, None]
        state["first_stage_model." + rename(key, vae + attention * ("attentions" in key))] = value
    for key, value in pipe.text_encoder.state_dict().items():
        state["cond_stage_model.transformer.text_model." + key.removeprefix("text_model.")] = value
    return {key: value.contiguous() for key, value in state.items()}


def rename(key, pairs):
    for ours, theirs in pairs:
        key = key.replace(ours, theirs)
    return key
