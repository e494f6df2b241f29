"""Prompt to embeddings, and which words of a prompt the model was trained on.

Stable Diffusion reads a sentence through CLIP's text encoder (Radford et al. 2021, arXiv:2103.00020): its
last hidden states, one per token, are what the UNet's cross-attention looks at (Rombach et al. 2022,
arXiv:2112.10752, section 3.3).
"""

import json
import re
import unicodedata
from pathlib import Path

from sdkit.errors import SdkitError

# say little
LITTLE_WORDS = set("a an and as at by for from in is it like of on or the this to with".split())


def encode(tokenizer, text_encoder, prompts):
    """Embed a prompt or a list of B prompts: prompt_embeds (B, L, D), L = `tokenizer.model_max_length`.

    Shorter prompts are padded to L, longer ones cut, as Stable Diffusion's pipelines do.
    """
    import torch  # here and not above, so that looking up words needs no torch

    prompts = [prompts] if isinstance(prompts, str) else list(prompts)
    tokens = tokenizer(
        prompts,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids  # (B, L)
    with torch.no_grad():
        return text_encoder(tokens.to(text_encoder.device))[0]  # (B, L, D)


def words(text):
    """The words of `text` in lower case, in order; a hyphen inside belongs to the word (ukiyo-e)."""
    text = unicodedata.normalize("NFKC", text).lower().replace("\u2019", "'")
    return re.findall(r"[^\W_]+(?:[-'][^\W_]+)*", text)


def known_words(folder):
    """The set of words in the captions that the model in `folder` was trained on (its `words.json`).

    None where the folder has no such list: real Stable Diffusion has seen nearly every word.
    """
    path = Path(folder) / "words.json"
    try:
        return set(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
    except (OSError, ValueError, TypeError) as error:
        raise SdkitError(f"{path} is damaged. Put it back from the repository.") from error


def split_prompt(prompt, known):
    """Split the words of `prompt` into (known, unknown), each once, in order; None knows all.

    A hyphenated word counts as known, too, when each of its parts does.
    """
    found, missing = [], []
    for word in dict.fromkeys(words(prompt)):
        is_known = (
            known is None or word in known or all(part in known for part in re.split("[-']", word))
        )
        (found if is_known else missing).append(word)
    return found, missing


def unknown_words(folder, prompt):
    """The words of `prompt` that the model in `folder` never saw in training, each once and in order."""
    return split_prompt(prompt, known_words(folder))[1]
