"""Latency baselines for boards and pinned runners: every run of one kit in a file, with the machine that made them.

They are not the records of ``baselines/``, which say what reference GPUs did with a network: against these, a later build of the
same machine is judged.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

import edgecnn
from edgecnn.building.contenders import Side, side_of
from edgecnn.building.publish import write_text_atomically
from edgecnn.building.reported_race import reported_race
from edgecnn.errors.ci import ResultFileUnwritable
from edgecnn.errors.comparing import LatencyBaselineUnreadable, NoRecordedRace
from edgecnn.errors.measuring import RunsUnusable
from edgecnn.judging.latency import RUNS_NEEDED, latency
from edgecnn.measure.run_files import companions_of, profile_of_runs
from edgecnn.store.store import Store
from edgecnn.values.comparison import LatencyBaseline
from edgecnn.values.key import digest_of
from edgecnn.values.profile import Profile
from edgecnn.values.report import Latency
from edgecnn.values.verdict import Fidelity

_MORE_PROCESSES = (
    "time more of them: python3 -m runner measure ../.. --rounds 8 on the device, or, of a build here, "
    "the same build command with --set race.rounds=8"
)


def recorded(folder: Path, store: Store, candidate: str | None = None) -> LatencyBaseline:
    """The baseline that a finished build's last race makes.

    Raises:
        NoRecordedRace: it was never raced, or the store no longer has the runs.
        NoBuildToCompare, BundleUnreadable, KitNotCarried: see ``side_of``.
    """
    side = side_of(folder, candidate)
    row, name = side.row, side.kit.candidate.id
    if row is None or row.latency is None or not row.latency.runs:
        because = (row.latency.reason if row and row.latency else None) or f"{folder} has no report that this version can read"
        hint = "runs that the device measured become a baseline with: edgecnn baseline import BUILD RUNS --out FILE"
        raise NoRecordedRace(candidate=name, because=because, hint=hint)
    profile = reported_race(store, side.kit.digest, row.latency.observed_at)
    if profile is None:
        because = f"the race of {row.latency.observed_at} is not in the store {store.root}"
        raise NoRecordedRace(candidate=name, because=because, hint="the same build command races again")
    return _baseline(side, profile, row.latency.machine, _companions(side, profile, store))


def imported(folder: Path, runs: Path, candidate: str | None = None) -> LatencyBaseline:
    """The baseline that runs of a device make, measured there by ``python3 -m runner measure`` and copied back.

    Raises:
        RunsUnusable: see ``runs_of``.
        NoBuildToCompare, BundleUnreadable, KitNotCarried: see ``side_of``.
    """
    side = side_of(folder, candidate)
    profile = runs_of(side, runs)
    return _baseline(side, profile, profile.host, companions_of(runs, side.kit))


def runs_of(side: Side, folder: Path) -> Profile:
    """What a device measured of this side's kit, read out of the folder that it was copied back to.

    Raises:
        RunsUnusable: see ``profile_of_runs``; and where the machine that ran is not even of the device's architecture.
    """
    device = side.device
    profile = profile_of_runs(folder, side.kit, "an unnamed device" if device is None else device.name)
    ran_on = profile.environment.observed.get("architecture")
    if device is not None and device.processor.architecture != "any" and ran_on not in (None, device.processor.architecture):
        because = f"they were made on {ran_on}, and {device.name} is {device.processor.architecture}"
        raise RunsUnusable(folder=folder, because=because)
    return profile


def write_baseline(baseline: LatencyBaseline, path: Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        ResultFileUnwritable: it cannot be written.
    """
    try:
        write_text_atomically(path, baseline.model_dump_json(indent=1, by_alias=True) + "\n")
    except OSError as error:
        raise ResultFileUnwritable(option="--out", path=path, because=error.strerror or str(error)) from error


def read_baseline(path: Path) -> LatencyBaseline:
    """A baseline as it was written.

    Raises:
        LatencyBaselineUnreadable: it cannot be read, is of another schema, or its content is not what its digest says.
    """
    try:
        baseline = LatencyBaseline.model_validate_json(path.read_bytes())
    except OSError as error:
        raise LatencyBaselineUnreadable(path=path, because=error.strerror or str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise LatencyBaselineUnreadable(path=path, because=f"{where}: {first['msg']}" if where else first["msg"]) from error
    if baseline.sha256 != _digest(baseline):
        raise LatencyBaselineUnreadable(path=path, because="it was edited: its content is not what its sha256 says")
    return baseline


def as_profile(baseline: LatencyBaseline) -> Profile:
    """The baseline's runs as a race profile of one kit."""
    return Profile(
        what="race",
        subject=baseline.contender.kit,
        device=baseline.contender.device or "",
        host=baseline.machine,
        environment=baseline.environment,
        fidelity=Fidelity.MEASURED,
        observed_at=baseline.observed_at,
        runs=baseline.runs,
    )


def figures_of(baseline: LatencyBaseline) -> Latency:
    """What its runs say."""
    return latency(as_profile(baseline), machine=baseline.machine)


# ---------------------------------------------------------------------------------------------------------------------


def _companions(side: Side, profile: Profile, store: Store) -> int:
    """Kits of the same build that ran in this race beside this one, those included that did not finish."""
    others = {row.kit for row in side.report.candidates if row.kit} if side.report else set()
    raced = (store.profiles.of(kit, "race") for kit in others - {side.kit.digest})
    return sum(any(entry.profile.race == profile.race for entry in stored) for stored in raced)


def _baseline(side: Side, profile: Profile, machine: str, companions: int) -> LatencyBaseline:
    contender = side.contender.model_copy(update={"observed_at": profile.observed_at})
    if len(profile.runs) < RUNS_NEEDED:
        because = f"{len(profile.runs)} processes were timed, and an interval needs {RUNS_NEEDED}"
        raise NoRecordedRace(candidate=contender.candidate.id, because=because, hint=_MORE_PROCESSES)
    made = LatencyBaseline(
        version=edgecnn.__version__,
        contender=contender,
        machine=machine,
        environment=profile.environment,
        observed_at=profile.observed_at,
        runs=profile.runs,
        companions=companions,
        origin=side.origin,
    )
    return made.model_copy(update={"sha256": _digest(made)})


def _digest(baseline: LatencyBaseline) -> str:
    """A file of before companions were counted keeps its digest."""
    unknown = {"companions"} if baseline.companions is None else set()
    return digest_of(baseline.model_dump(mode="json", by_alias=True, exclude={"sha256", *unknown}))
