"""Whether work on one kit succeeds on this machine, and whether the kit can run here at all, told by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import unknown_failure
from edgecnn.errors.hosts.board import BoardError
from edgecnn.errors.store import OF_THE_DISK
from edgecnn.errors.wording import shell_word
from edgecnn.hosts.protocol import Task
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab, same_conditions
from edgecnn.stages.package import SELF_TEST_LEASE_S
from edgecnn.store.failures import DISK_FAILURES
from edgecnn.values.artifact import Failed

ENGINE = ("build", "engine.plan")
"""Where a device leaves the engine that it builds of a kit."""
_LOG = logging.getLogger(__name__)
_ENDS_ONE = "this failure ends one candidate, and the others go on"
_DAMAGED = ("kit-file-", "outside-the-kit", "bad-manifest", "no-kit")

Made = TypeVar("Made")


def tried(work: Callable[[], Made], passing: tuple[str, ...] = ()) -> Made | Failed:
    """Return the result of the work, or how it failed, whatever it raised. ``--debug`` shows the traceback.

    ``passing``: how references of errors begin that are raised all the same.

    Raises BoardError: the board went away or is unfit, which says nothing of a kit. OSError, and ``OF_THE_DISK``: neither does a
    disk that is full or fails.
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
    """Kits of a finished bundle that fail their own self-test on this machine, and how.

    A kit that needs an engine, or whose runtime this machine lacks, cannot be tested here and is not among them. ``is_new``: the
    bundle was just written. In an older one a kit is tested again only where the machine's conditions changed since it passed.
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
    """Whether the engine that a device built of it lies in its folder."""
    return kit.folder.joinpath(*ENGINE).is_file()


def why_not_runnable(kit: KitRef, lab: Lab) -> Failed | None:
    """Why a kit does not run here: this machine lacks what it needs (``missing``), or it fails its own test. None if it runs.

    Raises RunnerFailed: the kit's files are not what was packaged: nothing about it may be concluded.
    """
    if kit.manifest.get("engine") is not None and not has_engine(kit):
        build = f"cd {shell_word(kit.folder)} && python3 -m runner build-engine --out build"
        instruction = f"{kit.candidate.id} needs an engine, which only the GPU that runs it can build — {build}"
        return Failed(ref="engine-not-built", what=instruction, missing=True)
    return why_test_fails(kit, lab, passing=_DAMAGED)


def why_test_fails(kit: KitRef, lab: Lab, words: tuple[str, ...] = (), passing: tuple[str, ...] = ()) -> Failed | None:
    """How the kit fails its own test of its golden logits, with these words of a command line; None if it passes."""
    tested = tried(lambda: lab.host.run(Task(kit.folder, "selftest", words), lease_s=SELF_TEST_LEASE_S, tell=lab.tell), passing)
    return tested if isinstance(tested, Failed) else None
