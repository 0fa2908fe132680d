"""The one command that a user should type after a build."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from edgecnn.judging.learned import learned_result, weakness_of
from edgecnn.results.explain import gate_question, rebuild_command
from edgecnn.results.folder import BUNDLE
from edgecnn.results.kits_here import manifests_in, why_not_here
from edgecnn.values.command import Command
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import CHANCE, Verdict

Purpose = Literal["explain", "improve", "measure", "race-again", "settle", "more-images", "predict", "carry"]
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
    device or more test images settle an open gate. A weak network is improved. Any other bundle that passes is used.
    """
    choice, shipped = report.choice, report.shipped
    if report.verdict is Verdict.FAIL:
        return _explained(report)
    if choice.settle_command is not None:
        return NextStep("measure" if choice.regret is None else "race-again", choice.settle_command)
    if report.verdict is Verdict.UNSURE and shipped is not None and (step := _settling(report, shipped)) is not None:
        return step
    if learned_result(report.gates) is not None or (shipped is not None and weakness_of(shipped) is not None):
        return None if report.output is None else improve_step(Path(report.output))
    if report.verdict is Verdict.PASS and choice.candidate is not None and report.output is not None:
        return use_step(Path(report.output), choice.candidate)
    return _explained(report)


def improve_step(folder: Path) -> NextStep:
    """Return the step after a finished build whose network is weak."""
    return NextStep("improve", _explain_command(folder))


def use_step(folder: Path, candidate: str) -> NextStep:
    """Return the step that uses the bundle of a finished build: here, or on the device if its kit does not run here.

    A kit that is not in the folder yet is expected to run here.
    """
    bundle = folder / BUNDLE
    manifest = manifests_in(bundle).get(candidate)
    if manifest is not None and why_not_here(manifest, bundle / "kits" / candidate) is not None:
        zipped = f"{folder.resolve().name or BUNDLE}.zip"
        return NextStep("carry", str(Command(verb=("bundle", "zip"), parts=((str(folder),), ("--out", zipped)))))
    return NextStep("predict", str(Command(verb=("predict",), parts=((str(folder),), (IMAGE,)))))


def _explained(report: BuildReport) -> NextStep | None:
    return None if report.output is None else NextStep("explain", _explain_command(Path(report.output)))


def _explain_command(folder: Path) -> str:
    return str(Command(verb=("explain",), parts=((str(folder),),)))


def _settling(report: BuildReport, shipped: CandidateFacts) -> NextStep | None:
    """Return the step that settles an open gate of the chosen candidate, first those that a number of images or rounds settles.

    An open question about speed is not a gate, so its race settles none.
    """
    again = rebuild_command(report)
    open_gates = [result for result in report.gates if result.verdict is Verdict.UNSURE]
    for result in sorted(open_gates, key=lambda gate: (gate.images_to_settle or gate.rounds_to_settle) is None):
        if (command := gate_question(result, shipped, report).command) is not None:
            return NextStep("settle", command)
        takes_images = result.images_to_settle is not None and result.gate.stated_by != CHANCE
        if takes_images and again and again.value_of("--data") != "demo":
            return NextStep("more-images", str(again))
    return None
