"""Measure a bundle without its build, a folder or a zip, on this machine or on a board.

The bundle is verified first and never changed. Its profiles are stored and copied to a separate folder, next to
``bundle-bench.json``. A provisional choice stays provisional, because settling it needs the build's recipe.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import edgecnn
from edgecnn.bench.bench import RACED, BenchRequest
from edgecnn.bench.facts import BundleBench
from edgecnn.bench.images import OpenedImages, prepare_images, stored_images
from edgecnn.building.build import BuildContext
from edgecnn.building.engines import BuiltEngines, build_engines, builder_for
from edgecnn.building.rows import add_reported_figures, candidate_facts
from edgecnn.bundle.manifest import Recorded, recorded_in
from edgecnn.bundle.verify import Trust, Verified, unpack_bundle, verify
from edgecnn.devices.check.board import BoardUse, runtimes_of
from edgecnn.devices.emulated_machine import DEVICE as EMULATED_DEVICE
from edgecnn.devices.files import device_named, known_devices, parse_target
from edgecnn.devices.machine import THIS_MACHINE, Machine, machine_for
from edgecnn.devices.this_machine import matches
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import (
    BENCH_DEVICE_UNKNOWN,
    BENCH_OPTION_OF_BUILD,
    BENCH_TARGET_DIFFERS,
    NO_KIT_RUNS,
    NOT_OVERWRITTEN,
    OUTPUT_UNWRITABLE,
)
from edgecnn.errors.devices import UnknownDevice
from edgecnn.errors.wording import listed, shell_word
from edgecnn.hosts.sandbox import confinement, needs_of
from edgecnn.judging.gates import Circumstances, EffectiveGates, StatedBounds
from edgecnn.judging.judgement import judge_rows
from edgecnn.judging.metrics import ANY_METRIC
from edgecnn.judging.stopping import OF_A_FINISHED_BUILD
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab, tried
from edgecnn.measure.race import energy_request, has_meter, open_log
from edgecnn.measure.race_request import RaceOptions, RaceRequest
from edgecnn.measure.subject import Subject, evaluate_finite
from edgecnn.results.explain import bench_command
from edgecnn.results.folder import BUNDLE, CHOICE, REPORT
from edgecnn.results.origin import kit_of_store
from edgecnn.results.shipped import shipped_kit
from edgecnn.store.disk import write_text_atomically
from edgecnn.store.store import Store
from edgecnn.values.artifact import Failed
from edgecnn.values.candidate import reference_of
from edgecnn.values.device import Device, Match
from edgecnn.values.profile import NOT_TIMED, ExtraRuns
from edgecnn.values.recipe import DataChoice, GateChoice, RaceChoice
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Gate

_NO_BUILDER = "it needs an engine, and this machine cannot build one: --host names a board that can"


@dataclass(frozen=True)
class BundleBenchRequest:
    """A bundle, the images to evaluate it on, and the folder of the results."""

    bench: BenchRequest
    """Request whose folder is a bundle, a zip, or a build that holds the bundle."""
    data: DataChoice | None = None
    """Images of the same classes; None: the build's test images, if the store has them."""
    out: Path | None = None
    """None: ``benches/NAME``."""
    trust: Trust = Trust()
    race: RaceChoice = RaceChoice()


def is_alone(path: Path) -> bool:
    """Whether the path is a zip, or the folder of a bundle without its build's report."""
    is_file = os.path.isfile  # unlike Path.is_file, returns False for a name that is too long
    if is_file(path):
        return True
    build = path.resolve().parent if path.resolve().name == BUNDLE and not (path / BUNDLE).exists() else path
    bundled = is_file(path / CHOICE) or is_file(path / BUNDLE / CHOICE)
    return bundled and not is_file(build / REPORT)


def bench_bundle(request: BundleBenchRequest, store: Store, tell: Progress) -> BundleBench:
    """Verify a bundle, test, evaluate and race its kits, and write the results. Without images, no kit is evaluated.

    Raises EdgecnnError: the bundle is refused; the board is another device, cannot be reached or is not ready; no kit runs on it;
    or the link was lost. After a lost link, the same call continues where it stopped.
    """
    started, bench_request = time.perf_counter(), request.bench
    if bench_request.extra_runs != ExtraRuns():
        raise BENCH_OPTION_OF_BUILD(option="--batches, --end-to-end or --soak", bundle=bench_request.folder)
    if bench_request.meter is not None:
        open_log(bench_request.meter)
    # A copy with only the files of the manifest runs, so files that earlier runs left in the bundle's folder do not matter.
    verified = verify(bench_request.folder, replace(request.trust, made_here=True), tell)
    out = output_folder(request.out, verified)
    with store.in_use.held(), store.workspace("bundle", verified.facts.sha256[:32], tell) as work:
        folder = unpack_bundle(verified, _subfolder(work, BUNDLE))
        shipped = (kit_of_store(shipped_kit(folder, name).kit, store) for name in verified.contents.kits)
        kits = tuple(_trusted_if_stated(kit, request.trust) for kit in shipped)
        recorded = recorded_in(folder)
        device = _device(bench_request, recorded)
        wanted = BoardUse(device, f"edgecnn bench {shell_word(bench_request.folder)}", runtimes_of(kit.candidate for kit in kits))
        shown = (
            stored_images(kits, recorded, store)
            if request.data is None
            else prepare_images(request.data, kits[0], recorded, _subfolder(work, "images"), BuildContext(store, tell))
        )
        tell.note(f"images: {shown.facts.said}")
        with machine_for(bench_request.host, wanted, tell) as machine:
            name = _device_name(device, machine)
            subject = _subject(kits, shown, machine, machine.lab(store, tell, name))
            if (elsewhere := _elsewhere(recorded, subject)) is not None:
                tell.note(elsewhere)
            gates = _gates(bench_request, recorded, shown)
            _measure(subject, shown, request, RaceOptions.of(gates, bench_request.until, bench_request.meter))
        sandboxed = not any(kit.made_here for kit in subject.kits.values())
        where = {"board": machine.board, "confinement": confinement(sandboxed=sandboxed) if machine.board is None else None}
        took = {**where, "seconds": round(time.perf_counter() - started, 2)}
        result = _report(verified, recorded, subject, shown, gates).model_copy(update=took)
        return write_bench(result, subject, out)


@contextmanager
def trusted_bundle(build: Path, trust: Trust, tell: Progress) -> Iterator[Path | None]:
    """Yield a private copy of a build's verified bundle if the user passed signers; otherwise None: a build's folder is trusted.

    Raises EdgecnnError: see ``verify``.
    """
    if trust.signers is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="edgecnn-bundle-") as folder:
        yield unpack_bundle(verify(build, trust, tell), Path(folder))


def _trusted_if_stated(kit: KitRef, trust: Trust) -> KitRef:
    """Return the kit; of one that no sandbox can hold, the user's word counts."""
    stated = trust.made_here and needs_of(kit.manifest["session"]["module"]) is not None
    return kit.model_copy(update={"made_here": True}) if stated else kit


def _subfolder(folder: Path, name: str) -> Path:
    (folder / name).mkdir(exist_ok=True)
    return folder / name


def _device(request: BenchRequest, recorded: Recorded) -> Device | None:
    """Return the device that the bundle was built for, else the device that the user names, else None."""
    named = None if request.target is None else parse_target(request.target).device
    if recorded.device is None:
        return named
    if named is not None and named.name != recorded.device:
        raise BENCH_TARGET_DIFFERS(folder=request.folder, built_for=recorded.device, target=request.target or "")
    try:
        return named or device_named(recorded.device)
    except UnknownDevice as error:
        raise BENCH_DEVICE_UNKNOWN(bundle=request.folder, device=recorded.device) from error


def _device_name(device: Device | None, machine: Machine) -> str:
    """Return the device name for profiles: ``device`` if the machine is this device, else the only device that recognises it."""
    if device is not None:
        return device.name if matches(device, machine.facts) else THIS_MACHINE
    with_rule = [row.name for row in known_devices().devices if row.facts_only is None and row.match != Match()]
    matching = [name for name in with_rule if matches(device_named(name), machine.facts)]
    return matching[0] if len(matching) == 1 else THIS_MACHINE


def _subject(kits: Sequence[KitRef], shown: OpenedImages, machine: Machine, lab: Lab) -> Subject:
    """Return the bundle's kits, with engines that the machine built. A kit that lacks its engine is excluded."""
    builder = builder_for((kit.candidate for kit in kits), machine, lab.tell)
    named = {kit.candidate.id: kit for kit in kits}
    engines = BuiltEngines({}, {}) if builder is None else build_engines(named, builder, lab)
    with_engines = {**named, **engines.kits}
    subject = Subject(
        lab=lab,
        attached=lab.device != THIS_MACHINE,
        reference=reference_of(kit.candidate for kit in kits),
        classes=tuple(str(label) for label in kits[0].manifest["labels"]),
        kits=with_engines,
        answering=dict(with_engines),
        known_labels={} if shown.labels is None else {"test": shown.labels},
        known_groups={} if shown.groups is None else {"test": shown.groups},
    )
    for name, failed in engines.failed.items():
        subject.fail(name, failed)
    for name in [name for name, kit in named.items() if builder is None and kit.candidate.needs_engine]:
        subject.fail(name, Failed(ref="not-runnable", what=_NO_BUILDER), "does not run")
    return subject


def _measure(subject: Subject, shown: OpenedImages, request: BundleBenchRequest, how: RaceOptions) -> None:
    lab = subject.lab
    for name in subject.runnable:
        _test_and_evaluate(name, subject, shown)
    runnable = tuple(subject.runnable.values())
    if not runnable:
        reasons = [f"{name}: {failed.what}" for name, failed in subject.failures.items()]
        raise NO_KIT_RUNS(bundle=request.bench.folder, machine=lab.machine, reasons=reasons)
    if not subject.timed:
        return
    subject.races["report"] = subject.race(RaceRequest.reported(request.race, runnable, how))
    if watched := [kit for kit in runnable if has_meter(kit, lab.environment, how.meter)]:
        subject.races["energy"] = subject.race(energy_request(request.race, watched, how), "energy of {} could not be measured")


def _test_and_evaluate(name: str, subject: Subject, shown: OpenedImages) -> None:
    """Run a kit's self-test, then evaluate the kit. A kit that fails is excluded."""
    if (why := subject.why_not_runnable(name)) is not None:
        if name not in subject.failures:
            subject.fail(name, Failed(ref="not-runnable", what=why), "does not run")
        return
    if shown.pixels is None:
        return
    answered = tried(partial(evaluate_finite, subject.kits[name], shown.pixels, subject.lab))
    if isinstance(answered, Failed):
        subject.fail(name, answered)
    else:
        subject.evaluations[name, "test"] = answered


_MEASURED_BY_BUILDS = ("accuracy", "residency")
"""Sources of figures for which a bundle may lack the images, the fp32 kit or a trace."""


def _gates(request: BenchRequest, recorded: Recorded, shown: OpenedImages) -> EffectiveGates:
    """Return the gates of the bundle and of the command line, else the default gate, which needs images.

    A recorded gate that a bundle may be unable to judge stops a job only if it was measured, unless ``require_measured``.
    """
    multi_label = shown.labels is not None and shown.labels.ndim == 2
    call = Circumstances(multi_label=multi_label, stored_race=request.stored_race, more_rounds=OF_A_FINISHED_BUILD)
    gates = EffectiveGates.of(StatedBounds(GateChoice(), recorded.gates, request.gates), call)
    kept = list[Gate]()
    for gate in gates.gates:
        is_of_build = gate.stated_by == "build"
        if is_of_build and ANY_METRIC[gate.metric].source in _MEASURED_BY_BUILDS and not gates.require_measured:
            gate = gate.model_copy(update={"required": "when-measured"})
        kept += [gate] if gate.is_stated or shown.pixels is not None else []
    return gates.model_copy(update={"gates": tuple(kept)})


_JUDGED_BY_BUILD = "to judge it: edgecnn judge BUILD"


def _report(verified: Verified, recorded: Recorded, subject: Subject, shown: OpenedImages, gates: EffectiveGates) -> BundleBench:
    rows = add_reported_figures(candidate_facts(subject), subject)
    marked = [row.model_copy(update={"chosen": name == verified.contents.chosen}) for name, row in rows.items()]
    judged_rows, absent = marked, {"residency": f"not measured for a bundle alone; {_JUDGED_BY_BUILD}"}
    if shown.pixels is None:  # the recorded accuracy is of another day, and usually of another machine: it passes no gate here
        absent["accuracy"] = shown.facts.said
    elif subject.reference not in subject.kits:
        absent["accuracy"] = f"the bundle has no kit {subject.reference} to compare with; {_JUDGED_BY_BUILD}"
    if recorded.device is not None and not subject.attached:
        command = bench_command(verified.opened.path, recorded.device)
        absent |= dict.fromkeys(RACED, f"not judged, because this machine is not {recorded.device}; measure it there: {command}")
        judged_rows = [row.model_copy(update=dict.fromkeys(RACED)) for row in marked]
    judged = judge_rows(judged_rows, gates, absent)
    candidates = tuple(
        row.model_copy(update={"gates": result.gates, "verdict": result.verdict})
        for row, result in zip(marked, judged.rows, strict=True)
    )
    return BundleBench(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        bundle=verified.facts,
        device=subject.lab.device,
        built_for=recorded.device,
        machine=subject.lab.machine,
        board=None,
        environment=subject.lab.environment,
        images=shown.facts,
        candidates=candidates,
        recorded=recorded.accuracy,
        profiles={},
        gates=judged.gates,
        require_measured=gates.require_measured,
        verdict=judged.verdict,
        notices=tuple(_notices(subject, shown, recorded, verified)),
        seconds=0.0,
        output="",
    )


def _notices(subject: Subject, shown: OpenedImages, recorded: Recorded, verified: Verified) -> Iterator[str]:
    yield f"images: {shown.facts.said}"
    yield from subject.lab.warnings
    if (elsewhere := _elsewhere(recorded, subject)) is not None:
        yield elsewhere
    if not subject.timed:
        board = "DEVICE" if recorded.device in (None, EMULATED_DEVICE) else recorded.device
        yield f"the kits were {NOT_TIMED}; to time them on a real one: {bench_command(verified.opened.path, board)}"
    elif subject.races["report"].reused:
        yield f"the race is of {subject.races['report'].observed_at}; --fresh races again"
    yield from subject.notes
    yield from verified.facts.warnings
    if recorded.unknown_gates:
        unknown = listed(recorded.unknown_gates)
        yield f"not judged, because this version of edgecnn does not know these gates of the bundle: {unknown}"
    if len(subject.kits) > 1:
        yield "the bundle and its choice are unchanged: edgecnn bench BUILD settles a provisional choice"


def _elsewhere(recorded: Recorded, subject: Subject) -> str | None:
    """Return a warning if the machine is not the device for which the bundle was built."""
    if recorded.device is None or subject.attached:
        return None
    return f"the bundle was built for {recorded.device}, and this is another device: its figures may differ there"


REPORTED = "bundle-bench.json"
PROFILES = "profiles"


def output_folder(out: Path | None, verified: Verified) -> Path:
    """Create the folder of the results before anything is measured. ``out``: None means ``benches/NAME``.

    Raises:
        NOT_OVERWRITTEN: the folder holds other files, or is inside the bundle.
        OUTPUT_UNWRITABLE: the folder cannot be created.
    """
    folder = out or Path("benches") / verified.manifest.name
    resolved, bundle = folder.resolve(), verified.opened.path.resolve()
    if bundle == resolved or bundle in resolved.parents:
        raise NOT_OVERWRITTEN(path=folder, because="it is inside the bundle, and edgecnn never changes a bundle")
    try:
        if folder.exists() and not (folder / REPORTED).is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise NOT_OVERWRITTEN(path=folder, because=f"it holds other files and no {REPORTED}")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=folder, because=system_reason(error)) from error
    return folder


def write_bench(result: BundleBench, subject: Subject, out: Path) -> BundleBench:
    """Copy the profiles, write ``bundle-bench.json`` last, and return its content.

    Raises OUTPUT_UNWRITABLE: a file cannot be written.
    """
    try:
        profiles = {kit.candidate.id: _copy_profiles(kit, subject, out) for kit in subject.kits.values()}
        written = result.model_copy(update={"profiles": profiles, "output": str(out)})
        write_text_atomically(out / REPORTED, written.model_dump_json(indent=1, by_alias=True) + "\n")
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error
    return written


def _copy_profiles(kit: KitRef, subject: Subject, out: Path) -> tuple[str, ...]:
    """Copy the profiles of a kit from the store, and return their folders."""
    evaluation = subject.evaluations.get((kit.candidate.id, "test"))
    profiles = [] if evaluation is None else [evaluation]
    raced = [result.profiles[kit.entrant] for result in subject.races.values() if kit.entrant in result.profiles]
    if raced:
        profiles += [stored for stored in subject.lab.store.profiles.of(kit.digest, "race") if stored.profile in raced]
    names = {f"{PROFILES}/{kit.candidate.id}/{stored.profile.what}-{stored.id}": stored.folder for stored in profiles}
    for name, folder in names.items():
        shutil.copytree(folder, out / name, copy_function=shutil.copyfile, dirs_exist_ok=True)
    return tuple(names)
