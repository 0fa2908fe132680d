"""Measures a finished build again, on the machine that is its device: here, or on a board.

It is a build whose every step is there already: the same kits, raced and judged where they run, the same report and bundle
written anew, and a choice that was provisional is settled. Where the store no longer holds the steps behind the kits, what the
bundle carries is measured, and the report that lies there stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgecnn.bench.judge import JudgeRequest, MeasuringRequest, judge_finished
from edgecnn.building.build import BuildContext, measured_build, require_made
from edgecnn.building.engines import resolve_builder
from edgecnn.building.publish import Page, check_output
from edgecnn.devices.check.board import BoardUse, runtimes_of
from edgecnn.devices.files import parse_target
from edgecnn.devices.machine import Machine, machine_for
from edgecnn.devices.this_machine import attachment_of
from edgecnn.errors.building import BENCH_PROCESSOR_DIFFERS, BENCH_TARGET_DIFFERS, NothingToJudge
from edgecnn.errors.wording import shell_word
from edgecnn.judging.gates import StoredRace
from edgecnn.planning.plan import Plan, plan
from edgecnn.planning.request import BuildRequest
from edgecnn.results.finished import FinishedBuild, finished_build
from edgecnn.results.folder import BUNDLE
from edgecnn.store.store import Store
from edgecnn.values.board import HostRequest
from edgecnn.values.device import Device
from edgecnn.values.profile import Environment
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport
from edgecnn.values.stage import Progress


class BenchRequest(MeasuringRequest):
    """The same, and where."""

    host: HostRequest | None = None
    """None: this machine."""
    target: str | None = None
    """What the user takes the board for; it must be the device that was built for."""
    anew: bool = False
    """Whether a stored race may not serve."""

    @property
    def stored_race(self) -> StoredRace:
        """Whether a stored race serves."""
        return "never" if self.anew else "fresh-enough"

    @property
    def build(self) -> Path:
        """The build's folder, where its bundle was named."""
        inside = self.folder.resolve().name == BUNDLE and not (self.folder / BUNDLE).exists()
        return self.folder.resolve().parent if inside else self.folder


@dataclass(frozen=True)
class Benched:
    """What was found, and whether it was written over the report that lies there."""

    report: BuildReport
    written: bool


def bench(request: BenchRequest, store: Store, tell: Progress, pages: Mapping[str, Page] | None = None) -> Benched:
    """Measure, judge, and where the store still holds the build, write its report and bundle again.

    Raises EdgecnnError: the folder is no finished build, the board is another device (where the file leaves that open: has
    another processor than was built for) or cannot be reached, or a link was lost; the same call goes on where it stopped.
    """
    finished = finished_build(request.build)
    device = finished.resolved.device
    _require_same_device(request, device)
    asked = _as_a_build(request, finished)
    check_output(asked.out, asked.recipe.data.path)
    what = f"edgecnn bench {shell_word(request.folder)}"
    with machine_for(request.host, BoardUse(device, what, runtimes_of(finished.resolved.candidates)), tell) as machine:
        _require_same_processor(finished, machine)
        planned = _planned(finished, machine, tell)
        if not planned.resolved.attachment.attached:
            tell.note(f"{planned.resolved.attachment.why}: no latency is measured; --host USER@ADDRESS names a board")
        try:
            require_made(planned, store, asked)
        except NothingToJudge as error:
            tell.note(f"{error.what}: accuracy is the recorded one, and the report that lies there stays")
            same = {name: getattr(request, name) for name in MeasuringRequest.model_fields}
            judge = JudgeRequest(**{**same, "folder": request.build}, stored_race=request.stored_race, race=True)
            report = judge_finished(judge, machine.lab(store, tell), machine.facts, planned.resolved.device_builder)
            return Benched(report, written=False)
        report = measured_build(planned, machine, asked, BuildContext(store, tell, pages or {}))
    return Benched(report, written=True)


def _require_same_device(request: BenchRequest, device: Device) -> None:
    if request.target is None:
        return
    asked = parse_target(request.target).device
    if asked.name != device.name:
        raise BENCH_TARGET_DIFFERS(folder=request.folder, built_for=device.name, target=request.target)


def _require_same_processor(finished: FinishedBuild, machine: Machine) -> None:
    """A device file that leaves the processor to the machine recognises every machine; what was built for is in the report."""
    device = finished.resolved.device
    if device.processor.architecture != "any":
        return
    then, now = _processor(finished.report.environment), _processor(machine.environment)
    if any(now[name] != said for name, said in then.items() if said and now[name]):
        raise BENCH_PROCESSOR_DIFFERS(
            folder=finished.folder,
            device=device.name,
            built_for=_in_words(then),
            machine=machine.board or "this machine",
            here=_in_words(now),
        )


def _processor(environment: Environment) -> dict[str, str]:
    found = environment.observed.get("architecture"), environment.conditions.get("isa")
    return dict(zip(("architecture", "isa"), (each or "" for each in found), strict=True))


def _in_words(processor: Mapping[str, str]) -> str:
    return " with ".join(said for said in processor.values() if said)


def _as_a_build(request: BenchRequest, finished: FinishedBuild) -> BuildRequest:
    """The call that built it, as far as measuring goes."""
    resolved = finished.resolved
    stated = request.gates if request.gates != GateChoice() else None
    return BuildRequest(
        recipe=resolved.asked,
        device=resolved.device,
        device_file=None if resolved.device_file is None else Path(resolved.device_file),
        out=request.build,
        stored_race=request.stored_race,
        only_judge=True,
        gates=stated,
        host=request.host,
        **{name: getattr(request, name) for name in ("meter", "until", "extra_runs")},
        command=finished.report.build.called,
    )


def _planned(finished: FinishedBuild, machine: Machine, tell: Progress) -> Plan:
    """The plan of then, with the machine of now: no key depends on it but those of engines, which are its own."""
    attachment = attachment_of(finished.resolved.device, machine.facts, machine.board)
    return plan(resolve_builder(finished.resolved.model_copy(update={"attachment": attachment}), machine, tell))
