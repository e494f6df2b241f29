"""How long the first visitor of a booth waits for a picture, against the visitors after them.

    python -m tests.benchmarks.booth [--starts 3] [--pictures 5]

opens the booth this many times, each time in a headless Chromium, with the weights in `data`. A
script is the quickest visitor that can be: it takes a sample photograph and presses the button as
soon as the page is there. The time runs from this press until the picture is on the page. The same
visitor then has more pictures painted, and their median is one portrait's time. What the first
picture took beyond that is what the visitor still waited for the model.

The last column is the load of the computer (`os.getloadavg`, of the last minute) divided by the
number of its processors. If it is far above the share that the booth itself takes, something else
was running, and the seconds are too many. It needs Chromium and playwright, and Linux or macOS.
"""

import argparse
import os
import statistics
import time

from sdkit.files import ROOT
from tests.browser import booths, lab

EXTRA = 3  # seconds that the first picture may take beyond one portrait's time


def seconds_of_a_picture(page):
    """Seconds from the press of "Paint me" until the next picture is on the page."""
    before = page.locator(".gallery .thumb").count()
    start = time.perf_counter()
    page.get_by_role("button", name="Paint me").click()
    page.locator(".gallery .thumb").nth(before).wait_for()
    booths.shows(page, "compare")
    return time.perf_counter() - start


def one_start(browser, pictures):
    """(seconds until the page is there, of the first picture, [of each later one])."""
    start = time.perf_counter()
    with booths.opened(ROOT / "data") as booth:
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(lab.PATIENCE * 1000)
        page.goto(booth.address)
        page.wait_for_selector(".booth.ready")
        opened = time.perf_counter() - start
        booths.take_sample(page)
        first = seconds_of_a_picture(page)
        later = [seconds_of_a_picture(page) for _ in range(pictures)]
        page.close()
    return opened, first, later


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=5, help="later pictures of each start")
    arguments = parser.parse_args()
    heads = ("page, s", "first, s", "later, s", "beyond, s", "load")
    print("".join(f"{head:>11}" for head in heads))
    with lab.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=lab.CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        beyond = []
        for _ in range(arguments.starts):
            opened, first, later = one_start(browser, arguments.pictures)
            usual = statistics.median(later)
            beyond.append(first - usual)
            load = os.getloadavg()[0] / os.cpu_count()
            row = (opened, first, usual, beyond[-1], load)
            print("".join(f"{value:11.1f}" for value in row), flush=True)
        browser.close()
    worst = max(beyond)
    verdict = "within" if worst <= EXTRA else "NOT within"
    print(f"At most {worst:.1f} s beyond one portrait's time, which is {verdict} {EXTRA} s.")


if __name__ == "__main__":
    main()
