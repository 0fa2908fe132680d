from __future__ import annotations

import json
import multiprocessing
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from edgecnn.store.listing import verify
from edgecnn.store.store import Store
from edgecnn.values.stage import Progress, Role
from tests.house.child import child
from tests.store.toys import Ear, Prepare, Quantize, Train, files_in, obtain, wait_until

CHECKOUT = Path(__file__).parents[2]


def start(*argv: object) -> AbstractContextManager[subprocess.Popen[str]]:
    return child([sys.executable, "-m", "tests.store.builder", *map(str, argv)], cwd=CHECKOUT, stderr=None)


def said(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    result: dict[str, Any] = json.loads(output)
    return result


def test_of_two_builds_at_once_one_makes_and_the_other_waits_says_so_and_gets_it_cached(store: Store, tmp_path: Path) -> None:
    flag = tmp_path / "paused"
    with start(store.root, "train", 3, flag) as first:
        wait_until(flag.exists)
        with start(store.root, "train") as second:
            with pytest.raises(subprocess.TimeoutExpired):
                second.wait(timeout=3.5)
            flag.unlink()
            made, waited = said(first), said(second)
    ear = Ear()
    key = Train().key({})
    assert (made["outcome"], waited["outcome"]) == ("ran", "cached")
    assert made["content"] == waited["content"]
    assert waited["notes"] == [f"waiting for another process that is making train {key[:12]}"]
    assert waited["steps"] == 0
    assert verify(store, ear).ok


def test_builds_of_other_keys_do_not_wait(store: Store, tmp_path: Path) -> None:
    flag = tmp_path / "paused"
    with start(store.root, "train", 3, flag) as first:
        wait_until(flag.exists)
        ear = Ear()
        obtain(store, Prepare(), tell=ear)
        assert ear.notes == []
        flag.unlink()
        assert said(first)["outcome"] == "ran"


@pytest.mark.parametrize("kind", ["train", "prepare"])
def test_after_kill_9_the_store_is_whole_and_the_next_build_gives_the_same_bytes(store: Store, tmp_path: Path, kind: str) -> None:
    stage = {"train": Train(), "prepare": Prepare()}[kind]
    obtain(store, Quantize())
    flag = tmp_path / "paused"
    with start(store.root, kind, 6, flag):
        wait_until(flag.exists)
    assert [entry.kind for entry in store.artifacts.entries()] == ["quantize"]
    assert verify(store, Ear()).ok
    ear = Ear()
    resumed, outcome = obtain(store, stage, tell=ear)
    straight, _ = obtain(Store.open(tmp_path / "other"), stage)
    assert outcome.outcome == "ran"
    assert len(ear.steps) == (4 if kind == "train" else 10)
    assert files_in(resumed.folder) == files_in(straight.folder)
    assert resumed.content == straight.content


def publish_for_ever(root: Path) -> None:
    for images in range(10_000):
        obtain(Store.open(root), Quantize(images=images), maker=forty_files)


def forty_files(given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
    for number in range(40):
        (out / f"{number}.bin").write_bytes(bytes([number]) * 20_000)


def test_whenever_it_is_killed_every_entry_is_whole(store: Store) -> None:
    chance = random.Random(3)
    context = multiprocessing.get_context("fork")
    for _ in range(12):
        process = context.Process(target=publish_for_ever, args=(store.root,))
        process.start()
        time.sleep(chance.uniform(0.05, 0.2))
        process.kill()
        process.join()
        report = verify(store, Ear())
        assert report.ok
        assert report.strays == ()
    assert report.artifacts > 0
    publishable = obtain(store, Quantize(images=report.artifacts), maker=forty_files)[0]
    assert len(publishable.record.files) == 40


def test_a_workspace_keeps_what_was_left_in_it_until_its_block_ends_well(store: Store) -> None:
    with pytest.raises(RuntimeError), store.workspace("race", "abc", Ear()) as folder:
        (folder / "run-0.json").write_text("{}")
        raise RuntimeError
    with store.workspace("race", "abc", Ear()) as folder:
        assert list(files_in(folder)) == ["run-0.json"]
        with store.locks.held_if_free("race", "abc") as free:
            assert not free
    assert not folder.exists()
