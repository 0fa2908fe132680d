"""A name inside a record is a name: it leads out of no folder, and no link does either."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import pytest

from edgecnn.data.formats.archive import unpacked_folder
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import ARCHIVE_UNUSABLE
from edgecnn.errors.store import NAME_NOT_PLAIN
from edgecnn.errors.sweeps import NOT_A_SWEEP_FOLDER
from edgecnn.render.progress import Quiet
from edgecnn.render.tracking import hide_user
from edgecnn.store.disk import bounded_zip, inside
from edgecnn.store.entry import Layout
from edgecnn.sweeps.state import BUILDS, STATE, build_folder, read_state
from edgecnn.values.base import plain_name_fault

PATHS = ["", ".", "..", "../x", "l/../../../../other-build", "/etc", "a/b", "a\\b", "a\0b", "a\nb", "x" * 300]


@pytest.mark.parametrize("name", PATHS)
def test_a_path_is_no_name(name: str, tmp_path: Path) -> None:
    assert plain_name_fault(name)
    for asked in (
        lambda: inside(tmp_path, name),
        lambda: Layout(tmp_path).entry(name, "k"),
        lambda: Layout(tmp_path).subject(name),
    ):
        with pytest.raises(EdgecnnError, check=NAME_NOT_PLAIN.made):
            asked()


@pytest.mark.parametrize("name", ["a", "mobilenet-v2-cpu", "ünï", "a b", "..a", "x" * 255])
def test_a_name_is_taken_as_it_is(name: str, tmp_path: Path) -> None:
    assert plain_name_fault(name) == ""
    assert inside(tmp_path, "b", name) == tmp_path / "b" / name


def outcome(name: str) -> dict[str, object]:
    return {"name": name, "asked": "0", "exit_code": 0, "reported": True, "seconds": 1.0, "ended_at": "2026-11-20T09:00:00+00:00"}


@pytest.mark.parametrize("name", ["l/../../../../other-build", "two"])
def test_a_sweep_s_outcome_has_the_name_of_its_key(name: str, tmp_path: Path) -> None:
    (tmp_path / STATE).write_text(
        json.dumps({"schema": "edgecnn.sweep-state/1", "sweep": "s", "outcomes": {"one": outcome(name)}})
    )
    with pytest.raises(EdgecnnError, check=NOT_A_SWEEP_FOLDER.made):
        read_state(tmp_path, Path("s"))


def test_a_build_of_a_sweep_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "out" / BUILDS).mkdir(parents=True)
    (tmp_path / "out" / BUILDS / "one").symlink_to(tmp_path / "other")
    with pytest.raises(EdgecnnError, check=NAME_NOT_PLAIN.made):
        build_folder(tmp_path / "out", "one")


def test_a_zip_with_too_many_entries_is_refused_before_its_directory_is_read() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(20):
            archive.writestr(str(number), b"")
    assert len(bounded_zip(stream, 20).namelist()) == 20
    with pytest.raises(zipfile.BadZipFile, match="more than 19 entries"):
        bounded_zip(stream, 19)


def test_a_pipe_with_the_name_of_an_archive_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cat.zip")
    with pytest.raises(EdgecnnError, check=ARCHIVE_UNUSABLE.made):
        unpacked_folder({"cat": tmp_path / "cat.zip"}, tmp_path / "store", Quiet())


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("mlflow:http://host/x?token=secret&a=b", "mlflow:http://host/x?token=…&a=…"),
        ("mlflow:http://u:p@host/?password=x", "mlflow:http://…@host/?password=…"),
        ("mlflow:http://me@host?key=1", "mlflow:http://…@host?key=…"),
        ("mlflow:http://host/x", "mlflow:http://host/x"),
    ],
)
def test_a_secret_in_an_address_is_hidden(address: str, shown: str) -> None:
    assert hide_user(address) == shown
