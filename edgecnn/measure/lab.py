"""Where measuring happens (a host, what it is, where results are filed), and when a stored observation may speak for it."""

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
    """Progress of a runner, which knows only its own command, under the name of what is measured with it."""

    tell: Progress
    title: str

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        self.tell.step(self.title, done, total, unit)

    def note(self, text: str) -> None:
        self.tell.note(text)


@dataclass(frozen=True)
class Lab:
    """Everything that stays the same from one measurement of a build to the next."""

    host: Host
    store: Store
    tell: Progress
    device: str
    """The device file that the host matches, or ``this machine``."""
    machine: str
    """The concrete machine, for people."""
    environment: Environment
    """The machine's, without the conditions that only a kit decides."""
    lane: str = ""
    """What unfinished work of this host is told apart by: several boards work side by side. Empty: this machine."""
    warnings: tuple[str, ...] = ()
    """What was found on the host beforehand that spoils figures, a sentence each."""

    @property
    def board(self) -> str | None:
        """What an error calls the machine; None: it is this one."""
        return self.machine if self.lane else None

    def environment_of(self, kit: KitRef) -> Environment:
        """What a run of this kit would record on the host now: the machine's conditions, and its runtime's installed version."""
        versions = {
            "runtime": kit.runtime,
            "runtime_version": self.host.runtime_version(kit.runtime),
        }
        conditions = {name: value for name, value in versions.items() if value is not None}
        return self.environment.model_copy(update={"conditions": {**self.environment.conditions, **conditions}})

    def profile(self, kit: KitRef, environment: Environment, **fields: Any) -> Profile:
        """What was just observed of a kit here; ``fields``: fields of the profile, ``what`` among them."""
        about = {"device": self.device, "host": self.machine, "environment": environment, "fidelity": environment.fidelity}
        when = {"observed_at": datetime.now(UTC).isoformat(timespec="seconds")}
        return Profile(**{"subject": kit.digest, **about, **when, **fields})

    def doing(self, title: str) -> Lab:
        """This lab, whose progress says that it does this."""
        return replace(self, tell=_Titled(self.tell, title))


def same_conditions(stored: Environment, present: Environment) -> bool:
    """True when nothing that must match differs."""
    return first_difference(stored, present) is None


def first_difference(stored: Environment, present: Environment, names: Sequence[str] = CONDITIONS_THAT_MUST_MATCH) -> str | None:
    """One line that names the first differing condition and both values, or None. What neither could read does not differ."""
    for name in names:
        ours = present.conditions.get(name)
        theirs = stored.conditions.get(name)
        if ours != theirs:
            return f"{name}: then {theirs or 'unknown'}, now {ours or 'unknown'}"
    return None


def changed_between(runs: Sequence[Mapping[str, Any]]) -> str | None:
    """The first condition in which a kit's run file differs from its first one; None where one machine in one state ran all."""
    environments = [Environment.model_validate(run["environment"]) for run in runs]
    names = (*CONDITIONS_THAT_MUST_MATCH, *CONDITIONS_OF_A_SESSION)
    changes = (first_difference(environments[0], environment, names) for environment in environments[1:])
    return next((change for change in changes if change is not None), None)


_COUNTED = re.compile(r" \(\d+ times?\)$")


def joined_environment(runs: Sequence[Mapping[str, Any]]) -> Environment:
    """The first run's environment, with what was observed over all of them.

    Shares are medians over runs, since figures are too; heat is the worst that was seen; throttling is said with the share of
    runs in which it happened. What no run could read stays absent, and so does throttling where a run could not tell.

    ``runs``: run files as they were read, at least one, whose conditions agree.
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
