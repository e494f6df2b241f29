"""Are the faces of a photograph still there in its styled picture, in place, and in their colours?

Faces are found by MTCNN (Zhang et al. 2016, arXiv:1604.02878), a detector that no training of this
kit used. It comes with facenet-pytorch, which only this measure needs, so it is not among the
packages that every user installs; `detector` says how to get it.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image

from sdkit.errors import SdkitError
from sdkit.evaluate import looks, metrics

SAME_FACE = 0.4  # intersection over union from which two boxes hold the same face
# The detector takes some knots and buttons in photographs for faces, with probabilities of 0.7 to
# 0.8. They would count as lost later. In the styled picture the place must fit, so any face there
# is taken.
SURE = 0.9  # from this probability on, a face in a photograph counts
WIDTHS = (50, 100)  # px, the bounds between small, middle and large faces
PACKAGE = "facenet-pytorch==2.5.3"


@dataclass(frozen=True)
class Face:
    """A face in a picture.

    box : (4,) its left, top, right and bottom edge in px.
    landmarks : (5, 2) x and y in px of left eye, right eye, nose, left and right end of the mouth.
        Left is left in the picture.
    probability : that it is a face, by the detector; at least 0.7.
    """

    box: np.ndarray
    landmarks: np.ndarray
    probability: float

    @property
    def width(self) -> float:
        """The width of the box in px."""
        return float(self.box[2] - self.box[0])

    @property
    def eye_distance(self) -> float:
        """The distance between the eyes in px."""
        return float(np.linalg.norm(self.landmarks[1] - self.landmarks[0]))


@dataclass(frozen=True)
class Fate:
    """A face of a photograph, and how it changed in the styled picture.

    width : of the face in px.
    cheek : luminance (L* of CIELAB, 0 to 100) of its cheeks in the photograph.
    moved : mean distance that its landmarks have moved, in eye distances; None if it was not found.
    hue_shift : degrees that its hue has turned, -180 to 180, positive from red to yellow; None if
        it has no hue.
    colour_distance : between the mean colours before and after, in units of CIELAB.
    """

    width: float
    cheek: float
    moved: float | None
    hue_shift: float | None
    colour_distance: float


@lru_cache(maxsize=1)
def detector() -> Any:
    """facenet-pytorch's MTCNN, on the CPU. Its weights lie inside the package.

    Raises `SdkitError` with the command that installs the package, if it is missing.
    """
    stand_ins = _instead_of_torchvision()
    real = {name: sys.modules[name] for name in stand_ins if name in sys.modules}
    sys.modules.update(stand_ins)
    try:
        from facenet_pytorch import MTCNN
    except ImportError as error:
        raise SdkitError(
            f"Faces cannot be measured, because the package {PACKAGE} is not here ({error}). "
            f"Install it: {sys.executable} -m pip install --no-deps {PACKAGE}"
        ) from error
    finally:
        for name in stand_ins:
            del sys.modules[name]
        sys.modules.update(real)
    return MTCNN(keep_all=True, device="cpu").eval()


def _instead_of_torchvision() -> dict[str, ModuleType]:
    """Modules with the names that facenet-pytorch imports from torchvision.

    To find faces, a single function of it is enough. The real torchvision must fit the installed
    torch exactly, and transformers would import it at every start.
    """
    ops, transforms = ModuleType("torchvision.ops.boxes"), ModuleType("torchvision.transforms")
    ops.batched_nms = batched_nms  # type: ignore[attr-defined]
    transforms.functional = None  # type: ignore[attr-defined]  # only needed to cut faces out
    parents = {name: ModuleType(name) for name in ("torchvision", "torchvision.ops")}
    return {**parents, ops.__name__: ops, transforms.__name__: transforms}


def batched_nms(
    boxes: torch.Tensor, scores: torch.Tensor, groups: torch.Tensor, most: float
) -> torch.Tensor:
    """Non-maximum suppression, as torchvision's function of this name does it.

    boxes (N, 4), scores (N,) and groups (N,) -> indices of the boxes that stay, the best first. A
    box is removed if its intersection over union with a better box of its group is above `most`.
    """
    left = scores.argsort(descending=True)
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        near = overlap(boxes[best].numpy(), boxes[left].numpy()) > most
        left = left[~(torch.from_numpy(near) & (groups[left] == groups[best]))]
    return torch.stack(kept) if kept else left


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union, 0 to 1, of a box (4,) with each of the `others` (N, 4): (N,)."""
    top_left, bottom_right = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    both = (bottom_right - top_left).clip(0).prod(1)
    either = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - both
    return both / np.maximum(either, 1e-9)


def find(image: Image.Image) -> list[Face]:
    """The faces of at least 20 px in an RGB picture, the largest first.

    Raises `SdkitError` like `detector`.
    """
    boxes, probabilities, landmarks = detector().detect(image, landmarks=True)
    if boxes is None:
        return []
    return [
        Face(np.asarray(box, float), np.asarray(points, float), float(probability))
        for box, points, probability in zip(boxes, landmarks, probabilities, strict=True)
    ]


def match(before: Sequence[Face], after: Sequence[Face]) -> list[Face | None]:
    """For each face `before`, the same one in `after`, or None if it is not there.

    The boxes of both must overlap by `SAME_FACE`. No face is taken twice; of all ways to pair the
    faces, the one with the largest sum of overlaps is taken.
    """
    from scipy.optimize import linear_sum_assignment

    found: list[Face | None] = [None] * len(before)
    if before and after:
        boxes = np.array([face.box for face in after])
        overlaps = np.array([overlap(face.box, boxes) for face in before])  # (before, after)
        for k, other in zip(*linear_sum_assignment(overlaps, maximize=True)):
            if overlaps[k, other] >= SAME_FACE:
                found[k] = after[other]
    return found


def cheek_luminance(photograph: Image.Image, face: Face) -> float:
    """L* of CIELAB, 0 to 100, of both cheeks: halfway between eye and end of the mouth.

    The mean of two squares of a quarter of the eye distance.
    """
    centres = (face.landmarks[:2] + face.landmarks[3:]) / 2  # (2, 2): left and right cheek
    half = face.eye_distance / 8
    colours = [looks.mean_lab(photograph, (*(c - half), *(c + half))) for c in centres]
    return float(np.mean([colour[0] for colour in colours]))


def fates(photograph: Image.Image, styled: Image.Image) -> list[Fate]:
    """How each sure face of a photograph changed in the styled picture of the same size.

    Raises `SdkitError` like `detector`.
    """
    before = [face for face in find(photograph) if face.probability >= SURE]
    results = []
    for face, again in zip(before, match(before, find(styled) if before else [])):
        moved = None
        if again:
            distances = np.linalg.norm(again.landmarks - face.landmarks, axis=1)  # (5,)
            moved = float(distances.mean() / max(face.eye_distance, 1.0))
        hue, distance = looks.colour_shift(photograph, styled, looks.middle(face.box))
        results.append(Fate(face.width, cheek_luminance(photograph, face), moved, hue, distance))
    return results


def groups(faces: Sequence[Fate]) -> dict[str, list[Fate]]:
    """The faces by width, and by thirds of the luminance of their cheeks; and all together."""
    small, large = WIDTHS
    order = np.argsort([face.cheek for face in faces], kind="stable")
    dark, middle, light = ([faces[k] for k in third] for third in np.array_split(order, 3))
    return {
        "all": list(faces),
        f"under {small} px": [face for face in faces if face.width < small],
        f"{small} to {large} px": [face for face in faces if small <= face.width <= large],
        f"over {large} px": [face for face in faces if face.width > large],
        "darkest third of cheeks": dark,
        "middle third of cheeks": middle,
        "lightest third of cheeks": light,
    }


def summary(faces: Sequence[Fate]) -> dict[str, Any]:
    """Figures of a group of faces; only their number if there are none."""
    figures: dict[str, Any] = {"faces": len(faces)}
    if not faces:
        return figures
    moved = [face.moved for face in faces if face.moved is not None]
    hues = [face.hue_shift for face in faces if face.hue_shift is not None]
    share = (len(moved) / len(faces), *metrics.wilson(len(moved), len(faces)))
    figures["found again"] = [round(value, 3) for value in share]
    if moved:
        figures["landmarks moved"] = round(float(np.median(moved)), 3)
    if hues:
        figures["skin hue shift"] = round(float(np.mean(hues)), 1)
    figures["skin colour distance"] = round(
        float(np.mean([face.colour_distance for face in faces])), 1
    )
    return figures


def measure(
    photographs: Sequence[Image.Image], styled: Sequence[Image.Image]
) -> dict[str, dict[str, Any]]:
    """`summary` of each of the `groups` of all faces in `photographs` and their styled pictures.

    Raises `SdkitError` like `detector`.
    """
    all_faces = [fate for pair in zip(photographs, styled, strict=True) for fate in fates(*pair)]
    return {name: summary(group) for name, group in groups(all_faces).items()}
