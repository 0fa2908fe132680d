"""Where measuring happens: a host, what it is, where results are filed, and who is told."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Host
from edgecnn.measure.kits import KitRef
from edgecnn.runner.interpreters import own_python_version
from edgecnn.store.store import Store
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress


@dataclass(frozen=True)
class _Titled:
    """Progress of a runner, which knows only its own command, under the name of what is measured with it."""

    tell: Progress
    title: str

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        self.tell.step(self.title, done, total, unit)

    def note(self, text: str) -> None:
        self.tell.note(text)


@dataclass(frozen=True)
class Lab:
    """Everything that stays the same from one measurement of a build to the next."""

    host: Host
    store: Store
    tell: Progress
    device: str
    """The device file that the host matches, or ``this machine``."""
    machine: str
    """The concrete machine, for people."""
    environment: Environment
    """The machine's, without the conditions that only a kit decides."""
    lane: str = ""
    """What unfinished work of this host is told apart by: several boards work side by side. Empty: this machine."""
    warnings: tuple[str, ...] = ()
    """What was found on the host beforehand that spoils figures, a sentence each."""

    def environment_of(self, kit: KitRef) -> Environment:
        """What a run of this kit would record on the host now: the machine's conditions, and its runtime's installed version."""
        found = {
            "runtime": kit.runtime,
            "runtime_version": self.host.runtime_version(kit.runtime),
            "python": self.own_python(kit.runtime),
        }
        known = {name: value for name, value in found.items() if value is not None}
        return self.environment.model_copy(update={"conditions": {**self.environment.conditions, **known}})

    def own_python(self, runtime: str) -> str | None:
        """The version of the Python that a runtime has to itself; None where it has none, and of a board, which says its own."""
        return own_python_version(runtime) if isinstance(self.host, LocalHost) else None

    def doing(self, title: str) -> Lab:
        """This lab, whose progress says that it does this."""
        return replace(self, tell=_Titled(self.tell, title))
