"""A search under way: what was asked, and what is known so far."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from edgecnn.devices.check.ready import Wanted
from edgecnn.devices.machine import Machine, machine_for
from edgecnn.fit.members import MemberBuilder
from edgecnn.fit.request import FitRequest
from edgecnn.fit.tables import Priced
from edgecnn.measure.lab import Lab
from edgecnn.store.store import Store
from edgecnn.values.fit import Member
from edgecnn.values.resolved import Resolved
from edgecnn.values.stage import Progress

SHORT = 4
"""A member is first trained for this part of its epochs."""


@dataclass(frozen=True)
class Place:
    """Where members are measured. It is held only while it measures: a build of a member holds it by itself."""

    asked: FitRequest
    store: Store
    tell: Progress

    @contextmanager
    def machine(self) -> Iterator[Machine]:
        """The board, or this machine, while the block runs."""
        with machine_for(self.asked.host, Wanted(self.asked.device, "edgecnn fit"), self.tell) as machine:
            yield machine

    @contextmanager
    def lab(self) -> Iterator[Lab]:
        """The same, to measure in."""
        with self.machine() as machine:
            yield machine.lab(self.store, self.tell, self.asked.device.name)


class Once:
    """Progress that says each sentence once: every member's build has the same to say of weights and images."""

    def __init__(self, tell: Progress) -> None:
        self._tell, self._said = tell, set[str]()

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """As it is."""
        self._tell.step(what, done, total, unit)

    def note(self, text: str) -> None:
        """Unless it was said before."""
        if text not in self._said:
            self._said.add(text)
            self._tell.note(text)


@dataclass
class Fitting:
    """Filled in while it runs."""

    asked: FitRequest
    builder: MemberBuilder
    resolved: Resolved
    """Of the family's first, as anybody would build it."""
    prices: Priced
    place: Place
    searched: tuple[Member, ...] = ()
    axes: dict[str, float] = field(default_factory=dict)
    """What is left of the first network's predicted p50 with half of one axis."""
    machine: str = ""
    """On which it measures, for people."""
    members: dict[str, Member] = field(default_factory=dict)
    """By scale: what was trained, the family's first before the others."""

    @property
    def attached(self) -> bool:
        """Whether the device is at hand."""
        return self.resolved.attachment.attached

    @property
    def budget_ms(self) -> float:
        """Of p50; infinite where none was stated."""
        return self.asked.within.get("p50_ms", math.inf)

    @property
    def epochs(self) -> int:
        """Of a whole training."""
        return self.resolved.recipe.train.epochs or 1

    @property
    def short_epochs(self) -> int:
        """Of a first, short one."""
        return max(1, self.epochs // SHORT)
