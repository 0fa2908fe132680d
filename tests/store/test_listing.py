from __future__ import annotations

import json

from edgecnn.store.listing import listing
from edgecnn.store.store import Store
from tests.store.toys import Quantize, Scheme, Train, obtain


def test_rows_say_kind_key_size_age_time_and_settings(store: Store) -> None:
    made, ran = obtain(store, Quantize(steps=(Scheme(bias="float"),)))
    (row,) = listing(store)
    assert (row.kind, row.key, row.bytes) == ("quantize", made.key, 4202)
    assert row.seconds == made.record.seconds
    assert 0 <= row.age_s < 60
    assert row.settings == (
        "images=256 scheme.bias=int32 scheme.granularity=per-channel steps[0].bias=float steps[0].granularity=per-channel"
    )


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
