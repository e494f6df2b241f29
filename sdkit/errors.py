"""The one error that people see, and how its sentence is kept to one plain line."""

import errno
import os


class SdkitError(ValueError):
    """Something a person can put right: one sentence on what is wrong and one on what to do, all on one line."""

    def __init__(self, sentence):
        super().__init__(plain(sentence))

    def _render_traceback_(self):
        """What a notebook shows: the sentence, without the lines of code that led to it (IPython asks for this)."""
        return [f"{type(self).__name__}: {self}"]


class AlreadyThere(SdkitError):
    """A file of that name came to be while another was about to get it."""


def plain(text):
    """`text` on one line, with a ? for what a terminal cannot show or would obey (names of files may hold anything)."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(str(text).split()))


def unexpected(error):
    """The sentence for an error that nobody thought of; with SDKIT_DEBUG set, the error itself with its traceback."""
    if os.environ.get("SDKIT_DEBUG"):
        raise error
    # of whatever was being written
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full. Make room on it, then run this again."
    return plain(
        f"This should not happen ({type(error).__name__}: {str(error)[:200]}). "
        "Set SDKIT_DEBUG=1 to see where, and tell those who wrote the kit."
    )
