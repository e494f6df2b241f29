"""Does mini-sd remember the Van Goghs that it was trained on? Members against held-out paintings.

    python tests/benchmarks/members.py --art DIR [--side 160] [--draws 2]

DIR is the folder with the training pictures (data/README.md). Members are the Van Goghs of the
training split, the others those of validation and test. The splits were made by checksum, so both
groups are of the same kind. As in lesson 17, the score of a painting is minus the loss of the
network on it, with the same noise for all. The AUC says in how many of all pairs the member has
the smaller loss; 0.5 is chance. The interval is that of `metrics.auc_interval`.

An interval that holds 0.5 means that this attack has not shown that the network remembers. It does
not mean that the network does not remember.
"""

import argparse
from pathlib import Path

import torch
from PIL import ImageOps

from sdkit import art, latents, metrics, models

TIMESTEPS = (100, 300, 600)
CAPTION = "van gogh"


def batch(folder, splits, side):
    """The middle squares of the Van Goghs of some splits: (N, 3, side, side) in [-1, 1]."""
    found = [p for split in splits for p in art.load(folder, split, styles=["van gogh"])]
    return art.to_batch([ImageOps.fit(picture.image, (side, side)) for picture in found])


@torch.no_grad()
def losses(pipe, x, timestep, draws, at_once=16):
    """(N,): the mean squared error of the noise that the network sees, at one timestep."""
    words = pipe.tokenizer(CAPTION, padding="max_length", truncation=True, return_tensors="pt")
    words = pipe.text_encoder(words.input_ids)[0]
    z = torch.cat([latents.encode(pipe.vae, part) for part in x.split(at_once)])
    share, total = pipe.scheduler.alphas_cumprod[timestep], 0
    for seed in range(draws):
        noise = torch.randn(z.shape[1:], generator=torch.Generator().manual_seed(seed))
        noisy = share**0.5 * z + (1 - share) ** 0.5 * noise
        guess = [
            pipe.unet(part, timestep, encoder_hidden_states=words.expand(len(part), -1, -1)).sample
            for part in noisy.split(at_once)
        ]
        total = total + (torch.cat(guess) - noise).square().mean((1, 2, 3))
    return (total / draws).numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--art", type=Path, required=True, metavar="DIR")
    parser.add_argument("--side", type=int, default=160, help="px of the squares")
    parser.add_argument("--draws", type=int, default=2, help="draws of noise for each painting")
    options = parser.parse_args()
    pipe = models.load(task="text2img", device="cpu")
    members = batch(options.art, ["train"], options.side)
    others = batch(options.art, ["validation", "test"], options.side)
    print(f"{len(members)} members, {len(others)} others, {options.side} px")
    print("timestep   loss of members   of others    AUC   interval")
    for timestep in TIMESTEPS:
        seen, new = (losses(pipe, x, timestep, options.draws) for x in (members, others))
        value, low, high = metrics.auc_interval(-seen, -new)
        print(
            f"{timestep:8} {seen.mean():17.3f} {new.mean():11.3f} {value:6.2f}"
            f"   {low:.2f} to {high:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
