"""Runs that a device measured by itself (``python3 -m runner measure``), read back as the profile of one kit.

They come from another machine, so nothing about them is taken on trust: each is of the kit asked for, finished, made under one
set of conditions, and of a round of its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from edgecnn.errors.measuring import RunsUnusable
from edgecnn.measure.conditions import first_difference
from edgecnn.measure.kits import KitRef
from edgecnn.measure.weather import MEDIANS, WORST, joined_environment
from edgecnn.runner.items import RUN_SCHEMA
from edgecnn.values.profile import Environment, Profile, Run
from edgecnn.values.verdict import Fidelity


class _Failure(BaseModel):
    what: str


class _File(BaseModel):
    """What a run file is before it is known to be a run: one that failed has no times."""

    model_config = ConfigDict(extra="ignore")

    error: _Failure | None = None
    environment: Environment | None = None

    @field_validator("environment")
    @classmethod
    def _observed_in_numbers(cls, value: Environment | None) -> Environment | None:
        """Shares and heat decide whether a figure is believed, so that a NaN, which is above no bound, must not pass for one."""
        for name in (*MEDIANS, *WORST):
            said = "0" if value is None else value.observed.get(name, "0")
            share = name in MEDIANS
            try:
                number = float(said)
            except ValueError:
                number = math.nan
            if not math.isfinite(number) or (share and number < 0):
                raise ValueError(f"{name} is {said!r}, no {'share' if share else 'number'}")
        return value


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
        changed = _changed(mine)
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


def companions_of(folder: Path, kit: KitRef) -> int:
    """How many other kits ran between this one's processes."""
    kits = {str(_read(path).get("kit")) for path in folder.glob("run-*.json")}
    return len(kits - {kit.digest})


def _read(path: Path) -> Mapping[str, Any]:
    try:
        run = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunsUnusable(folder=path.parent, because=f"{path.name} cannot be read: {error}") from error
    if not isinstance(run, dict) or run.get("schema") != RUN_SCHEMA:
        raise RunsUnusable(folder=path.parent, because=f"{path.name} is no {RUN_SCHEMA}")
    try:
        _File.model_validate(run)
    except ValidationError as error:
        raise RunsUnusable(folder=path.parent, because=f"{path.name}: {_first(error)}") from error
    return run


def _run(facts: Mapping[str, Any]) -> Run:
    return Run.model_validate({name: facts[name] for name in Run.model_fields if name in facts})


def _changed(runs: Sequence[Mapping[str, Any]]) -> str | None:
    environments = [Environment.model_validate(run["environment"]) for run in runs]
    changes = (first_difference(environments[0], each) for each in environments[1:])
    return next((change for change in changes if change is not None), None)


def _refuse_impossible(folder: Path, runs: Sequence[Run], changed: str | None) -> None:
    if changed is not None:
        raise RunsUnusable(folder=folder, because=f"the machine changed between its runs: {changed}")
    if len({run.round for run in runs}) < len(runs):
        raise RunsUnusable(folder=folder, because="two runs of this kit are of the same round")
    if any(time <= 0 for run in runs for time in _times_ns(run)):
        raise RunsUnusable(folder=folder, because="a time is not above 0: the clock stepped, or the file was edited")


def _times_ns(run: Run) -> tuple[int, ...]:
    start = () if run.process_ns is None else (run.process_ns,)
    return (run.load_ns, run.first_ns, *start, *run.warmup_ns, *run.samples_ns)


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)
