from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn.devices.machine import this_machine
from edgecnn.errors.fit import TableOfAnother, TableUnreadable
from edgecnn.fit.table_files import own_table, read_table_file, require_same_machine, table_file, write_table
from edgecnn.measure.lab import Lab
from edgecnn.render.progress import Quiet
from edgecnn.store.store import Store
from edgecnn.values.fit import LatencyTable, Probe, TimedProbe
from edgecnn.values.verdict import Fidelity


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return this_machine().lab(Store.open(tmp_path / "store"), Quiet(), "cpu")


@pytest.fixture
def table(lab: Lab) -> LatencyTable:
    probe = Probe(arch="mobilenet-v2", resolution_px=64, classes=10)
    version = lab.host.runtime_version("onnxruntime")
    return LatencyTable(
        version="0.1.0",
        device="cpu",
        machine=lab.machine,
        fidelity=Fidelity.MEASURED,
        environment=lab.environment,
        runtimes={"onnxruntime": version or "absent"},
        observed_at="2026-11-01T00:00:00+00:00",
        seconds=60.0,
        timed={"onnxruntime-fp32": (TimedProbe(probe=probe, macs=1, medians_ms=(0.8, 0.9)),)},
    )


def test_a_table_is_found_again_whole_and_speaks_for_this_machine(
    table: LatencyTable, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert table_file("cpu") is None
    write_table(table, own_table("cpu"))
    found = table_file("cpu")
    assert found is not None
    assert read_table_file(found) == table
    require_same_machine(table, found, lab)


def test_a_table_of_another_power_mode_or_runtime_is_refused_with_what_differs(table: LatencyTable, lab: Lab) -> None:
    conditions = {**lab.environment.conditions, "power_mode": "MAXN"}
    other = replace(lab, environment=lab.environment.model_copy(update={"conditions": conditions}))
    with pytest.raises(TableOfAnother, match="power_mode: then unknown, now MAXN"):
        require_same_machine(table, Path("table.json"), other)
    older = table.model_copy(update={"runtimes": {"onnxruntime": "1.0.0"}})
    with pytest.raises(TableOfAnother, match=r"onnxruntime: then 1\.0\.0, now \d") as refused:
        require_same_machine(older, Path("table.json"), lab)
    assert refused.value.hint == "edgecnn devices measure cpu"


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"schema": "edgecnn.fit/1"}'])
def test_what_is_no_table_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_bytes(content)
    with pytest.raises(TableUnreadable, match=r"table\.json is no latency table"):
        read_table_file(path)
    with pytest.raises(TableUnreadable, match="no such file"):
        read_table_file(tmp_path / "absent.json")
