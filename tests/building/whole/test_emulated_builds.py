"""A build for a processor that is emulated: it answers there as ever, and is not raced, for times would be the emulator's."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgecnn.building.notices import timing_command
from edgecnn.values.command import Command
from edgecnn.values.report import BuildReport
from edgecnn.values.verdict import Fidelity, Verdict
from tests.building.builds import Place

EMULATED = {"EDGECNN_EMULATOR": "QEMU user mode, cortex-a76"}
WHY = "not raced, because an emulated processor gives the times of its emulator"
SETTLES = "--host USER@cpu"
BOUNDS = ("--max", "p50_ms=10000", "--max", "drop_pp=100")


def there(place: Place, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command line on an emulated processor."""
    return place.plain(*words, **EMULATED)


@pytest.fixture(scope="module")
def emulated(built_once: Place, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, subprocess.CompletedProcess[str]]:
    """The build that the tests share, made anew where the processor is emulated; it has raced before where it is not."""
    place = Place(tmp_path_factory.mktemp("emulated") / "moved")
    shutil.copytree(built_once.folder, place.folder, copy_function=shutil.copy2)
    return place, there(place, *place.words("build", "--set", "choice.objective=latency", *BOUNDS))


def report_of(place: Place) -> BuildReport:
    return BuildReport.model_validate(place.report())


def test_its_choice_is_provisional_and_says_why_and_what_settles_it(
    emulated: tuple[Place, subprocess.CompletedProcess[str]],
) -> None:
    place, done = emulated
    choice = report_of(place).choice
    assert choice.state == "provisional" and f"the candidates were {WHY}, so {choice.candidate} is used" in choice.why
    assert {"onnxruntime-fp32", "onnxruntime-int8"} <= set(choice.carried)
    assert choice.settle_command == f"edgecnn bench {place.out} {SETTLES}"
    assert WHY in done.stdout and SETTLES in done.stdout


def test_every_row_has_its_accuracy_and_what_really_ran_and_no_time(
    emulated: tuple[Place, subprocess.CompletedProcess[str]],
) -> None:
    report = report_of(emulated[0])
    assert any(f"its predictions count, and the candidates were {WHY}" in notice for notice in report.notices)
    for row in report.candidates:
        assert row.test is not None and row.test.fidelity is Fidelity.EMULATED
        assert row.residency is not None and row.residency.basis == "executed"
        for seen in (row.latency, row.memory, row.energy):
            assert seen is not None and (seen.runs, seen.reason, seen.fidelity) == (0, WHY, Fidelity.MISSING)


def test_a_bound_on_latency_is_neither_met_nor_broken_there_and_one_on_accuracy_is_judged(
    emulated: tuple[Place, subprocess.CompletedProcess[str]],
) -> None:
    gates = {gate.gate.metric: gate for gate in report_of(emulated[0]).gates}
    assert (gates["p50_ms"].verdict, gates["p50_ms"].reason) == (Verdict.MISSING, WHY)
    assert gates["drop_pp"].verdict is Verdict.PASS
    assert emulated[1].returncode == 3, "what was asked for was not measured"


def test_energy_is_no_reason_to_refuse_where_nothing_is_metered(built: Place) -> None:
    done = there(built, *built.words("build", "--set", "choice.objective=energy"))
    assert done.returncode == 0, done.stderr
    assert report_of(built).choice.state == "provisional"


def test_the_explanation_asks_for_a_real_device(emulated: tuple[Place, subprocess.CompletedProcess[str]]) -> None:
    said = there(emulated[0], "explain", emulated[0].out).stdout
    assert "it is not known which candidate is the fastest on a real device" in said
    assert SETTLES in said and "--soak" not in said


def test_bench_races_nothing_there_either(built: Place) -> None:
    done = there(built, "bench", built.out, *BOUNDS)
    assert done.returncode == 3 and WHY in done.stdout, done.stderr
    assert all(row.latency is not None and row.latency.runs == 0 for row in report_of(built).candidates)


@pytest.mark.parametrize("words", [BOUNDS, (*BOUNDS, "--allow-stored")], ids=["anew", "stored"])
def test_a_finished_build_is_judged_there_by_no_time_and_the_verdict_names_what_measures_one(
    built: Place, words: tuple[str, ...]
) -> None:
    done = there(built, "judge", built.out, "--json", *words)
    found: Mapping[str, Any] = {gate["gate"]["metric"]: gate for gate in json.loads(done.stdout)["gates"]}
    assert (found["p50_ms"]["verdict"], found["drop_pp"]["verdict"]) == ("MISSING", "PASS")
    assert found["p50_ms"]["reason"] == f"{WHY}: edgecnn bench {built.out} {SETTLES}"
    assert done.returncode == 3


def test_two_builds_are_not_raced_against_each_other_there(built: Place) -> None:
    bounds = ("--max", "latency_ratio=10", "--max", "p50_ms=1000")
    done = there(built, "judge", built.out, "--against", built.out, *bounds, "--json")
    gates = {gate["gate"]["metric"]: gate for gate in json.loads(done.stdout)["gates"]}
    assert gates["latency_ratio"]["fidelity"] == "by-definition", "the same files need no race"
    assert (gates["p50_ms"]["verdict"], gates["p50_ms"]["figure"]) == ("MISSING", None) and WHY in gates["p50_ms"]["reason"]
    assert done.returncode == 3


def test_a_bundle_alone_tests_itself_there_and_is_not_timed(built: Place, tmp_path: Path) -> None:
    shutil.move(built.out / "bundle", tmp_path / "bundle")
    done = there(built, "bench", tmp_path / "bundle", "--out", tmp_path / "found", "--max", "p50_ms=10000")
    found = json.loads((tmp_path / "found/bundle-bench.json").read_text())
    (row,) = (each for each in found["candidates"] if each["chosen"])
    assert row["test"] is not None and (row["latency"]["runs"], row["latency"]["reason"]) == (0, WHY)
    assert any(WHY in note and f"edgecnn bench {tmp_path / 'bundle'} {SETTLES}" in note for note in found["notices"])
    assert found["verdict"] == "MISSING" and done.returncode == 3


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (
            (
                ("--arch", "lenet-5"),
                ("--target", "arm64-emulated:litert"),
                ("--data", "my photos"),
                ("--host", "emulated"),
                ("--out", "o"),
            ),
            "edgecnn build --arch lenet-5 --data 'my photos' --target DEVICE:litert --host USER@DEVICE",
        ),
        ((("my.toml",), ("--host", "emulated")), "edgecnn build my.toml --target DEVICE --host USER@DEVICE"),
    ],
)
def test_the_emulated_machine_is_no_board_so_that_a_build_for_a_real_one_settles_it(
    parts: tuple[tuple[str, ...], ...], says: str
) -> None:
    assert timing_command(Path("out"), "arm64-emulated", Command(verb=("judge",), parts=parts)) == says
