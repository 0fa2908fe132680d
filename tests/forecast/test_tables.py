"""The public tables that are shipped, and the importers' refusals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks.forecast.ncnn_table import blocks_of, board_of, headings_of, runs_of
from benchmarks.forecast.published import Checked, require_unchanged
from edgecnn.devices.files import load_devices
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import PUBLIC_TABLE_DAMAGED
from edgecnn.forecast import networks, tables
from edgecnn.forecast.networks import count_arch, counted_catalogue, work_of
from edgecnn.forecast.tables import public_tables, runs_on
from edgecnn.graph.layer_features import Layer
from edgecnn.models.catalogue import all_archs, arch_named
from edgecnn.runner.pixel_recipe import ImageSize
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
HALF_BOARDS = [
    "avaota-aim-t527", "azure-d64ps-v6", "jetson-agx-orin", "jetson-agx-xavier", "jetson-orin-nano",
    "kunpeng-920-24-cores", "kunpeng-920-64-cores", "kunpeng-920-8-cores", "macbook-air", "macbook-pro-m1",
    "mediatek-dimensity-9300", "myir-remipi", "orange-pi-5", "orange-pi-5-plus", "orangepicm4", "phytiumpi",
    "qualcomm-msm6150-snapdragon-675", "qualcomm-sdm765g-snapdragon-765g", "qualcomm-sm8150-ac-snapdragon-855",
    "qualcomm-sm8550-ab-snapdragon-8-gen-2", "qualcomm-snapdragon-888", "qualcomm-snapdragon-x-elite", "radxa-orion-o6",
    "radxa-zero-3w", "raspberry-pi-5", "raspberry-pi-5-overclocked", "rk3588", "rk3588-android",
    "roc-rk3588s-pc-android", "rock3a", "station-m2-roc-rk3566-pc", "station-p2",
]  # fmt: skip
"""Boards of ncnn's table whose cores multiply halves."""


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


def test_two_headings_of_one_name_are_refused() -> None:
    pages = [PAGE.replace("Some board (Cortex-A76", f"Some board ({core}") for core in ("M1", "Core i7")]
    blocks = [block for page in pages for block in blocks_of(page.splitlines())]
    with pytest.raises(SystemExit, match="are both some-board"):
        headings_of(blocks)
    assert list(headings_of(blocks[:1])) == ["some-board"]


def test_the_arithmetic_of_each_board_is_that_of_its_cores() -> None:
    runs = next(table for table in public_tables() if table.name == "ncnn").runs
    half = {run.board for run in runs if run.precision is Precision.FP16}
    assert {run.board for run in runs if run.precision is Precision.FP32}.isdisjoint(half)
    assert sorted(half) == HALF_BOARDS
    assert not {"khadas-vim3", "rdk-x3-module", "amd-ryzen-threadripper-3970x", "raspberry-pi-4", "macbook-pro-core-i7"} & half


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("runs", 0, "ms", "resnet18"), float("inf"), "finite"),
        (("runs", 0, "ms", "resnet18"), 0.0, "greater than 0"),
        (("runs", 0, "ms", "resnet19"), 1.0, "resnet19, which is not in networks"),
        (("runs", 0, "board"), "no-board", "no-board, which is not in boards"),
        (("networks", "resnet18", "work", "spatial_macs"), None, "no kind of layer has multiply-adds"),
    ],
)
def test_a_table_with_an_impossible_entry_is_refused(path: tuple[str | int, ...], value: object, says: str) -> None:
    document: Any = next(table for table in public_tables() if table.name == "ncnn").model_dump(by_alias=True)
    work = document["networks"]["resnet18"]["work"]
    if value is None:
        work |= {name: 0 for name in work if name.endswith("_macs")}
    else:
        place = document
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
    with pytest.raises(ValidationError, match=says):
        PublicTable.model_validate(document)


def test_a_damaged_count_of_the_catalogue_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / networks.COUNTED_FILE).write_text("{")
    monkeypatch.setattr(networks, "resource_folder", lambda _: tmp_path)
    with pytest.raises(EdgecnnError, match=networks.COUNTED_FILE, check=PUBLIC_TABLE_DAMAGED.made):
        networks.counted_catalogue.__wrapped__()


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


@pytest.mark.parametrize(
    ("name", "side", "off"), [("mobilenet-v2", 160, 0.0), ("efficientnet-lite2", 128, 0.0), ("resnet-18", 200, 0.1)]
)
def test_the_work_at_another_size_is_exact_for_multiples_of_32_and_close_between_them(name: str, side: int, off: float) -> None:
    size, spec = ImageSize.square(side), arch_named(name)
    shipped, counted = counted_catalogue().networks[name].work_at(size), count_arch(spec, size)
    assert shipped.macs == pytest.approx(counted.macs, rel=off)
    assert shipped.moved == pytest.approx(counted.moved, rel=off)
    assert (shipped.weights, shipped.layers) == (counted.weights, counted.layers)
