"""Engines that are built where they run: who builds them is asked of the device, before anything is planned for it."""

from __future__ import annotations

from functools import partial

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from edgecnn.backends.tensorrt import BACKEND
from edgecnn.building.lineage import whole_kit
from edgecnn.building.resolved import Resolved
from edgecnn.building.station import Station
from edgecnn.errors.engines import BoardLacksBuilder, BuilderUnfit
from edgecnn.errors.host import RunnerFailed
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.stages.compile import KIT, EngineStage
from edgecnn.store.wanted import Circumstances
from edgecnn.values.artifact import Given
from edgecnn.values.candidate import Candidate
from edgecnn.values.engine_builder import EngineBuilder
from edgecnn.values.key import Key
from edgecnn.values.stage import Progress

PACKAGE = "tensorrt"
"""The module that builds engines on a device: JetPack's, or the one of the package index on a PC."""


def with_builder(resolved: Resolved, station: Station, tell: Progress) -> Resolved:
    """The same, with what builds engines on this station where it is the device and a candidate needs one; else with none.

    This machine without TensorRT goes on without engines, as it always did. A board that was named is there to be measured.

    Raises:
        BoardLacksBuilder: the board's Python has no TensorRT, or no GPU that it could use.
        BuilderUnfit: its TensorRT is another than the kits were made for.
    """
    needing = [candidate for candidate in resolved.candidates if candidate.needs_engine]
    found = _asked(station, tell) if resolved.attachment.attached and needing else None
    if found is not None and found.package == "tensorrt" and station.board is not None:
        _require_fit(found, needing[0], station.board)
    return resolved.model_copy(update={"device_builder": found})


def armed(kit: KitRef, builder: EngineBuilder, lab: Lab) -> KitRef:
    """The kit with its engine in it, out of the store or built now in this lab, which the builder describes.

    Raises:
        EdgecnnError: it could not be built; see ``EngineStage.make_on``.
    """
    made = whole_kit(lab.store, kit.digest)
    digest = Key(kit.digest)
    given = made.given if made is not None else Given(path=kit.folder, key=digest, content=digest)
    stage = EngineStage.of(builder, given.key)
    under = Circumstances(versions={}, given={"kit": given}, environment=lab.environment.conditions)
    engine, _ = lab.store.artifacts.obtain(stage, under, lab.tell, partial(stage.make_on, lab.host))
    return KitRef.at(engine.folder / KIT).with_knobs(kit.knobs)


def _asked(station: Station, tell: Progress) -> EngineBuilder | None:
    try:
        return EngineBuilder.model_validate(station.host.engine_builder(PACKAGE))
    except RunnerFailed as error:
        if station.board is not None:
            raise BoardLacksBuilder(board=station.board, error=error) from error
        tell.note(f"no engine is built here: {error.line()}")
        return None


def _require_fit(builder: EngineBuilder, candidate: Candidate, board: str) -> None:
    """The range is the one that the kits' own self-test holds the board against, later and kit by kit."""
    wanted = BACKEND.required(candidate)["tensorrt"]
    try:
        fits = Version(builder.version.partition(".nv")[0]) in SpecifierSet(wanted)
    except InvalidVersion:
        fits = True  # the kit's own requirement has the last word
    if not fits:
        raise BuilderUnfit(board=board, package=builder.package, version=builder.version, wanted=wanted)
