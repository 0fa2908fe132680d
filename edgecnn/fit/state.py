"""The state of a running search."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from edgecnn.devices.check.board import BoardUse
from edgecnn.devices.machine import Machine, machine_for
from edgecnn.errors.wording import counted
from edgecnn.fit.members import MemberBuilder
from edgecnn.fit.prices import Priced, TablePrices
from edgecnn.fit.request import FitRequest
from edgecnn.measure.lab import Lab
from edgecnn.store.store import Store
from edgecnn.values.fit import Member
from edgecnn.values.resolved import Resolved
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Interval


@dataclass(frozen=True)
class Place:
    """The machine that measures members. It is held only during a measurement; the build of a member holds it itself."""

    request: FitRequest
    store: Store
    tell: Progress

    @contextmanager
    def machine(self) -> Iterator[Machine]:
        """Hold the board, or this machine, while the block runs."""
        with machine_for(self.request.host, BoardUse(self.request.device, "edgecnn fit"), self.tell) as machine:
            yield machine

    @contextmanager
    def lab(self) -> Iterator[Lab]:
        """Hold the machine, and open its lab."""
        with self.machine() as machine:
            yield machine.lab(self.store, self.tell, self.request.device.name)


class Once:
    """Progress that shows each note once, because every member's build has the same notes on weights and images."""

    def __init__(self, tell: Progress) -> None:
        self._tell, self._said = tell, set[str]()

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Pass the step on."""
        self._tell.step(what, done, total, unit)

    def note(self, text: str) -> None:
        """Pass the note on, unless it was shown before."""
        if text not in self._said:
            self._said.add(text)
            self._tell.note(text)


@dataclass
class Fitting:
    """The request, the results so far, and the limits of a search."""

    request: FitRequest
    builder: MemberBuilder
    resolved: Resolved
    """The resolved build of the family's first network."""
    prices: Priced
    place: Place
    first: Member
    """The family's first network, unscaled."""
    began: float
    """Start of the search, by the monotonic clock."""
    others: Mapping[str, TablePrices] = field(default_factory=dict)
    """Latency tables of further devices."""
    searched: tuple[Member, ...] = ()
    axes: dict[str, float] = field(default_factory=dict)
    """Single change of the first network, to the share of its predicted p50 that is left."""
    machine: str = ""
    """Description of the machine that measures."""
    members: dict[str, Member] = field(default_factory=dict)
    """Trained members by name, the family's first network first."""
    times: dict[str, Interval] = field(default_factory=dict)
    """Name to p50 in ms of networks that were timed untrained."""
    untimed: dict[str, str] = field(default_factory=dict)
    """Name to the reason why a network could not be timed."""
    pace: float | None = None
    """Time that the machine takes now, relative to the measurement of its latency table."""
    left_out: int = 0
    """Trainings that the time limit excluded."""
    searching_since: float = field(default_factory=time.monotonic)
    """Start of the time limit, after the measurement of a latency table."""

    @property
    def attached(self) -> bool:
        """Whether the device is attached."""
        return self.resolved.attachment.attached

    @property
    def budget_ms(self) -> float:
        """Budget of p50; infinite without one."""
        return self.request.within.get("p50_ms", math.inf)

    @property
    def trainings_of_members(self) -> int:
        """Complete trainings of members, without the first network and, with a teacher, the training on labels alone."""
        return self.request.choice.trainings - (2 if self.request.choice.teacher else 1)

    @property
    def out_of_time(self) -> bool:
        """Whether the time limit is reached."""
        minutes = self.request.choice.minutes
        return minutes is not None and time.monotonic() - self.searching_since >= 60 * minutes

    def add_untrained_ms(self, member: Member) -> Member:
        """Return the member with the latency of its untrained network, if it was timed."""
        return member.model_copy(update={"untrained_ms": self.times.get(member.name)})

    def note_skipped_trainings(self, trainings: int) -> None:
        """Record trainings that were skipped because the time limit is reached."""
        if trainings > 0 and self.out_of_time:
            self.left_out = trainings
            self.place.tell.note(f"time limit reached: {counted(trainings, 'training')} skipped")
