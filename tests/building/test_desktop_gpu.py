"""Whoever plays the desktop GPU walks the whole way: program, kit, fresh processes, report.

There is no GPU where these tests must pass, so the processor takes the part, through the very session that a GPU uses.
"""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from edgecnn.building import resolve as resolve_module
from edgecnn.building.build import run_build
from edgecnn.building.desktop_gpu import HOW
from edgecnn.building.request import BuildRequest
from edgecnn.building.resolve import DESKTOP
from edgecnn.cli.asking import Asked, request_from
from edgecnn.judging.baseline import BaselineQuestion, BaselineRecord, baseline_facts
from edgecnn.store.store import Store
from edgecnn.values.report import BuildReport
from edgecnn.values.verdict import Fidelity
from tests.building.builds import SETTINGS, Place
from tests.store.toys import Ear

GPU = "NVIDIA GeForce RTX 4090"


def request(place: Place) -> BuildRequest:
    asked = Asked(
        arch="resnet-18",
        weights="none",
        target="cpu:onnxruntime",
        data=str(place.photos),
        overrides=SETTINGS[1::2],
        out=str(place.out),
    )
    return request_from(asked, "judge")


def built_with(place: Place, monkeypatch: pytest.MonkeyPatch, gpu: str | None, **options: str) -> BuildReport:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(resolve_module, "gpu_model", lambda: gpu)
    monkeypatch.setattr(resolve_module, "DESKTOP", DESKTOP.model_copy(update={"session_options": options}))
    return run_build(request(place), Store.open(place.store), Ear())


@pytest.fixture(scope="module")
def played(built_once: Place, tmp_path_factory: pytest.TempPathFactory) -> tuple[BuildReport, Place]:
    """One build in which the processor took the part."""
    place = Place(tmp_path_factory.mktemp("played") / "moved")
    shutil.copytree(built_once.folder, place.folder, copy_function=shutil.copy2)
    with pytest.MonkeyPatch.context() as monkeypatch:
        return built_with(place, monkeypatch, GPU, device="cpu", threads="1"), place


def test_it_answers_the_report_split_and_races_in_processes_of_its_own(played: tuple[BuildReport, Place]) -> None:
    baseline = played[0].baseline
    assert baseline.device == "rtx-4090"
    assert baseline.latency.fidelity is Fidelity.MEASURED
    assert baseline.latency.runs == 8
    assert baseline.latency.p50_ms is not None
    assert baseline.latency.machine == f"{GPU}: {HOW}"
    assert baseline.accuracy is not None
    assert baseline.accuracy.drop_pp is not None
    assert baseline.accuracy.drop_pp.estimate == 0, "torch and ONNX Runtime run the same fp32 network"
    assert baseline.accuracy_from == f"{GPU} itself: {HOW}"


def test_it_leaves_a_record_that_serves_machines_without_a_gpu(played: tuple[BuildReport, Place]) -> None:
    report, place = played
    record = BaselineRecord.model_validate_json((place.out / "baseline.json").read_text())
    assert (record.device, record.arch, record.resolution_px, record.precision) == ("rtx-4090", "resnet-18", 64, "fp32")
    question = BaselineQuestion(device="rtx-4090", arch="resnet-18", resolution_px=64, accuracy_machine="a laptop")
    assert baseline_facts(question, records=[record]).latency == report.baseline.latency


def test_it_ships_in_no_bundle(played: tuple[BuildReport, Place]) -> None:
    choice = json.loads((played[1].out / "bundle" / "choice.json").read_text())
    assert "torch-fp32" not in choice["kits"]


def test_a_gpu_that_torch_cannot_use_leaves_the_figure_missing_and_says_why(
    built: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has what the test says is not there")
    report = built_with(built, monkeypatch, GPU)
    assert report.baseline.latency.fidelity is Fidelity.MISSING
    assert f"{GPU} is here: " in (report.baseline.latency.reason or "")
    assert "no NVIDIA GPU can be used here" in (report.baseline.latency.reason or "")
    assert report.choice.state == "settled", "the device's own candidates are none the worse"
