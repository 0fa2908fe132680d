"""The whole command: a table, a search that is killed and goes on, and a folder that is an ordinary build."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edgecnn.judging.judgement import learned_result
from edgecnn.values.fit import FitReport
from tests.building.builds import Place, place_with_photos
from tests.house.child import child

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
# measures a table of twelve networks and trains four: about half an hour on two cores, nearly all of it in a fixture
BUDGET_MS = 0.6
"""MobileNetV2 at 64 px takes 0.4 ms on a Xeon, and more on a slower machine."""
WORDS = (
    "--family", "mobilenet-v2", "--within", f"p50_ms={BUDGET_MS}", "--weights", "none", "--no-teacher",
    "--trainings", "3", "--trials", "40", "--set", "model.resolution_px=64", "--set", "train.epochs=4",
    "--set", "surgery.epochs=2", "--set", "race.samples=100",
)  # fmt: skip


DEVICE = """
name = "onnxruntime-here"
title = "this machine's processor, with ONNX Runtime alone"
role = "target"
usually_attached = true

[match]

[processor]
architecture = "any"
model = "whatever this machine has"
source = "reason: a table of one runtime is measured in a third of the time"

[runtimes.onnxruntime]
versions = ">=1.19,<2"
python = ">=3.11"
onnx_opset_max = 21
onnx_ir_max = 10
precisions = { fp32 = "native", fp16 = "slow", bf16 = "none", int8 = "native" }
source = "reason: as the shipped cpu"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = place_with_photos(tmp_path_factory.mktemp("fit"))
    device_of(place).write_text(DEVICE)
    return place


def device_of(place: Place) -> Path:
    return place.folder / "onnxruntime-here.toml"


def words(place: Place) -> list[str]:
    return [*WORDS, "--target", str(device_of(place)), "--data", str(place.photos), "--out", str(place.out)]


def config(place: Place) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(place.folder / "config")}


@pytest.fixture(scope="module")
def fitted(place: Place) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """The command's second call; the first one was killed when a member was trained."""
    measured = place.plain("devices", "measure", device_of(place), "--minutes", "10", **config(place))
    assert measured.returncode == 0, measured.stderr
    environment = {**place.environment, **config(place)}
    command = [sys.executable, "-m", "edgecnn", "fit", *words(place)]
    with child(command, env=environment, cwd=place.folder, start_new_session=True) as killed:
        until = time.monotonic() + 600
        while not list(place.store.glob("artifacts/train/*/record.json")) and time.monotonic() < until:
            assert killed.poll() is None, "it ended before anything was trained"
            time.sleep(0.2)
        killed.send_signal(signal.SIGKILL)
    before = trained(place)
    done = place.plain("fit", *words(place), "--json", **config(place))
    assert before.items() <= trained(place).items()
    return done, before


def trained(place: Place) -> dict[str, str]:
    """Training to when it was made: what is there is not made again. Its file has another date, that of its last use."""
    records = place.store.glob("artifacts/train/*/record.json")
    return {str(each): json.loads(each.read_text())["made_at"] for each in records}


def test_what_ships_is_measured_inside_and_stands_first(place: Place, fitted: Any) -> None:
    done, before = fitted
    found = FitReport.model_validate_json((place.out / "fit.json").read_text())
    assert json.loads(done.stdout) == json.loads((place.out / "fit.json").read_text())
    shipped = found.members[0]
    assert shipped.name == found.shipped
    # Four epochs on thirty test images may end at chance level: then nothing is settled.
    ended = (0, "settled") if learned_result(shipped.gates) is None else (4, "provisional")
    assert (done.returncode, found.state) == ended, done.stderr
    assert shipped.p50_ms is not None
    assert shipped.p50_ms.high <= BUDGET_MS
    assert shipped.name in found.front
    assert before.items() <= trained(place).items()


def test_the_folder_is_an_ordinary_build_of_it_with_a_page_beside(place: Place, fitted: Any) -> None:
    report = place.report()
    assert report["choice"]["candidate"] is not None
    assert (place.out / "bundle").is_dir()
    assert "Accuracy against latency" in (place.out / "fit.html").read_text()
    tested = place.plain("bundle", "verify", place.out / "bundle")
    assert tested.returncode in (0, 3), tested.stderr


def test_the_same_again_trains_and_races_nothing(place: Place, fitted: Any) -> None:
    before = trained(place)
    began = time.monotonic()
    again = place.plain("fit", *words(place), **config(place))
    assert again.returncode == fitted[0].returncode, again.stderr
    assert trained(place) == before
    assert time.monotonic() - began < 120


def test_a_budget_that_nothing_meets_shows_the_nearest_and_ends_with_one(place: Place, fitted: Any, tmp_path: Path) -> None:
    asked = [*words(place), "--within", "size_mib=0.001"]
    none = place.plain("fit", *asked, **config(place))
    assert none.returncode == 1
    assert "no mobilenet-v2 network is predicted to meet" in none.stderr
