from __future__ import annotations

from edgecnn.building.execute import Climb, Limits, RungResult, Stop, next_rung
from edgecnn.planning.candidates import BASELINE, KEPT_FLOAT, mixed_rungs
from edgecnn.values.candidate import Candidate, Method, Precision, Rung, Runtime
from tests.building.resolutions import INT8, TRT_FP16

HALF = Candidate(id="openvino-bf16", runtime=Runtime.OPENVINO, precision=Precision.BF16)
OV_INT8 = INT8.model_copy(update={"id": "openvino-int8", "runtime": Runtime.OPENVINO})
CHEAP = (
    Rung(name="fp32", candidates=(BASELINE,)),
    Rung(name="half", candidates=(HALF,)),
    Rung(name="int8", candidates=(INT8, OV_INT8)),
)
RUNGS = (*CHEAP, *mixed_rungs((BASELINE, HALF, INT8, OV_INT8)))
MIXED = tuple(f"onnxruntime-int8-mixed-{kept}" for kept in KEPT_FLOAT)
OV_MIXED = tuple(f"openvino-int8-mixed-{kept}" for kept in KEPT_FLOAT)


def climbed(drops_pp: dict[str, float], limits: Limits | None = None) -> tuple[list[str], Stop]:
    """Every rung that is climbed where candidates lose so much, in order; one that is not named failed."""
    seen: dict[str, RungResult] = {}
    while isinstance(move := next_rung(RUNGS, seen, limits or Limits()), Climb):
        losses = {each.id: drops_pp[each.id] for each in move.rung.candidates if each.id in drops_pp}
        seen[move.rung.name] = RungResult(seconds=1.0, drops_pp=losses)
    return list(seen), move


def test_fp32_half_and_int8_are_always_climbed_and_no_layer_stays_in_float_where_int8_is_inside_the_budget() -> None:
    names, stop = climbed({INT8.id: 0.1, OV_INT8.id: -0.2})
    assert names == ["fp32", "half", "int8"]
    assert stop.why.keys() == {*MIXED, *OV_MIXED}
    assert all("0.10 pp" in stop.why[name] for name in MIXED) and all("openvino-int8" in stop.why[name] for name in OV_MIXED)


def test_a_loss_on_the_budget_is_inside_as_it_is_to_the_choice() -> None:
    assert climbed({INT8.id: 1.0, OV_INT8.id: 1.0})[0] == ["fp32", "half", "int8"]


def test_layers_stay_in_float_the_fewest_first_until_the_budget_is_met_and_only_of_the_candidate_that_loses() -> None:
    names, stop = climbed({INT8.id: 5.0, OV_INT8.id: 0.4, MIXED[0]: 2.5, MIXED[1]: 0.9, MIXED[2]: 0.1})
    assert names == ["fp32", "half", "int8", *MIXED[:2]]
    assert all(f"{MIXED[1]} " in stop.why[name] and "0.90 pp" in stop.why[name] for name in MIXED[2:])
    assert set(stop.why) == {*MIXED[2:], *OV_MIXED}


def test_each_runtime_is_mended_on_its_own() -> None:
    names, stop = climbed({INT8.id: 5.0, OV_INT8.id: 3.0, MIXED[0]: 0.5, OV_MIXED[0]: 2.0, OV_MIXED[1]: 0.5})
    assert names[3:] == [MIXED[0], *OV_MIXED[:2]]
    assert set(stop.why) == {*MIXED[1:], *OV_MIXED[2:]}


def test_where_nothing_meets_the_budget_every_rung_is_climbed() -> None:
    names, stop = climbed({INT8.id: 5.0, OV_INT8.id: 5.0, **dict.fromkeys((*MIXED, *OV_MIXED), 4.0)})
    assert names == [rung.name for rung in RUNGS]
    assert stop == Stop(why={})


def test_a_mixed_candidate_that_fails_does_not_end_the_climb() -> None:
    names, _ = climbed({INT8.id: 5.0, OV_INT8.id: 0.0, MIXED[1]: 0.5})
    assert names[3:] == list(MIXED[:2])


def test_another_budget_is_another_ladder() -> None:
    assert climbed({INT8.id: 0.6, OV_INT8.id: 0.1, MIXED[0]: 0.2}, Limits(budget_pp=0.5))[0][3:] == [MIXED[0]]


def test_int8_that_did_not_answer_says_nothing_of_its_layers() -> None:
    names, stop = climbed({OV_INT8.id: 0.0})
    assert names == ["fp32", "half", "int8"]
    assert stop.why[MIXED[0]].startswith("onnxruntime-int8 ")


def test_a_call_that_builds_nothing_climbs_what_the_store_has() -> None:
    losses = {INT8.id: 5.0, OV_INT8.id: 0.0, MIXED[0]: 2.0}
    names, stop = climbed(losses, Limits(unbuilt=frozenset(MIXED[1:])))
    assert names[3:] == [MIXED[0]]
    assert "`edgecnn build`" in stop.why[MIXED[1]]


def test_a_spent_budget_of_time_ends_the_climb_and_is_said_of_every_rung_that_is_left() -> None:
    seen = {"fp32": RungResult(seconds=40.0), "half": RungResult(seconds=25.0)}
    stop = next_rung(CHEAP, seen, Limits(seconds=60))
    assert isinstance(stop, Stop) and stop.out_of_time == {"int8"}
    assert "65 s" in stop.why["int8"] and "60 s" in stop.why["int8"]


def test_the_first_rung_is_climbed_whatever_the_budget_of_time() -> None:
    assert isinstance(next_rung(CHEAP, {}, Limits(seconds=0.0)), Climb)


def test_mixed_rungs_are_of_int8_alone_and_in_the_runtimes_that_can_leave_layers_in_float() -> None:
    assert mixed_rungs((BASELINE, HALF, TRT_FP16)) == ()
    (first, *_) = mixed_rungs((BASELINE, INT8))
    assert (first.mends, first.kept_float) == (INT8.id, 2)
    (mixed,) = first.candidates
    assert (mixed.id, mixed.method, mixed.precision, mixed.scheme) == (MIXED[0], Method.MIXED, Precision.INT8, INT8.scheme)


def test_what_is_known_not_to_be_needed_is_not_blamed_on_the_time() -> None:
    names, stop = climbed({INT8.id: 0.1, OV_INT8.id: 0.1}, Limits(seconds=3.0))
    assert names == ["fp32", "half", "int8"]
    assert stop.out_of_time == frozenset()


def test_the_first_rung_is_climbed_whatever_the_time_and_the_rest_is_out_of_it() -> None:
    names, stop = climbed({}, Limits(seconds=0.5))
    assert names == ["fp32"]
    assert stop.out_of_time == frozenset(rung.name for rung in RUNGS[1:])
