"""Latency as a race: fresh processes, interleaved, every raw sample kept.

Interleaving is what makes a ratio trustworthy on a machine whose speed drifts: runs of one round are neighbours in time.
The order inside a round is drawn anew, so that no kit always runs after the same other.
"""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from edgecnn.errors.host import RunnerFailed
from edgecnn.measure.conditions import same_conditions
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.base import Value
from edgecnn.values.key import digest_of
from edgecnn.values.profile import Environment, Profile, Run
from edgecnn.values.verdict import Fidelity

WARMUP_S = 0.3
RUN_TIMEOUT_S = 120.0
RUN_MAX_S = 5.0
"""A slow network gives fewer samples rather than a race of an hour; p99 is then said to be unsupported."""
Purpose = Literal["screen", "select", "report"]


class RaceRequest(Value):
    """Who races, how often, and what for."""

    kits: tuple[KitRef, ...]
    purpose: Purpose
    rounds: int
    samples: int
    max_age_h: float

    @property
    def identity(self) -> str:
        """The same for every race that asks the same question of the same kits."""
        kits = sorted(kit.digest for kit in self.kits)
        return digest_of({"kits": kits, "purpose": self.purpose, "rounds": self.rounds, "samples": self.samples})[:16]


class RaceResult(Value):
    """Profiles by kit digest, all of one race, and the kits that did not finish, with why."""

    race: str
    observed_at: str
    profiles: Mapping[str, Profile]
    failed: Mapping[str, str]
    reused: bool


def race(request: RaceRequest, lab: Lab) -> RaceResult:
    """A stored race that is fresh enough and was run under the same conditions, else a new one, filed kit by kit."""
    stored = stored_race(request, lab)
    if stored is not None:
        return stored
    items = _items(request)
    with lab.store.workspace("race", request.identity, lab.tell) as work:
        stored = stored_race(request, lab)  # another process may have finished while this one waited
        if stored is not None:
            return stored
        _drop_stale(work, request.max_age_h)
        schedule = work / "schedule.json"
        schedule.write_text(json.dumps({"schema": "edgecnn.schedule/1", "timeout_s": RUN_TIMEOUT_S, "items": items}, indent=1))
        argv = ["bench", "--schedule", str(schedule), "--out", str(work)]
        lab.host.run(request.kits[0].folder, argv, lease_s=2 * RUN_TIMEOUT_S, tell=lab.tell)
        return _filed(request, lab, work)


def stored_race(request: RaceRequest, lab: Lab) -> RaceResult | None:
    """The newest stored race of this question that is younger than ``max_age_h`` and holds every kit."""
    oldest = datetime.now(UTC) - timedelta(hours=request.max_age_h)
    by_kit = {kit.digest: lab.store.profiles.of(kit.digest, "race") for kit in request.kits}
    for first in by_kit[request.kits[0].digest]:
        name = first.profile.race or ""
        fresh = datetime.fromisoformat(first.profile.observed_at) >= oldest
        if not (name.startswith(request.identity) and fresh and same_conditions(first.profile.environment, lab.environment)):
            continue
        members = {digest: _member(stored, name) for digest, stored in by_kit.items()}
        found = {digest: profile for digest, profile in members.items() if profile is not None}
        if len(found) == len(members):
            return RaceResult(race=name, observed_at=first.profile.observed_at, profiles=found, failed={}, reused=True)
    return None


def _member(stored: Sequence[StoredProfile], name: str) -> Profile | None:
    return next((entry.profile for entry in stored if entry.profile.race == name), None)


def _drop_stale(work: Path, max_age_h: float) -> None:
    """Runs that an interrupted race left behind are continued, unless they are older than a finished race may be."""
    oldest = datetime.now(UTC).timestamp() - max_age_h * 3600
    runs = list(work.glob("run-*.json"))
    if any(path.stat().st_mtime < oldest for path in runs):
        for path in runs:
            path.unlink()


def _items(request: RaceRequest) -> list[dict[str, Any]]:
    """The order inside a round is drawn, from a seed: only then is the signed-rank interval of a ratio exact."""
    items = []
    draw = random.Random(request.identity)
    for number in range(request.rounds):
        for position, kit in enumerate(draw.sample(request.kits, len(request.kits))):
            place = {"kit": str(kit.folder), "round": number, "position": position}
            items.append(
                {**place, "samples": request.samples, "warmup_s": WARMUP_S, "max_s": RUN_MAX_S, "knobs": {}, "trace": False}
            )
    return items


def _filed(request: RaceRequest, lab: Lab, work: Path) -> RaceResult:
    now = datetime.now(UTC)
    name = f"{request.identity}-{now:%Y%m%dT%H%M%S}"
    observed_at = now.isoformat(timespec="seconds")
    runs = [json.loads(path.read_text()) for path in sorted(work.glob("run-*.json"))]
    profiles: dict[str, Profile] = {}
    failed: dict[str, str] = {}
    for kit in request.kits:
        mine = [run for run in runs if run["kit"] == kit.digest]
        broken = next((run["error"] for run in mine if "error" in run), None)
        if broken is not None or not mine:
            failed[kit.digest] = broken["what"] if broken else "no run of it was recorded"
            continue
        profile = Profile(
            what="race",
            subject=kit.digest,
            device=lab.device,
            host=lab.machine,
            environment=_environment(mine),
            fidelity=Fidelity.MEASURED,
            observed_at=observed_at,
            race=name,
            purpose=request.purpose,
            runs=tuple(_run(run) for run in mine),
        )
        profiles[kit.digest] = lab.store.profiles.add(profile, {}).profile
    if not profiles:
        raise RunnerFailed(
            ref="race-without-runs", what="no kit finished its runs", because="; ".join(failed.values()), hint=None
        )
    return RaceResult(race=name, observed_at=observed_at, profiles=profiles, failed=failed, reused=False)


def _environment(runs: Sequence[Mapping[str, Any]]) -> Environment:
    """The first run's, with the median over runs of what else kept the processors busy."""
    environment = Environment.model_validate(runs[0]["environment"])
    busy = [float(seen) for run in runs if (seen := run["environment"]["observed"].get("others_percent"))]
    if not busy:
        return environment
    return environment.model_copy(
        update={"observed": {**environment.observed, "others_percent": f"{statistics.median(busy):.1f}"}}
    )


def _run(facts: Mapping[str, Any]) -> Run:
    return Run(**{name: facts[name] for name in Run.model_fields})
