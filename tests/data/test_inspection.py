"""What looking through a folder tells, and that a look is as strict as the one decoder."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgecnn.data.fingerprints import fingerprint_of
from edgecnn.data.inspection import inspect
from edgecnn.data.manifest import summarize
from edgecnn.errors.data import NothingReadable
from edgecnn.runner.pixels import UnreadableImage, decode
from edgecnn.values.dataset import DataInspection
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, draw, fill, write
from tests.data.test_near_duplicates import encoded, scene


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", {"cat": 12, "dog": 12})


def facts_of(photos: Path, heard: Heard | None = None) -> DataInspection:
    return inspect(DataChoice(path=str(photos)), photos.parent / "store", heard or Heard()).facts


def sentences(facts: DataInspection, kind: str) -> list[str]:
    return [finding.sentence for finding in facts.findings if finding.kind == kind]


def test_a_plain_folder_has_nothing_odd(photos: Path) -> None:
    heard = Heard()
    facts = facts_of(photos, heard)
    assert (facts.images, facts.findings, facts.unreadable, facts.copies, facts.near) == (24, (), (), (), ())
    assert {label.name: (label.images, label.by_split) for label in facts.classes} == dict.fromkeys(
        ("cat", "dog"), (12, {"train": 12})
    )
    assert (facts.formats, facts.modes, facts.orientations) == ({"PNG": 24}, {"RGB": 24}, {"1": 24})
    assert (facts.short_side_px.min, facts.long_side_px.max) == (9, 12)
    assert facts.bytes == sum(path.stat().st_size for path in photos.rglob("*.png"))
    assert ("looking at images", 24, 24, "images") in heard.steps


def test_the_roles_are_those_of_a_build_and_what_was_read_is_known_to_it(photos: Path) -> None:
    facts, heard = facts_of(photos), Heard()
    summary = summarize(DataChoice(path=str(photos)), photos.parent / "store", heard)
    assert (facts.roles, facts.roles_from, heard.steps) == (summary.counts, summary.splits_from, [])


def test_inputs_are_left_as_they_are(photos: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(photos.rglob("*.png"))}
    facts_of(photos)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(photos.rglob("*")) if path.is_file()} == before


def test_pictures_that_look_alike_across_roles_are_a_leak(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"train/cat": 6, "train/dog": 6, "test/cat": 2, "test/dog": 2})
    write(photos / "train/cat/x.jpg", encoded(scene(5)))
    write(photos / "test/cat/y.jpg", encoded(scene(5), quality=40))
    facts = facts_of(photos)
    (group,) = facts.near
    assert (group.paths, group.classes, "test" in group.roles) == (("train/cat/x.jpg", "test/cat/y.jpg"), ("cat",), True)
    assert facts.findings[0].serious
    assert [finding.kind for finding in facts.findings] == ["leak"]


def test_pictures_that_look_alike_in_two_classes_are_a_contradiction(photos: Path) -> None:
    write(photos / "cat/x.jpg", encoded(scene(5)))
    write(photos / "dog/y.jpg", encoded(scene(5), quality=40))
    assert len(sentences(facts_of(photos), "contradiction")) == 1


def test_the_same_bytes_are_copies_and_not_merely_alike(photos: Path) -> None:
    shutil.copy2(photos / "cat/000.png", photos / "cat/copy.png")
    shutil.copy2(photos / "cat/001.png", photos / "dog/cat.png")
    facts = facts_of(photos)
    assert {group.paths: group.classes for group in facts.copies} == {
        ("cat/000.png", "cat/copy.png"): ("cat",),
        ("cat/001.png", "dog/cat.png"): ("cat", "dog"),
    }
    assert facts.near == ()
    assert [finding.kind for finding in facts.findings] == ["contradiction", "copies"]


def test_unusable_files_are_named_with_why_also_those_that_only_decoding_finds(photos: Path) -> None:
    write(photos / "cat/notes.txt", b"buy film")
    whole = draw(photos.parent / "whole.png", 5, (40, 40)).read_bytes()
    write(photos / "dog/bad.png", whole[:900] + b"\0" * 400 + whole[1300:])
    (photos / "dog/folder.jpg").mkdir()
    (photos / "dog/self.png").symlink_to("self.png")
    shutil.copy(photos / "cat/000.png", os.fsencode(photos / "cat") + b"/caf\xe9.png")
    facts = facts_of(photos)
    named = {file.path: file.why for file in facts.unreadable}
    assert set(named) == {"cat/caf\\udce9.png", "cat/notes.txt", "dog/bad.png", "dog/self.png"}
    assert [label.unreadable for label in facts.classes] == [2, 2]
    assert sentences(facts, "unreadable")[0].startswith("4 files ")


def test_a_class_too_small_for_a_build_is_told_and_the_rest_is_inspected_still(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"cat": 9, "dog": 9, "dogs": 1})
    facts = facts_of(photos)
    assert facts.roles is None
    assert [finding.kind for finding in facts.findings] == ["roles", "names", "imbalance"]
    assert [(slip.one, slip.other) for slip in facts.name_slips] == [("dog", "dogs")]
    assert facts.imbalance == 9.0


def test_how_pictures_are_stored_is_counted(photos: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    write(photos / "cat/turned.jpg", encoded(scene(1), exif=exif))
    write(photos / "cat/grey.png", encoded(scene(2).convert("L"), "PNG"))
    write(photos / "cat/inks.jpg", encoded(scene(3).convert("CMYK")))
    write(photos / "dog/clear.png", encoded(Image.new("RGBA", (9, 9), (1, 2, 3, 40)), "PNG"))
    write(photos / "dog/moving.gif", encoded(scene(6), "GIF", save_all=True, append_images=[scene(7)]))
    wide = Image.fromarray(np.linspace(0, 65535, 900).reshape(30, 30).astype(np.uint16))
    write(photos / "dog/wide.png", encoded(wide, "PNG"))
    facts = facts_of(photos)
    assert facts.orientations == {"1": 29, "6": 1}
    assert facts.modes == {"RGB": 25, "L": 1, "CMYK": 1, "RGBA": 1, "P": 1, "I;16": 1}
    assert (facts.animated, facts.transparent, facts.images) == (1, 1, 30)
    kinds = {finding.kind for finding in facts.findings}
    assert kinds == {"stored-turned", "animated", "transparent", "wide-pixels", "mixed-modes"}
    assert not any(finding.serious for finding in facts.findings)


def test_of_sixteen_bits_the_levels_in_use_are_told_and_dark_pictures_are_not_taken_for_alike(photos: Path) -> None:
    before = facts_of(photos)
    for number in range(3):
        twelve_bits = np.random.default_rng(number).integers(16, 4000, (30, 30)).astype(np.uint16)
        write(photos / f"dog/xray{number}.png", encoded(Image.fromarray(twelve_bits), "PNG"))
    facts = facts_of(photos)
    assert facts.grey_levels is not None and facts.grey_levels[0] >= 16 and 3900 < facts.grey_levels[1] < 4000
    assert len(facts.near) == len(before.near)
    (sentence,) = sentences(facts, "wide-pixels")
    assert "preprocessing.grey_window = [0, 4095]" in sentence


def test_a_folder_of_which_nothing_can_be_decoded_is_refused(tmp_path: Path) -> None:
    whole = draw(tmp_path / "whole.png", 5, (40, 40)).read_bytes()
    for name in ("a/1.png", "b/2.png"):
        write(tmp_path / "photos" / name, whole[:900] + b"\0" * 400 + whole[1300:])
    with pytest.raises(NothingReadable, match="is a readable image: a/1.png"):
        facts_of(tmp_path / "photos")


PHOTO = encoded(scene(9, (160, 120)), quality=80)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(1, len(PHOTO)), at=st.integers(0, len(PHOTO) - 1), byte=st.integers(0, 255), progressive=st.booleans())
def test_the_fast_look_refuses_what_the_decoder_refuses(cut: int, at: int, byte: int, progressive: bool) -> None:
    data = bytearray(PHOTO if not progressive else encoded(scene(9, (160, 120)), progressive=True))
    data[at % len(data)] = byte
    for damaged in (bytes(data), bytes(data[:cut])):
        assert refused(lambda d=damaged: fingerprint_of(d)) == refused(lambda d=damaged: decode(io.BytesIO(d)))  # type: ignore[misc]


def refused(read: object) -> bool:
    try:
        read()  # type: ignore[operator]
    except UnreadableImage:
        return True
    return False


def test_a_class_whose_files_give_it_away_is_named(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"cat": 8, "dog": 8, "fox": 8})
    for number in range(8):
        draw(photos / f"cat/{number}.jpg", 100 + number)
        (photos / f"cat/{number:03d}.png").unlink()
        write(photos / f"dog/{number:03d}.png", encoded(scene(number).resize((12, 9)).convert("L"), "PNG"))
        draw(photos / f"fox/{number:03d}.png", 200 + number, (20, 20))
    facts = facts_of(photos)
    assert [(mark.kind, mark.name, mark.value, mark.images, mark.others, mark.of_others) for mark in facts.class_marks] == [
        ("mode", "dog", "L", 8, 0, 16),
        ("format", "cat", "JPEG", 8, 0, 16),
        ("size", "fox", "20 × 20 px", 8, 0, 16),
    ]
    assert all(finding.serious for finding in facts.findings if finding.kind == "marked-class")


def test_of_two_classes_that_are_told_apart_by_their_files_one_is_named(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"cat": 6})
    for number in range(6):
        draw(photos / f"dog/{number}.jpg", 100 + number)
    assert [(mark.kind, mark.name) for mark in facts_of(photos).class_marks] == [("format", "cat")]


def test_a_mark_that_chance_or_most_others_share_is_not_named(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"cat": 30, "dog": 30, "fox": 4})
    for number in range(10):
        draw(photos / f"cat/{number}.jpg", 100 + number)
        draw(photos / f"dog/{number}.jpg", 200 + number)
    assert facts_of(photos).class_marks == ()


def test_images_of_one_pixel_are_named(photos: Path) -> None:
    draw(photos / "cat/dot.png", 99, (1, 1))
    draw(photos / "dog/line.png", 98, (9, 1))
    facts = facts_of(photos)
    assert facts.one_pixel == ("cat/dot.png", "dog/line.png")
    assert len(sentences(facts, "one-pixel")) == 1


def test_images_that_are_skipped_are_named_a_hidden_class_as_a_warning(photos: Path) -> None:
    for name in (".NET shirt/1.png", "cat/@eaDir/1.png/THUMB.jpg", "dog/@eaDir/2.png/THUMB.jpg", "stray.png"):
        draw(photos / name, len(name))
    write(photos / "cat/Thumbs.db", b"x")
    write(photos / "cat/._000.png", b"x")
    facts = facts_of(photos)
    assert (facts.images, facts.unreadable) == (24, ())
    assert {(skipped.path, skipped.images, skipped.why) for skipped in facts.skipped_images} == {
        ("./", 1, "not in a class folder"),
        (".NET shirt/", 1, "hidden"),
        ("cat/@eaDir/", 1, "left by a tool"),
        ("dog/@eaDir/", 1, "left by a tool"),
    }
    assert [finding.serious for finding in facts.findings if finding.kind == "skipped"] == [True, False]
    text = summarize(DataChoice(path=str(photos)), photos.parent / "store", Heard()).splits_from
    assert ".NET shirt/ (1 image, hidden)" in text
