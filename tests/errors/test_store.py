from __future__ import annotations

from pathlib import Path

from edgecnn.errors.store import StoreFull


def test_a_full_disk_says_how_much_is_left_and_how_to_make_room() -> None:
    assert StoreFull(root=Path("/store"), free_bytes=3 * 2**19, doing="writing an entry").line() == (
        "no space left for the store /store: 1.5 MiB free while writing an entry; what was stored before is intact"
        " — run `edgecnn store gc`, or set EDGECNN_STORE=FOLDER to a folder on another disk [store-full]"
    )
