"""What every machine of a cluster has to be like: said by the one that asks, and looked at by each before it makes anything."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import edgecnn
from edgecnn.backends.installed import installed_version
from edgecnn.stages.package import runner_digest
from edgecnn.store.disk import sha256_of
from edgecnn.store.place import has_credentials
from edgecnn.store.store import REMOTE, Store
from edgecnn.values.stage import digest_of


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
    def seen(self) -> bool:
        """Whether this machine sees that very folder, and is not told to use another."""
        own = os.environ.get("EDGECNN_STORE")
        return own in (None, "", str(self.root)) and (self.root / self.token).is_file()

    def opened(self) -> Store:
        """This machine's store. Raises StoreUnusable."""
        return Store(Store.open(self.root if self.seen else None).layout, self.remote)


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
        return tuple(f"{socket.gethostname()} {said}" for said in self._unmet())

    def _unmet(self) -> Iterator[str]:
        if (edgecnn.__version__, source_sha256()) != (self.edgecnn, self.source_sha256):
            yield f"has edgecnn {edgecnn.__version__} of other source, here is {self.edgecnn}"
        for name, version in self.versions.items():
            if (found := installed_version(name)) != version:
                yield f"has {f'{name} {found}' if found else f'no {name}'}, here is {version or 'none'}"
        if unread := [path for path in self.paths if not os.access(path, os.R_OK)]:
            yield f"cannot read {unread[0]}, which has to be there under the same path"
        if self.shared.remote is None and not self.shared.seen:
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
