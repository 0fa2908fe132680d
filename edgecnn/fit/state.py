"""A search under way: what was asked, and what is known so far."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from edgecnn.devices.check.board import Wanted
from edgecnn.devices.machine import Machine, machine_for
from edgecnn.errors.wording import counted
from edgecnn.fit.members import MemberBuilder
from edgecnn.fit.request import FitRequest
from edgecnn.fit.tables import Priced, TablePrices
from edgecnn.measure.lab import Lab
from edgecnn.store.store import Store
from edgecnn.values.fit import Member
from edgecnn.values.resolved import Resolved
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Interval


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
    first: Member
    """The family's own, unscaled."""
    began: float
    """By the monotonic clock."""
    others: Mapping[str, TablePrices] = field(default_factory=dict)
    """Devices that are asked about beside it."""
    searched: tuple[Member, ...] = ()
    axes: dict[str, float] = field(default_factory=dict)
    """What is changed of the first network, to what is left of its predicted p50."""
    machine: str = ""
    """On which it measures, for people."""
    members: dict[str, Member] = field(default_factory=dict)
    """By name: what was trained, the family's first before the others."""
    times: dict[str, Interval] = field(default_factory=dict)
    """By name: p50 in ms of what was timed untrained."""
    untimed: dict[str, str] = field(default_factory=dict)
    """By name: why it could not be."""
    pace: float | None = None
    """How many times as long the machine took, when last it timed, as when its latency table was measured."""
    left_out: int = 0
    """Trainings for which the time did not suffice."""
    searching_since: float = field(default_factory=time.monotonic)
    """Without a latency table that had to be measured first."""

    @property
    def attached(self) -> bool:
        """Whether the device is at hand."""
        return self.resolved.attachment.attached

    @property
    def budget_ms(self) -> float:
        """Of p50; infinite where none was stated."""
        return self.asked.within.get("p50_ms", math.inf)

    @property
    def trainings_of_members(self) -> int:
        """Whole trainings of members, beside the first's and, where there is a teacher, what ships from labels alone."""
        return self.asked.choice.trainings - (2 if self.asked.choice.teacher else 1)

    @property
    def out_of_time(self) -> bool:
        """Whether nothing more is to be begun."""
        minutes = self.asked.choice.minutes
        return minutes is not None and time.monotonic() - self.searching_since >= 60 * minutes

    def as_timed(self, member: Member) -> Member:
        """With what its network takes untrained, where it was timed."""
        return member.model_copy(update={"untrained_ms": self.times.get(member.name)})

    def leave_out(self, trainings: int) -> None:
        """Note that the time did not suffice for so many, where it is over."""
        if trainings > 0 and self.out_of_time:
            self.left_out = trainings
            self.place.tell.note(f"the time is over: {counted(trainings, 'training')} left out")
