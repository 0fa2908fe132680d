import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import CALIBRATION_SET_TOO_SMALL
from edgecnn.errors.weights import PACKAGE_UNIMPORTABLE
from edgecnn.stages.candidate import QuantizeStage
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.model_file import ModelFile
from tests.graph.trunks import CLASSES, NORMALIZATION, feed_of, network, prepared
from tests.runtimes.made import CANDIDATES, IMAGES, Quiet, exported, made, stage
from tests.slow_parameters import slowly

EVERY = pytest.mark.parametrize("candidate", sorted(CANDIDATES))


@EVERY
def test_model_json_names_every_file_of_the_model(candidate: str) -> None:
    model = ModelFile.model_validate_json((made(candidate) / "model.json").read_text())
    others = {"model.json", "golden_logits.npy", "quantize.json"}
    assert {path.name for path in made(candidate).iterdir()} - others == set(model.model.files)
    assert model.model.entry in model.model.files
    assert model.model.output.classes == CLASSES
    assert model.session.options == CANDIDATES[candidate].session_options


@EVERY
def test_the_golden_answers_are_near_torchs(candidate: str) -> None:
    with torch.inference_mode():
        expected = network("resnet18")(torch.from_numpy(feed_of(np.load(prepared() / "golden" / "pixels.npy")))).numpy()
    difference = np.abs(np.load(made(candidate) / "golden_logits.npy") - expected).max() / np.ptp(expected)
    assert difference < (1e-4 if CANDIDATES[candidate].precision is Precision.FP32 else 0.15)


@pytest.mark.parametrize("candidate", ["onnxruntime-int8", *slowly(*sorted(CANDIDATES.keys() - {"onnxruntime-int8"}))])
def test_a_second_run_elsewhere_makes_the_same_bytes(candidate: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another" / "deeper"
    elsewhere.mkdir(parents=True)
    stage(candidate).make({"model": exported("resnet18"), "pixels": prepared()}, elsewhere, Quiet())
    for path in made(candidate).iterdir():
        assert (elsewhere / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("candidate", ["onnxruntime-int8", "openvino-int8"])
def test_int8_says_what_it_was_calibrated_on_and_what_stayed_float(candidate: str) -> None:
    facts = json.loads((made(candidate) / "quantize.json").read_text())
    assert facts["candidate"]["id"] == candidate
    assert (facts["calibration_images"], facts["calibration_classes"]) == (IMAGES, CLASSES)
    assert facts["float_layers"] == []


def test_the_number_of_calibration_images_is_no_part_of_a_float_candidates_key() -> None:
    versions = dict.fromkeys(("nncf", "onnx", "onnxruntime", "openvino"), "1")
    assert stage("openvino-fp32", images=8).key(versions) == stage("openvino-fp32", images=9).key(versions)
    assert stage("openvino-int8", images=8).key(versions) != stage("openvino-int8", images=9).key(versions)


def test_tools_are_those_of_the_runtime_and_the_method() -> None:
    assert stage("onnxruntime-int8").tools == ("onnx", "onnxruntime")
    assert stage("openvino-fp32").tools == ("onnxruntime", "openvino")
    assert stage("openvino-int8").tools == ("nncf", "onnxruntime", "openvino")


def make(candidate: str, pixels: Path, out: Path, images: int = IMAGES) -> Quiet:
    tell = Quiet()
    stage(candidate, images).make({"model": exported("resnet18"), "pixels": pixels}, out, tell)
    return tell


def test_fewer_calibration_images_than_asked_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=CALIBRATION_SET_TOO_SMALL.made) as caught:
        make("onnxruntime-int8", prepared(), tmp_path, images=41)
    assert caught.value.ref == "calibration-set-too-small"


def prepared_with(tmp_path: Path, changed: str, array: npt.NDArray[np.generic]) -> Path:
    folder = tmp_path / "prepared"
    (folder / "golden").mkdir(parents=True)
    for name in ("calibration.pixels.npy", "calibration.labels.npy", "golden/pixels.npy"):
        np.save(folder / name, array if name == changed else np.load(prepared() / name))
    return folder


def test_a_calibration_set_of_one_class_is_noted(tmp_path: Path) -> None:
    tell = make("onnxruntime-int8", prepared_with(tmp_path, "calibration.labels.npy", np.zeros(40, np.int64)), tmp_path)
    assert tell.notes == ["onnxruntime-int8: all 24 calibration images are of one class, so ranges fit that class"]


def test_a_golden_set_that_cannot_show_swapped_channels_is_noted(tmp_path: Path) -> None:
    grey = np.repeat(np.load(prepared() / "golden" / "pixels.npy")[..., :1], 3, axis=3)
    tell = make("onnxruntime-fp32", prepared_with(tmp_path, "golden/pixels.npy", grey), tmp_path)
    note = "onnxruntime-fp32: this network hardly uses colour, so its golden logits do not reveal swapped channels"
    assert tell.notes == [note]


def test_a_broken_package_is_named_with_the_command_that_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build goes on without the candidate: whatever a step of a candidate raises ends that candidate alone."""
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    for name in [name for name in sys.modules if name.startswith(("edgecnn.runtimes.litert_", "ai_edge_litert."))]:
        monkeypatch.delitem(sys.modules, name)
    litert = Candidate(id="litert-fp32", runtime=Runtime.LITERT, precision=Precision.FP32)
    quantize = QuantizeStage(inputs={}, candidate=litert, images=0, normalization=NORMALIZATION)
    with pytest.raises(EdgecnnError, check=PACKAGE_UNIMPORTABLE.made) as caught:
        quantize.make({"model": exported("resnet18"), "pixels": prepared()}, tmp_path, Quiet())
    assert caught.value.line() == (
        "litert-fp32 needs the package ai_edge_litert, which cannot be imported: "
        "import of ai_edge_litert halted; None in sys.modules — "
        'pip install --force-reinstall "edgecnn[litert]" [package-unimportable]'
    )
    assert list(tmp_path.iterdir()) == []
