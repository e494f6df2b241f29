"""Faces before and after: hand-made faces, a stand-in for the detector, and the real one."""

import importlib.util
import re
import sys
import tomllib

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from sdkit import faces, metrics, photos
from sdkit.errors import SdkitError
from sdkit.files import ROOT

LANDMARKS = np.array([[14, 16], [34, 16], [24, 24], [16, 34], [32, 34]], float)


def face(left=0, top=0, size=48, probability=0.95):
    """A square face; its eyes are 20 px apart if it is 48 px wide."""
    corner = np.array([left, top], float)
    return faces.Face(
        np.array([left, top, left + size, top + size], float),
        LANDMARKS * size / 48 + corner,
        probability,
    )


class Detector:
    """Stands in for MTCNN: it finds given faces in given pictures, and answers in MTCNN's form."""

    def __init__(self, *found):
        self.found = found  # pairs of a picture and its faces

    def detect(self, image, landmarks):
        assert landmarks
        some = next(some for picture, some in self.found if picture is image)
        if not some:
            return None, [None], None
        boxes, points = (
            np.array([getattr(f, n) for f in some], object) for n in ("box", "landmarks")
        )
        return boxes, np.array([f.probability for f in some], object), points


@pytest.fixture
def without_cache():
    """The detector is loaded anew in the test, and again after it."""
    faces.detector.cache_clear()
    yield
    faces.detector.cache_clear()


def test_overlap_of_squares():
    box = np.array([0, 0, 10, 10])
    others = np.array(
        [[0, 0, 10, 10], [5, 0, 15, 10], [5, 5, 15, 15], [10, 0, 20, 10], [2, 2, 4, 4]]
    )
    expected = [1, 50 / 150, 25 / 175, 0, 4 / 100]
    assert faces.overlap(box, others) == pytest.approx(expected)


def covered(box):
    """The pixels in a box with whole numbers as edges."""
    left, top, right, bottom = (int(edge) for edge in box)
    return {(x, y) for x in range(left, right) for y in range(top, bottom)}


@pytest.mark.parametrize("most", [0.3, 0.5, 0.7])
def test_suppression_keeps_the_best_of_boxes_that_overlap(most):
    """Against a slow version that counts pixels."""
    rng = np.random.default_rng(0)
    corners, sides = rng.integers(0, 20, (60, 2)), rng.integers(5, 15, (60, 2))
    boxes, scores = np.concatenate([corners, corners + sides], 1), rng.permutation(60) / 60
    groups, kept = rng.integers(0, 2, 60), []
    for k in sorted(range(60), key=lambda k: -scores[k]):
        pixels = covered(boxes[k])
        rivals = [covered(boxes[j]) for j in kept if groups[j] == groups[k]]
        if all(len(pixels & other) / len(pixels | other) <= most for other in rivals):
            kept.append(k)
    tensors = torch.tensor(boxes).float(), torch.tensor(scores), torch.tensor(groups)
    assert faces.batched_nms(*tensors, most).tolist() == kept
    assert 2 < len(kept) < 60
    nothing = torch.zeros(0, 4), torch.zeros(0), torch.zeros(0)
    assert faces.batched_nms(*nothing, most).tolist() == []


def test_faces_are_matched_by_their_boxes():
    left, right = face(0), face(100)
    moved = face(110)  # overlaps right by 38 / 58
    assert faces.match([left, right], [moved, face(1)])[0].box[0] == 1
    assert faces.match([left, right], [moved, face(1)])[1] is moved
    assert faces.match([left, right], [moved]) == [None, moved]
    assert faces.match([left], []) == [None] and faces.match([], [left]) == []


@pytest.mark.parametrize("shift, same", [(20, True), (21, False)])
def test_boxes_of_the_same_face_overlap_by_40_percent(shift, same):
    """Squares of 48 px, moved by 20 px: 28 / 68 = 0.41; by 21 px: 27 / 69 = 0.39."""
    assert (faces.match([face()], [face(shift)])[0] is not None) is same


def test_no_face_is_found_again_twice():
    """Both faces overlap the only one that is left; the nearer one takes it."""
    only = face(8)
    assert faces.match([face(0), face(10)], [only]) == [None, only]


def test_find_reads_what_the_detector_answers(monkeypatch):
    picture, empty = Image.new("RGB", (99, 99)), Image.new("RGB", (99, 99))
    detector = Detector((picture, [face(5, 6)]), (empty, []))
    monkeypatch.setattr(faces, "detector", lambda: detector)
    (found,) = faces.find(picture)
    assert found.box.dtype == found.landmarks.dtype == float
    np.testing.assert_array_equal(found.landmarks, face(5, 6).landmarks)
    assert (found.width, found.eye_distance) == (48, 20) and faces.find(empty) == []
    assert found.probability == 0.95


def test_the_luminance_of_cheeks_is_that_of_both():
    """The cheeks lie between eyes and ends of the mouth, at (15, 25) and (33, 25)."""
    picture = Image.new("RGB", (48, 48), "red")
    picture.paste("white", (12, 22, 19, 29))
    picture.paste("black", (30, 22, 37, 29))
    assert faces.cheek_luminance(picture, face()) == pytest.approx(50, abs=0.01)
    picture.paste("white", (30, 22, 37, 29))
    assert faces.cheek_luminance(picture, face()) == pytest.approx(100, abs=0.01)


def test_the_fate_of_a_face_that_moved_and_of_one_that_is_lost(monkeypatch):
    photograph, styled = Image.new("RGB", (200, 60), "red"), Image.new("RGB", (200, 60), "yellow")
    moved = faces.Face(face().box, face().landmarks + [3, 4], 0.7)  # by 5 px, a quarter of 20
    detector = Detector((photograph, [face(), face(100)]), (styled, [moved]))
    monkeypatch.setattr(faces, "detector", lambda: detector)
    kept, lost = faces.fates(photograph, styled)
    assert kept.moved == pytest.approx(0.25) and lost.moved is None
    assert (kept.width, lost.width) == (48, 48)
    assert kept.cheek == pytest.approx(53.24, abs=0.01)  # L* of red
    assert kept.hue_shift == lost.hue_shift == pytest.approx(62.85, abs=0.1)


def test_one_landmark_that_moves_counts_a_fifth(monkeypatch):
    photograph, styled = Image.new("RGB", (60, 60)), Image.new("RGB", (60, 60))
    landmarks = face().landmarks.copy()
    landmarks[2] += [20, 0]  # the nose, by one eye distance
    detector = Detector((photograph, [face()]), (styled, [faces.Face(face().box, landmarks, 0.9)]))
    monkeypatch.setattr(faces, "detector", lambda: detector)
    assert faces.fates(photograph, styled)[0].moved == pytest.approx(1 / 5)


def test_a_face_must_be_sure_in_the_photograph_but_not_in_the_styled_picture(monkeypatch):
    photograph, styled = Image.new("RGB", (200, 60)), Image.new("RGB", (200, 60))
    button = face(100, probability=0.8)
    detector = Detector((photograph, [face(), button]), (styled, [face(probability=0.7)]))
    monkeypatch.setattr(faces, "detector", lambda: detector)
    (only,) = faces.fates(photograph, styled)
    assert only.moved == 0


def fate(width=60, cheek=50, moved=0.1, hue=5.0, distance=8.0):
    return faces.Fate(width, cheek, moved, hue, distance)


def test_groups_by_width_and_by_thirds_of_the_cheeks():
    some = [fate(w, c) for w, c in [(49, 90), (50, 20), (100, 50), (101, 70), (30, 40), (60, 10)]]
    groups = faces.groups(some)
    assert groups["all"] == some
    assert [f.width for f in groups["under 50 px"]] == [49, 30]
    assert [f.width for f in groups["50 to 100 px"]] == [50, 100, 60]
    assert [f.width for f in groups["over 100 px"]] == [101]
    thirds = [[f.cheek for f in some] for name, some in groups.items() if "third" in name]
    assert thirds == [[10, 20], [40, 50], [70, 90]]


def test_the_summary_of_three_faces():
    some = [
        fate(moved=0.1, hue=10),
        fate(moved=None, hue=None),
        fate(moved=0.3, hue=-4, distance=2),
    ]
    assert faces.summary(some) == {
        "faces": 3,
        "found again": [round(value, 3) for value in (2 / 3, *metrics.wilson(2, 3))],
        "landmarks moved": 0.2,
        "skin hue shift": 3.0,
        "skin colour distance": 6.0,
    }
    typical = faces.summary([fate(moved=share) for share in (0.1, 0.2, 0.9)])
    assert typical["landmarks moved"] == 0.2  # one that moved far does not count more
    lost = faces.summary([fate(moved=None, hue=None)])
    assert lost["found again"][0] == 0
    assert "landmarks moved" not in lost and "skin hue shift" not in lost
    assert faces.summary([]) == {"faces": 0}


def test_all_photographs_are_measured_together(monkeypatch):
    pictures = [Image.new("RGB", (99, 99)) for _ in range(4)]
    detector = Detector(
        (pictures[0], [face()]), (pictures[1], [face()]), (pictures[2], [face()]), (pictures[3], [])
    )
    monkeypatch.setattr(faces, "detector", lambda: detector)
    figures = faces.measure(pictures[:2], pictures[2:])
    assert figures["all"]["faces"] == 2 and figures["all"]["found again"][0] == 0.5
    assert figures["over 100 px"] == {"faces": 0}


def test_without_the_package_one_sentence_says_how_to_install_it(monkeypatch, without_cache):
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)  # an import of it fails
    before = {name: module for name, module in sys.modules.items() if "torchvision" in name}
    with pytest.raises(SdkitError, match="pip install --no-deps facenet-pytorch==2.5.3"):
        faces.find(Image.new("RGB", (64, 64)))
    after = {name: module for name, module in sys.modules.items() if "torchvision" in name}
    assert after == before


def test_the_extra_of_the_package_names_the_same_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["optional-dependencies"]["measure"] == [faces.PACKAGE]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search("facenet", lock, re.IGNORECASE)


@pytest.mark.skipif(
    not importlib.util.find_spec("facenet_pytorch"), reason="facenet-pytorch is not installed"
)
def test_the_real_detector_finds_a_face_and_its_landmarks(without_cache):
    picture = photos.resize(photos.sample("astronaut"), 256)
    (found,) = faces.find(picture)
    left_eye, right_eye, nose, left_mouth, right_mouth = found.landmarks
    assert left_eye[0] < nose[0] < right_eye[0] and left_mouth[0] < right_mouth[0]
    assert left_eye[1] < nose[1] < left_mouth[1]
    assert (found.box[:2] < left_eye).all() and (right_mouth < found.box[2:]).all()
    assert faces.find(photos.resize(photos.sample("coffee"), 256)) == []
    (fate,) = faces.fates(picture, picture.filter(ImageFilter.GaussianBlur(1)))
    assert fate.moved < 0.1 and fate.colour_distance < 1
    (lost,) = faces.fates(picture, Image.new("RGB", picture.size, "grey"))
    assert lost.moved is None
    assert "torchvision" not in sys.modules
