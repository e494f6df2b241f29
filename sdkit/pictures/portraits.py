"""Find faces in a photograph, and cut out head and shoulders, so that the face fills the picture.

Faces are found by the cascade of local binary patterns that comes with scikit-image (Liao et al.
2007, Viola and Jones 2001). It runs on this computer, in less than a second, and says only where a
face is. It finds upright faces that look at the camera. `sdkit.evaluate.faces` has a better
detector for measuring, but that one needs a package that not every user has.
"""

from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from PIL import Image, ImageOps

Box = tuple[int, int, int, int]  # left, top, right and bottom edge in px

LOOK_AT = 480  # px, the long side on which faces are looked for
SMALLEST = 24  # px of these, the narrowest face
SAME = 0.4  # intersection over union from which two boxes hold the same face
# A face less than half as wide as the widest is a person in the background, or no face.
SHARE = 0.5
# Head and shoulders, in widths of the face's box: how wide, how high, and how much is above it.
WIDTH, HEIGHT, ABOVE = 2.4, 3.0, 0.7


@lru_cache(maxsize=1)
def _detector() -> Any:
    """scikit-image's cascade for faces seen from the front."""
    from skimage.feature import Cascade

    file = resources.files("skimage.data") / "lbpcascade_frontalface_opencv.xml"
    with resources.as_file(file) as path:
        return Cascade(str(path))


def _detect(grey: Image.Image) -> np.ndarray:
    """The boxes of all faces that the cascade finds in a picture of mode L: (N, 4) float."""
    found = _detector().detect_multi_scale(
        img=np.asarray(grey),
        scale_factor=1.2,
        step_ratio=1,
        min_size=(SMALLEST, SMALLEST),
        max_size=grey.size,
        min_neighbor_number=3,
    )
    return np.array(
        [[f["c"], f["r"], f["c"] + f["width"], f["r"] + f["height"]] for f in found], float
    ).reshape(-1, 4)


def find_faces(image: Image.Image) -> list[Box]:
    """The boxes of the faces in an RGB picture, from left to right; [] if there is none.

    A box is square, about from the forehead to the chin. Faces narrower than about a twentieth of
    the picture's long side are not found. Those less than half as wide as the widest are left out.
    """
    scale = LOOK_AT / max(image.size)
    sides = [max(1, round(side * scale)) for side in image.size]
    small = image.convert("L").resize((sides[0], sides[1]), Image.Resampling.BILINEAR)
    if min(small.size) <= SMALLEST:
        return []
    mirrored = _detect(ImageOps.mirror(small))
    mirrored[:, [0, 2]] = small.width - mirrored[:, [2, 0]]
    stretch = np.array([image.width / small.width, image.height / small.height] * 2)
    boxes = [np.round(box * stretch).astype(int) for box in _agreed(_detect(small), mirrored)]
    return sorted((int(b[0]), int(b[1]), int(b[2]), int(b[3])) for b in boxes)


def _agreed(plain: np.ndarray, mirrored: np.ndarray) -> list[np.ndarray]:
    """The faces found in a picture (N, 4) and in its mirror image (M, 4): boxes (4,).

    Most mistakes of the detector are found in only one of the two. A face is often found in several
    sizes. The function keeps the pair with the best product of agreement and width, and no other
    pair that overlaps much with it. The width counts, because a nose or an eye inside a face can
    agree better than the face.
    """
    pairs = []
    for one in plain:
        for other in mirrored:
            both = _area(_common(one, other))
            agreement = both / (_area(one) + _area(other) - both)
            if agreement >= SAME:
                box = (one + other) / 2
                pairs.append((agreement * (box[2] - box[0]), box))
    kept: list[np.ndarray] = []
    for _, box in sorted(pairs, key=lambda pair: -pair[0]):
        smaller = [min(_area(box), _area(k)) for k in kept]
        if all(_area(_common(box, k)) < SAME * area for k, area in zip(kept, smaller)):
            kept.append(box)
    widest = max((box[2] - box[0] for box in kept), default=0)
    return [box for box in kept if box[2] - box[0] >= SHARE * widest]


def _common(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The box (4,) that two boxes have in common; its sides are negative if there is none."""
    return np.concatenate([np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])])


def _area(box: np.ndarray) -> float:
    return float(np.clip(box[2:] - box[:2], 0, None).prod())


def head_and_shoulders(face: Box, size: tuple[int, int]) -> Box:
    """The box around head and shoulders for the box of a face, inside a picture of this size.

    size : width and height of the picture in px. The box has the shape 4:5 if the picture has room
    for that; otherwise it ends at the edges of the picture.
    """
    side = face[2] - face[0]
    width, height = min(round(WIDTH * side), size[0]), min(round(HEIGHT * side), size[1])
    left = round((face[0] + face[2] - width) / 2)
    top = round(face[1] - ABOVE * side)
    # move the box into the picture; it does not get smaller by that
    left = min(max(left, 0), size[0] - width)
    top = min(max(top, 0), size[1] - height)
    return left, top, left + width, top + height


def crop_faces(image: Image.Image) -> list[Image.Image]:
    """Cut head and shoulders of each person out of an RGB picture, from left to right.

    image : as `photos.open_photo` gives it. Each crop is an RGB picture, about 2.4 times as wide
        and 3 times as high as the face, in the pixels of `image`. If another person stands close, a
        part of this person is on the crop, too.

    The list is empty if no face is found.
    """
    return [image.crop(head_and_shoulders(face, image.size)) for face in find_faces(image)]
