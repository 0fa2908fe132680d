"""Measures a bundle alone, a folder or a zip, where no build's folder lies beside it: here, or on a board.

The bundle is verified first and stays as it is. What was measured is filed in the store as ever, and goes to a folder of its own
together with ``bundle-bench.json``. Its choice is not settled by this: that takes the build's recipe.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import edgecnn
from edgecnn.bench.bench import BenchRequest
from edgecnn.bench.bundle_rows import Measured, output_folder, rows_of, write_bench
from edgecnn.bench.facts import BundleBench
from edgecnn.bench.images import ReportImages, shown_images, stored_images
from edgecnn.building.engines import WithEngines, builder_for, with_engines
from edgecnn.building.runnable import why_not_runnable
from edgecnn.bundle.manifest import Recorded, recorded_in
from edgecnn.bundle.verify import Trust, Verified, unpacked, verify
from edgecnn.devices.check.ready import Wanted, runtimes_of
from edgecnn.devices.files import device_named, known_devices, parse_target
from edgecnn.devices.machine import THIS_MACHINE, Machine, machine_for
from edgecnn.devices.this_machine import matches
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.board import BoardError
from edgecnn.errors.building import BenchDeviceUnknown, BenchOptionOfBuild, BenchTargetDiffers, NoKitRuns
from edgecnn.errors.devices import UnknownDevice
from edgecnn.judging.accuracy import check_finite
from edgecnn.judging.bounds import gates_for
from edgecnn.judging.gates import overall
from edgecnn.judging.stopping import rule_of
from edgecnn.measure.energy import energy_request, metered
from edgecnn.measure.evaluate import evaluate, logits_of
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.meter_log import open_log
from edgecnn.measure.race import race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.planning.request import ExtraRuns
from edgecnn.results.folder import BUNDLE, CHOICE, REPORT
from edgecnn.results.shipped import side_of
from edgecnn.store.store import Store
from edgecnn.values.artifact import Failed
from edgecnn.values.device import Device, Match
from edgecnn.values.recipe import GateChoice, RaceChoice
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Gate

_NO_BUILDER = "it needs an engine, and nothing on this machine builds one: --host names a board that does"


@dataclass(frozen=True)
class BundleBenchRequest:
    """Which bundle, shown what, and where the results go."""

    bench: BenchRequest
    """Its folder is the bundle's, a zip, or a build's whose bundle is meant."""
    data: str | None = None
    """Images of the same classes; None: those that the build reported on, where the store has them."""
    out: Path | None = None
    """None: ``benches/NAME``."""
    trust: Trust = Trust()
    race: RaceChoice = RaceChoice()


def is_alone(path: Path) -> bool:
    """Whether that is a zip, or a bundle's folder beside which no build's report lies."""
    if path.is_file():
        return True
    build = path.resolve().parent if path.resolve().name == BUNDLE and not (path / BUNDLE).exists() else path
    bundled = (path / CHOICE).is_file() or (path / BUNDLE / CHOICE).is_file()
    return bundled and not (build / REPORT).is_file()


def bench_bundle(request: BundleBenchRequest, store: Store, tell: Progress) -> BundleBench:
    """Verify a bundle, test its kits, ask them about images where there are any, race them, and write down what was found.

    Raises:
        EdgecnnError: the bundle is refused, the board is another device, cannot be reached or is not ready, no kit runs there, or
            a link was lost: the same call goes on where it stopped.
    """
    started, asked = time.perf_counter(), request.bench
    if asked.extent != ExtraRuns():
        raise BenchOptionOfBuild(option="--batches, --end-to-end or --soak", bundle=asked.folder)
    if asked.meter is not None:
        open_log(asked.meter)
    # What using a bundle left in its folder does no harm: only what its manifest lists is copied, and the copy runs.
    verified = verify(asked.folder, replace(request.trust, made_here=True), tell)
    out = output_folder(request.out, verified)
    with store.in_use.held(), store.workspace("bundle", verified.facts.sha256[:32], tell) as work:
        place = unpacked(verified, _inside(work, BUNDLE))
        kits = tuple(side_of(place, name).kit for name in verified.contents.kits)
        recorded = recorded_in(place)
        device = _device(asked, recorded)
        wanted = Wanted(device, f"edgecnn bench {asked.folder}", runtimes_of(kit.candidate for kit in kits))
        shown = (
            stored_images(kits, recorded, store)
            if request.data is None
            else shown_images(request.data, kits[0], recorded, (store, _inside(work, "images"), tell))
        )
        tell.note(f"images: {shown.facts.said}")
        with machine_for(asked.host, wanted, tell) as station:
            name = _filed_under(device, station)
            measured = _measured(_begun(kits, shown, station, station.lab(store, tell, name)), request)
        found = _report(verified, recorded, station, measured, _gates(asked, shown))
        return write_bench(found.model_copy(update={"seconds": round(time.perf_counter() - started, 2)}), measured, out)


def require_trusted(build: Path, trust: Trust, tell: Progress) -> None:
    """Verify a build's bundle where signatures were asked for: of one's own build nothing else is doubted.

    Raises:
        EdgecnnError: see ``verify``.
    """
    if trust.signers is not None:
        verify(build, trust, tell)


# ---------------------------------------------------------------------------------------------------------------------


def _inside(folder: Path, name: str) -> Path:
    (folder / name).mkdir(exist_ok=True)
    return folder / name


def _device(asked: BenchRequest, recorded: Recorded) -> Device | None:
    """What the machine is to be: as the bundle says, else as the user does; None where nobody says."""
    named = None if asked.target is None else parse_target(asked.target).device
    if recorded.device is None:
        return named
    if named is not None and named.name != recorded.device:
        raise BenchTargetDiffers(folder=asked.folder, built_for=recorded.device, target=asked.target or "")
    try:
        return named or device_named(recorded.device)
    except UnknownDevice as error:
        raise BenchDeviceUnknown(bundle=asked.folder, device=recorded.device) from error


def _filed_under(device: Device | None, station: Machine) -> str:
    """The device that the machine was seen to be; where none was named, the only one whose file recognises it."""
    if device is not None:
        return device.name if matches(device, station.facts) else THIS_MACHINE
    found = [each.name for each in known_devices().devices if each.facts_only is None and each.match != Match()]
    alike = [name for name in found if matches(device_named(name), station.facts)]
    return alike[0] if len(alike) == 1 else THIS_MACHINE


def _begun(kits: Sequence[KitRef], shown: ReportImages, station: Machine, lab: Lab) -> Measured:
    """The kits, those that need an engine with the one that the station built; what has none has failed already."""
    builder = builder_for((kit.candidate for kit in kits), station, lab.tell)
    named = {kit.candidate.id: kit for kit in kits}
    found = WithEngines({}, {}) if builder is None else with_engines(named, builder, lab)
    whole = tuple(found.kits.get(name, kit) for name, kit in named.items())
    measured = Measured(kits=whole, shown=shown, lab=lab, is_device=lab.device != THIS_MACHINE)
    for name, error in found.failed.items():
        _out(measured, name, Failed(ref=error.ref, what=error.line(), hint=error.hint))
    for name in [name for name, kit in named.items() if builder is None and kit.candidate.needs_engine]:
        _out(measured, name, Failed(ref="not-runnable", what=_NO_BUILDER))
    return measured


def _measured(measured: Measured, request: BundleBenchRequest) -> Measured:
    lab = measured.lab
    for kit in measured.runnable:
        _answered(kit, measured)
    runnable = measured.runnable
    if not runnable:
        reasons = [f"{name}: {failed.what}" for name, failed in measured.failures.items()]
        raise NoKitRuns(bundle=request.bench.folder, machine=lab.machine, reasons=reasons)
    choice, asked = request.race, request.bench
    until = None if asked.until is None else rule_of(asked.until)
    max_age_h = 0.0 if asked.anew else choice.max_age_h
    rounds = choice.rounds if until is None else until.looks[-1]
    question = RaceRequest(
        kits=runnable, purpose="report", rounds=rounds, samples=choice.samples, max_age_h=max_age_h, until=until
    )
    measured.race = race(question, lab)
    if watched := [kit for kit in runnable if metered(kit, lab.environment, asked.meter)]:
        measured.energy = race(energy_request(watched, rounds=choice.rounds, max_age_h=max_age_h, log=asked.meter), lab)
    return measured


def _answered(kit: KitRef, measured: Measured) -> None:
    """Its self-test, then the images; a kit that fails is out, with its own words."""
    name, lab = kit.candidate.id, measured.lab
    if (why := why_not_runnable(kit, lab)) is not None:
        _out(measured, name, Failed(ref="not-runnable", what=why))
        return
    if measured.shown.pixels is None:
        return
    try:
        stored = evaluate(kit, measured.shown.pixels, lab)
        check_finite(name, logits_of(stored))
        measured.answers[name] = stored
    except BoardError:
        raise
    except EdgecnnError as error:
        _out(measured, name, Failed(ref=error.ref, what=error.line(), hint=error.hint))


def _out(measured: Measured, name: str, failed: Failed) -> None:
    measured.failures[name] = failed
    verb = "does not run" if failed.ref == "not-runnable" else "failed"
    measured.lab.tell.note(f"{name} {verb}: {failed.what}")


def _gates(asked: BenchRequest, shown: ReportImages) -> tuple[Gate, ...]:
    """Those of the command line, else the default one, which needs images."""
    gates = gates_for(GateChoice(), device_usually_attached=True, command_line=asked.gates)
    return gates if shown.pixels is not None else tuple(gate for gate in gates if gate.required != "advisory")


def _report(verified: Verified, recorded: Recorded, station: Machine, measured: Measured, gates: Sequence[Gate]) -> BundleBench:
    rows = rows_of(measured, verified.contents.chosen, gates)
    of_chosen = next((row.gates for row in rows if row.chosen), ())
    return BundleBench(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        bundle=verified.facts,
        device=measured.lab.device,
        built_for=recorded.device,
        machine=measured.lab.machine,
        board=station.board,
        environment=measured.lab.environment,
        images=measured.shown.facts,
        candidates=rows,
        recorded=recorded.accuracy,
        profiles={},
        gates=of_chosen,
        verdict=overall(of_chosen),
        notices=tuple(_notices(measured, recorded, verified)),
        seconds=0.0,
        output="",
    )


def _notices(measured: Measured, recorded: Recorded, verified: Verified) -> Iterator[str]:
    yield f"images: {measured.shown.facts.said}"
    yield from measured.lab.warnings
    if recorded.device is not None and not measured.is_device:
        yield f"the machine is not {recorded.device}, which the bundle was built for: its figures there may be others"
    if measured.race is not None and measured.race.reused:
        yield f"the race is of {measured.race.observed_at}; --anew races again"
    yield from verified.facts.warnings
    if len(measured.kits) > 1:
        yield "the bundle and its choice stay as they are: edgecnn bench of the build's folder settles a provisional choice"
