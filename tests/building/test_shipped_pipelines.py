"""Every shipped pipeline comes to a bundle, on a few pictures and one pass over them: its names and bounds fit each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecnn.building.recipes import load_recipe, pipeline_names
from tests.building.builds import place_with_photos

BRIEFLY = ("train.epochs=1", "train.batch_size=16", "model.weights=none", "model.resolution_px=64", "race.samples=100")


@pytest.mark.slow  # trains and quantizes nine networks, half a minute each
@pytest.mark.parametrize("name", pipeline_names())
def test_a_shipped_pipeline_builds(name: str, tmp_path: Path) -> None:
    place = place_with_photos(tmp_path)
    settings = [word for setting in BRIEFLY for word in ("--set", setting)]
    done = place.plain("build", name, "--data", "photos", "--out", "out", "--max", "drop_pp=100", *settings)
    assert done.returncode in (0, 4), done.stderr  # so few pictures settle nothing
    report = place.report()
    recipe = load_recipe(name)
    assert report["build"]["arch"] == recipe.model.arch
    failed = {step: outcome for step, outcome in report["outcomes"].items() if outcome["outcome"] == "failed"}
    assert all(outcome["ref"] == "golden-not-telling" for outcome in failed.values()), failed  # hardly trained, and said
    assert (place.out / "bundle/choice.json").is_file()
    carried = json.loads((place.out / "bundle/choice.json").read_text())["kits"]
    assert carried
