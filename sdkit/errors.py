"""The one kind of error that people see: one line, without a traceback."""

import errno
import os

from sdkit.language import translate

# the command before a verb, for messages that name a verb; run.py sets it to its own call
COMMAND = os.environ.get("SDKIT_COMMAND", "sdkit")
OTHERS = f"another model ({COMMAND} models lists them)"  # many messages suggest this


class SdkitError(ValueError):
    """A fault that a person can correct.

    Its text is one line: one sentence says what is wrong, and one says what to do. It is in the
    language of `sdkit.language`.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(plain(translate(sentence)))

    def _render_traceback_(self) -> list[str]:
        """The lines that a notebook shows: the text, without a traceback. IPython calls this."""
        return [f"{type(self).__name__}: {self}"]


class AlreadyThere(SdkitError):
    """There is already a file of this name."""


def plain(text: object) -> str:
    """`text` as one line, with ? for each character that is not printable.

    The name of a file may contain control characters, and a terminal would obey them.
    """
    return "".join(c if c.isprintable() else "?" for c in " ".join(str(text).split()))


def unexpected(error: Exception) -> str:
    """The sentence for an error that the kit does not expect.

    Raises the error again if the environment variable SDKIT_DEBUG is set. Then its traceback shows.
    """
    if os.environ.get("SDKIT_DEBUG"):
        raise error
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full. Make room on it, then run this again."
    return plain(
        f"This should not happen ({type(error).__name__}: {str(error)[:200]}). "
        "Set SDKIT_DEBUG=1 to see where, and tell the authors of the kit."
    )
