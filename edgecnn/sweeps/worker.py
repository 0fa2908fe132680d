"""What a machine of a cluster does for a sweep: says what it is, and makes one stage into its store and from there to all."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import edgecnn
from edgecnn.backends.installed import installed_version
from edgecnn.errors.base import EdgecnnError
from edgecnn.runner.machine.environment import read_conditions
from edgecnn.stages.package import runner_digest
from edgecnn.store.disk import write_bytes_atomically
from edgecnn.store.remote import Remote
from edgecnn.store.store import Store
from edgecnn.store.transfer import push
from edgecnn.store.wanted import StageInputs
from edgecnn.sweeps.tasks import StageTask
from edgecnn.values.artifact import FoundInput
from edgecnn.values.stage import Role


@dataclass(frozen=True)
class Shared:
    """The store through which all machines of a cluster hand on what they made."""

    root: Path
    """Of the store of the machine that asks. Where others see it too, as over a network folder, it is theirs."""
    remote: str | None
    """URL of a store afar, for machines with a store of their own."""
    token: str
    """Name of a file in ``root`` by which a machine knows that it sees the same folder."""

    @property
    def seen(self) -> bool:
        """Whether this machine sees that very folder, and is not told to use another."""
        own = os.environ.get("EDGECNN_STORE")
        return own in (None, "", str(self.root)) and (self.root / self.token).is_file()

    def opened(self) -> Store:
        """This machine's store. Raises StoreUnusable."""
        return Store(Store.open(self.root if self.seen else None).layout, None if self.seen else self.remote)


@dataclass(frozen=True)
class WorkerFacts:
    """One machine of a cluster, by itself."""

    host: str
    edgecnn: str
    python: str
    runner_sha256: str
    versions: Mapping[str, str | None]
    """Of the distributions that were asked for."""
    shares_store: bool
    unread: tuple[str, ...]
    """Paths of those asked for that it cannot read."""


@dataclass(frozen=True)
class Made:
    """How a task ended."""

    node: str = ""
    """Of the cluster, where it was made."""
    error: str | None = None


def look(distributions: tuple[str, ...], paths: tuple[Path, ...], shared: Shared) -> WorkerFacts:
    """Say what this machine is and sees."""
    return WorkerFacts(
        host=socket.gethostname(),
        edgecnn=edgecnn.__version__,
        python=platform.python_version(),
        runner_sha256=runner_digest(),
        versions={name: installed_version(name) for name in distributions},
        shares_store=shared.seen,
        unread=tuple(str(path) for path in paths if not os.access(path, os.R_OK)),
    )


def make(task: StageTask, shared: Shared, roles: tuple[Role, ...] = (), *contents: bytes, node: str = "") -> Made:
    """Make a stage from what the stores hold, and hand it on; whatever goes wrong is answered, not raised.

    ``roles`` and ``contents``: those of its sources that lie in the asking machine's store, with their bytes.
    """
    try:
        store, tell = shared.opened(), _Silent()
        with store.in_use.held():
            given = _found(task, dict(zip(roles, contents, strict=True)), store, shared)
            store.artifacts.obtain(task.stage, StageInputs(task.versions, given, read_conditions()), tell)
        if store.remote is not None:
            push(store, Remote(store.remote), tell, only=[task.entry])
    except EdgecnnError as error:
        return Made(node, error.line())
    except Exception as error:  # noqa: BLE001 - a build that makes the same by itself says what it is
        return Made(node, f"{type(error).__name__}: {error}")
    return Made(node)


def _found(task: StageTask, sent: Mapping[Role, bytes], store: Store, shared: Shared) -> dict[Role, FoundInput]:
    found = dict[Role, FoundInput]()
    for role, key in task.stage.inputs.items():
        if role in task.sources:
            path = task.sources[role]
            if role in sent:
                path = store.root / path.relative_to(shared.root)
                if not path.is_file():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_bytes_atomically(path, sent[role])
            found[role] = FoundInput(path=path, key=key, content=key)
            continue
        artifact = store.artifacts.of_key(task.made[role], key, _Silent())
        if artifact is None:
            raise FileNotFoundError(f"no store has {task.made[role]} {key[:12]}")
        found[role] = artifact.given
    return found


@dataclass
class _Silent:
    notes: list[str] = field(default_factory=list)

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Nobody sees it."""

    def note(self, text: str) -> None:
        """For the record that the store writes."""
        self.notes.append(text)
