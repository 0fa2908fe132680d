"""A sweep to be simulated: builds, the stages that they share, and how long each takes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

from edgecnn.sweeps.tasks import AHEAD

STAGES = {"prepare": (0.7, ()), "train": (89.0, ("prepare",)), "export": (6.1, ("train", "prepare"))}
"""Kind to the median of its recorded seconds, and what it waits for."""
BRANCH = {"quantize": (7.9, ("export",)), "package": (0.4, ("quantize",))}
CANDIDATES, DEVICES = 4, 5
"""Of a build, and builds that share one training."""
MEASURING_S = 95.0
"""Of one build on its board."""
LOST_TASKS, LOST_BOARDS = 0.02, 0.05
SPREAD = 0.4
"""Standard deviation of the logarithm of seconds."""


class Done(NamedTuple):
    error: str | None = None


@dataclass(frozen=True)
class Size:
    builds: int
    boards: int
    slots: int
    """Tasks that run at once."""


class World:
    """Tasks with their seconds; a training for each ``DEVICES`` builds."""

    def __init__(self, size: Size, seed: int) -> None:
        self.draw, self.size = random.Random(seed), size
        self.seconds, self.waits_for = dict[str, float](), dict[str, tuple[str, ...]]()
        self.needs = dict[int, set[str]]()
        self.measuring = {build: self._drawn(MEASURING_S) for build in range(size.builds)}
        for build in range(size.builds):
            network = build // DEVICES
            names = {kind: f"{kind}-{network}" for kind in STAGES}
            for kind, (seconds, before) in STAGES.items():
                self._task(names[kind], seconds, tuple(names[task] for task in before))
            self.needs[build] = set(names.values())
            for candidate in range(CANDIDATES):
                own = {**names, **{kind: f"{kind}-{build}-{candidate}" for kind in BRANCH}}
                for kind, (seconds, before) in BRANCH.items():
                    self._task(own[kind], seconds, tuple(own[task] for task in before))
                    self.needs[build].add(own[kind])
        self.lost = {name for name in self.seconds if self.draw.random() < LOST_TASKS}
        self.users = dict[str, list[int]]()
        for build, needs in self.needs.items():
            for name in needs:
                self.users.setdefault(name, []).append(build)
        self.broken = set(self.draw.sample(range(size.boards), round(LOST_BOARDS * size.boards)))

    def _drawn(self, seconds: float) -> float:
        return seconds * self.draw.lognormvariate(0.0, SPREAD)

    def _task(self, name: str, seconds: float, before: tuple[str, ...]) -> None:
        if name not in self.seconds:
            self.seconds[name], self.waits_for[name] = self._drawn(seconds), before

    def has_room(self, task: str, running: int) -> bool:
        return running < AHEAD * self.size.slots

    def bound_s(self) -> float:
        """Nobody can be faster: the longest way, or all that is to do shared evenly."""
        way = dict[str, float]()
        for name in self.seconds:  # in an order in which inputs come first
            way[name] = self.seconds[name] + max((way[task] for task in self.waits_for[name]), default=0.0)
        longest = max(max(way[task] for task in self.needs[build]) + self.measuring[build] for build in self.needs)
        usable = self.size.boards - len(self.broken)
        return max(longest, sum(self.seconds.values()) / self.size.slots, sum(self.measuring.values()) / usable)
