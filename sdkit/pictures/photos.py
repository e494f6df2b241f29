"""Read photographs: any picture file becomes plain RGB, and none of its metadata reaches a result.

A photo is a `PIL.Image` in mode RGB. A network sees it as a tensor (B, 3, H, W) in [-1, 1].
"""

import contextlib
import glob
import importlib.resources
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from sdkit.errors import SdkitError
from sdkit.files import expand
from sdkit.pictures import broken, colours, gaps, kinds, pixels
from sdkit.pictures.samples import SAMPLES

if TYPE_CHECKING:
    import torch

# so many pixels take up to 2 GB while they are read; the file's header says their number
MAX_PIXELS = 100_000_000
# the size of a file with MAX_PIXELS pixels: not compressed, four channels of 16 bits
MAX_BYTES = 1_000_000_000
MIN_SIDE, MAX_SIDE = 8, 65_535  # px; a JPEG cannot have more
MAX_ASPECT = 4  # long side / short side
# marks in a JPEG (ITU-T T.81, table B.1): start and end of the picture, and start of a scan
JPEG_START, JPEG_END, JPEG_SCAN = b"\xff\xd8", b"\xff\xd9", b"\xff\xda"


def sample(name: str) -> Image.Image:
    """Open one of the photographs in `SAMPLES`, in RGB. They come with packages that the kit needs.

    Raises `SdkitError` if there is no sample of that name.
    """
    if name not in SAMPLES:
        raise SdkitError(f"There is no sample photo {name!r}. Choose one of: {', '.join(SAMPLES)}.")
    if name == "grace_hopper":
        from matplotlib import cbook

        with cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as image:
            return _clean(image, name)
    # scikit-image's own reader would import half of SciPy for this
    file = importlib.resources.files("skimage.data") / f"{name}.png"
    with file.open("rb") as data, Image.open(data) as image:
        return Image.fromarray(np.asarray(image))  # without the file's metadata


def open_photo(
    source: str | os.PathLike | Image.Image | np.ndarray, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Open a photo as a plain RGB `PIL.Image` of 8 bits per channel, without its metadata.

    source : a path, the name of a sample, a `PIL.Image`, or an array. An array is (H, W), (H, W, 3)
        or (H, W, 4), of uint8, uint16, bool, or float in [0, 1].
    max_pixels : a picture with more pixels is refused.

    The function turns the picture as its EXIF says, converts it to sRGB by its colour profile, and
    puts white behind transparent parts. It scales 16 bits to 8. It takes the first frame of an
    animation, and of several pictures in one HEIC file the one that the phone would show.
    Raises `SdkitError` if it cannot use the picture, or would get wrong pixels from it.
    """
    if isinstance(source, Image.Image):
        with _sentences("the picture", max_pixels):
            kinds.refuse(source, "the picture", "", b"")
            return _clean(source, "the picture", max_pixels)
    if isinstance(source, np.ndarray):
        return _clean(_from_array(source), "the array", max_pixels)
    path = expand(source)
    if str(source) in SAMPLES and not os.path.lexists(path):
        return sample(str(source))
    return open_bytes(_read(path), path.name, max_pixels)


def open_bytes(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open a photo from the bytes of its file, as `open_photo` does. Nothing is written to disk.

    name : the name of the file, for its ending and for error messages.

    Raises `SdkitError` if it cannot use the picture, or would get wrong pixels from it.
    """
    if not data:
        raise SdkitError(f"{name} is empty (0 bytes). Copy it again from where it came.")
    suffix = Path(name).suffix.lower()
    with _sentences(name, max_pixels, suffix, data):
        if data.startswith(JPEG_START):
            data = _with_end(data, max_pixels)
        with Image.open(BytesIO(data), formats=kinds.formats_for(data, name)) as image:
            kinds.refuse(image, name, suffix, data)
            image.info["icc_profile"] = colours.find_profile(image, data, name)
            photo = _clean(image, name, max_pixels)
            if data.startswith(JPEG_START):
                gaps.refuse(image, name, data)
            return photo


@contextlib.contextmanager
def _sentences(name: str, max_pixels: int, suffix: str = "", data: bytes = b"") -> Iterator[None]:
    """Turn any error of Pillow into an `SdkitError`. A damaged file can raise almost any error."""
    try:
        # Pillow warns about very large pictures; our own limit is lower
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except SdkitError:
        raise
    except Image.DecompressionBombError as error:
        raise SdkitError(_too_large(name, max_pixels)) from error
    except Image.UnidentifiedImageError as error:
        raise SdkitError(kinds.unread_sentence(name, suffix, data)) from error
    except MemoryError as error:
        raise SdkitError(
            f"There is too little memory to open {name}. Make it smaller first."
        ) from error
    except Exception as error:  # OSError, SyntaxError, ValueError, zlib.error, struct.error, ...
        raise SdkitError(
            f"{name} is damaged or cut off ({str(error)[:80]}). Copy it again from where it came."
        ) from error


def _read(path: Path) -> bytes:
    """Read the bytes of a file, or raise `SdkitError`."""
    if os.path.isdir(path):
        raise SdkitError(f"{path} is a folder. Give one picture file.")
    # reading a pipe could wait for ever, and a device may have no end
    if os.path.exists(path) and not os.path.isfile(path):
        raise SdkitError(f"{path} is not a file. Give one picture file.")
    if os.path.isfile(path) and os.path.getsize(path) > MAX_BYTES:
        raise SdkitError(
            f"{path.name} has more than {MAX_BYTES / 1e9:g} GB. Save it as JPEG first."
        )
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise SdkitError(
            f"There is no file {path}. Give a picture file, or a sample photo: "
            f"{', '.join(SAMPLES)}."
        ) from error
    except PermissionError as error:
        raise SdkitError(f"You may not read {path}. Change its permissions, or copy it.") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise SdkitError(
            f"{path.name[:100]} cannot be read: {reason}. Check its name, and the disk."
        ) from error
    return data


def _with_end(data: bytes, max_pixels: int) -> bytes:
    """Give a JPEG its end mark back if only this is missing.

    The function tries two endings after the last byte. If a part of the picture were missing, the
    decoder would compute it from the ending, and the two results would differ. Other data stays as
    it is.
    """
    if data.rfind(JPEG_END) > data.rfind(JPEG_SCAN):  # complete; a preview inside comes before that
        return data
    if not kinds.jpeg_has_all_scans(data):
        return data
    start = data.removesuffix(JPEG_END[:1])
    results = []
    for filling in (b"", b"\x55\xaa\x33" * 50):
        with Image.open(BytesIO(start + filling + JPEG_END), formats=["JPEG"]) as image:
            if image.width * image.height > max_pixels:
                return data
            try:
                results.append(image.convert("RGB").tobytes())
            except OSError:
                return data
    return start + JPEG_END if results[0] == results[1] else data


def _too_large(name: str, max_pixels: int) -> str:
    return (
        f"{name} has more than {max_pixels / 1e6:.0f} million pixels, "
        f"or a side of more than {MAX_SIDE}. "
        "Make it smaller first; a few million are enough here."
    )


def _clean(image: Image.Image, name: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode and turn a picture, convert it to RGB, and drop its metadata; see `open_photo`."""
    width, height = image.size
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise SdkitError(_too_large(name, max_pixels))
    if min(width, height) < MIN_SIDE:
        raise SdkitError(
            f"{name} is only {width} x {height} pixels. Give a picture of at least "
            f"{MIN_SIDE} pixels a side; 256 or more look best."
        )
    # An array holds only pixels. Image.copy and convert would keep EXIF, GPS, comments and profile.
    return Image.fromarray(np.array(pixels.to_rgb(pixels.upright(image))))


def _from_array(array: np.ndarray) -> Image.Image:
    """Convert an array, as described in `open_photo`, to a `PIL.Image` of 8 bits per channel."""
    if (
        array.ndim not in (2, 3)
        or (array.ndim == 3 and array.shape[2] not in (3, 4))
        or 0 in array.shape
    ):
        raise SdkitError(
            f"An array of shape {array.shape} is not a picture. "
            "Give (height, width), (height, width, 3) or (height, width, 4)."
        )
    if array.dtype == np.uint16:
        array = pixels.to_8_bit(array, sixteen=True)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1:  # not true for NaN
        array = (array * 255).round().astype(np.uint8)
    elif array.dtype != np.uint8:
        raise SdkitError(
            f"An array of {array.dtype} from {array.min():.3g} to {array.max():.3g} is not a "
            "picture. Give uint8 in 0 to 255, or floats in 0 to 1."
        )
    return Image.fromarray(np.ascontiguousarray(array))


def resized_size(image: Image.Image, size: int, multiple: int = 8) -> tuple[int, int]:
    """Width and height in px that `resize` gives a picture. Raises `SdkitError` like `resize`."""
    width, height = image.size
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise SdkitError(
            f"A picture of {width} x {height} pixels is longer than {MAX_ASPECT}:1. "
            "Crop it to the part that you want."
        )
    scale = size / min(width, height)
    width, height = (
        max(multiple, round(side * scale / multiple) * multiple) for side in (width, height)
    )
    return width, height


def resize(image: Image.Image, size: int, multiple: int = 8) -> Image.Image:
    """Scale a picture to a short side of about `size` px, with a Lanczos filter.

    The aspect ratio stays, but both sides are rounded to a multiple of `multiple` px.
    Raises `SdkitError` for a panorama longer than 4:1, which would cost much time and memory.
    """
    sides = resized_size(image, size, multiple)
    return image.resize(sides, Image.Resampling.LANCZOS, reducing_gap=3)


# Grey levels in one unit of a tensor's range [-1, 1]. Pixels are scaled in this file only.
LEVELS_PER_UNIT = 127.5


def to_tensor(image: Image.Image) -> "torch.Tensor":
    """A `PIL.Image` to a float32 tensor (1, 3, H, W) in [-1, 1]."""
    return to_batch([image.convert("RGB")])


def to_batch(images: Sequence[Image.Image | np.ndarray] | np.ndarray) -> "torch.Tensor":
    """B RGB pictures of one size to a float32 tensor (B, 3, H, W) in [-1, 1].

    A picture is a `PIL.Image` in mode RGB or a uint8 array (H, W, 3). One array (B, H, W, 3) will
    do as well.
    """
    import torch  # imported here, so that looking through a folder does not load torch

    levels = np.stack([np.asarray(image) for image in images])  # (B, H, W, 3) in 0 .. 255
    if levels.dtype != np.uint8:
        raise SdkitError(
            f"A batch of {levels.dtype} is no batch of pictures. Give uint8, 0 to 255."
        )
    x = torch.from_numpy(levels.astype(np.float32) / LEVELS_PER_UNIT - 1)
    return x.permute(0, 3, 1, 2)  # (B, 3, H, W)


def to_uint8(x: "torch.Tensor") -> np.ndarray:
    """A tensor (..., 3, H, W) in [-1, 1] to a uint8 array (..., H, W, 3).

    Values are rounded to whole grey levels; those outside the range are clipped. Raises
    `SdkitError` if a value is not finite.
    """
    broken.refuse_not_finite(x.detach(), "pixels")
    levels = ((x.detach().float().cpu() + 1) * LEVELS_PER_UNIT).round().clamp(0, 255)
    return levels.byte().movedim(-3, -1).contiguous().numpy()


def to_image(tensor: "torch.Tensor") -> Image.Image:
    """A tensor (1, 3, H, W) or (3, H, W) in [-1, 1] to a `PIL.Image`; see `to_uint8`.

    Raises `SdkitError` for a batch of several pictures.
    """
    if tensor.ndim == 4:
        if len(tensor) != 1:
            raise SdkitError(
                f"Expected one picture, got {len(tensor)}. Convert them one at a time."
            )
        tensor = tensor[0]
    return Image.fromarray(to_uint8(tensor))


def find_photos(
    sources: Iterable[str | os.PathLike], on_skip: Callable[[Path], object] | None = None
) -> list[Path | str]:
    """Replace folders and wildcards by the pictures in them: a list of paths and names of samples.

    sources : paths, folders, names with * or ?, and names of samples. Their order is kept.
    on_skip : called with the path of each file in a folder that is not a picture.

    The pictures of a folder are sorted by name. Subfolders and hidden files are left out. Pictures
    of a kind that is not read here are in the list, so that `open_photo` says why. A name
    that does not exist stays in the list, and `open_photo` raises the error for it.
    Raises `SdkitError` for a folder without pictures.
    """
    found: list[Path | str] = []
    for source in sources:
        path = expand(source)
        if os.path.isdir(path):
            photos = _in_folder(path, on_skip)
            if not photos:
                raise SdkitError(
                    f"The folder {path} holds no pictures. Put JPEG or PNG files into it."
                )
            found += photos
        elif not os.path.lexists(path) and set("*?") & set(path.name):
            # a shell on Windows passes *.jpg on as it is
            matches = glob.glob(os.path.join(glob.escape(str(path.parent)), path.name))
            found += sorted(map(Path, matches)) or [path]
        else:
            found.append(
                str(source) if str(source) in SAMPLES and not os.path.lexists(path) else path
            )
    return found


def _in_folder(folder: Path, on_skip: Callable[[Path], object] | None) -> list[Path]:
    """The pictures in a folder, sorted by name; see `find_photos`."""
    try:
        inside = sorted(
            p for p in folder.iterdir() if not p.name.startswith(".") and not os.path.isdir(p)
        )
    except OSError as error:
        raise SdkitError(
            f"The folder {folder} cannot be listed: {error.strerror}. Check its permissions."
        ) from error
    photos = [
        p
        for p in inside
        if p.suffix.lower() in kinds.SUFFIXES or (os.path.isfile(p) and _looks_like_picture(p))
    ]
    for p in inside:
        if on_skip and p not in photos:
            on_skip(p)
    return photos


def _looks_like_picture(path: Path) -> bool:
    """Whether the first bytes of a file are those of a picture. (A TGA file has no such mark.)"""
    try:
        with path.open("rb") as file:
            start = file.read(32)
        if kinds.is_raw(start) or kinds.is_jpeg_xl(start) or kinds.is_heif(start):
            return True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=[name for name in kinds.formats() if name != "TGA"]):
                return True
    except Exception:
        return False
