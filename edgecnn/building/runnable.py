"""Whether work on one kit succeeds on this machine, and whether the kit can run here at all, told by itself."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TypeVar

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts.board import BoardError
from edgecnn.hosts.protocol import Task
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.values.artifact import Failed

ENGINE = ("build", "engine.plan")
"""Where a device leaves the engine that it builds of a kit."""
LEASE_S = 300.0
_DAMAGED = ("kit-file-", "outside-the-kit", "bad-manifest", "no-kit")

Made = TypeVar("Made")


def tried(work: Callable[[], Made], passing: tuple[str, ...] = ()) -> Made | Failed:
    """What the work gives, or how it failed: the others go on.

    ``passing``: how references of errors begin that are raised all the same.

    Raises BoardError: the board went away or is unfit, which says nothing of a kit.
    """
    try:
        return work()
    except BoardError:
        raise
    except EdgecnnError as error:
        if passing and error.ref.startswith(passing):
            raise
        return Failed.of(error)


def has_engine(kit: KitRef) -> bool:
    """Whether the engine that a device built of it lies in its folder."""
    return kit.folder.joinpath(*ENGINE).is_file()


def why_not_runnable(kit: KitRef, lab: Lab) -> str | None:
    """A sentence where this machine lacks what the kit needs, or the kit does not survive its own test; None where it runs.

    Raises RunnerFailed: the kit's files are not what was packaged: nothing about it may be concluded.
    """
    if kit.manifest.get("engine") is not None and not has_engine(kit):
        build = f"cd {shlex.quote(str(kit.folder))} && python3 -m runner build-engine --out build"
        return f"{kit.candidate.id} needs an engine, which only the GPU that runs it can build — {build}"
    return why_test_fails(kit, lab, passing=_DAMAGED)


def why_test_fails(kit: KitRef, lab: Lab, words: tuple[str, ...] = (), passing: tuple[str, ...] = ()) -> str | None:
    """The kit's own test of its golden answers, with these words of a command line; None where it passes."""
    tested = tried(lambda: lab.host.run(Task(kit.folder, "selftest", words), lease_s=LEASE_S, tell=lab.tell), passing)
    return tested.what if isinstance(tested, Failed) else None
