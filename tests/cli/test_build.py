"""What a verb's process says when it ends, and what a build is asked by it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgecnn.cli.build import UP_TO
from edgecnn.cli.main import app
from edgecnn.errors.building import NOTHING_TO_BUILD
from edgecnn.planning.candidates import BASELINE
from edgecnn.planning.request import BuildRequest
from edgecnn.values.artifact import Failed
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Fidelity, Gate, GateResult, Verdict
from tests.building.scenes import a_report


class Builder:
    """Stands where the build would be: remembers what it was asked and answers as it was told to."""

    def __init__(self) -> None:
        self.asked: list[BuildRequest] = []
        self.report = a_report()
        self.error: BaseException | None = None

    def __call__(self, request: BuildRequest, tell: object) -> BuildReport:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return self.report

    def judged(self, *verdicts: Verdict, required: str = "always") -> None:
        gate = Gate.model_validate({"metric": "drop_pp", "side": "max", "bound": 1.0, "required": required})
        results = tuple(
            GateResult(gate=gate, candidate="x", verdict=verdict, figure=None, fidelity=Fidelity.MEASURED, reason="seen")
            for verdict in verdicts
        )
        self.report = a_report(gates=results)


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> Builder:
    builder = Builder()
    builder.judged(Verdict.PASS)
    monkeypatch.setattr("edgecnn.api.build_and_write", builder)
    monkeypatch.delenv("CI", raising=False)
    return builder


@pytest.fixture
def edgecnn(tmp_path: Path) -> Callable[..., Any]:
    return lambda *words: CliRunner().invoke(app, [*words, "--arch", "lenet-5", "--out", str(tmp_path / "out"), "--quiet"])


@pytest.mark.parametrize("verb", ["build", "judge"])
@pytest.mark.parametrize(
    ("verdicts", "required", "code"),
    [
        ((Verdict.PASS,), "always", 0),
        ((Verdict.PASS, Verdict.FAIL), "always", 1),
        ((Verdict.FAIL,), "advisory", 1),
        ((Verdict.UNSURE,), "always", 4),
        ((Verdict.UNSURE,), "advisory", 0),
        ((Verdict.UNSURE, Verdict.FAIL), "always", 1),
        ((Verdict.MISSING, Verdict.FAIL), "always", 3),
        ((Verdict.MISSING, Verdict.PASS), "when-measured", 0),
        ((), "always", 3),
    ],
)
def test_a_judging_verb_ends_with_what_its_gates_say(
    builder: Builder, edgecnn: Callable[..., Any], verb: str, verdicts: tuple[Verdict, ...], required: str, code: int
) -> None:
    builder.judged(*verdicts, required=required)
    assert edgecnn(verb).exit_code == code


def test_what_was_not_measured_counts_where_the_report_says_that_measuring_is_required(
    builder: Builder, edgecnn: Callable[..., Any]
) -> None:
    builder.judged(Verdict.MISSING, Verdict.PASS, required="when-measured")
    assert edgecnn("build").exit_code == 0
    builder.report = builder.report.model_copy(update={"require_measured": True})
    assert edgecnn("build").exit_code == 3


@pytest.mark.parametrize("verb", UP_TO)
def test_a_verb_that_stops_earlier_succeeds_without_a_candidate_that_failed_and_judges_nothing(
    builder: Builder, edgecnn: Callable[..., Any], verb: str
) -> None:
    builder.judged(Verdict.FAIL)
    failed = Failed(ref="x", what="broke")
    row = CandidateFacts(candidate=BASELINE, outcomes={"measure": failed})
    builder.report = builder.report.model_copy(update={"candidates": (row,), "outcomes": {"quantize:x": failed}})
    assert edgecnn(verb).exit_code == 0
    assert builder.asked[0].goal == UP_TO[verb][0]


@pytest.mark.parametrize("verb", ["train", "export", "quantize", "package"])
def test_a_verb_that_stops_earlier_prints_where_each_thing_is(
    verb: str, builder: Builder, edgecnn: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path))
    steps = [verb] if verb in ("train", "export") else [f"{verb}:onnxruntime-fp32", f"{verb}:litert-int8"]
    keys = {step: f"{number:064x}" for number, step in enumerate([*steps, f"{verb}:failed"])}
    for step in steps:
        (tmp_path / "artifacts" / verb / keys[step] / "files").mkdir(parents=True)
    builder.report = builder.report.model_copy(update={"keys": {**keys, "prepare": "f" * 64}})
    done = edgecnn(verb)
    places = [line for line in done.stdout.splitlines() if line.startswith(f"{verb}:") or line.startswith(f"{verb} :")]
    assert places == [f"{step}: {tmp_path / 'artifacts' / verb / keys[step] / 'files'}" for step in steps]


@pytest.mark.parametrize(
    ("error", "code"),
    [(NOTHING_TO_BUILD(device="cpu", reasons=(), command=None), 3), (KeyboardInterrupt(), 130), (KeyError("x"), 70)],
)
def test_what_ends_a_build_early_is_never_read_as_a_verdict(
    builder: Builder, edgecnn: Callable[..., Any], error: BaseException, code: int
) -> None:
    builder.error = error
    done = edgecnn("build")
    assert done.exit_code == code
    assert done.stdout == ""


def test_with_json_stdout_is_the_report_and_nothing_else(builder: Builder, edgecnn: Callable[..., Any]) -> None:
    done = edgecnn("build", "--json")
    assert BuildReport.model_validate_json(done.stdout) == builder.report


@pytest.mark.parametrize("verb", ["build", "judge"])
def test_notes_need_verbose(builder: Builder, edgecnn: Callable[..., Any], verb: str) -> None:
    builder.report = builder.report.model_copy(update={"notices": ("the governor is powersave",)})
    shown = [words for words in ((), ("--verbose",)) if "the governor is powersave" in edgecnn(verb, *words).stdout]
    assert shown == [("--verbose",)]


def test_bad_input_ends_with_2_before_anything_is_built(builder: Builder, edgecnn: Callable[..., Any]) -> None:
    done = edgecnn("build", "--set", "train.epoch=3")
    assert done.exit_code == 2
    assert done.stderr == (
        "edgecnn: error: a setting cannot be applied: train.epoch is not a key, the nearest is train.epochs"
        " — correct the option; --set takes TABLE.KEY=VALUE, as in --set train.epochs=3 [overrides-invalid]\n"
    )
    assert builder.asked == []


def test_two_runtimes_that_contradict_end_with_2_and_one_line(builder: Builder, edgecnn: Callable[..., Any]) -> None:
    done = edgecnn("build", "--set", "target.device=cpu:openvino", "--set", "target.runtime=onnxruntime")
    assert done.exit_code == 2
    assert "[runtimes-contradict]" in done.stderr
    assert builder.asked == []


# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "race"), [((), "unless-gated"), (("--allow-stored",), "fresh-enough")])
def test_judging_takes_a_stored_race_only_where_no_gate_is_on_latency_or_it_is_allowed(
    builder: Builder, edgecnn: Callable[..., Any], words: tuple[str, ...], race: str
) -> None:
    edgecnn("judge", *words)
    assert (builder.asked[0].stored_race, builder.asked[0].only_judge) == (race, True)


def test_building_takes_a_race_that_is_fresh_enough(builder: Builder, edgecnn: Callable[..., Any]) -> None:
    edgecnn("build", "--max", "p99_ms=20")
    assert builder.asked[0].stored_race == "fresh-enough"


# ---------------------------------------------------------------------------------------------------------------------


def exit_of_closed_pipe(*words: str, stream: str) -> int:
    """The exit code of a process whose reader of ``stream`` has gone."""
    read, write = os.pipe()
    os.close(read)
    try:
        streams: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: write}
        return subprocess.run([sys.executable, "-m", "edgecnn", *words], check=False, **streams).returncode
    finally:
        os.close(write)


@pytest.mark.parametrize("words", [("list", "archs", "--json"), ("list", "archs")], ids=["json", "table"])
def test_a_reader_that_has_gone_is_130_and_never_a_failed_gate(words: tuple[str, ...]) -> None:
    assert exit_of_closed_pipe(*words, stream="stdout") == 130


@pytest.mark.parametrize(
    ("words", "stream"),
    [
        (("--help",), "stdout"),
        (("--version",), "stdout"),
        (("store",), "stdout"),
        (("list", "archs", "--nothing"), "stderr"),
        (("bild",), "stderr"),
        (("build", "--arch", "x"), "stderr"),
        (("build", "--arch", "x", "--debug"), "stderr"),
    ],
)
def test_a_reader_that_has_gone_is_130_outside_of_a_verb_too(words: tuple[str, ...], stream: str) -> None:
    assert exit_of_closed_pipe(*words, stream=stream) == 130
