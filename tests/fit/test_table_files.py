from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgecnn.devices.machine import this_machine
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import TABLE_OF_ANOTHER, TABLE_UNREADABLE
from edgecnn.fit.prices import own_table_file, read_table_file, require_same_machine, table_file, write_table
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
    write_table(table, own_table_file("cpu"))
    found = table_file("cpu")
    assert found is not None
    assert read_table_file(found) == table
    require_same_machine(table, found, lab)


def test_a_table_of_another_power_mode_or_runtime_is_refused_with_what_differs(table: LatencyTable, lab: Lab) -> None:
    conditions = {**lab.environment.conditions, "power_mode": "MAXN"}
    other = replace(lab, environment=lab.environment.model_copy(update={"conditions": conditions}))
    with pytest.raises(EdgecnnError, match="power_mode was unknown then and is MAXN now", check=TABLE_OF_ANOTHER.made):
        require_same_machine(table, Path("table.json"), other)
    older = table.model_copy(update={"runtimes": {"onnxruntime": "1.0.0"}})
    with pytest.raises(EdgecnnError, match=r"onnxruntime was 1\.0\.0 then and is \d", check=TABLE_OF_ANOTHER.made) as refused:
        require_same_machine(older, Path("table.json"), lab)
    assert refused.value.hint == "measure a new table with edgecnn devices measure cpu"


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"schema": "edgecnn.fit/1"}'])
def test_what_is_no_table_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_bytes(content)
    with pytest.raises(EdgecnnError, match=r"table\.json is not a latency table", check=TABLE_UNREADABLE.made):
        read_table_file(path)
    with pytest.raises(EdgecnnError, match="no such file", check=TABLE_UNREADABLE.made):
        read_table_file(tmp_path / "absent.json")


def _row(written: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = written["timed"]["onnxruntime-fp32"][0]
    return row


def _doubled(written: dict[str, Any]) -> None:
    written["timed"]["onnxruntime-fp32"] *= 300


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no medians": (lambda table: _row(table).update(medians_ms=[]), "medians_ms"),
    "an infinite median": (lambda table: _row(table).update(medians_ms=[float("inf")]), "medians_ms"),
    "a median that is no number": (lambda table: _row(table).update(medians_ms=[float("nan")]), "medians_ms"),
    "a median of 1e308": (lambda table: _row(table).update(medians_ms=[1e308]), "medians_ms"),
    "a median of 5e-324": (lambda table: _row(table).update(medians_ms=[5e-324]), "medians_ms"),
    "a text for a median": (lambda table: _row(table).update(medians_ms=["Infinity"]), "medians_ms"),
    "2^63 classes": (lambda table: _row(table)["probe"].update(classes=2**63), "classes"),
    "a million classes": (lambda table: _row(table)["probe"].update(classes=1_000_000), "classes"),
    "an input of 99,999 px": (lambda table: _row(table)["probe"].update(resolution_px="99999x99999"), "resolution_px"),
    "an input of no pixel": (lambda table: _row(table)["probe"].update(resolution_px=0), "resolution_px"),
    "2^63 multiply-adds": (lambda table: _row(table).update(macs=2**63), "macs"),
    "an infinite layer": (
        lambda table: _row(table).update(traced={"multiplying_us": [float("inf")], "others": {}}),
        "multiplying_us",
    ),
    "1e308 µs of other layers": (
        lambda table: _row(table).update(traced={"multiplying_us": [], "others": {"Softmax": {"count": 1, "us": 1e308}}}),
        "us",
    ),
    "infinite seconds": (lambda table: table.update(seconds=float("inf")), "seconds"),
    "1e308 seconds": (lambda table: table.update(seconds=1e308), "seconds"),
    "2^63 probes left": (lambda table: table.update(left=2**63), "left"),
    "a date that is none": (lambda table: table.update(observed_at="yesterday"), "observed_at"),
    "a date to come": (lambda table: table.update(observed_at="9000-01-01T00:00:00+00:00"), "observed_at"),
    "a device that is no name": (lambda table: table.update(device="cpu; rm -rf ~"), "device"),
    "a candidate that is no name": (lambda table: table["timed"].update({"a b\0": []}), "timed"),
    "300 rows": (_doubled, "timed.onnxruntime-fp32"),
    "measured on an emulated processor": (
        lambda table: table["environment"]["conditions"].update(emulator="qemu-aarch64"),
        "measured",
    ),
}


@pytest.mark.parametrize("change", HOSTILE)
def test_a_table_with_a_figure_that_nothing_measured_is_refused_by_its_field(
    change: str, table: LatencyTable, tmp_path: Path
) -> None:
    path, written = tmp_path / "table.json", json.loads(table.model_dump_json(by_alias=True))
    HOSTILE[change][0](written)
    path.write_text(json.dumps(written))
    with pytest.raises(EdgecnnError, check=TABLE_UNREADABLE.made) as refused:
        read_table_file(path)
    assert HOSTILE[change][1] in str(refused.value.because)
    assert refused.value.exit_code == 2
    assert len(refused.value.line()) < 1000


def test_a_pipe_a_device_and_a_table_of_300_mib_are_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(300 << 20)
    for path, why in (
        (tmp_path / "pipe.json", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path / "large.json", "larger than 16 MiB"),
    ):
        with pytest.raises(EdgecnnError, match=why, check=TABLE_UNREADABLE.made):
            read_table_file(path)
