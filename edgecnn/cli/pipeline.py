"""`build`, the verbs that stop earlier, `judge` and `plan`: the same settings, so the same keys and the same store."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.against import AskedAgainst, judged_against
from edgecnn.cli.asking import Asked, request_from
from edgecnn.cli.exits import guarded
from edgecnn.cli.job import Job
from edgecnn.cli.judged import Manner, build_named, how_to_build, judged_build
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.bundle import NothingToSign
from edgecnn.errors.comparing import RoundsWithoutAgainst
from edgecnn.errors.usage import HostOfNothing, NothingJudged

if TYPE_CHECKING:
    from edgecnn.planning.request import BuildRequest
    from edgecnn.values.report import BuildReport

UP_TO: dict[str, tuple[str, str]] = {
    "train": ("train", "Train or fine-tune, and stop."),
    "export": ("export", "Go as far as the ONNX trunk, checked against torch."),
    "quantize": ("quantize", "Go as far as every candidate's model file."),
    "package": ("package", "Go as far as one kit a candidate."),
    "compile": ("compile", "Go as far as engines built ahead of time, where a builder is installed."),
    "profile": ("profile", "Measure every kit: accuracy, latency, residency. Judges nothing."),
}


ON_HOST = ("build", "profile")
"""Verbs that run kits."""


def register(app: typer.Typer) -> None:
    """Add the verbs, `build` first."""
    app.command("build", help="Train, export, quantize, package, measure and judge: from images to a bundle with its report.")(
        _verb("build", "judge")
    )
    app.command(
        "plan", help="Show what `build` would do: steps, keys, what is cached, what the test set can show. Runs nothing."
    )(_verb("plan", "judge"))
    for verb, (goal, text) in UP_TO.items():
        app.command(verb, help=text)(_verb(verb, goal))
    app.command(
        "judge",
        help="Judge a finished build (its folder), or what a recipe's last build left in the store: accuracy, size and residency "
        "from the store, latency raced anew where the device is at hand. With --against, race two of them.",
    )(_judge)


def _verb(verb: str, goal: str) -> Callable[..., None]:
    def command(  # noqa: PLR0913 - a command line's options are its parameters
        recipe: opt.RecipeArg = None,
        arch: opt.ArchOpt = None,
        onnx: opt.OnnxOpt = None,
        target: opt.TargetOpt = None,
        data: opt.DataOpt = None,
        no_labels: opt.NoLabelsOpt = False,
        weights: opt.WeightsOpt = None,
        transfer: opt.TransferOpt = None,
        teacher: opt.TeacherOpt = None,
        keep_head: opt.KeepHeadOpt = False,
        scale: opt.ScaleOpt = None,
        set_: opt.SetOpt = None,
        at_most: opt.MaxOpt = None,
        at_least: opt.MinOpt = None,
        require_measured: opt.RequireMeasuredOpt = False,
        unsure_passes: opt.UnsurePassesOpt = False,
        refresh_weights: opt.RefreshWeightsOpt = False,
        meter: opt.MeterOpt = None,
        until: opt.UntilOpt = None,
        batches: opt.BatchesOpt = None,
        end_to_end: opt.EndToEndOpt = False,
        soak: opt.SoakOpt = None,
        knobs: opt.KnobsOpt = False,
        objective: opt.ObjectiveOpt = None,
        tensorboard: opt.TensorboardOpt = None,
        time_budget: opt.TimeBudgetOpt = None,
        host: opt.HostOpt = None,
        python: opt.PythonOpt = None,
        clean: opt.CleanOpt = False,
        carry_wheels: opt.CarryWheelsOpt = False,
        out: opt.OutOpt = None,
        junit: opt.JunitOpt = None,
        sign: opt.SignOpt = None,
        as_json: opt.JsonOpt = False,
        quiet: opt.QuietOpt = False,
        debug: opt.DebugOpt = False,
    ) -> None:
        asked = Asked(
            recipe=recipe, arch=arch, onnx=onnx, target=target, data=data, weights=weights, scale=scale,
            overrides=tuple(set_ or ()), out=out,
            at_most=tuple(at_most or ()), at_least=tuple(at_least or ()), require_measured=require_measured,
            refresh_weights=refresh_weights, meter=meter, until=until, batches=batches, end_to_end=end_to_end, soak=soak,
            knobs=knobs, objective=objective, time_budget=time_budget, transfer=transfer, no_labels=no_labels,
            keep_head=keep_head, teacher=teacher, host=host, python=python, clean=clean, carry_wheels=carry_wheels,
            tensorboard=tensorboard, verb=verb,
        )  # fmt: skip
        _start(asked, goal, _Shown(as_json=as_json, quiet=quiet, debug=debug, job=_job(verb, junit, unsure_passes)), junit, sign)

    return command


def _refuse_what_only_builds_do(asked: Asked, shown: _Shown, *, junit: str | None, sign: str | None) -> None:
    if asked.host is not None and asked.verb not in ON_HOST:
        shown.refuse(HostOfNothing(verb=asked.verb))
    if asked.verb == "build":
        return
    if junit is not None:
        shown.refuse(NothingJudged(verb=asked.verb))
    if sign is not None:
        shown.refuse(NothingToSign(verb=asked.verb))


def _start(asked: Asked, goal: str, shown: _Shown, junit: str | None, sign: str | None) -> NoReturn:
    _refuse_what_only_builds_do(asked, shown, junit=junit, sign=sign)

    def body() -> ExitCode:
        request = request_from(asked, goal)  # type: ignore[arg-type]
        if asked.verb == "plan":
            return _plan(request, shown)
        return _build(request, shown) if sign is None else _signed_build(request, Path(sign), shown)

    shown.run(body)


def _job(verb: str, junit: str | None, unsure_passes: bool) -> Job:
    """Verdicts are a build's alone: another verb, which refuses ``--junit``, writes none."""
    return Job(junit if verb == "build" else None, unsure_passes=unsure_passes)


def _judge(  # noqa: PLR0913 - a command line's options are its parameters
    recipe: opt.JudgedArg = None,
    arch: opt.ArchOpt = None,
    onnx: opt.OnnxOpt = None,
    target: opt.TargetOpt = None,
    data: opt.DataOpt = None,
    no_labels: opt.NoLabelsOpt = False,
    weights: opt.WeightsOpt = None,
    transfer: opt.TransferOpt = None,
    teacher: opt.TeacherOpt = None,
    keep_head: opt.KeepHeadOpt = False,
    scale: opt.ScaleOpt = None,
    set_: opt.SetOpt = None,
    at_most: opt.MaxOpt = None,
    at_least: opt.MinOpt = None,
    require_measured: opt.RequireMeasuredOpt = False,
    unsure_passes: opt.UnsurePassesOpt = False,
    meter: opt.MeterOpt = None,
    until: opt.UntilOpt = None,
    batches: opt.BatchesOpt = None,
    end_to_end: opt.EndToEndOpt = False,
    soak: opt.SoakOpt = None,
    knobs: opt.KnobsOpt = False,
    objective: opt.ObjectiveOpt = None,
    out: opt.OutOpt = None,
    allow_stored: opt.AllowStoredOpt = False,
    against: opt.AgainstOpt = None,
    rounds: opt.AgainstRoundsOpt = None,
    junit: opt.JunitOpt = None,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    asked = Asked(
        recipe=recipe, arch=arch, onnx=onnx, target=target, data=data, weights=weights, scale=scale,
        overrides=tuple(set_ or ()), out=out, no_labels=no_labels, keep_head=keep_head,
        at_most=tuple(at_most or ()), at_least=tuple(at_least or ()), require_measured=require_measured, meter=meter,
        until=until, batches=batches, end_to_end=end_to_end, soak=soak, knobs=knobs, objective=objective, transfer=transfer,
        teacher=teacher, verb="judge",
    )  # fmt: skip
    shown = _Shown(as_json=as_json, quiet=quiet, debug=debug, job=Job(junit, unsure_passes=unsure_passes))
    if against is not None:
        other = _against(asked, against, rounds, allow_stored)
        shown.run(lambda: judged_against(other, shown.job, as_json=as_json, quiet=quiet))
    if rounds is not None:
        shown.refuse(RoundsWithoutAgainst(rounds=rounds))
    shown.run(lambda: _judged_alone(asked, allow_stored, shown))


def _judged_alone(asked: Asked, allow_stored: bool, shown: _Shown) -> ExitCode:
    """A finished build's folder as it is, or what a recipe's last build left in the store."""
    folder = build_named(asked.recipe)
    if folder is None:
        return _build(_judging_anew(request_from(asked, "judge"), allow_stored), shown)
    manner = Manner(allow_stored=allow_stored, as_json=shown.as_json, quiet=shown.quiet)
    return judged_build(folder, asked, manner, shown.job)


def _against(asked: Asked, base: str, rounds: int | None, allow_stored: bool) -> AskedAgainst:
    """The recipe's place holds HEAD here."""
    return AskedAgainst(
        head=asked.recipe,
        base=base,
        at_most=asked.at_most,
        at_least=asked.at_least,
        rounds=rounds,
        foreign=_foreign(asked, allow_stored),
    )


def _foreign(asked: Asked, allow_stored: bool) -> tuple[str, ...]:
    """Options that say how to build, or how a build by itself is judged."""
    given = {
        "--meter": asked.meter,
        "--until": asked.until,
        "--batches": asked.batches,
        "--end-to-end": asked.end_to_end,
        "--soak": asked.soak,
        "--allow-stored": allow_stored,
    }
    return (*how_to_build(asked), *(option for option, value in given.items() if value))


def _judging_anew(request: BuildRequest, allow_stored: bool) -> BuildRequest:
    """A gated time or energy wants a race of now, and in CI every one does: a stored one says nothing of this job's machine."""
    from edgecnn.judging.bounds import METRICS

    bounds = [*(request.gates or request.recipe.gates).max, *request.recipe.gates.max]
    gated = any(METRICS[name].source in ("latency", "energy") for name in bounds if name in METRICS)
    anew = not allow_stored and (gated or bool(os.environ.get("CI")))
    return request.model_copy(update={"stored_race": "never" if anew else "fresh-enough", "only_judge": True})


class _Shown:
    """How this call wants to be shown."""

    def __init__(self, *, as_json: bool, quiet: bool, debug: bool, job: Job) -> None:
        self.as_json, self.quiet, self.debug, self.job = as_json, quiet, debug, job

    def run(self, body: Callable[[], ExitCode]) -> NoReturn:
        raise typer.Exit(guarded(lambda: self.job.watched(body), as_json=self.as_json, debug=self.debug))

    def refuse(self, error: EdgecnnError) -> NoReturn:
        def body() -> ExitCode:
            raise error

        self.run(body)


def _build(request: BuildRequest, shown: _Shown) -> ExitCode:
    return _reported(request, shown)[0]


def _reported(request: BuildRequest, shown: _Shown) -> tuple[ExitCode, BuildReport]:
    from edgecnn.api import build_and_write
    from edgecnn.render.gate_sheet import sheet_of_report
    from edgecnn.render.progress import progress_for
    from edgecnn.render.terminal import show_json, show_lines, show_measured, show_report, show_steps

    tell = progress_for(quiet=shown.quiet or shown.as_json)
    try:
        report = build_and_write(request, tell)
    finally:
        tell.close()
    if request.goal == "judge":
        shown.job.tell(sheet_of_report(report, require_measured=_measured_is_required(request)))
    if shown.as_json:
        show_json(report.model_dump(mode="json", by_alias=True))
    elif request.goal == "judge":
        show_report(report)
    elif request.goal == "profile":
        show_measured(report)
    else:
        show_steps(report)
        show_lines(_lies_in(report, request.goal))
    return _status(request, report), report


def _lies_in(report: BuildReport, goal: str) -> list[str]:
    """Where a verb that makes one thing leaves it."""
    from edgecnn.store.layout import FILES, Layout
    from edgecnn.store.store import Store

    key = report.keys.get(goal)
    return [] if key is None else [f"{goal}: {Layout(Store.open().root).entry(goal, key) / FILES}"]


def _signed_build(request: BuildRequest, key: Path, shown: _Shown) -> ExitCode:
    """Only what passed is signed: a signature is somebody's word for it. An unchanged bundle keeps the one that it has."""
    from edgecnn.bundle.manifest import SIGNATURE
    from edgecnn.bundle.signing import sign_bundle
    from edgecnn.bundle.ssh_keygen import check_key
    from edgecnn.render.progress import Quiet
    from edgecnn.render.terminal import show_talk
    from edgecnn.results.folder import BUNDLE

    check_key(key)
    status, report = _reported(request, shown)
    if status is not ExitCode.OK:
        stays = "; its earlier signature stays" if (request.out / BUNDLE / SIGNATURE).is_file() else ""
        show_talk([f"edgecnn: not signed: the build ended with {int(status)}{stays}"])
        return status
    signed = sign_bundle(request.out, key, None, Quiet(), report)
    show_talk([f"edgecnn: signed {signed.name} version {signed.version}"])
    return status


def _status(request: BuildRequest, report: BuildReport) -> ExitCode:
    """A verb that stops earlier judges nothing: it fails only where a step did."""
    from edgecnn.judging.gates import exit_code_of

    if request.goal != "judge":
        unmeasured = [facts.outcomes["measure"] for facts in report.candidates if "measure" in facts.outcomes]
        failed = any(outcome.outcome in ("failed", "blocked") for outcome in (*report.outcomes.values(), *unmeasured))
        return ExitCode.MISSING if failed else ExitCode.OK
    return exit_code_of(report.gates, require_measured=_measured_is_required(request))


def _measured_is_required(request: BuildRequest) -> bool:
    return request.recipe.gates.require_measured or (request.gates is not None and request.gates.require_measured)


def _plan(request: BuildRequest, shown: _Shown) -> ExitCode:
    from edgecnn.building.build import plan_build
    from edgecnn.render.planned import show_plan
    from edgecnn.render.progress import progress_for
    from edgecnn.render.terminal import show_json
    from edgecnn.store.store import Store

    tell = progress_for(quiet=shown.quiet or shown.as_json)
    try:
        planned = plan_build(request, Store.open(), tell)
    finally:
        tell.close()
    if shown.as_json:
        show_json(planned.facts())
    else:
        show_plan(planned)
    return ExitCode.OK
