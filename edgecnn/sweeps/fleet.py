"""One report of all builds of a sweep: networks × devices, what is on each device's front, and which network does for all.

Latencies of two builds are of two races, maybe of two days: the front goes by their estimates, and says whether the intervals
tell two builds apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

import edgecnn
from edgecnn.judging.metrics import SHOWN
from edgecnn.results.folder import report_or_none
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.state import SweepState, build_folder
from edgecnn.values.base import Value
from edgecnn.values.report import BuildReport, CandidateFacts, Choice
from edgecnn.values.verdict import GateResult, Interval, Verdict

SCHEMA = "edgecnn.fleet/1"


class FleetCell(Value):
    """One build of the sweep, as its own report has it."""

    name: str
    variant: str
    """Its row: the network, and what else tells it from others."""
    network: str
    device: str
    runtime: str | None
    """Where the sweep names one."""
    state: Literal["finished", "changed", "failed", "waiting"]
    """changed: it is asked for otherwise now, and the figures are of what was asked before."""
    folder: str
    error: str | None = None
    exit_code: int | None = None
    verdict: Verdict = Verdict.MISSING
    gates: tuple[GateResult, ...] = ()
    choice: Choice | None = None
    facts: CandidateFacts | None = None
    """Of what ships; layers are left out: the build's own report has them."""
    machine: str | None = None
    made_at: str | None = None
    notices: tuple[str, ...] = ()
    beaten_by: str | None = None
    """A build for the same device that is more accurate and faster by the estimates; None on the front, or without figures."""
    beaten_for_sure: bool = False
    """Whether the intervals of both figures keep the two apart, and nothing else slowed its race."""

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
    def disturbed(self) -> bool:
        """Whether something else slowed its race, so that it may be faster than its figures."""
        return self.facts is not None and self.facts.latency is not None and self.facts.latency.disturbed is not None


class FleetDevice(Value):
    """The builds for one device."""

    device: str
    front: tuple[str, ...]
    """Builds that no other is both more accurate and faster than, the fastest first."""


class FleetVariant(Value):
    """One network over all devices."""

    variant: str
    verdicts: Mapping[str, Verdict]
    """Build to its verdict."""
    lowest: Interval | None
    """The least accuracy that it has on any device."""
    passes: bool
    """Whether every one of its builds passes its gates."""


class FleetReport(Value):
    """``fleet.json``."""

    schema_: Literal["edgecnn.fleet/1"] = Field(default="edgecnn.fleet/1", alias="schema")
    version: str = edgecnn.__version__
    made_at: str
    sweep: str
    cells: tuple[FleetCell, ...]
    devices: tuple[FleetDevice, ...]
    variants: tuple[FleetVariant, ...]
    for_all: str | None
    """Of the networks that pass on every device, the one whose least accuracy is the highest; None where none passes on all."""
    why: str
    """Of that, a sentence."""
    provisional: Mapping[str, str]
    """Build whose choice is provisional to the command that settles it."""
    changed: tuple[str, ...] = ()
    """What is asked for otherwise than when the sweep was last run."""
    command: str
    """That works the sweep off again."""


def fleet_of(cells: Sequence[Cell], asked: Mapping[str, str], state: SweepState, out: Path) -> FleetReport:
    """Read what the builds left; nothing is measured."""
    found = _with_fronts([_cell(cell, asked[cell.name], state, out) for cell in cells])
    names = dict.fromkeys(cell.variant for cell in found)
    variants = tuple(_variant(name, [cell for cell in found if cell.variant == name]) for name in names)
    best, why = _for_all(variants)
    return FleetReport(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        sweep=state.sweep,
        cells=tuple(found),
        devices=tuple(_device(name, found) for name in dict.fromkeys(cell.device for cell in found)),
        variants=variants,
        for_all=best,
        why=why,
        provisional={
            cell.name: cell.choice.settle_command or f"edgecnn bench {cell.folder}"
            for cell in found
            if cell.choice is not None and cell.choice.state == "provisional"
        },
        command=f"edgecnn sweep run {state.sweep} --out {out}",
    )


def _cell(cell: Cell, asked: str, state: SweepState, out: Path) -> FleetCell:
    folder = build_folder(out, cell.name)
    outcome = state.outcomes.get(cell.name)
    known: dict[str, Any] = {name: getattr(cell, name) for name in ("name", "variant", "network", "device", "runtime")}
    known["folder"] = str(folder)
    if outcome is None:
        return FleetCell(**known, state="waiting")
    report = report_or_none(folder)
    if report is None or not outcome.reported:
        return FleetCell(**known, state="failed", error=outcome.error or "its report is gone", exit_code=outcome.exit_code)
    facts = _chosen(report)
    return FleetCell(
        **known,
        state="finished" if outcome.asked == asked else "changed",
        exit_code=outcome.exit_code,
        verdict=report.verdict,
        gates=report.gates,
        choice=report.choice,
        facts=facts,
        machine=None if facts is None or facts.latency is None else facts.latency.machine,
        made_at=report.made_at,
        notices=report.notices,
    )


def _chosen(report: BuildReport) -> CandidateFacts | None:
    facts = next((each for each in report.candidates if each.chosen), None)
    if facts is None or facts.residency is None:
        return facts
    return facts.model_copy(update={"residency": facts.residency.model_copy(update={"layers": ()})})


def _with_fronts(cells: Sequence[FleetCell]) -> list[FleetCell]:
    return [_held_against(cell, [other for other in cells if other.device == cell.device]) for cell in cells]


def _held_against(cell: FleetCell, others: Sequence[FleetCell]) -> FleetCell:
    """With the build that beats it, one that does so for sure before one that does by the estimates."""
    accuracy, p50 = cell.accuracy, cell.p50_ms
    if accuracy is None or p50 is None:
        return cell
    found = None
    for other in others:
        right, time = other.accuracy, other.p50_ms
        if right is None or time is None or not (right.estimate >= accuracy.estimate and time.estimate < p50.estimate):
            continue
        sure = right.low > accuracy.high and time.high < p50.low and not cell.disturbed
        if found is None or (sure and not found[1]):
            found = other.name, sure
    return cell if found is None else cell.model_copy(update={"beaten_by": found[0], "beaten_for_sure": found[1]})


def _device(name: str, cells: Sequence[FleetCell]) -> FleetDevice:
    own = [cell for cell in cells if cell.device == name and cell.beaten_by is None and cell.accuracy is not None]
    timed = [(cell.p50_ms.estimate, cell.name) for cell in own if cell.p50_ms is not None]
    return FleetDevice(device=name, front=tuple(each for _, each in sorted(timed)))


def _variant(name: str, cells: Sequence[FleetCell]) -> FleetVariant:
    known = [cell.accuracy for cell in cells if cell.accuracy is not None]
    return FleetVariant(
        variant=name,
        verdicts={cell.name: cell.verdict for cell in cells},
        lowest=min(known, key=lambda each: each.estimate, default=None),
        passes=all(cell.state == "finished" and cell.verdict is Verdict.PASS for cell in cells),
    )


def _for_all(variants: Sequence[FleetVariant]) -> tuple[str | None, str]:
    passing = [each for each in variants if each.passes and each.lowest is not None]
    if not passing:
        most = max(variants, key=lambda each: sum(verdict is Verdict.PASS for verdict in each.verdicts.values()))
        passed = sum(verdict is Verdict.PASS for verdict in most.verdicts.values())
        return None, f"no network passes on every device; {most.variant} passes in {passed} of {len(most.verdicts)} builds"
    ranked = sorted(passing, key=lambda each: -(each.lowest.estimate if each.lowest else 0.0))
    best, why = ranked[0], f"{len(passing)} of {len(variants)} networks pass in every build; of these it is the most accurate"
    rival = ranked[1].lowest if len(ranked) > 1 else None
    if rival is not None and best.lowest is not None and rival.high >= best.lowest.low:
        why += f", not shown more accurate than {ranked[1].variant}: their intervals overlap"
    return best.variant, why
