"""Build engines on the machine that runs them. The machine's builder is looked up before planning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from edgecnn.devices.machine import Machine
from edgecnn.errors.hosts import BUILDER_UNFIT, RunnerCrashed, RunnerFailed, RunnerTimedOut, board_lacks_builder
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab, has_engine, tried
from edgecnn.results.origin import whole_kit
from edgecnn.runtimes.registry import backend_for
from edgecnn.runtimes.tensorrt import BACKEND
from edgecnn.stages.engine import KIT, EngineStage
from edgecnn.store.entry import StageInputs
from edgecnn.values.artifact import Failed, FoundInput
from edgecnn.values.candidate import Candidate
from edgecnn.values.device import EngineBuilder
from edgecnn.values.resolved import Resolved
from edgecnn.values.stage import Key, Progress


def resolve_builder(resolved: Resolved, machine: Machine, tell: Progress) -> Resolved:
    """Add the builder of engines if the machine is the device and a candidate needs an engine.

    Without TensorRT, a build on this machine continues without engines. On a board it is an error, because the user named the
    board to measure it.

    Raises:
        BOARD_LACKS_BUILDER: the board's Python has no TensorRT, or no GPU that TensorRT can use.
        BUILDER_UNFIT: the board's TensorRT has another version than the kits need.
    """
    builder = builder_for(resolved.candidates, machine, tell) if resolved.attachment.attached else None
    return resolved.model_copy(update={"device_builder": builder})


def builder_for(candidates: Iterable[Candidate], machine: Machine, tell: Progress) -> EngineBuilder | None:
    """Return the builder of engines on a machine; None if no candidate needs one, or this machine has no builder.

    Raises BOARD_LACKS_BUILDER, BUILDER_UNFIT: see ``resolve_builder``.
    """
    needing = [candidate for candidate in candidates if candidate.needs_engine]
    builder = _installed_builder(machine, backend_for(needing[0].runtime).builder, tell) if needing else None
    if builder is not None and builder.package == BACKEND.builder and machine.board is not None:
        _require_fit(builder, needing[0], machine.board)
    return builder


class BuiltEngines(NamedTuple):
    """Kits with new engines and failures, by candidate."""

    kits: Mapping[str, KitRef]
    failed: Mapping[str, Failed]


def build_engines(kits: Mapping[str, KitRef], builder: EngineBuilder, lab: Lab) -> BuiltEngines:
    """Build the engines that kits need and lack. An engine that cannot be built fails only its kit.

    Raises BoardError: the connection to the board was lost, or its disk is full.
    """
    built_kits: dict[str, KitRef] = {}
    failed: dict[str, Failed] = {}
    for name, kit in kits.items():
        if not kit.candidate.needs_engine or has_engine(kit):
            continue
        built = tried(partial(build_engine, kit, builder, lab))
        if isinstance(built, Failed):
            failed[name] = built
        else:
            built_kits[name] = built
    return BuiltEngines(built_kits, failed)


def build_engine(kit: KitRef, builder: EngineBuilder, lab: Lab) -> KitRef:
    """Return the kit with its engine, from the store or built in this lab.

    Raises EdgecnnError: the engine could not be built; see ``EngineStage.make_on``.
    """
    package = whole_kit(lab.store, kit.digest)
    digest = Key(kit.digest)
    kit_input = package.stage_input if package is not None else FoundInput(path=kit.folder, key=digest, content=digest)
    stage = EngineStage.of(builder, kit_input.key)
    under = StageInputs(versions={}, inputs={"kit": kit_input}, environment=lab.environment.conditions)
    engine, _ = lab.store.artifacts.obtain(stage, under, lab.tell, partial(stage.make_on, lab.host, made_here=kit.made_here))
    return KitRef.at(engine.folder / KIT, made_here=kit.made_here).with_knobs(kit.knobs)


def _installed_builder(machine: Machine, package: str | None, tell: Progress) -> EngineBuilder | None:
    try:
        return None if package is None else machine.host.engine_builder(package)
    except (RunnerFailed, RunnerCrashed, RunnerTimedOut) as error:  # an import may kill its process, or hang
        if machine.board is not None:
            raise board_lacks_builder(board=machine.board, error=error) from error
        tell.note(f"engines cannot be built here: {error.line()}")
        return None


def _require_fit(builder: EngineBuilder, candidate: Candidate, board: str) -> None:
    """Check the builder's version against the range that the self-test of each kit checks later."""
    (versions,) = BACKEND.required(candidate).values()
    try:
        fits = Version(builder.version.partition(".nv")[0]) in SpecifierSet(versions)
    except InvalidVersion:
        fits = True  # the kit's own requirement has the last word
    if not fits:
        raise BUILDER_UNFIT(board=board, package=builder.package, version=builder.version, wanted=versions)
