"""Measure a finished build again on its device: this machine or a board.

The store already holds every step of the build. Its kits are raced and judged again, the report and the bundle are rewritten, and
a provisional choice is settled. If the store no longer holds the steps, the bundle's kit is measured and the report stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgecnn.bench.judge import JudgeRequest, MeasuringRequest, judge_finished
from edgecnn.building.build import BuildContext, Page, check_output, measured_build, require_made
from edgecnn.building.engines import resolve_builder
from edgecnn.devices.check.board import BoardUse, runtimes_of
from edgecnn.devices.files import parse_target
from edgecnn.devices.machine import Machine, machine_for
from edgecnn.devices.this_machine import attachment_of
from edgecnn.errors.building import BENCH_PROCESSOR_DIFFERS, BENCH_TARGET_DIFFERS, NothingToJudge
from edgecnn.errors.wording import shell_word
from edgecnn.judging.gates import StoredRace
from edgecnn.planning.plan import plan
from edgecnn.planning.request import BuildRequest
from edgecnn.results.finished import FinishedBuild, finished_build
from edgecnn.results.folder import BUNDLE
from edgecnn.store.store import Store
from edgecnn.values.board import HostRequest
from edgecnn.values.profile import Environment
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport
from edgecnn.values.stage import Progress


class BenchRequest(MeasuringRequest):
    """What to measure of a finished build, and on which machine."""

    host: HostRequest | None = None
    """None: this machine."""
    target: str | None = None
    """The device that the user names for the board; it must be the device of the build."""
    anew: bool = False
    """Race again even if the store holds a race."""

    @property
    def stored_race(self) -> StoredRace:
        """Whether a stored race may be used."""
        return "never" if self.anew else "fresh-enough"

    @property
    def build(self) -> Path:
        """The folder of the build, also if the user named its bundle."""
        inside = self.folder.resolve().name == BUNDLE and not (self.folder / BUNDLE).exists()
        return self.folder.resolve().parent if inside else self.folder


@dataclass(frozen=True)
class Benched:
    """A report, and whether it replaced the one in the build's folder."""

    report: BuildReport
    written: bool


def bench(request: BenchRequest, store: Store, tell: Progress, pages: Mapping[str, Page] | None = None) -> Benched:
    """Measure and judge a finished build. If the store still holds its steps, rewrite its report and bundle.

    Raises EdgecnnError: the folder is not a finished build, the board is another device or has another processor, cannot be
    reached, or a link was lost. After a lost link the same call continues where it stopped.
    """
    finished = finished_build(request.build)
    device = finished.resolved.device
    if request.target is not None and parse_target(request.target).device.name != device.name:
        raise BENCH_TARGET_DIFFERS(folder=request.folder, built_for=device.name, target=request.target)
    build_request = _build_request(request, finished)
    check_output(build_request.out, build_request.recipe.data.path)
    command = f"edgecnn bench {shell_word(request.folder)}"
    with machine_for(request.host, BoardUse(device, command, runtimes_of(finished.resolved.candidates)), tell) as machine:
        _require_same_processor(finished, machine)
        # Of all keys of the original plan, only those of engines depend on the machine.
        resolved = finished.resolved.model_copy(
            update={"attachment": attachment_of(finished.resolved.device, machine.facts, machine.board)}
        )
        planned = plan(resolve_builder(resolved, machine, tell))
        if not planned.resolved.attachment.attached:
            tell.note(f"{planned.resolved.attachment.why}: latency is not measured; --host USER@ADDRESS names a board")
        try:
            require_made(planned, store, build_request)
        except NothingToJudge as error:
            tell.note(f"{error.what}: accuracy is the recorded one, and report.json is not rewritten")
            settings = {name: getattr(request, name) for name in MeasuringRequest.model_fields}
            judge = JudgeRequest(**{**settings, "folder": request.build}, stored_race=request.stored_race, race=True)
            report = judge_finished(judge, machine.lab(store, tell), machine.facts, planned.resolved.device_builder)
            return Benched(report, written=False)
        report = measured_build(planned, machine, build_request, BuildContext(store, tell, pages or {}))
    return Benched(report, written=True)


def _require_same_processor(finished: FinishedBuild, machine: Machine) -> None:
    """Compare processors if the device file does not state one: such a file recognises every machine."""
    device = finished.resolved.device
    if device.processor.architecture != "any":
        return
    built_for, here = _processor(finished.report.environment), _processor(machine.environment)
    if any(here[name] != value for name, value in built_for.items() if value and here[name]):
        raise BENCH_PROCESSOR_DIFFERS(
            folder=finished.folder,
            device=device.name,
            built_for=_processor_text(built_for),
            machine=machine.board or "this machine",
            here=_processor_text(here),
        )


def _processor(environment: Environment) -> dict[str, str]:
    return {
        "architecture": environment.observed.get("architecture") or "",
        "isa": environment.conditions.get("isa") or "",
    }


def _processor_text(processor: Mapping[str, str]) -> str:
    return " with ".join(part for part in processor.values() if part)


def _build_request(request: BenchRequest, finished: FinishedBuild) -> BuildRequest:
    """The build's own request, with the measuring options of this call."""
    resolved = finished.resolved

    return BuildRequest(
        recipe=resolved.asked,
        device=resolved.device,
        device_file=None if resolved.device_file is None else Path(resolved.device_file),
        out=request.build,
        stored_race=request.stored_race,
        only_judge=True,
        gates=request.gates if request.gates != GateChoice() else None,
        host=request.host,
        **{name: getattr(request, name) for name in ("meter", "until", "extra_runs")},
        command=finished.report.build.called,
    )
