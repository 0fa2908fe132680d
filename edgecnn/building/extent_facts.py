"""Rows with what was measured beyond the race; a row of which none was asked stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecnn.building.assemble import Scene
from edgecnn.building.extent import Extent
from edgecnn.building.extents import Seen
from edgecnn.building.plan import BASELINE_ID
from edgecnn.judging.latency import latency
from edgecnn.judging.sustained import sustained
from edgecnn.judging.throughput import screened, throughput
from edgecnn.measure.kits import KitRef
from edgecnn.values.report import CandidateFacts, EndToEnd
from edgecnn.values.throughput import Throughput


def with_extents(rows: Mapping[str, CandidateFacts], scene: Scene, extent: Extent) -> dict[str, CandidateFacts]:
    """The same rows, with throughput, the whole way and the soak of the candidates that were measured so."""
    return {name: row.model_copy(update=_found(name, scene, extent)) for name, row in rows.items()}


def _found(name: str, scene: Scene, extent: Extent) -> dict[str, Any]:
    machine = scene.lab.machine
    soaked = scene.seen.raced("soak").get(name)
    kit = scene.seen.kits.get(name)
    found: dict[str, Any] = {
        "throughput": None if kit is None else throughput_of(kit, scene.seen, extent.batches, machine),
        "end_to_end": _end_to_end(name, scene),
        "sustained": None if soaked is None else sustained(soaked, machine),
    }
    return {field: value for field, value in found.items() if value is not None}


def throughput_of(kit: KitRef, seen: Seen, asked: Sequence[int], machine: str) -> Throughput | None:
    """Images a second of one kit; None where it was in no such race."""
    entrant = kit.entrant
    raced = [result.profiles[entrant] for result in seen.throughput if entrant in result.profiles]
    failed = [result.failed[entrant] for result in seen.throughput if entrant in result.failed]
    if not raced and not failed:
        return None
    screens = {batch: result.profiles[entrant] for batch, result in seen.batch_screens.items() if entrant in result.profiles}
    once = {profile.runs[0].batch: profile for profile in raced}  # a best batch that was asked for by number too
    return throughput(tuple(once.values()), screened(screens), asked, machine, failed[0] if failed else None)


def _end_to_end(name: str, scene: Scene) -> EndToEnd | None:
    raced = scene.seen.raced("end-to-end")
    if name not in raced:
        return None
    fp32 = None if name == BASELINE_ID else raced.get(BASELINE_ID)
    found = latency(raced[name], fp32=fp32, machine=scene.lab.machine)
    return EndToEnd(latency=found, picture=next((run.picture for run in raced[name].runs if run.picture), "a picture"))
