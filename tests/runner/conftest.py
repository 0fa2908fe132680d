"""Kits are made once a session; a test that edits one gets its own copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runner.kits import make_kit

CopyKit = Callable[..., Path]


@pytest.fixture(scope="session")
def onnx_kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_kit(tmp_path_factory.mktemp("kits"), "onnxruntime", name="small-onnxruntime")


@pytest.fixture(scope="session")
def openvino_kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_kit(tmp_path_factory.mktemp("kits"), "openvino", name="small-openvino")


@pytest.fixture
def copy_kit(onnx_kit: Path, tmp_path: Path) -> CopyKit:
    def copy(name: str = "copy") -> Path:
        return Path(shutil.copytree(onnx_kit, tmp_path / name))

    return copy
