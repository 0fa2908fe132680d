"""Every shipped pipeline comes to a bundle, on a few pictures and one pass over them: its names and bounds fit each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecnn.planning.recipe import load_recipe, pipeline_names
from tests.building.builds import Place, place_with_photos

BRIEFLY = ("train.epochs=1", "train.batch_size=16", "model.weights=none", "race.samples=100", "quantize.images=24")
QUICK = "mobilenet-v2-on-raspberry-pi"
"""The one that takes less than a minute. The first command of the README builds efficientnet-b0 for a jetson in every run."""


def comes_to_a_bundle(name: str, place: Place, *more: str) -> None:
    settings = [word for setting in (*BRIEFLY, *more) for word in ("--set", setting)]
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


@pytest.mark.slow  # a whole build
def test_a_shipped_pipeline_builds_on_sixty_pictures_of_thirty_two_pixels(tmp_path: Path) -> None:
    comes_to_a_bundle(QUICK, place_with_photos(tmp_path, each=20), "model.resolution_px=32")


@pytest.mark.slow  # trains and quantizes eight networks, half a minute each
@pytest.mark.parametrize("name", sorted(set(pipeline_names()) - {QUICK}))
def test_every_other_shipped_pipeline_builds(name: str, tmp_path: Path) -> None:
    comes_to_a_bundle(name, place_with_photos(tmp_path), "model.resolution_px=64")
