"""Listing says how far it is once it lasts, waits for nothing but the disk, and names what it cannot list."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest

from edgecnn.data.files import QUIET_FOR_S, ListingProgress, stamps_in
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import DATA_FOLDER_UNREADABLE
from tests.data.folders import Heard
from tests.house.child import child


def test_a_short_listing_says_nothing(tmp_path: Path) -> None:
    heard = Heard()
    progress = ListingProgress(heard)
    (tmp_path / "a").touch()
    assert len(stamps_in(tmp_path, progress)) == 1
    progress.finish()
    assert heard.steps == []


def test_the_first_count_comes_after_a_second_and_the_next_ones_not_at_every_file(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    heard = Heard()
    progress = ListingProgress(heard)
    for _ in range(2000):  # a millisecond a file
        clock[0] += 0.001
        progress.count_entry()
    counts = [done for _, done, _, _ in heard.steps]
    assert counts[0] == pytest.approx(1000 * QUIET_FOR_S, abs=2)
    assert 4 <= len(counts) <= 5


def test_a_link_to_itself_is_a_file_that_cannot_be_stamped(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to("self")
    assert stamps_in(tmp_path, ListingProgress(Heard())) == ["self/-1/0/0/0"]


def test_folders_nested_deeper_than_can_be_followed_are_named(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(600):  # step by step, since the whole path is longer than the system takes at once
            os.mkdir("d", dir_fd=here)  # noqa: PTH102 - pathlib knows no dir_fd
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    frames = sys.getrecursionlimit()
    for limit in {min(soft, 256), hard if 0 < hard < 1 << 20 else 1 << 16}:
        try:
            sys.setrecursionlimit(1000)  # Python's own, which a library that another test imported may have raised
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            with pytest.raises(EdgecnnError, match="too many open files|nested too deeply", check=DATA_FOLDER_UNREADABLE.made):
                stamps_in(tmp_path, ListingProgress(Heard()))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            sys.setrecursionlimit(frames)


def test_ctrl_c_ends_the_listing_of_an_endless_tree_at_once(tmp_path: Path) -> None:
    """Sixteen folders that each lead to all the others: more paths than anybody can wait for, as under / of a machine.

    No more of them: the system follows 40 links along a path, and some give a folder another inode where they forget it.
    """
    folders = [tmp_path / "photos" / name / str(number) for name in "ab" for number in range(8)]
    for folder in folders:
        folder.mkdir(parents=True)
    for folder in folders:
        for other in folders:
            (folder / f"{other.parent.name}{other.name}").symlink_to(other)
    environment = {**os.environ, "EDGECNN_STORE": str(tmp_path / "store"), "EDGECNN_OFFLINE": "1"}
    words = ["plan", "--data", str(tmp_path / "photos"), "--set", "data.folders=classes"]
    with child([sys.executable, "-m", "edgecnn", *words], env=environment) as plan:
        assert plan.stderr is not None
        assert plan.stderr.readline().startswith("edgecnn: listing files: ")
        plan.send_signal(signal.SIGINT)
        stderr = plan.communicate(timeout=5)[1]  # it would otherwise list for hours
    assert "edgecnn: interrupted;" in stderr
    assert plan.returncode == 130
