"""Read runs that a device measured on its own (``python3 -m runner measure``) as the profile of one kit.

They come from another machine and are not trusted: each run must be finished and belong to the requested kit, and all runs must
have the same conditions and different rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from edgecnn.errors.measuring import RUNS_UNUSABLE, RunsUnusable
from edgecnn.hosts.wire import Unusable, parsed
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import changed_between, first_difference, joined_environment
from edgecnn.measure.race import no_meter
from edgecnn.measure.run_file import read_run, run_of
from edgecnn.runner.bundle import ENERGY, MACHINE
from edgecnn.runner.files import JSON_BYTES_MAX, bounded_content, sha256_of
from edgecnn.runner.runs.schedule import RESULT
from edgecnn.values.base import utc_moment
from edgecnn.values.profile import Environment, Profile, Run


class DeviceEnergy(NamedTuple):
    """Energy runs of one kit, or why there are none."""

    runs: tuple[Run, ...]
    absent: str | None


def profile_of_runs(folder: Path, kit: KitRef, device: str) -> Profile:
    """Return the profile of one kit's runs in a folder of run files.

    ``folder``: ``measured`` of a bundle, copied back from the device. ``kit``: the requested kit; runs of other kits are ignored.
    Raises RunsUnusable: there are none, one failed, was edited or is not a run file, or the machine changed between them.
    """
    read = [_read(path) for path in sorted(folder.glob("run-*.json"))]
    _refuse_edited(folder)
    mine = [run for run in read if run.get("kit") == kit.digest]
    if not mine:
        others = f"it has {len(read)} runs of other kits" if read else "there is no run-*.json"
        raise RUNS_UNUSABLE(folder=folder, because=f"no run of {kit.candidate.id} (kit {kit.digest[:12]}): {others}")
    if (broken := next((run["error"] for run in mine if "error" in run), None)) is not None:
        raise RUNS_UNUSABLE(folder=folder, because=f"a run of {kit.candidate.id} ended in an error: {broken.get('what')}")
    _refuse_other_knobs(folder, kit, mine)
    environment, runs = joined_environment(mine), tuple(run_of(run) for run in mine)
    if (changed := changed_between(mine)) is not None:
        raise RUNS_UNUSABLE(folder=folder, because=f"the machine changed between its runs: {changed}")
    if len({run.round for run in runs}) < len(runs):
        raise RUNS_UNUSABLE(folder=folder, because="two runs of this kit have the same round")
    last_started = max(utc_moment(run.started_at) for run in runs)
    return Profile(
        what="race",
        subject=kit.digest,
        device=device,
        host=environment.conditions.get("cpu", "an unnamed machine"),
        environment=environment,
        fidelity=environment.fidelity,
        observed_at=min(last_started, datetime.now(UTC)).isoformat(timespec="seconds"),  # the device's clock may be ahead
        knobs=kit.knobs.options,
        race=f"imported-{kit.digest[:16]}",
        purpose="against",
        runs=runs,
    )


def companions_of(folder: Path, kit: KitRef) -> int:
    """Return how many other kits ran between this one's processes."""
    kits = {str(_read(path).get("kit")) for path in folder.glob("run-*.json")}
    return len(kits - {kit.digest})


def energy_of_runs(folder: Path, kit: KitRef, timed: Profile) -> DeviceEnergy:
    """Return the energy runs that were made with the timed runs. Latency is valid without them, so a problem becomes a reason.

    ``folder``: as in ``profile_of_runs``.
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
        machine = Environment.model_validate_json(bounded_content(folder / MACHINE, JSON_BYTES_MAX))
    except (OSError, ValidationError):
        return f"there are no energy runs, and no {MACHINE} with the reason"
    return f"no meter could be read there: {no_meter(machine)}"


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return read_run(path)
    except Unusable as error:
        raise RUNS_UNUSABLE(folder=path.parent, because=str(error)) from error


def _refuse_edited(folder: Path) -> None:
    """Compare each run with the digest that the runner noted; a folder of an interrupted call has no digests."""
    try:
        noted = dict(parsed(bounded_content(folder / RESULT, JSON_BYTES_MAX))["sha256"])
    except (OSError, Unusable, KeyError, TypeError, ValueError):
        return
    for path in sorted(folder.glob("run-*.json")):
        if noted.get(path.name) != sha256_of(path):
            raise RUNS_UNUSABLE(
                folder=folder, because=f"{path.name} differs from what its runner wrote ({RESULT}): it was edited"
            )


def _refuse_other_knobs(folder: Path, kit: KitRef, mine: Sequence[Mapping[str, Any]]) -> None:
    """Refuse runs with other knobs than the bundle's."""
    wanted = kit.knobs.options
    other = next((run["knobs"] for run in mine if run.get("knobs", {}) != wanted), None)
    if other is not None:
        made_with = _options_text(other)
        because = f"a run of {kit.candidate.id} was made with {made_with}, but its bundle uses {_options_text(wanted)}"
        raise RUNS_UNUSABLE(folder=folder, because=because)


def _options_text(options: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(options.items())) or "no knobs"
