"""`edgecnn judge BUILD`: a finished build by itself, as it lies in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.cli.asking import Asked, refuse_unusable_texts
from edgecnn.cli.job import Job
from edgecnn.errors.base import ExitCode

if TYPE_CHECKING:
    from edgecnn.bench.judge import JudgeRequest


@dataclass(frozen=True)
class Manner:
    """How a judgement is made and shown."""

    allow_stored: bool
    as_json: bool
    quiet: bool


def build_named(recipe: str | None) -> Path | None:
    """The folder of a build that stands in a recipe's place; None where a recipe, a pipeline or nothing does."""
    from edgecnn.results.finished import build_folder

    return build_folder(recipe) if recipe and recipe.strip() and "\0" not in recipe else None


def judged_build(folder: Path, asked: Asked, manner: Manner, job: Job) -> ExitCode:
    """Judge it and show the report."""
    from edgecnn.bench.judge import judge_finished
    from edgecnn.devices.machine import local_lab
    from edgecnn.judging.gates import exit_code_of
    from edgecnn.render.gate_sheet import sheet_of_report
    from edgecnn.render.progress import progress_for
    from edgecnn.render.terminal import show_json, show_report
    from edgecnn.store.store import Store

    request = _request(folder, asked, manner)
    tell = progress_for(quiet=manner.quiet or manner.as_json)
    try:
        judged = judge_finished(request, local_lab(Store.open(), tell))
    finally:
        tell.close()
    report = judged.report
    job.tell(sheet_of_report(report, require_measured=judged.require_measured))
    if manner.as_json:
        show_json(report.model_dump(mode="json", by_alias=True))
    else:
        show_report(report)
    return exit_code_of(report.gates, require_measured=judged.require_measured)


def _request(folder: Path, asked: Asked, manner: Manner) -> JudgeRequest:
    from edgecnn.bench.judge import JudgeRequest
    from edgecnn.errors.comparing import OptionsNotWithBuild
    from edgecnn.judging.bounds import parse_bounds
    from edgecnn.planning.request import extra_runs_of, share_of

    refuse_unusable_texts(asked)
    foreign = how_to_build(asked)
    if foreign:
        raise OptionsNotWithBuild(folder=folder, options=foreign)
    return JudgeRequest(
        folder=folder,
        gates=parse_bounds(asked.at_most, asked.at_least, require_measured=asked.require_measured),
        allow_stored=manner.allow_stored,
        meter=None if asked.meter is None else Path(asked.meter),
        until=None if asked.until is None else share_of(asked.until),
        extent=extra_runs_of(asked.batches, end_to_end=asked.end_to_end, soak=asked.soak),
    )


def how_to_build(asked: Asked) -> tuple[str, ...]:
    """The options among these that say how to build, and where results would go."""
    given = {
        "--arch": asked.arch,
        "--model": asked.onnx,
        "--target": asked.target,
        "--data": asked.data,
        "--no-labels": asked.no_labels,
        "--weights": asked.weights,
        "--keep-head": asked.keep_head,
        "--scale": asked.scale,
        "--set": asked.overrides,
        "--knobs": asked.knobs,
        "--objective": asked.objective,
        "--transfer": asked.transfer,
        "--teacher": asked.teacher,
        "--out": asked.out,
    }
    return tuple(option for option, value in given.items() if value)
