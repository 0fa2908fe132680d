"""Of which answers a comparison makes its drop, where the store has several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecnn.building.answers import paired_answers
from edgecnn.building.contenders import Side
from edgecnn.measure.kits import KitRef
from tests.building.stored_builds import CLASSES, StoredBuild
from tests.judging.made import a_candidate


def side(build: StoredBuild, name: str) -> Side:
    folder = build.folder / name
    folder.mkdir()
    (folder / "kit.json").write_text(json.dumps({"labels": list(CLASSES)}))
    kit = KitRef(candidate=a_candidate(name), folder=folder, digest=build.digest(name), runtime="onnxruntime")
    return Side(folder=folder, kit=kit, report=None, plan=None)


@pytest.mark.parametrize("shared", ["desk", "server"])
def test_answers_of_one_machine_are_paired_where_both_sides_have_some(tmp_path: Path, shared: str) -> None:
    build = StoredBuild(tmp_path)
    other = "server" if shared == "desk" else "desk"
    build.answered("onnxruntime-int8", 3, host=shared, observed_at="2026-11-20T08:00:00+00:00")
    build.answered("onnxruntime-int8", 9, host=other, observed_at="2026-11-20T09:00:00+00:00")
    build.answered("onnxruntime-fp32", 1, host=shared, observed_at="2026-11-20T07:00:00+00:00")
    found = paired_answers(side(build, "onnxruntime-int8"), side(build, "onnxruntime-fp32"), build.store)
    assert (found.head.machine, found.base.machine) == (shared, shared)
    assert int((found.head.logits.argmax(axis=1) != found.labels).sum()) == 3
