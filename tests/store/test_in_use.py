"""What a running build has in hand stays for as long as the build runs, and not a moment longer than it lives."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.store import BUILD_UNPROTECTED
from edgecnn.store import locks as in_use
from edgecnn.store.gc import GcPolicy, collect
from edgecnn.store.locks import CLOCKS_DIFFER_S, Locks
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact, Cached, Ran
from tests.house.child import child
from tests.store.test_gc import kept, made_days_ago
from tests.store.toys import Quantize, obtain, wait_until

CHECKOUT = Path(__file__).parents[2]
EVERYTHING = GcPolicy(max_bytes=0, grace_s=0)
"""What ``gc`` does to entries that were last used longer ago than its hour of grace."""
A_BUILD = """
import sys, time
from pathlib import Path
from edgecnn.store.store import Store
from tests.store.toys import Quantize, obtain

store = Store.open(Path(sys.argv[1]))
with store.in_use.held():
    obtain(store, Quantize())
    Path(sys.argv[2]).touch()
    time.sleep(60)
"""


def locks_of(store: Store) -> list[Path]:
    return list((store.root / "locks" / "in-use").glob("*"))


@contextmanager
def running(store: Store, flag: Path) -> Iterator[None]:
    """A build in another process that has used its first artifact; killed at the end."""
    with child([sys.executable, "-c", A_BUILD, str(store.root), str(flag)], piped=False, cwd=CHECKOUT):
        wait_until(flag.exists)
        yield


def test_what_a_running_build_has_used_is_kept_however_long_it_runs_and_goes_when_it_has_ended(store: Store) -> None:
    cached = made_days_ago(store, Quantize(images=1), 40)
    with store.in_use.held():
        obtain(store, Quantize(images=1))
        made, _ = obtain(store, Quantize(images=2))
        report = collect(store, EVERYTHING)
        assert report.removed == ()
        assert set(report.busy) == {f"artifacts/quantize/{each.key}" for each in (cached, made)}
        assert (report.freed_bytes, report.kept_bytes) == (0, 8004)
        assert collect(store, EVERYTHING, dry_run=True).busy == report.busy
    collect(store, EVERYTHING)
    assert kept(store) == set()


def test_what_no_running_build_has_used_goes_as_ever(store: Store) -> None:
    made_days_ago(store, Quantize(images=1), 40)
    with store.in_use.held():
        used, _ = obtain(store, Quantize(images=2))
        collect(store, GcPolicy(unused_for_s=30 * 86400))
        assert kept(store) == {used.key}


def test_of_two_running_builds_the_older_one_counts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    began = round(time.time()) - 7200
    made = made_days_ago(store, Quantize(), 1 / 24)
    with ExitStack() as older, store.in_use.held():
        assert store.in_use.since() > began + 7000
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: float(began))
            older.enter_context(store.in_use.held())
        assert store.in_use.since() == began - CLOCKS_DIFFER_S
        assert collect(store, EVERYTHING).busy == (f"artifacts/quantize/{made.key}",)
        older.close()
        assert len(collect(store, EVERYTHING).removed) == 1
    assert store.in_use.since() == float("inf")
    assert locks_of(store) == []


def test_another_process_is_seen_while_it_lives_and_forgotten_when_it_was_killed(store: Store, tmp_path: Path) -> None:
    with running(store, tmp_path / "flag"):
        assert len(collect(store, EVERYTHING).busy) == 1
    assert len(collect(store, EVERYTHING).removed) == 1


def test_gc_clears_away_what_killed_builds_left(store: Store) -> None:
    (store.root / "locks" / "in-use").mkdir(parents=True)
    for began in (time.time() - 7200, time.time()):
        (store.root / "locks" / "in-use" / f"{began:.0f}-1-00000000.lock").touch()
    with store.in_use.held():
        collect(store, EVERYTHING, dry_run=True)
        assert len(locks_of(store)) == 3
        collect(store, EVERYTHING)
        assert len(locks_of(store)) == 2, "one that is an hour old and held by nobody"


def test_a_build_that_fails_leaves_no_lock(store: Store) -> None:
    with pytest.raises(RuntimeError), store.in_use.held():
        raise RuntimeError
    assert locks_of(store) == []


def test_a_store_that_takes_no_lock_still_serves(store: Store) -> None:
    obtain(store, Quantize())
    shutil.rmtree(store.root / "locks")
    (store.root / "locks").touch()
    with store.in_use.held():
        assert obtain(store, Quantize())[1].outcome == "cached"


def test_a_file_that_is_no_build_s_lock_is_nobody_s_build_and_stays(store: Store) -> None:
    folder = store.root / "locks" / "in-use"
    folder.mkdir(parents=True)
    for name in ("notes.lock", "x-1-00000000.lock", "1-2.lock", "nan-1-00000000.lock", ".nfs0001.lock"):
        (folder / name).touch()
    made_days_ago(store, Quantize(), 40)
    assert store.in_use.since() == float("inf")
    assert len(collect(store, EVERYTHING).removed) == 1
    assert len(locks_of(store)) == 5


def test_a_build_whose_new_lock_gc_has_in_its_hand_waits_for_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda _: "00000000")
    monkeypatch.setattr(time, "time", lambda: 1e9)
    with ExitStack() as looking:
        looking.enter_context(store.locks.held_if_free("in-use", f"1000000000-{os.getpid()}-00000000"))
        Timer(0.2, looking.pop_all().close).start()
        with store.in_use.held():
            assert store.in_use.since() == 1e9 - CLOCKS_DIFFER_S


def test_a_build_that_cannot_be_protected_does_not_run_unprotected(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda _: "00000000")
    monkeypatch.setattr(time, "time", lambda: 1e9)
    monkeypatch.setattr(in_use, "_TIMEOUT_S", 0.1)
    lock = f"1000000000-{os.getpid()}-00000000"
    with (
        store.locks.held_if_free("in-use", lock),
        pytest.raises(EdgecnnError, check=BUILD_UNPROTECTED.made) as caught,
        store.in_use.held(),
    ):
        pass
    assert caught.value.ref == "build-unprotected"


def test_an_entry_that_gc_takes_between_finding_and_using_it_is_made_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = made_days_ago(store, Quantize(), 40)
    real = Locks.held_if_free

    def late(*given: Any, **named: Any) -> AbstractContextManager[bool]:
        monkeypatch.setattr(Locks, "held_if_free", real)
        collect(store, EVERYTHING)
        return real(*given, **named)

    monkeypatch.setattr(Locks, "held_if_free", late)
    again, outcome = obtain(store, Quantize())
    assert outcome.outcome == "ran"
    assert (again.folder / "model.onnx").is_file() and again.key == made.key


def test_an_entry_that_is_being_dated_as_used_is_busy_for_gc(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = made_days_ago(store, Quantize(), 40)
    real, reports = os.utime, []

    def late(path: Path, *args: object) -> None:
        monkeypatch.setattr(os, "utime", real)
        reports.append(collect(store, EVERYTHING))
        real(path)

    monkeypatch.setattr(os, "utime", late)
    found, outcome = obtain(store, Quantize())
    assert outcome.outcome == "cached"
    assert reports[0].busy == (f"artifacts/quantize/{made.key}",)
    assert (found.folder / "model.onnx").is_file()


def test_an_entry_that_gc_is_taking_away_is_waited_for_and_made_again_and_never_half_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build asks between gc's look at the entry's date and its rename."""
    made_days_ago(store, Quantize(), 40)
    answers: list[tuple[Artifact, Ran | Cached]] = []
    build = Thread(target=lambda: answers.append(obtain(store, Quantize())))
    real = Path.rename

    def late(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", real)
        build.start()
        build.join(0.3)
        assert answers == [], "it must not have been handed out what is about to go"
        return real(self, target)

    monkeypatch.setattr(Path, "rename", late)
    assert len(collect(store, GcPolicy(unused_for_s=86400)).removed) == 1
    build.join()
    assert answers[0][1].outcome == "ran"
    assert (answers[0][0].folder / "model.onnx").is_file()
