"""Runs that a device measured by itself (``python3 -m runner measure``), read back as the profile of one kit.

They come from another machine, so nothing about them is taken on trust: each is of the kit asked for, finished, made under one
set of conditions, and of a round of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgecnn.errors.measuring import RunsUnusable
from edgecnn.measure.conditions import changed_between
from edgecnn.measure.kits import KitRef
from edgecnn.measure.weather import joined_environment
from edgecnn.runner.items import RUN_SCHEMA
from edgecnn.values.profile import Profile, Run
from edgecnn.values.verdict import Fidelity


def profile_of_runs(folder: Path, kit: KitRef, device: str) -> Profile:
    """The runs of one kit in a folder of run files.

    Args:
        folder: ``measured`` of a bundle, copied back from the device.
        kit: whose runs are wanted; those of other kits are left alone.
        device: what the runs are said to be of.

    Raises:
        RunsUnusable: there are none, one ended in an error, one is no run file, or the machine changed between them.
    """
    read = [_read(path) for path in sorted(folder.glob("run-*.json"))]
    mine = [run for run in read if run.get("kit") == kit.digest]
    if not mine:
        others = f"{len(read)} runs of other kits are there" if read else "there is no run-*.json"
        raise RunsUnusable(folder=folder, because=f"no run of {kit.candidate.id} (kit {kit.digest[:12]}): {others}")
    if (broken := next((run["error"] for run in mine if "error" in run), None)) is not None:
        raise RunsUnusable(folder=folder, because=f"a run of {kit.candidate.id} ended in an error: {broken.get('what')}")
    try:
        environment, runs = joined_environment(mine), tuple(_run(run) for run in mine)
        changed = changed_between(mine)
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise RunsUnusable(folder=folder, because=f"a run file lacks what a run has: {_first(error)}") from error
    _refuse_impossible(folder, runs, changed)
    return Profile(
        what="race",
        subject=kit.digest,
        device=device,
        host=environment.conditions.get("cpu", "an unnamed machine"),
        environment=environment,
        fidelity=Fidelity.MEASURED,
        observed_at=max(run.started_at for run in runs),
        race=f"imported-{kit.digest[:16]}",
        purpose="against",
        runs=runs,
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        run = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunsUnusable(folder=path.parent, because=f"{path.name} cannot be read: {error}") from error
    if not isinstance(run, dict) or run.get("schema") != RUN_SCHEMA:
        raise RunsUnusable(folder=path.parent, because=f"{path.name} is no {RUN_SCHEMA}")
    return run


def _run(facts: Mapping[str, Any]) -> Run:
    return Run.model_validate({name: facts[name] for name in Run.model_fields if name in facts})


def _refuse_impossible(folder: Path, runs: Sequence[Run], changed: str | None) -> None:
    if changed is not None:
        raise RunsUnusable(folder=folder, because=f"the machine changed between its runs: {changed}")
    if len({run.round for run in runs}) < len(runs):
        raise RunsUnusable(folder=folder, because="two runs of this kit are of the same round")
    if any(sample <= 0 for run in runs for sample in run.samples_ns):
        raise RunsUnusable(folder=folder, because="a time is not above 0: the clock stepped, or the file was edited")


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)
