"""Changed code under an unchanged revision is noticed, and a comment is not a change."""

from __future__ import annotations

import ast
import json

import pytest

from tests.house import revisions
from tests.house.revisions import LOCK, REMEDY, differences, present, reached, stages


def test_every_stage_is_as_recorded() -> None:
    found = differences(json.loads(LOCK.read_text(encoding="utf-8")), present())
    assert found == [], "\n".join([*found, REMEDY])


def test_every_kind_of_stage_is_watched() -> None:
    assert sorted(stages()) == [
        "adopt", "aware", "compile", "export", "features", "fetch", "package", "prepare", "probe", "program", "quantize", "rank",
        "surgery", "synthesize", "train", "transfer", "variant",
    ]  # fmt: skip


def test_what_is_imported_inside_make_or_by_name_is_watched_too() -> None:
    quantize = reached(stages()["quantize"])
    assert "edgecnn.runtimes.openvino_files" in quantize
    assert "edgecnn.runtimes.tensorrt" in quantize
    assert "edgecnn.runner.pixels" in reached(stages()["prepare"])


def shape(code: str) -> str:
    return revisions._shape(ast.parse(code))


@pytest.mark.parametrize("same", ["def f(x):\n    # why\n    return x+1\n", 'def f(x):\n    """What."""\n    return (x + 1)\n'])
def test_comments_docstrings_and_layout_are_no_change(same: str) -> None:
    assert shape(same) == shape("def f(x):\n    return x + 1\n")


@pytest.mark.parametrize(
    "other", ["def f(x):\n    return x + 2\n", "def f(x, y=0):\n    return x + 1\n", "def f(x):\n    return 'x' + 1\n"]
)
def test_other_code_is_a_change(other: str) -> None:
    assert shape(other) != shape("def f(x):\n    return x + 1\n")


def test_the_message_names_the_stage_the_module_and_the_way_out() -> None:
    locked = {"train": {"revision": 1, "modules": {"edgecnn.training.heads": "a"}}, "export": {"revision": 1, "modules": {}}}
    now = {"train": {"revision": 1, "modules": {"edgecnn.training.heads": "b"}}, "export": {"revision": 2, "modules": {}}}
    assert differences(locked, now) == [
        "export: revision 1 is recorded, the code says 2",
        "train: revision is still 1, but changed edgecnn.training.heads",
    ]
    assert differences({}, {"train": now["train"]}) == ["train: is not recorded"]
    assert differences(now, now) == []
