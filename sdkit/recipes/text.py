"""Train the text encoder: ``python -m sdkit.recipes.text --art-dir DIR``.

CLIP (Radford et al. 2021): a text and a vision tower learn which caption belongs to which picture, on postcards and
on crops of paintings and photographs. A caption such as "a cat" or "van gogh" fits several pictures of a batch; all of
them count as right (as in Khosla et al. 2020). The text tower is what mini-sd's text encoder starts as.
"""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from tokenizers import pre_tokenizers
from transformers import CLIPConfig, CLIPModel, CLIPTextModel, CLIPTokenizer

from sdkit import postcards
from sdkit.evaluate.measure import zero_shot_postcards, zero_shot_styles
from sdkit.files import models_dir, write_atomically
from sdkit.pictures import art
from sdkit.recipes import captions, cards, training
from sdkit.recipes.classifier import jitter

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 48  # tokens a prompt may have; longer ones are cut, as in the original at 77


def learn_merges(words, most):
    """The ``most`` commonest merges of neighbouring pieces in ``words`` (word -> count), commonest first.

    Byte-pair encoding (Sennrich et al. 2016, algorithm 1). The tokenizers library would do it faster, but breaks
    ties at random, so that a resumed training would read other tokens than it began with.
    """
    pieces = {word: [*word[:-1], word[-1] + "</w>"] for word in words}
    merges = []
    while len(merges) < most:
        pairs = Counter()
        for word, parts in pieces.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for word, parts in pieces.items():
            joined = []
            for part in parts:
                if joined and (joined[-1], part) == best:
                    joined[-1] += part
                else:
                    joined.append(part)
            pieces[word] = joined
    return merges


def make_tokenizer(texts, vocab_size=1600):
    """A ``CLIPTokenizer`` with a byte-pair vocabulary of at most ``vocab_size`` tokens learned from ``texts``."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    basis = [START, END, *letters, *(letter + "</w>" for letter in letters)]
    split = CLIPTokenizer(
        vocab={token: i for i, token in enumerate(basis)}, merges=[]
    ).backend_tokenizer
    words = Counter(
        word
        for text in texts
        for word, _ in split.pre_tokenizer.pre_tokenize_str(split.normalizer.normalize_str(text))
    )
    merges = learn_merges(words, vocab_size - len(basis))
    tokens = dict.fromkeys([*basis, *("".join(pair) for pair in merges)])
    return CLIPTokenizer(
        vocab={token: i for i, token in enumerate(tokens)}, merges=merges, model_max_length=LENGTH
    )


def contrastive_loss(logits, fits):
    """Symmetric InfoNCE of (B, B) ``logits`` (pictures x captions); ``fits`` (B, B) says which pairs are right."""
    fits = fits.float()
    by_picture, by_caption = fits / fits.sum(1, keepdim=True), fits / fits.sum(0, keepdim=True)
    return -(by_picture * logits.log_softmax(1) + by_caption * logits.log_softmax(0)).sum() / (
        2 * len(logits)
    )


def tokens(tokenizer, texts):
    """List of B texts -> (B, LENGTH) token numbers."""
    return tokenizer(
        texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt"
    ).input_ids


def hard_choice(cards, alike, count, rng, groups=4):
    """Which ``count`` of the ``cards`` make a batch: in each group of it, two parts of the picture are the same.

    Drawn at random, pictures differ so much in sky and ground that nobody need look at the thing (hard negatives,
    as in Robinson et al. 2021). ``alike``: (part, word) -> the numbers of the cards that show it.
    """
    chosen = []
    for _ in range(groups):
        parts = rng.choice(postcards.PARTS[1:], 2, replace=False)
        model = cards[rng.integers(len(cards))]
        both = set.intersection(
            *(set(alike[part, getattr(model, part)]) for part in map(str, parts))
        )
        chosen += rng.choice(sorted(both), -(-count // groups)).tolist()
    return chosen[:count]


def fits(a, said_of_b, b):
    """Whether the caption of postcard ``b``, which says the parts ``said_of_b``, is true of postcard ``a``, too."""
    return all(getattr(a, part) == getattr(b, part) for part in said_of_b) and (
        b.second in (None, a.second)
    )


def main(
    art_dir="../shared/art",
    out="",
    steps=2000,
    batch_size=32,
    postcards_per_step=64,
    drawn=12000,
    size=64,
    patch=8,
    width=160,
    layers=4,
    learning_rate=8e-4,
    seed=0,
    runs="runs/text",
    limit=0,
):
    """Train tokenizer and CLIP; save tokenizer, text encoder and known words, and the whole CLIP beside them.

    out: folder of the pipeline (default: data/models/mini-sd); CLIP goes to mini-clip in the folder around it;
    batch_size: crops of art a step; drawn: how many postcards are drawn for the training; patch: side in px of the
    squares that the vision tower sees; width, layers: of both towers; runs: where checkpoints and the curve lie;
    limit: pictures per folder (0: all).
    """
    settings = dict(recipe="sdkit.recipes.text", **locals())
    out = Path(out) if out else models_dir() / "mini-sd"
    accelerator = training.accelerator()
    torch.manual_seed(seed)
    tokenizer = make_tokenizer(captions.vocabulary())
    tower = dict(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        projection_dim=width,
    )
    model = CLIPModel(
        CLIPConfig(
            text_config=dict(
                tower,
                vocab_size=len(tokenizer),
                max_position_embeddings=LENGTH,
                eos_token_id=1,
                bos_token_id=0,
                pad_token_id=1,
            ),
            vision_config=dict(tower, image_size=size, patch_size=patch),
            projection_dim=width,
        )
    ).to(accelerator.device)
    pictures = art.load(art_dir, "train", limit=limit or None)
    groups = [[p for p in pictures if p.style == style] for style in art.STYLES]
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=0.1)
    run = training.Run(runs, accelerator)
    model, start = run.begin(model, optimizer, steps, ema_decay=0.99)

    drawn_cards, drawings = cards.render(drawn if start < steps else postcards_per_step, size)
    alike = {
        (part, word): [k for k, card in enumerate(drawn_cards) if getattr(card, part) == word]
        for part, words in postcards.WORDS.items()
        for word in words
    }

    def make(step):
        rng = training.rng(seed, step, accelerator.process_index)
        squares, texts, styles = [], [], []
        for _ in range(batch_size):
            style = int(rng.integers(len(groups)))
            picture = groups[style][rng.integers(len(groups[style]))]
            squares.append(jitter(art.crop(picture, size, rng, (128, 256)), rng))
            texts.append(
                captions.misspell(captions.caption(picture.style, picture.is_portrait, rng), rng)
            )
            styles.append(style)
        chosen, said = hard_choice(drawn_cards, alike, postcards_per_step, rng), []
        for k in chosen:
            unsaid = postcards.leave_unsaid(rng)
            squares.append(drawings[k])
            texts.append(captions.misspell(postcards.caption(drawn_cards[k], rng, unsaid), rng))
            said.append([part for part in postcards.PARTS if part not in unsaid])
        right = np.zeros((len(texts), len(texts)), bool)  # pictures x captions
        right[:batch_size, :batch_size] = np.equal.outer(styles, styles)
        right[batch_size:, batch_size:] = [
            [fits(drawn_cards[a], parts, drawn_cards[b]) for b, parts in zip(chosen, said)]
            for a in chosen
        ]
        return art.to_batch(squares), tokens(tokenizer, texts), torch.from_numpy(right)

    for step, (x, ids, right) in run.steps("text", make, start, steps):
        x, ids, right = (part.to(accelerator.device) for part in (x, ids, right))
        loss = contrastive_loss(
            model(input_ids=ids, pixel_values=x).logits_per_image.float(), right
        )
        run.descend(loss)
        run.record(step, loss=loss)
    if not accelerator.is_main_process:
        return
    model = run.averaged()
    held_out = art.load(art_dir, "validation", limit=limit or None)
    shown, drawings = cards.render(min(drawn, 200), size, held_out=True)
    metrics = {
        "zero_shot_style_accuracy": zero_shot_styles(model, tokenizer, held_out),
        "zero_shot_accuracy_on_held_out_postcards": zero_shot_postcards(
            model, tokenizer, shown, art.to_batch(list(drawings))
        ),
    }
    tokenizer.save_pretrained(out / "tokenizer")
    encoder = CLIPTextModel(model.config.text_config)
    weights = model.state_dict()
    encoder.load_state_dict({name: weights["text_model." + name] for name in encoder.state_dict()})
    encoder.half().save_pretrained(out / "text_encoder")
    model.half().save_pretrained(out.parent / "mini-clip")
    with write_atomically(out / "words.json") as path:
        Path(path).write_text(json.dumps(captions.words()) + "\n")
    training.write_record(out / "text_encoder", run, settings, metrics, art.data_hash(pictures))
    print(json.dumps(metrics))


if __name__ == "__main__":
    training.command_line(main)
