"""Make one stage of a sweep on a machine of a cluster: check the terms, make it into the store, push it to the shared store."""

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
from edgecnn.stages.candidate import runner_digest
from edgecnn.store.disk import sha256_of, write_bytes_atomically
from edgecnn.store.entry import StageInputs
from edgecnn.store.failures import named_failures
from edgecnn.store.remote import Remote
from edgecnn.store.remote_files import has_credentials
from edgecnn.store.store import REMOTE, Store
from edgecnn.store.transfer import push
from edgecnn.sweeps.tasks import StageTask
from edgecnn.values.artifact import FoundInput
from edgecnn.values.stage import Role, digest_of


@dataclass(frozen=True)
class Shared:
    """The store through which the machines of a cluster exchange artifacts."""

    root: Path
    """Folder of the requesting machine's store. Machines that see it, for example on a network folder, use it."""
    remote: str | None
    """URL of a remote store, if some machines have a separate store; all machines then exchange through it."""
    token: str
    """Name of a file in ``root`` by which a machine recognises the folder."""
    withheld: bool = False
    """Whether a remote store is omitted because its URL holds credentials."""

    @classmethod
    def of(cls, store: Store, token: str) -> Shared:
        """Describe the store, without secrets."""
        secret = store.remote is not None and has_credentials(store.remote)
        return cls(store.root, None if secret else store.remote, token, secret)

    @property
    def is_visible(self) -> bool:
        """Whether this machine sees that folder, and its environment names no other store."""
        own = os.environ.get("EDGECNN_STORE")
        return own in (None, "", str(self.root)) and (self.root / self.token).is_file()

    def opened(self) -> Store:
        """Open this machine's store. Raises StoreUnusable."""
        return Store(Store.open(self.root if self.is_visible else None).layout, self.remote)


@dataclass(frozen=True)
class Terms:
    """Requirements that a sweep has of each machine."""

    shared: Shared
    edgecnn: str
    source_sha256: str
    versions: Mapping[str, str | None]
    """Versions of the packages on which the stages' bytes depend."""
    paths: tuple[Path, ...]
    """The user's own folders and files."""

    @classmethod
    def of(cls, shared: Shared, distributions: Iterable[str], paths: Iterable[Path]) -> Terms:
        """Describe this machine."""
        versions = {name: installed_version(name) for name in sorted(set(distributions))}
        return cls(shared, edgecnn.__version__, source_sha256(), versions, tuple(sorted(set(paths))))

    def unmet(self) -> tuple[str, ...]:
        """Return this machine's differences that would change or prevent results, each with the machine's name."""
        return tuple(f"{socket.gethostname()} {problem}" for problem in self._unmet())

    def _unmet(self) -> Iterator[str]:
        if (edgecnn.__version__, source_sha256()) != (self.edgecnn, self.source_sha256):
            yield f"has other source code of edgecnn {edgecnn.__version__}; this machine has {self.edgecnn}"
        for name, version in self.versions.items():
            if (installed := installed_version(name)) != version:
                yield f"has {f'{name} {installed}' if installed else f'no {name}'}; this machine has {version or 'none'}"
        if unread := [path for path in self.paths if not os.access(path, os.R_OK)]:
            yield f"cannot read {unread[0]}, which must have the same path there"
        if self.shared.remote is None and not self.shared.is_visible:
            fix = f": put it on a network folder, or name a remote store in {REMOTE}"
            if self.shared.withheld:
                fix = f", and {REMOTE} holds credentials, which are not sent; put them into its client's own configuration"
            yield f"does not see the store {self.shared.root}{fix}"


@cache
def source_sha256() -> str:
    """Return a digest of edgecnn's code, as this process first read it, and of the other files that kits contain."""
    top = Path(next(iter(edgecnn.__path__)))
    files = {path.relative_to(top).as_posix(): sha256_of(path) for path in sorted(top.rglob("*.py"))}
    return digest_of({"files": files, "runner": runner_digest()})


@dataclass(frozen=True)
class TaskOutcome:
    """The outcome of a task."""

    node: str = ""
    """The cluster's machine that ran it."""
    error: str | None = None
    elsewhere: bool = False
    """Whether the machine was at fault, so that another one may succeed."""


def make(task: StageTask, terms: Terms, roles: tuple[Role, ...] = (), *contents: bytes, node: str = "") -> TaskOutcome:
    """Make a stage from stored inputs and share it. Errors are returned, not raised.

    The machine first checks the ``terms``, since it may have joined later, or have changed.

    ``roles`` and ``contents``: sources in the requesting machine's store, with their bytes.
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
    except Exception as error:  # noqa: BLE001 - a build that makes the same stage reports the error
        return TaskOutcome(node, f"{type(error).__name__}: {error}")


def _make_and_send(task: StageTask, shared: Shared, sent: Mapping[Role, bytes]) -> str | None:
    """Make and share a stage. Return why the shared store does not have it, or None."""
    store, tell = shared.opened(), _Silent()
    with store.in_use.held():
        inputs = _fetch_inputs(task, sent, store, shared)
        artifact, _ = store.artifacts.obtain(task.stage, StageInputs(task.versions, inputs, read_conditions()), tell)
        if artifact.key != task.key:
            return f"{socket.gethostname()} made {task.stage.kind} {artifact.key[:12]} instead of {task.key[:12]}"
        failed = () if store.remote is None else push(store, Remote(store.remote), tell, only=[task.entry]).left
    return "; ".join(f"{socket.gethostname()} did not share {entry}" for entry in failed) or None


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
            raise _InputAbsent(f"{socket.gethostname()} does not find {task.made[role]} {key[:12]} in any store")
        inputs[role] = artifact.stage_input
    return inputs


class _InputAbsent(Exception):
    """An input from another machine did not arrive here; a third machine may have it."""


class _Silent:
    """Progress that no one watches."""

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""
