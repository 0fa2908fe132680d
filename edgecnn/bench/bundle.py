"""Measures a bundle alone, a folder or a zip, where no build's folder lies beside it: here, or on a board.

The bundle is verified first and stays as it is. What was measured is filed in the store as ever, and goes to a folder of its own
together with ``bundle-bench.json``. Its choice is not settled by this: that takes the build's recipe.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import edgecnn
from edgecnn.bench.bench import BenchRequest
from edgecnn.bench.bundle_folder import output_folder, write_bench
from edgecnn.bench.facts import BundleBench
from edgecnn.bench.images import OpenedImages, shown_images, stored_images
from edgecnn.building.build import BuildContext
from edgecnn.building.engines import BuiltEngines, build_engines, builder_for
from edgecnn.building.rows import candidate_facts, reported
from edgecnn.building.runnable import tried
from edgecnn.building.subject import Subject, evaluated
from edgecnn.bundle.manifest import Recorded, recorded_in
from edgecnn.bundle.verify import Trust, Verified, unpacked, verify
from edgecnn.devices.check.board import BoardUse, runtimes_of
from edgecnn.devices.emulated_machine import DEVICE as EMULATED_DEVICE
from edgecnn.devices.files import device_named, known_devices, parse_target
from edgecnn.devices.machine import THIS_MACHINE, Machine, machine_for
from edgecnn.devices.this_machine import matches
from edgecnn.errors.building import (
    BENCH_DEVICE_UNKNOWN,
    BENCH_OPTION_OF_BUILD,
    BENCH_TARGET_DIFFERS,
    NO_KIT_RUNS,
)
from edgecnn.errors.devices import UnknownDevice
from edgecnn.errors.wording import shell_word
from edgecnn.judging.gates import Circumstances, EffectiveGates
from edgecnn.judging.judgement import judge_rows
from edgecnn.judging.runs.stopping import OF_A_FINISHED_BUILD
from edgecnn.measure.energy import energy_request, metered, open_log
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race_request import RaceOptions, RaceRequest
from edgecnn.planning.request import ExtraRuns
from edgecnn.results.explain import bench_command
from edgecnn.results.folder import BUNDLE, CHOICE, REPORT
from edgecnn.results.shipped import shipped_kit
from edgecnn.store.store import Store
from edgecnn.values.artifact import Failed
from edgecnn.values.candidate import reference_of
from edgecnn.values.device import Device, Match
from edgecnn.values.profile import NOT_TIMED
from edgecnn.values.recipe import DataChoice, GateChoice, RaceChoice
from edgecnn.values.stage import Progress

_NO_BUILDER = "it needs an engine, and nothing on this machine builds one: --host names a board that does"


@dataclass(frozen=True)
class BundleBenchRequest:
    """Which bundle, shown what, and where the results go."""

    bench: BenchRequest
    """Its folder is the bundle's, a zip, or a build's whose bundle is meant."""
    data: DataChoice | None = None
    """Images of the same classes; None: the build's test images, where the store has them."""
    out: Path | None = None
    """None: ``benches/NAME``."""
    trust: Trust = Trust()
    race: RaceChoice = RaceChoice()


def is_alone(path: Path) -> bool:
    """Whether that is a zip, or a bundle's folder beside which no build's report lies."""
    is_file = os.path.isfile  # False, too, of a name that is too long to be one
    if is_file(path):
        return True
    build = path.resolve().parent if path.resolve().name == BUNDLE and not (path / BUNDLE).exists() else path
    bundled = is_file(path / CHOICE) or is_file(path / BUNDLE / CHOICE)
    return bundled and not is_file(build / REPORT)


def bench_bundle(request: BundleBenchRequest, store: Store, tell: Progress) -> BundleBench:
    """Verify a bundle, test its kits, ask them about images where there are any, race them, and write down what was found.

    Raises EdgecnnError: the bundle is refused, the board is another device, cannot be reached or is not ready, no kit runs
    there, or a link was lost: the same call goes on where it stopped.
    """
    started, asked = time.perf_counter(), request.bench
    if asked.extra_runs != ExtraRuns():
        raise BENCH_OPTION_OF_BUILD(option="--batches, --end-to-end or --soak", bundle=asked.folder)
    if asked.meter is not None:
        open_log(asked.meter)
    # What using a bundle left in its folder does no harm: only what its manifest lists is copied, and the copy runs.
    verified = verify(asked.folder, replace(request.trust, made_here=True), tell)
    out = output_folder(request.out, verified)
    with store.in_use.held(), store.workspace("bundle", verified.facts.sha256[:32], tell) as work:
        place = unpacked(verified, _inside(work, BUNDLE))
        kits = tuple(shipped_kit(place, name).kit for name in verified.contents.kits)
        recorded = recorded_in(place)
        device = _device(asked, recorded)
        wanted = BoardUse(device, f"edgecnn bench {shell_word(asked.folder)}", runtimes_of(kit.candidate for kit in kits))
        shown = (
            stored_images(kits, recorded, store)
            if request.data is None
            else shown_images(request.data, kits[0], recorded, _inside(work, "images"), BuildContext(store, tell))
        )
        tell.note(f"images: {shown.facts.said}")
        with machine_for(asked.host, wanted, tell) as machine:
            name = _filed_under(device, machine)
            seen = _begun(kits, shown, machine, machine.lab(store, tell, name))
            gates = _gates(asked, shown)
            _measure(seen, shown, request, RaceOptions.of(gates, asked.until, asked.meter))
        took = {"board": machine.board, "seconds": round(time.perf_counter() - started, 2)}
        found = _report(verified, recorded, seen, shown, gates).model_copy(update=took)
        return write_bench(found, seen, out)


def require_trusted(build: Path, trust: Trust, tell: Progress) -> None:
    """Verify a build's bundle where signatures were asked for: of one's own build nothing else is doubted.

    Raises EdgecnnError: see ``verify``.
    """
    if trust.signers is not None:
        verify(build, trust, tell)


def _inside(folder: Path, name: str) -> Path:
    (folder / name).mkdir(exist_ok=True)
    return folder / name


def _device(asked: BenchRequest, recorded: Recorded) -> Device | None:
    """What the machine is to be: as the bundle says, else as the user does; None where nobody says."""
    named = None if asked.target is None else parse_target(asked.target).device
    if recorded.device is None:
        return named
    if named is not None and named.name != recorded.device:
        raise BENCH_TARGET_DIFFERS(folder=asked.folder, built_for=recorded.device, target=asked.target or "")
    try:
        return named or device_named(recorded.device)
    except UnknownDevice as error:
        raise BENCH_DEVICE_UNKNOWN(bundle=asked.folder, device=recorded.device) from error


def _filed_under(device: Device | None, machine: Machine) -> str:
    """The device that the machine was seen to be; where none was named, the only one whose file recognises it."""
    if device is not None:
        return device.name if matches(device, machine.facts) else THIS_MACHINE
    found = [each.name for each in known_devices().devices if each.facts_only is None and each.match != Match()]
    alike = [name for name in found if matches(device_named(name), machine.facts)]
    return alike[0] if len(alike) == 1 else THIS_MACHINE


def _begun(kits: Sequence[KitRef], shown: OpenedImages, machine: Machine, lab: Lab) -> Subject:
    """The kits, those that need an engine with the one that the machine built; what has none has failed already."""
    builder = builder_for((kit.candidate for kit in kits), machine, lab.tell)
    named = {kit.candidate.id: kit for kit in kits}
    found = BuiltEngines({}, {}) if builder is None else build_engines(named, builder, lab)
    whole = {**named, **found.kits}
    seen = Subject(
        lab=lab,
        attached=lab.device != THIS_MACHINE,
        reference=reference_of(kit.candidate for kit in kits),
        classes=tuple(str(each) for each in kits[0].manifest["labels"]),
        kits=whole,
        answering=dict(whole),
        known_labels={} if shown.labels is None else {"test": shown.labels},
        known_groups={} if shown.groups is None else {"test": shown.groups},
    )
    for name, failed in found.failed.items():
        seen.fail(name, failed)
    for name in [name for name, kit in named.items() if builder is None and kit.candidate.needs_engine]:
        seen.fail(name, Failed(ref="not-runnable", what=_NO_BUILDER), "does not run")
    return seen


def _measure(seen: Subject, shown: OpenedImages, request: BundleBenchRequest, how: RaceOptions) -> None:
    lab = seen.lab
    for name in seen.runnable:
        _answer(name, seen, shown)
    runnable = tuple(seen.runnable.values())
    if not runnable:
        reasons = [f"{name}: {failed.what}" for name, failed in seen.failures.items()]
        raise NO_KIT_RUNS(bundle=request.bench.folder, machine=lab.machine, reasons=reasons)
    if not seen.timed:
        return
    seen.races["report"] = seen.race(RaceRequest.reported(request.race, runnable, how))
    if watched := [kit for kit in runnable if metered(kit, lab.environment, how.meter)]:
        seen.races["energy"] = seen.race(energy_request(request.race, watched, how), "energy of {} could not be measured")


def _answer(name: str, seen: Subject, shown: OpenedImages) -> None:
    """Its self-test, then the images; a kit that fails is out, with its own words."""
    if (why := seen.why_not_runnable(name)) is not None:
        if name not in seen.failures:
            seen.fail(name, Failed(ref="not-runnable", what=why), "does not run")
        return
    if shown.pixels is None:
        return
    answered = tried(partial(evaluated, seen.kits[name], shown.pixels, seen.lab))
    if isinstance(answered, Failed):
        seen.fail(name, answered)
    else:
        seen.evaluations[name, "test"] = answered


def _gates(asked: BenchRequest, shown: OpenedImages) -> EffectiveGates:
    """Those of the command line, else the default one, which needs images."""
    several = shown.labels is not None and shown.labels.ndim == 2
    call = Circumstances(multi_label=several, stored_race=asked.stored_race, more_rounds=OF_A_FINISHED_BUILD)
    gates = EffectiveGates.of(GateChoice(), asked.gates, call)
    stated = tuple(gate for gate in gates.gates if gate.required != "advisory")
    return gates if shown.pixels is not None else gates.model_copy(update={"gates": stated})


def _report(verified: Verified, recorded: Recorded, seen: Subject, shown: OpenedImages, gates: EffectiveGates) -> BundleBench:
    rows = reported(candidate_facts(seen), seen)
    shipping = [row.model_copy(update={"chosen": name == verified.contents.chosen}) for name, row in rows.items()]
    # the recorded accuracy is another day's, and mostly another machine's: it passes no gate of this call
    unshown = {} if shown.pixels is not None else {"accuracy": shown.facts.said}
    judged = judge_rows(shipping, gates, unshown)
    return BundleBench(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        bundle=verified.facts,
        device=seen.lab.device,
        built_for=recorded.device,
        machine=seen.lab.machine,
        board=None,
        environment=seen.lab.environment,
        images=shown.facts,
        candidates=judged.rows,
        recorded=recorded.accuracy,
        profiles={},
        gates=judged.gates,
        require_measured=gates.require_measured,
        verdict=judged.verdict,
        notices=tuple(_notices(seen, shown, recorded, verified)),
        seconds=0.0,
        output="",
    )


def _notices(seen: Subject, shown: OpenedImages, recorded: Recorded, verified: Verified) -> Iterator[str]:
    yield f"images: {shown.facts.said}"
    yield from seen.lab.warnings
    if recorded.device is not None and not seen.attached:
        yield f"the machine is not {recorded.device}, which the bundle was built for: its figures there may differ"
    if not seen.timed:
        board = "DEVICE" if recorded.device in (None, EMULATED_DEVICE) else recorded.device
        yield f"the kits were {NOT_TIMED}; a real one times them: {bench_command(verified.opened.path, board)}"
    elif seen.races["report"].reused:
        yield f"the race is of {seen.races['report'].observed_at}; --fresh races again"
    yield from seen.notes
    yield from verified.facts.warnings
    if len(seen.kits) > 1:
        yield "the bundle and its choice stay as they are: edgecnn bench of the build's folder settles a provisional choice"
