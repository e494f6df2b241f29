"""What a class needs of a server: memory, processor seconds and waiting of running lessons.

    python tests/benchmarks/class_load.py --lessons 03 07 11 --each 1
    python tests/benchmarks/class_load.py --lessons 11 --each 2 --minutes 8 --save cells.json

Starts `each` kernels for each lesson, all at the same time, with the settings of a class server:
one thread, and threads that wait yield. Each kernel runs its lesson from top to bottom. It prints:

* unshared: memory that only this kernel uses, at its highest. These add up over a class.
* shared: what the kernels have in common, mostly the code of torch. It counts once.
* CPU: processor seconds of the lesson. They do not depend on how busy the machine is, as time does.
* slowest cell, and all cells: seconds that a person waits on this machine at this load.

`--minutes` stops earlier. `--save` writes the processor seconds of each cell into a file, from
which class_wait.py computes how long larger classes wait.
"""

import argparse
import asyncio
import json
import os
import threading
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}


class Watch(threading.Thread):
    """Reads memory and processor time of each kernel twice a second, until `done` is set."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.kernels: dict[int, psutil.Process] = {}
        self.highest: dict[int, int] = {}
        self.shared: dict[int, int] = {}
        self.cpu: dict[int, float] = {}
        self.used: dict[int, list[float]] = {}  # processor seconds of each cell
        self.together = 0
        self.end = float("inf")  # when no further cell is started
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.5):
            now = 0
            for number, process in list(self.kernels.items()):
                try:
                    memory, times = process.memory_full_info(), process.cpu_times()
                except psutil.Error:
                    continue
                now += memory.pss
                self.highest[number] = max(memory.uss, self.highest.get(number, 0))
                self.shared[number] = memory.rss - memory.uss
                self.cpu[number] = times.user + times.system
            self.together = max(self.together, now)


async def run_lesson(path: Path, number: int, watch: Watch) -> dict:
    """Run all cells of a lesson in a kernel of its own, and time them."""
    lesson = nbformat.read(path, as_version=4)
    client = NotebookClient(
        lesson, timeout=None, allow_errors=True, resources={"metadata": {"path": path.parent}}
    )
    times, used = [], []
    async with client.async_setup_kernel():
        (found,) = [
            child
            for child in psutil.Process().children(recursive=True)
            if client.km.connection_file in child.cmdline()
        ]
        watch.kernels[number] = found
        for place, cell in enumerate(lesson.cells):
            if cell.cell_type == "code" and cell.source.strip():
                began, before = time.perf_counter(), sum(found.cpu_times()[:2])
                if began > watch.end:
                    break
                await client.async_execute_cell(cell, place)
                times.append(time.perf_counter() - began)
                used.append(round(sum(found.cpu_times()[:2]) - before, 2))
        await asyncio.sleep(1)  # for the last look at its memory
    failed = sum(o.output_type == "error" for c in lesson.cells for o in c.get("outputs", []))
    watch.used[number] = used
    return {
        "lesson": path.stem,
        "cells": f"{len(times)} of {sum(c.cell_type == 'code' for c in lesson.cells)}",
        "failed": failed,
        "slowest": max(times),
        "all": sum(times),
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lessons", nargs="+", default=["03", "07", "11"])
    parser.add_argument("--each", type=int, default=1, help="kernels for each lesson")
    parser.add_argument("--minutes", type=float, help="start no further cell after this time")
    parser.add_argument("--save", type=Path, help="write the processor seconds of cells here")
    arguments = parser.parse_args()
    os.environ.update(SETTINGS)
    os.environ["PYTHONPATH"] = str(ROOT)
    paths = [next(ROOT.glob(f"notebooks/{lesson}*.ipynb")) for lesson in arguments.lessons]
    watch = Watch()
    if arguments.minutes:
        watch.end = time.perf_counter() + 60 * arguments.minutes
    watch.start()
    jobs = [path for path in paths for _ in range(arguments.each)]
    results = await asyncio.gather(*(run_lesson(p, k, watch) for k, p in enumerate(jobs)))
    watch.done.set()
    for number, result in enumerate(results):
        result["unshared, MB"] = round(watch.highest[number] / 1e6)
        result["shared, MB"] = round(watch.shared[number] / 1e6)
        result["CPU, s"] = round(watch.cpu[number])
        print(
            json.dumps({k: round(v, 1) if isinstance(v, float) else v for k, v in result.items()})
        )
    if arguments.save:
        arguments.save.write_text(json.dumps(list(watch.used.values())), encoding="utf-8")
    print(f"together at most {watch.together / 1e9:.2f} GB, of {len(jobs)} kernels at once")


if __name__ == "__main__":
    asyncio.run(main())
