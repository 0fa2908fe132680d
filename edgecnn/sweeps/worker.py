"""What a machine of a cluster does for a sweep: makes one stage into its store, and from there to all."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.store import StoreFull, StoreUnusable, TemporaryFolderFull
from edgecnn.runner.machine.environment import read_conditions
from edgecnn.store.disk import write_bytes_atomically
from edgecnn.store.failures import named_failures
from edgecnn.store.remote import Remote
from edgecnn.store.store import Store
from edgecnn.store.transfer import push
from edgecnn.store.wanted import StageInputs
from edgecnn.sweeps.tasks import StageTask
from edgecnn.sweeps.terms import Shared, Terms
from edgecnn.values.artifact import FoundInput
from edgecnn.values.stage import Role


@dataclass(frozen=True)
class Made:
    """How a task ended."""

    node: str = ""
    """Of the cluster, where it was made."""
    error: str | None = None
    elsewhere: bool = False
    """Whether the failure is that machine's, so that another may well make it."""


def make(task: StageTask, terms: Terms, roles: tuple[Role, ...] = (), *contents: bytes, node: str = "") -> Made:
    """Make a stage from what the stores hold, and hand it on; whatever goes wrong is answered, not raised.

    The machine may have joined after the others were asked about the ``terms``, or be another than then: it looks at them first.

    ``roles`` and ``contents``: those of its sources that lie in the asking machine's store, with their bytes.
    """
    try:
        if unmet := terms.unmet():
            return Made(node, "; ".join(unmet), elsewhere=True)
        return Made(node, _made(task, terms.shared, dict(zip(roles, contents, strict=True))))
    except (StoreFull, StoreUnusable, TemporaryFolderFull) as error:
        return Made(node, error.line(), elsewhere=True)
    except _InputAbsent as error:
        return Made(node, str(error), elsewhere=True)
    except EdgecnnError as error:
        return Made(node, error.line())
    except Exception as error:  # noqa: BLE001 - a build that makes the same by itself says what it is
        return Made(node, f"{type(error).__name__}: {error}")


def _made(task: StageTask, shared: Shared, sent: Mapping[Role, bytes]) -> str | None:
    """Why what was asked for is not where all find it; None where it is."""
    store, tell = shared.opened(), _Silent()
    with store.in_use.held():
        given = _found(task, sent, store, shared)
        made, _ = store.artifacts.obtain(task.stage, StageInputs(task.versions, given, read_conditions()), tell)
        if made.key != task.key:
            return f"{socket.gethostname()} made {task.stage.kind} {made.key[:12]} where {task.key[:12]} was asked for"
        left = () if store.remote is None else push(store, Remote(store.remote), tell, only=[task.entry]).left
    return "; ".join(f"{socket.gethostname()} did not hand on {each}" for each in left) or None


def _found(task: StageTask, sent: Mapping[Role, bytes], store: Store, shared: Shared) -> dict[Role, FoundInput]:
    found = dict[Role, FoundInput]()
    for role, key in task.stage.inputs.items():
        if role in task.sources:
            path = task.sources[role]
            if role in sent:
                path = store.root / path.relative_to(shared.root)
                if not path.is_file():
                    with named_failures(store.root, f"writing {role} for {task.name}"):
                        path.parent.mkdir(parents=True, exist_ok=True)
                        write_bytes_atomically(path, sent[role])
            found[role] = FoundInput(path=path, key=key, content=key)
            continue
        artifact = store.artifacts.of_key(task.made[role], key, _Silent())
        if artifact is None:
            raise _InputAbsent(f"{socket.gethostname()} finds {task.made[role]} {key[:12]} in no store")
        found[role] = artifact.given
    return found


class _InputAbsent(Exception):
    """What another machine made did not come here; a third may well get it."""


class _Silent:
    """Progress of a machine that nobody watches; what belongs into a record the store writes down by itself."""

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Nobody sees it."""

    def note(self, text: str) -> None:
        """Nobody sees it."""
