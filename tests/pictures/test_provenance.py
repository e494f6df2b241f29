"""The mark, and the note in the file."""

import numpy as np
from PIL import Image

from sdkit import provenance
from tests import strange


def test_the_mark_is_small_and_in_the_corner():
    for width, height in ((256, 256), (384, 256), (256, 400), (1024, 1024)):
        plain = Image.fromarray(strange.colours(width, height))
        changed = np.argwhere((np.asarray(provenance.mark(plain)) != np.asarray(plain)).any(-1))
        side = min(width, height)
        assert 0 < len(changed) < 0.006 * side**2
        assert (changed.min(0) > (height - 0.09 * side, width - 0.12 * side)).all()
        assert (changed.max(0) < (height - 1, width - 1)).all()
    small = Image.fromarray(strange.colours(127, 127))
    np.testing.assert_array_equal(provenance.mark(small), small)


def test_save_png_writes_the_note_and_no_metadata_of_the_photo(tmp_path):
    (tmp_path / "in").mkdir()
    strange.write_all(tmp_path / "in")
    with Image.open(tmp_path / "in" / "commented.jpg") as image:
        assert image.info["comment"].decode() == strange.SECRET  # the secret is there before
        provenance.save_png(
            image, tmp_path / "out.png", {"Prompt": "van gogh", "Title": "Sternennacht \u00fcber"}
        )
    data = (tmp_path / "out.png").read_bytes()
    assert strange.SECRET.encode() not in data
    assert not any(chunk in data for chunk in (b"eXIf", b"iCCP", b"tIME", b"pHYs"))
    with Image.open(tmp_path / "out.png") as out:
        assert out.text == {"Prompt": "van gogh", "Title": "Sternennacht \u00fcber"}
        assert out.mode == "RGB" and set(out.info) == set(out.text)
