"""Faces are found where people are, and head and shoulders are cut out around them.

The places of the faces were read off the pictures by eye.
"""

import numpy as np
import pytest
from PIL import Image, ImageOps

from sdkit import photos, portraits

# the tip of the nose in px, and the width of the face between the ears
FACES = {"astronaut": ((224, 124), 95), "grace_hopper": ((265, 220), 160)}


def group():
    """Grace Hopper, the astronaut, and Grace Hopper in the mirror, side by side."""
    left = photos.sample("grace_hopper").resize((256, 300))
    picture = Image.new("RGB", (900, 300), (90, 110, 130))
    picture.paste(left, (0, 0))
    picture.paste(photos.sample("astronaut").resize((300, 300)), (300, 0))
    picture.paste(ImageOps.mirror(left), (640, 0))
    return picture


@pytest.mark.parametrize("name", FACES)
def test_the_only_face_of_a_portrait_is_found_in_its_place(name):
    (box,) = portraits.find_faces(photos.sample(name))
    nose, width = FACES[name]
    middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    assert np.hypot(middle[0] - nose[0], middle[1] - nose[1]) < 0.25 * width
    assert 0.75 < (box[2] - box[0]) / width < 1.4


@pytest.mark.parametrize("scale", [0.5, 3])
def test_the_place_is_given_in_pixels_of_the_picture(scale):
    photo = photos.sample("astronaut")
    (box,) = portraits.find_faces(photo)
    (scaled,) = portraits.find_faces(photo.resize([round(s * scale) for s in photo.size]))
    np.testing.assert_allclose(scaled, np.array(box) * scale, atol=0.15 * scale * (box[2] - box[0]))


def test_of_a_group_each_face_is_found_from_left_to_right():
    boxes = portraits.find_faces(group())
    noses = [(256 * 265 / 512, 300 * 220 / 600), (300 + 224 * 300 / 512, 124 * 300 / 512)]
    noses.append((640 + 256 - noses[0][0], noses[0][1]))
    assert len(boxes) == 3
    for (left, top, right, bottom), (x, y) in zip(boxes, noses):
        assert left < x < right and top < y < bottom


@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_cats_and_cups_have_no_face(name):
    assert portraits.find_faces(photos.sample(name)) == []
    assert portraits.crop_faces(photos.sample(name)) == []


def test_pictures_too_small_or_too_narrow_for_a_face_have_none():
    for size in ((8, 8), (9000, 9), (480, 24)):
        assert portraits.find_faces(Image.new("RGB", size)) == []


def test_a_crop_holds_the_whole_head_and_the_shoulders():
    """By eye: hair begins at y = 25, and the collar of the suit ends at about y = 235."""
    photo = photos.sample("astronaut")
    (face,) = portraits.find_faces(photo)
    left, top, right, bottom = portraits.head_and_shoulders(face, photo.size)
    assert top <= 25 and bottom >= 235 and left < 150 and right > 300
    assert (right - left) * (bottom - top) < 0.5 * photo.width * photo.height
    (crop,) = portraits.crop_faces(photo)
    np.testing.assert_array_equal(crop, np.asarray(photo)[top:bottom, left:right])


@pytest.mark.parametrize(
    "face, size, expected",
    [
        ((400, 400, 500, 500), (1000, 1000), (330, 330, 570, 630)),  # room on all sides
        ((0, 0, 100, 100), (1000, 1000), (0, 0, 240, 300)),  # moved into the corner
        ((900, 900, 1000, 1000), (1000, 1000), (760, 700, 1000, 1000)),
        ((10, 10, 110, 110), (120, 1000), (0, 0, 120, 300)),  # a narrow picture
    ],
)
def test_the_box_is_moved_into_the_picture_and_has_its_size(face, size, expected):
    assert portraits.head_and_shoulders(face, size) == expected


@pytest.mark.parametrize("turned", [False, True])
def test_a_face_counts_once_if_both_the_picture_and_its_mirror_image_have_it(turned):
    face, little_larger = [100, 100, 200, 200], [96, 96, 208, 208]
    nose, passer_by, knot = [130, 130, 180, 180], [500, 10, 530, 40], [400, 300, 480, 380]
    plain = np.array([face, nose, passer_by, knot], float)
    mirrored = np.array([nose, little_larger, passer_by], float)
    (kept,) = portraits._agreed(*((mirrored, plain) if turned else (plain, mirrored)))
    np.testing.assert_allclose(kept, [98, 98, 204, 204])  # the mean of face and little_larger


@pytest.mark.parametrize("turned", [False, True])
def test_a_box_inside_a_much_larger_one_is_not_the_same_face(turned):
    """An eye of the picture and the whole face of its mirror image do not confirm each other."""
    eye, face = np.array([[130, 130, 180, 180]], float), np.array([[100, 100, 200, 200]], float)
    assert portraits._agreed(*((face, eye) if turned else (eye, face))) == []
