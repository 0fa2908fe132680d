"""`edgecnn store` for people: sizes, ages and whose an entry is, at a glance."""

from __future__ import annotations

from typing import Any

import pytest

from edgecnn.render.screens.stored import show_listing, show_verified
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


def test_an_empty_store_is_one_line_and_unpacked_archives_are_another(capsys: Captured) -> None:
    show_listing("/store", [])
    assert len(lines_of(capsys)) == 1
    show_listing("/store", [], [ArchiveRow(name="a", bytes=1024, used_at=None)])
    assert len(lines_of(capsys)) == 2


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
    row = next(line for line in lines_of(capsys) if line.startswith("train"))
    assert row.split()[:5] == ["train", "111111111111", "resnet-18", "16.2", "MiB"]


def test_verifying_names_the_command_that_repairs_only_where_something_is_damaged_still(capsys: Captured) -> None:
    damaged = DamagedEntry(name="artifacts/train/1", why="model.onnx is missing", moved_to_trash=False)
    report = VerifyReport(artifacts=1, profiles=2, bytes=2**20, damaged=(damaged,), strays=())
    show_verified(report, repaired=False)
    assert lines_of(capsys)[-1].endswith("edgecnn store verify --repair")
    show_verified(report.model_copy(update={"damaged": (damaged.model_copy(update={"moved_to_trash": True}),)}), repaired=True)
    assert "--repair" not in " ".join(lines_of(capsys))
