"""A soak is timed without a pause, window by window, with what the machine did in each."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from edgecnn.runner.runs.schedule import bench
from edgecnn.runner.runs.worker import soak
from tests.runner.processes import schedule_of
from tests.runner.trees import tree


def timed(count: int, limit_ns: int) -> list[int]:
    """Calls of 5 ms."""
    end, samples = time.monotonic_ns() + limit_ns, []
    while time.monotonic_ns() < end and len(samples) < count:
        time.sleep(0.005)
        samples.append(5_000_000)
    return samples


def test_windows_follow_each_other_and_hold_every_sample(tmp_path: Path) -> None:
    facts = soak(timed, seconds=0.6, window_s=0.2, root=tree(tmp_path, {}))
    windows = facts["windows"]
    assert len(windows) == 3
    assert sum(window["samples"] for window in windows) == len(facts["samples_ns"]) > 60
    assert [window["began_s"] for window in windows] == pytest.approx([0.0, 0.2, 0.4], abs=0.09)


def test_a_rest_of_less_than_half_a_window_is_left_out_and_a_longer_one_kept(tmp_path: Path) -> None:
    assert len(soak(timed, seconds=0.25, window_s=0.2, root=tmp_path)["windows"]) == 1
    two = soak(timed, seconds=0.35, window_s=0.2, root=tmp_path)["windows"]
    assert len(two) == 2 and two[1]["seconds"] < 0.19


def test_each_window_says_how_hot_it_was(tmp_path: Path) -> None:
    root = tree(tmp_path, {"sys/class/thermal/thermal_zone0/temp": "61000\n"})
    zone = root / "sys/class/thermal/thermal_zone0/temp"

    def heating(count: int, limit_ns: int) -> list[int]:
        samples = timed(count, limit_ns)
        zone.write_text(f"{int(zone.read_text()) + 5000}\n")
        return samples

    windows = soak(heating, seconds=0.6, window_s=0.3, root=root)["windows"]
    assert [window["observed"]["temperature_c"] for window in windows] == ["66.0", "71.0"]


def test_a_soaked_item_ignores_its_number_of_samples(onnx_kit: Path, tmp_path: Path) -> None:
    bench(schedule_of(tmp_path / "s.json", onnx_kit, window_s=0.2, max_s=0.6, samples=1), tmp_path / "out")
    run = json.loads((tmp_path / "out/run-00000.json").read_text())
    assert len(run["windows"]) == 3 and len(run["samples_ns"]) == sum(window["samples"] for window in run["windows"]) > 100
    assert run["warmup_ns"] and set(run["windows"][0]) == {"began_s", "seconds", "samples", "observed"}


def test_an_ordinary_item_has_no_windows(onnx_kit: Path, tmp_path: Path) -> None:
    bench(schedule_of(tmp_path / "s.json", onnx_kit), tmp_path / "out")
    assert "windows" not in json.loads((tmp_path / "out/run-00000.json").read_text())
