"""`build`, the verbs that stop earlier, and `plan`: the same settings, so the same keys and the same store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from edgecnn.cli.asking import request_from
from edgecnn.cli.options import BOARD, GATES, JOB, MEASURING, OUT, THIS_BUILD, TRACKED, WHAT, given_in
from edgecnn.cli.tracking import send_build, tracker_of
from edgecnn.cli.verbs import Call, Takes, verb
from edgecnn.errors.base import ExitCode
from edgecnn.errors.bundle import NOTHING_TO_SIGN
from edgecnn.errors.usage import HOST_OF_NOTHING, NOTHING_JUDGED, NOTHING_TO_BUILD_FROM

if TYPE_CHECKING:
    from edgecnn.planning.request import BuildRequest, Goal
    from edgecnn.store.store import Store
    from edgecnn.values.report import BuildReport


UP_TO: dict[str, tuple[str, str]] = {
    "train": ("train", "Train or fine-tune, and stop."),
    "export": ("export", "Export ONNX, check it against torch, and stop."),
    "quantize": ("quantize", "Make the model file of every candidate, and stop."),
    "package": ("package", "Make the kit of every candidate, and stop."),
    "compile": ("compile", "Compile engines, if a builder is installed, and stop."),
    "profile": ("profile", "Measure accuracy, latency and precision; check no gates."),
}
"""Verbs that stop before the verdict: the last kind of step that each runs, and what it says of itself."""
ON_HOST = ("build", "profile")
"""Verbs that run kits."""
ALL: Takes = (WHAT, THIS_BUILD, GATES, MEASURING, BOARD, OUT, JOB, TRACKED)
WITHOUT_VERDICT: Takes = (WHAT, THIS_BUILD, GATES, MEASURING, BOARD, OUT, "junit", "unsure_passes")


def register(app: typer.Typer) -> None:
    """Add the verbs, `build` first."""
    verb(app, "build", short="Build, measure and judge a bundle from images or a model.", takes=ALL)(build)
    verb(app, "plan", short="Show what `build` would do, and run nothing.", takes=WITHOUT_VERDICT)(plan)
    for name, (_, short) in UP_TO.items():
        verb(app, name, short=short, takes=WITHOUT_VERDICT)(_up_to)


def build(call: Call) -> ExitCode:
    """Train, export, quantize, package, measure and judge a network, and write its bundle and report."""
    _refuse_unusable(call)
    request = request_from(call.asked, "judge")
    tracker = tracker_of(call)
    status = built(call, request) if call.asked.sign is None else _signed_build(request, Path(call.asked.sign), call)
    send_build(call, tracker, request.out, str(request.command))
    return status


def plan(call: Call) -> None:
    """Show what `build` would do: steps, keys, cached results, and what the test set can show. Nothing runs."""
    from edgecnn.building.build import plan_build
    from edgecnn.render.screens.planning import show_plan

    _refuse_unusable(call)
    planned = plan_build(request_from(call.asked, "judge"), call.store, call.tell)
    call.show(planned.facts(), lambda: show_plan(planned))


def _up_to(call: Call) -> ExitCode:
    _refuse_unusable(call)
    return built(call, request_from(call.asked, cast("Goal", UP_TO[call.asked.verb][0])))


def _refuse_unusable(call: Call) -> None:
    asked, judges = call.asked, call.asked.verb == "build"
    if asked.host is not None and asked.verb not in ON_HOST:
        raise HOST_OF_NOTHING(verb=asked.verb)
    if asked.junit is not None and not judges:
        raise NOTHING_JUDGED(verb=asked.verb)
    if asked.sign is not None and not judges:
        raise NOTHING_TO_SIGN(verb=asked.verb)
    if not any(option.group is WHAT for option, _ in given_in(asked)):
        raise NOTHING_TO_BUILD_FROM(verb=asked.verb)


def built(call: Call, request: BuildRequest) -> ExitCode:
    """Build as asked, and show what came of it."""
    return _reported(call, request)[0]


def _reported(call: Call, request: BuildRequest) -> tuple[ExitCode, BuildReport]:
    from edgecnn.api import build_and_write
    from edgecnn.render.screens.report import show_measured, show_steps
    from edgecnn.render.terminal import show_lines

    report = build_and_write(request, call.tell)
    if request.goal == "judge":
        return judged(call, report), report

    def text() -> None:
        if request.goal == "profile":
            show_measured(report)
        else:
            show_steps(report)
            show_lines(_places_made(report, request.goal, call.store))

    call.show(report, text)
    return ExitCode.OK, report


def judged(call: Call, report: BuildReport) -> ExitCode:
    """Show a report with its verdict, to the job too."""
    from edgecnn.render.ci import sheet_of_report
    from edgecnn.render.screens.report import show_report

    return call.judge(sheet_of_report(report), report, lambda: show_report(report))


def _places_made(report: BuildReport, goal: str, store: Store) -> list[str]:
    """Where a verb that stops earlier leaves each thing that it makes, the trunk or one for each candidate."""
    from edgecnn.store.layout import FILES, Layout

    layout = Layout(store.root)
    steps = {step: layout.entry(goal, key) / FILES for step, key in report.keys.items() if step.partition(":")[0] == goal}
    return [f"{step}: {folder}" for step, folder in steps.items() if folder.is_dir()]


def _signed_build(request: BuildRequest, key: Path, call: Call) -> ExitCode:
    """Only what passed is signed: a signature is somebody's word for it. An unchanged bundle keeps the one that it has."""
    from edgecnn.bundle.manifest import SIGNATURE
    from edgecnn.bundle.publishing import sign_bundle
    from edgecnn.bundle.ssh_keygen import check_key
    from edgecnn.render.progress import Quiet
    from edgecnn.results.folder import BUNDLE

    check_key(key)
    status, report = _reported(call, request)
    if status is not ExitCode.OK:
        stays = "; its earlier signature stays" if (request.out / BUNDLE / SIGNATURE).is_file() else ""
        call.warn([f"edgecnn: not signed: the build ended with {int(status)}{stays}"])
        return status
    signed = sign_bundle(request.out, key, None, Quiet(), report)
    call.warn([f"edgecnn: signed {signed.name} version {signed.version}"])
    return status
