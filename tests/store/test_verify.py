from __future__ import annotations

import os

from edgecnn.store.listing import DamagedEntry, verify
from edgecnn.store.store import Store
from tests.store.test_profiles import a_profile
from tests.store.toys import VERSIONS, Ear, Quantize, Train, obtain


def silently_changed(store: Store) -> str:
    """Other bytes under the same size and time."""
    made, _ = obtain(store, Quantize())
    path = made.folder / "model.onnx"
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"y")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return f"artifacts/quantize/{made.key}"


def test_a_whole_store_is_ok_and_counted(store: Store) -> None:
    made, _ = obtain(store, Quantize())
    profile = store.profiles.add(a_profile())
    ear = Ear()
    report = verify(store, ear)
    size = sum(path.stat().st_size for path in [*made.folder.rglob("*.*"), profile.file("profile.json")])
    assert (report.ok, report.artifacts, report.profiles, report.bytes, report.strays) == (True, 1, 1, size, ())
    assert ear.steps == [("verify the store", 1, 2, "entries"), ("verify the store", 2, 2, "entries")]


def test_an_empty_store_is_ok(store: Store) -> None:
    assert verify(store, Ear()).ok
    assert not store.root.exists()


def test_bytes_changed_behind_an_unchanged_stat_are_found(store: Store) -> None:
    name = silently_changed(store)
    report = verify(store, Ear())
    why = "model.onnx changed after it was stored"
    assert report.damaged == (DamagedEntry(name=name, why=why, moved_to_trash=False),)
    assert (store.root / name).exists()


def test_repair_moves_what_is_damaged_away_and_the_next_build_makes_it_again(store: Store) -> None:
    name = silently_changed(store)
    obtain(store, Train())
    stored = store.profiles.add(a_profile())
    os.truncate(stored.file("profile.json"), 3)
    report = verify(store, Ear(), repair=True)
    assert [(damaged.name, damaged.moved_to_trash) for damaged in report.damaged] == [
        (name, True),
        (f"profiles/{stored.profile.subject}/evaluation/{stored.id}", True),
    ]
    assert verify(store, Ear()).ok
    assert obtain(store, Quantize())[1].outcome == "ran"
    assert obtain(store, Train())[1].outcome == "cached"


def test_an_entry_that_is_being_made_anew_is_left_alone(store: Store) -> None:
    name = silently_changed(store)
    with store.locks.held("quantize", Quantize().key(VERSIONS), Ear()):
        (damaged,) = verify(store, Ear(), repair=True).damaged
    assert not damaged.moved_to_trash
    assert (store.root / name).exists()


def test_files_that_no_record_knows_are_listed_and_are_no_damage(store: Store) -> None:
    made, _ = obtain(store, Quantize())
    (made.folder / "__pycache__").mkdir()
    (made.folder / "__pycache__" / "kit.pyc").write_text("x")
    report = verify(store, Ear())
    assert report.ok
    assert report.strays == (f"artifacts/quantize/{made.key}/files/__pycache__/kit.pyc",)
