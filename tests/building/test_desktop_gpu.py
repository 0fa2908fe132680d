"""Whoever plays the desktop GPU walks the whole way: program, kit, fresh processes, report.

There is no GPU where these tests must pass, so the processor takes the part, through the very session that a GPU uses.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch

from edgecnn.building.build import run_build
from edgecnn.cli.asking import BuildOptions, request_from
from edgecnn.devices import desktop_gpu as gpu_module
from edgecnn.devices.desktop_gpu import REFERENCE, TENSORRT, VariantChoice, describe_candidate, local_gpu
from edgecnn.hosts.local import LocalHost
from edgecnn.judging.desktop_baseline import BaselineQuestion, BaselineRecord, baseline_facts
from edgecnn.planning.request import BuildRequest
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.store import Store
from edgecnn.values.candidate import Candidate
from edgecnn.values.report import BaselineVariant, BuildReport
from edgecnn.values.resolved import DesktopGpu
from edgecnn.values.verdict import Fidelity
from tests.building.builds import SETTINGS, Place
from tests.store.toys import Ear

GPU = "NVIDIA GeForce RTX 4090"


def request(place: Place, variants: VariantChoice = "usual") -> BuildRequest:
    asked = BuildOptions(
        arch="lenet-5",
        weights="none",
        target="cpu:onnxruntime",
        data=str(place.photos),
        overrides=(*SETTINGS[1::2], "train.device=cpu", f"desktop.variants={variants}"),
        out=str(place.out),
    )
    return request_from(asked, "judge")


def built_with(place: Place, monkeypatch: pytest.MonkeyPatch, asked: BuildRequest, *played: str) -> BuildReport:
    """A build on a machine that says it has a GPU; with ``played``, the processor runs the reference and these variants."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(gpu_module, "gpu_models", lambda: [GPU])
    if played:
        monkeypatch.setattr(gpu_module, "local_gpu", partial(_on_the_processor, played))
    return run_build(asked, Store.open(place.store), Ear())


def _on_the_processor(
    played: Sequence[str], models: Sequence[str], versions: Mapping[str, str | None], which: VariantChoice
) -> DesktopGpu | None:
    found = local_gpu(models, {**versions, TENSORRT: None}, which)
    if found is None:
        return None
    variants = tuple(_moved(each) for each in found.variants if each.id in played)
    return found.model_copy(update={"candidate": _moved(found.candidate), "variants": variants})


def _moved(candidate: Candidate) -> Candidate:
    options = {name: value for name, value in candidate.session_options.items() if name != "gpu"}
    return candidate.model_copy(update={"session_options": {**options, "device": "cpu", "threads": "1"}})


@pytest.fixture(scope="module")
def played(built_once: Place, tmp_path_factory: pytest.TempPathFactory) -> tuple[BuildReport, Place]:
    """One build in which the processor took the part, and was asked for ways that it does not have."""
    place = moved(built_once, tmp_path_factory.mktemp("played"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        return built_with(place, monkeypatch, request(place, "all"), "torch-tf32", "torch-fp32-cudagraph"), place


def moved(built: Place, folder: Path) -> Place:
    place = Place(folder / "moved")
    shutil.copytree(built.folder, place.folder, copy_function=shutil.copy2)
    return place


@pytest.mark.slow  # a build that races three ways of torch
def test_it_answers_the_test_split_and_races_in_processes_of_its_own(played: tuple[BuildReport, Place]) -> None:
    baseline = played[0].baseline
    assert baseline.device == "rtx-4090"
    assert baseline.latency.fidelity is Fidelity.MEASURED
    assert baseline.latency.runs == 8
    assert baseline.latency.p50_ms is not None
    assert baseline.latency.machine.startswith(f"{GPU}, ")
    assert baseline.how == describe_candidate(REFERENCE)
    assert baseline.accuracy is not None
    assert baseline.accuracy.drop_pp is not None
    assert baseline.accuracy.drop_pp.estimate == 0, "torch and ONNX Runtime run the same fp32 network"
    assert baseline.accuracy_from == f"accuracy measured on {GPU}"


def variants(report: BuildReport) -> dict[str, BaselineVariant]:
    return {each.id: each for each in report.baseline.variants}


@pytest.mark.slow
def test_a_variant_races_beside_the_reference_with_an_accuracy_of_its_own(built: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor takes seven times as long in fp16 as in fp32: this takes minutes."""
    report = built_with(built, monkeypatch, request(built, "all"), "torch-amp")
    amp = variants(report)["torch-amp"]
    assert amp.how.startswith("eager torch, automatic mixed precision (autocast to fp16), one image a call, copies")
    assert (amp.latency.runs, amp.latency.fidelity) == (8, Fidelity.MEASURED)
    assert amp.latency.ratio_to_fp32 is not None, "paired with the reference in one race"
    assert amp.latency.observed_at == report.baseline.latency.observed_at
    assert amp.accuracy is not None
    assert amp.accuracy.drop_pp is not None
    assert amp.accuracy.machine.startswith(f"{GPU}, ")


@pytest.mark.slow  # a build that races three ways of torch
def test_what_the_gpu_s_own_clock_did_not_time_is_absent_with_the_reason(played: tuple[BuildReport, Place]) -> None:
    seen = played[0].baseline.latency
    assert (seen.on_gpu_ms, seen.absent["on_gpu_ms"]) == (None, "it ran on the processor, which has no CUDA events")


@pytest.mark.slow  # a build that races three ways of torch
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("torch-tf32", "tf32 is arithmetic of NVIDIA's GPUs, and device = cpu"),
        ("torch-fp32-cudagraph", "a CUDA graph needs an NVIDIA GPU, and device = cpu"),
        ("torch-fp32-tensorrt", "torch-tensorrt is not installed; pip install torch-tensorrt"),
    ],
)
def test_a_variant_that_cannot_run_is_missing_with_the_reason_and_stops_nobody(
    played: tuple[BuildReport, Place], name: str, why: str
) -> None:
    report = played[0]
    missing = variants(report)[name]
    assert (missing.latency.fidelity, missing.accuracy) == (Fidelity.MISSING, None)
    assert (missing.latency.reason or "").startswith(why)
    assert [line for line in report.notices if line.startswith(f"{GPU} has no figures for {name}: {why}")]
    assert report.choice.state == "settled"


@pytest.mark.slow  # a build that races three ways of torch
def test_it_leaves_a_record_that_serves_machines_without_a_gpu(played: tuple[BuildReport, Place]) -> None:
    report, place = played
    record = BaselineRecord.model_validate_json((place.out / "baseline.json").read_text())
    assert (record.device, record.arch, record.resolution_px, record.precision) == (
        "rtx-4090",
        "lenet-5",
        ImageSize.square(32),
        "fp32",
    )
    question = BaselineQuestion(device="rtx-4090", arch="lenet-5", resolution_px=32, accuracy_machine="a laptop")
    elsewhere = baseline_facts(question, records=[record])
    assert elsewhere.latency == report.baseline.latency
    assert [each.id for each in elsewhere.variants] == [each.id for each in report.baseline.variants]
    assert {each.accuracy for each in elsewhere.variants} == {None}, "accuracy is of the network that was trained here"


@pytest.mark.slow  # a build that races three ways of torch
def test_it_ships_in_no_bundle(played: tuple[BuildReport, Place]) -> None:
    choice = json.loads((played[1].out / "bundle" / "choice.json").read_text())
    assert not [name for name in choice["kits"] if name.startswith("torch-")]


def test_a_gpu_that_torch_cannot_use_leaves_the_figure_missing_and_says_why(
    built: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has what the test says is not there")
    report = built_with(built, monkeypatch, request(built))
    reason = report.baseline.latency.reason or ""
    assert report.baseline.latency.fidelity is Fidelity.MISSING
    assert reason.startswith(f"{GPU} is here but could not run it: no NVIDIA GPU is available")
    assert [line for line in report.notices if "could not run the desktop baseline" in line]
    assert report.choice.state == "settled", "the device's own candidates are none the worse"
    assert not (built.out / "baseline.json").exists()


def test_a_failure_is_remembered_so_that_a_cached_build_starts_no_process_for_it(
    built: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has what the test says is not there")
    built_with(built, monkeypatch, request(built))
    monkeypatch.setattr(LocalHost, "run", lambda *_, **__: pytest.fail("a process was started"))
    assert "could not run it" in (built_with(built, monkeypatch, request(built)).baseline.latency.reason or "")


def test_judge_does_not_need_the_gpu_s_part_to_have_been_made(built: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(gpu_module, "gpu_models", lambda: [GPU])
    monkeypatch.delenv("CI", raising=False)
    asked = request(built).model_copy(update={"only_judge": True})
    report = run_build(asked, Store.open(built.store), Ear())
    assert "CUDA_VISIBLE_DEVICES hides it" in (report.baseline.latency.reason or "")
