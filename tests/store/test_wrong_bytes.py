"""A Git LFS pointer in the place of any file that a user names is recognised, whatever the file should be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from edgecnn.bundle.evidence_file import read_evidence
from edgecnn.comparing.baseline_file import read_baseline
from edgecnn.comparing.pin import base_named
from edgecnn.data.class_names import stated_names
from edgecnn.data.formats.idx import pairs_in
from edgecnn.data.manifest import list_files
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.graph.custom.form import form_of
from edgecnn.graph.onnx_file import load_model
from edgecnn.models.weights_file import format_of
from edgecnn.recipes.toml_file import read_table
from edgecnn.render.progress import Quiet
from edgecnn.values.recipe import DataChoice
from tests.runner.causes.test_known import POINTER
from tests.runner.kits import network


def images_of(path: Path) -> object:
    return list_files(DataChoice(path=str(path)), path.parent / "cache", Quiet())


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("list.csv", images_of),
        ("list.parquet", images_of),
        ("photos.zip", images_of),
        ("names.txt", lambda path: stated_names(str(path), ("a", "b"))),
        ("network.onnx", form_of),
        ("network.pt2", form_of),
        ("network.pth", format_of),
        ("network.safetensors", format_of),
        ("board.json", read_baseline),
        ("base.json", base_named),
        ("evidence.json", read_evidence),
        ("recipe.toml", read_table),
    ],
)
def test_a_git_lfs_pointer_is_named_with_the_command(name: str, read: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(EdgecnnError) as caught:
        read(tmp_path / name)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    line = caught.value.line()
    assert "it is a Git LFS pointer, not the file itself" in line
    assert "git lfs pull" in line


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_that_are_pointers_are_named(ending: str, tmp_path: Path) -> None:
    for part in ("train", "t10k"):
        for what in ("images-idx3", "labels-idx1"):
            (tmp_path / f"{part}-{what}-ubyte{ending}").write_bytes(POINTER)
    assert pairs_in(tmp_path)
    with pytest.raises(EdgecnnError, match="it is a Git LFS pointer, not the file itself — git lfs pull"):
        images_of(tmp_path)


def test_weights_beside_an_onnx_file_that_are_a_pointer_are_named(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    onnx.save(network(width=64), path, save_as_external_data=True, location="network.data", size_threshold=0)
    (tmp_path / "network.data").write_bytes(POINTER)
    with pytest.raises(EdgecnnError) as caught:
        load_model(path)
    assert caught.value.line() == (
        f"{tmp_path}/network.data is not the expected file: it is a Git LFS pointer, not the file itself"
        " — git lfs pull [wrong-bytes]"
    )
