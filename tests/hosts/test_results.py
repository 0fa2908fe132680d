"""What a board sends stays in the folder of its results, whatever the board calls it."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any, cast

import pytest

from edgecnn.errors.board import BoardFailed
from edgecnn.hosts.ssh.board import Board
from edgecnn.hosts.ssh.files import Contents, Results

CONTENT = b"a line that was not here\n"


class NamingBoard:
    """A board whose one result has the name that it was given."""

    name = "pi@board"

    def __init__(self, named: str, place: Path) -> None:
        self._named, self._stream = named, place / "stream"
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            member = tarfile.TarInfo(named)
            member.size = len(CONTENT)
            archive.addfile(member, io.BytesIO(CONTENT))
        self._stream.write_bytes(b'{"sends": 1}\n' + packed.getvalue())

    def ask(self, what: str, **_: Any) -> dict[str, Any]:
        assert what == "list"
        return {"files": {self._named: {"sha256": hashlib.sha256(CONTENT).hexdigest(), "bytes": len(CONTENT), "age_s": 1.0}}}

    def start(self, what: str, **_: Any) -> subprocess.Popen[bytes]:
        assert what == "get"
        return subprocess.Popen(["cat", str(self._stream)], stdout=subprocess.PIPE, start_new_session=True)


def taken(named: str, place: Path) -> Path:
    """The folder of results, after they were fetched."""
    board, out = cast(Board, NamingBoard(named, place)), place / "builds" / "out"
    Results(board, Contents(board), out).take()
    return out


def test_a_result_comes_as_it_is_named(tmp_path: Path) -> None:
    assert (taken("runs/0.json", tmp_path) / "runs" / "0.json").read_bytes() == CONTENT


@pytest.mark.parametrize("named", ["../../escaped", "{}/escaped", "runs/../../../escaped"])
def test_a_name_that_leaves_the_folder_is_refused_and_nothing_is_written(named: str, tmp_path: Path) -> None:
    with pytest.raises(BoardFailed, match="would leave their folder"):
        taken(named.format(tmp_path), tmp_path)
    assert not (tmp_path / "escaped").exists()
