"""One report of all builds of a sweep: networks × devices, the front of each device, and the best network for all devices.

Latencies of two builds come from two races, perhaps on two days. A build whose settings changed since is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

import edgecnn
from edgecnn.building.notices import timing_command
from edgecnn.errors.base import ExitCode
from edgecnn.errors.wording import first_of
from edgecnn.judging.gates import bound_of, bound_parts, exit_code_of
from edgecnn.judging.metrics import SHOWN
from edgecnn.results.folder import report_or_none
from edgecnn.sweeps.boards import KinRace, kin_races
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.state import Since, SweepState, build_folder, changed_since
from edgecnn.values.base import Dated, Value
from edgecnn.values.command import Command
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport, CandidateFacts, Choice, Remedy
from edgecnn.values.verdict import GateResult, Interval, Verdict


class FleetCell(Value):
    """One build of the sweep, as its own report has it."""

    name: str
    variant: str
    """Its row: the network and other distinguishing settings."""
    network: str
    device: str
    runtime: str | None
    """The runtime, if the sweep names one."""
    tested_on: str
    """Builds with the same value are tested on the same images."""
    state: Literal["finished", "changed", "failed", "waiting"]
    """changed: its settings have changed, so the figures belong to earlier ones."""
    folder: str
    error: str | None = None
    exit_code: int
    """Exit code for a process; an unfinished build counts as missing."""
    seconds: float = 0.0
    verdict: Verdict = Verdict.MISSING
    gates: tuple[GateResult, ...] = ()
    gates_dropped: GateChoice = Field(default=GateChoice(), exclude_if=lambda bounds: not bounds)
    """Bounds of an earlier command line that the build does not judge."""
    require_measured: bool = False
    choice: Choice | None = None
    facts: CandidateFacts | None = None
    """Of the shipped candidate, without layers, which the build's own report has."""
    machine: str | None = None
    board: str | None = None
    """The leased board that measured it."""
    made_at: Dated | None = None
    notices: tuple[str, ...] = ()
    remedy: Remedy | None = Field(default=None, exclude_if=lambda remedy: remedy is None)
    """What is most likely to improve a weak network; None if it is not weak."""
    since: Since | None = None
    """Compared with its result under earlier settings; None if they never changed."""
    beaten_by: str | None = None
    """A finished build for the same device and test images that is faster and no less accurate by the estimates, or None."""
    beaten_for_sure: bool = False
    """Whether the intervals of both figures are apart, for latency by more than days differ, and its race was not disturbed."""
    measured_by: str | None = None
    """The command that settles a provisional choice, or times a build whose device was not attached; None for other builds."""

    @property
    def not_measured(self) -> str | None:
        """Bounds without a measurement, such as ``p99_ms ≤ 20``, or None."""
        return " and ".join(bound_of(result.gate) for result in self.gates if result.verdict is Verdict.MISSING) or None

    @property
    def accuracy(self) -> Interval | None:
        """Top-1 on its test split, or mAP."""
        answered = None if self.facts is None else self.facts.answered
        return None if answered is None else answered.share

    @property
    def p50_ms(self) -> Interval | None:
        """Of the shipped candidate, on the device."""
        return None if self.facts is None else SHOWN["p50_ms"].value(self.facts)

    @property
    def several_labels(self) -> bool:
        """Whether its accuracy is mAP."""
        return self.facts is not None and self.facts.multi_label is not None

    @property
    def is_on_front(self) -> bool:
        """Whether it is finished, has both figures, and no build beats it."""
        return self.state == "finished" and self.beaten_by is None and None not in (self.accuracy, self.p50_ms)

    @property
    def disturbed(self) -> bool:
        """Whether other work slowed its race, so that it may be faster."""
        return self.facts is not None and self.facts.latency is not None and self.facts.latency.disturbed is not None


def fleet_cell(cell: Cell, fingerprint: str, state: SweepState, out: Path) -> FleetCell:
    """Read a build's results in the sweep's folder ``out``. ``fingerprint``: of its present request. Nothing is measured."""
    folder, outcome = build_folder(out, cell.name), state.outcomes.get(cell.name)
    shared = ("name", "variant", "network", "device", "runtime", "tested_on")
    facts_of_cell: dict[str, Any] = {name: getattr(cell, name) for name in shared} | {"folder": str(folder)}
    if outcome is None:
        return FleetCell(**facts_of_cell, state="waiting", exit_code=ExitCode.MISSING)
    facts_of_cell["seconds"] = outcome.seconds
    report = report_or_none(folder)
    if report is None or not outcome.reported:
        is_exit_code = outcome.exit_code in set(ExitCode)  # not a signal
        code = ExitCode.MISSING if outcome.reported or not is_exit_code else ExitCode(outcome.exit_code)
        return FleetCell(**facts_of_cell, state="failed", error=outcome.error or "its report was removed", exit_code=code)
    ships = report.shipped
    current = outcome.asked == fingerprint and cell.name not in state.begun
    facts = None if ships is None else ships.compact
    code = exit_code_of(report.gates, require_measured=report.require_measured)
    return FleetCell(
        **facts_of_cell,
        state="finished" if current else "changed",
        exit_code=code if current else ExitCode.MISSING,
        verdict=report.verdict,
        gates=report.gates,
        gates_dropped=report.gates_dropped,
        require_measured=report.require_measured,
        choice=report.choice,
        facts=facts,
        machine=None if facts is None or facts.latency is None else facts.latency.machine,
        board=outcome.board,
        made_at=report.made_at,
        notices=report.notices,
        remedy=report.remedy,
        since=outcome.since if current else None,
        measured_by=_measuring_command(report, folder),
    )


def _measuring_command(report: BuildReport, folder: Path) -> str | None:
    if report.choice.state == "provisional":
        return report.choice.settle_command or str(Command(verb=("bench",), parts=((str(folder),),)))
    return None if report.build.device_attached else timing_command(folder, report.build.device, report.build.called)


BETWEEN_DAYS = 1.1
"""Ratio of one kit's times on two days. If days have a standard deviation of 3 %, the ratio is larger once in a hundred times."""


class FleetDevice(Value):
    """The builds for one device."""

    device: str
    front: tuple[str, ...]
    """Builds that no build beats, the fastest first; one front for each set of test images."""


class FleetVariant(Value):
    """One network over all devices."""

    variant: str
    verdicts: Mapping[str, Verdict]
    """Build to its verdict."""
    lowest: Interval | None
    """Its lowest accuracy on any device."""
    lacks: tuple[str, ...]
    """Devices of the sweep without a build of it."""
    not_measured: Mapping[str, str] = {}
    """Finished build to its bounds without a measurement, such as ``p99_ms ≤ 20``."""
    passes: bool
    """Whether it has a finished build for every device, and each passes its gates with every bound measured."""


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
    """The network with the highest lowest accuracy among those that pass on every device, or None."""
    why: str
    """The reason, a sentence; for networks that only lack measurements also the command."""
    provisional: Mapping[str, str]
    """Build with a provisional choice to the command that settles it."""
    set_aside: Mapping[str, str] = {}
    """Leased board to the reason why the last call excluded it."""
    kin: tuple[KinRace, ...] = ()
    """Comparisons of leased boards of a kind, if several measured builds."""
    changed: tuple[str, ...] = ()
    """Changes since the last run, a sentence each."""
    command: str
    """The command that runs the sweep again."""


def fleet_report(cells: Sequence[Cell], fingerprints: Mapping[str, str], state: SweepState, out: Path) -> FleetReport:
    """Report on the results of all builds. Nothing is measured."""
    rows = _mark_beaten([fleet_cell(cell, fingerprints[cell.name], state, out) for cell in cells])
    names, devices = dict.fromkeys(cell.variant for cell in rows), tuple(dict.fromkeys(cell.device for cell in rows))
    variants = tuple(_variant(name, [cell for cell in rows if cell.variant == name], devices) for name in names)
    best, why = _best_for_all(variants, rows)
    return FleetReport(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        sweep=state.sweep,
        cells=tuple(rows),
        devices=tuple(_device_front(name, rows) for name in devices),
        variants=variants,
        for_all=best,
        why=why,
        provisional={
            cell.name: cell.measured_by
            for cell in rows
            if cell.choice is not None and cell.choice.state == "provisional" and cell.measured_by is not None
        },
        set_aside=state.set_aside,
        kin=kin_races(cells, state.outcomes, out),
        changed=tuple(changed_since(state, fingerprints)),
        command=str(Command(verb=("sweep", "run"), parts=((state.sweep,), *bound_parts(state.gates), ("--out", str(out))))),
    )


def _mark_beaten(cells: Sequence[FleetCell]) -> list[FleetCell]:
    def alike(one: FleetCell, other: FleetCell) -> bool:
        return (one.device, one.tested_on, one.several_labels) == (other.device, other.tested_on, other.several_labels)

    finished = [cell for cell in cells if cell.state == "finished"]
    return [_mark_if_beaten(cell, [other for other in finished if alike(cell, other)]) for cell in cells]


def _mark_if_beaten(cell: FleetCell, others: Sequence[FleetCell]) -> FleetCell:
    """Add the build that beats a cell. A build that beats it surely is preferred to one that beats it by estimates only."""
    accuracy, p50 = cell.accuracy, cell.p50_ms
    if accuracy is None or p50 is None or cell.state != "finished":
        return cell
    nearest = None
    for other in others:
        right, time = other.accuracy, other.p50_ms
        if right is None or time is None or not (right.estimate >= accuracy.estimate and time.estimate < p50.estimate):
            continue
        one_machine = (cell.machine, cell.board) == (other.machine, other.board)
        faster = time.confidence > 0 and p50.confidence > 0 and time.high * BETWEEN_DAYS < p50.low and not cell.disturbed
        sure = one_machine and right.low > accuracy.high and faster
        if nearest is None or (sure and not nearest[1]):
            nearest = other.name, sure
    return cell if nearest is None else cell.model_copy(update={"beaten_by": nearest[0], "beaten_for_sure": nearest[1]})


def _device_front(name: str, cells: Sequence[FleetCell]) -> FleetDevice:
    own = [cell for cell in cells if cell.device == name and cell.is_on_front]
    timed = [(cell.p50_ms.estimate, cell.name) for cell in own if cell.p50_ms is not None]
    return FleetDevice(device=name, front=tuple(member for _, member in sorted(timed)))


def _variant(name: str, cells: Sequence[FleetCell], devices: Sequence[str]) -> FleetVariant:
    accuracies = [cell.accuracy for cell in cells if cell.accuracy is not None]
    lacks = tuple(device for device in devices if device not in {cell.device for cell in cells})
    not_measured = {cell.name: cell.not_measured for cell in cells if cell.state == "finished" and cell.not_measured is not None}
    return FleetVariant(
        variant=name,
        verdicts={cell.name: cell.verdict if cell.state == "finished" else Verdict.MISSING for cell in cells},
        lowest=min(accuracies, key=lambda interval: interval.estimate, default=None),
        lacks=lacks,
        not_measured=not_measured,
        passes=not lacks
        and not not_measured
        and all(cell.state == "finished" and cell.verdict is Verdict.PASS for cell in cells),
    )


def _best_for_all(variants: Sequence[FleetVariant], cells: Sequence[FleetCell]) -> tuple[str | None, str]:
    """Return the best variant for all devices and the reason. Accuracies on different images or metrics are not compared."""
    passing = [variant for variant in variants if variant.passes and variant.lowest is not None]
    if not passing:
        most = max(variants, key=lambda variant: sum(verdict is Verdict.PASS for verdict in variant.verdicts.values()))
        passed = sum(verdict is Verdict.PASS for verdict in most.verdicts.values())
        lacks = f" and has no build for {', '.join(most.lacks)}" if most.lacks else ""
        sentence = f"no network passes on every device; {most.variant} passes in {passed} of {len(most.verdicts)} builds{lacks}"
        return None, sentence + _not_measured([most], cells)
    left = _not_measured([variant for variant in variants if _lacks_only_measurements(variant)], cells)
    if len({(cell.tested_on, cell.several_labels) for cell in cells if cell.accuracy}) > 1:
        named = ", ".join(variant.variant for variant in passing)
        return None, f"these pass on every device, but are not ranked, since their test images differ: {named}{left}"
    ranked = sorted(passing, key=lambda variant: -(variant.lowest.estimate if variant.lowest else 0.0))
    best, why = ranked[0], f"{len(passing)} of {len(variants)} networks pass on every device; it is the most accurate of them"
    rival = ranked[1].lowest if len(ranked) > 1 else None
    if rival is not None and best.lowest is not None and rival.high >= best.lowest.low:
        why += f", not shown more accurate than {ranked[1].variant}: their intervals overlap"
    return best.variant, why + left


def _lacks_only_measurements(variant: FleetVariant) -> bool:
    """Whether a variant passes on every device except for missing measurements."""
    passes = all(verdict is Verdict.PASS or name in variant.not_measured for name, verdict in variant.verdicts.items())
    return bool(variant.not_measured) and not variant.lacks and passes


def _not_measured(variants: Sequence[FleetVariant], cells: Sequence[FleetCell]) -> str:
    commands = {cell.name: "" if cell.measured_by is None else f": {cell.measured_by}" for cell in cells}
    unmeasured = [f"{name} for {bounds}{commands[name]}" for variant in variants for name, bounds in variant.not_measured.items()]
    return f"; not measured: {first_of(unmeasured, 3)}" if unmeasured else ""
