"""What the race of the front makes of a budget, and what other devices' tables say of what was built."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import NO_TABLE_BESIDE
from edgecnn.fit import finish
from edgecnn.fit.choose import choose_member
from edgecnn.fit.finish import marked_raced_twice, predict_on, prices_of_others, update_latency
from edgecnn.fit.members import Course
from edgecnn.fit.prices import TablePrices
from edgecnn.fit.request import OtherTarget
from edgecnn.measure.race import RaceResult
from edgecnn.measure.race_request import RaceRequest
from edgecnn.models.catalogue import arch_named
from edgecnn.planning.candidates import BASELINE
from edgecnn.render.screens.fit import elsewhere_columns, elsewhere_rows
from edgecnn.values.fit import Member
from edgecnn.values.recipe import RaceChoice
from edgecnn.values.stage import Key
from edgecnn.values.verdict import Fidelity, GateResult, Verdict
from tests.building.scenes import a_kit
from tests.fit.made import USED, report
from tests.fit.test_choose import member
from tests.fit.test_search import ByMacs
from tests.judging.made import a_gate, a_judged_latency, a_result, an_interval, facts


def judged(verdict: Verdict, metric: str = "p50_ms") -> GateResult:
    return a_result(verdict).model_copy(update={"gate": a_gate(metric, 5.0)})


def raced(ms: float, before: Verdict, *others: GateResult, **changes: Any) -> Member:
    built = member("a", 0.8, ms, before, gates=(judged(before), *others))
    return update_latency(built, facts(latency=a_judged_latency(an_interval(ms, 0.95 * ms, 1.05 * ms), **changes)))


@pytest.mark.parametrize(
    ("ms", "before", "after"),
    [
        (3.0, Verdict.UNSURE, Verdict.PASS),  # its own build was disturbed, the race of the front was not
        (9.0, Verdict.UNSURE, Verdict.FAIL),
        (5.0, Verdict.PASS, Verdict.UNSURE),
        (3.0, Verdict.FAIL, Verdict.UNSURE),  # two races that contradict each other
    ],
)
def test_the_race_of_the_front_says_whether_a_judged_latency_is_inside(ms: float, before: Verdict, after: Verdict) -> None:
    found = raced(ms, before)
    assert found.inside is after
    assert found.p50_ms is not None
    assert found.p50_ms.estimate == ms


@pytest.mark.parametrize(("metric", "rounds"), [("p50_ms", 16), ("p99_ms", 17), ("size_mib", 8)])
def test_the_front_is_raced_as_often_as_its_budgets_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str, rounds: int
) -> None:
    asked: list[RaceRequest] = []

    def write_down(request: RaceRequest, lab: object) -> RaceResult:
        asked.append(request)
        return RaceResult(race="r", observed_at="", profiles={}, failed={}, reused=False)

    monkeypatch.setattr(finish, "race", write_down)
    kit = a_kit(tmp_path / "a", BASELINE)
    monkeypatch.setattr(finish, "shipped_kit", lambda folder: SimpleNamespace(kit=kit))
    built = member("a", 0.8, 3.0, gates=(judged(Verdict.PASS, metric),))
    finish.race_front([built], tmp_path, RaceChoice(), SimpleNamespace(), anew=True)  # type: ignore[arg-type]
    assert [(request.rounds, request.max_s) for request in asked] == [(rounds, 60.0 if metric == "p99_ms" else 5.0)]


def test_a_kit_that_fails_in_the_race_of_the_front_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kits = {name: a_kit(tmp_path / name, BASELINE) for name in ("a", "b")}
    kits["b"] = kits["b"].model_copy(update={"digest": "b" * 64})
    failed = {kits["a"].entrant: "out of memory"}
    result = RaceResult(race="r", observed_at="", profiles={}, failed=failed, reused=False)
    monkeypatch.setattr(finish, "race", lambda *_: result)
    monkeypatch.setattr(finish, "shipped_kit", lambda folder: SimpleNamespace(kit=kits[folder.name]))
    better, worse = (member(name, top1, 3.0).model_copy(update={"build": name}) for name, top1 in (("a", 0.9), ("b", 0.8)))
    raced_members = finish.race_front([better, worse], tmp_path, RaceChoice(), SimpleNamespace(), anew=True)  # type: ignore[arg-type]
    assert [(each.name, each.failed is not None, each.p50_ms is None) for each in raced_members] == [
        ("a", True, True),
        ("b", False, False),
    ]
    assert choose_member(raced_members, {"p50_ms": 5.0}, None).name == "b"


def test_a_race_beside_other_work_shows_nothing_to_be_slow() -> None:
    assert raced(9.0, Verdict.PASS, disturbed="another program").inside is Verdict.UNSURE


def test_a_pass_of_a_second_race_says_that_it_had_two_chances() -> None:
    first, second = raced(3.0, Verdict.UNSURE), raced(5.0, Verdict.UNSURE)
    (passed,), (unsure,) = marked_raced_twice(first).gates, marked_raced_twice(second).gates
    assert passed.verdict is Verdict.PASS
    assert passed.reason.endswith("; its first race left this open, so a wrong PASS is up to twice as likely")
    assert unsure == second.gates[0]


def test_an_emulated_latency_decides_nothing() -> None:
    assert raced(3.0, Verdict.MISSING, fidelity=Fidelity.EMULATED).inside is Verdict.MISSING


def test_another_budget_that_is_missed_still_is() -> None:
    for before in (Verdict.PASS, Verdict.FAIL):
        assert raced(3.0, before, judged(Verdict.FAIL, "size_mib")).inside is Verdict.FAIL


@pytest.mark.parametrize(
    ("top1", "inside", "ships"),
    [(0.82, Verdict.PASS, True), (0.78, Verdict.PASS, False), (0.82, Verdict.FAIL, False)],
)
def test_labels_alone_take_the_place_of_a_teacher_where_they_are_better_and_as_fast(
    top1: float, inside: Verdict, ships: bool
) -> None:
    taught, labels = member("a", 0.80, 3.0), member("a", top1, 3.0, inside)
    fitting: Any = SimpleNamespace(
        members={"a": taught},
        request=SimpleNamespace(choice=SimpleNamespace(accuracy_top1=None, within={"p50_ms": 5.0})),
    )
    assert finish._replaces_shipped(fitting, labels, taught) is ships


@pytest.mark.parametrize(
    ("top1", "inside", "again", "distilled"),
    [
        (0.82, Verdict.PASS, Verdict.FAIL, False),
        (0.78, Verdict.UNSURE, Verdict.PASS, True),
        (0.82, Verdict.UNSURE, Verdict.PASS, False),
        (0.82, Verdict.UNSURE, Verdict.UNSURE, True),
    ],
)
def test_what_ships_is_the_better_of_two_trainings_that_were_raced_together_once_more_where_that_left_one_unsure(
    top1: float, inside: Verdict, again: Verdict, distilled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught, labels = member("a", 0.80, 3.0), member("a", top1, 3.1, inside)
    builder = SimpleNamespace(
        course=lambda _, teacher: Course(teacher=teacher),
        folder=lambda each, course: Path(each.name + course.suffix),
        starts_from_first=lambda _: False,
    )
    fitting: Any = SimpleNamespace(
        first=member("first", 0.9, 9.0),
        builder=builder,
        out_of_time=False,
        members={"a": taught},
        request=SimpleNamespace(choice=SimpleNamespace(accuracy_top1=None, teacher=True, within={"p50_ms": 5.0})),
    )
    compared, raced = list[tuple[str, str]](), list[list[Member]]()
    monkeypatch.setattr(finish, "_trained_on_labels", lambda *_: labels)

    def race(_: Any, members: list[Member], *, anew: bool = False) -> list[Member]:
        raced.append(members)
        return [members[0].model_copy(update={"inside": again}), members[1]] if anew else members

    monkeypatch.setattr(finish, "_race", race)
    monkeypatch.setattr(finish, "_paired_gain", lambda _, *folders: compared.append(tuple(map(str, folders))))
    ways = finish._choose_training(fitting, taught)
    assert raced == [[labels, taught]] * (2 if inside is Verdict.UNSURE and top1 > 0.80 else 1)
    assert ways.distilled is distilled
    assert fitting.members["a"].validation_top1 == (taught if distilled else labels).validation_top1
    ships = "a" if distilled else "a-labels"
    assert compared == [("a", "a-labels"), (ships, "first-labels")]


def test_what_was_built_is_shown_on_other_devices_by_their_tables(tmp_path: Any) -> None:
    prices = TablePrices(USED, {"ncnn-fp16": ByMacs(1.0), "onnxruntime-int8": ByMacs(0.5)}, Key("0" * 64))  # type: ignore[dict-item]
    built = member("a", 0.8, 3.0).model_copy(update={"scale": "depth=1,width=1,resolution=64"})
    there = predict_on("raspberry-pi-5", prices, [built], arch_named("mobilenet-v2"), 10)
    assert there.predicted["a"].candidate == "onnxruntime-int8"
    found = report(built, elsewhere=(there,))
    assert elsewhere_columns(found)[3] == "raspberry-pi-5, p50 ms predicted from an emulated machine"
    ((name, top1, here, other),) = elsewhere_rows(found)
    assert (name, here) == ("a", "openvino-int8: 3.00 [2.85, 3.15] within the budget")
    assert other.startswith("onnxruntime-int8: ")
    assert other.endswith("over the budget")


def test_a_device_without_a_table_is_refused_before_anything_is_trained(monkeypatch: Any, tmp_path: Any) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(EdgecnnError, match="no latency table of raspberry-pi-5", check=NO_TABLE_BESIDE.made):
        prices_of_others([OtherTarget("raspberry-pi-5", None)])
