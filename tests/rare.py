"""Picture files of rare kinds, written by hand as their specifications say, with the right pixels.

No code of Pillow writes those of `by_hand`, so a fault of Pillow does not stand on both sides.
"""

import io
import itertools
import struct
import zlib

import numpy as np
from PIL import Image

from tests import strange

WIDTH, HEIGHT = 21, 13  # px; odd, so that rows end in the middle of a byte and of a tile
CLOSE = 1.01  # grey levels; 16 bits and transparency may be rounded in two ways


def samples(depth, channels, seed=0):
    """Numbers (H, W, C) of so many bits: a ramp, so that neighbours are alike, and some noise."""
    rng = np.random.default_rng(seed)
    y, x, c = np.mgrid[0:HEIGHT, 0:WIDTH, 0:channels]
    ramp = (x / WIDTH * (c != 1) + y / HEIGHT * (c != 0)) / 2 * 2**depth
    return (ramp + rng.random(ramp.shape) * 2**depth / 4).astype(int) % 2**depth


def shown(values, white=255, alpha=None):
    """The right picture (H, W, 3) for values from 0 to `white`; `alpha` is from 0 to 1."""
    picture = np.broadcast_to(values * (255 / white), (*values.shape[:2], 3))
    return picture if alpha is None else picture * alpha + 255 * (1 - alpha)


def packed(values, depth):
    """Numbers (H, W, C) as rows of bytes, the highest bit first."""
    rows = values.reshape(len(values), -1)
    bits = (rows[..., None] >> np.arange(depth)[::-1]) & 1
    return [np.packbits(row.astype(np.uint8)).tobytes() for row in bits.reshape(len(rows), -1)]


def palette(count):
    """So many colours (N, 3)."""
    return np.random.default_rng(count).integers(0, 256, (count, 3))


# --- PNG (third edition): every colour type and depth, plain and interlaced, each filter ----------
def png(values, depth, colour, filters=0, interlaced=False, chunks=()):
    """A PNG of numbers (H, W, C)."""
    step = max(1, depth * values.shape[2] // 8)  # bytes
    starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    starts = [*starts, (1, 0, 2, 1)] if interlaced else [(0, 0, 1, 1)]
    raw = b""
    for top, left, down, right in starts:
        before = None
        for row in packed(values[top::down, left::right], depth):
            here = np.frombuffer(row, np.uint8).astype(int)
            left_ = np.r_[np.zeros(step, int), here][: len(here)]
            up = np.zeros_like(here) if before is None else before
            corner = np.r_[np.zeros(step, int), up][: len(here)]
            guess = left_ + up - corner
            far = [abs(guess - near) for near in (left_, up, corner)]
            first, second = (far[0] <= far[1]) & (far[0] <= far[2]), far[1] <= far[2]
            paeth = np.where(first, left_, np.where(second, up, corner))
            taken = [0 * here, left_, up, (left_ + up) // 2, paeth][filters]
            raw += bytes([filters]) + ((here - taken) % 256).astype(np.uint8).tobytes()
            before = here
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, interlaced)
    every = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in every
    )


def pngs():
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    kinds = [(colour, depth) for colour in depths for depth in depths[colour]]
    turns = itertools.cycle(range(5))  # of the filters
    for (colour, depth), interlaced, clear in itertools.product(kinds, (False, True), (0, 1)):
        most, channels = 2**depth - 1, {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
        values, alpha, chunks = samples(depth, channels), None, []
        if colour == 3:
            colours = palette(most + 1)
            chunks.append((b"PLTE", colours.astype(np.uint8).tobytes()))
            right = colours[values[..., 0]]
            if clear:
                clearness = np.arange(most + 1) * 255 // most
                chunks.append((b"tRNS", clearness.astype(np.uint8).tobytes()))
                alpha = clearness[values] / 255
            right = shown(right, 255, alpha)
        elif colour in (4, 6):
            if clear:
                values[..., -1] = most  # all of it is opaque
            right = shown(values[..., :-1], most, values[..., -1:] / most)
        else:
            if clear:
                key = values[5, 5]
                chunks.append((b"tRNS", key.astype(">u2").tobytes()))
                alpha = ~(values == key).all(-1, keepdims=True) * 1.0
            right = shown(values, most, alpha)
        close = 2 if depth == 16 and colour in (4, 6) else CLOSE
        for filters in (next(turns), next(turns)):
            data = png(values, depth, colour, filters, interlaced, chunks)
            name = f"png colour {colour} depth {depth} filter {filters}"
            yield f"{name}{' interlaced' * interlaced}{' transparent' * clear}", data, right, close


# --- BMP: headers of four lengths, palettes, packed colours, run lengths, both directions ---------
def bmp(rows, bits, header=40, colours=None, masks=b"", method=0, down=False):
    """A BMP. rows : bytes of each row from the top, or one piece of compressed data."""
    if isinstance(rows, bytes):
        body = rows
    else:
        rows = [row + bytes(-len(row) % 4) for row in rows]
        body = b"".join(rows if down else rows[::-1])
    if header == 12:  # OS/2
        head = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, bits)
    else:
        height = -HEIGHT if down else HEIGHT
        used = 0 if colours is None else len(colours)
        head = struct.pack(
            "<IiiHHIIiiII", header, WIDTH, height, 1, bits, method, len(body), *[0] * 2, used, 0
        )
        if header > 40:
            head = (head + masks).ljust(56, b"\0") + (b"BGRs" if header >= 108 else b"")
            head, masks = head.ljust(header, b"\0"), b""
    table = b""
    if colours is not None:
        wide = colours[:, ::-1] if header == 12 else np.c_[colours[:, ::-1], 0 * colours[:, :1]]
        table = wide.astype(np.uint8).tobytes()
    start = 14 + len(head) + len(masks) + len(table)
    return struct.pack("<2sIII", b"BM", start + len(body), 0, start) + head + masks + table + body


def bmps():
    for bits, header, down in itertools.product((1, 4, 8), (12, 40, 108, 124), (False, True)):
        if not (header == 12 and down):
            values, colours = samples(bits, 1), palette(2**bits)
            data = bmp(packed(values, bits), bits, header, colours, down=down)
            name = f"bmp {bits} bits header {header}{' from the top' * down}"
            yield name, data, colours[values[..., 0]], 0
    rgb = samples(8, 3)
    for bits, header, down in itertools.product((24, 32), (12, 40, 56, 108, 124), (False, True)):
        if not (header == 12 and (down or bits == 32)):
            wide = rgb[..., ::-1] if bits == 24 else np.dstack([rgb[..., ::-1], rgb[..., :1]])
            data = bmp(packed(wide, 8), bits, header, down=down)
            yield f"bmp {bits} bits header {header}{' from the top' * down}", data, rgb, 0
    for name, widths, header in (
        *[("555", (5, 5, 5), header) for header in (40, 108, 124)],
        *[("565", (5, 6, 5), header) for header in (40, 56, 108, 124)],
    ):
        parts = [rgb[..., c] >> (8 - width) for c, width in enumerate(widths)]
        shifts = (widths[1] + widths[2], widths[2], 0)
        words = sum(part << shift for part, shift in zip(parts, shifts)).astype("<u2")
        masks = struct.pack("<3I", *((2**w - 1) << s for w, s in zip(widths, shifts)))
        right = np.dstack([part * 255 / (2**w - 1) for part, w in zip(parts, widths)])
        data = bmp([row.tobytes() for row in words], 16, header, masks=masks, method=3)
        yield f"bmp 16 bits {name} header {header}", data, right, CLOSE
    for bits in (4, 8):
        values, colours = samples(bits, 1)[..., 0], palette(2**bits)
        values[:, :9] = values[:, :1]  # something to run along
        body = b""
        for row in values[::-1]:
            first, rest = int(row[0]), row[9:]
            body += bytes([9, first * 17 if bits == 4 else first])
            inside = packed(rest[None, :, None], bits)[0]
            body += bytes([0, len(rest)]) + inside + bytes(len(inside) % 2) + b"\0\0"
        data = bmp(body + b"\0\1", bits, 40, colours, method=2 if bits == 4 else 1)
        yield f"bmp {bits} bits in runs", data, colours[values], 0


# --- PNM: text and binary, white of any value, remarks --------------------------------------------
def pnms():
    remark = b"# 5 5 5\n"
    for white, channels in itertools.product((1, 7, 100, 255, 256, 1023, 65535), (1, 3)):
        values = samples(16, channels) % (white + 1)
        size = b"%d %d\n%s%d\n" % (WIDTH, HEIGHT, remark, white)
        words = b" ".join(b"%d" % v for v in values.ravel())
        letter = {1: (b"P2", b"P5"), 3: (b"P3", b"P6")}[channels]
        kind = ">u2" if white > 255 else "u1"
        right = shown(values, white)
        yield f"pnm text white {white} x{channels}", letter[0] + b"\n" + size + words, right, CLOSE
        data = letter[1] + b"\n" + size + values.astype(kind).tobytes()
        yield f"pnm binary white {white} x{channels}", data, right, CLOSE
    bits = samples(1, 1)
    size = b"\n%d %d\n" % (WIDTH, HEIGHT)
    right = shown(1 - bits, 1)
    yield "pnm text bits", b"P1" + size + b" ".join(b"%d" % b for b in bits.ravel()), right, 0
    yield "pnm binary bits", b"P4" + size + b"".join(packed(bits, 1)), right, 0


# --- TGA: palette, colour and grey, plain and in runs, four corners -------------------------------
def tgas():
    for runs, right_to_left, from_top in itertools.product((False, True), repeat=3):
        for kind, depth in ((1, 8), (2, 16), (2, 24), (2, 32), (3, 8), (3, 16)):
            values = samples(
                8, {(2, 16): 3, (2, 24): 3, (2, 32): 4, (3, 16): 2}.get((kind, depth), 1)
            )
            table, spec = b"", struct.pack("<HHB", 0, 0, 0)
            if kind == 1:
                colours = palette(256)
                table = colours[:, ::-1].astype(np.uint8).tobytes()
                spec, picture = struct.pack("<HHB", 0, 256, 24), colours[values[..., 0]]
                cells = values
            elif depth == 16 and kind == 2:
                five = values >> 3
                word = (five[..., 0] << 10) | (five[..., 1] << 5) | five[..., 2]
                cells, picture = np.dstack([word & 255, word >> 8]), five * (255 / 31)
            elif kind == 2:
                cells = np.dstack([values[..., 2::-1], values[..., 3:]])
                picture = shown(
                    values[..., :3], 255, values[..., 3:] / 255 if depth == 32 else None
                )
            else:
                cells = values
                picture = shown(
                    values[..., :1], 255, values[..., 1:] / 255 if depth == 16 else None
                )
            cells = cells if from_top else cells[::-1]
            cells = (cells[:, ::-1] if right_to_left else cells).astype(np.uint8)
            if runs:
                body = b"".join(
                    bytes([0x80 | 0]) + row[0].tobytes() + bytes([WIDTH - 2]) + row[1:].tobytes()
                    for row in cells
                )
            else:
                body = cells.tobytes()
            alpha_bits = 8 if depth == 32 or (kind, depth) == (3, 16) else 0
            flags = alpha_bits | right_to_left << 4 | from_top << 5
            data = struct.pack("<BBB", 0, kind == 1, kind + 8 * runs) + spec
            data += struct.pack("<HHHHBB", 0, 0, WIDTH, HEIGHT, depth, flags) + table + body
            name = f"tga type {kind} {depth} bits{' in runs' * runs}"
            name += f"{' right to left' * right_to_left}{' from the top' * from_top}"
            yield name, data, picture, CLOSE


# --- TIFF 6.0: both byte orders, every depth, strips, orientations --------------------------------
def tiff(strips, tags, order="<"):
    """A TIFF of strips of bytes. tags : {number: (type 3 or 4, values)}."""
    tags = {**tags, 256: (4, [WIDTH]), 257: (4, [HEIGHT])}
    data, places = bytearray(8), []
    for strip in strips:
        places.append(len(data))
        data += strip + bytes(len(strip) % 2)
    tags |= {273: (4, places), 279: (4, [len(strip) for strip in strips])}
    entries = b""
    for number, (kind, values) in sorted(tags.items()):
        body = struct.pack(f"{order}{len(values)}{'HI'[kind - 3]}", *values)
        if len(body) > 4:
            place = struct.pack(f"{order}I", len(data))
            data += body + bytes(len(body) % 2)
            body = place
        entries += struct.pack(f"{order}HHI", number, kind, len(values)) + body.ljust(4, b"\0")
    data[:8] = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, len(data))
    return bytes(data) + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def tiffs():
    for depth, white, order in itertools.product((1, 2, 4, 8, 16), (0, 1), "<>"):
        values = samples(depth, 1)
        stored = values if white else 2**depth - 1 - values
        if depth == 16:
            lines = [row.astype(f"{order}u2").tobytes() for row in stored]
        else:
            lines = packed(stored, depth)
        for rows, method in ((HEIGHT, 1), (5, 1), (4, 8), (5, 32773)):
            strips = [b"".join(lines[k : k + rows]) for k in range(0, HEIGHT, rows)]
            if method == 8:
                strips = [zlib.compress(strip) for strip in strips]
            if method == 32773:  # PackBits, a row for itself, here without runs
                packs = [bytes([len(line) - 1]) + line for line in lines]
                strips = [b"".join(packs[k : k + rows]) for k in range(0, HEIGHT, rows)]
            tags = {258: [depth], 259: [method], 262: [white], 277: [1], 278: [rows]}
            data = tiff(strips, {key: (3, value) for key, value in tags.items()}, order)
            name = f"tiff grey {depth} bits white {white} {order} method {method} rows {rows}"
            yield name, data, shown(values, 2**depth - 1), CLOSE
    rgb = samples(8, 3)
    plain = {258: [8] * 3, 259: [1], 262: [2], 277: [3], 278: [HEIGHT]}
    for turn in range(1, 9):
        tags = {key: (3, value) for key, value in {**plain, 274: [turn]}.items()}
        yield f"tiff turned {turn}", tiff([b"".join(packed(rgb, 8))], tags), TURNED[turn](rgb), 0
    for depth in (1, 2, 4, 8):
        values, colours = samples(depth, 1), palette(2**depth)
        tags = {258: [depth], 259: [1], 262: [3], 277: [1], 278: [HEIGHT]}
        tags = {**tags, 320: list(colours.T.ravel() * 257)}
        data = tiff([b"".join(packed(values, depth))], {k: (3, v) for k, v in tags.items()})
        yield f"tiff palette {depth} bits", data, colours[values[..., 0]], 0
    for depth, kind, order in itertools.product((8, 16), (0, 1, 2), "<>"):
        most = 2**depth - 1
        values = samples(depth, 4)
        alpha = values[..., 3:] / most
        if kind == 1:  # associated: multiplied already
            values[..., :3] = np.floor(values[..., :3] * alpha)
        right = {
            0: shown(values[..., :3], most),  # not said what it is
            1: shown(values[..., :3], most) + 255 * (1 - alpha),
            2: shown(values[..., :3], most, alpha),
        }[kind]
        tags = {**plain, 258: [depth] * 4, 277: [4], 338: [kind]}
        body = values.astype(f"{order}u{depth // 8}").tobytes()
        data = tiff([body], {key: (3, value) for key, value in tags.items()}, order)
        yield f"tiff fourth channel {kind} {depth} bits {order}", data, right, 3
    differences = rgb.copy()
    differences[:, 1:] -= rgb[:, :-1]
    tags = {key: (3, value) for key, value in {**plain, 259: [8], 317: [2]}.items()}
    body = zlib.compress((differences % 256).astype(np.uint8).tobytes())
    yield "tiff differences", tiff([body], tags), rgb, 0
    tags = {key: (3, value) for key, value in {**plain, 284: [2]}.items()}
    planes = [rgb[..., c].astype(np.uint8).tobytes() for c in range(3)]
    yield "tiff planes", tiff(planes, tags), rgb, 0
    lines = packed(samples(1, 1), 1)
    swapped = bytes(int(f"{byte:08b}"[::-1], 2) for byte in b"".join(lines))
    tags = {258: [1], 259: [1], 262: [1], 266: [2], 277: [1], 278: [HEIGHT]}
    data = tiff([swapped], {key: (3, value) for key, value in tags.items()})
    yield "tiff bits from the right", data, shown(samples(1, 1), 1), 0


TURNED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


# --- GIF: frames smaller than the screen, interlaced, transparent, own palette --------------------
def gif(values, bits, colours, interlaced=False, clear=None, own=False, place=(0, 0), screen=None):
    """A GIF of numbers (H, W). place : left and top of the frame on the screen."""
    height, width = values.shape
    screen = screen or (width, height)
    rows = [*range(0, height, 8), *range(4, height, 8), *range(2, height, 4), *range(1, height, 2)]
    codes, size = [], max(2, bits)
    for k, value in enumerate(values[rows if interlaced else slice(None)].ravel()):
        if k % (2**size - 2) == 0:
            codes.append(2**size)  # forget the table, so all codes keep size + 1 bits
        codes.append(int(value))
    codes.append(2**size + 1)
    stream = sum(code << (k * (size + 1)) for k, code in enumerate(codes))
    body = stream.to_bytes((len(codes) * (size + 1) + 7) // 8, "little")
    blocks = b"".join(
        bytes([len(body[k : k + 255])]) + body[k : k + 255] for k in range(0, len(body), 255)
    )
    table, flag = colours.astype(np.uint8).tobytes(), 0x80 | (bits - 1)
    data = b"GIF89a" + struct.pack("<HHBBB", *screen, 0 if own else flag, 0, 0)
    data += b"" if own else table
    if clear is not None:
        data += struct.pack("<4sBHBB", b"!\xf9\x04\x01", 0, 0, clear, 0)[:7] + b"\0"
        data = data[:-8] + b"!\xf9\x04\x01\0\0" + bytes([clear]) + b"\0"
    data += b"," + struct.pack(
        "<HHHHB", *place, width, height, (flag if own else 0) | interlaced << 6
    )
    return data + (table if own else b"") + bytes([size]) + blocks + b"\0;"


def gifs():
    for bits, interlaced, own, clear in itertools.product(
        (1, 2, 4, 8), (False, True), (False, True), (None, 1)
    ):
        values, colours = samples(bits, 1)[..., 0], palette(2**bits)
        right = colours[values].astype(float)
        if clear is not None:
            right[values == clear] = 255
        name = f"gif {bits} bits{' interlaced' * interlaced}{' own palette' * own}"
        data = gif(values, bits, colours, interlaced, clear, own)
        yield name + " transparent" * (clear is not None), data, right, 0
        if clear is not None:
            on_screen = np.full((20, 30, 3), 255.0)
            on_screen[4 : 4 + HEIGHT, 5 : 5 + WIDTH] = right
            data = gif(values, bits, colours, interlaced, clear, own, (5, 4), (30, 20))
            yield name + " on a larger screen", data, on_screen, 0


def by_hand():
    """Each file: (name, bytes, right picture (H, W, 3), largest difference in grey levels)."""
    for make in (pngs, bmps, pnms, tgas, tiffs, gifs):
        yield from make()


def by_pillow():
    """Files of formats that are too long to write by hand; the tolerance is that of the loss."""
    rgb = strange.colours(40, 24)
    smooth = Image.fromarray(rgb)
    alpha = np.linspace(0, 255, 40).astype(np.uint8)[None].repeat(24, 0)
    clear = shown(rgb, 255, alpha[..., None] / 255)
    see_through = Image.fromarray(np.dstack([rgb, alpha]))

    def saved(image, kind, **options):
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    for sub, progressive, restart in itertools.product((0, 1, 2), (False, True), (0, 2)):
        options = {"subsampling": sub, "progressive": progressive, "restart_marker_blocks": restart}
        yield f"jpeg {options}", saved(smooth, "JPEG", quality=95, **options), rgb, 12
    for options in ({"lossless": True}, {"lossless": True, "exact": True}):
        yield f"webp {options}", saved(smooth, "WEBP", **options), rgb, 0
        yield f"webp clear {options}", saved(see_through, "WEBP", **options), clear, CLOSE
    more = [Image.new("RGB", smooth.size, "red")] * 2
    yield (
        "webp moving",
        saved(smooth, "WEBP", lossless=True, save_all=True, append_images=more),
        rgb,
        0,
    )
    yield "apng", saved(smooth, "PNG", save_all=True, append_images=more), rgb, 0
    options = {"save_all": True, "append_images": more, "default_image": True}
    yield "apng with another first picture", saved(smooth, "PNG", **options), rgb, 0
    for tiles, bare, layers in itertools.product((None, (16, 16)), (False, True), (1, 3)):
        options = {
            "no_jp2": bare,
            "num_resolutions": layers,
            **({"tile_size": tiles} if tiles else {}),
        }
        yield f"jpeg 2000 {options}", saved(smooth, "JPEG2000", **options), rgb, 0
        yield f"jpeg 2000 clear {options}", saved(see_through, "JPEG2000", **options), clear, CLOSE
    for sub in ("4:4:4", "4:2:2", "4:2:0"):
        yield f"avif {sub}", saved(smooth, "AVIF", quality=95, subsampling=sub, speed=10), rgb, 12
    yield "tiff lzw", saved(smooth, "TIFF", compression="tiff_lzw"), rgb, 0
    yield "tiff group 4", *_fax(saved)
    yield "mpo", saved(smooth, "MPO", save_all=True, append_images=more, quality=95), rgb, 12


def _fax(saved):
    bits = samples(1, 1)
    image = Image.fromarray((bits[..., 0] * 255).astype(np.uint8)).convert("1", dither=0)
    return saved(image, "TIFF", compression="group4"), shown(bits, 1), 0
