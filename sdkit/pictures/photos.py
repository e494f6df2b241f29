"""Photographs in and out: any picture file becomes clean RGB, and nothing of its metadata reaches an output.

A photo is a `PIL.Image` in mode RGB; a network sees it as a tensor (B, 3, H, W) in [-1, 1].
"""

import contextlib
import glob
import os
import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from sdkit.errors import SdkitError
from sdkit.files import expand
from sdkit.pictures import pixels

if TYPE_CHECKING:
    import torch

SAMPLES = {
    "astronaut": "Eileen Collins, NASA, public domain (scikit-image)",
    "chelsea": "Chelsea the cat, by Stefan van der Walt, CC0 (scikit-image)",
    "coffee": "A cup of coffee, by Rachel Michetti, CC0 (scikit-image)",
    "grace_hopper": "Grace Hopper, by James S. Davis, US Navy, public domain (matplotlib)",
}
# takes up to 2 GB for a moment; looked up in the header, before anything is decoded
MAX_PIXELS = 100_000_000
# of a file: as many pixels without compression, 16 bits each, with transparency
MAX_BYTES = 1_000_000_000
MIN_SIDE, MAX_SIDE = 8, 65_535  # px; JPEG has no more
MAX_ASPECT = 4  # long side / short side
SUFFIXES = {
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".mpo",
    ".png",
    ".apng",
    ".gif",
    ".webp",
    ".avif",
    ".tif",
    ".tiff",
    ".bmp",
    ".jp2",
    ".ppm",
    ".pgm",
    ".tga",
    ".heic",
    ".heif",
}
# Only plain raster formats: Pillow would start Ghostscript for an EPS file.
FORMATS = ("PNG", "JPEG", "MPO", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "JPEG2000", "PPM", "TGA")


def sample(name):
    """One of the photographs of `SAMPLES` as RGB; they come with packages that the kit needs anyway."""
    if name not in SAMPLES:
        raise SdkitError(f"There is no sample photo {name!r}. Choose one of: {', '.join(SAMPLES)}.")
    if name == "grace_hopper":
        from matplotlib import cbook

        with cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as image:
            return _clean(image, name)
    import skimage.data

    return Image.fromarray(getattr(skimage.data, name)())


def open_photo(source, max_pixels=MAX_PIXELS):
    """Open a path, sample name, `PIL.Image` or array as a clean RGB `PIL.Image`.

    The picture is turned as its EXIF says, brought to sRGB by its colour profile, laid over white where it is
    transparent, scaled from 16 to 8 bit; of an animation it is the first frame. All metadata is dropped.
    An array is (H, W), (H, W, 3) or (H, W, 4), of uint8, uint16, bool, or float in [0, 1].

    Raises `SdkitError` with one sentence for whatever cannot be used.
    """
    if isinstance(source, Image.Image):
        with _sentences("the picture", max_pixels):
            return _clean(source, "the picture", max_pixels)
    if isinstance(source, np.ndarray):
        return _clean(_from_array(source), "the array", max_pixels)
    path = expand(source)
    if str(source) in SAMPLES and not os.path.lexists(path):
        return sample(str(source))
    data = _read(path)
    with _sentences(path.name, max_pixels), Image.open(BytesIO(data), formats=_formats()) as image:
        return _clean(image, path.name, max_pixels)


@contextlib.contextmanager
def _sentences(name, max_pixels):
    """Turn into a sentence whatever Pillow raises over a file: damaged ones make it raise almost anything."""
    try:
        # our own limit is lower than the one that Pillow warns about
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except SdkitError:
        raise
    except Image.DecompressionBombError as error:
        raise SdkitError(_too_large(name, max_pixels)) from error
    except Image.UnidentifiedImageError as error:
        raise SdkitError(
            f"{name} is not a picture that can be read here. "
            "Save it as JPEG or PNG and try again (HEIC of a phone: export as JPEG)."
        ) from error
    except MemoryError as error:
        raise SdkitError(
            f"There is too little memory to open {name}. Make it smaller first."
        ) from error
    except Exception as error:  # OSError, SyntaxError, ValueError, zlib.error, struct.error, ...
        raise SdkitError(
            f"{name} is damaged or cut off ({str(error)[:80]}). Copy it again from where it came."
        ) from error


def _read(path):
    """The bytes of a file, or the sentence why there are none."""
    if os.path.isdir(path):
        raise SdkitError(f"{path} is a folder. Give one picture file.")
    # a pipe would wait for ever, a device never end
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
        raise SdkitError(
            f"{path} may not be read by you. Change its permissions, or copy it."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise SdkitError(
            f"{path.name[:100]} cannot be read: {reason}. Check its name, and the disk."
        ) from error
    if not data:
        raise SdkitError(f"{path.name} is empty (0 bytes). Copy it again from where it came.")
    return data


def _formats():
    Image.init()
    # AVIF is missing from some builds of Pillow
    return [name for name in FORMATS if name in Image.OPEN]


def _too_large(name, max_pixels):
    return (
        f"{name} has more than {max_pixels / 1e6:.0f} million pixels, or a side of more than {MAX_SIDE}. "
        "Make it smaller first; a few million are plenty here."
    )


def _clean(image, name, max_pixels=MAX_PIXELS):
    """Decode, turn, flatten to sRGB and drop metadata; see `open_photo`."""
    width, height = image.size
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise SdkitError(_too_large(name, max_pixels))
    if min(width, height) < MIN_SIDE:
        raise SdkitError(
            f"{name} is only {width} x {height} pixels. Give a picture of at least "
            f"{MIN_SIDE} pixels a side; 256 or more look best."
        )
    # Through an array and back: a copy or a convert would carry EXIF, GPS, comments and profiles along.
    return Image.fromarray(np.array(pixels.to_rgb(pixels.upright(image))))


def _from_array(array):
    """An array as `open_photo` describes it to a `PIL.Image` of 8 bits a channel."""
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
    elif array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1:  # NaN fails both
        array = (array * 255).round().astype(np.uint8)
    elif array.dtype != np.uint8:
        raise SdkitError(
            f"An array of {array.dtype} from {array.min():.3g} to {array.max():.3g} is not a "
            "picture. Give uint8 in 0 to 255, or floats in 0 to 1."
        )
    return Image.fromarray(np.ascontiguousarray(array))


def resize(image, size, multiple=8):
    """Scale `image` to a short side of `size` px, the aspect ratio kept; both sides a multiple of `multiple`.

    Lanczos filter. Raises `SdkitError` for a panorama longer than 4:1, which would cost time and memory.
    """
    width, height = image.size
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise SdkitError(
            f"A picture of {width} x {height} pixels is longer than {MAX_ASPECT}:1. "
            "Crop it to the part that you want."
        )
    scale = size / min(width, height)
    sides = [max(multiple, round(side * scale / multiple) * multiple) for side in (width, height)]
    return image.resize(sides, Image.Resampling.LANCZOS, reducing_gap=3)


# Grey levels in one unit of a tensor's range [-1, 1]. Pixels are scaled in this file only.
LEVELS_PER_UNIT = 127.5


def to_tensor(image: Image.Image) -> "torch.Tensor":
    """A `PIL.Image` to a float32 tensor (1, 3, H, W) in [-1, 1]."""
    return to_batch([image.convert("RGB")])


def to_batch(images: Sequence[Image.Image | np.ndarray]) -> "torch.Tensor":
    """B RGB pictures of one size to a float32 tensor (B, 3, H, W) in [-1, 1].

    A picture is a `PIL.Image` in mode RGB or a uint8 array (H, W, 3).
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

    Values are rounded to whole grey levels; those outside the range are clipped.
    """
    levels = ((x.detach().float().cpu() + 1) * LEVELS_PER_UNIT).round().clamp(0, 255)
    return levels.byte().movedim(-3, -1).contiguous().numpy()


def to_image(tensor: "torch.Tensor") -> Image.Image:
    """A tensor (1, 3, H, W) or (3, H, W) in [-1, 1] to a `PIL.Image`; see `to_uint8`."""
    if tensor.ndim == 4:
        if len(tensor) != 1:
            raise SdkitError(
                f"Expected one picture, got {len(tensor)}. Convert them one at a time."
            )
        tensor = tensor[0]
    return Image.fromarray(to_uint8(tensor))


def find_photos(sources, on_skip=None):
    """Expand folders and wildcards into a list of paths and sample names, in the order given.

    Of a folder: its pictures sorted by name, without its subfolders and hidden files. `on_skip`, if given, is
    called with the path of each file that is passed over since neither its name nor its content says picture.
    What does not exist stays in the list, so that its own error comes when it is opened.
    Raises `SdkitError` for an empty folder.
    """
    found = []
    for source in sources:
        path = expand(source)
        if os.path.isdir(path):
            photos = _of_folder(path, on_skip)
            if not photos:
                raise SdkitError(
                    f"The folder {path} holds no pictures. Put JPEG or PNG files into it."
                )
            found += photos
        elif not os.path.lexists(path) and set("*?") & set(path.name):
            # the shell of Windows leaves *.jpg to us
            matches = glob.glob(os.path.join(glob.escape(str(path.parent)), path.name))
            found += sorted(map(Path, matches)) or [path]
        else:
            found.append(
                str(source) if str(source) in SAMPLES and not os.path.lexists(path) else path
            )
    return found


def _of_folder(folder, on_skip):
    """The pictures of a folder, sorted by name; see `find_photos`."""
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
        if p.suffix.lower() in SUFFIXES or (os.path.isfile(p) and _looks_like_picture(p))
    ]
    for p in inside:
        if on_skip and p not in photos:
            on_skip(p)
    return photos


def _looks_like_picture(path):
    """Whether Pillow knows the file by its first bytes (TGA has none, so anything might be one: left out)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=[name for name in _formats() if name != "TGA"]):
                return True
    except Exception:
        return False
