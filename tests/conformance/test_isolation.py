"""One candidate's crash, hang or broken file costs that candidate, says which, and costs nobody else anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgecnn.runner.kit import Kit
from edgecnn.runner.packages import runs_on_gpu
from edgecnn.runner.runs.schedule import bench
from edgecnn.values.candidate import Method
from tests.conformance.subjects import Subject, copied, lay_kit, needs_more, spoiled, subjects
from tests.runner.kits import CLASSES as KIT_CLASSES
from tests.runner.kits import network
from tests.runner.processes import schedule_of
from tests.slow_parameters import slowly

CRASHES = """

def open_session(*given, **named):
    import ctypes
    ctypes.string_at(0)
"""
TIMEOUT_S = 10.0
SLOW = {"width": 64, "depth": 200, "side": 128}
SLOWLY = {"batch": 32, "knobs": {"threads": "1"}}
"""One call is 4 Tera multiply-adds, which take a core at least half a minute."""


def _plainest() -> list[Subject]:
    """The first float candidate of each backend that needs no engine: of its other candidates a process dies no other way."""
    firsts: dict[str, Subject] = {}
    for each in subjects():
        plain = each.candidate.method is Method.FLOAT and not each.candidate.needs_engine
        if plain and not needs_more(each.backend):
            firsts.setdefault(each.backend.session_module, each)
    return list(firsts.values())


PLAINEST = _plainest()
OTHERS = [each for each in subjects() if each not in PLAINEST]


def of(*found: Any) -> pytest.MarkDecorator:
    """For these candidates, each named by its id."""
    return pytest.mark.parametrize("subject", found, ids=lambda each: each.candidate.id, indirect=True)


def three_runs(
    folder: Path,
    good: Path,
    bad: Path,
    how: Mapping[str, Any] = {},  # noqa: B006 - never written to
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A good kit, a bad one, the good one again; what the schedule said, and each run. ``how`` is the bad one's alone."""
    path = schedule_of(folder / "s.json", good, bad, good, timeout_s=TIMEOUT_S)
    schedule = json.loads(path.read_text())
    if not runs_on_gpu(Kit.open(good).manifest.session.module):
        for item in schedule["items"]:
            item["knobs"] = {"threads": "1"}  # beside other work, threads of some runtimes wait long for each other
    schedule["items"][1].update(how)
    path.write_text(json.dumps(schedule))
    result = bench(path, folder / "out")
    return result, [json.loads(path.read_text()) for path in sorted((folder / "out").glob("run-*.json"))]


def fails_alone(result: dict[str, Any], runs: list[dict[str, Any]], bad: Path) -> dict[str, Any]:
    """The error of the bad run, after everything else was found unharmed."""
    assert result["failed"] == [1]
    assert all("error" not in run and run["samples_ns"] for run in (runs[0], runs[2]))
    assert runs[0]["output_sha256"] == runs[2]["output_sha256"]
    assert runs[1]["kit"] == Kit.open(bad).sha256, "an error is filed under the kit that failed"
    found: dict[str, Any] = runs[1]["error"]
    return found


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@of(*PLAINEST, *slowly(*OTHERS))
def test_a_model_file_cut_short_is_refused_in_one_line(subject: Subject, kit: Path, tmp_path: Path) -> None:
    for name in Kit.open(kit).manifest.model.files:
        place = tmp_path / name
        place.mkdir()
        bad = spoiled(copied(subject, place / "bad"), lambda folder, name=name: cut(folder / name))  # type: ignore[misc]
        error = fails_alone(*three_runs(place, kit, bad), bad)
        assert error["ref"] in ("model-refused", "runtime-refused-model")
        assert error["because"] and "\n" not in error["because"]


@of(*PLAINEST, *slowly(*OTHERS))
def test_a_session_that_crashes_is_named_with_its_signal(subject: Subject, kit: Path, tmp_path: Path) -> None:
    module = f"runner/sessions/{Kit.open(kit).manifest.session.module}.py"

    def crash(folder: Path) -> None:
        path = folder / module
        path.write_text(path.read_text() + CRASHES)

    bad = spoiled(copied(subject, tmp_path / "bad"), crash)
    error = fails_alone(*three_runs(tmp_path, kit, bad), bad)
    assert error["ref"] == "worker-crashed"
    assert error["because"].startswith("signal SIGSEGV")


@pytest.mark.slow  # waits for a time-out of 10 s; that a hung process is killed, tests/runner/runs has at once
@of(*PLAINEST)
def test_a_model_that_takes_too_long_is_killed_at_the_time_out(subject: Subject, kit: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    onnx.save(network(**SLOW), tmp_path / "slow.onnx")
    subject.backend.convert(tmp_path / "slow.onnx", subject.candidate, made)
    slow = lay_kit(made, tmp_path / "slow", np.zeros((2, KIT_CLASSES), np.float32), side=SLOW["side"])
    error = fails_alone(*three_runs(tmp_path, kit, slow, SLOWLY), slow)
    assert (error["ref"], error["because"]) == ("worker-timed-out", f"it was killed after {TIMEOUT_S:g} s")
