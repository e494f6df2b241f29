"""How long the first visitor of a booth waits for a picture, against the visitors after them.

    python -m tests.benchmarks.booth [--starts 3] [--pictures 5]

opens the booth this many times, each time in a headless Chromium, with the weights in `data`. A
script is the quickest visitor that can be: it takes a sample photograph and presses the button as
soon as the page is there. The time runs from this press until the picture is on the page. The same
visitor then has more pictures painted, and their median is one portrait's time. What the first
picture took beyond that is what the visitor still waited for the model.

The columns "worker" are the seconds of the processor that the process with the model used in the
same time, for the first picture and for a later one. They depend little on what else the computer
does, so they say what the worker still had to do on a busy computer, too. The last column is the
load of the computer in the last minute (`os.getloadavg`), divided by the number of its processors.
If it is above 1, the seconds on the clock are too many. It needs Chromium, playwright, and Linux
or macOS.
"""

import argparse
import os
import statistics
import time

import psutil

from sdkit.files import ROOT
from tests.browser import booths, lab

EXTRA = 3  # seconds that the first picture may take beyond one portrait's time


def seconds_of_a_picture(page, worker):
    """Seconds from the press of "Paint me" until the next picture is there: clock, processor."""

    def used():
        times = worker.cpu_times()
        return times.user + times.system

    before = page.locator(".gallery .thumb").count()
    start, used_before = time.perf_counter(), used()
    page.get_by_role("button", name="Paint me").click()
    page.locator(".gallery .thumb").nth(before).wait_for()
    booths.shows(page, "compare")
    return time.perf_counter() - start, used() - used_before


def one_start(browser, pictures):
    """Seconds until the page is there, of the first picture, and of later ones (medians)."""
    start = time.perf_counter()
    with booths.opened(ROOT / "data") as booth:
        worker = psutil.Process(booth._running["worker"].pid)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(lab.PATIENCE * 1000)
        page.goto(booth.address)
        page.wait_for_selector(".booth.ready")
        opened = time.perf_counter() - start
        booths.take_sample(page)
        first = seconds_of_a_picture(page, worker)
        later = [seconds_of_a_picture(page, worker) for _ in range(pictures)]
        page.close()
    return opened, first, [statistics.median(column) for column in zip(*later)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=5, help="later pictures of each start")
    arguments = parser.parse_args()
    heads = ("page", "first", "later", "beyond", "worker: first", "later", "load")
    print("".join(f"{head:>14}" for head in heads), flush=True)
    with lab.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=lab.CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        beyond = []
        for _ in range(arguments.starts):
            opened, (first, first_used), (later, later_used) = one_start(
                browser, arguments.pictures
            )
            beyond.append(first - later)
            load = os.getloadavg()[0] / os.cpu_count()
            row = (opened, first, later, beyond[-1], first_used, later_used, load)
            print("".join(f"{value:14.1f}" for value in row), flush=True)
        browser.close()
    worst = max(beyond)
    verdict = "within" if worst <= EXTRA else "NOT within"
    print(f"At most {worst:.1f} s beyond one portrait's time, which is {verdict} {EXTRA} s.")


if __name__ == "__main__":
    main()
