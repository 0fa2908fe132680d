"""How close a sweep of a thousand builds on a Ray cluster and a hundred boards comes to the least time for it.

The order is the product's own (``run_in_order`` for stages, ``Lanes`` for boards), and so is Ray; boards that are leased, and
which build is ready, are told by the simulation itself. A stage and a measurement sleep as long as their like took, scaled down.
Two of a hundred tasks fail half way and are repeated by Ray (of a lost process the start of another would count by as much as
times are scaled), five of a hundred boards fail at their first build and are set aside. The bound is the longest way through one
build, or all work shared evenly by all machines, or by all boards, whichever is the longest.

    python -m benchmarks.fleet.simulate --out benchmarks/fleet/simulated.json --svg benchmarks/fleet/simulated.svg
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import altair as alt
import ray

from benchmarks.fleet.world import Done, Size, World
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.vega import svg_of
from edgecnn.sweeps.run import Lanes
from edgecnn.sweeps.tasks import run_in_order


@dataclass(frozen=True)
class Outcome:
    """Of one simulated sweep, seconds unscaled."""

    size: Size
    tasks: int
    makespan_s: float
    bound_s: float
    lost_tasks: int
    """Attempts that were lost."""
    boards_set_aside: int
    measured_once: bool
    all_measured: bool

    @property
    def ratio(self) -> float:
        return self.makespan_s / self.bound_s


@ray.remote(num_cpus=1, max_retries=3, retry_exceptions=True)  # type: ignore[untyped-decorator]
def work(seconds: float, marker: str | None) -> None:
    """Sleep, and fail half way where a marker says that it did not fail yet."""
    if marker is not None and not Path(marker).exists():
        time.sleep(seconds / 2)
        Path(marker).touch()
        raise ConnectionError
    time.sleep(seconds)


@ray.remote(num_cpus=1)  # type: ignore[untyped-decorator]
def begun(folder: str, slots: int) -> None:
    """Until as many run at once: what starting a process takes is no part of a sweep that is scaled down."""
    Path(folder, str(os.getpid())).touch()
    while len([*Path(folder).iterdir()]) < slots:
        time.sleep(0.1)


class Boards:
    """Boards that are leased one build at a time; a broken one is set aside when a build meets it."""

    def __init__(self, world: World, scale: float) -> None:
        self.free, self.world, self.scale = list(range(world.size.boards)), world, scale
        self.aside, self.measured, self.change = set[int](), Counter[int](), threading.Condition()

    def measure(self, build: int) -> int:
        while True:
            with self.change:
                self.change.wait_for(lambda: bool(self.free))
                board = self.free.pop(0)
            if board in self.world.broken:
                time.sleep(self.world.measuring[build] * self.scale / 10)
                self.aside.add(board)
                continue
            time.sleep(self.world.measuring[build] * self.scale)
            with self.change:
                self.measured[build] += 1
                self.free.append(board)
                self.change.notify()
            return build


def simulated(size: Size, scale: float, folder: Path, seed: int = 1) -> Outcome:
    world = World(size, seed)
    boards, open_builds = Boards(world, scale), {build: set(needs) for build, needs in world.needs.items()}

    def begin(key: str) -> Any:
        return work.remote(
            world.seconds[key] * scale, str(folder / f"{size.builds}-{size.boards}-{key}") if key in world.lost else None
        )

    def some(running: list[Any]) -> Iterator[tuple[Any, Done]]:
        done, _ = ray.wait(running, num_returns=1, timeout=1.0)
        for ref in done:
            ray.get(ref)
            yield ref, Done()

    def measured(build: int) -> None:
        ended.append(boards.measure(build))

    started = time.monotonic()
    ended = list[int]()
    with Lanes(lambda: None) as lanes:
        for key, _ in run_in_order(world.waits_for, begin, some, world.has_room):
            for build in world.users[key]:
                open_builds[build].discard(key)
                if not open_builds[build]:
                    lanes.begin("boards", size.boards, partial(measured, build))
        lanes.wait()
    return Outcome(
        size=size, tasks=len(world.seconds), makespan_s=(time.monotonic() - started) / scale, bound_s=world.bound_s(),
        lost_tasks=len(world.lost), boards_set_aside=len(boards.aside), all_measured=sorted(ended) == list(range(size.builds)),
        measured_once=set(boards.measured.values()) == {1},
    )  # fmt: skip


def curves(outcomes: list[Outcome]) -> bytes:
    """Hours against builds, and against boards, each beside the least possible; SVG."""
    most = max(outcome.size.builds for outcome in outcomes), max(outcome.size.boards for outcome in outcomes)
    rows = [
        {"of": f"{kind} ({beside})", "number": number, "what": what, "hours": seconds / 3600}
        for outcome in outcomes
        for kind, number, beside, shown in (
            ("builds", outcome.size.builds, f"{most[1]:,} boards", outcome.size.boards == most[1]),
            ("boards", outcome.size.boards, f"{most[0]:,} builds", outcome.size.builds == most[0]),
        )
        if shown
        for what, seconds in (("sweep", outcome.makespan_s), ("least possible", outcome.bound_s))
    ]
    line = alt.Chart(vega.chart_data(rows)).mark_line(strokeWidth=2, point=True)
    drawn = line.encode(
        x=alt.X("number:Q", title=None),
        y=alt.Y("hours:Q", title="hours", scale=alt.Scale(domainMin=0)),
        color=alt.Color("what:N", title=None),
        column=alt.Column("of:N", title=None),
    ).resolve_scale(x="independent", y="independent")
    return svg_of({**drawn.to_dict(), "width": 320, "height": 220})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--scale", type=float, default=0.05, help="seconds that a second is slept")
    parser.add_argument("--slots", type=int, default=40, help="tasks that the cluster runs at once")
    parser.add_argument("--builds", type=int, nargs="*", default=[125, 250, 500, 1000])
    parser.add_argument("--boards", type=int, nargs="*", default=[25, 50, 100])
    options = parser.parse_args()
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # it is gone in minutes, and would leave a token in the home folder
    ray.init(num_cpus=options.slots, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        ray.get([begun.remote(folder, options.slots) for _ in range(options.slots)])
    sizes = [*(Size(builds, max(options.boards), options.slots) for builds in options.builds),
             *(Size(max(options.builds), boards, options.slots) for boards in options.boards[:-1])]  # fmt: skip
    outcomes = list[Outcome]()
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            outcomes.append(simulated(size, options.scale, Path(folder)))
        print(f"{size.builds:5} builds, {size.boards:3} boards: {outcomes[-1].tasks:6} tasks, {outcomes[-1].makespan_s:8.0f} s, "
              f"bound {outcomes[-1].bound_s:8.0f} s, {outcomes[-1].ratio:.3f}", flush=True)  # fmt: skip
    if options.svg is not None:
        options.svg.write_bytes(curves(outcomes))
    if options.out is not None:
        rows = [{**asdict(outcome), "ratio": round(outcome.ratio, 3)} for outcome in outcomes]
        options.out.write_text(json.dumps({"ray": ray.__version__, "scale": options.scale, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
