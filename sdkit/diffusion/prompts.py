"""Prompts: their embeddings, and which of their words the model saw in training.

Stable Diffusion encodes a prompt with CLIP's text encoder (Radford et al. 2021, arXiv:2103.00020).
The encoder's last hidden states, one for each token, are the input of the UNet's cross-attention
(Rombach et al. 2022, arXiv:2112.10752, section 3.3).
"""

import json
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdkit.errors import SdkitError

if TYPE_CHECKING:  # torch is imported in `encode` only: looking up words must not load it
    import torch

LARGEST_LIST = 10_000_000  # bytes of a list of words; the shipped one has 1,500
# Words with so little meaning that it does not matter whether a model knows them.
STOP_WORDS = set("a an and as at by for from in is it like of on or the this to with".split())


def tokens(tokenizer: Any, texts: list[str]) -> "torch.Tensor":
    """Token numbers (B, L) of B texts, with L = `tokenizer.model_max_length`.

    As in Stable Diffusion's pipelines, shorter texts are padded to L tokens and longer ones are
    cut.
    """
    return tokenizer(
        texts,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids


def encode(tokenizer: Any, text_encoder: Any, prompts: str | list[str]) -> "torch.Tensor":
    """Embed a prompt, or a list of B prompts, as (B, L, D); see `tokens` for L."""
    import torch

    prompts = [prompts] if isinstance(prompts, str) else list(prompts)
    ids = tokens(tokenizer, prompts).to(text_encoder.device)  # (B, L)
    with torch.no_grad():
        return text_encoder(ids)[0]  # (B, L, D)


def words(text: str) -> list[str]:
    """The words of `text` in lower case and in order. A hyphenated word counts as one: ukiyo-e."""
    text = unicodedata.normalize("NFKC", text).lower().replace("\u2019", "'")
    return re.findall(r"[^\W_]+(?:[-'][^\W_]+)*", text)


def known_words(folder: str | Path) -> set[str] | None:
    """The words in the training captions of the model in `folder`, read from its `words.json`.

    None if the folder has no such list: real Stable Diffusion has seen nearly every word.
    Raises `SdkitError` if the list is damaged.
    """
    path = Path(folder) / "words.json"
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > LARGEST_LIST:
            raise ValueError("too large")
        listed = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(listed, list) or not all(isinstance(w, str) and w for w in listed):
            raise ValueError("not a list of words")
        if not listed:
            raise ValueError("an empty list")
        return set(listed)
    except (OSError, ValueError, RecursionError) as error:
        raise SdkitError(
            f"{path} is damaged: it must be a list of words. Copy it again from where it came."
        ) from error


def split_prompt(prompt: str, known: set[str] | None) -> tuple[list[str], list[str]]:
    """Split the words of `prompt` into (known, unknown): each word once, in order.

    A hyphenated word also counts as known if each of its parts is. If `known` is None, all words
    are known.
    """
    found, missing = [], []
    for word in dict.fromkeys(words(prompt)):
        is_known = (
            known is None or word in known or all(part in known for part in re.split("[-']", word))
        )
        (found if is_known else missing).append(word)
    return found, missing
