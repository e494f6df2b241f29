"""The order in which the files of tests start when several processes share them."""

import fnmatch

# The files that take longest, as `run.py test --durations=20` shows. A wrong order only costs time.
LONGEST_FIRST = [
    "tests/browser/*",
    "notebooks/01*",
    "notebooks/1[1267]*",
    "notebooks/de/*",
    "notebooks/0[78]*",
    "notebooks/[01]*",
    "notebooks/solutions/*",
]


def place(path):
    """The place of a file (its path from the root, with /): its first pattern above, or the end."""
    fits = [fnmatch.fnmatchcase(path, pattern) for pattern in LONGEST_FIRST]
    return [*fits, True].index(True)
