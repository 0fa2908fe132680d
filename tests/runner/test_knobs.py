"""What a schedule or a bundle's choice sets reaches the runtime, and what is no knob is refused before anything opens."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from edgecnn.runner.choice import chosen_knobs
from edgecnn.runner.classifier import Classifier
from edgecnn.runner.feeds import feed_of, run_checked
from edgecnn.runner.golden import golden_pixels, selftest
from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.runs.schedule import bench
from edgecnn.runner.sessions import check_knobs, open_session
from tests.building.bundles import write_choice
from tests.runner.processes import error_of, runner, schedule_of

TWO = {"threads": "2"}


def a_bundle(folder: Path, kit: Path, knobs: dict[str, Any] | None) -> Path:
    """The kit inside a bundle whose choice sets these knobs; the kit's new folder."""
    inside = folder / "bundle/kits/mine"
    shutil.copytree(kit, inside)
    entry: dict[str, Any] = {"folder": "kits/mine", "sha256": hashlib.sha256((kit / "kit.json").read_bytes()).hexdigest()}
    write_choice(folder / "bundle", "mine", {"mine": entry if knobs is None else {**entry, "knobs": knobs}})
    return inside


def the_run(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "run-00000.json").read_text())
    return document


@pytest.mark.parametrize("name", ["onnx_kit", "openvino_kit"])
def test_a_run_says_with_which_knobs_and_on_how_many_threads_it_was_made(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kit: Path = request.getfixturevalue(name)
    bench(schedule_of(tmp_path / "a.json", kit), tmp_path / "a")
    bench(schedule_of(tmp_path / "b.json", kit, knobs={"threads": "1"}), tmp_path / "b")
    assert (the_run(tmp_path / "a")["knobs"], the_run(tmp_path / "a")["threads"]) == ({}, 1), "the kit itself says one thread"
    assert (the_run(tmp_path / "b")["knobs"], the_run(tmp_path / "b")["threads"]) == ({"threads": "1"}, 1)


def test_more_threads_are_what_the_session_then_has(onnx_kit: Path, tmp_path: Path) -> None:
    bench(schedule_of(tmp_path / "s.json", onnx_kit, knobs=TWO), tmp_path / "out")
    assert the_run(tmp_path / "out")["threads"] == 2


@pytest.mark.parametrize(
    ("name", "knob", "known"),
    [
        (
            "onnx_kit",
            "session.intra_op.allow_spining",
            "threads, graph_optimization_level, session.intra_op.allow_spinning, pin_threads",
        ),
        ("openvino_kit", "INFERENCE_PRECISION_HINT", "threads, ENABLE_CPU_PINNING, ENABLE_HYPER_THREADING, SCHEDULING_CORE_TYPE"),
    ],
)
def test_what_is_no_knob_is_an_error_even_where_the_runtime_would_take_it(
    name: str, knob: str, known: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kit: Path = request.getfixturevalue(name)
    bench(schedule_of(tmp_path / "s.json", kit, knobs={knob: "bf16"}), tmp_path / "out")
    error = the_run(tmp_path / "out")["error"]
    module = Kit.open(kit).manifest.session.module
    assert (error["ref"], error["what"]) == ("unknown-knob", f"{knob!r} is not a knob of {module}")
    assert error["because"] == f"its knobs are {known}"


def allowed_lists() -> dict[str, str]:
    """Of each thread of this process, the processors that it may run on."""
    lists = {}
    for task in Path("/proc/self/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        lists[task.name] = next(line for line in lines if line.startswith("Cpus_allowed_list:")).partition(":")[2].strip()
    return lists


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux says where a thread may run")
@pytest.mark.parametrize("pinned", [True, False])
def test_a_pinned_thread_of_onnx_runtime_stays_on_one_processor_and_the_caller_is_left_alone(
    onnx_kit: Path, pinned: bool
) -> None:
    everywhere = sorted(os.sched_getaffinity(0))
    if len(everywhere) < 2:
        pytest.skip("of one processor, every thread stays on it")
    before = allowed_lists()
    kit = Kit.open(onnx_kit)
    session = open_session(kit, {"threads": "2", "pin_threads": "1" if pinned else "0"})
    run_checked(session, kit, feed_of(kit, golden_pixels(kit)))
    for _ in range(50):  # a thread pins itself, some time after it was begun
        now = allowed_lists()
        more = [where for task, where in now.items() if task not in before]
        if str(everywhere[1]) in more or not pinned:
            break
        time.sleep(0.1)
    session.close()
    assert (str(everywhere[1]) in more) == pinned
    assert {task: now[task] for task in before} == before


def test_threads_are_pinned_or_not(onnx_kit: Path) -> None:
    with pytest.raises(RunnerError, match="pin_threads = 'yes' is not one of 0, 1"):
        open_session(Kit.open(onnx_kit), {"pin_threads": "yes"})


@pytest.mark.parametrize("cores", ["ANY_CORE", "PCORE_ONLY", "ECORE_ONLY"])
def test_openvino_answers_the_same_from_either_kind_of_core(openvino_kit: Path, cores: str) -> None:
    options = {"SCHEDULING_CORE_TYPE": cores}
    assert selftest(Kit.open(openvino_kit), options)["knobs"] == options


def test_the_choice_of_the_bundle_around_a_kit_is_what_it_runs_with(onnx_kit: Path, tmp_path: Path) -> None:
    kit = a_bundle(tmp_path, onnx_kit, TWO)
    assert chosen_knobs(Kit.open(kit)) == TWO
    _, last = runner(kit, "predict", "golden/card.png")
    assert last["knobs"] == TWO
    _, last = runner(kit, "selftest")
    assert last["selftest"]["knobs"] == TWO
    _, last = runner(kit, "measure", "../..", "--rounds", "1", "--samples", "20")
    run = the_run(tmp_path / "bundle/measured")
    assert (last["ok"], run["knobs"], run["threads"]) == (True, TWO, 2)


def test_a_knob_on_the_command_line_goes_before_the_choice(onnx_kit: Path, tmp_path: Path) -> None:
    kit = a_bundle(tmp_path, onnx_kit, TWO)
    _, last = runner(kit, "predict", "golden/card.png", "--knob", "threads=1")
    assert last["knobs"] == {"threads": "1"}
    assert error_of(kit, "selftest", "--knob", "threads") == "bad-knobs"
    assert error_of(kit, "selftest", "--knob", "thread=1") == "unknown-knob"


def test_without_a_bundle_or_with_one_that_sets_none_a_kit_runs_by_itself(onnx_kit: Path, tmp_path: Path) -> None:
    assert chosen_knobs(Kit.open(onnx_kit)) == {}
    assert chosen_knobs(Kit.open(a_bundle(tmp_path, onnx_kit, None))) == {}
    assert Classifier(onnx_kit).knobs == {}


def test_the_choice_for_another_kit_is_not_this_one_s(onnx_kit: Path, tmp_path: Path) -> None:
    kit = a_bundle(tmp_path, onnx_kit, TWO)
    choice = tmp_path / "bundle/choice.json"
    changed = json.loads(choice.read_text())
    changed["kits"]["mine"]["sha256"] = "0" * 64
    choice.write_text(json.dumps(changed))
    assert chosen_knobs(Kit.open(kit)) == {}


def test_knobs_of_a_choice_that_are_no_texts_are_refused(onnx_kit: Path, tmp_path: Path) -> None:
    kit = Kit.open(a_bundle(tmp_path, onnx_kit, {"threads": 2}))
    with pytest.raises(RunnerError, match="knobs must hold texts only"):
        chosen_knobs(kit)


def test_a_kit_whose_runtime_has_no_knobs_says_so(onnx_kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.runner.sessions.onnxruntime_cpu.KNOBS", ())
    with pytest.raises(RunnerError) as caught:
        check_knobs(Kit.open(onnx_kit), TWO)
    assert caught.value.because == "it has none"
