"""The result of a build: one sentence, first and last on the screen, with a number of images or rounds that would settle it."""

from __future__ import annotations

import platform
import shlex
from pathlib import Path
from typing import Any

import pytest

from edgecnn.render.ci import sheet_of_report, summary_markdown
from edgecnn.render.screens.fit import show_fit
from edgecnn.render.screens.report import show_report
from edgecnn.render.sentences import result_line, stated_gates_lines
from edgecnn.results.explain import IMAGE, next_step
from edgecnn.results.folder import BUNDLE
from edgecnn.values.command import Command
from edgecnn.values.figures import ClassReport
from edgecnn.values.reason import Taken
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport, Choice
from edgecnn.values.verdict import CHANCE, Gate, GateResult, ReplacedBound, Verdict
from tests.fit.made import report as fit_report
from tests.fit.test_choose import member
from tests.judging.made import a_class, a_quality, an_accuracy, an_interval
from tests.render.reports import a_build, a_gate, a_report, a_row
from tests.runner.kits import make_kit, rewrite_manifest

CALLED = Command(verb=("build",), parts=(("--data", "photos"),))
WEAK = an_accuracy(
    right=250, quality=a_quality(classes=ClassReport(classes=tuple(a_class(f"c{n}", images=100) for n in range(10))))
)
SLOW = Taken(by="estimate", budget_pp=1.0, against="onnxruntime-fp32", ratio=an_interval(1.1, 0.97, 1.18), rounds_to_settle=12)
"""The chosen candidate is not shown to be faster: a question that no gate has."""
DEMO = Command(verb=("build",), parts=(("--data", "demo"),))
CHOICE = Choice(state="settled", candidate="onnxruntime-int8", why="it is the fastest")


def judged(verdict: Verdict, *gates: GateResult, **changes: Any) -> BuildReport:
    row = a_row(**{"test": an_accuracy(images=120), "chosen": True, "gates": gates, "verdict": verdict, **changes.pop("row", {})})
    known = {"gates": gates, "verdict": verdict, "choice": CHOICE, "build": a_build(called=CALLED)}
    return a_report(row, **{**known, **changes})


def unsure(**changes: Any) -> GateResult:
    return a_gate(Verdict.UNSURE).model_copy(update=changes)


def test_an_open_drop_names_the_images_that_were_judged_and_those_that_would_be_enough() -> None:
    line = result_line(judged(Verdict.UNSURE, unsure(images_to_settle=1512)))
    assert line.startswith("UNSURE: not enough test images (120) ")
    assert "onnxruntime-int8 loses more than 1 pp of top-1" in line
    assert "about 1,600 " in line


def test_an_open_race_names_the_rounds() -> None:
    assert "about 40 rounds " in result_line(judged(Verdict.UNSURE, unsure(rounds_to_settle=40)))


def test_a_device_that_is_away_is_named_only_if_its_latency_is_missing() -> None:
    away = a_build(device="raspberry-pi-5", device_attached=False)
    report = a_report(a_row(chosen=True, latency=None), build=away)
    assert result_line(report).endswith("; its latency on raspberry-pi-5 was not measured")
    assert "not measured" not in result_line(a_report(a_row(chosen=True)))


def test_the_result_is_the_first_and_the_last_line_of_the_screen_and_of_the_step_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for verdict in Verdict:
        report = judged(verdict, a_gate(verdict), notices=("a note",))
        result = result_line(report)
        for verbose in (False, True):
            show_report(report, verbose=verbose)
            lines = capsys.readouterr().out.splitlines()
            assert lines[0] == lines[-1] == result
            assert any(line.endswith("note: a note") for line in lines) is verbose
        heading, _, first, *_, last = summary_markdown(sheet_of_report(report)).strip().splitlines()
        assert heading.endswith(verdict.value)
        assert last == f"**{first}**"
        assert result.startswith(f"{verdict.value}: ")


@pytest.mark.parametrize(
    ("report", "purpose", "command"),
    [
        (judged(Verdict.PASS, a_gate()), "predict", "edgecnn predict /home/me/out IMAGE.jpg"),
        (judged(Verdict.FAIL, a_gate(Verdict.FAIL)), "explain", "edgecnn explain /home/me/out"),
        (judged(Verdict.MISSING, a_gate(Verdict.MISSING)), "explain", "edgecnn explain /home/me/out"),
        (
            judged(Verdict.UNSURE, unsure(rounds_to_settle=40)),
            "settle",
            "edgecnn build --data photos --set race.rounds=40",
        ),
        (
            judged(Verdict.UNSURE, unsure(images_to_settle=600)),
            "more-images",
            "edgecnn build --data photos",
        ),
        (
            judged(Verdict.UNSURE, unsure(images_to_settle=600), row={"because": SLOW}),
            "more-images",
            "edgecnn build --data photos",
        ),
        (
            judged(Verdict.UNSURE, unsure(), row={"because": SLOW}),
            "explain",
            "edgecnn explain /home/me/out",
        ),
        (
            judged(Verdict.UNSURE, unsure(), unsure(rounds_to_settle=40)),
            "settle",
            "edgecnn build --data photos --set race.rounds=40",
        ),
        (
            judged(Verdict.PASS, a_gate(), row={"test": WEAK}),
            "improve",
            "edgecnn explain /home/me/out",
        ),
        (
            judged(Verdict.UNSURE, unsure(images_to_settle=600), build=a_build(called=DEMO)),
            "explain",
            "edgecnn explain /home/me/out",
        ),
        (
            judged(Verdict.PASS, a_gate(), choice=CHOICE.model_copy(update={"state": "provisional", "settle_command": "x"})),
            "measure",
            "x",
        ),
        (
            judged(
                Verdict.PASS,
                a_gate(),
                choice=CHOICE.model_copy(update={"state": "provisional", "settle_command": "x", "regret": 0.1}),
            ),
            "race-again",
            "x",
        ),
    ],
)
def test_the_next_command_follows_the_verdict(report: BuildReport, purpose: str, command: str) -> None:
    assert next_step(report) == (purpose, command)
    assert command in summary_markdown(sheet_of_report(report))


def test_a_report_without_a_folder_names_no_command() -> None:
    assert next_step(judged(Verdict.PASS, a_gate(), output=None)) is None


@pytest.mark.parametrize(
    ("requirements", "purpose"),
    [({}, "predict"), ({"machines": ["s390x"]}, "carry"), ({"packages": {"tensorrt-": "10"}}, "carry")],
)
def test_predict_is_offered_only_if_the_kit_runs_here(requirements: dict[str, Any], purpose: str, tmp_path: Path) -> None:
    kit = make_kit(tmp_path / "rpi" / BUNDLE / "kits", name="onnxruntime-int8")
    rewrite_manifest(kit, lambda manifest: manifest["requirements"].update(requirements))
    out = str(tmp_path / "rpi")
    commands = {"predict": ["edgecnn", "predict", out, IMAGE], "carry": ["edgecnn", "bundle", "zip", out, "--out", "rpi.zip"]}
    step = next_step(judged(Verdict.PASS, a_gate(), output=out))
    assert step is not None
    assert (step.purpose, shlex.split(step.command)) == (purpose, commands[purpose])


def test_a_search_offers_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kit = make_kit(tmp_path / BUNDLE / "kits", name="openvino-int8")
    unlearned = unsure().model_copy(update={"gate": a_gate().gate.model_copy(update={"stated_by": CHANCE})})
    for gates, machines, command in (
        ((), ["s390x"], "edgecnn bundle zip"),
        ((), [platform.machine()], "edgecnn predict"),
        ((unlearned,), [platform.machine()], "edgecnn explain"),
    ):
        rewrite_manifest(kit, lambda manifest, machines=machines: manifest["requirements"].update(machines=machines))
        show_fit(fit_report(member("a", 0.8, 3.0, gates=gates)), tmp_path)
        assert command in capsys.readouterr().out


def test_a_missing_figure_names_its_cause_and_does_not_hide_a_failed_gate() -> None:
    missing = a_gate(Verdict.MISSING).model_copy(update={"reason": "the classes differ"})
    failed = a_gate(Verdict.FAIL).model_copy(update={"gate": Gate(metric="size_mib", side="max", bound=3, required="always")})
    line = result_line(judged(Verdict.MISSING, missing, failed))
    assert line.startswith("MISSING: ") and "(the classes differ)" in line
    assert line.endswith("it also fails size_mib ≤ 3")


def test_each_stated_gate_names_its_origin_and_what_it_replaces() -> None:
    size = Gate(metric="size_mib", side="max", bound=16, required="always", stated_by="command line")
    replacing = size.model_copy(update={"replaces": ReplacedBound(side="max", metric="size_mib", bound=20, stated_by="build")})
    (line,) = stated_gates_lines([a_gate().model_copy(update={"gate": replacing})])
    assert line == "gates: size_mib ≤ 16 (command line, which replaces size_mib ≤ 20 from the build)"
    assert stated_gates_lines([a_gate()]) == [], "the default gate needs no origin"
    (dropped,) = stated_gates_lines([a_gate()], GateChoice(max={"size_mib": 16.0}))
    assert dropped.endswith("add --max size_mib=16")
