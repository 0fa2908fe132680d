"""A plan that a later call renewed and did not finish is no finished build's, whoever reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecnn.comparing.side_by_side import side_by_side
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.comparing import PLAN_OF_ANOTHER_BUILD
from edgecnn.planning.recipe_settings import settings_of_build
from edgecnn.results.shipped import plan_of, shipped_kit
from edgecnn.store.store import Store
from edgecnn.values.recipe import Recipe
from tests.building.bundles import make_bundle
from tests.building.scenes import a_report

RENEWED = "the two files have different keys for train, because a later command in this folder did not finish"
RECIPE = Recipe().model_dump(mode="json", by_alias=True)


def a_build(folder: Path, reported: str, planned: str) -> Path:
    """A folder with a bundle, a report and a plan; the key of training as each has it."""
    make_bundle(folder / "bundle")
    report = a_report().model_copy(update={"keys": {"train": reported}})
    (folder / "report.json").write_text(report.model_dump_json(by_alias=True))
    plan: dict[str, Any] = {
        "resolved": {"asked": RECIPE, "recipe": RECIPE},
        "steps": [{"id": "train", "key": planned}],
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def test_the_values_of_a_build_are_not_read_out_of_another_s_plan(tmp_path: Path) -> None:
    assert settings_of_build(a_build(tmp_path / "a", "k1", "k1")).settings
    with pytest.raises(EdgecnnError, match=RENEWED, check=PLAN_OF_ANOTHER_BUILD.made):
        settings_of_build(a_build(tmp_path / "b", "k1", "k2"))


def test_what_changed_is_not_told_from_another_build_s_plan(tmp_path: Path) -> None:
    whole, renewed = a_build(tmp_path / "a", "k1", "k1"), a_build(tmp_path / "b", "k1", "k2")
    (changed,) = side_by_side([whole, renewed], Store.open(tmp_path / "store")).changed
    assert changed.unknown is not None and changed.unknown.startswith("B: plan.json ")
    assert plan_of(whole, {"train": "k1"}) is not None
    assert plan_of(renewed, {"train": "k1"}) is None


def test_a_side_of_a_comparison_has_its_own_plan_or_none(tmp_path: Path) -> None:
    for name, planned, has in (("a", "k1", True), ("b", "k2", False)):
        shipped = shipped_kit(a_build(tmp_path / name, "k1", planned))
        assert (shipped.plan is not None) is has
