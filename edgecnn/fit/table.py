"""Time a device's table: networks and layers from which the search predicts latency, and probes that judge the prediction."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import NamedTuple

import edgecnn
from edgecnn.building.runnable import tried
from edgecnn.building.untrained_kits import KitMaker
from edgecnn.devices.check.board import Wanted
from edgecnn.devices.machine import machine_for
from edgecnn.devices.this_machine import attachment_of
from edgecnn.errors.fit import (
    TABLE_NEEDS_FILE,
    ResolutionUnderStride,
    ScaleInvalid,
    ScaleLeavesNoChannel,
    nothing_timed,
    table_elsewhere,
)
from edgecnn.fit.features import counted_of
from edgecnn.fit.predictor import Predictor, traced_layers
from edgecnn.fit.timing import MAX_AGE_H, UNRUN, untrained_race
from edgecnn.installed import require_packages
from edgecnn.judging.runs.latency import disturbed
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.residency import residency, traced_residency
from edgecnn.models.catalogue import BLOCKS, all_archs
from edgecnn.models.compound import RULES, scaled
from edgecnn.planning.candidates import candidates_of
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.store import Store
from edgecnn.values.artifact import Failed
from edgecnn.values.base import Value
from edgecnn.values.board import HostRequest
from edgecnn.values.candidate import Candidate, is_of_trunk
from edgecnn.values.device import Device
from edgecnn.values.fit import LEAST_TIMED, MS_MAX, MS_MIN, LatencyTable, Probe, TimedProbe, TracedLayers
from edgecnn.values.profile import Profile
from edgecnn.values.recipe import Recipe
from edgecnn.values.scale import CompoundScale
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Fidelity

DEPTHS, WIDTHS = (0.3, 1.3), (0.25, 1.3)
"""Multipliers between which members of a family are drawn, evenly by their logarithms."""
SIDES_PX = (32, 32, 48, 48, 64, 64, 96, 128, 160, 192, 224)
CLASSES = (10, 100, 1000)
SEEDS = 10_000
"""Of networks of random blocks."""
DRAWS = 20
"""For each network that is wanted, at most."""
MOST_MMACS = 1500.0
"""Of a network that is drawn: a larger one would take the time of ten."""
_UNSCALED = ("shufflenet-v1", "shufflenet-v2", "densenet", "efficientnet-v2", "resnext", "googlenet")
"""Families that no rule scales and whose blocks are of other kinds: they are drawn at other resolutions."""


_IN_TURN = tuple(name for family in (*RULES, *_UNSCALED) for name in (BLOCKS, family))


def pool(size: int, families: Iterable[str] = _IN_TURN, seed: int = 0) -> tuple[Probe, ...]:
    """So many different networks, every other one of random blocks, the families in turn; the same every time."""
    draw, names, found = random.Random(seed), list(families), dict[Probe, None]()
    for _ in range(DRAWS * size):
        if len(found) == size:
            break
        probe = _drawn(names[len(found) % len(names)], draw)  # again of the same family where it was too large, or there is none
        if probe is not None and probe not in found and _affordable(probe):
            found[probe] = None
    return tuple(found)


def _drawn(family: str, draw: random.Random) -> Probe | None:
    size, classes = ImageSize.square(draw.choice(SIDES_PX)), draw.choice(CLASSES)
    if family == BLOCKS:
        return Probe(arch=f"{BLOCKS}-{draw.randrange(SEEDS)}", resolution_px=size, classes=classes)
    spec = draw.choice([each for each in all_archs() if each.family == family])
    if family not in RULES:
        return Probe(arch=spec.name, resolution_px=size, classes=classes)
    depth, width = (round(low * (high / low) ** draw.random(), 2) for low, high in (DEPTHS, WIDTHS))
    try:
        scaled_spec = scaled(spec, CompoundScale(depth=depth, width=width), size).spec
    except (ScaleInvalid, ScaleLeavesNoChannel, ResolutionUnderStride):
        return None
    return Probe(arch=scaled_spec.name, resolution_px=size, classes=classes)


def _affordable(probe: Probe) -> bool:
    return counted_of(probe).macs / 1e6 <= MOST_MMACS


BATCH = 4
"""Networks that are raced together."""
BEGINNING = 18
"""Networks that are timed before any prediction says which come next: random blocks and most of the families, in turn."""
POOL = 96
"""Networks among which the next are chosen."""
MOST = 40
"""Networks of a table, each in every runtime and precision that the device has."""
ROUNDS, ROUNDS_APART = 2, 2
APART = 1.08
"""Times the faster of its two processes, from which a kit is raced again: one of the two met something."""


class TablePlan(Value):
    """What is asked of a table."""

    candidates: tuple[Candidate, ...]
    minutes: float = 15.0
    """After so many no batch is begun."""
    anew: bool = False
    """Whether nothing that was timed before may serve."""


@dataclass
class _Timing:
    """What was timed so far."""

    lab: Lab
    request: TablePlan
    maker: KitMaker
    timed: dict[str, list[TimedProbe]] = field(default_factory=lambda: defaultdict(list))
    runtimes: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """``candidate of probe``, or a probe or candidate alone, to why it has no time."""
    began: float = field(default_factory=lambda: time.monotonic())

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self.began) / 60

    def run(self, batch: Sequence[Probe]) -> None:
        """Make and race one batch; what cannot be made or run is noted."""
        kits: dict[tuple[str, Probe], KitRef] = {}
        for number, probe in enumerate(batch):
            self.lab.tell.step("make networks to time", number, len(batch), "networks")
            made = tried(partial(self.maker.kits, probe, self.request.candidates))
            if isinstance(made, Failed):
                self.failed[probe.name] = made.what
                continue
            kits |= {(name, probe): kit for name, kit in made.made.items()}
            self.failed |= {f"{name} of {probe.name}": why for name, why in made.failed.items()}
        self.lab.tell.step("make networks to time", len(batch), len(batch), "networks")
        if kits:
            self._raced(kits)

    def _raced(self, kits: Mapping[tuple[str, Probe], KitRef]) -> None:
        max_age_h = 0.0 if self.request.anew else MAX_AGE_H
        found = untrained_race(tuple(kits.values()), ROUNDS, self.lab, max_age_h)
        apart = tuple(kit for kit in kits.values() if kit.entrant in found.profiles and _apart(found.profiles[kit.entrant]))
        again = untrained_race(apart, ROUNDS_APART, self.lab, max_age_h).profiles if apart else {}
        for (name, probe), kit in kits.items():
            if kit.entrant not in found.profiles:
                self.failed[f"{name} of {probe.name}"] = found.failed.get(kit.entrant, UNRUN)
                continue
            profiles = [found.profiles[kit.entrant], *([again[kit.entrant]] if kit.entrant in again else [])]
            if not any(map(_medians_ms, profiles)):
                self.failed[f"{name} of {probe.name}"] = UNRUN
                continue
            self.timed[name].append(_timed(probe, profiles, self._traced(probe, kit)))
            self.runtimes[kit.runtime] = profiles[0].environment.conditions.get("runtime_version", "unknown")

    def _traced(self, probe: Probe, kit: KitRef) -> TracedLayers | None:
        """Where its time goes; None where that cannot be told, so that its whole time alone is known."""
        found = tried(partial(self._trace, probe, kit))
        if isinstance(found, Failed):
            self.failed[f"the layers of {kit.candidate.id} of {probe.name}"] = found.what
            return None
        return found

    def _trace(self, probe: Probe, kit: KitRef) -> TracedLayers | None:
        """Once more where other work slowed it, and then kept as it is."""
        macs = self.maker.mac_table(probe)
        found = traced_residency(kit, macs, self.lab) if self.request.anew else residency(kit, macs, self.lab).profile
        if disturbed(found.environment) is not None:
            found = traced_residency(kit, macs, self.lab)
        return None if found.residency is None else traced_layers(found.residency, macs)


def measure_table(request: TablePlan, lab: Lab) -> LatencyTable:
    """Time networks in every candidate of a device, those next of which least is known.

    Raises NothingTimed: not one network could be made and run. MissingPackage: what makes networks is not installed.
    """
    require_packages(("torch", "torchvision", "onnx", "scikit-learn"), extra="train", needed_for="a latency table")
    timing = _Timing(lab, request, KitMaker(lab.store, lab.tell, lab.environment.conditions))
    waiting, done, longest = list(pool(POOL)), 0, 0.0
    while waiting and done < MOST and timing.minutes + longest <= request.minutes:
        before = timing.minutes
        batch = _next(timing.timed, waiting, min(BATCH, MOST - done))
        timing.run(batch)
        waiting = [each for each in waiting if each not in batch]
        done, longest = done + len(batch), max(longest, timing.minutes - before)
        lab.tell.step("time networks", done, MOST, "networks")
    if not timing.timed:
        raise nothing_timed(device=lab.device, reasons=timing.failed)
    never = [each.id for each in request.candidates if each.id not in timing.timed]
    timing.failed |= dict.fromkeys(never, "no network of it could be made and run")
    return LatencyTable(
        version=edgecnn.__version__,
        device=lab.device,
        machine=lab.machine,
        fidelity=lab.environment.fidelity,
        environment=lab.environment,
        runtimes=timing.runtimes,
        observed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(60 * timing.minutes, 1),
        timed={name: tuple(rows) for name, rows in sorted(timing.timed.items())},
        failed=timing.failed,
        left=max(0, MOST - done),
    )


def _next(timed: Mapping[str, Sequence[TimedProbe]], waiting: Sequence[Probe], count: int) -> list[Probe]:
    """The next batch: at first the families in turn, then what is known worst over all candidates."""
    counted = [rows for rows in timed.values() if len(rows) >= max(BEGINNING, LEAST_TIMED)]
    if not counted:
        return list(waiting[:count])
    spreads = [[each.spread for each in Predictor(rows).predict(waiting)] for rows in counted]
    unknown = [sum(of) for of in zip(*spreads, strict=True)]
    order = sorted(range(len(waiting)), key=lambda index: (-unknown[index], waiting[index].name))
    return [waiting[index] for index in order[:count]]


def _timed(probe: Probe, profiles: Sequence[Profile], traced: TracedLayers | None) -> TimedProbe:
    medians = tuple(ms for profile in profiles for ms in _medians_ms(profile))
    why = next((said for profile in profiles if (said := disturbed(profile.environment)) is not None), None)
    return TimedProbe(probe=probe, macs=counted_of(probe).macs, medians_ms=medians, disturbed=why, traced=traced)


def _medians_ms(profile: Profile) -> list[float]:
    """Of each process that timed something; a stored profile may hold a figure that nothing takes."""
    medians = (round(median(run.samples_ns) / 1e6, 5) for run in profile.runs if run.samples_ns)
    return [ms for ms in medians if MS_MIN <= ms <= MS_MAX]


def _apart(profile: Profile) -> bool:
    medians = _medians_ms(profile)
    return profile.fidelity is not Fidelity.EMULATED and bool(medians) and max(medians) > APART * min(medians)


class TableRequest(NamedTuple):
    """What a user asks of a table."""

    device: Device
    host: HostRequest | None
    """The board; None: this machine."""
    minutes: float
    anew: bool


def table_of(asked: TableRequest, store: Store, tell: Progress) -> LatencyTable:
    """Measure the table of a device where it is: on a board, or here.

    Raises TABLE_ELSEWHERE: this machine is another one. NothingTimed: see ``measure_table``. BoardError: of the board.
    """
    device, host = asked.device, asked.host
    with machine_for(host, Wanted(device, f"edgecnn devices measure {device.name}"), tell) as machine:
        at = attachment_of(device, machine.facts, None if host is None else host.address)
        if not at.attached:
            raise table_elsewhere(device=device.name, why=at.why)
        candidates, _, unavailable = candidates_of(device, Recipe(), machine.facts)
        for name, why in unavailable.items():
            tell.note(f"{name} is not in the table: {why.why}")
        request = TablePlan(candidates=in_a_table(candidates), minutes=asked.minutes, anew=asked.anew)
        return measure_table(request, machine.lab(store, tell, device.name))


def require_own_name(device: Device, host: HostRequest | None) -> None:
    """Raises TABLE_NEEDS_FILE: what is measured on that host would take the place of this machine's table."""
    if host is not None and device.processor.architecture == "any":
        raise TABLE_NEEDS_FILE(device=device.name)


def in_a_table(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Those that are made of the trunk alone and need no engine of the device."""
    return tuple(each for each in candidates if not each.needs_engine and is_of_trunk(each))
