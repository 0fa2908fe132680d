from __future__ import annotations

from edgecnn.building.ladder import Climb, Limits, Stop, next_rung
from edgecnn.values.candidate import Candidate, Precision, Rung, Runtime


def rung(name: str) -> Rung:
    candidate = Candidate(id=f"onnxruntime-{name}", runtime=Runtime.ONNXRUNTIME, precision=Precision.FP32)
    return Rung(name=name, candidates=(candidate,))


RUNGS = (rung("fp32"), rung("half"), rung("int8"))


def test_the_climb_goes_from_the_first_rung_to_the_last_and_then_stops() -> None:
    seen: dict[str, float] = {}
    names = []
    while isinstance(move := next_rung(RUNGS, seen, Limits()), Climb):
        names.append(move.rung.name)
        seen[move.rung.name] = 1.0
    assert names == ["fp32", "half", "int8"]
    assert move == Stop(why="every rung was climbed")


def test_a_spent_budget_ends_the_climb_and_names_the_rung_that_was_left() -> None:
    assert next_rung(RUNGS, {"fp32": 40.0, "half": 25.0}, Limits(seconds=60)) == Stop(
        why="int8 was not climbed: 65 s spent of a budget of 60 s"
    )


def test_the_first_rung_is_climbed_whatever_the_budget() -> None:
    assert isinstance(next_rung(RUNGS, {}, Limits(seconds=0.0)), Climb)
