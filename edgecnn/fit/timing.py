"""Time networks on their device: untrained members of a search, and the networks and layers of a latency table.

Latency does not depend on the values of weights, so the networks are not trained.
"""

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
from edgecnn.building.untrained_kits import KitMaker
from edgecnn.devices.check.board import BoardUse
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
from edgecnn.fit.predictor import Predictor, count_cost, traced_layers
from edgecnn.fit.search import probe_of
from edgecnn.installed import require_packages
from edgecnn.judging.disturbance import disturbed
from edgecnn.judging.latency import latency_when_chosen
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab, tried
from edgecnn.measure.race import RaceResult, race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.measure.residency import residency, traced_residency
from edgecnn.models.catalogue import BLOCKS, all_archs
from edgecnn.models.compound import RULES, scale_arch
from edgecnn.planning.candidates import candidates_of
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.store import Store
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Failed
from edgecnn.values.base import Value
from edgecnn.values.board import HostRequest
from edgecnn.values.candidate import Candidate, is_of_trunk
from edgecnn.values.device import Device
from edgecnn.values.fit import LEAST_TIMED, MS_MAX, MS_MIN, LatencyTable, Member, Probe, TimedProbe, TracedLayers
from edgecnn.values.profile import Profile
from edgecnn.values.recipe import Recipe
from edgecnn.values.scale import CompoundScale
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Fidelity, Interval

TIMED_AS = 2
"""Number of candidates of a member to time, the fastest by prediction."""
ROUNDS = 3
SAMPLES, RUN_S, MAX_AGE_H = 200, 0.5, 24.0 * 30
SLOW = 1.4
"""Ratio to the latency table above which a machine counts as slower. Some machines have two speeds that no counter shows."""
UNRUN = "no run of it was recorded"
"""Reason for a kit that was raced and did not fail, but has no time."""
Kits = Mapping[str, list[KitRef]]
"""Name to the kits of its untrained network."""


class Yardstick(NamedTuple):
    """A network of the latency table, timed again among others."""

    kit: KitRef
    then_ms: float
    """Latency in the table."""

    def pace(self, raced: RaceResult) -> float | None:
        """Return the latency now relative to the table's; None if the network did not run."""
        profile = raced.profiles.get(self.kit.entrant)
        p50 = None if profile is None else latency_when_chosen(profile).p50_ms
        return None if p50 is None else p50.estimate / self.then_ms


class Timed(NamedTuple):
    """Times of members, by name."""

    times: dict[str, Interval]
    """The lowest p50 in ms of each member's kits, from a few interleaved rounds."""
    failed: dict[str, str]
    """Reason why a member has no time."""
    pace: float | None = None
    """Time that the machine takes now, relative to its latency table; None if unknown."""


def untrained_kits(
    members: Iterable[Member], spec: ArchSpec, candidates: Mapping[str, Candidate], classes: int, maker: KitMaker
) -> tuple[Kits, dict[str, str]]:
    """Make the kits of each member's fastest candidates; return them, and the reason of each failure by member."""
    kits, failed = dict[str, list[KitRef]](), dict[str, str]()
    for member in members:
        wanted = [candidates[predicted.candidate] for predicted in member.predicted[:TIMED_AS]]
        probe = probe_of(member, spec, classes)
        made = tried(partial(maker.kits, probe, wanted))
        if isinstance(made, Failed) or not made.made:
            failed[member.name] = made.what if isinstance(made, Failed) else "; ".join(made.failed.values())
            maker.tell.note(f"{member.name} cannot be timed: {failed[member.name]}")
        else:
            kits[member.name] = list(made.made.values())
    return kits, failed


def untrained_race(
    kits: tuple[KitRef, ...], rounds: int, lab: Lab, max_age_h: float = MAX_AGE_H, yardstick: Yardstick | None = None
) -> RaceResult:
    """Race untrained kits in short, interleaved runs, or use a stored race of the last month.

    The race is repeated once if other work slowed it, or if the machine is slow by the yardstick.
    """
    request = RaceRequest(kits=kits, purpose="table", rounds=rounds, samples=SAMPLES, max_s=RUN_S, max_age_h=max_age_h)
    result = race(request, lab)
    if not result.reused and any(disturbed([profile]) for profile in result.profiles.values()):
        why = "other work slowed these runs; they"
    elif yardstick is not None and (yardstick.pace(result) or 0) > SLOW:
        why = "this machine was slower than when its latency table was measured; these runs"
    else:
        return result
    lab.tell.note(f"{why} are repeated")
    return race(request.model_copy(update={"max_age_h": 0.0}), lab)


def time_kits(kits: Kits, lab: Lab, yardstick: Yardstick | None = None) -> Timed:
    """Time members' kits in a lab."""
    every = tuple(kit for kits_of_member in kits.values() for kit in kits_of_member)
    if not every:
        return Timed({}, {})
    extra = () if yardstick is None or yardstick.kit in every else (yardstick.kit,)
    raced = untrained_race((*every, *extra), ROUNDS, lab, yardstick=yardstick)
    profiles, times, failed = raced.profiles, dict[str, Interval](), dict[str, str]()
    for name, kits_of_member in kits.items():
        run = [profiles[kit.entrant] for kit in kits_of_member if kit.entrant in profiles]
        p50s_ms = [p50_ms for profile in run if (p50_ms := latency_when_chosen(profile).p50_ms)]
        if p50s_ms:
            times[name] = min(p50s_ms, key=lambda p50_ms: p50_ms.estimate)
        else:
            failed[name] = next((raced.failed[kit.entrant] for kit in kits_of_member if kit.entrant in raced.failed), UNRUN)
    return Timed(times, failed, None if yardstick is None else yardstick.pace(raced))


DEPTHS, WIDTHS = (0.3, 1.3), (0.25, 1.3)
"""Ranges of the multipliers of drawn networks, uniform by logarithm."""
SIDES_PX = (32, 32, 48, 48, 64, 64, 96, 128, 160, 192, 224)
CLASSES = (10, 100, 1000)
SEEDS = 10_000
"""Number of different networks of random blocks."""
DRAWS = 20
"""Most draws for each network."""
MOST_MMACS = 1500.0
"""Most million multiply-adds of a drawn network; a larger one would take the time of ten."""
_UNSCALED = ("shufflenet-v1", "shufflenet-v2", "densenet", "efficientnet-v2", "resnext", "googlenet")
"""Families that no rule scales, with other kinds of blocks; only their resolution varies."""
_IN_TURN = tuple(name for family in (*RULES, *_UNSCALED) for name in (BLOCKS, family))


def pool(size: int, families: Iterable[str] = _IN_TURN, seed: int = 0) -> tuple[Probe, ...]:
    """Return ``size`` different networks, alternating random blocks and families. The same seed gives the same networks."""
    draw, names, probes = random.Random(seed), list(families), dict[Probe, None]()
    for _ in range(DRAWS * size):
        if len(probes) == size:
            break
        probe = _draw(names[len(probes) % len(names)], draw)  # the same family again if the draw was too large or invalid
        if probe is not None and probe not in probes and count_cost(probe).macs / 1e6 <= MOST_MMACS:
            probes[probe] = None
    return tuple(probes)


def _draw(family: str, draw: random.Random) -> Probe | None:
    size, classes = ImageSize.square(draw.choice(SIDES_PX)), draw.choice(CLASSES)
    if family == BLOCKS:
        return Probe(arch=f"{BLOCKS}-{draw.randrange(SEEDS)}", resolution_px=size, classes=classes)
    spec = draw.choice([arch for arch in all_archs() if arch.family == family])
    if family not in RULES:
        return Probe(arch=spec.name, resolution_px=size, classes=classes)
    depth, width = (round(low * (high / low) ** draw.random(), 2) for low, high in (DEPTHS, WIDTHS))
    try:
        scaled_spec = scale_arch(spec, CompoundScale(depth=depth, width=width), size).spec
    except (ScaleInvalid, ScaleLeavesNoChannel, ResolutionUnderStride):
        return None
    return Probe(arch=scaled_spec.name, resolution_px=size, classes=classes)


BATCH = 4
"""Networks that are raced together."""
BEGINNING = 18
"""Networks to time before predictions choose the next ones: random blocks and most families, in turn."""
POOL = 96
"""Networks from which the next ones are chosen."""
MOST = 40
"""Networks of a table, each in every runtime and precision that the device has."""
TABLE_ROUNDS, ROUNDS_APART = 2, 2
APART = 1.08
"""Ratio of a kit's two processes above which the kit is raced again, because other work slowed one of them."""


class TablePlan(Value):
    """The candidates of a table, and the limits of its measurement."""

    candidates: tuple[Candidate, ...]
    minutes: float = 15.0
    """No batch starts after this time."""
    anew: bool = False
    """Whether to use no stored measurement."""


@dataclass
class _Timing:
    """The measurement of a table so far."""

    lab: Lab
    request: TablePlan
    maker: KitMaker
    timed: dict[str, list[TimedProbe]] = field(default_factory=lambda: defaultdict(list))
    runtimes: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """``candidate of probe``, or a probe or candidate alone, to the reason why it has no time."""
    began: float = field(default_factory=lambda: time.monotonic())

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self.began) / 60

    def run(self, batch: Sequence[Probe]) -> None:
        """Make and race one batch, and record failures."""
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
            self._race(kits)

    def _race(self, kits: Mapping[tuple[str, Probe], KitRef]) -> None:
        max_age_h = 0.0 if self.request.anew else MAX_AGE_H
        first = untrained_race(tuple(kits.values()), TABLE_ROUNDS, self.lab, max_age_h)
        apart = tuple(kit for kit in kits.values() if kit.entrant in first.profiles and _runs_differ(first.profiles[kit.entrant]))
        again = untrained_race(apart, ROUNDS_APART, self.lab, max_age_h).profiles if apart else {}
        for (name, probe), kit in kits.items():
            if kit.entrant not in first.profiles:
                self.failed[f"{name} of {probe.name}"] = first.failed.get(kit.entrant, UNRUN)
                continue
            profiles = [first.profiles[kit.entrant], *([again[kit.entrant]] if kit.entrant in again else [])]
            if not any(map(_medians_ms, profiles)):
                self.failed[f"{name} of {probe.name}"] = UNRUN
                continue
            self.timed[name].append(
                TimedProbe(
                    probe=probe,
                    macs=count_cost(probe).macs,
                    medians_ms=tuple(ms for profile in profiles for ms in _medians_ms(profile)),
                    disturbed=next(filter(None, (disturbed([profile]) for profile in profiles)), None),
                    traced=self._trace_or_none(probe, kit),
                )
            )
            self.runtimes[kit.runtime] = profiles[0].environment.conditions.get("runtime_version", "unknown")

    def _trace_or_none(self, probe: Probe, kit: KitRef) -> TracedLayers | None:
        """Trace a network's layers; None if that fails, so that only the total time is known."""
        layers = tried(partial(self._trace, probe, kit))
        if isinstance(layers, Failed):
            self.failed[f"the layers of {kit.candidate.id} of {probe.name}"] = layers.what
            return None
        return layers

    def _trace(self, probe: Probe, kit: KitRef) -> TracedLayers | None:
        """Trace the layers, a second time if other work slowed the first."""
        macs = self.maker.mac_table(probe)
        profile = traced_residency(kit, macs, self.lab) if self.request.anew else residency(kit, macs, self.lab).profile
        if disturbed([profile]) is not None:
            profile = traced_residency(kit, macs, self.lab)
        return None if profile.residency is None else traced_layers(profile.residency, macs)


def measure_table(request: TablePlan, lab: Lab) -> LatencyTable:
    """Time networks in every candidate of a device, the most uncertain next.

    Raises NothingTimed: no network could be made and run. MissingPackage: a package that makes networks is not installed.
    """
    require_packages(("torch", "torchvision", "onnx", "scikit-learn"), extra="train", needed_for="a latency table")
    timing = _Timing(lab, request, KitMaker(lab.store, lab.tell, lab.environment.conditions))
    waiting, done, longest = list(pool(POOL)), 0, 0.0
    while waiting and done < MOST and timing.minutes + longest <= request.minutes:
        before = timing.minutes
        batch = _next_batch(timing.timed, waiting, min(BATCH, MOST - done))
        timing.run(batch)
        waiting = [probe for probe in waiting if probe not in batch]
        done, longest = done + len(batch), max(longest, timing.minutes - before)
        lab.tell.step("time networks", done, MOST, "networks")
    if not timing.timed:
        raise nothing_timed(device=lab.device, reasons=timing.failed)
    never = [candidate.id for candidate in request.candidates if candidate.id not in timing.timed]
    timing.failed |= dict.fromkeys(never, "none of its networks could be made and run")
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


def _next_batch(timed: Mapping[str, Sequence[TimedProbe]], waiting: Sequence[Probe], count: int) -> list[Probe]:
    """Return the next batch: first the families in turn, then the networks with the most uncertain predictions."""
    counted = [rows for rows in timed.values() if len(rows) >= max(BEGINNING, LEAST_TIMED)]
    if not counted:
        return list(waiting[:count])
    spreads = [[prediction.spread for prediction in Predictor(rows).predict(waiting)] for rows in counted]
    uncertainty = [sum(spreads_of_probe) for spreads_of_probe in zip(*spreads, strict=True)]
    order = sorted(range(len(waiting)), key=lambda index: (-uncertainty[index], waiting[index].name))
    return [waiting[index] for index in order[:count]]


def _medians_ms(profile: Profile) -> list[float]:
    """Return the median of each process in ms, without values outside the table's limits."""
    medians = (round(median(run.samples_ns) / 1e6, 5) for run in profile.runs if run.samples_ns)
    return [ms for ms in medians if MS_MIN <= ms <= MS_MAX]


def _runs_differ(profile: Profile) -> bool:
    medians = _medians_ms(profile)
    return profile.fidelity is not Fidelity.EMULATED and bool(medians) and max(medians) > APART * min(medians)


class TableRequest(NamedTuple):
    """A user's request of a table."""

    device: Device
    host: HostRequest | None
    """The board; None: this machine."""
    minutes: float
    anew: bool


def table_of(request: TableRequest, store: Store, tell: Progress) -> LatencyTable:
    """Measure the table of a device, on a board or on this machine.

    Raises TABLE_ELSEWHERE: the machine is not the device. NothingTimed: see ``measure_table``. BoardError: the board failed.
    """
    device, host = request.device, request.host
    with machine_for(host, BoardUse(device, f"edgecnn devices measure {device.name}"), tell) as machine:
        at = attachment_of(device, machine.facts, None if host is None else host.address)
        if not at.attached:
            raise table_elsewhere(device=device.name, why=at.why)
        candidates, _, unavailable = candidates_of(device, Recipe(), machine.facts)
        for name, why in unavailable.items():
            tell.note(f"{name} is not in the table: {why.why}")
        plan = TablePlan(candidates=timeable_candidates(candidates), minutes=request.minutes, anew=request.anew)
        return measure_table(plan, machine.lab(store, tell, device.name))


def require_own_name(device: Device, host: HostRequest | None) -> None:
    """Raises TABLE_NEEDS_FILE: the board's table would replace the table of this machine."""
    if host is not None and device.processor.architecture == "any":
        raise TABLE_NEEDS_FILE(device=device.name)


def timeable_candidates(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates that need only the trunk, and no engine of the device."""
    return tuple(candidate for candidate in candidates if not candidate.needs_engine and is_of_trunk(candidate))
