"""What a machine of a cluster does for a sweep: check the terms, make one stage into its store, and send it from there to all."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import edgecnn
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.store import StoreFull, StoreUnusable, TemporaryFolderFull
from edgecnn.installed import installed_version
from edgecnn.runner.machine.environment import read_conditions
from edgecnn.stages.package import runner_digest
from edgecnn.store.disk import sha256_of, write_bytes_atomically
from edgecnn.store.entry import StageInputs
from edgecnn.store.failures import named_failures
from edgecnn.store.place import has_credentials
from edgecnn.store.remote import Remote
from edgecnn.store.store import REMOTE, Store
from edgecnn.store.transfer import push
from edgecnn.sweeps.tasks import StageTask
from edgecnn.values.artifact import FoundInput
from edgecnn.values.stage import Role, digest_of


@dataclass(frozen=True)
class Shared:
    """The store through which all machines of a cluster hand on what they made."""

    root: Path
    """Of the store of the machine that asks. Where others see it too, as over a network folder, it is theirs."""
    remote: str | None
    """URL of a store afar, where there are machines with a store of their own; then all hand on through it."""
    token: str
    """Name of a file in ``root`` by which a machine knows that it sees the same folder."""
    withheld: bool = False
    """Whether there is a store afar that is not named here, because its URL holds credentials."""

    @classmethod
    def of(cls, store: Store, token: str) -> Shared:
        """As it may be sent to any machine."""
        secret = store.remote is not None and has_credentials(store.remote)
        return cls(store.root, None if secret else store.remote, token, secret)

    @property
    def is_visible(self) -> bool:
        """Whether this machine sees that very folder, and is not told to use another."""
        own = os.environ.get("EDGECNN_STORE")
        return own in (None, "", str(self.root)) and (self.root / self.token).is_file()

    def opened(self) -> Store:
        """This machine's store. Raises StoreUnusable."""
        return Store(Store.open(self.root if self.is_visible else None).layout, self.remote)


@dataclass(frozen=True)
class Terms:
    """Of one sweep."""

    shared: Shared
    edgecnn: str
    source_sha256: str
    versions: Mapping[str, str | None]
    """Of the distributions that bind the stages' bytes."""
    paths: tuple[Path, ...]
    """Folders and files of the user's own."""

    @classmethod
    def of(cls, shared: Shared, distributions: Iterable[str], paths: Iterable[Path]) -> Terms:
        """Everything as it is on this machine."""
        versions = {name: installed_version(name) for name in sorted(set(distributions))}
        return cls(shared, edgecnn.__version__, source_sha256(), versions, tuple(sorted(set(paths))))

    def unmet(self) -> tuple[str, ...]:
        """What of the machine that is asked would make other bytes, or none; its name is in each."""
        return tuple(f"{socket.gethostname()} {problem}" for problem in self._unmet())

    def _unmet(self) -> Iterator[str]:
        if (edgecnn.__version__, source_sha256()) != (self.edgecnn, self.source_sha256):
            yield f"has edgecnn {edgecnn.__version__} of other source, here is {self.edgecnn}"
        for name, version in self.versions.items():
            if (installed := installed_version(name)) != version:
                yield f"has {f'{name} {installed}' if installed else f'no {name}'}, here is {version or 'none'}"
        if unread := [path for path in self.paths if not os.access(path, os.R_OK)]:
            yield f"cannot read {unread[0]}, which has to be there under the same path"
        if self.shared.remote is None and not self.shared.is_visible:
            mend = f": put it on a network folder, or name a store afar in {REMOTE}"
            if self.shared.withheld:
                mend = f", and {REMOTE} holds credentials, which are not sent: leave them to its client's own configuration"
            yield f"does not see the store {self.shared.root}{mend}"


@cache
def source_sha256() -> str:
    """Over edgecnn's code as this process first found it, and what else of it is copied into kits."""
    top = Path(next(iter(edgecnn.__path__)))
    files = {path.relative_to(top).as_posix(): sha256_of(path) for path in sorted(top.rglob("*.py"))}
    return digest_of({"files": files, "runner": runner_digest()})


@dataclass(frozen=True)
class TaskOutcome:
    """How a task ended."""

    node: str = ""
    """Of the cluster, where it was made."""
    error: str | None = None
    elsewhere: bool = False
    """Whether the failure is that machine's, so that another may well make it."""


def make(task: StageTask, terms: Terms, roles: tuple[Role, ...] = (), *contents: bytes, node: str = "") -> TaskOutcome:
    """Make a stage from what the stores hold, and hand it on; whatever goes wrong is answered, not raised.

    The machine may have joined after the others were asked about the ``terms``, or be another than then: it looks at them first.

    ``roles`` and ``contents``: those of its sources that lie in the asking machine's store, with their bytes.
    """
    try:
        if unmet := terms.unmet():
            return TaskOutcome(node, "; ".join(unmet), elsewhere=True)
        return TaskOutcome(node, _make_and_send(task, terms.shared, dict(zip(roles, contents, strict=True))))
    except (StoreFull, StoreUnusable, TemporaryFolderFull) as error:
        return TaskOutcome(node, error.line(), elsewhere=True)
    except _InputAbsent as error:
        return TaskOutcome(node, str(error), elsewhere=True)
    except EdgecnnError as error:
        return TaskOutcome(node, error.line())
    except Exception as error:  # noqa: BLE001 - a build that makes the same by itself says what it is
        return TaskOutcome(node, f"{type(error).__name__}: {error}")


def _make_and_send(task: StageTask, shared: Shared, sent: Mapping[Role, bytes]) -> str | None:
    """Why what was asked for is not where all find it; None where it is."""
    store, tell = shared.opened(), _Silent()
    with store.in_use.held():
        inputs = _fetch_inputs(task, sent, store, shared)
        artifact, _ = store.artifacts.obtain(task.stage, StageInputs(task.versions, inputs, read_conditions()), tell)
        if artifact.key != task.key:
            return f"{socket.gethostname()} made {task.stage.kind} {artifact.key[:12]} where {task.key[:12]} was asked for"
        failed = () if store.remote is None else push(store, Remote(store.remote), tell, only=[task.entry]).left
    return "; ".join(f"{socket.gethostname()} did not hand on {entry}" for entry in failed) or None


def _fetch_inputs(task: StageTask, sent: Mapping[Role, bytes], store: Store, shared: Shared) -> dict[Role, FoundInput]:
    inputs = dict[Role, FoundInput]()
    for role, key in task.stage.inputs.items():
        if role in task.sources:
            path = task.sources[role]
            if role in sent:
                path = store.root / path.relative_to(shared.root)
                if not path.is_file():
                    with named_failures(store.root, f"writing {role} for {task.name}"):
                        path.parent.mkdir(parents=True, exist_ok=True)
                        write_bytes_atomically(path, sent[role])
            inputs[role] = FoundInput(path=path, key=key, content=key)
            continue
        artifact = store.artifacts.retrieve(task.made[role], key, _Silent())
        if artifact is None:
            raise _InputAbsent(f"{socket.gethostname()} finds {task.made[role]} {key[:12]} in no store")
        inputs[role] = artifact.stage_input
    return inputs


class _InputAbsent(Exception):
    """What another machine made did not come here; a third may well get it."""


class _Silent:
    """Progress of a machine that nobody watches; what belongs into a record the store writes down by itself."""

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Nobody sees it."""

    def note(self, text: str) -> None:
        """Nobody sees it."""
