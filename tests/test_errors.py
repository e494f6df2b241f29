"""The sentence that people see when something goes wrong."""

import errno

from sdkit import errors


def test_a_full_disk_is_named_wherever_it_is_met(monkeypatch):
    monkeypatch.delenv("SDKIT_DEBUG", raising=False)
    assert errors.unexpected(OSError(errno.ENOSPC, "No space left on device")).startswith(
        "The disk is full."
    )
    assert errors.unexpected(OSError("else")).startswith("This should not happen")
