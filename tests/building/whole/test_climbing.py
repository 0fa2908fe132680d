"""A whole build of a network that INT8 ruins: layers stay in float until the budget is met, and no further."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from edgecnn.values.report import BuildReport
from tests.building.builds import Place
from tests.runtimes.planted import plant

pytestmark = pytest.mark.slow  # builds of a ResNet-18 with a ladder of mixed rungs: minutes on two cores
BLOCKS = ("layer2.0", "layer3.0", "layer4.0")
MIXED = tuple(f"onnxruntime-int8-mixed-{kept}" for kept in (2, 4, 8, 16))


def build(place: Place, weights: Path, *words: str, verb: str = "build") -> subprocess.CompletedProcess[str]:
    settings = ("train.epochs=0", "train.head_epochs=10", "model.resolution_px=64", "race.samples=50", "race.rounds=8")
    sets = [word for setting in settings for word in ("--set", setting)]
    paths = ("--weights", weights, "--data", place.photos, "--out", place.out)
    return place.plain(verb, "--arch", "resnet-18", "--target", "cpu:onnxruntime", *paths, *sets, *words)


@pytest.fixture(scope="module")
def weights(built_once: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a ResNet-18 learned, with three wide tensors planted; its head is for three classes, and learned anew anyway."""
    place = Place(tmp_path_factory.mktemp("weights"))
    shutil.copytree(built_once.photos, place.photos)
    settings = ("train.epochs=6", "train.batch_size=16", "model.resolution_px=64")
    sets = [word for setting in settings for word in ("--set", setting)]
    done = place.plain("train", "--arch", "resnet-18", "--weights", "none", "--target", "cpu", "--data", place.photos, *sets)
    assert done.returncode == 0, done.stderr
    (trained,) = (place.store / "artifacts" / "train").glob("*/files/weights.safetensors")
    planted = {**plant(load_file(trained), BLOCKS), "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    path = place.folder / "planted.safetensors"
    save_file(planted, path)
    return path


@pytest.fixture(scope="module")
def climbed(built_once: Place, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("climbed")
    shutil.copytree(built_once.photos, folder / "photos")
    place = Place(folder)
    done = build(place, weights)
    assert done.returncode in (0, 1), done.stderr
    return place


def losses(report: BuildReport) -> dict[str, float]:
    rows = [row for row in report.candidates if row.validation is not None and row.validation.drop_pp is not None]
    return {row.candidate.id: row.validation.drop_pp.estimate for row in rows}  # type: ignore[union-attr]


def test_layers_stay_in_float_until_the_budget_is_met_and_the_rest_is_not_climbed(climbed: Place) -> None:
    report = BuildReport.model_validate(climbed.report())
    lost = losses(report)
    assert lost["onnxruntime-int8"] > 1.0
    tried = [name for name in MIXED if name in lost]
    assert tried == list(MIXED[: len(tried)])
    *before, last = tried
    assert lost[last] <= 1.0
    assert all(lost[name] > 1.0 for name in before)
    assert list(report.skipped_rungs) == list(MIXED[len(tried) :])
    for why in report.skipped_rungs.values():
        assert why.startswith(f"{last} loses ") and why.endswith("no further layer stays in float")


def test_the_report_names_the_layers_in_float(climbed: Place) -> None:
    report = BuildReport.model_validate(climbed.report())
    rows = {row.candidate.id: row for row in report.candidates}
    assert len(rows[MIXED[0]].kept_float) == 2
    assert rows["onnxruntime-int8"].kept_float == ()
    assert f"left in float: `{rows[MIXED[0]].kept_float[0]}`, `" in (climbed.out / "report.md").read_text()


def test_an_unchanged_build_climbs_the_same_rungs_and_makes_nothing(climbed: Place, weights: Path) -> None:
    before = BuildReport.model_validate(climbed.report())
    build(climbed, weights)
    after = BuildReport.model_validate(climbed.report())
    assert [row.candidate.id for row in after.candidates] == [row.candidate.id for row in before.candidates]
    assert after.skipped_rungs == before.skipped_rungs
    assert {outcome.outcome for outcome in after.outcomes.values()} == {"cached"}


def test_judging_with_a_wider_budget_finds_nothing_to_mend_and_builds_nothing(climbed: Place, weights: Path) -> None:
    made = {path.name for path in (climbed.store / "artifacts" / "quantize").iterdir()}
    build(climbed, weights, "--allow-stored", "--max", "drop_pp=100", verb="judge")
    report = BuildReport.model_validate(climbed.report())
    assert list(report.skipped_rungs) == list(MIXED)
    assert "no layer stays in float" in report.skipped_rungs[MIXED[0]]
    assert {path.name for path in (climbed.store / "artifacts" / "quantize").iterdir()} == made


def test_the_plan_shows_rungs_that_may_not_be_climbed(climbed: Place, weights: Path) -> None:
    done = build(climbed, weights, "--max", "drop_pp=2", verb="plan")
    assert done.returncode == 0, done.stderr
    assert f"if needed: {', '.join(MIXED)}: built only if onnxruntime-int8 loses more than 2 pp on validation" in done.stdout
    facts = json.loads(build(climbed, weights, "--json", verb="plan").stdout)
    assert [rung["kept_float"] for rung in facts["rungs"]] == [None, None, 2, 4, 8, 16]
