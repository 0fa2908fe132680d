"""Latency baselines for boards and pinned runners: a file with every run of one kit, and the machine that made the runs.

A later build is judged against a baseline on the same machine. The records in ``baselines/`` are different files: they hold the
figures of reference GPUs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

import edgecnn
from edgecnn.devices.this_machine import contradiction
from edgecnn.errors.base import system_reason
from edgecnn.errors.comparing import NO_RECORDED_RACE, RECORDED_RACE_GONE, TOO_FEW_RUNS, latency_baseline_unreadable
from edgecnn.errors.measuring import RUNS_UNUSABLE
from edgecnn.errors.usage import RESULT_FILE_UNWRITABLE
from edgecnn.errors.wording import first_problem, shell_word
from edgecnn.judging.latency import latency
from edgecnn.judging.resources import energy
from edgecnn.measure.device_runs import DeviceEnergy, companions_of, energy_of_runs, profile_of_runs
from edgecnn.measure.run_file import impossible
from edgecnn.results.origin import reported_race
from edgecnn.results.shipped import ShippedKit, shipped_kit
from edgecnn.runner.causes import cause_in
from edgecnn.runner.files import bounded_content
from edgecnn.runner.runs.figures import RUNS_NEEDED
from edgecnn.store.disk import write_text_atomically
from edgecnn.store.store import Store
from edgecnn.values.base import another_schema
from edgecnn.values.figures import Energy
from edgecnn.values.profile import EMULATED_TIMES, Profile
from edgecnn.values.report import Latency, LatencyBaseline, PinnedBuild, sealed_digest

_ROUNDS = 8
"""Number of processes that is advised if there are too few: one more than an interval needs."""

_BYTES_MAX = 256 << 20
"""Size of the largest baseline that is read, about 10 million samples."""

_SAME_KIT = "pass files of the same kit, recorded on different days"


def recorded_baseline(folder: Path, store: Store, candidate: str | None = None) -> LatencyBaseline:
    """Return the baseline of a finished build, from its last race.

    Raises:
        NO_RECORDED_RACE: the candidate was never raced.
        RECORDED_RACE_GONE: the store no longer holds the runs.
        TOO_FEW_RUNS: a baseline needs more runs.
        NoBuildToCompare, BundleUnreadable, KitNotCarried: see ``shipped_kit``.
    """
    shipped = shipped_kit(folder, candidate)
    row, name = shipped.row, shipped.kit.candidate.id
    if row is None or row.latency is None or not row.latency.runs:
        because = (row.latency.reason if row and row.latency else None) or f"{folder} has no report that this version can read"
        raise NO_RECORDED_RACE(candidate=name, because=because)
    profile = reported_race(store, shipped.kit.digest, row.latency.observed_at)
    if profile is None:
        raise RECORDED_RACE_GONE(candidate=name, store=store.root, observed_at=row.latency.observed_at)
    context = _RaceContext(companions=_companion_count(shipped, profile, store), energy=_recorded_energy(shipped, store))
    return _baseline(shipped, profile, row.latency.machine, context)


def imported_baseline(folder: Path, runs: Path, candidate: str | None = None) -> LatencyBaseline:
    """Return the baseline of runs that ``python3 -m runner measure`` made on a device.

    Raises:
        RunsUnusable: see ``runs_of``.
        TOO_FEW_RUNS: a baseline needs more runs.
        NoBuildToCompare, BundleUnreadable, KitNotCarried: see ``shipped_kit``.
    """
    shipped = shipped_kit(folder, candidate)
    profile = runs_of(shipped, runs)
    context = _RaceContext(companions=companions_of(runs, shipped.kit), energy=energy_of_runs(runs, shipped.kit, profile))
    return _baseline(shipped, profile, profile.host, context)


def runs_of(shipped: ShippedKit, folder: Path) -> Profile:
    """Return the runs of this kit that a device measured, from a folder.

    Raises RunsUnusable: see ``profile_of_runs``; or the runs are from another machine than the device, or from an emulator.
    """
    device = shipped.device
    profile = profile_of_runs(folder, shipped.kit, "an unnamed device" if device is None else device.name)
    because = None if device is None else contradiction(device, profile.environment)
    if because is None and not profile.environment.timed:
        because = f"the runs were made on {profile.environment.conditions['emulator']}, and {EMULATED_TIMES}"
    if because is not None:
        raise RUNS_UNUSABLE(folder=folder, because=because)
    return profile


Sealed = TypeVar("Sealed", LatencyBaseline, PinnedBuild)


def sealed(record: Sealed) -> Sealed:
    """Return the record with the digest of its content."""
    return record.model_copy(update={"sha256": sealed_digest(record.model_dump(mode="json", by_alias=True))})


def write_record(record: LatencyBaseline | PinnedBuild, path: Path) -> None:
    """Write the file of a baseline or a pinned build atomically.

    Raises RESULT_FILE_UNWRITABLE: the file cannot be written.
    """
    try:
        write_text_atomically(path, record.model_dump_json(indent=1, by_alias=True) + "\n")
    except OSError as error:
        raise RESULT_FILE_UNWRITABLE(option="--out", path=path, because=system_reason(error)) from error


def read_baseline(path: Path) -> LatencyBaseline:
    """Read a baseline.

    Raises LATENCY_BASELINE_UNREADABLE: the file cannot be read or has another schema, its content does not match its digest, or
    a run is impossible.
    """
    try:
        content = bounded_content(path, _BYTES_MAX)
        baseline = LatencyBaseline.model_validate_json(content)
    except OSError as error:
        raise latency_baseline_unreadable(path=path, because=system_reason(error)) from error
    except ValidationError as error:
        if (cause := cause_in(content, path)) is not None:
            raise latency_baseline_unreadable(path=path, because=cause.why, hint=cause.fix) from error
        if _is_pin(content):
            hint = f"edgecnn judge HEAD --against {shell_word(path)} races a build against it"
            because = "it is the record of a pinned build, which has no runs"
            raise latency_baseline_unreadable(path=path, because=because, hint=hint) from error
        if (other := another_schema(content, LatencyBaseline.model_fields["schema_"].default)) is not None:
            raise latency_baseline_unreadable(path=path, because=other) from error
        raise latency_baseline_unreadable(path=path, because=first_problem(error)) from error
    if baseline.sha256 != sealed_digest(json.loads(content)):
        raise latency_baseline_unreadable(path=path, because="it was edited: its content does not match its sha256")
    if (why := next(filter(None, map(impossible, (*baseline.runs, *baseline.energy_runs))), None)) is not None:
        raise latency_baseline_unreadable(path=path, because=why)
    return baseline


def read_days(paths: Sequence[Path]) -> list[LatencyBaseline]:
    """Read baselines of one kit that were recorded on different days, and return them in order of date.

    Raises LATENCY_BASELINE_UNREADABLE: a baseline cannot be read, is of another kit, of the same day as another, or emulated.
    """
    days = sorted(((read_baseline(path), path) for path in paths), key=lambda row: row[0].observed_at)
    if (emulated := next((path for baseline, path in days if not baseline.environment.timed), None)) is not None:
        raise latency_baseline_unreadable(path=emulated, because=EMULATED_TIMES)
    for (before, first), (after, then) in pairwise(days):
        if before.shipped.kit != after.shipped.kit:
            raise latency_baseline_unreadable(path=then, because=f"it is of another kit than {first}", hint=_SAME_KIT)
        if before.observed_at[:10] == after.observed_at[:10]:
            because = f"it was recorded on {after.observed_at[:10]}, as {first} was"
            raise latency_baseline_unreadable(path=then, because=because, hint=_SAME_KIT)
    return [baseline for baseline, _ in days]


def _is_pin(content: bytes) -> bool:
    try:
        return str(json.loads(content)["schema"]).startswith("edgecnn.pinned-build/")
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def race_profile(baseline: LatencyBaseline) -> Profile:
    """Return the runs of a baseline as a race profile of one kit."""
    return Profile(
        what="race",
        subject=baseline.shipped.kit,
        device=baseline.shipped.device or "",
        host=baseline.machine,
        environment=baseline.environment,
        fidelity=baseline.environment.fidelity,
        observed_at=baseline.observed_at,
        knobs=baseline.shipped.knobs.options,
        runs=baseline.runs,
    )


def figures_of(baseline: LatencyBaseline) -> Latency:
    """Return the latency of a baseline."""
    return latency(race_profile(baseline), machine=baseline.machine)


def energy_figures_of(baseline: LatencyBaseline) -> Energy:
    """Return the energy of a baseline, or why it is missing."""
    if not baseline.energy_runs:
        return Energy(reason=baseline.energy_absent or "the file holds no energy runs", machine=baseline.machine)
    profile = race_profile(baseline).model_copy(update={"runs": baseline.energy_runs})
    return energy(profile, machine=baseline.machine)


class _RaceContext(NamedTuple):
    """Facts of a race in addition to its runs."""

    companions: int
    """Number of other kits that ran between the kit's processes."""
    energy: DeviceEnergy


def _recorded_energy(shipped: ShippedKit, store: Store) -> DeviceEnergy:
    measured = None if shipped.row is None else shipped.row.energy
    if measured is None or not measured.runs:
        return DeviceEnergy((), measured.reason if measured else "the build measured none")
    profiles = (entry.profile for entry in store.profiles.of(shipped.kit.digest, "race") if entry.profile.purpose == "energy")
    profile = next((entry for entry in profiles if entry.observed_at == measured.observed_at), None)
    absent = f"the store {store.root} does not hold the runs of {measured.observed_at}"
    return DeviceEnergy((), absent) if profile is None else DeviceEnergy(profile.runs, None)


def _companion_count(shipped: ShippedKit, profile: Profile, store: Store) -> int:
    """Return how many other kits of the build were in this race, including those that did not finish."""
    others = {row.kit for row in shipped.report.candidates if row.kit} if shipped.report else set()
    raced = (store.profiles.of(kit, "race") for kit in others - {shipped.kit.digest})
    return sum(any(entry.profile.race == profile.race for entry in stored) for stored in raced)


def _baseline(shipped: ShippedKit, profile: Profile, machine: str, context: _RaceContext) -> LatencyBaseline:
    facts = shipped.facts.model_copy(update={"observed_at": profile.observed_at})
    if len(profile.runs) < RUNS_NEEDED:
        raise TOO_FEW_RUNS(candidate=facts.candidate.id, timed=len(profile.runs), needed=RUNS_NEEDED, rounds=_ROUNDS)
    made = LatencyBaseline(
        version=edgecnn.__version__,
        shipped=facts,
        machine=machine,
        environment=profile.environment,
        observed_at=profile.observed_at,
        runs=profile.runs,
        energy_runs=context.energy.runs,
        energy_absent=context.energy.absent,
        companions=context.companions,
        origin=shipped.origin,
    )
    return sealed(made)
