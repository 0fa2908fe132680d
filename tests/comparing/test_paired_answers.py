"""Of which answers a comparison makes its drop, where the store has several."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn.comparing.paired_answers import Unavailable, paired_answers
from edgecnn.comparing.pin import pinned, rebuild_command
from edgecnn.measure.kits import KitRef
from edgecnn.results.shipped import ShippedKit
from tests.building.builds import Place
from tests.building.stored_builds import CLASSES, StoredBuild
from tests.judging.made import a_candidate


def shipped(build: StoredBuild, name: str) -> ShippedKit:
    folder = build.folder / name
    folder.mkdir()
    (folder / "kit.json").write_text(json.dumps({"labels": list(CLASSES)}))
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
    remedy = f"EDGECNN_STORE={build.store.root} edgecnn build RECIPE --out builds/rebuilt, with A's recipe, puts it there"
    with pytest.raises(Unavailable, match=re.escape(f"no answers of A's kit to the test split: {remedy}")):
        paired_answers(*sides, build.store, names=("B", "A"))


def test_a_pin_without_answers_is_told_what_builds_it_and_never_the_store_s_own_folder(built_once: Place, tmp_path: Path) -> None:
    build = StoredBuild(tmp_path)
    build.answered("onnxruntime-int8", 3)
    pin = pinned(built_once.out, tmp_path / "base.json")
    base = replace(shipped(build, "onnxruntime-fp32"), pin=pin, pinned_by="base.json", pin_folder=tmp_path)
    base = replace(base, pin=pin.model_copy(update={"evaluated_kit": build.digest("onnxruntime-fp32")}))
    remedy = f"EDGECNN_STORE={build.store.root} {rebuild_command(pin, tmp_path)} puts it there"
    with pytest.raises(Unavailable, match=re.escape(remedy)):
        paired_answers(shipped(build, "onnxruntime-int8"), base, build.store)
