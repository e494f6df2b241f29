"""Which kinds of picture files are read, and a sentence for each kind that is not.

A kind is refused if it cannot be read, or if the result would be wrong: a raw file would give its
small preview, and some rare depths would give wrong grey levels.
"""

import re
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import Image

from sdkit.errors import SdkitError
from sdkit.pictures import pixels

# Only plain raster formats: Pillow would start Ghostscript for an EPS file.
FORMATS = (
    "PNG",
    "JPEG",
    "MPO",
    "GIF",
    "WEBP",
    "AVIF",
    "HEIF",
    "TIFF",
    "BMP",
    "JPEG2000",
    "PPM",
    "TGA",
)
READ = set(
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .gif .webp .avif .heic .heif .hif .tif .tiff .bmp .dib "
    ".jp2 .j2c .j2k .jpc .jpf .jpx .ppm .pgm .pbm .pnm .tga".split()
)
RAW = set(
    ".3fr .ari .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .k25 .kdc .mef .mos .mrw .nef "
    ".nrw .orf .ori .pef .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f".split()
)
# Other picture files that people have. They are refused with a message, and not just left out.
OTHERS = set(
    ".avifs .bpg .cur .dds .emf .eps .exr .hdr .heics .heifs .icns .ico .jls .jng .jxl .jxr .kra "
    ".pam .pcx .pfm .psb .psd .qoi .sgi .svg .svgz .wdp .wmf .xcf".split()
)
SUFFIXES = READ | RAW | OTHERS

HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1")
RAW_MARKS = re.compile(
    rb"FUJIFILMCCD-RAW|IIU\0|IIR[OS]|MMOR|FOVb|\0MRM|II.{4}HEAPCCDR|II.{6}CR|.{4}ftypcrx ",
    re.DOTALL,
)
JXL_MARKS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")

# numbers of tags of TIFF, and values of them (TIFF 6.0, DNG 1.7)
KIND_OF_PAGE, BITS, COLOURS, PLANES, SUB_PAGES, NUMBERS = 254, 258, 262, 284, 330, 339
DNG_VERSION = 50706
WHITE_IS_ZERO, RAW_COLOURS = 0, (32803, 34892)  # a colour filter array, and linear raw
UNSIGNED, FLOAT = 1, 3
# bytes of one value of each type, and the tags without which it would be another picture
TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
TIFF_NEEDED = {*range(254, 270), *range(273, 285), *range(317, 348), *range(529, 533), 34675}


def is_raw(data: bytes) -> bool:
    """Whether the first bytes of a file, 16 or more, are those of a camera's raw file.

    Many raw files begin like a TIFF. `refuse` finds those.
    """
    return RAW_MARKS.match(data[:32]) is not None


def is_jpeg_xl(data: bytes) -> bool:
    """Whether the first bytes of a file, 12 or more, are those of JPEG XL."""
    return data.startswith(JXL_MARKS)


def jpeg_has_all_scans(data: bytes) -> bool:
    """Whether a JPEG without an end has at least begun the last scan of every part of its picture.

    A progressive JPEG stores the picture in several scans (ITU-T T.81, annex G). False also for
    damage, and for a JPEG with restart marks: if it ends at such a mark, a decoder fills the rest.
    """
    place, whole = 2, {}  # whole: {(component, coefficient): whether its last bit was sent}
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            return False
        if data[place + 1] == 0xFF:  # a mark may begin with several of them
            place += 1
            continue
        mark, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        part = data[place + 4 : place + 2 + length]
        if len(part) < length - 2 or length < 2:
            return False
        if mark == 0xDD and any(part):
            return False
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC) and len(part) > 5:
            whole = {(one, k): False for one in part[6::3] for k in range(64)}
        place += 2 + length
        if mark == 0xDA and len(part) > 3:
            first, last, left = part[-3], part[-2], part[-1] & 15
            for one in part[1:-3:2]:
                whole |= {(one, k): left == 0 for k in range(first, last + 1)}
            # after FF in a scan comes a zero, or else it is a mark
            while (place := data.find(b"\xff", place)) >= 0 and data[
                place + 1 : place + 2
            ] == b"\0":
                place += 2
            if place < 0 or place + 1 >= len(data):
                break
    return bool(whole) and all(whole.values())


def is_heif(data: bytes) -> bool:
    """Whether the first bytes of a file, 12 or more, are those of HEIC or HEIF."""
    return data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS


def is_avif(data: bytes) -> bool:
    """Whether the first bytes of a file, 12 or more, are those of AVIF."""
    return data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis")


def formats(heif: bool = False) -> list[str]:
    """The names of `FORMATS` that this Pillow can read; some builds lack AVIF.

    heif : add HEIF, which the package pi-heif reads. Raises ImportError if pi-heif is missing.
    """
    if heif:
        import pi_heif

        pi_heif.register_heif_opener()
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def formats_for(data: bytes, name: str) -> list[str]:
    """The names of Pillow's formats that may read a file with these bytes.

    name : of the file, for the sentence. Raises `SdkitError` for a kind that is not read here.
    """
    if is_raw(data):
        raise SdkitError(raw_sentence(name))
    if is_jpeg_xl(data):
        raise SdkitError(
            f"{name} is a JPEG XL picture, which cannot be read here. Export it as JPEG or PNG."
        )
    try:
        return formats(is_heif(data))
    except ImportError as error:
        raise SdkitError(
            f"{name} is a HEIC picture, and the package pi-heif that reads it is missing. "
            "Install pi-heif, or export the picture as JPEG (iPhone: Settings, Camera, Formats, "
            "Most Compatible; Mac: Preview, File, Export)."
        ) from error


def raw_sentence(name: str) -> str:
    """The message for a raw file."""
    return (
        f"{name} is a raw file of a camera (like DNG), and only its small preview could be read "
        "here. Export it as JPEG from your photo program, and give that."
    )


def unread_sentence(name: str, suffix: str, data: bytes) -> str:
    """The message for a file that Pillow does not recognize as a picture.

    suffix : of its name, in lower case, with the full stop. data : its bytes.
    """
    if suffix in RAW:
        return raw_sentence(name)
    if is_heif(data):
        return (
            f"{name} is a HEIC picture that is damaged, or of a rare kind. "
            "Copy it again, or export it as JPEG."
        )
    if is_avif(data):
        return f"{name} is an AVIF picture that is damaged. Copy it again, or export it as JPEG."
    if suffix in OTHERS:
        return f"{name}: a {suffix} file cannot be read here. Export it as JPEG or PNG."
    return f"{name} is not a picture that can be read here. Export it as JPEG or PNG and try again."


def refuse(image: Image.Image, name: str, suffix: str, data: bytes) -> None:
    """Raise `SdkitError` if an opened, not yet decoded picture would give wrong pixels.

    image : as `PIL.Image.open` gives it for `data`. name : of the file, for the sentence. suffix :
    of its name, in lower case, with the full stop.
    """
    if image.format == "TIFF":
        _refuse_tiff(image, name, suffix, data)
    elif image.format == "JPEG2000":
        _refuse_jpeg_2000(image, name, data)
    elif image.format == "PNG":
        _refuse_png(image, name, data)
    elif data and (
        (image.format in ("HEIF", "AVIF") and _heif_is_cut(data))
        or (image.format == "WEBP" and _ends_in_zeros(data[: 8 + _number(data, 4, 4, "little")]))
    ):
        raise SdkitError(f"{name} is damaged or cut off. Copy it again from where it came.")


def _ends_in_zeros(part: bytes) -> bool:
    """Whether compressed pixels end in many zeros, as in a copy that was stopped half way."""
    return part.endswith(bytes(64))


def _number(data: bytes, place: int, size: int, order: Any = "big") -> int:
    """The number of `size` bytes at `place`. Raises EOFError if they are not there."""
    if place + size > len(data):
        raise EOFError
    return int.from_bytes(data[place : place + size], order)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, first and last place of the content of each box of a HEIF (ISO/IEC 14496-12, 4.2)."""
    while start + 8 <= end:
        size, head = _number(data, start, 4), 8
        if size == 1:
            size, head = _number(data, start + 8, 8), 16
        stop = end if size == 0 else start + size
        if size and size < head:
            return
        yield data[start + 4 : start + 8], start + head, min(stop, end)
        start = stop


def _heif_is_cut(data: bytes) -> bool:
    """Whether a part of the picture that a HEIC or AVIF shows is missing from the file.

    A phone stores a picture in tiles, and libheif leaves out those that it cannot find. Parts that
    are not shown, such as a thumbnail or the other pictures of a burst, may be missing.
    """
    try:
        meta = next((a, b) for name, a, b in _boxes(data, 0, len(data)) if name == b"meta")
        found = {name: (a, b) for name, a, b in _boxes(data, meta[0] + 4, meta[1])}
        places = _heif_places(data, found[b"iloc"][0])
        wide = 2 if data[found[b"pitm"][0]] == 0 else 4
        wanted = [_number(data, found[b"pitm"][0] + 4, wide)]
        tiles = _heif_tiles(data, *found[b"iref"]) if b"iref" in found else {}
        for item in wanted:  # which grows: a tile can be made of tiles
            wanted += [tile for tile in tiles.get(item, []) if tile not in wanted]
        for item in wanted:
            for start, size in places.get(item, []):
                if start + size > len(data) or _ends_in_zeros(data[start : start + size]):
                    return True
    except (EOFError, KeyError, StopIteration):
        return False  # not as expected; the decoder says what it thinks of it
    return False


def _heif_places(data: bytes, place: int) -> dict[int, list[tuple[int, int]]]:
    """Where the parts of each item are: {number: [(first byte, bytes)]}, from the box iloc."""
    version, sizes = data[place], _number(data, place + 4, 2)
    for_offset, for_length, for_base, for_index = (sizes >> k & 15 for k in (12, 8, 4, 0))
    wide = 2 if version < 2 else 4
    count, place, found = _number(data, place + 6, wide), place + 6 + wide, {}
    for _ in range(count):
        item, place = _number(data, place, wide), place + wide
        inside = 0
        if version:
            inside, place = _number(data, place, 2) & 15, place + 2
        base, extents = _number(data, place + 2, for_base), _number(data, place + 2 + for_base, 2)
        place, parts = place + 4 + for_base, []
        for _ in range(extents):
            place += for_index if version else 0
            start = base + _number(data, place, for_offset)
            parts.append((start, _number(data, place + for_offset, for_length)))
            place += for_offset + for_length
        if inside == 0:  # otherwise the bytes are in another box, not at a place of the file
            found[item] = parts
    return found


def _heif_tiles(data: bytes, start: int, end: int) -> dict[int, list[int]]:
    """Of which items each item is made: {number: [numbers]}, from the box iref."""
    wide = 2 if data[start] == 0 else 4
    found: dict[int, list[int]] = {}
    for name, place, _ in _boxes(data, start + 4, end):
        if name == b"dimg":
            count = _number(data, place + wide, 2)
            found[_number(data, place, wide)] = [
                _number(data, place + wide + 2 + k * wide, wide) for k in range(count)
            ]
    return found


def _refuse_png(image: Image.Image, name: str, data: bytes) -> None:
    """Refuse damaged pixels, and a depth that Pillow reads wrongly. See `refuse`."""
    if pixels.png_kind(image) == "RGB;16B" and "transparency" in image.info:
        # Pillow compares a colour of 16 bits with those of 8 bits that it has read
        raise SdkitError(
            f"{name} is a PNG of a rare kind (16 bits, and one colour is transparent), which "
            "cannot be read correctly here. Save it with 8 bits per colour."
        )
    # Pillow does not look at the checksums of the pixels
    place, view = 8, memoryview(data)
    while place + 12 <= len(data) and view[place + 4 : place + 8] != b"IEND":
        end = place + 8 + int.from_bytes(view[place : place + 4], "big")
        if end + 4 > len(data):
            return  # cut off; Pillow says so if it needs more
        if zlib.crc32(view[place + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise SdkitError(
                f"{name} is damaged (a checksum in it is wrong). Copy it again from where it came."
            )
        place = end + 4


def _tiff_is_cut(data: bytes) -> bool:
    """Whether the first directory of a TIFF, or a value of it, would lie after the end of the file.

    Pillow leaves out the missing values, and makes another picture from the rest.
    """
    order: Any = "little" if data.startswith(b"II") else "big"

    def number(place: int, size: int) -> int:
        if place + size > len(data):
            raise EOFError
        return int.from_bytes(data[place : place + size], order)

    big = number(2, 2) == 43  # BigTIFF has places of 8 bytes
    wide, head = (8, 8) if big else (4, 2)
    try:
        start = number(8 if big else 4, wide)
        for k in range(number(start, head)):
            entry = start + head + k * (4 + 2 * wide)
            size = TIFF_SIZES.get(number(entry + 2, 2), 0) * number(entry + 4, wide)
            place = number(entry + 4 + wide, wide) if size > wide else entry + 4 + wide
            if number(entry, 2) in TIFF_NEEDED and place + max(size, wide) > len(data):
                return True
    except EOFError:
        return True
    return False


def _refuse_tiff(image: Image.Image, name: str, suffix: str, data: bytes) -> None:
    """Refuse raw files, previews, and depths that Pillow reads wrongly. See `refuse`."""
    if data and _tiff_is_cut(data):
        raise SdkitError(f"{name} is damaged or cut off. Copy it again from where it came.")
    tags = image.tag_v2  # type: ignore[attr-defined]  # only a TIFF has it
    if suffix in RAW or DNG_VERSION in tags or tags.get(COLOURS) in RAW_COLOURS:
        raise SdkitError(raw_sentence(name))
    is_preview = tags.get(KIND_OF_PAGE, 0) & 1
    if is_preview and (SUB_PAGES in tags or image.n_frames > 1):  # type: ignore[attr-defined]
        raise SdkitError(
            f"{name} begins with a small preview, and the picture itself comes later. "
            "Export it as JPEG or PNG from a photo program."
        )
    bits, numbers = tags.get(BITS, (1,)), tags.get(NUMBERS, (UNSIGNED,))
    if numbers[0] == FLOAT:
        # Pillow reads one channel of 32 bits, but does not turn it if 0 is white
        if bits == (32,) and tags.get(COLOURS) != WHITE_IS_ZERO:
            return
        kind = f"numbers with a fraction of {bits[0]} bits"
    elif numbers[0] != UNSIGNED:
        kind = "numbers with a sign"
    elif bits[0] > 8 and tags.get(PLANES, 1) == 2:
        kind = f"{bits[0]} bits and separate colours"
    elif bits[0] not in (1, 2, 4, 8, 16):
        kind = f"{bits[0]} bits per colour"
    else:
        return
    raise SdkitError(
        f"{name} is a TIFF of a rare kind ({kind}), which cannot be read correctly here. "
        "Save it as PNG, or as TIFF with 8 bits per colour."
    )


def _jpeg_2000_is_cut(data: bytes, start: int) -> bool:
    """Whether a JPEG 2000 codestream lacks its end mark: tiles that are missing would be black.

    start : where it begins. See ISO/IEC 15444-1, annex A.
    """
    place = start + 2
    while place + 12 <= len(data):
        mark, length = data[place : place + 2], int.from_bytes(data[place + 2 : place + 4], "big")
        if mark == b"\xff\xd9":
            return False
        if mark == b"\xff\x90":  # a part of a tile, which gives its whole length
            length = int.from_bytes(data[place + 6 : place + 10], "big") - 2
            if length == -2:  # up to the end
                return data.find(b"\xff\xd9", place) < 0
        if data[place] != 0xFF or length < 2:
            return True
        place += 2 + length
    return data[place : place + 2] != b"\xff\xd9"


def _refuse_jpeg_2000(image: Image.Image, name: str, data: bytes) -> None:
    """Refuse more than 8 bits with colour: Pillow turns white to black there. See `refuse`."""
    start = data.find(b"\xff\x4f\xff\x51")  # start of the codestream, then the marker SIZ
    if start < 0:
        return  # damaged; Pillow says so
    if _jpeg_2000_is_cut(data, start):
        raise SdkitError(f"{name} is damaged or cut off. Copy it again from where it came.")
    depths = data[start + 42 :: 3][: int.from_bytes(data[start + 40 : start + 42], "big")]
    signed = any(depth & 0x80 for depth in depths)
    deep = any((depth & 0x7F) + 1 > 8 for depth in depths)
    if signed or (deep and image.mode != "I;16"):
        raise SdkitError(
            f"{name} is a JPEG 2000 picture with more than 8 bits per colour, which cannot be read "
            "rightly here. Save it as PNG, or with 8 bits."
        )
