"""What is answered of a multi-label kit: every label over its threshold, more than five, or none, and that these are all."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgecnn.bundle.answering import Answering, Limits
from edgecnn.bundle.classifying import KitProcess
from tests.runner.kits import CLASSES, make_kit, rewrite_manifest

NAMES = [f"class {index}" for index in range(CLASSES)]


def answering(kit: Path, bound: float) -> Answering:
    rewrite_manifest(kit, lambda manifest: manifest.update(activation="sigmoid", thresholds=dict.fromkeys(NAMES, bound)))
    return Answering(KitProcess(kit, kit.name), Limits())


def test_all_labels_that_reach_their_thresholds_are_answered_or_none(tmp_path: Path) -> None:
    kit = make_kit(tmp_path)
    card = (kit / "golden/card.png").read_bytes()
    one_class = Answering(KitProcess(kit, kit.name), Limits()).answer(card).model_dump()
    assert "several" not in one_class and len(one_class["labels"]) == CLASSES
    all_of_them = answering(Path(shutil.copytree(kit, tmp_path / "all")), 0.0).answer(card)
    assert all_of_them.several and {each.label for each in all_of_them.labels} == set(NAMES)
    none = answering(Path(shutil.copytree(kit, tmp_path / "none")), 1.0).answer(card)
    assert none.several and none.labels == ()
