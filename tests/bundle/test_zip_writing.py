"""The same bundle is the same zip, wherever and whenever it is written; and it is one that other tools read."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgecnn.bundle.publishing import write_zip
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import NOT_OVERWRITTEN, OUTPUT_UNWRITABLE
from edgecnn.errors.bundle import BUNDLE_FILE_CHANGED, BUNDLE_FILE_MISSING
from tests.bundle.sealed import KIT_FOLDER, copied, verified, zipped
from tests.store.toys import files_in


def test_two_zips_of_one_bundle_are_the_same_bytes_whenever_and_wherever(whole: Path, archive: Path, tmp_path: Path) -> None:
    elsewhere = copied(whole, tmp_path / "ship" / "deep" / "copy")
    for path in elsewhere.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    again = zipped(elsewhere, tmp_path / "again.zip")
    assert again.read_bytes() == archive.read_bytes()


def test_another_process_in_other_surroundings_writes_the_same_bytes(whole: Path, archive: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgecnn", "bundle", "zip", str(whole), "--out", str(tmp_path / "other.zip")]
    surroundings = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    done = subprocess.run(command, env=surroundings, umask=0o077, capture_output=True, text=True, check=True)
    content = archive.read_bytes()
    assert (tmp_path / "other.zip").read_bytes() == content
    digest = hashlib.sha256(content).hexdigest()
    assert done.stdout == f"{tmp_path / 'other.zip'}: {len(content):,} bytes, SHA-256 {digest}\n"


def test_what_another_tool_takes_out_of_it_is_the_bundle(whole: Path, archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        assert file.testzip() is None
        assert [entry.filename for entry in file.infolist()] == sorted(file.namelist())
        assert {(entry.compress_type, entry.date_time) for entry in file.infolist()} == {(0, (1980, 1, 1, 0, 0, 0))}
        file.extractall(tmp_path / "out")
    assert files_in(tmp_path / "out") == files_in(whole)


def test_what_using_the_bundle_left_in_it_stays_behind(bundle: Path, archive: Path, tmp_path: Path) -> None:
    (bundle / "measured").mkdir()
    (bundle / "measured" / "run.json").write_text("{}")
    (bundle / KIT_FOLDER / "runner" / "__pycache__").mkdir()
    (bundle / KIT_FOLDER / "runner" / "__pycache__" / "kit.cpython-311.pyc").write_bytes(b"x")
    write_zip(verified(bundle, made_here=True), tmp_path / "used.zip")
    assert (tmp_path / "used.zip").read_bytes() == archive.read_bytes()


@pytest.mark.parametrize("name", [f"{KIT_FOLDER}/model.onnx", "bundle.json"])
def test_a_file_that_changes_after_it_was_verified_makes_no_zip(bundle: Path, tmp_path: Path, name: str) -> None:
    found = verified(bundle)
    content = (bundle / name).read_bytes()
    (bundle / name).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(EdgecnnError, check=BUNDLE_FILE_CHANGED.made) as caught:
        write_zip(found, tmp_path / "x.zip")
    assert (caught.value.ref, caught.value.fields["because"]) == ("bundle-file-changed", "it changed while it was copied")
    (bundle / name).unlink()
    with pytest.raises(EdgecnnError, check=BUNDLE_FILE_MISSING.made):
        write_zip(found, tmp_path / "x.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_zip_is_on_the_disk_before_it_has_its_name(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[bool] = []
    fsync = os.fsync

    def watched(handle: int) -> None:
        settled.append((tmp_path / "x.zip").exists())
        fsync(handle)

    monkeypatch.setattr("os.fsync", watched)
    zipped(whole, tmp_path / "x.zip")
    assert settled[:1] == [False]


def test_an_earlier_zip_is_replaced_and_nothing_else_is(whole: Path, archive: Path, tmp_path: Path) -> None:
    before = archive.read_bytes()
    zipped(whole, archive)
    assert archive.read_bytes() == before
    (tmp_path / "thesis.zip").write_bytes(b"three years")
    with pytest.raises(EdgecnnError, check=NOT_OVERWRITTEN.made) as caught:
        zipped(whole, tmp_path / "thesis.zip")
    assert caught.value.because == "it is not a bundle of edgecnn"
    assert (tmp_path / "thesis.zip").read_bytes() == b"three years"
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(EdgecnnError, check=NOT_OVERWRITTEN.made):
        zipped(whole, tmp_path / "pipe.zip")
    (tmp_path / "pipe.zip").unlink()
    with pytest.raises(EdgecnnError, check=OUTPUT_UNWRITABLE.made):
        zipped(whole, tmp_path / "absent" / "x.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flowers.zip", "thesis.zip"]
