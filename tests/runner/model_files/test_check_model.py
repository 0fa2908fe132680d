"""A kit may list many models in many folders; each one is checked against the files of its own folder."""

from __future__ import annotations

import time

import pytest

from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.model_files import FolderSizes, check_model
from tests.runner.conftest import CopyKit
from tests.runner.kits import rewrite_manifest
from tests.runner.model_files.test_onnx_files import weights_elsewhere

SIZES = {"a/model.onnx": 9, "a/w": 16, "a/sub/w": 17, "ab/w": 18, "w": 19}


def test_a_model_sees_the_files_below_its_folder() -> None:
    assert dict(FolderSizes(SIZES, "a/model.onnx")) == {"model.onnx": 9, "w": 16, "sub/w": 17}
    assert dict(FolderSizes(SIZES, "model.onnx")) == SIZES
    assert len(FolderSizes(SIZES, "a/model.onnx")) == 3


@pytest.mark.parametrize("location", ["../w", "a/w", "/a/w", "", "./w"])
def test_a_model_does_not_see_a_file_by_another_path(location: str) -> None:
    assert location not in FolderSizes(SIZES, "a/model.onnx")


def test_a_kit_of_a_thousand_models_is_checked_in_seconds(copy_kit: CopyKit) -> None:
    folder = copy_kit()
    model = weights_elsewhere("initializer", "w").SerializeToString()
    (folder / "w").write_bytes(bytes(16))
    for number in range(1000):
        (folder / f"{number}.onnx").write_bytes(model)
    rewrite_manifest(folder, lambda facts: None)
    kit, start = Kit.open(folder), time.perf_counter()
    check_model(kit)
    assert time.perf_counter() - start < 5


def test_the_fault_of_a_model_in_a_folder_names_its_path(copy_kit: CopyKit) -> None:
    folder = copy_kit()
    (folder / "sub").mkdir()
    (folder / "sub" / "other.onnx").write_bytes(weights_elsewhere("initializer", "../model.onnx").SerializeToString())
    rewrite_manifest(folder, lambda facts: None)
    with pytest.raises(RunnerError) as caught:
        check_model(Kit.open(folder))
    assert str(caught.value).startswith("sub/other.onnx: the model file was refused")
