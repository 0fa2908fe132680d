"""Whether a kit can run on this machine, told by the kit itself before it is raced dozens of times."""

from __future__ import annotations

import shlex

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.board import BoardError
from edgecnn.errors.host import RunnerFailed
from edgecnn.hosts.protocol import Task
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab

ENGINE = ("build", "engine.plan")
"""Where a device leaves the engine that it builds of a kit."""
LEASE_S = 300.0


def has_engine(kit: KitRef) -> bool:
    """Whether the engine that a device built of it lies in its folder."""
    return kit.folder.joinpath(*ENGINE).is_file()


def why_not_runnable(kit: KitRef, lab: Lab) -> str | None:
    """A sentence where this machine lacks what the kit needs, or the kit does not survive its own test; None where it runs.

    Raises:
        RunnerFailed: the kit's files are not what was packaged: nothing about it may be concluded.
    """
    if kit.manifest.get("engine") is not None and not has_engine(kit):
        build = f"cd {shlex.quote(str(kit.folder))} && python3 -m runner build-engine --out build"
        return f"{kit.candidate.id} needs an engine, which only the GPU that runs it can build — {build}"
    try:
        lab.host.run(Task(kit.folder, "selftest"), lease_s=LEASE_S, tell=lab.tell)
    except RunnerFailed as error:
        if error.ref.startswith(("kit-file-", "outside-the-kit", "bad-manifest", "no-kit")):
            raise
        return error.line()
    except BoardError:
        raise
    except EdgecnnError as error:
        return error.line()
    return None
