"""The public tables that are shipped, and the importers' refusals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.forecast.ncnn_table import blocks_of, board_of, runs_of
from benchmarks.forecast.published import Checked, require_unchanged
from edgecnn.devices.files import load_devices
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.forecast import PUBLIC_TABLE_DAMAGED
from edgecnn.forecast import tables
from edgecnn.forecast.networks import count_arch, counted_catalogue, work_of
from edgecnn.forecast.tables import public_tables, runs_on
from edgecnn.graph.layer_features import Layer
from edgecnn.models.catalogue import all_archs, arch_named
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.forecast import PublicTable

PAGE = """\
### Some board (Cortex-A76 2.4GHz x 4)

ncnn version tag: 20260113

**Results (Without AVX512)**

loop_count = 10
num_threads = 4
powersave = 2
gpu_device = -1
            resnet18  min =   10.00  max =   11.00  avg =   10.50
            resnet50  min =   30.00  max =   31.00  avg =   30.50
            alexnet   min =   20.00  max =   21.00  avg =   20.50
       resnet18_int8  min =    9.00  max =   11.00  avg =   10.50
"""


@pytest.mark.parametrize("table", public_tables(), ids=lambda table: table.name)
def test_every_table_names_its_source_and_devices_that_exist(table: PublicTable) -> None:
    assert re.fullmatch("[0-9a-f]{40}", table.source.commit)
    assert re.fullmatch("[0-9a-f]{64}", table.source.sha256)
    assert table.source.commit in table.source.url
    archs = {spec.name for spec in all_archs()}
    assert {network.arch for network in table.networks.values()} - {None} <= archs
    assert {board.device for board in table.boards.values()} - {None} <= load_devices().keys()
    assert {run.board for run in table.runs} == table.boards.keys()
    assert all(run.ms.keys() <= table.networks.keys() for run in table.runs)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", run.date) for run in table.runs)


def test_the_pi_5_has_the_times_of_its_table() -> None:
    run = next(each.run for each in runs_on("raspberry-pi-5") if each.run.threads == 4 and each.run.precision is Precision.FP16)
    assert (run.ms["resnet50"], run.ms["mobilenet_v2"], run.runtime) == (45.94, 10.46, Runtime.NCNN)


def test_small_cores_and_unusual_builds_say_nothing_of_a_device() -> None:
    assert {each.run.cores for each in runs_on("rk3588")} == {"all", "fast"}
    assert {each.run.note for each in runs_on("intel-cpu")} == {None}


def test_a_page_becomes_runs_with_their_conditions() -> None:
    (block,) = list(blocks_of(PAGE.splitlines()))
    (run,) = runs_of(block, "2026-01-01")  # one network in INT8 is too few for a run
    assert (run.threads, run.cores, run.precision, run.runtime_version) == (4, "fast", Precision.FP16, "20260113")
    assert (run.ms["resnet50"], run.line, run.note) == (30.0, 7, "Without AVX512")
    assert board_of("Raspberry Pi 5 Broadcom BCM2712, Cortex-A76 (ARMv8)") == ("raspberry-pi-5", "raspberry-pi-5")


@pytest.mark.parametrize(("digest", "parts", "says"), [("b", 2, "digest"), ("a", 3, "parts")])
def test_a_source_that_changed_is_refused(digest: str, parts: int, says: str) -> None:
    with pytest.raises(SystemExit, match=f"ncnn.*{says}"):
        require_unchanged(Checked("ncnn", "a", 2), digest, parts)
    require_unchanged(Checked("ncnn", "a", 2), "a", 2)


def test_a_damaged_table_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "some.json").write_text('{"schema": "edgecnn.public-table/1"}')
    monkeypatch.setattr(tables, "resource_folder", lambda _: tmp_path)
    with pytest.raises(EdgecnnError, match="some.json", check=PUBLIC_TABLE_DAMAGED.made):
        tables.public_tables.__wrapped__()


def test_every_network_of_the_catalogue_is_counted() -> None:
    assert list(counted_catalogue().networks) == [spec.name for spec in all_archs()]


def test_weights_behind_other_nodes_are_counted_by_their_shapes() -> None:
    layer = Layer("spatial", 16, 16, 32, 1, 9, 1, 196, 9408, 4608, 903168, "", adds=False)
    assert work_of([layer]) == work_of([layer._replace(weights=0)])


@pytest.mark.parametrize("name", ["mobilenet-v2", "shufflenet-v1-x1.0"])
def test_the_shipped_count_is_that_of_the_network(name: str) -> None:
    spec, shipped = arch_named(name), counted_catalogue().networks[name]
    assert count_arch(spec, spec.resolution_px) == shipped.work
    assert shipped.work.macs == spec.macs
