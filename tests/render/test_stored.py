"""`edgecnn store` for people: sizes, ages and whose an entry is, at a glance."""

from __future__ import annotations

from typing import Any

import pytest

from edgecnn.render.screens.stored import show_collected, show_listing, show_verified
from edgecnn.store.gc import GcReport, Removal
from edgecnn.store.listing import ArchiveRow, DamagedEntry, ListingRow, VerifyReport
from tests.render.test_terminal import Captured, cells, lines_of

TRAINED, EXPORTED, QUANTIZED = "1" * 64, "2" * 64, "3" * 64


def a_row(kind: str = "train", key: str = TRAINED, **changes: Any) -> ListingRow:
    known: dict[str, Any] = {
        "kind": kind, "key": key, "bytes": 17_000_000, "made_at": "2026-11-20T09:00:00+00:00", "age_s": 3 * 3600.0,
        "used_at": "2026-11-20T11:50:00+00:00", "unused_s": 600.0, "seconds": 185.4, "inputs": {},
        "settings": {"arch": "resnet-18", "mode": "scratch", "epochs": 10, "url": None},
    }  # fmt: skip
    return ListingRow(**{**known, **changes})


def shown(capsys: Captured, *rows: ListingRow) -> list[list[str]]:
    show_listing("/store", rows)
    return [found for line in lines_of(capsys) if (found := cells(line))]


def test_a_row_says_what_it_is_whose_it_is_how_large_how_old_and_how_dear_it_was(capsys: Captured) -> None:
    assert shown(capsys, a_row())[1:] == [
        ["train", "111111111111", "resnet-18", "16.2 MiB", "3 h ago", "10 min ago", "3 min", "mode=scratch epochs=10"],
    ]


def test_the_first_line_is_where_the_store_lies_and_what_it_holds(capsys: Captured) -> None:
    show_listing("/store", [a_row(), a_row(key=EXPORTED)])
    assert lines_of(capsys)[0] == "/store: 2 artifacts, 32.4 MiB"
    show_listing("/store", [])
    assert lines_of(capsys) == ["/store: 0 artifacts, 0 B"]
    show_listing("/store", [], [ArchiveRow(name="a", bytes=1024, used_at=None)])
    assert lines_of(capsys) == ["/store: 0 artifacts, 0 B", "  1 unpacked archive, 1.0 KiB"]


def test_what_does_not_name_its_network_has_that_of_what_it_was_made_from(capsys: Captured) -> None:
    pixels = a_row("prepare", "4" * 64, settings={"pixels": {"crop_px": 64}})
    exported = a_row("export", EXPORTED, inputs={"pixels": pixels.key, "weights": TRAINED})
    quantized = a_row(
        "quantize", QUANTIZED, settings={"candidate": {"id": "openvino-int8"}, "images": 300}, inputs={"model": EXPORTED}
    )
    rows = shown(capsys, quantized, exported, pixels)[1:]
    assert [(row[0], row[2], row[-1]) for row in rows] == [
        ("quantize", "resnet-18", "candidate=openvino-int8 images=300"),
        ("export", "resnet-18", "mode=scratch epochs=10"),
        ("prepare", "–", "crop_px=64"),
    ]


def test_an_entry_whose_origin_is_gone_and_of_a_kind_that_is_not_known_is_listed_all_the_same(capsys: Captured) -> None:
    strange = a_row("distil", settings={"teacher": "resnet-50", "rounds": 3, "a": 1, "b": 2}, inputs={"model": "9" * 64})
    assert shown(capsys, strange)[1][2::5] == ["–", "teacher=resnet-50 rounds=3 a=1"]


def test_on_a_narrow_terminal_kind_key_network_and_size_stay_side_by_side(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecnn.render.terminal.WIDE", 60)
    show_listing("/store", [a_row()])
    assert lines_of(capsys) == [
        "/store: 1 artifact, 16.2 MiB",
        "kind   key           network    size      made",
        "─────────────────────────────────────────────────",
        "train  111111111111  resnet-18  16.2 MiB  3 h ago",
        "    used: 10 min ago   took: 3 min",
        "    settings: mode=scratch epochs=10",
    ]


def test_collecting_says_what_went_what_is_in_use_and_how_much_room_that_made(capsys: Captured) -> None:
    gone = Removal(what="artifact", name="artifacts/train/1", bytes=2**30, why="not used for 40.0 days")
    report = GcReport(dry_run=False, removed=(gone,), busy=("artifacts/prepare/2",), freed_bytes=2**30, kept_bytes=5 * 2**20)
    show_collected(report)
    assert lines_of(capsys) == [
        "removed artifacts/train/1: not used for 40.0 days",
        "in use, kept: artifacts/prepare/2",
        "freed 1.0 GiB, kept 5.0 MiB",
    ]
    show_collected(report.model_copy(update={"dry_run": True}))
    lines = lines_of(capsys)
    assert (lines[0].split()[:2], lines[-1]) == (["would", "remove"], "would free 1.0 GiB, kept 5.0 MiB")


def test_of_files_afar_that_no_entry_names_only_number_and_size_are_said(capsys: Captured) -> None:
    gone = [Removal(what="blob", name=f"blobs/ab/{each}", bytes=2**20, why="no entry names it") for each in range(3)]
    show_collected(GcReport(dry_run=False, removed=tuple(gone), busy=(), freed_bytes=3 * 2**20, kept_bytes=0))
    assert lines_of(capsys) == ["removed 3 files that no entry names, 3.0 MiB", "freed 3.0 MiB, kept 0 B"]


def test_verifying_names_what_is_damaged_and_the_command_that_takes_it_out(capsys: Captured) -> None:
    damaged = DamagedEntry(name="artifacts/train/1", why="model.onnx is missing", moved_to_trash=False)
    report = VerifyReport(artifacts=1, profiles=2, bytes=2**20, damaged=(damaged,), strays=())
    show_verified(report, repaired=False)
    assert lines_of(capsys) == [
        "1 artifact and 2 profiles, 1.0 MiB: 1 damaged",
        "damaged: artifacts/train/1: model.onnx is missing",
        "take them out with: edgecnn store verify --repair",
    ]
    show_verified(report.model_copy(update={"damaged": (damaged.model_copy(update={"moved_to_trash": True}),)}), repaired=True)
    assert lines_of(capsys)[1:] == ["damaged: artifacts/train/1: model.onnx is missing, moved to the trash"]
