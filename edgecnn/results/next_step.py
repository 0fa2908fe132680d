"""The one command that a user should type after a build."""

from __future__ import annotations

from typing import Literal, NamedTuple

from edgecnn.results.explain import open_questions, rebuild_command
from edgecnn.values.command import Command
from edgecnn.values.report import BuildReport
from edgecnn.values.verdict import Verdict

Purpose = Literal["explain", "measure", "race-again", "settle", "more-images", "predict"]
IMAGE = "IMAGE.jpg"
"""Stands for an image of the user's."""
FOLDS = 5


class NextStep(NamedTuple):
    """A command and its purpose."""

    purpose: Purpose
    command: str
    """Quoted for a POSIX shell."""


def next_step(report: BuildReport) -> NextStep | None:
    """Return what to do after this build; None for a report without a folder that has nothing to settle.

    A failed or missing figure is explained. A provisional choice is measured on its device or raced again. A longer race, the
    device or a test on more images settles an open gate. A bundle that passes is used.
    """
    choice = report.choice
    if report.verdict is Verdict.FAIL:
        return _on_folder(report, "explain")
    if choice.settle_command is not None:
        return NextStep("measure" if choice.regret is None else "race-again", choice.settle_command)
    if report.verdict is Verdict.UNSURE and choice.candidate is not None:
        return _settling(report) or _on_folder(report, "explain")
    used = report.verdict is Verdict.PASS and choice.candidate is not None
    return _on_folder(report, "predict" if used else "explain")


def _on_folder(report: BuildReport, verb: Literal["explain", "predict"]) -> NextStep | None:
    if report.output is None:
        return None
    parts = ((report.output,), *([(IMAGE,)] if verb == "predict" else []))
    return NextStep(verb, str(Command(verb=(verb,), parts=parts)))


def _settling(report: BuildReport) -> NextStep | None:
    """The first command that answers an open question of the chosen candidate; else cross-validation, if it is possible."""
    for question in open_questions(report):
        if question.candidate == report.choice.candidate and question.command is not None:
            return NextStep("settle", question.command)
    again, build, shipped = rebuild_command(report), report.build, report.shipped
    trained_here = bool(build.splits.get("train")) and build.synthesis is None
    test = None if shipped is None else shipped.test
    if not again or not trained_here or test is None or test.folds is not None or again.value_of("--teacher") is not None:
        return None
    return NextStep("more-images", str(again.adding(("--set", f"train.folds={FOLDS}"))))
