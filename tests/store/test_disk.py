from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from edgecnn.store.disk import write_text_atomically


def test_a_file_is_replaced_whole_and_readable_by_all(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "report.json", "old")
    write_text_atomically(tmp_path / "report.json", "new ✓")
    assert (tmp_path / "report.json").read_text("utf-8") == "new ✓"
    assert (tmp_path / "report.json").stat().st_mode & 0o777 == 0o644
    assert len(list(tmp_path.iterdir())) == 1


def test_an_interrupted_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text_atomically(tmp_path / "report.json", "old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_text_atomically(tmp_path / "report.json", "new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("report.json", "old")]


def test_a_pipe_is_written_into_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    write_text_atomically(pipe, "whole")
    reader.join(10)
    assert read == ["whole"]
    assert pipe.is_fifo()
