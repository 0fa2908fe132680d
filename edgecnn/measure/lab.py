"""The place of measuring (a host, its description, and the store), and when a stored observation is valid for it."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from edgecnn.hosts.protocol import Host
from edgecnn.measure.kits import KitRef
from edgecnn.store.store import Store
from edgecnn.values.profile import CONDITIONS_OF_A_SESSION, CONDITIONS_THAT_MUST_MATCH, MEDIANS, WORST, Environment, Profile
from edgecnn.values.stage import Progress


@dataclass(frozen=True)
class _Titled:
    """Progress of a runner, shown with the name of the measured kit."""

    tell: Progress
    title: str

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        self.tell.step(self.title, done, total, unit)

    def note(self, text: str) -> None:
        self.tell.note(text)


@dataclass(frozen=True)
class Lab:
    """Everything that is constant between the measurements of a build."""

    host: Host
    store: Store
    tell: Progress
    device: str
    """The device file that the host matches, or ``this machine``."""
    machine: str
    """Description of the machine."""
    environment: Environment
    """Conditions of the machine, without those that depend on a kit."""
    lane: str = ""
    """Distinguishes unfinished work of several boards. Empty: this machine."""
    warnings: tuple[str, ...] = ()
    """Problems of the host that affect figures, one sentence each."""

    @property
    def board(self) -> str | None:
        """The name of the machine in errors; None for this one."""
        return self.machine if self.lane else None

    def environment_of(self, kit: KitRef) -> Environment:
        """Return the environment that a run of this kit would record now: the machine's conditions, and the runtime's version."""
        versions = {
            "runtime": kit.runtime,
            "runtime_version": self.host.runtime_version(kit.runtime),
        }
        conditions = {name: value for name, value in versions.items() if value is not None}
        return self.environment.model_copy(update={"conditions": {**self.environment.conditions, **conditions}})

    def profile(self, kit: KitRef, environment: Environment, **fields: Any) -> Profile:
        """Return the profile of a new observation of a kit; ``fields``: fields of the profile, including ``what``."""
        about = {"device": self.device, "host": self.machine, "environment": environment, "fidelity": environment.fidelity}
        when = {"observed_at": datetime.now(UTC).isoformat(timespec="seconds")}
        return Profile(**{"subject": kit.digest, **about, **when, **fields})

    def doing(self, title: str) -> Lab:
        """Return this lab with another activity in its progress."""
        return replace(self, tell=_Titled(self.tell, title))


def same_conditions(stored: Environment, present: Environment) -> bool:
    """Whether all required conditions agree."""
    return first_difference(stored, present) is None


def first_difference(stored: Environment, present: Environment, names: Sequence[str] = CONDITIONS_THAT_MUST_MATCH) -> str | None:
    """Return one line with the first differing condition and both values, or None. Conditions unknown on both sides are equal."""
    for name in names:
        ours = present.conditions.get(name)
        theirs = stored.conditions.get(name)
        if ours != theirs:
            return f"{name} was {theirs or 'unknown'} then and is {ours or 'unknown'} now"
    return None


def changed_between(runs: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the first condition that differs between a kit's run files; None if one machine in one state ran all."""
    environments = [Environment.model_validate(run["environment"]) for run in runs]
    names = (*CONDITIONS_THAT_MUST_MATCH, *CONDITIONS_OF_A_SESSION)
    changes = (first_difference(environments[0], environment, names) for environment in environments[1:])
    return next((change for change in changes if change is not None), None)


_COUNTED = re.compile(r" \(\d+ times?\)$")


def joined_environment(runs: Sequence[Mapping[str, Any]]) -> Environment:
    """Return the first run's environment, with observations over all runs.

    Shares are medians over runs, as figures are; temperature is the highest; throttling includes the share of runs in which it
    happened. Values that no run could read are absent, and so is throttling if a run could not tell.

    ``runs``: parsed run files, at least one, with equal conditions.
    """
    first = Environment.model_validate(runs[0]["environment"])
    observed = [run["environment"]["observed"] for run in runs]
    over_all = {
        **_joined(observed, MEDIANS, statistics.median),
        **_joined(observed, WORST, max),
        **_throttled([readings.get("throttled") for readings in observed]),
    }
    unchanged = {name: value for name, value in first.observed.items() if name not in ("throttled", "throttled_percent")}
    return first.model_copy(update={"observed": {**unchanged, **over_all}})


def _joined(observed: Sequence[Mapping[str, str]], digits: Mapping[str, int], how: Any) -> dict[str, str]:
    by_name = {name: [float(readings[name]) for readings in observed if name in readings] for name in digits}
    return {name: f"{how(values):.{digits[name]}f}" for name, values in by_name.items() if values}


def _throttled(readings: Sequence[str | None]) -> dict[str, str]:
    known = [reading for reading in readings if reading is not None]
    if not readings or len(known) < len(readings):
        return {}
    causes = dict.fromkeys(_COUNTED.sub("", cause) for reading in known if reading != "no" for cause in reading.split(", "))
    share = sum(reading != "no" for reading in known) / len(known)
    return {"throttled": ", ".join(causes) or "no", "throttled_percent": f"{100 * share:.0f}"}
