"""How close the order alone in which a sweep makes its stages comes to the least time: ``simulate``'s sweep by a clock that is
only counted, without Ray and what that costs.

    python -m benchmarks.fleet.order [--builds 1000] [--boards 100] [--slots 40] [--seeds 20]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from heapq import heappop, heappush
from statistics import mean

from benchmarks.fleet.world import Done, Size, World
from edgecnn.sweeps.tasks import run_in_order


class Clock:
    """Slots, and boards, each with the second from which it is free; who is first in line has the first that is."""

    def __init__(self, world: World) -> None:
        self.world, self.now = world, 0.0
        self.slots = [0.0] * world.size.slots
        self.boards = [(0.0, board) for board in range(world.size.boards)]
        self.ends, self.measured = list[tuple[float, str]](), dict[int, tuple[float, float]]()

    def begin(self, task: str) -> str:
        seconds = self.world.seconds[task] * (1.5 if task in self.world.lost else 1.0)
        end = max(self.now, heappop(self.slots)) + seconds
        heappush(self.slots, end)
        heappush(self.ends, (end, task))
        return task

    def some(self, running: list[str]) -> Iterator[tuple[str, Done]]:
        self.now, task = heappop(self.ends)
        yield task, Done()

    def measure(self, build: int) -> None:
        """On the first board that is free and not broken."""
        ready = self.now
        while True:
            free, board = heappop(self.boards)
            begun = max(ready, free)
            if board in self.world.broken:
                ready = begun + self.world.measuring[build] / 10
                continue
            self.measured[build] = begun, begun + self.world.measuring[build]
            heappush(self.boards, (self.measured[build][1], board))
            return


def simulated(size: Size, seed: int = 1) -> tuple[float, float, float]:
    """Seconds until the last build is measured, the least possible, and those until the first board begins."""
    world = World(size, seed)
    clock, open_builds = Clock(world), {build: set(needs) for build, needs in world.needs.items()}
    for task, _ in run_in_order(world.waits_for, clock.begin, clock.some, world.has_room):
        for build in world.users[task]:
            open_builds[build].discard(task)
            if not open_builds[build]:
                clock.measure(build)
    begun, ended = zip(*clock.measured.values(), strict=True)
    return max(ended), world.bound_s(), min(begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--builds", type=int, default=1000)
    parser.add_argument("--boards", type=int, default=100)
    parser.add_argument("--slots", type=int, default=40, help="tasks that the cluster runs at once")
    parser.add_argument("--seeds", type=int, default=20, help="sweeps with durations and failures of their own")
    options = parser.parse_args()
    size = Size(options.builds, options.boards, options.slots)
    outcomes = [simulated(size, seed) for seed in range(1, options.seeds + 1)]
    ratios = sorted(makespan / bound for makespan, bound, _ in outcomes)
    first_s = mean(first for *_, first in outcomes)
    print(f"{options.builds} builds, {options.boards} boards, {options.seeds} sweeps: {mean(ratios):.3f} times the bound, "
          f"from {ratios[0]:.3f} to {ratios[-1]:.3f}; the first board begins after {first_s:.0f} s")  # fmt: skip


if __name__ == "__main__":
    main()
