"""Of which answers a comparison makes its drop, where the store has several."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecnn.comparing.facts import Pairing
from edgecnn.comparing.paired_answers import PairedAnswers, Unavailable, _Classes, _common_images, _Split, paired_answers
from edgecnn.comparing.pin import pin_of, rebuild_command
from edgecnn.judging.accuracy import Answers, accuracy
from edgecnn.measure.kits import KitRef
from edgecnn.results.shipped import ShippedKit
from tests.building.builds import Place
from tests.building.stored_builds import CLASSES, StoredBuild
from tests.judging.made import a_candidate


def shipped(build: StoredBuild, name: str, classes: Sequence[str] = CLASSES) -> ShippedKit:
    folder = build.folder / name
    folder.mkdir()
    (folder / "kit.json").write_text(json.dumps({"labels": list(classes)}))
    kit = KitRef(candidate=a_candidate(name), folder=folder, digest=build.digest(name), runtime="onnxruntime")
    return ShippedKit(folder=folder, kit=kit, report=None, plan=None)


@pytest.mark.parametrize("shared", ["desk", "server"])
def test_answers_of_one_machine_are_paired_where_both_sides_have_some(tmp_path: Path, shared: str) -> None:
    build = StoredBuild(tmp_path)
    other = "server" if shared == "desk" else "desk"
    build.answered("onnxruntime-int8", 3, host=shared, observed_at="2026-11-20T08:00:00+00:00")
    build.answered("onnxruntime-int8", 9, host=other, observed_at="2026-11-20T09:00:00+00:00")
    build.answered("onnxruntime-fp32", 1, host=shared, observed_at="2026-11-20T07:00:00+00:00")
    found = paired_answers(shipped(build, "onnxruntime-int8"), shipped(build, "onnxruntime-fp32"), build.store)
    assert (found.head.machine, found.base.machine) == (shared, shared)
    assert int((found.head.logits.argmax(axis=1) != found.labels).sum()) == 3


def test_what_fills_the_store_names_the_side_as_the_reader_does_and_builds_over_nothing(tmp_path: Path) -> None:
    build = StoredBuild(tmp_path)
    build.answered("onnxruntime-int8", 3)
    sides = shipped(build, "onnxruntime-int8"), shipped(build, "onnxruntime-fp32")
    remedy = f"EDGECNN_STORE={build.store.root} edgecnn build RECIPE --out builds/rebuilt, with the recipe of A, restores it"
    with pytest.raises(Unavailable, match=re.escape(f"no predictions of A on the test split: {remedy}")):
        paired_answers(*sides, build.store, names=("B", "A"))


def test_a_pin_without_answers_is_told_what_builds_it_and_never_the_store_s_own_folder(built_once: Place, tmp_path: Path) -> None:
    build = StoredBuild(tmp_path)
    build.answered("onnxruntime-int8", 3)
    pin = pin_of(built_once.out, tmp_path / "base.json")
    base = replace(shipped(build, "onnxruntime-fp32"), pin=pin, pinned_by="base.json", pin_folder=tmp_path)
    base = replace(base, pin=pin.model_copy(update={"evaluated_kit": build.digest("onnxruntime-fp32")}))
    remedy = f"EDGECNN_STORE={build.store.root} {rebuild_command(pin, tmp_path)} restores it"
    with pytest.raises(Unavailable, match=re.escape(remedy)):
        paired_answers(shipped(build, "onnxruntime-int8"), base, build.store)


def paired_builds(tmp_path: Path, first_in_base: int | None, base_classes: Sequence[str] = CLASSES) -> PairedAnswers:
    """HEAD tests images 0 to 39, BASE 40 images from ``first_in_base`` on, at another resolution; they share a store."""
    head = StoredBuild(tmp_path, first_source=0)
    base = StoredBuild(tmp_path, first_source=first_in_base, pixels="6" * 64)
    head.answered("onnxruntime-int8", 3)
    base.answered("onnxruntime-fp32", 5, pixels="6" * 64)
    return paired_answers(shipped(head, "onnxruntime-int8"), shipped(base, "onnxruntime-fp32", base_classes), head.store)


def test_builds_with_different_classes_are_compared_on_the_images_of_common_classes(tmp_path: Path) -> None:
    answers = paired_builds(tmp_path, 9, ("bag", "boot", "coat"))
    assert answers.pairing == Pairing(images=21, base_images=40, head_images=40, only_head=("shirt",), only_base=("coat",))
    common = answers.common_answers()
    assert common.names == ("bag", "boot", "shirt", "coat")
    assert {common.names[label] for label in common.labels} == {"bag", "boot"}
    measured = accuracy(common.head, common.labels, "test", common.base)
    assert (measured.images, measured.lost, measured.gained) == (21, 0, 4)
    assert {common.names[index] for index in common.base.logits[:4].argmax(axis=1)} == {"boot", "coat"}
    assert not common.base.logits.argmax(axis=1).tolist().count(2), "BASE never predicts a class that only HEAD has"


def test_builds_without_a_common_class_name_the_difference(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="only HEAD has 'bag'; 'boot'; 'shirt' and only BASE has 'cat'; 'cow'; 'dog'"):
        paired_builds(tmp_path, 9, ("cat", "cow", "dog"))


def test_classes_in_another_order_are_matched_by_name() -> None:
    classes = _Classes(head=("a", "b", "c"), base=("c", "a", "b"))
    base = Answers(candidate="x", logits=np.array([[3, 1, 2]], np.float32), pixels="p", machine="m")
    assert classes.align_with_head(base).logits.tolist() == [[1, 2, 3]]
    assert classes.head_labels(np.array([0, 1, 2, -1])).tolist() == [2, 0, 1, -1]


def test_multi_label_builds_are_compared_on_the_labels_that_both_have() -> None:
    classes = _Classes(head=("dusty", "torn", "wet"), base=("wet", "scratched", "dusty"))
    ours, theirs = np.array([[1, 0, 1], [0, 1, 0]], np.uint8), np.array([[1, 1, 0], [0, 1, 0]], np.uint8)
    logits = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    sources = ("a.png", "b.png")
    head_split = _Split("p", ours, None, Path("head.npy"), sources)
    base_split = _Split("p", classes.head_labels(theirs), None, Path("base.npy"), sources)
    base = classes.align_with_head(Answers(candidate="x", logits=logits, pixels="p", machine="m"))
    answers = PairedAnswers(
        head=Answers(candidate="x", logits=-logits, pixels="p", machine="m"),
        base=base,
        labels=ours,
        names=classes.head,
        images=Path("head.npy"),
        common=_common_images(head_split, base_split, ("HEAD", "BASE"), classes),
        common_classes=classes.all,
    )
    common = answers.common_answers()
    assert common.names == ("dusty", "wet")
    assert common.labels.tolist() == [[1, 1], [0, 0]]
    assert (common.head.logits.tolist(), common.base.logits.tolist()) == ([[-1, -3], [-4, -6]], [[3, 1], [6, 4]])
    assert answers.pairing == Pairing(
        images=2, base_images=2, head_images=2, relabelled=1, multi_label=True, only_head=("torn",), only_base=("scratched",)
    )


def test_multi_label_builds_without_an_image_of_a_common_label_cannot_be_compared() -> None:
    classes = _Classes(head=("dusty", "torn"), base=("wet", "dusty"))
    ours, theirs = np.array([[0, 1], [0, 1]], np.uint8), np.array([[1, 0], [0, 0]], np.uint8)
    splits = (_Split("p", labels, None, Path("x.npy"), ("a.png", "b.png")) for labels in (ours, classes.head_labels(theirs)))
    with pytest.raises(Unavailable, match="has a label that both builds have \\('dusty'\\)"):
        _common_images(*splits, ("HEAD", "BASE"), classes)


def test_builds_of_another_resolution_are_paired_by_source_image(tmp_path: Path) -> None:
    answers = paired_builds(tmp_path, 9)
    assert answers.pairing == Pairing(images=31, base_images=40, head_images=40)
    common = answers.common_answers()
    head, base = (side.logits.argmax(axis=1) == common.labels for side in (common.head, common.base))
    assert (len(common.labels), int((~head).sum()), np.flatnonzero(~base).tolist()) == (31, 0, [0, 1, 2, 3, 4])
    measured = accuracy(common.head, common.labels, "test", common.base)
    assert (measured.images, measured.lost, measured.gained) == (31, 0, 5)


def test_labels_that_were_corrected_count_as_head_has_them(tmp_path: Path) -> None:
    answers = paired_builds(tmp_path, 10)  # three classes in turn: every common image has another label in BASE
    assert answers.pairing == Pairing(images=30, base_images=40, head_images=40, relabelled=30)
    common = answers.common_answers()
    assert common.labels.tolist() == answers.labels[10:].tolist()


def test_pixels_that_cannot_be_paired_name_the_build_to_repeat(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no image is in both test splits: build BASE again from the images of HEAD"):
        paired_builds(tmp_path, 40)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(Unavailable, match="no longer lists the images of BASE: build BASE again"):
        paired_builds(other, None)


ONE_CLASS = _Classes(("a",), ("a",))


def split(sources: Sequence[str], groups: Sequence[int] | None = None) -> _Split:
    known = None if groups is None else np.array(groups)
    return _Split(
        pixels="".join(sources),
        labels=np.zeros(len(sources), np.int64),
        groups=known,
        images=Path("x.npy"),
        sources=tuple(sources),
    )


def test_copies_of_an_image_are_one_pair_whichever_side_has_them() -> None:
    copies, single = split([*"aaaa", "b"]), split(["b", "a", "c"])
    for ours, theirs, rows in ((copies, single, [(0, 1), (4, 0)]), (single, copies, [(0, 4), (1, 0)])):
        common = _common_images(ours, theirs, ("HEAD", "BASE"), ONE_CLASS)
        assert list(zip(common.head.tolist(), common.base.tolist(), strict=True)) == rows


@pytest.mark.parametrize(("head", "base"), [([7, 8], None), (None, [9, 7, 8]), ([7, 8], [1, 2, 3])])
def test_groups_that_one_side_knows_hold_for_both(head: list[int] | None, base: list[int] | None) -> None:
    common = _common_images(split(["a", "b"], head), split(["x", "a", "b"], base), ("HEAD", "BASE"), ONE_CLASS)
    assert common.groups is not None
    assert common.groups.tolist() == [7, 8]
