"""Open many photographs; name those that cannot be used, and go on with the others."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path

from PIL import Image

from sdkit.errors import SdkitError, plain
from sdkit.pictures import outputs, photos

# a path, the name of a sample, or an uploaded file: its name and its bytes
Source = str | os.PathLike | tuple[str, bytes]


def named(
    sources: Iterable[Source], leave_out: Callable[[str], object] | None = None
) -> dict[str, Source]:
    """Find the photographs in `sources` and give each a name of its own: {name: source}.

    sources : also folders and wildcards, as `photos.find_photos` takes them.
    leave_out : called with a sentence for each folder without pictures; None raises `SdkitError`.

    The name is that of the file without its ending. If that name is taken, a number is added: two
    files IMG_1.jpg and IMG_1.png are the photographs "IMG_1" and "IMG_1-2".
    """
    found: dict[str, Source] = {}
    for source in sources:
        try:
            inside = [source] if isinstance(source, tuple) else photos.find_photos([source])
        except SdkitError as error:
            if leave_out is None:
                raise
            leave_out(str(error))
            continue
        for one in inside:
            stem = outputs.stem(_file(one))
            names = (f"{stem}-{number}" if number > 1 else stem for number in count(1))
            found[next(name for name in names if name not in found)] = one
    return found


def open_each(
    found: Mapping[str, Source], leave_out: Callable[[str], object], size: int | None = None
) -> Iterator[tuple[str, Image.Image]]:
    """Open the photographs of `named` one by one: yields (name, RGB picture).

    leave_out : called with one sentence for each photograph that cannot be used.
    size : the short side in px to which each is scaled, as `photos.resize` does; None leaves it.
    """
    for name, source in found.items():
        try:
            if isinstance(source, tuple):
                picture = photos.open_bytes(source[1], source[0])
            else:
                picture = photos.open_photo(source)
            if size is not None:
                picture = photos.resize(picture, size)
        except SdkitError as error:
            leave_out(f"left out {plain(_file(source).name)}: {error}")
            continue
        yield name, picture


def _file(source: Source) -> Path:
    return Path(source[0] if isinstance(source, tuple) else source)
