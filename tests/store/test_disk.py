from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from edgecnn.runner.files import UnfitFile, bounded_content, open_regular
from edgecnn.runner.pixels import UnreadableImage, decode
from edgecnn.store import disk
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


def test_a_pipe_that_no_process_reads_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_READER_WAIT_S", 0.05)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnfitFile) as caught:
        write_text_atomically(tmp_path / "pipe", "whole")
    assert str(caught.value) == "it is a pipe that no process reads"


def test_a_regular_file_and_a_link_to_one_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert [bounded_content(tmp_path / name, 5) for name in ("a", "link")] == [b"12345", b"12345"]


def test_a_larger_file_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123456")
    with pytest.raises(UnfitFile, match="^it is larger than 5 bytes$"):
        bounded_content(tmp_path / "a", 5)
    os.truncate(tmp_path / "a", 3 << 20)
    with pytest.raises(UnfitFile, match="^it is larger than 2 MiB$"):
        bounded_content(tmp_path / "a", 2 << 20)


def test_a_file_of_the_kernel_which_states_no_size_is_bounded_too() -> None:
    assert Path("/proc/self/status").stat().st_size == 0
    assert bounded_content(Path("/proc/self/status"), 1 << 20).startswith(b"Name:")
    with pytest.raises(UnfitFile, match="^it is larger than 10 bytes$"):
        bounded_content(Path("/proc/self/status"), 10)


def test_a_pipe_a_socket_and_a_device_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for path in (tmp_path / "pipe", tmp_path / "socket", Path("/dev/zero"), Path("/dev/null")):
            with pytest.raises(UnfitFile, match="not a regular file"):
                open_regular(path)


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    before = (tmp_path / "file").stat()
    monkeypatch.setattr(Path, "stat", lambda _self: before)
    with pytest.raises(UnfitFile, match="not a regular file"):
        open_regular(tmp_path / "pipe")


def test_what_is_absent_a_folder_or_no_path_is_said_in_the_system_s_way(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "absent")
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(UnfitFile, match="NUL"):
        open_regular(Path("a\0b"))


def test_a_pipe_is_no_image_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadableImage, match="^it is a pipe, a socket or a device, not a regular file$"):
        decode(tmp_path / "pipe.png")
