"""Race reference networks on one machine, within so many minutes, for a record that can be sent.

The kits are made by the stages that builds use, and nothing is trained, because a latency does not depend on what a network
learned. Everything lies in the store, so that the same command after an interruption goes on. On a GPU torch's ways run in one
race, because opening a program takes longer than timing it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, TypeVar

import edgecnn
from edgecnn.building.engines import build_engines, builder_for
from edgecnn.building.runnable import tried, why_not_runnable
from edgecnn.building.untrained_kits import KitMaker
from edgecnn.bundle.evidence import EvidenceKit, EvidenceNetwork, EvidenceRecord, EvidenceWeights, redact_paths, renamed
from edgecnn.devices.check.board import BoardUse, hardware_differences, runtimes_for
from edgecnn.devices.desktop_gpu import VariantChoice, gpu_here
from edgecnn.devices.machine import Machine, machine_for
from edgecnn.devices.this_machine import attachment_of
from edgecnn.errors.measuring import EVIDENCE_ELSEWHERE, nothing_in_evidence
from edgecnn.installed import require_packages
from edgecnn.judging.runs.latency import RUNS_NEEDED, latency
from edgecnn.judging.runs.resources import throughput
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import RaceResult, race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.measure.residency import residency
from edgecnn.models.catalogue import arch_named
from edgecnn.models.weights import answer_weights
from edgecnn.planning.candidates import candidates_of
from edgecnn.planning.complete import stored_weights, tool_versions
from edgecnn.resources import resource_folder
from edgecnn.runner.runs.schedule import OPENED_AT_ONCE
from edgecnn.store.disk import sha256_of
from edgecnn.store.store import Store
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Artifact, Failed
from edgecnn.values.base import utc_moment
from edgecnn.values.board import HostRequest
from edgecnn.values.candidate import BASELINE_ID, Candidate, TargetRuntime, is_of_trunk
from edgecnn.values.device import Device, EngineBuilder
from edgecnn.values.fit import Probe
from edgecnn.values.layers import MacTable, Residency
from edgecnn.values.profile import EMULATED_TIMES, Environment, Profile, Purpose
from edgecnn.values.recipe import Recipe, TargetChoice
from edgecnn.values.resolved import DesktopGpu
from edgecnn.values.stage import Progress

Found = TypeVar("Found")

NETWORKS = ("mobilenet-v2", "resnet-18", "efficientnet-b0", "mobilenet-v3-large", "efficientnet-lite0", "resnet-50")
"""One of each way of building blocks that costs an edge device differently: inverted residuals with ReLU6; plain 3×3
convolutions; SiLU with squeeze-excite; hard-swish with it; EfficientNet without either; bottlenecks, as MLPerf has them.
In this order, so that those measured first differ most where time is short."""
ROUNDS, SAMPLES, MAX_AGE_H = 8, 1000, 24.0
RUN_LEAST_S, RUN_MOST_S = 1.0, 10.0
"""Of a timed process: a slow network gives fewer samples, and its record says what they cannot support."""
_RUN_BESIDE_S, _KIT_BESIDE_S = 2.0, 8.0
"""What a process takes to begin, and a kit's self-test and trace take, by which the time of the runs is planned."""


class EvidenceRequest(NamedTuple):
    """What is asked, and where."""

    device: Device
    device_file: Path | None
    """None of a shipped device."""
    runtime: TargetRuntime | None
    """The one that the target names; None: those that the device's file builds by default."""
    host: HostRequest | None
    """None: this machine."""
    minutes: float
    """Of measuring, which making kits is no part of."""
    variants: VariantChoice = "usual"
    """Of a GPU: in which ways it runs a network beside eager fp32."""


def planned_run_s(minutes: float, kits: int) -> float:
    """How long a timed process may take in seconds, so that every network is done in time; fixed before anything runs.

    ``kits``: of each network.
    """
    each = 60 * minutes / len(NETWORKS) / kits - _KIT_BESIDE_S
    return min(RUN_MOST_S, max(RUN_LEAST_S, math.floor(2 * (each / ROUNDS - _RUN_BESIDE_S)) / 2))


@dataclass
class Gathering:
    """The networks measured so far, and the time that it took."""

    asked: EvidenceRequest
    lab: Lab
    candidates: tuple[Candidate, ...]
    builder: EngineBuilder | None = None
    """Of the engines that kits need there."""
    networks: list[EvidenceNetwork] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    spent_s: float = 0.0
    longest_s: float = 0.0

    def __post_init__(self) -> None:
        self.maker = KitMaker(self.lab.store, self.lab.tell, self.lab.environment.conditions)

    def run(self) -> None:
        """Measure each network that still fits, by the longest that one took."""
        self.networks = self.of_each("measure reference networks", self._network)

    def of_each(self, doing: str, work: Callable[[ArchSpec], Found]) -> list[Found]:
        """What the work gives of each network for which there is time; why another is not there is noted and told."""
        found: list[Found] = []
        for number, arch in enumerate(NETWORKS):
            self.lab.tell.step(doing, number, len(NETWORKS), "networks")
            if self.spent_s + self.longest_s > 60 * self.asked.minutes:
                self.leave_out(arch, self.no_time)
                continue
            made = tried(partial(work, arch_named(arch)))
            if isinstance(made, Failed):
                self.leave_out(arch, made.what)
            else:
                found.append(made)
        self.lab.tell.step(doing, len(NETWORKS), len(NETWORKS), "networks")
        return found

    @property
    def no_time(self) -> str:
        """Why something was not measured."""
        return f"no time was left of {self.asked.minutes:g} minutes; --minutes gives more"

    def leave_out(self, name: str, why: str) -> None:
        """Note it for the record, and tell."""
        self.left_out[name] = why
        self.lab.tell.note(f"{name} is left out: {why}")

    def _network(self, spec: ArchSpec) -> EvidenceNetwork:
        probe = probe_of(spec)
        fetched, weights = self.weights(spec)
        made = self.maker.kits(probe, self.candidates, fetched)
        macs, began = self.maker.mac_table(probe, fetched), monotonic()
        failed = dict(made.failed)
        try:
            kits = self._measured(made.made, macs, failed)
        finally:
            took_s = monotonic() - began
            self.spent_s, self.longest_s = self.spent_s + took_s, max(self.longest_s, took_s)
        return self.network_of(spec, macs, weights, kits, failed)

    def network_of(
        self, spec: ArchSpec, macs: MacTable, weights: EvidenceWeights, kits: Iterable[EvidenceKit], failed: Mapping[str, str]
    ) -> EvidenceNetwork:
        """As the record has it; what failed is told."""
        for name, why in failed.items():
            self.lab.tell.note(f"{name} of {spec.name} has no figures: {why}")
        return EvidenceNetwork(
            arch=spec.name,
            resolution_px=spec.resolution_px,
            classes=spec.classes,
            parameters=spec.parameters or 0,
            macs=macs.total,
            weights=weights,
            kits=tuple(kits),
            failed=failed,
        )

    def weights(self, spec: ArchSpec) -> tuple[Artifact | None, EvidenceWeights]:
        """Published ones where they can be had; where not, that is told, and the record calls them seeded."""
        answer = answer_weights(spec, "auto", cached=stored_weights(spec, self.lab.store, tool_versions()))
        why = answer.lacking or answer.why
        if answer.kind != "none":
            fetched = tried(partial(self.maker.fetched, spec, answer))
            if not isinstance(fetched, Failed) and spec.weights is not None:
                facts = json.loads((fetched.folder / "weights.json").read_text(encoding="utf-8"))
                what = f"{spec.weights.trained_on} weights ({spec.weights.name})"
                return fetched, EvidenceWeights(origin="published", what=what, sha256=facts["sha256"], licence=facts["licence"])
            why = fetched.what if isinstance(fetched, Failed) else why
        self.lab.tell.note(f"{spec.name} is timed with seeded weights, which learned nothing: {why}")
        return None, EvidenceWeights(
            origin="seeded", what="drawn from a fixed seed; nothing was learned, and no accuracy is known"
        )

    def _measured(self, made: Mapping[str, KitRef], macs: MacTable, failed: dict[str, str]) -> list[EvidenceKit]:
        """Those that pass their own test, raced and traced; ``failed`` gets the others."""
        kits = dict(made)
        if self.builder is not None:
            built = build_engines(kits, self.builder, self.lab)
            kits.update(built.kits)
            failed.update({name: each.what for name, each in built.failed.items()})
        failing = {name: why_not_runnable(kit, self.lab) for name, kit in kits.items() if name not in failed}
        failed.update({name: failing_kit.what for name, failing_kit in failing.items() if failing_kit is not None})
        kits = {name: kit for name, kit in kits.items() if name not in failed}
        if not kits:
            return []
        run_s = planned_run_s(self.asked.minutes, len(self.candidates))
        raced = race(self.request(kits.values(), "evidence", rounds=ROUNDS, max_s=run_s), self.lab)
        failed.update(raced.failed_of(kits.values()))
        fp32 = kits.get(BASELINE_ID)
        reference = None if fp32 is None else raced.profiles.get(fp32.entrant)
        finished = [kit for kit in kits.values() if kit.entrant in raced.profiles]
        return [self.kit_of(kit, raced.profiles[kit.entrant], reference, self._residency(kit, macs)) for kit in finished]

    def request(self, kits: Iterable[KitRef], purpose: Purpose, **asked: Any) -> RaceRequest:
        """A race of these kits."""
        return RaceRequest(kits=tuple(kits), purpose=purpose, samples=SAMPLES, max_age_h=MAX_AGE_H, **asked)

    def _residency(self, kit: KitRef, macs: MacTable) -> Residency | None:
        traced = tried(partial(residency, kit, macs, self.lab))
        if isinstance(traced, Failed):
            self.lab.tell.note(f"residency of {kit.candidate.id} could not be read: {traced.what}")
            return None
        found = traced.profile.residency
        return None if found is None else found.model_copy(update={"layers": ()})

    def kit_of(self, kit: KitRef, profile: Profile, reference: Profile | None, ran: Residency | None) -> EvidenceKit:
        """As the record has it. ``reference``: fp32's runs of the same race. ``ran``: None where it could not be read back."""
        return EvidenceKit(
            candidate=kit.candidate,
            kit=kit.digest,
            runtime_version=profile.environment.conditions.get("runtime_version", "unknown"),
            size_mib=kit.size_mib,
            latency=latency(profile, fp32=None if profile is reference else reference, machine=self.lab.machine),
            residency=ran,
            environment=profile.environment,
        )


def probe_of(spec: ArchSpec) -> Probe:
    """The network as it was published."""
    return Probe(arch=spec.name, resolution_px=spec.resolution_px, classes=spec.classes)


RUN_S = 1.0
"""Of a timed process; a GPU answers hundreds of times within it."""
OPEN_S, TURN_S = 15.0, 5.0
"""What processes take to open their programs, some at once, and each to be timed, by which rounds are planned."""
TESTED_AT_ONCE = 6


def planned_rounds(minutes: float, kits: int) -> int:
    """As many as fit, and no fewer than an interval of a median needs."""
    return max(RUNS_NEEDED, min(ROUNDS, int(60 * minutes / (OPEN_S * -(-kits // OPENED_AT_ONCE) + TURN_S * kits))))


class _Made(NamedTuple):
    """A network before it is timed."""

    spec: ArchSpec
    weights: EvidenceWeights
    macs: MacTable
    kits: dict[str, KitRef]
    failed: dict[str, str]


@dataclass
class GpuGathering(Gathering):
    """The same of a GPU. With one image a call, and then, as long as the minutes last, with the most that a call takes."""

    def run(self) -> None:
        """Every network. There is one race, so that none is left out for want of time."""
        made = self.of_each("make reference networks", self._make)
        began = monotonic()
        self._test(made)
        kits = [kit for each in made for kit in each.kits.values()]
        if not kits:
            self.networks = [self._network_of(each, None, None) for each in made]
            return
        rounds = planned_rounds(self.asked.minutes, len(kits))
        raced, took = self._race(kits, rounds)
        many: RaceResult | None = None
        if monotonic() - began + took / rounds * RUNS_NEEDED <= 60 * self.asked.minutes:
            counted = tried(partial(self._race, kits, RUNS_NEEDED, {kit.entrant: kit.batch_max for kit in kits}))
            if isinstance(counted, Failed):
                self.leave_out("images a second", counted.what)
            else:
                many = counted[0]
        else:
            self.left_out["images a second"] = self.no_time
        self.spent_s = monotonic() - began
        self.networks = [self._network_of(each, raced, many) for each in made]

    def _make(self, spec: ArchSpec) -> _Made:
        fetched, weights = self.weights(spec)
        probe = probe_of(spec)
        made = self.maker.gpu_kits(probe, self.candidates, fetched)
        return _Made(spec, weights, self.maker.mac_table(probe, fetched), dict(made.made), dict(made.failed))

    def _test(self, made: list[_Made]) -> None:
        """Each kit's own test, several at once, since none is timed; those that fail go."""
        every = [(each, name, kit) for each in made for name, kit in each.kits.items()]
        at_once = max(1, min(TESTED_AT_ONCE, (os.cpu_count() or 1) // 2))
        with ThreadPoolExecutor(at_once) as pool:
            outcomes = list(pool.map(lambda one: why_not_runnable(one[2], self.lab), every))
        for (each, name, _), failed in zip(every, outcomes, strict=True):
            if failed is not None:
                del each.kits[name]
                each.failed[name] = failed.what

    def _race(self, kits: list[KitRef], rounds: int, batches: dict[str, int] | None = None) -> tuple[RaceResult, float]:
        """And the seconds that it took."""
        began = monotonic()
        purpose: Purpose = "throughput" if batches else "evidence"
        asked = self.request(kits, purpose, rounds=rounds, max_s=RUN_S, batches=batches or {}, together=True)
        return race(asked, self.lab), monotonic() - began

    def _network_of(self, made: _Made, raced: RaceResult | None, many: RaceResult | None) -> EvidenceNetwork:
        profiles = {} if raced is None else {name: raced.profiles.get(kit.entrant) for name, kit in made.kits.items()}
        reference = profiles.get(self.candidates[0].id)
        kits = [self._kit_of(kit, found, reference, many) for name, kit in made.kits.items() if (found := profiles.get(name))]
        failed = {**made.failed, **({} if raced is None else raced.failed_of(made.kits.values()))}
        return self.network_of(made.spec, made.macs, made.weights, kits, failed)

    def _kit_of(self, kit: KitRef, profile: Profile, reference: Profile | None, many: RaceResult | None) -> EvidenceKit:
        found = self.kit_of(kit, profile, reference, None)  # what precision a layer ran in, torch does not read back
        if many is None:
            return found
        seen = many.profiles.get(kit.entrant)
        counted = throughput([seen] if seen else [], {}, (), self.lab.machine, many.failed.get(kit.entrant))
        return found.model_copy(update={"throughput": counted})


def evidence_of(asked: EvidenceRequest, store: Store, tell: Progress) -> EvidenceRecord:
    """Make and measure the reference networks where the device is; the record is not sealed yet.

    Raises:
        MissingPackage: what makes networks is not installed.
        EVIDENCE_ELSEWHERE: this machine is another one than the device, or emulated.
        NOTHING_IN_EVIDENCE: no network could be made and timed.
        BoardError: of the board, or a lost link; the same call goes on where it stopped.
    """
    require_packages(("torch", "torchvision", "onnx"), extra="train", needed_for="evidence")
    device, runtime = asked.device, asked.runtime
    if asked.host is not None and asked.host.emulated:
        raise EVIDENCE_ELSEWHERE(device=device.name, why=EMULATED_TIMES)
    wanted = BoardUse(device, f"edgecnn evidence --target {device.name}", runtimes_for(device, runtime))
    with store.in_use.held(), machine_for(asked.host, wanted, tell) as machine:
        at = attachment_of(device, machine.facts, machine.board)
        if not at.attached:
            raise EVIDENCE_ELSEWHERE(device=device.name, why=at.why)
        differing = tuple(hardware_differences(device, machine.facts))
        for sentence in differing:
            tell.note(sentence)
        lab = machine.lab(store, tell, device.name)
        if device.role == "baseline" and runtime is None:
            gpu = _gpu(asked)
            gathering: Gathering = GpuGathering(asked, lab, (gpu.candidate, *gpu.variants))
            unavailable = gpu.unavailable
        else:
            recipe = Recipe(target=TargetChoice(device=device.name, runtime=runtime))
            found, _, lacking = candidates_of(device, recipe, machine.facts)
            candidates = tuple(each for each in found if is_of_trunk(each))
            unavailable = {name: each.why for name, each in lacking.items()}
            gathering = Gathering(asked, lab, candidates, builder_for(candidates, machine, tell))
        gathering.run()
        return _record(gathering, replace(machine, warnings=(*machine.warnings, *differing)), unavailable)


def _gpu(asked: EvidenceRequest) -> DesktopGpu:
    """Raises EVIDENCE_ELSEWHERE: torch cannot use it, or it is at the other end of a link, where edgecnn has no torch."""
    device = asked.device.name
    if asked.host is not None:
        raise EVIDENCE_ELSEWHERE(device=device, why="torch's ways on a GPU are timed on the machine that edgecnn is installed on")
    gpu = gpu_here(asked.variants, asked.device)
    if gpu is None:
        raise EVIDENCE_ELSEWHERE(device=device, why="torch is not installed")
    if gpu.unusable is not None:
        raise EVIDENCE_ELSEWHERE(device=device, why=gpu.unusable)
    return gpu


def _record(gathering: Gathering, machine: Machine, unavailable: Mapping[str, str]) -> EvidenceRecord:
    asked, lab = gathering.asked, gathering.lab
    if not any(network.kits for network in gathering.networks):
        reasons = {**gathering.left_out, **{name: why for each in gathering.networks for name, why in each.failed.items()}}
        raise nothing_in_evidence(device=asked.device.name, reasons=reasons)
    clean, named = partial(redact_paths, board=machine.board), partial(renamed, secret=lab.store.secret(lab.tell))
    dates = (kit.latency.observed_at for network in gathering.networks for kit in network.kits)
    file = asked.device_file or resource_folder("devices") / f"{asked.device.name}.toml"
    return EvidenceRecord(
        version=edgecnn.__version__,
        device=asked.device.name,
        device_title=asked.device.title,
        device_sha256=sha256_of(file),
        machine=lab.machine,
        environment=named(lab.environment),
        measured_at=min(dates, key=utc_moment),
        minutes=asked.minutes,
        seconds=round(gathering.spent_s, 1),
        networks=tuple(_as_sent(each, clean, named) for each in gathering.networks),
        left_out=_cleaned({**gathering.left_out, **unavailable}, clean),
        warnings=tuple(clean(each) for each in machine.warnings),
    )


def _as_sent(
    network: EvidenceNetwork, clean: Callable[[str], str], named: Callable[[Environment], Environment]
) -> EvidenceNetwork:
    kits = tuple(kit.model_copy(update={"environment": named(kit.environment)}) for kit in network.kits)
    return network.model_copy(update={"kits": kits, "failed": _cleaned(network.failed, clean)})


def _cleaned(reasons: Mapping[str, str], clean: Callable[[str], str]) -> dict[str, str]:
    return {name: clean(why) for name, why in reasons.items()}
