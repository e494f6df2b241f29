"""Make the HEIC samples in tests/pictures/heic again.

From the root of the repository: PYTHONPATH=. python tests/pictures/make_heic.py
This needs pillow-heif, which can write HEIC. The kit and its tests only read it, with pi-heif, so
the samples are kept in the repository. All show `strange.colours()`, if not said otherwise.
"""

from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

from sdkit.pictures import colours
from tests import strange

FOLDER = Path(__file__).parent / "heic"
GOOD = {"quality": 95, "chroma": 444}  # 444: full resolution of the colours
P3 = colours.PRIMARIES[12]


def main() -> None:
    pillow_heif.register_heif_opener()
    picture = strange.colours()
    image = Image.fromarray(picture)
    for orientation in range(1, 9):
        # The encoder writes the turn twice, as phones do: into the boxes irot and imir, which
        # count, and into the EXIF, which a reader must not apply again.
        exif = strange.exif(orientation).tobytes()
        image.save(FOLDER / f"turned-{orientation}.heic", exif=exif, **GOOD)
    # three flat colours, side by side
    patches = Image.fromarray(np.repeat(strange.PATCHES[None], 32, axis=0).repeat(16, axis=1))
    patches.save(FOLDER / "p3-profile.heic", icc_profile=colours.icc_profile(P3), **GOOD)
    patches.save(FOLDER / "p3-code.heic", color_primaries=12, transfer_characteristics=13, **GOOD)
    image.save(
        FOLDER / "hdr-pq.heic",
        color_primaries=9,
        transfer_characteristics=16,
        matrix_coefficients=9,
        **GOOD,
    )
    deep = (picture.astype(np.uint16) * 257).tobytes()
    pillow_heif.from_bytes("RGB;16", image.size, deep).save(FOLDER / "ten-bits.heic", **GOOD)
    Image.fromarray(np.dstack([picture, picture[..., 0]])).save(FOLDER / "transparent.heic", **GOOD)
    # a burst of three: red, then the picture that the phone would show, then blue
    burst = pillow_heif.from_pillow(Image.new("RGB", image.size, "red"))
    burst.add_from_pillow(image)
    burst.add_from_pillow(Image.new("RGB", image.size, "blue"))
    burst.save(FOLDER / "burst.heic", primary_index=1, **GOOD)


if __name__ == "__main__":
    main()
