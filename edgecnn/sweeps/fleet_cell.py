"""One build of a sweep, as its own report has it, and whether that is still the build that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from edgecnn.building.notices import timing_command
from edgecnn.errors.base import ExitCode
from edgecnn.judging.bounds import bound_of
from edgecnn.judging.gates import exit_code_of
from edgecnn.judging.metrics import SHOWN
from edgecnn.results.folder import report_or_none
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.state import Since, SweepState, build_folder
from edgecnn.values.base import Dated, Value
from edgecnn.values.command import Command
from edgecnn.values.report import BuildReport, CandidateFacts, Choice
from edgecnn.values.verdict import GateResult, Interval, Verdict


class FleetCell(Value):
    """One build of the sweep, as its own report has it."""

    name: str
    variant: str
    """Its row: the network, and what else tells it from others."""
    network: str
    device: str
    runtime: str | None
    """Where the sweep names one."""
    tested_on: str
    """Builds with this in common are tested on the same images."""
    state: Literal["finished", "changed", "failed", "waiting"]
    """changed: it is asked for otherwise now, and the figures are of what was asked before."""
    folder: str
    error: str | None = None
    exit_code: int
    """What a process may say of it: of a build that is not finished, that something is missing."""
    seconds: float = 0.0
    verdict: Verdict = Verdict.MISSING
    gates: tuple[GateResult, ...] = ()
    require_measured: bool = False
    choice: Choice | None = None
    facts: CandidateFacts | None = None
    """Of what ships; layers are left out: the build's own report has them."""
    machine: str | None = None
    board: str | None = None
    """The leased board that measured it."""
    made_at: Dated | None = None
    notices: tuple[str, ...] = ()
    since: Since | None = None
    """Against what it was before it was asked for otherwise; None where it never was."""
    beaten_by: str | None = None
    """A finished build for the same device, tested on the same images, that is faster and no less accurate by the estimates; None
    on the front, or without figures."""
    beaten_for_sure: bool = False
    """Whether the intervals of both figures keep the two apart, those of latency by more than days differ, and nothing else
    slowed its race."""

    measured_by: str | None = None
    """The command that settles a provisional choice, or times a build whose device was not attached; None of any other."""

    @property
    def not_measured(self) -> str | None:
        """Its bounds for which nothing was measured, such as ``p99_ms ≤ 20``; None where there is none such."""
        return " and ".join(bound_of(each.gate) for each in self.gates if each.verdict is Verdict.MISSING) or None

    @property
    def accuracy(self) -> Interval | None:
        """Top-1 on its test split, or mAP."""
        answered = None if self.facts is None else self.facts.answered
        return None if answered is None else answered.share

    @property
    def p50_ms(self) -> Interval | None:
        """Of what ships, on the device."""
        return None if self.facts is None else SHOWN["p50_ms"].value(self.facts)

    @property
    def several_labels(self) -> bool:
        """Whether its accuracy is mAP."""
        return self.facts is not None and self.facts.multi_label is not None

    @property
    def on_front(self) -> bool:
        """Whether it is finished, has both figures, and nothing beats it."""
        return self.state == "finished" and self.beaten_by is None and None not in (self.accuracy, self.p50_ms)

    @property
    def disturbed(self) -> bool:
        """Whether something else slowed its race, so that it may be faster than its figures."""
        return self.facts is not None and self.facts.latency is not None and self.facts.latency.disturbed is not None


def cell_of(cell: Cell, asked: str, state: SweepState, out: Path) -> FleetCell:
    """What a build left in the sweep's folder ``out``; ``asked``: its ``fingerprints``. Nothing is measured."""
    folder, outcome = build_folder(out, cell.name), state.outcomes.get(cell.name)
    shared = ("name", "variant", "network", "device", "runtime", "tested_on")
    known: dict[str, Any] = {name: getattr(cell, name) for name in shared} | {"folder": str(folder)}
    if outcome is None:
        return FleetCell(**known, state="waiting", exit_code=ExitCode.MISSING)
    known["seconds"] = outcome.seconds
    report = report_or_none(folder)
    if report is None or not outcome.reported:
        code = ExitCode.MISSING if outcome.reported else _code(outcome.exit_code)
        return FleetCell(**known, state="failed", error=outcome.error or "its report is gone", exit_code=code)
    ships, strict = report.shipped, cell.recipe.gates.require_measured or cell.gates.require_measured
    current = outcome.asked == asked and cell.name not in state.begun
    facts = None if ships is None else ships.without_layers
    code = exit_code_of(report.gates, require_measured=strict)
    return FleetCell(
        **known,
        state="finished" if current else "changed",
        exit_code=code if current else ExitCode.MISSING,
        verdict=report.verdict,
        gates=report.gates,
        require_measured=strict,
        choice=report.choice,
        facts=facts,
        machine=None if facts is None or facts.latency is None else facts.latency.machine,
        board=outcome.board,
        made_at=report.made_at,
        notices=report.notices,
        since=outcome.since if current else None,
        measured_by=_measured_by(report, folder),
    )


def _measured_by(report: BuildReport, folder: Path) -> str | None:
    if report.choice.state == "provisional":
        return report.choice.settle_command or str(Command(verb=("bench",), parts=((str(folder),),)))
    return None if report.build.device_attached else timing_command(folder, report.build.device, report.build.called)


def _code(of_process: int) -> ExitCode:
    """A build that a signal ended, and whatever else is no code of ours, is missing."""
    return ExitCode(of_process) if of_process in set(ExitCode) else ExitCode.MISSING
