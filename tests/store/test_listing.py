from __future__ import annotations

import json
import os
from pathlib import Path

from edgecnn.store.listing import ArchiveRow, archives, listing
from edgecnn.store.store import Store
from tests.store.toys import Quantize, Scheme, Train, obtain, source


def test_rows_say_kind_key_size_dates_time_inputs_and_settings_as_they_were_recorded(store: Store, tmp_path: Path) -> None:
    images = source(tmp_path / "images.json", "these images")
    stage = Quantize(inputs={"images": images.key}, steps=(Scheme(bias="float"),))
    made, ran = obtain(store, stage, inputs={"images": images})
    (row,) = listing(store)
    assert (row.kind, row.key, row.bytes) == ("quantize", made.key, 4202)
    assert row.seconds == made.record.seconds
    assert row.made_at == made.record.made_at
    assert 0 <= row.unused_s <= row.age_s + 1 < 60
    assert row.inputs == {"images": images.key}
    assert row.settings["steps"] == [{"bias": "float", "granularity": "per-channel"}]
    assert row.settings["note"] is None, "raw, nothing left out"


def test_the_last_use_is_when_a_build_last_found_it(store: Store) -> None:
    made, _ = obtain(store, Quantize())
    os.utime(made.folder.parent / "record.json", (0, 86400))
    assert listing(store)[0].used_at == "1970-01-02T00:00:00+00:00"
    obtain(store, Quantize())
    assert listing(store)[0].unused_s < 60


def test_the_newest_comes_first_and_one_kind_can_be_asked_for(store: Store) -> None:
    old, _ = obtain(store, Quantize())
    path = old.folder.parent / "record.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "made_at": "2020-01-01T00:00:00+00:00"}))
    obtain(store, Train())
    assert [row.kind for row in listing(store)] == ["train", "quantize"]
    assert [row.kind for row in listing(store, "quantize")] == ["quantize"]


def test_an_empty_store_has_no_rows(store: Store) -> None:
    assert listing(store) == ()


def test_unpacked_archives_are_counted_with_their_last_use(store: Store) -> None:
    assert archives(store) == ()
    for name in (".unpacking.x", "a" * 32):
        (store.root / "archives" / name / "cat").mkdir(parents=True)
        (store.root / "archives" / name / "cat" / "0.png").write_bytes(b"12345")
    proof = store.root / "archives" / f"{'a' * 32}.json"
    proof.write_text("proof")
    os.utime(proof, (0, 86400))
    assert archives(store) == (
        ArchiveRow(name=".unpacking.x", bytes=5, used_at=None),
        ArchiveRow(name="a" * 32, bytes=5, used_at="1970-01-02T00:00:00+00:00"),
    )
