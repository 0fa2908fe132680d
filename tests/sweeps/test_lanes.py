"""Calls on lanes: builds that different boards measure at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from edgecnn.sweeps.lanes import Lanes


def test_lanes_go_at_the_same_time_and_each_in_its_own_order() -> None:
    meeting = threading.Barrier(2, timeout=20)

    def met(name: str) -> Callable[[], str]:
        def call() -> str:
            meeting.wait()  # nobody passes alone
            return name

        return call

    with Lanes[str](lambda: None) as lanes:
        for name in ("a1", "a2", "b1", "b2"):
            lanes.begin(name[0], 1, met(name))
        found = list(lanes.ended(wait=True))
    assert sorted(found) == ["a1", "a2", "b1", "b2"]
    assert found.index("a1") < found.index("a2") and found.index("b1") < found.index("b2")


def test_a_wide_lane_runs_so_many_at_once_and_who_does_not_wait_gets_what_is_there() -> None:
    meeting = threading.Barrier(3, timeout=20)
    with Lanes[int](lambda: None) as lanes:
        for _ in range(3):
            lanes.begin("boards", 3, meeting.wait)
        assert sorted(lanes.ended(wait=True)) == [0, 1, 2]
        assert list(lanes.ended(wait=False)) == list(lanes.ended(wait=True)) == []


def test_what_one_raises_stops_the_others_and_what_waits_is_never_begun() -> None:
    stopped, begun = threading.Event(), list[str]()

    def breaks() -> str:
        raise KeyboardInterrupt

    def waits() -> str:
        begun.append("waits")
        assert stopped.wait(20)
        raise KeyboardInterrupt

    def never() -> str:
        begun.append("never")
        return ""

    with pytest.raises(KeyboardInterrupt), Lanes[str](stopped.set) as lanes:
        lanes.begin("a", 1, waits)
        lanes.begin("a", 1, never)
        lanes.begin("b", 1, breaks)
        list(lanes.ended(wait=True))
    time.sleep(0.1)
    assert begun == ["waits"]
