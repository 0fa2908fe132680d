"""`build`, `plan`, and the verbs that stop earlier. All take the same settings, so they share keys and the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from edgecnn.cli.asking import request_from
from edgecnn.cli.options import BOARD, DETAILS, GATES, JOB, MEASURING, OUT, THIS_BUILD, TRACKED, WHAT, given_options
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
"""Verbs that stop before the verdict, with the last kind of step that each runs and its help."""
ON_HOST = ("build", "profile")
"""Verbs that run kits."""
ALL: Takes = (WHAT, THIS_BUILD, GATES, MEASURING, BOARD, OUT, JOB, TRACKED, DETAILS)
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
    request = request_from(call.options, "judge")
    tracker = tracker_of(call)
    status = build_and_show(call, request) if call.options.sign is None else _signed_build(request, Path(call.options.sign), call)
    send_build(call, tracker, request.out, str(request.command))
    return status


def plan(call: Call) -> None:
    """Show what `build` would do: steps, keys, cached results, and what the test set can show. Nothing runs."""
    from edgecnn.building.build import plan_build
    from edgecnn.render.screens.planning import show_plan

    _refuse_unusable(call)
    planned = plan_build(request_from(call.options, "judge"), call.store, call.tell)
    call.show(planned.facts(), lambda: show_plan(planned))


def _up_to(call: Call) -> ExitCode:
    _refuse_unusable(call)
    return build_and_show(call, request_from(call.options, cast("Goal", UP_TO[call.options.verb][0])))


def _refuse_unusable(call: Call) -> None:
    options, judges = call.options, call.options.verb == "build"
    if options.host is not None and options.verb not in ON_HOST:
        raise HOST_OF_NOTHING(verb=options.verb)
    if options.junit is not None and not judges:
        raise NOTHING_JUDGED(verb=options.verb)
    if options.sign is not None and not judges:
        raise NOTHING_TO_SIGN(verb=options.verb)
    if not any(option.group is WHAT for option, _ in given_options(options)):
        raise NOTHING_TO_BUILD_FROM(verb=options.verb)


def build_and_show(call: Call, request: BuildRequest) -> ExitCode:
    """Build, show the result, and return the exit code."""
    return _build_report(call, request)[0]


def _build_report(call: Call, request: BuildRequest) -> tuple[ExitCode, BuildReport]:
    from edgecnn.api import build_and_write
    from edgecnn.render.screens.report import show_measured, show_steps
    from edgecnn.render.terminal import show_lines

    report = build_and_write(request, call.tell)
    if request.goal == "judge":
        return show_judged(call, report), report

    def text() -> None:
        if request.goal == "profile":
            show_measured(report)
        else:
            show_steps(report)
            show_lines(_artifact_lines(report, request.goal, call.store))

    call.show(report, text)
    return ExitCode.OK, report


def show_judged(call: Call, report: BuildReport) -> ExitCode:
    """Show a report with its verdict, pass it to the CI job, and return the exit code."""
    from edgecnn.render.ci import sheet_of_report
    from edgecnn.render.screens.report import show_report

    return call.judge(sheet_of_report(report), report, lambda: show_report(report, verbose=call.options.verbose))


def _artifact_lines(report: BuildReport, goal: str, store: Store) -> list[str]:
    """Return the store folders that a verb without a verdict made: one of the trunk, or one for each candidate."""
    from edgecnn.store.entry import FILES, Layout

    layout = Layout(store.root)
    steps = {step: layout.entry(goal, key) / FILES for step, key in report.keys.items() if step.partition(":")[0] == goal}
    return [f"{step}: {folder}" for step, folder in steps.items() if folder.is_dir()]


def _signed_build(request: BuildRequest, key: Path, call: Call) -> ExitCode:
    """Build, and sign the bundle only if it passes. A bundle that did not change keeps its signature."""
    from edgecnn.bundle.manifest import SIGNATURE
    from edgecnn.bundle.publishing import sign_bundle
    from edgecnn.bundle.ssh_keygen import check_key
    from edgecnn.render.progress import Quiet
    from edgecnn.results.folder import BUNDLE

    check_key(key)
    status, report = _build_report(call, request)
    if status is not ExitCode.OK:
        kept = "; its earlier signature stays" if (request.out / BUNDLE / SIGNATURE).is_file() else ""
        call.warn([f"edgecnn: not signed: the build ended with exit code {int(status)}{kept}"])
        return status
    signed = sign_bundle(request.out, key, None, Quiet(), report)
    call.warn([f"edgecnn: signed {signed.name} version {signed.version}"])
    return status
