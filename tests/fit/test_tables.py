"""By which table a search goes: the one that was named, the device's own, and what is measured where that lacks something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn.devices.files import device_named
from edgecnn.devices.machine import this_machine
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import (
    NO_TABLE,
    TABLE_OF_ANOTHER,
    TABLE_UNREADABLE,
    nothing_timed,
)
from edgecnn.fit import prices
from edgecnn.fit.predictor import LEAST_TIMED, count_cost
from edgecnn.fit.prices import own_table_file, priced, read_table_file, write_table
from edgecnn.fit.timing import TablePlan
from edgecnn.measure.lab import Lab
from edgecnn.planning.candidates import BASELINE
from edgecnn.render.progress import Quiet
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.store import Store
from edgecnn.values.fit import MS_MAX, MS_MIN, US_MAX, LatencyTable, Probe, TimedProbe, TracedLayers
from edgecnn.values.recipe import Recipe
from edgecnn.values.verdict import Fidelity
from tests.building.resolutions import INT8

PROBES = tuple(
    Probe(arch="mobilenet-v2", resolution_px=ImageSize.square(side), classes=10) for side in range(32, 32 + 16 * LEAST_TIMED, 16)
)
ROWS = tuple(
    TimedProbe(probe=each, macs=count_cost(each).macs, medians_ms=(each.resolution_px.short_px / 50,)) for each in PROBES
)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return this_machine().lab(Store.open(tmp_path / "store"), Quiet(), "cpu")


def table(lab: Lab, *timed: str, device: str = "cpu", **changes: Any) -> LatencyTable:
    facts: dict[str, Any] = {
        "version": "0.1.0",
        "device": device,
        "machine": lab.machine,
        "fidelity": Fidelity.MEASURED,
        "environment": lab.environment,
        "runtimes": {},
        "observed_at": "2026-11-01T00:00:00+00:00",
        "seconds": 60.0,
        "timed": dict.fromkeys(timed, ROWS),
    }
    return LatencyTable(**{**facts, **changes})


def asked(device: str = "cpu", file: Path | None = None) -> Any:
    return SimpleNamespace(device=device_named(device), table=file, recipe=Recipe())


def test_only_what_a_table_lacks_is_measured_and_what_it_has_stays(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(table(lab, BASELINE.id), own_table_file("cpu"))
    measured = list[tuple[str, ...]]()

    def measure(plan: TablePlan, _lab: Lab) -> LatencyTable:
        measured.append(tuple(each.id for each in plan.candidates))
        return table(lab, *measured[-1], observed_at="2026-11-24T00:00:00+00:00")

    monkeypatch.setattr(prices, "measure_table", measure)
    found = priced(asked(), (BASELINE, INT8), lab, attached=True)
    assert measured == [(INT8.id,)]
    assert set(found.predictors) == {BASELINE.id, INT8.id} == set(read_table_file(own_table_file("cpu")).timed)
    priced(asked(), (BASELINE, INT8), lab, attached=True)
    assert len(measured) == 1, "the second search measures nothing"


def test_what_never_ran_when_the_table_was_measured_is_not_measured_by_every_search(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(table(lab, BASELINE.id, failed={INT8.id: "none of its networks could be made and run"}), own_table_file("cpu"))
    monkeypatch.setattr(prices, "measure_table", lambda *_: pytest.fail("it was tried before"))
    assert set(priced(asked(), (BASELINE, INT8), lab, attached=True).predictors) == {BASELINE.id}


def test_one_network_that_failed_keeps_no_candidate_from_being_measured_to_the_end(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = table(lab, BASELINE.id, failed={f"{INT8.id} of mobilenet-v2@64x10": "no such operator"})
    write_table(begun.model_copy(update={"timed": {**begun.timed, INT8.id: ROWS[:6]}}), own_table_file("cpu"))
    monkeypatch.setattr(prices, "measure_table", lambda *_: table(lab, INT8.id))
    assert set(priced(asked(), (BASELINE, INT8), lab, attached=True).predictors) == {BASELINE.id, INT8.id}


def test_a_candidate_that_runs_nowhere_is_left_out_once_and_the_others_are_searched_with(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(table(lab, BASELINE.id), own_table_file("cpu"))
    told = list[str]()
    monkeypatch.setattr(Quiet, "note", lambda _, text: told.append(text))

    def nothing(*_: object) -> LatencyTable:
        raise nothing_timed(device="cpu", reasons={})

    monkeypatch.setattr(prices, "measure_table", nothing)
    assert set(priced(asked(), (BASELINE, INT8), lab, attached=True).predictors) == {BASELINE.id}
    assert told[-1].startswith(f"{INT8.id} is excluded")
    monkeypatch.setattr(prices, "measure_table", lambda *_: pytest.fail("it was tried before"))
    priced(asked(), (BASELINE, INT8), lab, attached=True)


@pytest.mark.parametrize(
    ("update", "why"),
    [
        ({"macs": 7}, r"had 7 multiply-adds and has [\d,]+: another version of edgecnn measured it"),
        ({"probe": PROBES[0].model_copy(update={"arch": "mobilenet-v9"})}, "another version of edgecnn measured it"),
    ],
)
def test_a_table_of_networks_that_are_others_today_is_refused(update: dict[str, Any], why: str, lab: Lab) -> None:
    rows = (ROWS[0].model_copy(update=update), *ROWS[1:])
    write_table(table(lab, timed={BASELINE.id: rows}), own_table_file("cpu"))
    with pytest.raises(EdgecnnError, match=why, check=TABLE_UNREADABLE.made):
        priced(asked(), (BASELINE,), lab, attached=True)


def test_what_was_timed_beside_other_work_predicts_nothing_where_the_rest_is_enough(lab: Lab) -> None:
    slow = ROWS[0].model_copy(update={"medians_ms": (99.0,), "disturbed": "another program"})
    write_table(table(lab, timed={BASELINE.id: (*ROWS, slow)}), own_table_file("cpu"))
    found = priced(asked(), (BASELINE,), lab, attached=True)
    assert found.used.networks == len(ROWS)


@pytest.mark.parametrize("attached", [True, False])
def test_a_table_of_another_machine_is_refused_at_hand_and_away(attached: bool, lab: Lab, tmp_path: Path) -> None:
    conditions = {**lab.environment.conditions, "power_mode": "MAXN"}
    other = table(lab, BASELINE.id, device="raspberry-pi-5").model_copy(
        update={"environment": lab.environment.model_copy(update={"conditions": conditions})}
    )
    write_table(other, tmp_path / "pi.json")
    why = "power_mode" if attached else "it is for raspberry-pi-5, but the search is for jetson-orin-nano"
    with pytest.raises(EdgecnnError, match=why, check=TABLE_OF_ANOTHER.made):
        priced(asked("jetson-orin-nano", tmp_path / "pi.json"), (BASELINE,), lab, attached=attached)


@pytest.mark.parametrize(
    ("fidelity", "device", "serves"),
    [
        (Fidelity.EMULATED, "raspberry-pi-5", True),
        (Fidelity.EMULATED, "intel-cpu", False),
        (Fidelity.MEASURED, "raspberry-pi-5", False),
    ],
)
def test_an_emulated_machine_stands_for_every_device_of_its_architecture(
    fidelity: Fidelity, device: str, serves: bool, lab: Lab, tmp_path: Path
) -> None:
    conditions = {**lab.environment.conditions, **({"emulator": "qemu-aarch64"} if fidelity is Fidelity.EMULATED else {})}
    observed = {**lab.environment.observed, "architecture": "aarch64"}
    arm = lab.environment.model_copy(update={"conditions": conditions, "observed": observed})
    write_table(table(lab, BASELINE.id, device="arm64-emulated", fidelity=fidelity, environment=arm), tmp_path / "arm.json")
    if serves:
        found = priced(asked(device, tmp_path / "arm.json"), (BASELINE,), lab, attached=False)
        assert found.used.fidelity is Fidelity.EMULATED
    else:
        with pytest.raises(EdgecnnError, match="it is for arm64-emulated", check=TABLE_OF_ANOTHER.made):
            priced(asked(device, tmp_path / "arm.json"), (BASELINE,), lab, attached=False)


def test_a_device_that_is_away_needs_a_table(lab: Lab) -> None:
    with pytest.raises(EdgecnnError, check=NO_TABLE.made):
        priced(asked("raspberry-pi-5"), (BASELINE,), replace(lab, device="raspberry-pi-5"), attached=False)


def test_the_same_rows_are_the_same_question_whenever_they_were_measured(lab: Lab, tmp_path: Path) -> None:
    contents = set()
    for when in ("2026-11-01T00:00:00+00:00", "2026-11-02T00:00:00+00:00"):
        write_table(table(lab, BASELINE.id, observed_at=when), own_table_file("cpu"))
        contents.add(priced(asked(), (BASELINE,), lab, attached=True).content)
    assert len(contents) == 1


@pytest.mark.parametrize("arch", ["mobilenet-v2-d9-w9", "blocks-1e5", "mobilenet-v2-d0.8-w0.5" * 1000])
def test_a_table_of_networks_that_cannot_be_built_is_refused(arch: str, lab: Lab) -> None:
    rows = tuple(each.model_copy(update={"probe": each.probe.model_copy(update={"arch": arch})}) for each in ROWS)
    with pytest.raises(EdgecnnError, match=arch[:18], check=TABLE_UNREADABLE.made) as refused:
        prices.prices_from_table(Path("table.json"), table(lab, timed={BASELINE.id: rows}), [BASELINE.id])
    assert len(refused.value.line()) < 1000


@pytest.mark.parametrize("traced", [None, 0.0, US_MAX, "none"])
def test_times_that_contradict_each_other_predict_finite_figures_or_are_refused(traced: float | str | None, lab: Lab) -> None:
    def row(index: int, known: TimedProbe) -> TimedProbe:
        count = len(count_cost(known.probe).layers)
        us = None if traced == "none" else traced
        layers = None if traced is None else TracedLayers(multiplying_us=(us,) * count, others={})
        return known.model_copy(update={"medians_ms": ((MS_MIN, MS_MAX)[index % 2],), "traced": layers})

    rows = tuple(row(index, known) for index, known in enumerate(ROWS))
    try:
        found_prices = prices.prices_from_table(Path("table.json"), table(lab, timed={BASELINE.id: rows}), [BASELINE.id])
    except EdgecnnError:
        return
    other = Probe(arch="mobilenet-v2", resolution_px=ImageSize.square(56), classes=10)
    (found,) = found_prices.predictors[BASELINE.id].predict([other])
    assert 0 < found.p50_ms.low <= found.p50_ms.estimate <= found.p50_ms.high <= 1.01e9
