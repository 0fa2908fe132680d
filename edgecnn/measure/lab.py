"""The lab: where kits are measured (a host, its description, and the store), and whether a kit runs there."""

from __future__ import annotations

import logging
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import unknown_failure
from edgecnn.errors.hosts import BoardError
from edgecnn.errors.store import OF_THE_DISK
from edgecnn.errors.wording import shell_word
from edgecnn.hosts.protocol import SELF_TEST_LEASE_S, Host, Task
from edgecnn.measure.kits import KitRef
from edgecnn.store.failures import DISK_FAILURES
from edgecnn.store.store import Store
from edgecnn.values.artifact import Failed
from edgecnn.values.profile import CONDITIONS_OF_A_SESSION, CONDITIONS_THAT_MUST_MATCH, MEDIANS, WORST, Environment, Profile
from edgecnn.values.stage import Progress


@dataclass(frozen=True)
class _Titled:
    """Progress of a runner under a fixed title."""

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
    """Suffix that separates the unfinished work of several boards; empty for this machine."""
    warnings: tuple[str, ...] = ()
    """Problems of the host that affect figures, one sentence each."""

    @property
    def board(self) -> str | None:
        """The name of the board in errors; None for this machine."""
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
        """Return this lab with another title in its progress."""
        return replace(self, tell=_Titled(self.tell, title))


def same_conditions(stored: Environment, present: Environment) -> bool:
    """Whether all conditions that must match are equal."""
    return first_difference(stored, present) is None


def first_difference(stored: Environment, present: Environment, names: Sequence[str] = CONDITIONS_THAT_MUST_MATCH) -> str | None:
    """Return a sentence on the first differing condition, or None. Conditions unknown on both sides are equal."""
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

    Shares are medians over runs, like figures. The temperature is the highest. Throttling includes the share of runs in which it
    happened. Values that no run could read are absent; so is throttling if a run could not read it.

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


ENGINE = ("build", "engine.plan")
"""Path, inside a kit, of the engine that a device builds."""
_LOG = logging.getLogger(__name__)
_ENDS_ONE = "this failure ends one candidate, and the others continue"
_DAMAGED = ("kit-file-", "outside-the-kit", "bad-manifest", "no-kit")

Made = TypeVar("Made")


def tried(work: Callable[[], Made], passing: tuple[str, ...] = ()) -> Made | Failed:
    """Return the result of ``work``, or how it failed. ``--debug`` shows the traceback.

    ``passing``: prefixes of the references of errors that are raised instead of returned.

    Raises:
        BoardError: the board is gone or unfit, which is not a failure of the kit.
        OSError, OF_THE_DISK: the disk is full or fails, which is not a failure of the kit either.
    """
    try:
        return work()
    except (BoardError, *OF_THE_DISK):
        raise
    except EdgecnnError as error:
        if passing and error.ref.startswith(passing):
            raise
        _LOG.debug(_ENDS_ONE, exc_info=True)
        return Failed.of(error)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FAILURES:
            raise
        _LOG.debug(_ENDS_ONE, exc_info=True)
        return Failed.of(unknown_failure(error=error))


def kits_that_fail(bundle: Path, kits: Mapping[str, KitRef], lab: Lab, *, is_new: bool) -> dict[str, Failed]:
    """Return the failures of a bundle's kits in their self-test on this machine, by name.

    Kits that need an engine, or a runtime that is not installed, cannot be tested here and are skipped. ``is_new``: whether the
    bundle was just written. A kit of an older bundle is tested again only if the machine changed since it passed.
    """
    failures: dict[str, Failed] = {}
    for name, kit in kits.items():
        knobs, present = kit.knobs.options, lab.environment_of(kit)
        passed = (stored.profile for stored in lab.store.profiles.of(kit.digest, "selftest") if stored.profile.knobs == knobs)
        is_known = not is_new and any(same_conditions(profile.environment, present) for profile in passed)
        if is_known or kit.manifest.get("engine") is not None:
            continue
        lab.tell.note(f"self-test of {name} in the bundle")
        try:
            lab.host.run(Task(bundle / "kits" / name, "selftest"), lease_s=SELF_TEST_LEASE_S, tell=lab.tell)
        except OF_THE_DISK:
            raise
        except EdgecnnError as error:
            failed = Failed.of(error)
            if not failed.missing:
                failures[name] = failed
        else:
            lab.store.profiles.add(lab.profile(kit, present, what="selftest", knobs=knobs))
    return failures


def has_engine(kit: KitRef) -> bool:
    """Whether the kit's folder holds an engine that a device built."""
    return kit.folder.joinpath(*ENGINE).is_file()


def why_not_runnable(kit: KitRef, lab: Lab) -> Failed | None:
    """Return why a kit does not run here: something is missing (``missing``), or its self-test fails. None if it runs.

    Raises RunnerFailed: the kit's files were changed, so that the result would be meaningless.
    """
    if kit.manifest.get("engine") is not None and not has_engine(kit):
        build = f"cd {shell_word(kit.folder)} && python3 -m runner build-engine --out build"
        instruction = f"{kit.candidate.id} needs an engine, which only the GPU that runs it can build: {build}"
        return Failed(ref="engine-not-built", what=instruction, missing=True)
    return why_test_fails(kit, lab, passing=_DAMAGED)


def why_test_fails(kit: KitRef, lab: Lab, words: tuple[str, ...] = (), passing: tuple[str, ...] = ()) -> Failed | None:
    """Return how the kit fails its self-test with golden logits; None if it passes. ``words``: options of the command."""
    task = Task(kit.folder, "selftest", words, made_here=kit.made_here)
    tested = tried(lambda: lab.host.run(task, lease_s=SELF_TEST_LEASE_S, tell=lab.tell), passing)
    return tested if isinstance(tested, Failed) else None
