"""An entry that was damaged is noticed, said and made again; one that only looks otherwise is not."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn.store.store import Store
from edgecnn.values.artifact import Cached, Miss, Ran
from tests.store.test_artifacts import no_maker
from tests.store.toys import VERSIONS, Quantize, files_in, obtain

A_TICK_S = 0.02
"""More than a tick of the kernel's clock for files."""


def same_size_other_bytes(entry: Path) -> None:
    path = entry / "files" / "model.onnx"
    before = path.stat().st_mtime_ns
    path.write_bytes(b"x" * path.stat().st_size)
    os.utime(path, ns=(before, before + 1_000_000))


def same_size_and_time_other_bytes(entry: Path) -> None:
    path = entry / "files" / "model.onnx"
    before = path.stat()
    time.sleep(A_TICK_S)
    with path.open("r+b") as file:
        file.write(b"y")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def truncated(entry: Path) -> None:
    os.truncate(entry / "files" / "model.onnx", 10)


def missing(entry: Path) -> None:
    (entry / "files" / "sub" / "facts.json").unlink()


def a_link(entry: Path) -> None:
    path = entry / "files" / "model.onnx"
    path.rename(entry / "elsewhere")
    path.symlink_to(entry / "elsewhere")


def half_a_record(entry: Path) -> None:
    os.truncate(entry / "record.json", 200)


def no_record(entry: Path) -> None:
    (entry / "record.json").unlink()


def edited_record(entry: Path) -> None:
    record = json.loads((entry / "record.json").read_text())
    record["payload"]["settings"]["images"] = 512
    (entry / "record.json").write_text(json.dumps(record))


DAMAGE: dict[Callable[[Path], None], str] = {
    same_size_other_bytes: "model.onnx changed after it was stored",
    same_size_and_time_other_bytes: "model.onnx changed after it was stored",
    truncated: "model.onnx has 10 bytes instead of 4,200",
    missing: "sub/facts.json is missing",
    a_link: "model.onnx is missing",
    half_a_record: "record.json is truncated or not a record",
    no_record: "record.json is missing",
    edited_record: "record.json belongs to another key",
}


@pytest.mark.parametrize("harm", DAMAGE, ids=lambda harm: harm.__name__)
def test_a_damaged_entry_is_noticed_said_moved_away_and_rebuilt(store: Store, harm: Callable[[Path], None]) -> None:
    made, _ = obtain(store, Quantize())
    whole = files_in(made.folder)
    harm(made.folder.parent)
    why = (f"stored entry is damaged: {DAMAGE[harm]}; rebuilding",)
    assert store.artifacts.find(Quantize(), VERSIONS, {}) == Miss(why=why)
    rebuilt, outcome = obtain(store, Quantize())
    assert isinstance(outcome, Ran)
    assert outcome.why == why
    assert files_in(rebuilt.folder) == whole
    assert len(list((store.root / "trash").iterdir())) == 1
    assert obtain(store, Quantize(), maker=no_maker)[1] == Cached()


def test_a_touched_or_copied_file_with_the_same_bytes_is_no_damage(store: Store, tmp_path: Path) -> None:
    made, _ = obtain(store, Quantize())
    os.utime(made.folder / "model.onnx", (1, 1))
    assert obtain(store, Quantize(), maker=no_maker)[1] == Cached()
    shutil.copytree(store.root / "artifacts", tmp_path / "other" / "artifacts")
    assert obtain(Store.open(tmp_path / "other"), Quantize(), maker=no_maker)[1] == Cached()


def test_an_unreadable_stat_index_costs_hashing_and_nothing_else(store: Store) -> None:
    made, _ = obtain(store, Quantize())
    index = store.layout.stamps("quantize", made.key)
    for nonsense in ("", "[]", '{"model.onnx": 3}', "{"):
        index.write_text(nonsense)
        assert obtain(store, Quantize(), maker=no_maker)[1] == Cached()
    assert set(json.loads(index.read_text())) == {"model.onnx", "sub/facts.json"}


def test_entries_pass_over_damaged_records(store: Store) -> None:
    made, _ = obtain(store, Quantize())
    other, _ = obtain(store, Quantize(images=1))
    half_a_record(other.folder.parent)
    assert [entry.key for entry in store.artifacts.entries()] == [made.key]
