"""Finished builds of a sweep, judged again under the bounds of one call. Nothing in any folder of results is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgecnn.bench.judge import JudgeRequest, judge_finished
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.sweeps import NothingSwept
from edgecnn.judging.gates import exit_code_of
from edgecnn.measure.lab import Lab
from edgecnn.sweeps.sweep import OpenSweep
from edgecnn.values.base import Value
from edgecnn.values.report import BuildReport
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Verdict


class JudgedBuild(Value):
    """One build of the sweep, as this call judges it."""

    name: str
    exit_code: int
    verdict: Verdict = Verdict.MISSING
    report: BuildReport | None = None
    """Of this judging; None where there is nothing to judge."""
    require_measured: bool = False
    error: str | None = None


class SweepJudgement(Value):
    """``edgecnn sweep judge --json``."""

    schema_: Literal["edgecnn.sweep-judgement/1"] = Field(default="edgecnn.sweep-judgement/1", alias="schema")
    sweep: str
    builds: tuple[JudgedBuild, ...]


def judge_sweep(given: OpenSweep, how: JudgeRequest, lab: Lab, tell: Progress) -> SweepJudgement:
    """Judge every finished build as ``edgecnn judge FOLDER`` does; of one that is not finished, something is missing.

    ``how``: bounds and what is measured, whatever its folder. Raises NothingSwept: none is finished.
    """
    cells = given.report.cells
    if not any(cell.state == "finished" for cell in cells):
        raise NothingSwept(out=given.out, command=given.report.command)

    def judged() -> Iterator[JudgedBuild]:
        for done, cell in enumerate(cells):
            tell.step(f"judge {cell.name}", done, len(cells), "builds")
            if cell.state != "finished":
                yield JudgedBuild(name=cell.name, exit_code=cell.exit_code, error=cell.error or f"its build is {cell.state}")
                continue
            yield _judged(cell.name, how.model_copy(update={"folder": Path(cell.folder)}), lab)

    return SweepJudgement(sweep=str(given.sweep.path), builds=tuple(judged()))


def _judged(name: str, request: JudgeRequest, lab: Lab) -> JudgedBuild:
    try:
        found = judge_finished(request, lab)
    except EdgecnnError as error:
        return JudgedBuild(name=name, exit_code=int(error.exit_code), error=error.line())
    code: ExitCode = exit_code_of(found.report.gates, require_measured=found.require_measured)
    return JudgedBuild(
        name=name, exit_code=code, verdict=found.report.verdict, report=found.report, require_measured=found.require_measured
    )
