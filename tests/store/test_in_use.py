"""What a running build has in hand stays for as long as the build runs, and not a moment longer than it lives."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgecnn.store.gc import GcPolicy, collect
from edgecnn.store.store import Store
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


def started(store: Store, flag: Path) -> subprocess.Popen[bytes]:
    """A build in another process that has used its first artifact."""
    process = subprocess.Popen([sys.executable, "-c", A_BUILD, str(store.root), str(flag)], cwd=CHECKOUT)
    wait_until(flag.exists)
    return process


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


def test_of_two_running_builds_the_older_one_counts(store: Store) -> None:
    with store.in_use.held():
        made, _ = obtain(store, Quantize())
        with store.in_use.held():
            pass
        assert store.in_use.since() <= time.time()
        assert collect(store, EVERYTHING).busy == (f"artifacts/quantize/{made.key}",)
    assert store.in_use.since() == float("inf")
    assert locks_of(store) == []


def test_another_process_is_seen_while_it_lives_and_forgotten_when_it_was_killed(store: Store, tmp_path: Path) -> None:
    process = started(store, tmp_path / "flag")
    try:
        assert len(collect(store, EVERYTHING).busy) == 1
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
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


def test_an_entry_that_gc_takes_between_finding_and_using_it_is_made_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = made_days_ago(store, Quantize(), 40)
    real = os.utime

    def late(path: Path, *args: object) -> None:
        monkeypatch.setattr(os, "utime", real)
        collect(store, EVERYTHING)
        real(path)

    monkeypatch.setattr(os, "utime", late)
    again, outcome = obtain(store, Quantize())
    assert outcome.outcome == "ran"
    assert (again.folder / "model.onnx").is_file() and again.key == made.key


def test_an_entry_that_is_used_between_gc_s_look_and_its_rename_is_put_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_days_ago(store, Quantize(), 40)
    real = Path.rename

    def late(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", real)
        obtain(store, Quantize())
        return real(self, target)

    monkeypatch.setattr(Path, "rename", late)
    report = collect(store, GcPolicy(unused_for_s=86400))
    assert report.busy == (f"artifacts/quantize/{made.key}",)
    assert obtain(store, Quantize())[1].outcome == "cached"
    assert list((store.root / "trash").iterdir()) == []
