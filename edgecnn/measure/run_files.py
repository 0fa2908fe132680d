"""Runs that a device measured by itself (``python3 -m runner measure``), read back as the profile of one kit.

They come from another machine, so nothing about them is taken on trust: each is of the kit asked for, finished, made under one
set of conditions, and of a round of its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from edgecnn.errors.measuring import RunsUnusable
from edgecnn.errors.wording import first_problem
from edgecnn.measure.energy import no_meter
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import MEDIANS, WORST, changed_between, first_difference, joined_environment
from edgecnn.measure.race_request import run_of
from edgecnn.runner.bundle import ENERGY, MACHINE
from edgecnn.runner.files import sha256_of
from edgecnn.runner.runs.items import RUN_SCHEMA
from edgecnn.runner.runs.schedule import RESULT
from edgecnn.values.profile import Environment, Profile, Run


class DeviceEnergy(NamedTuple):
    """Energy runs of one kit, or why there are none."""

    runs: tuple[Run, ...]
    absent: str | None


class _Failure(BaseModel):
    what: str


class _File(BaseModel):
    """What a run file is before it is known to be a run: one that failed has no times."""

    model_config = ConfigDict(extra="ignore")

    error: _Failure | None = None
    environment: Environment | None = None
    knobs: Mapping[str, str] = {}

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

    ``folder``: ``measured`` of a bundle, copied back from the device. ``kit``: whose runs are wanted; those of other kits are
    left alone. Raises RunsUnusable: there are none, one ended in an error, was edited or is no run file, or the machine changed
    between them.
    """
    read = [_read(path) for path in sorted(folder.glob("run-*.json"))]
    _refuse_edited(folder)
    mine = [run for run in read if run.get("kit") == kit.digest]
    if not mine:
        others = f"{len(read)} runs of other kits are there" if read else "there is no run-*.json"
        raise RunsUnusable(folder=folder, because=f"no run of {kit.candidate.id} (kit {kit.digest[:12]}): {others}")
    if (broken := next((run["error"] for run in mine if "error" in run), None)) is not None:
        raise RunsUnusable(folder=folder, because=f"a run of {kit.candidate.id} ended in an error: {broken.get('what')}")
    _refuse_other_knobs(folder, kit, mine)
    try:
        environment, runs = joined_environment(mine), tuple(run_of(run) for run in mine)
        changed, observed_at = changed_between(mine), _dated(runs)
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise RunsUnusable(folder=folder, because=f"a run file lacks what a run has: {_first(error)}") from error
    _refuse_impossible(folder, runs, changed)
    return Profile(
        what="race",
        subject=kit.digest,
        device=device,
        host=environment.conditions.get("cpu", "an unnamed machine"),
        environment=environment,
        fidelity=environment.fidelity,
        observed_at=observed_at,
        knobs=kit.knobs.options,
        race=f"imported-{kit.digest[:16]}",
        purpose="against",
        runs=runs,
    )


def companions_of(folder: Path, kit: KitRef) -> int:
    """How many other kits ran between this one's processes."""
    kits = {str(_read(path).get("kit")) for path in folder.glob("run-*.json")}
    return len(kits - {kit.digest})


def energy_of_runs(folder: Path, kit: KitRef, timed: Profile) -> DeviceEnergy:
    """The energy runs beside those that were timed. A latency without them is as good: what is amiss becomes the reason.

    ``folder``: as of ``profile_of_runs``.
    """
    if not any((folder / ENERGY).glob("run-*.json")):
        return DeviceEnergy((), _no_energy(folder))
    try:
        profile = profile_of_runs(folder / ENERGY, kit, timed.device)
    except RunsUnusable as error:
        return DeviceEnergy((), error.because or error.what)
    changed = first_difference(timed.environment, profile.environment)
    if changed is not None:
        return DeviceEnergy((), f"the machine changed between latency and energy: {changed}")
    if any(run.energy is None for run in profile.runs):
        return DeviceEnergy((), f"a run in {ENERGY} measured no energy")
    return DeviceEnergy(profile.runs, None)


def _no_energy(folder: Path) -> str:
    try:
        machine = Environment.model_validate_json((folder / MACHINE).read_bytes())
    except (OSError, ValidationError):
        return f"there are no energy runs, and no {MACHINE} that says why"
    return f"no meter could be read there: {no_meter(machine)}"


def _dated(runs: Sequence[Run]) -> str:
    """When the last run began, and at the latest now: a device whose clock is ahead dates nothing into the future."""
    last = max(datetime.fromisoformat(run.started_at) for run in runs)
    last = last if last.tzinfo else last.replace(tzinfo=UTC)
    return min(last, datetime.now(UTC)).isoformat(timespec="seconds")


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


def _refuse_edited(folder: Path) -> None:
    """Hold each run against what its runner noted last; a folder without that note, of an interrupted call, is taken as it is."""
    try:
        noted = dict(json.loads((folder / RESULT).read_bytes())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    for path in sorted(folder.glob("run-*.json")):
        if noted.get(path.name) != sha256_of(path):
            raise RunsUnusable(folder=folder, because=f"{path.name} is not what its runner wrote, by {RESULT}: it was edited")


def _refuse_other_knobs(folder: Path, kit: KitRef, mine: Sequence[Mapping[str, Any]]) -> None:
    """Runs of another setting are figures of something else, and so are those of a setting that the bundle does not name."""
    wanted = kit.knobs.options
    other = next((run["knobs"] for run in mine if run.get("knobs", {}) != wanted), None)
    if other is not None:
        said = _options_said(other)
        because = f"a run of {kit.candidate.id} was made with {said}, and its bundle runs it with {_options_said(wanted)}"
        raise RunsUnusable(folder=folder, because=because)


def _options_said(options: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(options.items())) or "no knobs"


def _refuse_impossible(folder: Path, runs: Sequence[Run], changed: str | None) -> None:
    if changed is not None:
        raise RunsUnusable(folder=folder, because=f"the machine changed between its runs: {changed}")
    if len({run.round for run in runs}) < len(runs):
        raise RunsUnusable(folder=folder, because="two runs of this kit are of the same round")
    if any(time <= 0 for run in runs for time in _times_ns(run)):
        raise RunsUnusable(folder=folder, because="a time is not above 0: the clock stepped, or the file was edited")


def _times_ns(run: Run) -> tuple[int, ...]:
    start = tuple(each for each in (run.load_ns, run.process_ns) if each is not None)
    return (*start, run.first_ns, *run.warmup_ns, *run.samples_ns)


def _first(error: Exception) -> str:
    return first_problem(error) if isinstance(error, ValidationError) else str(error)
