"""An unchanged bundle is not read again, and no change of a file goes unseen, whatever else is done to the files around it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn.bundle import publishing as intact
from edgecnn.bundle.publishing import STAMPS, is_intact
from edgecnn.measure.kits import KitRef
from edgecnn.planning.candidates import BASELINE
from tests.building.bundles import publish_bundle
from tests.building.resolutions import INT8
from tests.building.scenes import a_choice, a_kit, a_report

BOTH = a_report(choice=a_choice("onnxruntime-int8", "onnxruntime-fp32", state="provisional"))
ONLY_MANIFESTS = ["kit.json", "kit.json"]


@pytest.fixture
def kits(tmp_path: Path) -> dict[str, KitRef]:
    return {each.id: a_kit(tmp_path / "made" / each.id, each, each.id.encode() * 50) for each in (BASELINE, INT8)}


@pytest.fixture
def out(tmp_path: Path, kits: dict[str, KitRef]) -> Path:
    """A folder with a published bundle of both kits."""
    folder = tmp_path / "out"
    folder.mkdir()
    publish_bundle(BOTH, kits, folder)
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are hashed from now on."""
    names: list[str] = []
    real = intact.sha256_of
    monkeypatch.setattr(intact, "sha256_of", lambda path: names.append(path.name) or real(path))
    return names


def edited(model: Path) -> None:
    """Other bytes, as many, dated as before."""
    before = model.stat()
    model.write_bytes(bytes(before.st_size))
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_an_unchanged_bundle_is_not_read_again(out: Path, kits: dict[str, KitRef], read: list[str]) -> None:
    publish_bundle(BOTH, kits, out)
    assert read == ONLY_MANIFESTS


@pytest.mark.parametrize(
    "after",
    [
        lambda out: (out / "bundle" / "choice.json").chmod(0o600),
        lambda out: (out / "bundle" / "choice.json").write_text((out / "bundle" / "choice.json").read_text()),
        lambda out: (out / STAMPS).chmod(0o600),
        lambda out: os.utime(out / STAMPS),
    ],
)
def test_no_later_touch_of_another_file_blesses_an_edit(
    out: Path, kits: dict[str, KitRef], after: Callable[[Path], None]
) -> None:
    edited(out / "bundle" / "kits" / "onnxruntime-int8" / "model.onnx")
    after(out)
    assert not is_intact(out / "bundle", kits)


def test_a_copy_of_an_edited_folder_is_not_blessed(out: Path, kits: dict[str, KitRef]) -> None:
    edited(out / "bundle" / "kits" / "onnxruntime-int8" / "model.onnx")
    shutil.copytree(out, out.with_name("copy"))
    assert not is_intact(out.with_name("copy") / "bundle", kits)


def test_a_copied_bundle_is_read_once_and_not_every_time(out: Path, kits: dict[str, KitRef], read: list[str]) -> None:
    shutil.copytree(out, out.with_name("copy"))
    time.sleep(0.02)  # past the tick of the copy's own dates
    assert is_intact(out.with_name("copy") / "bundle", kits)
    assert read.count("model.onnx") == 2
    read.clear()
    assert is_intact(out.with_name("copy") / "bundle", kits)
    assert read == ONLY_MANIFESTS


def test_a_file_that_was_only_touched_is_the_only_one_that_is_read(out: Path, kits: dict[str, KitRef], read: list[str]) -> None:
    (out / "bundle" / "kits" / "onnxruntime-int8" / "model.onnx").touch()
    publish_bundle(BOTH, kits, out)
    assert sorted(read) == [*ONLY_MANIFESTS, "model.onnx"]


def test_damaged_stamps_cost_only_reading(out: Path, kits: dict[str, KitRef], read: list[str]) -> None:
    (out / STAMPS).write_text('{"kits/onnxruntime-int8/model.onnx": [1, "x"], "b": 3')
    assert is_intact(out / "bundle", kits)
    assert read.count("model.onnx") == 2


def test_what_changed_within_the_tick_of_its_stamp_is_read_once_more(out: Path, kits: dict[str, KitRef], read: list[str]) -> None:
    """Nothing tells such a file from one that changes again in the same tick; here the clock stands still."""
    model = out / "bundle" / "kits" / "onnxruntime-int8" / "model.onnx"
    with pytest.MonkeyPatch.context() as patch:
        model.touch()
        patch.setattr(intact, "_clock_ns", lambda folder: model.stat().st_ctime_ns)
        assert is_intact(out / "bundle", kits)
    read.clear()
    assert is_intact(out / "bundle", kits)
    assert "model.onnx" in read


def test_no_stamp_is_carried_away_with_the_bundle(out: Path) -> None:
    assert [path.name for path in (out / "bundle").rglob(".*")] == []
