"""The page of blind pairs in a real browser: a person chooses, and the button saves the answers."""

import pytest
from PIL import Image

from sdkit import blind
from tests.browser import lab

pytestmark = lab.NEEDS


@pytest.mark.parametrize("choices", [{"1": "left", "2": "right", "3": "none"}, {"2": "left"}])
def test_the_button_saves_what_was_chosen(tmp_path, choices):
    picture = Image.new("RGB", (32, 32), "red")
    names = ["a", "b", "c"]
    key = blind.make_key(names, "old", "new", 0)
    page = blind.page(key, {name: (picture,) * 3 for name in names})
    (tmp_path / "sheet.html").write_text(page, encoding="utf-8")
    with lab.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=lab.CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.set_default_timeout(600_000)
        tab.goto((tmp_path / "sheet.html").as_uri())
        assert tab.locator("img").count() == 9
        assert tab.evaluate("[...document.images].every(image => image.naturalWidth == 32)")
        for number, value in choices.items():
            tab.check(f'input[name="{number}"][value="{value}"]')
        with tab.expect_download() as saved:
            tab.click("button")
        saved.value.save_as(tmp_path / "answers.json")
        file_name = saved.value.suggested_filename
        said = tab.locator("output").inner_text()
        browser.close()
    assert file_name == f"answers-{key['sheet']}.json"
    assert blind.read_answers(tmp_path / "answers.json", key) == choices
    assert said == ("Saved." if len(choices) == 3 else "Saved, but 2 pairs have no answer.")
