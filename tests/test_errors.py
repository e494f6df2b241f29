"""The sentences for errors that the kit does not expect."""

import errno

from sdkit import errors


def test_the_sentence_for_an_unexpected_error_names_a_full_disk(monkeypatch):
    monkeypatch.delenv("SDKIT_DEBUG", raising=False)
    assert errors.unexpected(OSError(errno.ENOSPC, "No space left on device")).startswith(
        "The disk is full."
    )
    assert errors.unexpected(OSError("else")).startswith("This should not happen")
