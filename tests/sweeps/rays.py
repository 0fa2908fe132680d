"""Ray as far as a sweep asks it, with machines that a test adds and takes away, and a clock that only waiting moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn.sweeps.cluster import Cluster, ClusterWork
from edgecnn.sweeps.tasks import StageTask
from edgecnn.sweeps.worker import Shared, TaskOutcome, Terms
from tests.data.folders import Heard

FOUR_CORES = {"CPU": 4.0, "memory": 16e9}


@dataclass
class Begun:
    """One task as Ray was given it, with its options."""

    task: StageTask
    options: Mapping[str, Any]


@dataclass
class Rays:
    """Ends one task at a time: of those that a machine can have, the one that it has had for the longest."""

    machines: dict[str, Mapping[str, float]]
    answer: Callable[[StageTask, str], TaskOutcome] = lambda _, node: TaskOutcome(node)
    """To a task on a machine. May raise what Ray does."""
    unmet: Callable[[str, Terms], tuple[str, ...]] = lambda *_: ()
    """What each machine says of the terms."""
    at: Callable[[float], None] = lambda _: None
    """Called with the time after each wait that nothing ended."""
    begun: list[Begun] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    most: int = 0
    now: float = 0.0
    exceptions: Any = None

    def remote(self, function: object) -> Any:
        if function is Terms.unmet:

            def asked(*, scheduling_strategy: Any, **_: object) -> Any:
                return SimpleNamespace(remote=lambda terms: self.unmet(scheduling_strategy.node_id, terms))

            return SimpleNamespace(options=asked)

        def begin(options: Mapping[str, Any], task: StageTask) -> int:
            self.begun.append(Begun(task, options))
            return len(self.begun) - 1

        return SimpleNamespace(options=lambda **options: SimpleNamespace(remote=lambda task, *_: begin(options, task)))

    def wait(self, running: list[int], *, timeout: float, **_: object) -> tuple[list[int], list[int]]:
        self.most = max(self.most, len(running))
        done = [ref for ref in running if self._place(ref) is not None][:1]
        if not done:
            self.now += timeout
            assert self.now < 3600, "it waits without an end"
            self.at(self.now)
        return done, [ref for ref in running if ref not in done]

    def nodes(self) -> list[dict[str, object]]:
        return [
            {"Alive": True, "NodeID": node, "Resources": has, "NodeManagerHostname": node, "NodeManagerAddress": "192.0.2.1"}
            for node, has in self.machines.items()
        ]

    def get(self, ref: Any, **_: object) -> Any:
        if isinstance(ref, list):
            return ref
        place = self._place(ref)
        assert place is not None
        return self.answer(self.begun[ref].task, place)

    def cancel(self, ref: int) -> None:
        self.cancelled.append(ref)

    def _place(self, ref: int) -> str | None:
        options = self.begun[ref].options
        asked = {"CPU": options["num_cpus"], "memory": options["memory"] or 0, "GPU": options["num_gpus"]}
        away = (options["label_selector"] or {}).get("ray.io/node-id", "!in()")[len("!in(") : -1].split(", ")
        near = getattr(options["scheduling_strategy"], "node_id", None)
        able = (node for node, has in self.machines.items() if all(has.get(each, 0) >= asked[each] for each in asked))
        return min((node for node in able if node not in away), key=lambda node: node != near, default=None)


def cluster_of(rays: Rays, remote: str | None = None) -> Cluster:
    """Of these, and a store. Skips where Ray is not installed."""
    rays.exceptions = pytest.importorskip("ray", reason='pip install "edgecnn[ray]"').exceptions
    return Cluster("ray", Shared(Path("store"), remote, "token"), rays)


def work_on(rays: Rays, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> ClusterWork:
    """Work for a cluster of these, by their clock."""
    cluster = cluster_of(rays)
    monkeypatch.setattr("edgecnn.sweeps.cluster.time", SimpleNamespace(monotonic=lambda: rays.now))
    return ClusterWork(cluster, Terms.of(cluster.shared, (), ()), heard)
