"""Calls on lanes: builds that different boards measure at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from edgecnn.sweeps.run import Lanes


def test_lanes_go_at_the_same_time_and_each_in_its_own_order() -> None:
    meeting, found = threading.Barrier(2, timeout=20), list[str]()

    def met(name: str) -> Callable[[], None]:
        def call() -> None:
            meeting.wait()  # nobody passes alone
            found.append(name)

        return call

    with Lanes(lambda: None) as lanes:
        for name in ("a1", "a2", "b1", "b2"):
            lanes.begin(name[0], 1, met(name))
        lanes.wait()
        assert sorted(found) == ["a1", "a2", "b1", "b2"]
    assert found.index("a1") < found.index("a2") and found.index("b1") < found.index("b2")


def test_a_wide_lane_runs_so_many_at_once() -> None:
    meeting = threading.Barrier(3, timeout=20)
    with Lanes(lambda: None) as lanes:
        for _ in range(3):
            lanes.begin("boards", 3, meeting.wait)
        lanes.wait()


def test_what_one_raises_stops_the_others_and_what_waits_is_never_begun() -> None:
    stopped, begun = threading.Event(), list[str]()

    def breaks() -> None:
        raise KeyboardInterrupt

    def waits() -> None:
        begun.append("waits")
        assert stopped.wait(20)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Lanes(stopped.set) as lanes:
        lanes.begin("a", 1, waits)
        lanes.begin("a", 1, lambda: begun.append("never"))
        lanes.begin("b", 1, breaks)
        lanes.wait()
    time.sleep(0.1)
    assert begun == ["waits"]
