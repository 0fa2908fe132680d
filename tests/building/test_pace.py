"""How far a build is: numbered parts, and the time that the remaining ones take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecnn.building import pace
from edgecnn.building.execute import LAST_STEP
from edgecnn.building.pace import LATENCY_PART, Pace, Part, expected_parts
from edgecnn.planning.candidates import BASELINE
from edgecnn.planning.plan import Plan, plan
from edgecnn.store.listing import Durations, Seconds
from edgecnn.store.store import Store
from edgecnn.values.candidate import Runtime
from edgecnn.values.stage import Pacing
from tests.building.resolutions import INT8, resolved, summary


class Shown:
    """A progress that keeps the parts of a build."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, int, int, float, bool]] = []

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None: ...

    def note(self, text: str) -> None: ...

    def part(self, name: str, number: int, parts: int, seconds_left: float, *, complete: bool) -> None:
        self.parts.append((name, number, parts, seconds_left, complete))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    times = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: times[0])
    return times


def test_a_part_has_its_number_and_the_time_of_those_that_remain(clock: list[float]) -> None:
    shown = Shown()
    build = Pace(shown, lambda: [Part("prepare", Seconds(1, 3)), Part("train", Seconds(50, 70)), Part("export")])
    build.begin("train")
    build.begin("export")
    assert isinstance(shown, Pacing)
    assert shown.parts == [("train", 2, 3, 60, False), ("export", 3, 3, 0, False)], "prepare was in the store"


def test_evaluations_take_as_long_an_image_as_those_before_them(clock: list[float]) -> None:
    shown = Shown()
    build = Pace(shown, lambda: [Part("evaluate a", images=100), Part("evaluate b", images=300), Part("evaluate c", images=300)])
    build.begin("evaluate a", 100)
    clock[0] = 2.0
    build.begin("evaluate b", 300)
    clock[0] = 14.0
    build.begin("evaluate c", 300)
    assert [(left, complete) for *_, left, complete in shown.parts] == [(0, False), (12, True), (pytest.approx(9), True)]


def test_an_unexpected_part_makes_the_build_longer(clock: list[float]) -> None:
    shown = Shown()
    build = Pace(shown, lambda: [Part("train", Seconds(1, 1)), Part("export", Seconds(1, 1))])
    for name in ("train", "repair", "export"):
        build.begin(name)
    assert [(name, number, parts) for name, number, parts, *_ in shown.parts] == [
        ("train", 1, 2),
        ("repair", 2, 3),
        ("export", 3, 3),
    ]


def test_a_cached_build_never_asks_what_is_expected() -> None:
    build = Pace(Shown(), lambda: pytest.fail("looked"))
    assert not build.started


def parts_of(planned: Plan, tmp_path: Path, missing: Any, **how: Any) -> list[str]:
    durations = Durations(Store.open(tmp_path / "store"))
    how = {"kinds": LAST_STEP["judge"], "last": "measure", **how}
    return [part.name for part in expected_parts(planned, missing, durations, **how)]


def test_a_build_makes_evaluates_and_measures_in_this_order(tmp_path: Path) -> None:
    planned = plan(resolved(folds=(summary(),)))
    names = parts_of(planned, tmp_path, lambda part: {step.id for step in part.steps})
    order = [
        "prepare", "train", "quantize:onnxruntime-fp32", "evaluate onnxruntime-fp32 on validation",
        "evaluate onnxruntime-int8 on validation", "evaluate onnxruntime-fp32 on test", "fold-2/train",
        "fold-2/package:onnxruntime-int8", "fold-2/evaluate onnxruntime-int8 on test", LATENCY_PART,
    ]  # fmt: skip
    assert [name for name in names if name in order] == order
    assert len(names) == len(set(names))


def test_only_missing_steps_of_the_goal_are_expected(tmp_path: Path) -> None:
    planned = plan(resolved())
    names = parts_of(planned, tmp_path, lambda part: {"train", "package:onnxruntime-int8"}, kinds=LAST_STEP["train"], last="make")
    assert names == ["train"]


def test_candidates_are_evaluated_on_the_test_split_in_the_order_of_their_rungs(tmp_path: Path) -> None:
    later = BASELINE.model_copy(update={"id": "openvino-fp32", "runtime": Runtime.OPENVINO})
    planned = plan(resolved(candidates=(BASELINE, INT8, later)))
    names = parts_of(planned, tmp_path, lambda part: set())
    made = [name.removesuffix(" on validation") for name in names if name.endswith(" on validation")]
    assert [name.removesuffix(" on test") for name in names if name.endswith(" on test")] == made
    assert made.index("evaluate openvino-fp32") < made.index("evaluate onnxruntime-int8")
