"""How long people in a class wait for their cells: a simulation from measured processor seconds.

    python tests/benchmarks/class_load.py --lessons 11 --each 1 --save cells.json
    python tests/benchmarks/class_wait.py cells.json --people 10 30 100 --cores 4 8 24

Each person runs the cells of the lesson in their order. Before each cell the person reads. This
time is random, with an exponential distribution, and so long that the lesson takes `--minutes` on a
machine that nobody else uses. A running cell uses one core at most. If more cells run than there
are cores, all of them get the same share. Everybody starts at the same time.

It prints the seconds that half of the cells take at most, and 95 of 100, beside those on an idle
machine; and the longest wait.
"""

import argparse
import heapq
import json
import random
from pathlib import Path


def waits(cells: list[float], people: int, cores: int, minutes: float, seed: int = 0) -> list:
    """(processor seconds, seconds waited) of all cells of all people."""
    rng = random.Random(seed)
    reading = max(0.0, 60 * minutes - sum(cells)) / len(cells)
    think = [rng.expovariate(1 / reading) if reading else 0.0 for _ in range(people)]
    ready = [(think[k], k) for k in range(people)]  # when a person runs the next cell
    heapq.heapify(ready)
    place = [0] * people
    running: dict[int, list[float]] = {}  # person -> processor seconds left, and the start
    now, done = 0.0, []
    while ready or running:
        share = min(1.0, cores / len(running)) if running else 0.0
        finish = now + min(left for left, _ in running.values()) / share if running else None
        start = ready[0][0] if ready else None
        upto = min(t for t in (finish, start) if t is not None)
        for job in running.values():
            job[0] -= (upto - now) * share
        now = upto
        for person in [p for p, (left, _) in running.items() if left < 1e-9]:
            _, began = running.pop(person)
            done.append((cells[place[person]], now - began))
            place[person] += 1
            if place[person] < len(cells):
                pause = rng.expovariate(1 / reading) if reading else 0.0
                heapq.heappush(ready, (now + pause, person))
        while ready and ready[0][0] <= now:
            _, person = heapq.heappop(ready)
            running[person] = [max(cells[place[person]], 1e-6), now]
    return done


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cells", type=Path, help="the file that class_load.py has saved")
    parser.add_argument("--people", nargs="+", type=int, default=[10, 30, 100, 300])
    parser.add_argument("--cores", nargs="+", type=int, default=[4, 8, 24, 72])
    parser.add_argument("--minutes", type=float, default=45)
    arguments = parser.parse_args()
    runs = json.loads(arguments.cells.read_text(encoding="utf-8"))
    cells = max(runs, key=len)
    print(
        f"{len(cells)} cells with {sum(cells):.0f} processor seconds in {arguments.minutes:g} min"
    )
    for people, cores in zip(arguments.people, arguments.cores, strict=True):
        found = waits(cells, people, cores, arguments.minutes)
        slow = [(used, waited) for used, waited in found if used > 1]
        row = f"{people} people, {cores} cores:"
        for share in (0.5, 0.95):
            alone = quantile([used for used, _ in slow], share)
            row += (
                f" {share:.0%} {quantile([w for _, w in slow], share):.0f} s (alone {alone:.0f}),"
            )
        print(f"{row} longest {max(w for _, w in found):.0f} s; cells of over 1 s: {len(slow)}")


if __name__ == "__main__":
    main()
