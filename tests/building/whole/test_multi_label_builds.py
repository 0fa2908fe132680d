"""Pictures with any of three coloured bands: a network learns each, its kit names those that it sees, and the report has mAP."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecnn.judging.logits import best_thresholds
from edgecnn.values.report import BuildReport
from tests.building.builds import SETTINGS, Place

NAMES = ("blue", "green", "red")
COLOURS = {"blue": (40, 60, 230), "green": (40, 200, 60), "red": (230, 50, 40)}
BANDS = {"blue": slice(0, 11), "green": slice(11, 21), "red": slice(21, 32)}
WORDS = (
    "--arch",
    "lenet-5",
    "--weights",
    "none",
    "--target",
    "cpu:onnxruntime",
    *SETTINGS,
    "--data",
    "list.csv",
    "--out",
    "made",
)


def bands(folder: Path, images: int = 240) -> list[tuple[str, tuple[str, ...]]]:
    """Grey noise with a band of each colour that the labels name."""
    draw, noise = random.Random(0), np.random.default_rng(0)
    shown = []
    (folder / "pictures").mkdir(parents=True)
    for number in range(images):
        names = tuple(name for name in NAMES if draw.random() < 0.45)
        canvas = noise.integers(60, 190, (32, 32, 1), dtype=np.uint8).repeat(3, axis=2)
        for name in names:
            canvas[BANDS[name]] = COLOURS[name]
        Image.fromarray(canvas).save(folder / f"pictures/{number:03d}.png")
        shown.append((f"pictures/{number:03d}.png", names))
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "labels"], *([path, "|".join(names)] for path, names in shown)])
    return shown


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("several"))
    bands(place.folder)
    done = place.plain("package", *WORDS)
    assert done.returncode == 0, done.stderr
    return place


def made(place: Place, kind: str) -> list[Path]:
    return [path / "files" for path in sorted((place.store / "artifacts" / kind).iterdir()) if (path / "files").is_dir()]


def test_the_best_epoch_is_that_of_the_best_map(place: Place) -> None:
    (trained,) = made(place, "train")
    history = json.loads((trained / "history.json").read_text())
    (phase,) = history["phases"]
    judged = [epoch["validation_map"] for epoch in phase["epochs"] if "validation_map" in epoch]
    assert all(epoch["validation_top1"] is None for epoch in phase["epochs"])
    assert history["best"]["validation_map"] == max(judged) > 0.8


def test_every_kit_ships_the_thresholds_that_the_fp32_network_was_best_at_on_validation(place: Place) -> None:
    (exported,), (prepared,), kits = made(place, "export"), made(place, "prepare"), made(place, "package")
    thresholds = json.loads((exported / "thresholds.json").read_text())
    manifests = [json.loads((kit / "kit.json").read_text()) for kit in kits]
    assert len(kits) >= 2 and all(manifest["thresholds"] == thresholds for manifest in manifests)
    assert {manifest["activation"] for manifest in manifests} == {"sigmoid"}
    import onnxruntime

    session = onnxruntime.InferenceSession(exported / "model.onnx", providers=["CPUExecutionProvider"])
    normalization = manifests[0]["preprocessing"]["normalization"]
    pixels = np.load(prepared / "validation.pixels.npy").astype(np.float32) / 255
    feed = ((pixels - normalization["mean"]) / normalization["std"]).astype(np.float32).transpose(0, 3, 1, 2)
    (logits,) = session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(feed)})
    labels = np.load(prepared / "validation.labels.npy")
    assert best_thresholds(np.asarray(logits), labels, NAMES) == pytest.approx(thresholds, abs=2e-3)


def test_a_kit_alone_names_what_it_sees(place: Place) -> None:
    kit = next(kit for kit in made(place, "package") if "fp32" in json.loads((kit / "kit.json").read_text())["name"])
    canvas = np.full((32, 32, 3), 120, np.uint8)
    Image.fromarray(canvas).save(place.folder / "nothing.png")
    canvas[BANDS["red"]], canvas[BANDS["blue"]] = COLOURS["red"], COLOURS["blue"]
    Image.fromarray(canvas).save(place.folder / "two.png")
    files = [str(place.folder / name) for name in ("nothing.png", "two.png")]
    command = [sys.executable, "-m", "runner", "predict", "--json", "--top", "1", *files]
    done = subprocess.run(command, cwd=kit, capture_output=True, text=True, check=True)
    nothing, two = (each["labels"] for each in json.loads(done.stdout.splitlines()[-1])["predictions"])
    assert nothing == [] and {each["label"] for each in two} == {"red", "blue"}


@pytest.fixture(scope="module")
def report(place: Place) -> dict[str, Any]:
    done = place.plain("build", *WORDS, "--verbose")
    assert done.returncode == 0, done.stderr
    assert "mAP (95 %)" in done.stdout and "drop of mAP" in done.stdout and "top-1" not in done.stdout
    assert all(name in done.stdout for name in (*NAMES, "micro-F1", "macro-F1", "recall (95 %)"))
    found: dict[str, Any] = json.loads((place.folder / "made/report.json").read_text())
    return found


@pytest.mark.slow  # a whole build, with its races
def test_the_report_has_map_its_drop_and_every_label(report: dict[str, Any]) -> None:
    rows = {row.candidate.id: row for row in BuildReport.model_validate(report).candidates}
    for name, row in rows.items():
        assert row.test is None and row.multi_label is not None and row.multi_label_on_validation is not None
        assert row.multi_label.map.low < row.multi_label.map.estimate <= 1
        assert (row.multi_label.drop_pp is None) == (name == "onnxruntime-fp32")
        assert [each.name for each in row.multi_label.labels] == list(NAMES)
    assert report["gates"][0]["gate"]["metric"] == "map_drop_pp"


@pytest.mark.slow  # a whole build, with its races
def test_page_markdown_bundle_and_explanation_say_map(place: Place, report: dict[str, Any]) -> None:
    page, text = ((place.folder / "made" / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    assert "Beyond mAP" in page and "Labels of" in page and "drop of mAP" in page
    assert "## Labels of" in text and "top-1" not in text and "Mean average precision and drop on the test split" in text
    explained = place.plain("explain", "made")
    assert "  mAP " in explained.stdout and "top-1" not in explained.stdout
    assert "mAP (with a 95 % interval) is from" in (place.folder / "made/bundle/README.md").read_text(encoding="utf-8")


@pytest.mark.slow  # a whole build, with its races
def test_gates_hold_map_and_refuse_what_is_not_its_own(place: Place, report: dict[str, Any]) -> None:
    words = (
        "--min",
        "map=0.5",
        "--min",
        "top1=0.5",
        "--max",
        "map_drop_pp=90",
        "--require-measured",
        "--allow-stored",
        "--verbose",
    )
    done = place.plain("judge", "made", *words)
    assert done.returncode == 3, done.stdout
    assert "gate min map 0.5: PASS" in done.stdout and "gate max map_drop_pp 90: PASS" in done.stdout
    assert "gate min top1 0.5: MISSING, a multi-label model has no top1" in done.stdout


@pytest.mark.slow  # a whole build, with its races
def test_a_bundle_is_shown_a_list_and_refuses_an_unknown_label_and_other_images(place: Place, report: dict[str, Any]) -> None:
    predicted = place.plain("predict", "made", "pictures/000.png", "pictures/001.png", "--json")
    told = json.loads(predicted.stdout)["predictions"]
    assert all(label["probability"] > 0 for each in told for label in each["labels"])
    (place.folder / "bad.csv").write_text("path,labels\npictures/000.png,red\npictures/001.png,red|pink\npictures/002.png,\n")
    refused = place.plain("bench", "made/bundle", "--data", "bad.csv", "--out", "benched")
    assert refused.returncode == 2 and "is not one of the 3 of the bundle's network" in refused.stderr
    refused = place.plain("study", "ten-crop", "made")
    assert refused.returncode == 2 and "[multi-label-not-fitting]" in refused.stderr
    words = ("--family", "mobilenet-v2", "--within", "p50_ms=3", "--target", "cpu", "--data", "list.csv", "--out", "fitted")
    refused = place.plain("fit", *words)
    assert refused.returncode == 2 and "[multi-label-not-fitting]" in refused.stderr
    refused = place.plain("bench", "made/bundle", "--data", "demo", "--out", "benched")
    assert refused.returncode == 2 and "[multi-label-not-fitting]" in refused.stderr


@pytest.mark.slow  # two whole builds, with their races
def test_two_builds_are_compared_by_map(place: Place, report: dict[str, Any]) -> None:
    words = [{"made": "less", "train.epochs=40": "train.epochs=4"}.get(word, word) for word in WORDS]
    assert place.plain("build", *words).returncode == 0
    beside = place.plain("compare", "made", "less", "--json")
    (paired,) = [each for each in json.loads(beside.stdout)["paired"] if each["candidate"] == "onnxruntime-fp32"]
    assert paired["drop_pp"]["estimate"] > 0 and paired["lost"] is None and paired["images"] > 0
    told = place.plain("compare", "made", "less").stdout
    assert "mAP on the test split" in told and "mAP lost, image by image" in told and "not evaluated" not in told
    assert "top-1" not in told
    judged = place.plain("judge", "less", "--against", "made", "--max", "map_drop_pp=0.1", "--max", "latency_ratio=9")
    assert judged.returncode == 1, judged.stdout
    assert "gate max map_drop_pp 0.1: FAIL" in judged.stdout and "mAP lost against BASE: +" in judged.stdout
    series = json.loads(place.plain("study", "history", "--json").stdout)["series"]
    assert {each.get("accuracy_of") for each in series} == {"map"}
    assert all(0 < point["figure"]["estimate"] <= 1 for each in series for point in each["accuracy"])
    assert "mAP: " in place.plain("study", "history").stdout
