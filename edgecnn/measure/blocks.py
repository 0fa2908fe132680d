"""Runs a race's schedule on its host: all of it, or block by block until the rule that was fixed beforehand says enough.

A block is a folder of its own beside the others, so that an interrupted race goes on with the block in which it stopped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.hosts.task import Schedule, Task
from edgecnn.judging.stopping import half_width, well_known
from edgecnn.measure.kits import entrant_of
from edgecnn.measure.lab import Lab
from edgecnn.measure.race_request import RaceRequest, items_of
from edgecnn.values.profile import Run, Until

Item = dict[str, Any]


def whole_schedule(request: RaceRequest) -> Schedule:
    """Everything that may be run, as the runner reads it: what an interrupted race must agree with to be continued."""
    return _schedule(request, items_of(request))


def run_schedule(request: RaceRequest, lab: Lab, work: Path) -> None:
    """Let the host run what is asked; run files appear in ``work`` or in folders in it."""
    if request.until is None:
        _bench(request, whole_schedule(request), lab, work)
        return
    items, begin = items_of(request), 0
    for end in request.until.looks:
        block = work / f"rounds-{begin:04d}"
        block.mkdir(exist_ok=True)
        _bench(request, _schedule(request, [item for item in items if begin <= item["round"] < end]), lab, block)
        begin = end
        if _enough(request, request.until, lab, work, end):
            return


def run_files(work: Path) -> list[dict[str, Any]]:
    """Every run that was written, in the order in which they were asked."""
    return [json.loads(path.read_text()) for path in sorted(work.rglob("run-*.json"))]


def emptied(work: Path) -> None:
    """What lies there speaks for nothing any more, and neither does what a host far away kept for it."""
    for path in work.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def run_of(facts: Mapping[str, Any]) -> Run:
    """A run file as a run. What the file of an older runner lacks is absent from the run too."""
    return Run(**{name: facts[name] for name in Run.model_fields if name in facts})


def _schedule(request: RaceRequest, items: Sequence[Item]) -> Schedule:
    return Schedule(tuple(items), request.timeout_s)


def _bench(request: RaceRequest, schedule: Schedule, lab: Lab, folder: Path) -> None:
    task = Task(request.kits[0].folder, "bench", out=folder, schedule=schedule)
    lab.host.run(task, lease_s=2 * request.timeout_s, tell=lab.doing(request.title).tell)


def _enough(request: RaceRequest, until: Until, lab: Lab, work: Path, rounds: int) -> bool:
    """A kit that broke asks for no more rounds; the others may."""
    runs = run_files(work)
    by_entrant: dict[str, list[dict[str, Any]]] = {kit.entrant: [] for kit in request.kits}
    for run in runs:
        by_entrant.setdefault(entrant_of(run["kit"], run["knobs"]), []).append(run)
    known = {
        kit.candidate.id: [run_of(run) for run in by_entrant[kit.entrant]]
        for kit in request.kits
        if not any("error" in run for run in by_entrant[kit.entrant])
    }
    wide = {name: half_width(mine, until) for name, mine in known.items() if not well_known(mine, until)}
    if wide and rounds < until.looks[-1]:
        said = ", ".join(f"{name} to ± {'?' if each is None else format(100 * each, '.1f')} %" for name, each in wide.items())
        lab.tell.note(f"after {rounds} rounds p50 is known of {said}; asked is ± {100 * until.half_width:g} %, so it goes on")
    return not wide
