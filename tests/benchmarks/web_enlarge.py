"""Time and memory while the page makes a drawn picture four times larger, in headless Chromium.

    python tests/benchmarks/web_enlarge.py [--rounds 3] [FOLDER ...]

Each FOLDER is a built page; without one it is web/dist. With several, they take turns. Figures are
medians: seconds, seconds of the processor, the most memory that the process of the page had at a
time, and the longest time without a message of the worker. A click on "Stop" waits that long.
"""

import argparse
import os
import statistics
import threading
import time
from pathlib import Path

from sdkit.web import host
from tests.browser import lab

PATIENCE = 600_000  # ms
TICKS = os.sysconf("SC_CLK_TCK")


def largest_child(pid):
    """The process below `pid` with the most memory: that of the page. Linux only."""
    below, waiting = {}, [pid]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            children = [int(child) for child in task.read_text().split()]
            waiting += children
            below.update({child: memory(child, "VmRSS") for child in children})
    return max(below, key=below.get)


def memory(pid, name):
    """MB of memory of a process, "VmRSS" for now or "VmHWM" for the most so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0)


def processor(pid):
    """Seconds of the processor that a process has used, in all threads."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, after_name[11:13])) / TICKS


def one_round(folder):
    """[seconds, of the processor, MB, longest silence] of one enlargement, in a fresh browser."""
    with host.server(folder=folder) as opened, lab.sync_playwright() as playwright:
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=lab.CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"http://127.0.0.1:{opened.server_port}/")
        page.wait_for_selector("#draw .start:enabled")
        page.eval_on_selector("#steps", "s => { s.value = 5; s.oninput() }")
        page.click("#draw .start")
        page.wait_for_selector("#drawn button")
        page.eval_on_selector(
            "#draw .says",
            "says => { window.heard = [performance.now()]; new MutationObserver(() => "
            "heard.push(performance.now())).observe(says, {childList: true}) }",
        )
        pid = largest_child(os.getpid())
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the most so far begins anew
        used, began = processor(pid), time.perf_counter()
        page.click("#drawn button")
        page.locator("#drawn button").wait_for(state="detached")
        seconds, used = time.perf_counter() - began, processor(pid) - used
        # the first silence is that in which the networks are loaded
        silence = page.evaluate("Math.max(...heard.slice(3).map((t, k) => t - heard[k + 2]))") / 1e3
        most = memory(pid, "VmHWM")
        browser.close()
        opened.shutdown()
    return [seconds, used, most, silence]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, default=[host.DIST])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    found = {folder: [] for folder in arguments.folders}
    for _ in range(arguments.rounds):
        for folder, rounds in found.items():
            rounds.append(one_round(folder))
            print(folder, [round(figure, 1) for figure in rounds[-1]], flush=True)
    print("| page | s | s of the processor | MB | longest silence, s |\n|---|---|---|---|---|")
    for folder, rounds in found.items():
        row = [f"{statistics.median(column):.1f}" for column in zip(*rounds, strict=True)]
        print(f"| {folder} | {' | '.join(row)} |")
