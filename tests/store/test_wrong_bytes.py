"""In the place of any file that a user names a Git LFS pointer is recognised, a pipe not waited for and a device not read."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from edgecnn.bundle.evidence import read_evidence
from edgecnn.bundle.manifest import published_manifest
from edgecnn.bundle.opening import ZipForm
from edgecnn.bundle.ssh_keygen import EVIDENCE, Signed, check_readable, signer_of
from edgecnn.comparing.baseline_file import read_baseline
from edgecnn.comparing.pin import _read_record, base_named
from edgecnn.data.class_names import stated_names
from edgecnn.data.formats.csv_cells import cells_of, parquet_columns
from edgecnn.data.formats.idx import pairs_in
from edgecnn.data.formats.ilsvrc import _lines as handed_out
from edgecnn.data.manifest import list_files
from edgecnn.devices.files import load_device_file
from edgecnn.devices.leases import ListedBoards
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.fit.prices import read_table_file
from edgecnn.graph.custom.form import form_of
from edgecnn.graph.onnx_file import load_model
from edgecnn.measure.race import open_log
from edgecnn.models.weights_file import format_of
from edgecnn.planning.recipe import load_recipe
from edgecnn.planning.recipe_settings import settings_of_build
from edgecnn.render.progress import Quiet
from edgecnn.results.finished import read_plan
from edgecnn.results.folder import read_report
from edgecnn.results.shipped import shipped_kit
from edgecnn.store.disk import read_table
from edgecnn.sweeps.file import read_sweep
from edgecnn.sweeps.state import STATE, read_state
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


READERS: dict[str, Callable[[Path], object]] = {
    "recipe.toml": load_recipe,
    "sweep.toml": read_sweep,
    "device.toml": load_device_file,
    "boards.toml": ListedBoards.read,
    "table.json": read_table_file,
    "baseline.json": read_baseline,
    "pin.json": _read_record,
    "evidence.json": read_evidence,
    "signers": lambda path: signer_of(path, Signed(b"", b"", EVIDENCE), path, None),
    "report.json": lambda path: read_report(path.parent),
    "plan.json": lambda path: settings_of_build(path.parent),
    "finished/plan.json": lambda path: read_plan(path.parent, {}, "edgecnn build"),
    STATE: lambda path: read_state(path.parent, path),
    "bundle.json": lambda path: published_manifest(path.parent),
    "meter.csv": open_log,
    "names.txt": lambda path: stated_names(str(path), ("a", "b")),
    "list.csv": lambda path: list(cells_of(path, ())),
    "truth.txt": handed_out,
}
UNBOUNDED: dict[str, Callable[[Path], object]] = {
    "list.parquet": parquet_columns,
    "weights.safetensors": format_of,
    "bundle.zip": ZipForm,
    "key": check_readable,
}
"""These have bounds of their own formats, and look at a part of the file."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of its own, and one inside it."""
    (tmp_path / "finished").mkdir()
    return tmp_path


def refusal(read: Callable[[Path], object], path: Path) -> EdgecnnError:
    tracemalloc.start()
    try:
        with pytest.raises(EdgecnnError) as caught:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert len(caught.value.line()) < 1000
    return caught.value


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", [*READERS, *UNBOUNDED])
def test_a_pipe_is_not_waited_for(name: str, place: Path) -> None:
    os.mkfifo(place / name)
    refusal({**READERS, **UNBOUNDED}[name], place / name)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", [*READERS, *UNBOUNDED])
def test_a_device_without_an_end_is_not_read(name: str, place: Path) -> None:
    (place / name).symlink_to("/dev/zero")
    refusal({**READERS, **UNBOUNDED}[name], place / name)


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_far_too_large_is_not_read(name: str, place: Path) -> None:
    with (place / name).open("wb") as file:
        file.truncate(8 << 30)
    refusal(READERS[name], place / name)


def test_a_model_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "network.onnx")
    with pytest.raises(OSError, match="not a regular file"):
        form_of(tmp_path / "network.onnx")


@pytest.mark.parametrize("name", ["choice.json", "kits/onnxruntime-fp32/kit.json"])
def test_a_pipe_in_a_bundle_is_not_waited_for(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    if name != "choice.json":
        choice = '{"schema": "edgecnn.choice/1", "candidate": "onnxruntime-fp32", "kits": {"onnxruntime-fp32": "%s"}}'
        (tmp_path / "choice.json").write_text(choice % ("0" * 64))
    os.mkfifo(tmp_path / name)
    with pytest.raises(EdgecnnError) as caught:
        shipped_kit(tmp_path)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
