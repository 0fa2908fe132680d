"""Race reference networks on one machine for a limited time, and make a record of evidence that can be sent.

The stages of builds make the kits. Nothing is trained, because latency does not depend on the weights. Results are stored, so the
same command continues after an interruption. On a GPU, all torch variants run in one race, because opening a program takes longer
than timing it.
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
from edgecnn.building.untrained_kits import KitMaker
from edgecnn.bundle.evidence import EvidenceKit, EvidenceNetwork, EvidenceRecord, EvidenceWeights, anonymize_machine, redact_paths
from edgecnn.devices.check.board import BoardUse, hardware_differences, runtimes_for
from edgecnn.devices.desktop_gpu import VariantChoice, gpu_here
from edgecnn.devices.machine import Machine, machine_for
from edgecnn.devices.this_machine import attachment_of
from edgecnn.errors.measuring import EVIDENCE_ELSEWHERE, nothing_in_evidence
from edgecnn.installed import require_packages, resource_folder
from edgecnn.judging.latency import latency
from edgecnn.judging.resources import throughput
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab, tried, why_not_runnable
from edgecnn.measure.race import RaceResult, race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.measure.residency import residency
from edgecnn.models.catalogue import arch_named
from edgecnn.models.weights import answer_weights
from edgecnn.planning.candidates import candidates_of
from edgecnn.planning.complete import stored_weights, tool_versions
from edgecnn.runner.runs.figures import RUNS_NEEDED
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
from edgecnn.values.profile import EMULATED_TIMES, Profile, Purpose
from edgecnn.values.recipe import Recipe, TargetChoice
from edgecnn.values.resolved import DesktopGpu
from edgecnn.values.stage import Progress

Result = TypeVar("Result")

NETWORKS = ("mobilenet-v2", "resnet-18", "efficientnet-b0", "mobilenet-v3-large", "efficientnet-lite0", "resnet-50")
"""One network for each kind of block that costs an edge device differently: inverted residuals with ReLU6; plain 3×3
convolutions; SiLU with squeeze-excite; hard-swish with squeeze-excite; EfficientNet without either; the bottlenecks of MLPerf.
The first networks differ most, in case time runs out."""
ROUNDS, SAMPLES, MAX_AGE_H = 8, 1000, 24.0
RUN_LEAST_S, RUN_MOST_S = 1.0, 10.0
"""Limits of the duration of a timed process. A slow network gives fewer samples, and its record says which percentiles lack
samples."""
_START_S, _TEST_S = 2.0, 8.0
"""Assumed duration of the start of a process, and of a kit's self-test and trace, for planning the time of the runs."""


class EvidenceRequest(NamedTuple):
    """A device and the runtimes to measure on it."""

    device: Device
    device_file: Path | None
    """File of the user's device; None for a shipped device."""
    runtime: TargetRuntime | None
    """Runtime that the target names; None: the default runtimes of the device file."""
    host: HostRequest | None
    """None: this machine."""
    minutes: float
    """Time for measuring, without making kits."""
    variants: VariantChoice = "usual"
    """Torch variants of a GPU, in addition to eager fp32."""


def planned_run_s(minutes: float, kits: int) -> float:
    """Return the seconds of a timed process with which every network is measured in time. ``kits``: kits of each network."""
    kit_s = 60 * minutes / len(NETWORKS) / kits - _TEST_S
    return min(RUN_MOST_S, max(RUN_LEAST_S, math.floor(2 * (kit_s / ROUNDS - _START_S)) / 2))


@dataclass
class Gathering:
    """Measures networks while time is left, and keeps their results."""

    request: EvidenceRequest
    lab: Lab
    candidates: tuple[Candidate, ...]
    builder: EngineBuilder | None = None
    """Builds the engines that kits need on this machine."""
    networks: list[EvidenceNetwork] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    spent_s: float = 0.0
    longest_s: float = 0.0

    def __post_init__(self) -> None:
        self.maker = KitMaker(self.lab.store, self.lab.tell, self.lab.environment.conditions)

    def run(self) -> None:
        """Measure each network if the time left suffices for the slowest network so far."""
        self.networks = self.collect("measure reference networks", self._network)

    def collect(self, doing: str, work: Callable[[ArchSpec], Result]) -> list[Result]:
        """Return the results of ``work`` for each network for which time is left; other networks are noted with the reason."""
        results: list[Result] = []
        for number, arch in enumerate(NETWORKS):
            self.lab.tell.step(doing, number, len(NETWORKS), "networks")
            if self.spent_s + self.longest_s > 60 * self.request.minutes:
                self.leave_out(arch, self.no_time)
                continue
            result = tried(partial(work, arch_named(arch)))
            if isinstance(result, Failed):
                self.leave_out(arch, result.what)
            else:
                results.append(result)
        self.lab.tell.step(doing, len(NETWORKS), len(NETWORKS), "networks")
        return results

    @property
    def no_time(self) -> str:
        """The reason of a network for which no time was left."""
        return f"the {self.request.minutes:g} minutes were over; --minutes raises the limit"

    def leave_out(self, name: str, why: str) -> None:
        """Note a network in the record as not measured, and print the reason."""
        self.left_out[name] = why
        self.lab.tell.note(f"{name} is not measured: {why}")

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
        """Return a network of the record, and print the kits that failed."""
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
        """Return published weights if available, else random weights from a fixed seed, and print a note."""
        answer = answer_weights(spec, "auto", cached=stored_weights(spec, self.lab.store, tool_versions()))
        why = answer.lacking or answer.why
        if answer.kind != "none":
            fetched = tried(partial(self.maker.fetched, spec, answer))
            if not isinstance(fetched, Failed) and spec.weights is not None:
                facts = json.loads((fetched.folder / "weights.json").read_text(encoding="utf-8"))
                title = f"{spec.weights.trained_on} weights ({spec.weights.name})"
                return fetched, EvidenceWeights(origin="published", what=title, sha256=facts["sha256"], licence=facts["licence"])
            why = fetched.what if isinstance(fetched, Failed) else why
        self.lab.tell.note(f"{spec.name} is timed with random weights: {why}")
        return None, EvidenceWeights(origin="seeded", what="random weights from a fixed seed; accuracy is not known")

    def _measured(self, made: Mapping[str, KitRef], macs: MacTable, failed: dict[str, str]) -> list[EvidenceKit]:
        """Race and trace the kits that pass their self-test, and add the other kits to ``failed``."""
        kits = dict(made)
        if self.builder is not None:
            built = build_engines(kits, self.builder, self.lab)
            kits.update(built.kits)
            failed.update({name: failure.what for name, failure in built.failed.items()})
        tested = {name: why_not_runnable(kit, self.lab) for name, kit in kits.items() if name not in failed}
        failed.update({name: failure.what for name, failure in tested.items() if failure is not None})
        kits = {name: kit for name, kit in kits.items() if name not in failed}
        if not kits:
            return []
        run_s = planned_run_s(self.request.minutes, len(self.candidates))
        raced = race(self.race_request(kits.values(), "evidence", rounds=ROUNDS, max_s=run_s), self.lab)
        failed.update(raced.failed_of(kits.values()))
        fp32 = kits.get(BASELINE_ID)
        reference = None if fp32 is None else raced.profiles.get(fp32.entrant)
        finished = [kit for kit in kits.values() if kit.entrant in raced.profiles]
        return [self.kit_of(kit, raced.profiles[kit.entrant], reference, self._residency(kit, macs)) for kit in finished]

    def race_request(self, kits: Iterable[KitRef], purpose: Purpose, **settings: Any) -> RaceRequest:
        """Return a race of these kits."""
        return RaceRequest(kits=tuple(kits), purpose=purpose, samples=SAMPLES, max_age_h=MAX_AGE_H, **settings)

    def _residency(self, kit: KitRef, macs: MacTable) -> Residency | None:
        traced = tried(partial(residency, kit, macs, self.lab))
        if isinstance(traced, Failed):
            self.lab.tell.note(f"residency of {kit.candidate.id} could not be read: {traced.what}")
            return None
        ran = traced.profile.residency
        return None if ran is None else ran.model_copy(update={"layers": ()})

    def kit_of(self, kit: KitRef, profile: Profile, reference: Profile | None, ran: Residency | None) -> EvidenceKit:
        """Return a kit of the record. ``reference``: fp32's runs in the same race. ``ran``: None if residency is unknown."""
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
    """Return the network with the input and the classes that it was published with."""
    return Probe(arch=spec.name, resolution_px=spec.resolution_px, classes=spec.classes)


RUN_S = 1.0
"""Duration of a timed process on a GPU, in which it makes hundreds of predictions."""
OPEN_S, TURN_S = 15.0, 5.0
"""Assumed duration of opening the programs of a few processes at once, and of timing one process, for planning rounds."""
TESTED_AT_ONCE = 6


def planned_rounds(minutes: float, kits: int) -> int:
    """Return as many rounds as fit into the time, and at least those that an interval of the median needs."""
    return max(RUNS_NEEDED, min(ROUNDS, int(60 * minutes / (OPEN_S * -(-kits // OPENED_AT_ONCE) + TURN_S * kits))))


class _Made(NamedTuple):
    """A network and its kits, before they are timed."""

    spec: ArchSpec
    weights: EvidenceWeights
    macs: MacTable
    kits: dict[str, KitRef]
    failed: dict[str, str]


@dataclass
class GpuGathering(Gathering):
    """Networks measured on a GPU: at batch size 1, then, if time is left, at the largest batch size."""

    def run(self) -> None:
        """Measure every network in one race, so that all of them are measured even if time is short."""
        made = self.collect("make reference networks", self._make)
        began = monotonic()
        self._test(made)
        kits = [kit for network in made for kit in network.kits.values()]
        if not kits:
            self.networks = [self._network_of(network, None, None) for network in made]
            return
        rounds = planned_rounds(self.request.minutes, len(kits))
        raced, took = self._race(kits, rounds)
        many: RaceResult | None = None
        if monotonic() - began + took / rounds * RUNS_NEEDED <= 60 * self.request.minutes:
            counted = tried(partial(self._race, kits, RUNS_NEEDED, {kit.entrant: kit.batch_max for kit in kits}))
            if isinstance(counted, Failed):
                self.leave_out("images a second", counted.what)
            else:
                many = counted[0]
        else:
            self.left_out["images a second"] = self.no_time
        self.spent_s = monotonic() - began
        self.networks = [self._network_of(network, raced, many) for network in made]

    def _make(self, spec: ArchSpec) -> _Made:
        fetched, weights = self.weights(spec)
        probe = probe_of(spec)
        made = self.maker.gpu_kits(probe, self.candidates, fetched)
        return _Made(spec, weights, self.maker.mac_table(probe, fetched), dict(made.made), dict(made.failed))

    def _test(self, made: list[_Made]) -> None:
        """Remove kits that fail their self-test. Several tests run at once, because they are not timed."""
        tested = [(network, name, kit) for network in made for name, kit in network.kits.items()]
        at_once = max(1, min(TESTED_AT_ONCE, (os.cpu_count() or 1) // 2))
        with ThreadPoolExecutor(at_once) as pool:
            outcomes = list(pool.map(lambda row: why_not_runnable(row[2], self.lab), tested))
        for (network, name, _), failed in zip(tested, outcomes, strict=True):
            if failed is not None:
                del network.kits[name]
                network.failed[name] = failed.what

    def _race(self, kits: list[KitRef], rounds: int, batches: dict[str, int] | None = None) -> tuple[RaceResult, float]:
        """Race the kits, and return the result and the duration of the race in seconds."""
        began = monotonic()
        purpose: Purpose = "throughput" if batches else "evidence"
        request = self.race_request(kits, purpose, rounds=rounds, max_s=RUN_S, batches=batches or {}, together=True)
        return race(request, self.lab), monotonic() - began

    def _network_of(self, made: _Made, raced: RaceResult | None, many: RaceResult | None) -> EvidenceNetwork:
        profiles = {} if raced is None else {name: raced.profiles.get(kit.entrant) for name, kit in made.kits.items()}
        reference = profiles.get(self.candidates[0].id)
        kits = [self._kit_of(kit, profile, reference, many) for name, kit in made.kits.items() if (profile := profiles.get(name))]
        failed = {**made.failed, **({} if raced is None else raced.failed_of(made.kits.values()))}
        return self.network_of(made.spec, made.macs, made.weights, kits, failed)

    def _kit_of(self, kit: KitRef, profile: Profile, reference: Profile | None, many: RaceResult | None) -> EvidenceKit:
        evidence_kit = self.kit_of(kit, profile, reference, None)  # torch does not report the precision of each layer
        if many is None:
            return evidence_kit
        batch_profile = many.profiles.get(kit.entrant)
        counted = throughput([batch_profile] if batch_profile else [], {}, (), self.lab.machine, many.failed.get(kit.entrant))
        return evidence_kit.model_copy(update={"throughput": counted})


def evidence_of(request: EvidenceRequest, store: Store, tell: Progress) -> EvidenceRecord:
    """Make and measure the reference networks on the device, and return the record, which is not sealed yet.

    Raises:
        MissingPackage: a package that makes networks is not installed.
        EVIDENCE_ELSEWHERE: the machine is not the device, or is emulated.
        NOTHING_IN_EVIDENCE: no network could be made and timed.
        BoardError: the board failed, or the link was lost; the same call continues where it stopped.
    """
    require_packages(("torch", "torchvision", "onnx"), extra="train", needed_for="evidence")
    device, runtime = request.device, request.runtime
    if request.host is not None and request.host.emulated:
        raise EVIDENCE_ELSEWHERE(device=device.name, why=EMULATED_TIMES)
    wanted = BoardUse(device, f"edgecnn evidence --target {device.name}", runtimes_for(device, runtime))
    with store.in_use.held(), machine_for(request.host, wanted, tell) as machine:
        at = attachment_of(device, machine.facts, machine.board)
        if not at.attached:
            raise EVIDENCE_ELSEWHERE(device=device.name, why=at.why)
        differing = tuple(hardware_differences(device, machine.facts))
        for sentence in differing:
            tell.note(sentence)
        lab = machine.lab(store, tell, device.name)
        if device.role == "baseline" and runtime is None:
            gpu = _gpu(request)
            gathering: Gathering = GpuGathering(request, lab, (gpu.candidate, *gpu.variants))
            unavailable = gpu.unavailable
        else:
            recipe = Recipe(target=TargetChoice(device=device.name, runtime=runtime))
            supported, _, lacking = candidates_of(device, recipe, machine.facts)
            candidates = tuple(candidate for candidate in supported if is_of_trunk(candidate))
            unavailable = {name: reason.why for name, reason in lacking.items()}
            gathering = Gathering(request, lab, candidates, builder_for(candidates, machine, tell))
        gathering.run()
        return _record(gathering, replace(machine, warnings=(*machine.warnings, *differing)), unavailable)


def _gpu(request: EvidenceRequest) -> DesktopGpu:
    """Return the GPU of this machine. Raises EVIDENCE_ELSEWHERE: torch cannot use the GPU, or a host was named."""
    device = request.device.name
    if request.host is not None:
        raise EVIDENCE_ELSEWHERE(device=device, why="torch is timed only on the machine that edgecnn is installed on")
    gpu = gpu_here(request.variants, request.device)
    if gpu is None:
        raise EVIDENCE_ELSEWHERE(device=device, why="torch is not installed")
    if gpu.unusable is not None:
        raise EVIDENCE_ELSEWHERE(device=device, why=gpu.unusable)
    return gpu


def _record(gathering: Gathering, machine: Machine, unavailable: Mapping[str, str]) -> EvidenceRecord:
    request, lab = gathering.request, gathering.lab
    if not any(network.kits for network in gathering.networks):
        reasons = {**gathering.left_out, **{name: why for network in gathering.networks for name, why in network.failed.items()}}
        raise nothing_in_evidence(device=request.device.name, reasons=reasons)
    clean, named = partial(redact_paths, board=machine.board), partial(anonymize_machine, secret=lab.store.secret(lab.tell))
    dates = (kit.latency.observed_at for network in gathering.networks for kit in network.kits)
    file = request.device_file or resource_folder("devices") / f"{request.device.name}.toml"
    return EvidenceRecord(
        version=edgecnn.__version__,
        device=request.device.name,
        device_title=request.device.title,
        device_sha256=sha256_of(file),
        machine=lab.machine,
        environment=named(lab.environment),
        measured_at=min(dates, key=utc_moment),
        minutes=request.minutes,
        seconds=round(gathering.spent_s, 1),
        networks=tuple(
            network.model_copy(
                update={
                    "kits": tuple(kit.model_copy(update={"environment": named(kit.environment)}) for kit in network.kits),
                    "failed": _cleaned(network.failed, clean),
                }
            )
            for network in gathering.networks
        ),
        left_out=_cleaned({**gathering.left_out, **unavailable}, clean),
        warnings=tuple(clean(warning) for warning in machine.warnings),
    )


def _cleaned(reasons: Mapping[str, str], clean: Callable[[str], str]) -> dict[str, str]:
    return {name: clean(why) for name, why in reasons.items()}
