"""Whether a kit runs on a machine, by its self-test, and work on a kit whose failure ends only that kit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import unknown_failure
from edgecnn.errors.hosts import BoardError
from edgecnn.errors.store import OF_THE_DISK
from edgecnn.errors.wording import shell_word
from edgecnn.hosts.protocol import SELF_TEST_LEASE_S, Task
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab, same_conditions
from edgecnn.store.failures import DISK_FAILURES
from edgecnn.values.artifact import Failed

ENGINE = ("build", "engine.plan")
"""Path in a kit of the engine that a device builds."""
_LOG = logging.getLogger(__name__)
_ENDS_ONE = "this failure ends one candidate, and the others continue"
_DAMAGED = ("kit-file-", "outside-the-kit", "bad-manifest", "no-kit")

Made = TypeVar("Made")


def tried(work: Callable[[], Made], passing: tuple[str, ...] = ()) -> Made | Failed:
    """Return the result of the work, or how it failed. ``--debug`` shows the traceback.

    ``passing``: beginnings of references of errors that are raised.

    Raises:
        BoardError: the board went away or is unfit, which is no failure of a kit.
        OSError, OF_THE_DISK: the disk is full or fails, which is no failure of a kit either.
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
    """Kits of a finished bundle that fail their self-test on this machine, with the failure.

    A kit that needs an engine, or a runtime that is not installed, cannot be tested here and is not included. ``is_new``: the
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
    """Why a kit does not run here: the machine lacks a package (``missing``), or its self-test fails. None if it runs.

    Raises RunnerFailed: the kit's files were changed, so the result would say nothing.
    """
    if kit.manifest.get("engine") is not None and not has_engine(kit):
        build = f"cd {shell_word(kit.folder)} && python3 -m runner build-engine --out build"
        instruction = f"{kit.candidate.id} needs an engine, which only the GPU that runs it can build: {build}"
        return Failed(ref="engine-not-built", what=instruction, missing=True)
    return why_test_fails(kit, lab, passing=_DAMAGED)


def why_test_fails(kit: KitRef, lab: Lab, words: tuple[str, ...] = (), passing: tuple[str, ...] = ()) -> Failed | None:
    """How the kit fails its self-test with golden logits; None if it passes. ``words``: options of the command."""
    tested = tried(lambda: lab.host.run(Task(kit.folder, "selftest", words), lease_s=SELF_TEST_LEASE_S, tell=lab.tell), passing)
    return tested if isinstance(tested, Failed) else None
