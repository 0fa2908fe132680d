"""What the race of the front makes of a budget, and what other devices' tables say of what was built."""

from __future__ import annotations

from typing import Any

import pytest

from edgecnn.errors.fit import NoTable
from edgecnn.fit.elsewhere import on_another, prices_elsewhere
from edgecnn.fit.front import judged_by
from edgecnn.fit.request import OtherTarget
from edgecnn.fit.tables import TablePrices
from edgecnn.models.catalogue import arch_named
from edgecnn.render.screens.fit import elsewhere_columns, elsewhere_rows
from edgecnn.values.fit import FitReport, Member, TableUsed
from edgecnn.values.verdict import Fidelity, GateResult, Verdict
from tests.fit.test_choose import member
from tests.fit.test_search import ByMacs
from tests.judging.made import a_gate, a_latency, a_result, an_interval, facts

USED = TableUsed(file="pi.json", machine="a board", observed_at="2026-11-23", networks=30, fidelity=Fidelity.EMULATED)


def judged(verdict: Verdict, metric: str = "p50_ms") -> GateResult:
    return a_result(verdict).model_copy(update={"gate": a_gate(metric, 5.0)})


def raced(ms: float, before: Verdict, *others: GateResult, **changes: Any) -> Member:
    built = member("a", 0.8, ms, before, gates=(judged(before), *others))
    return judged_by(built, facts(latency=a_latency(an_interval(ms, 0.95 * ms, 1.05 * ms), **changes)))


@pytest.mark.parametrize(
    ("ms", "before", "after"),
    [
        (3.0, Verdict.UNSURE, Verdict.PASS),  # its own build was disturbed, the race of the front was not
        (9.0, Verdict.UNSURE, Verdict.FAIL),
        (5.0, Verdict.PASS, Verdict.UNSURE),
        (3.0, Verdict.FAIL, Verdict.UNSURE),  # two races that contradict each other
    ],
)
def test_the_race_of_the_front_says_whether_a_latency_is_inside(ms: float, before: Verdict, after: Verdict) -> None:
    found = raced(ms, before)
    assert found.inside is after
    assert found.p50_ms is not None
    assert found.p50_ms.estimate == ms


def test_a_race_beside_other_work_shows_nothing_to_be_slow() -> None:
    assert raced(9.0, Verdict.PASS, disturbed="another program").inside is Verdict.UNSURE


def test_an_emulated_latency_decides_nothing() -> None:
    assert raced(3.0, Verdict.MISSING, fidelity=Fidelity.EMULATED).inside is Verdict.MISSING


def test_another_budget_that_is_missed_still_is() -> None:
    assert raced(3.0, Verdict.PASS, judged(Verdict.FAIL, "size_mib")).inside is Verdict.FAIL


def test_what_was_built_is_shown_on_other_devices_by_their_tables(tmp_path: Any) -> None:
    prices = TablePrices(USED, {"ncnn-fp16": ByMacs(1.0), "onnxruntime-int8": ByMacs(0.5)})  # type: ignore[dict-item]
    built = member("a", 0.8, 3.0).model_copy(update={"scale": "depth=1,width=1,resolution=64"})
    there = on_another("raspberry-pi-5", prices, [built], arch_named("mobilenet-v2"), 10)
    assert there.predicted["a"].candidate == "onnxruntime-int8"
    found = report(built, elsewhere=(there,))
    assert elsewhere_columns(found)[3] == "raspberry-pi-5, p50 ms predicted from an emulated machine"
    ((name, top1, here, other),) = elsewhere_rows(found)
    assert (name, here) == ("a", "openvino-int8: 3.00 [2.85, 3.15] inside")
    assert other.startswith("onnxruntime-int8: ")
    assert other.endswith("outside")


def test_a_device_without_a_table_is_refused_before_anything_is_trained(monkeypatch: Any, tmp_path: Any) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(NoTable, match="no latency table of raspberry-pi-5"):
        prices_elsewhere([OtherTarget("raspberry-pi-5", None)])


def report(*members: Member, **more: Any) -> FitReport:
    facts: dict[str, Any] = {
        "version": "0.1.0",
        "family": "mobilenet-v2",
        "device": "cpu",
        "attached": True,
        "machine": "here",
        "within": {"p50_ms": 5.0},
        "table": None,
        "trials": (),
        "members": members,
        "front": ("a",),
        "rank_correlation": None,
        "taught_by": None,
        "shipped": "a",
        "state": "settled",
        "why": "it is the one",
        "seconds": 1.0,
        "command": "edgecnn fit",
    }
    return FitReport(**{**facts, **more})
