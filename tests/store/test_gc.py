from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecnn.store.gc import GcPolicy, collect
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from tests.store.test_profiles import a_profile
from tests.store.toys import Ear, Prepare, Quantize, Train, files_in, obtain

DAY_S = 86400.0


def made_days_ago(store: Store, stage: Quantize, days: float, **given: Artifact) -> Artifact:
    inputs = {role: artifact.stage_input for role, artifact in given.items()}
    named = stage.model_copy(update={"inputs": {role: found.key for role, found in inputs.items()}})
    made, _ = obtain(store, named, inputs=inputs)
    aged(made.folder.parent / "record.json", days)
    return made


def aged(path: Path, days: float) -> None:
    moment = time.time() - days * DAY_S
    for place in [*path.rglob("*"), path]:
        os.utime(place, (moment, moment))


def kept(store: Store) -> set[str]:
    return {artifact.key for artifact in store.artifacts.entries()}


def test_without_rules_only_trash_and_forgotten_work_go(store: Store) -> None:
    old = made_days_ago(store, Quantize(), 400)
    (store.root / "trash" / "x").mkdir(parents=True)
    (store.root / "trash" / "x" / "file").write_bytes(b"12345")
    for name in ("forgotten", "recent"):
        (store.root / "work" / "train" / name).mkdir(parents=True)
        (store.root / "work" / "train" / name / "half").write_bytes(b"123")
    aged(store.root / "work" / "train" / "forgotten", 3)
    report = collect(store, GcPolicy())
    assert [(removal.what, removal.name, removal.bytes) for removal in report.removed] == [
        ("trash", "trash/x", 5),
        ("work", "work/train/forgotten", 3),
    ]
    assert report.removed[1].why == "left unfinished 3.0 days ago"
    assert report.freed_bytes == 8
    assert kept(store) == {old.key}
    assert list(files_in(store.root / "work")) == ["train/recent/half"]
    assert list((store.root / "trash").iterdir()) == []


def test_entries_that_stay_because_they_are_young_are_counted(store: Store) -> None:
    made_days_ago(store, Quantize(), 2)
    obtain(store, Train())
    report = collect(store, GcPolicy(unused_for_s=30 * DAY_S))
    assert (report.freed_bytes, report.recent) == (0, 1)
    assert collect(store, GcPolicy(unused_for_s=0)).freed_bytes > 0
    assert len(kept(store)) == 1


def test_a_dry_run_says_the_same_and_takes_nothing(store: Store) -> None:
    made_days_ago(store, Quantize(), 40)
    before = files_in(store.root)
    dry = collect(store, GcPolicy(unused_for_s=30 * DAY_S), dry_run=True)
    assert files_in(store.root) == before
    wet = collect(store, GcPolicy(unused_for_s=30 * DAY_S))
    assert dry == wet.model_copy(update={"dry_run": True})
    assert wet.removed[0].why == "not used for 40.0 days"
    assert (wet.freed_bytes, wet.kept_bytes) == (4202, 0)


def test_what_was_used_lately_stays_however_long_ago_it_was_made(store: Store) -> None:
    made_days_ago(store, Quantize(images=1), 40)
    used = made_days_ago(store, Quantize(images=2), 40)
    obtain(store, Quantize(images=2))
    collect(store, GcPolicy(unused_for_s=30 * DAY_S))
    assert kept(store) == {used.key}
    collect(store, GcPolicy(unreachable=True))
    assert kept(store) == {used.key}, "a running build may be reading it"
    collect(store, GcPolicy(unreachable=True, grace_s=0))
    assert kept(store) == set()


def test_to_fit_a_size_the_least_recently_used_go_first(store: Store) -> None:
    made = [made_days_ago(store, Quantize(images=100 + days), days) for days in (9, 7, 5, 3)]
    collect(store, GcPolicy(max_bytes=2 * 4202))
    assert kept(store) == {made[2].key, made[3].key}


def test_what_is_kept_keeps_all_that_it_was_made_from(store: Store) -> None:
    trained = made_days_ago(store, Quantize(images=1), 9)
    exported = made_days_ago(store, Quantize(images=2), 9, weights=trained)
    other = made_days_ago(store, Quantize(images=3), 9)
    report = collect(store, GcPolicy(keep=(exported.key,), unreachable=True, unused_for_s=0, max_bytes=0))
    assert kept(store) == {trained.key, exported.key}
    assert [(removal.name, removal.why) for removal in report.removed] == [
        (f"artifacts/quantize/{other.key}", "not used by kept entries"),
    ]


def test_what_is_locked_is_busy_and_stays(store: Store) -> None:
    made = made_days_ago(store, Quantize(), 40)
    work = store.layout.work("train", Train().key({}))
    work.mkdir(parents=True)
    (work / "half").write_text("x")
    aged(work, 3)
    with store.locks.held("train", work.name, Ear()), store.locks.held("quantize", made.key, Ear()):
        report = collect(store, GcPolicy(unused_for_s=0))
    assert report.removed == ()
    assert report.busy == (f"work/train/{work.name}", f"artifacts/quantize/{made.key}")
    assert work.exists()
    assert kept(store) == {made.key}


def test_a_collected_artifact_is_made_again(store: Store) -> None:
    made_days_ago(store, Quantize(), 40)
    collect(store, GcPolicy(unused_for_s=0))
    assert not list((store.root / "index").rglob("*.json"))
    assert obtain(store, Quantize())[1].outcome == "ran"


def test_profiles_go_only_where_an_age_is_stated(store: Store) -> None:
    old, new = store.profiles.add(a_profile(device="old")), store.profiles.add(a_profile(device="new"))
    aged(old.folder, 100)
    collect(store, GcPolicy(unused_for_s=0))
    assert len(list(store.profiles.entries())) == 2
    collect(store, GcPolicy(profiles_older_than_s=30 * DAY_S))
    assert list(store.profiles.entries()) == [new]


def test_while_a_build_runs_every_profile_stays_for_it_may_have_found_one_and_read_its_files_later(store: Store) -> None:
    old = store.profiles.add(a_profile())
    aged(old.folder, 100)
    policy = GcPolicy(profiles_older_than_s=30 * DAY_S)
    with store.in_use.held():
        for dry_run in (True, False):
            report = collect(store, policy, dry_run=dry_run)
            assert (report.removed, report.busy) == ((), (old.folder.relative_to(store.root).as_posix(),))
        assert list(store.profiles.entries()) == [old]
    assert collect(store, policy, dry_run=True).busy == ()
    assert len(collect(store, policy).removed) == 1


def test_a_build_that_begins_while_gc_is_at_work_keeps_its_profiles(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    old = store.profiles.add(a_profile())
    aged(old.folder, 100)
    with contextlib.ExitStack() as build:
        real = store.artifacts.entries

        def late() -> Iterator[Artifact]:
            build.enter_context(store.in_use.held())
            return real()

        monkeypatch.setattr(store.artifacts, "entries", late)
        assert collect(store, GcPolicy(profiles_older_than_s=DAY_S)).removed == ()
    assert list(store.profiles.entries()) == [old]


def test_an_interrupted_training_survives_collection_while_it_is_young(store: Store) -> None:
    def interrupt(done: int) -> None:
        if done == 4:
            raise RuntimeError

    for stage in (Train(), Prepare()):
        try:
            obtain(store, stage, tell=Ear(interrupt))
        except RuntimeError:
            collect(store, GcPolicy())
    assert obtain(store, Train())[0].record.notes[0] == "epoch 0 was there"


def an_archive(store: Store, name: str, days: float, *, whole: bool = True) -> Path:
    folder = store.root / "archives" / name
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "0.png").write_bytes(b"12345")
    aged(folder, 400)
    if whole:
        (folder.parent / f"{name}.json").write_text("proof")
        aged(folder.parent / f"{name}.json", days)
    return folder


def archives_left(store: Store) -> list[str]:
    return sorted(path.name for path in (store.root / "archives").iterdir())


def test_unpacked_archives_go_by_their_last_use_and_half_unpacked_ones_by_age(store: Store) -> None:
    an_archive(store, "a" * 32, 40)
    an_archive(store, "b" * 32, 2)
    an_archive(store, ".unpacking.killed", 400, whole=False)
    running = an_archive(store, ".unpacking.running", 400, whole=False)
    (running / "now.png").write_bytes(b"1")
    policy = GcPolicy(unused_for_s=30 * DAY_S)
    dry = collect(store, policy, dry_run=True)
    report = collect(store, policy)
    assert dry.removed == report.removed
    assert [(each.what, each.name, each.bytes, each.why) for each in report.removed] == [
        ("work", "archives/.unpacking.killed", 5, "left unfinished 400.0 days ago"),
        ("archive", f"archives/{'a' * 32}", 5, "not used for 40.0 days"),
    ]
    assert archives_left(store) == [".unpacking.running", "b" * 32, f"{'b' * 32}.json"]


def test_an_unpacked_archive_stays_while_a_build_runs_or_another_has_its_lock(store: Store) -> None:
    an_archive(store, "a" * 32, 40)
    policy = GcPolicy(unused_for_s=30 * DAY_S)
    with store.in_use.held():
        assert collect(store, policy).busy == (f"archives/{'a' * 32}",)
    with store.locks.held_if_free("archives", "a" * 32) as free:
        assert free and collect(store, policy).busy == (f"archives/{'a' * 32}",)
    assert archives_left(store) == ["a" * 32, f"{'a' * 32}.json"]
