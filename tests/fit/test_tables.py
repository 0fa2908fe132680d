"""By which table a search goes: the one that was named, the device's own, and what is measured where that lacks something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn.devices.files import device_named
from edgecnn.devices.machine import this_machine
from edgecnn.errors.fit import NoTable, TableOfAnother
from edgecnn.fit import tables
from edgecnn.fit.predictor import LEAST_TIMED
from edgecnn.fit.table import TablePlan
from edgecnn.fit.table_files import own_table, read_table_file, write_table
from edgecnn.fit.tables import priced
from edgecnn.measure.lab import Lab
from edgecnn.planning.candidates import BASELINE
from edgecnn.render.progress import Quiet
from edgecnn.store.store import Store
from edgecnn.values.fit import LatencyTable, Probe, TimedProbe
from edgecnn.values.recipe import Recipe
from edgecnn.values.verdict import Fidelity
from tests.building.resolutions import INT8

ROWS = tuple(
    TimedProbe(probe=Probe(arch="mobilenet-v2", resolution_px=side, classes=10), medians_ms=(side / 50,))
    for side in range(32, 32 + 16 * LEAST_TIMED, 16)
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
    write_table(table(lab, BASELINE.id), own_table("cpu"))
    measured = list[tuple[str, ...]]()

    def measure(plan: TablePlan, _lab: Lab) -> LatencyTable:
        measured.append(tuple(each.id for each in plan.candidates))
        return table(lab, *measured[-1], observed_at="2026-11-24T00:00:00+00:00")

    monkeypatch.setattr(tables, "measure_table", measure)
    found = priced(asked(), (BASELINE, INT8), lab, attached=True)
    assert measured == [(INT8.id,)]
    assert set(found.predictors) == {BASELINE.id, INT8.id} == set(read_table_file(own_table("cpu")).timed)
    priced(asked(), (BASELINE, INT8), lab, attached=True)
    assert len(measured) == 1, "the second search measures nothing"


def test_what_failed_when_the_table_was_measured_is_not_measured_by_every_search(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(table(lab, BASELINE.id, failed={f"{INT8.id} of mobilenet-v2@64x10": "no such operator"}), own_table("cpu"))
    monkeypatch.setattr(tables, "measure_table", lambda *_: pytest.fail("it was tried before"))
    assert set(priced(asked(), (BASELINE, INT8), lab, attached=True).predictors) == {BASELINE.id}


@pytest.mark.parametrize("attached", [True, False])
def test_a_table_of_another_machine_is_refused_at_hand_and_away(attached: bool, lab: Lab, tmp_path: Path) -> None:
    conditions = {**lab.environment.conditions, "power_mode": "MAXN"}
    other = table(lab, BASELINE.id, device="raspberry-pi-5").model_copy(
        update={"environment": lab.environment.model_copy(update={"conditions": conditions})}
    )
    write_table(other, tmp_path / "pi.json")
    why = "power_mode" if attached else "it is of raspberry-pi-5, and jetson-orin-nano is searched for"
    with pytest.raises(TableOfAnother, match=why):
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
    arm = lab.environment.model_copy(update={"observed": {**lab.environment.observed, "architecture": "aarch64"}})
    write_table(table(lab, BASELINE.id, device="arm64-emulated", fidelity=fidelity, environment=arm), tmp_path / "arm.json")
    if serves:
        found = priced(asked(device, tmp_path / "arm.json"), (BASELINE,), lab, attached=False)
        assert found.used.fidelity is Fidelity.EMULATED
    else:
        with pytest.raises(TableOfAnother, match="it is of arm64-emulated"):
            priced(asked(device, tmp_path / "arm.json"), (BASELINE,), lab, attached=False)


def test_a_device_that_is_away_needs_a_table(lab: Lab) -> None:
    with pytest.raises(NoTable, match="not at hand"):
        priced(asked("raspberry-pi-5"), (BASELINE,), replace(lab, device="raspberry-pi-5"), attached=False)


def test_the_same_rows_are_the_same_question_whenever_they_were_measured(lab: Lab, tmp_path: Path) -> None:
    contents = set()
    for when in ("2026-11-01T00:00:00+00:00", "2026-11-02T00:00:00+00:00"):
        write_table(table(lab, BASELINE.id, observed_at=when), own_table("cpu"))
        contents.add(priced(asked(), (BASELINE,), lab, attached=True).content)
    assert len(contents) == 1
