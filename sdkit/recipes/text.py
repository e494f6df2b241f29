"""Train the text encoder: ``python -m sdkit.recipes.text --art-dir DIR``.

CLIP (Radford et al. 2021): a text network and a vision network learn which caption belongs to which
picture, on postcards and on crops of paintings and photographs. A caption such as "a cat" or "van
gogh" fits several pictures of a batch; all of them count as right (Khosla et al. 2020). The UNet's
training starts from this text encoder.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tokenizers import pre_tokenizers
from transformers import CLIPConfig, CLIPModel, CLIPTextModel, CLIPTokenizer

from sdkit import postcards
from sdkit.evaluate.measure import zero_shot_postcards, zero_shot_styles
from sdkit.files import write_atomically
from sdkit.pictures import art, photos
from sdkit.postcards import Postcard
from sdkit.recipes import captions, cards, training
from sdkit.recipes.classifier import jitter
from sdkit.recipes.settings import BaseSettings, command_line, in_models

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 48  # tokens in a prompt; longer ones are cut, in Stable Diffusion at 77


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of CLIP's training."""

    # folder of the pipeline: gets tokenizer, text_encoder and words.json
    out: Path = field(default_factory=in_models("mini-sd"))
    # folder that gets the whole CLIP
    out_clip: Path = field(default_factory=in_models("mini-clip"))
    runs: Path = Path("runs/text")
    steps: int = 2000
    # crops of art in a batch
    batch_size: int = 32
    # postcards in a batch
    postcards_per_step: int = 64
    # postcards that are drawn for the training
    drawn: int = 12000
    # side in px of the pictures that the vision network sees
    size: int = 64
    # side in px of its patches
    patch: int = 8
    # numbers that describe a token or a patch, in both networks
    width: int = 160
    # transformer layers of both networks
    layers: int = 4
    # of AdamW
    learning_rate: float = 8e-4

    @property
    def record_folder(self) -> Path:
        return self.out_clip


class Batch(NamedTuple):
    """One batch of CLIP: art first, then postcards."""

    pictures: torch.Tensor  # (B, 3, S, S) in [-1, 1]
    ids: torch.Tensor  # (B, L) token numbers
    fits: torch.Tensor  # bool (B, B), pictures x captions


# (part, word) -> numbers of the cards that show it
Alike = dict[tuple[str, str], list[int]]


@dataclass
class Data:
    """What batches are made from."""

    pictures: list[list[art.Picture]]  # a list for each style
    cards: list[Postcard]
    drawings: np.ndarray  # uint8 (N, S, S, 3)
    alike: Alike
    tokenizer: CLIPTokenizer


def learn_merges(words: dict[str, int], most: int) -> list[tuple[str, str]]:
    """The ``most`` most frequent merges of neighbouring pieces, in order; words: word -> count.

    Byte-pair encoding (Sennrich et al. 2016, algorithm 1). The tokenizers library is faster, but
    with equal counts it chooses at random. Then a resumed training would read other tokens than at
    its start.
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


def make_tokenizer(texts: Iterable[str], vocab_size: int = 1600) -> CLIPTokenizer:
    """A ``CLIPTokenizer`` with at most ``vocab_size`` byte-pair tokens, learned from ``texts``."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    first_tokens = [START, END, *letters, *(letter + "</w>" for letter in letters)]
    split = CLIPTokenizer(
        vocab={token: i for i, token in enumerate(first_tokens)}, merges=[]
    ).backend_tokenizer
    words = Counter(
        word
        for text in texts
        for word, _ in split.pre_tokenizer.pre_tokenize_str(split.normalizer.normalize_str(text))
    )
    merges = learn_merges(words, vocab_size - len(first_tokens))
    tokens = dict.fromkeys([*first_tokens, *("".join(pair) for pair in merges)])
    return CLIPTokenizer(
        vocab={token: i for i, token in enumerate(tokens)}, merges=merges, model_max_length=LENGTH
    )


def contrastive_loss(logits: torch.Tensor, fits: torch.Tensor) -> torch.Tensor:
    """Symmetric InfoNCE of (B, B) ``logits``, pictures x captions (Radford et al. 2021, figure 3).

    ``fits`` (B, B) says which captions are true of which pictures. All true ones share the weight
    (supervised contrastive loss, Khosla et al. 2020, equation 2).
    """
    fits = fits.float()
    by_picture, by_caption = fits / fits.sum(1, keepdim=True), fits / fits.sum(0, keepdim=True)
    return -(by_picture * logits.log_softmax(1) + by_caption * logits.log_softmax(0)).sum() / (
        2 * len(logits)
    )


def tokens(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> torch.Tensor:
    """List of B texts -> (B, LENGTH) token numbers."""
    return tokenizer(
        texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt"
    ).input_ids


def hard_choice(
    cards: Sequence[Postcard], alike: Alike, count: int, rng: np.random.Generator, groups: int = 4
) -> list[int]:
    """Choose ``count`` of the ``cards`` for a batch; within a group, two parts agree.

    Postcards that are chosen at random differ so much in sky and ground that a network does not
    have to look at the thing (hard negatives, Robinson et al. 2021). ``alike``: (part, word) -> the
    numbers of the cards that show it.
    """
    chosen = []
    for _ in range(groups):
        parts = rng.choice(postcards.PARTS[1:], 2, replace=False)
        model = cards[int(rng.integers(len(cards)))]
        both = set.intersection(
            *(set(alike[part, getattr(model, part)]) for part in map(str, parts))
        )
        chosen += rng.choice(sorted(both), -(-count // groups)).tolist()
    return chosen[:count]


def fits(a: Postcard, said_of_b: Iterable[str], b: Postcard) -> bool:
    """Whether the caption of postcard ``b``, which says ``said_of_b``, is true of ``a``."""
    return all(getattr(a, part) == getattr(b, part) for part in said_of_b) and (
        b.second in (None, a.second)
    )


def load_data(
    settings: Settings, pictures: Sequence[art.Picture], tokenizer: CLIPTokenizer
) -> Data:
    """Sort the pictures by style and draw the postcards."""
    shown, drawings = cards.render(settings.drawn, settings.size)
    alike = {
        (part, word): [k for k, card in enumerate(shown) if getattr(card, part) == word]
        for part, words in postcards.WORDS.items()
        for word in words
    }
    by_style = [[p for p in pictures if p.style == style] for style in art.STYLES]
    return Data(by_style, shown, drawings, alike, tokenizer)


def make_batch(settings: Settings, data: Data, rng: np.random.Generator) -> Batch:
    """A `Batch` of crops of art and of postcards, each with a caption."""
    squares, texts, styles = [], [], []
    for _ in range(settings.batch_size):
        style = int(rng.integers(len(data.pictures)))
        picture = data.pictures[style][rng.integers(len(data.pictures[style]))]
        squares.append(jitter(art.crop(picture, settings.size, rng, (128, 256)), rng))
        texts.append(
            captions.misspell(captions.caption(picture.style, picture.is_portrait, rng), rng)
        )
        styles.append(style)
    chosen = hard_choice(data.cards, data.alike, settings.postcards_per_step, rng)
    said = []  # for each postcard, the parts that its caption says
    for k in chosen:
        unsaid = postcards.leave_unsaid(rng)
        squares.append(data.drawings[k])
        texts.append(captions.misspell(postcards.caption(data.cards[k], rng, unsaid), rng))
        said.append([part for part in postcards.PARTS if part not in unsaid])
    right = np.zeros((len(texts), len(texts)), bool)  # pictures x captions
    count = settings.batch_size
    right[:count, :count] = np.equal.outer(styles, styles)
    right[count:, count:] = [
        [fits(data.cards[a], parts, data.cards[b]) for b, parts in zip(chosen, said)]
        for a in chosen
    ]
    return Batch(photos.to_batch(squares), tokens(data.tokenizer, texts), torch.from_numpy(right))


def loss(
    settings: Settings, model: CLIPModel, batch: Batch
) -> tuple[torch.Tensor, training.Figures]:
    """`contrastive_loss` of CLIP's logits: (loss, figures to log)."""
    logits = model(input_ids=batch.ids, pixel_values=batch.pictures).logits_per_image.float()
    value = contrastive_loss(logits, batch.fits)
    return value, {"loss": value}


def new_network(settings: Settings, tokenizer: CLIPTokenizer) -> CLIPModel:
    """An untrained CLIP."""
    both = dict(
        hidden_size=settings.width,
        intermediate_size=4 * settings.width,
        num_hidden_layers=settings.layers,
        num_attention_heads=4,
        projection_dim=settings.width,
    )
    special = dict(eos_token_id=1, bos_token_id=0, pad_token_id=1)
    return CLIPModel(
        CLIPConfig(
            text_config=dict(
                both, vocab_size=len(tokenizer), max_position_embeddings=LENGTH, **special
            ),
            vision_config=dict(both, image_size=settings.size, patch_size=settings.patch),
            projection_dim=settings.width,
        )
    )


def text_encoder_of(clip: CLIPModel) -> CLIPTextModel:
    """The text network of a ``CLIPModel`` as a ``CLIPTextModel``, with the same weights."""
    encoder, weights = CLIPTextModel(clip.config.text_config), clip.state_dict()
    encoder.load_state_dict({name: weights["text_model." + name] for name in encoder.state_dict()})
    return encoder


def measure(settings: Settings, model: CLIPModel, tokenizer: CLIPTokenizer) -> dict[str, Any]:
    """Zero-shot accuracy on held-out pictures and postcards."""
    held_out = art.load(settings.art_dir, "validation", limit=settings.limit or None)
    shown, drawings = cards.render(min(settings.drawn, 200), settings.size, held_out=True)
    return {
        "zero_shot_style_accuracy": zero_shot_styles(model, tokenizer, held_out),
        "zero_shot_accuracy_on_held_out_postcards": zero_shot_postcards(
            model, tokenizer, shown, photos.to_batch(drawings)
        ),
    }


def main(settings: Settings) -> None:
    """Make the tokenizer, train CLIP, measure it, and save both, the text encoder and the words."""
    accelerator = training.accelerator()
    torch.manual_seed(settings.seed)
    tokenizer = make_tokenizer(captions.vocabulary())
    model = new_network(settings, tokenizer).to(accelerator.device)
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=0.1)
    run = training.Run(settings, accelerator)
    run.begin(model, optimizer, ema_decay=0.99)
    pictures = art.load(settings.art_dir, "train", limit=settings.limit or None)
    data = None if run.is_over else load_data(settings, pictures, tokenizer)
    run.fit("text", make_batch, loss, data)
    if not accelerator.is_main_process:
        return
    model = run.averaged()
    figures = measure(settings, model, tokenizer)
    tokenizer.save_pretrained(settings.out / "tokenizer")
    text_encoder_of(model).half().save_pretrained(settings.out / "text_encoder")
    with write_atomically(settings.out / "words.json") as path:
        Path(path).write_text(json.dumps(captions.words()) + "\n")
    model.half().save_pretrained(settings.out_clip)
    for folder in (settings.out / "text_encoder", settings.out_clip):
        training.write_record(folder, run, "text", figures, art.data_hash(pictures))
    print(json.dumps(figures))


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
