"""The one command that a user should type after a build."""

from __future__ import annotations

from typing import Literal, NamedTuple

from edgecnn.results.explain import open_questions, rebuild_command
from edgecnn.values.command import Command
from edgecnn.values.report import BuildReport
from edgecnn.values.verdict import CHANCE, Verdict

Purpose = Literal["explain", "measure", "race-again", "settle", "more-images", "predict"]
IMAGE = "IMAGE.jpg"
"""Stands for an image of the user's."""


class NextStep(NamedTuple):
    """A command and its purpose."""

    purpose: Purpose
    command: str
    """Quoted for a POSIX shell."""


def next_step(report: BuildReport) -> NextStep | None:
    """Return what to do after this build; None for a report without a folder that has nothing to settle.

    A failed or missing figure is explained. A provisional choice is measured on its device or raced again. A longer race, the
    device or more test images settle an open gate. A bundle that passes is used.
    """
    choice = report.choice
    if report.verdict is Verdict.FAIL:
        return _folder_step(report, "explain")
    if choice.settle_command is not None:
        return NextStep("measure" if choice.regret is None else "race-again", choice.settle_command)
    if report.verdict is Verdict.UNSURE and choice.candidate is not None:
        return _settling(report) or _folder_step(report, "explain")
    used = report.verdict is Verdict.PASS and choice.candidate is not None
    return _folder_step(report, "predict" if used else "explain")


def _folder_step(report: BuildReport, verb: Literal["explain", "predict"]) -> NextStep | None:
    if report.output is None:
        return None
    parts = ((report.output,), *([(IMAGE,)] if verb == "predict" else []))
    return NextStep(verb, str(Command(verb=(verb,), parts=parts)))


def _settling(report: BuildReport) -> NextStep | None:
    """The first command that answers an open question of the chosen candidate; else the build's own, for more test images."""
    for question in open_questions(report):
        if question.candidate == report.choice.candidate and question.command is not None:
            return NextStep("settle", question.command)
    open_gates = (gate for gate in report.gates if gate.verdict is Verdict.UNSURE and gate.gate.stated_by != CHANCE)
    images = any(gate.images_to_settle is not None for gate in open_gates)
    again = rebuild_command(report)
    return NextStep("more-images", str(again)) if images and again and again.value_of("--data") != "demo" else None
