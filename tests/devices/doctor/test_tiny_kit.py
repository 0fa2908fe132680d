from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecnn.devices.doctor.trying import FILE, SIDE_PX, answers, make_tiny_kit
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Task
from edgecnn.values.candidate import Candidate, Precision, Runtime
from tests.devices.doctor.tiny_onnx import tiny_onnx
from tests.runner.kits import rewrite_manifest
from tests.store.toys import Ear

ORT = Candidate(id="tiny", runtime=Runtime.ONNXRUNTIME, precision=Precision.FP32)


def a_kit(folder: Path) -> Path:
    return make_tiny_kit(ORT, folder)


def test_the_shipped_file_is_written_from_the_weights_that_the_answers_are_worked_out_from() -> None:
    assert FILE.read_bytes() == tiny_onnx()
    onnx.checker.check_model(onnx.load(FILE), full_check=True)


def test_the_plain_arithmetic_is_onnxs_own() -> None:
    """ONNX's reference evaluator is a third opinion, written by neither of us."""
    from onnx.reference import ReferenceEvaluator

    feed = np.random.default_rng(0).normal(size=(3, 3, SIDE_PX, SIDE_PX)).astype(np.float32)
    (expected,) = ReferenceEvaluator(str(FILE)).run(None, {"image": feed})
    assert np.abs(answers(feed) - expected).max() < 1e-5
    assert np.ptp(expected, axis=0).min() > 0.01  # images are told apart, or nothing would be shown


def test_it_is_a_kit_as_the_schema_has_it_and_tests_itself(tmp_path: Path) -> None:
    from jsonschema import Draft202012Validator

    from tests.house.schemas import FOLDER

    kit = a_kit(tmp_path)
    Draft202012Validator(json.loads((FOLDER / "kit.json").read_text())).validate(json.loads((kit / "kit.json").read_text()))
    said = LocalHost().run(Task(kit, "selftest"), lease_s=60, tell=Ear())["selftest"]
    assert said["logits_difference"] < 1e-5 < said["logits_allowed"]


def test_swapped_colours_fail_it(tmp_path: Path) -> None:
    kit = a_kit(tmp_path)
    model = onnx.load(kit / "model.onnx")
    weight = next(each for each in model.graph.initializer if each.name == "conv.weight")
    swapped = onnx.numpy_helper.to_array(weight)[:, ::-1].copy()
    weight.CopyFrom(onnx.numpy_helper.from_array(swapped, weight.name))
    onnx.save(model, kit / "model.onnx")
    rewrite_manifest(kit, lambda manifest: None)
    with pytest.raises(RunnerFailed, match="golden-logits-differ"):
        LocalHost().run(Task(kit, "selftest"), lease_s=60, tell=Ear())
