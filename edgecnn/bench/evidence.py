"""Reference networks raced on one machine, within so many minutes, for a record that can be sent.

The kits are made by the stages that builds use and nothing is trained: a latency does not depend on what weights are. What was
made and raced lies in the store, so that the same command after an interruption goes on where it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import edgecnn
from edgecnn.backends.installed import require_packages
from edgecnn.building.engines import builder_for, with_engines
from edgecnn.building.runnable import tried, why_not_runnable
from edgecnn.building.untrained_kits import KitMaker
from edgecnn.bundle.evidence import EvidenceKit, EvidenceNetwork, EvidenceRecord, EvidenceWeights, without_paths
from edgecnn.devices.check.ready import Wanted, runtimes_for
from edgecnn.devices.machine import Machine, machine_for
from edgecnn.devices.this_machine import attachment_of
from edgecnn.errors.measuring import EvidenceElsewhere, NothingInEvidence
from edgecnn.judging.runs.latency import latency
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.measure.residency import residency
from edgecnn.models.catalogue import arch_named
from edgecnn.models.weights import answer_weights
from edgecnn.planning.candidates import candidates_of
from edgecnn.planning.complete import stored_weights, tool_versions
from edgecnn.planning.variants import is_of_trunk
from edgecnn.resources import resource_folder
from edgecnn.store.disk import sha256_of
from edgecnn.store.store import Store
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Artifact, Failed, Unavailable
from edgecnn.values.board import HostRequest
from edgecnn.values.candidate import BASELINE_ID, Candidate, TargetRuntime
from edgecnn.values.device import Device, EngineBuilder
from edgecnn.values.fit import Probe
from edgecnn.values.layers import MacTable
from edgecnn.values.profile import Profile
from edgecnn.values.recipe import Recipe, TargetChoice
from edgecnn.values.stage import Progress

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


def planned_run_s(minutes: float, kits: int) -> float:
    """How long a timed process may take in seconds, so that every network is done in time; fixed before anything runs.

    ``kits``: of each network.
    """
    each = 60 * minutes / len(NETWORKS) / kits - _KIT_BESIDE_S
    return min(RUN_MOST_S, max(RUN_LEAST_S, math.floor(2 * (each / ROUNDS - _RUN_BESIDE_S)) / 2))


def evidence_of(asked: EvidenceRequest, store: Store, tell: Progress) -> EvidenceRecord:
    """Make and measure the reference networks where the device is; the record is not sealed yet.

    Raises:
        MissingPackage: what makes networks is not installed.
        EvidenceElsewhere: this machine is another one than the device.
        NothingInEvidence: no network could be made and timed.
        BoardError: of the board, or a lost link; the same call goes on where it stopped.
    """
    require_packages(("torch", "torchvision", "onnx"), extra="train", needed_for="evidence")
    device, runtime = asked.device, asked.runtime
    wanted = Wanted(device, f"edgecnn evidence --target {device.name}", runtimes_for(device, runtime))
    with store.in_use.held(), machine_for(asked.host, wanted, tell) as machine:
        at = attachment_of(device, machine.facts, machine.board)
        if not at.attached:
            raise EvidenceElsewhere(device=device.name, why=at.why)
        recipe = Recipe(target=TargetChoice(device=device.name, runtime=runtime))
        candidates, _, unavailable = candidates_of(device, recipe, machine.facts)
        kept = tuple(each for each in candidates if is_of_trunk(each))
        gathering = Gathering(asked, machine.lab(store, tell, device.name), kept, builder_for(kept, machine, tell))
        gathering.run()
        return _record(gathering, machine, unavailable)


def _record(gathering: Gathering, machine: Machine, unavailable: Mapping[str, Unavailable]) -> EvidenceRecord:
    asked, lab = gathering.asked, gathering.lab
    if not any(network.kits for network in gathering.networks):
        reasons = {**gathering.left_out, **{name: why for each in gathering.networks for name, why in each.failed.items()}}
        raise NothingInEvidence(device=asked.device.name, reasons=reasons)
    file = asked.device_file or resource_folder("devices") / f"{asked.device.name}.toml"
    return EvidenceRecord(
        version=edgecnn.__version__,
        device=asked.device.name,
        device_title=asked.device.title,
        device_sha256=sha256_of(file),
        machine=lab.machine,
        environment=lab.environment,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        minutes=asked.minutes,
        seconds=round(gathering.spent_s, 1),
        networks=tuple(gathering.networks),
        left_out={**gathering.left_out, **{name: why.why for name, why in unavailable.items()}},
        warnings=tuple(each.removeprefix(f"{machine.board}: ") for each in machine.warnings),
    )


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
        """Each network that still fits, by the longest that one took; why another is not there is noted and told."""
        for number, arch in enumerate(NETWORKS):
            self.lab.tell.step("measure reference networks", number, len(NETWORKS), "networks")
            if self.spent_s + self.longest_s > 60 * self.asked.minutes:
                self._leave_out(arch, f"no time was left of {self.asked.minutes:g} minutes; --minutes gives more")
                continue
            made = tried(partial(self._network, arch_named(arch)))
            if isinstance(made, Failed):
                self._leave_out(arch, made.what)
            else:
                self.networks.append(made)
        self.lab.tell.step("measure reference networks", len(NETWORKS), len(NETWORKS), "networks")

    def _leave_out(self, name: str, why: str) -> None:
        self.left_out[name] = without_paths(why)
        self.lab.tell.note(f"{name} is left out: {why}")

    def _network(self, spec: ArchSpec) -> EvidenceNetwork:
        probe = Probe(arch=spec.name, resolution_px=spec.resolution_px, classes=spec.classes)
        fetched, weights = self._weights(spec)
        made = self.maker.kits(probe, self.candidates, fetched)
        macs, began = self.maker.mac_table(probe, fetched), monotonic()
        failed = dict(made.failed)
        try:
            kits = self._measured(made.made, macs, failed)
        finally:
            took_s = monotonic() - began
            self.spent_s, self.longest_s = self.spent_s + took_s, max(self.longest_s, took_s)
        for name, why in failed.items():
            self.lab.tell.note(f"{name} of {spec.name} has no figures: {why}")
        return EvidenceNetwork(
            arch=spec.name,
            resolution_px=probe.resolution_px,
            classes=probe.classes,
            parameters=spec.parameters or 0,
            macs=macs.total,
            weights=weights,
            kits=tuple(kits),
            failed={name: without_paths(why) for name, why in failed.items()},
        )

    def _weights(self, spec: ArchSpec) -> tuple[Artifact | None, EvidenceWeights]:
        """Published ones where they can be had; where not, that is told, and the record calls them seeded."""
        answer = answer_weights(spec, "auto", cached=stored_weights(spec, self.lab.store, tool_versions()))
        why = answer.why.partition(": ")[2] or answer.why  # what it begins with is about training
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
            built = with_engines(kits, self.builder, self.lab)
            kits.update(built.kits)
            failed.update({name: each.what for name, each in built.failed.items()})
        failing = {name: why_not_runnable(kit, self.lab) for name, kit in kits.items() if name not in failed}
        failed.update({name: why for name, why in failing.items() if why is not None})
        kits = {name: kit for name, kit in kits.items() if name not in failed}
        if not kits:
            return []
        run_s = planned_run_s(self.asked.minutes, len(self.candidates))
        asked = RaceRequest(
            kits=tuple(kits.values()), purpose="evidence", rounds=ROUNDS, samples=SAMPLES, max_s=run_s, max_age_h=MAX_AGE_H
        )
        raced = race(asked, self.lab)
        failed.update(raced.failed_of(kits.values()))
        fp32 = kits.get(BASELINE_ID)
        reference = None if fp32 is None else raced.profiles.get(fp32.entrant)
        finished = [kit for kit in kits.values() if kit.entrant in raced.profiles]
        return [self._kit(kit, raced.profiles[kit.entrant], reference, macs) for kit in finished]

    def _kit(self, kit: KitRef, profile: Profile, reference: Profile | None, macs: MacTable) -> EvidenceKit:
        traced = tried(partial(residency, kit, macs, self.lab))
        if isinstance(traced, Failed):
            self.lab.tell.note(f"residency of {kit.candidate.id} could not be read: {traced.what}")
        ran = None if isinstance(traced, Failed) else traced.profile.residency
        return EvidenceKit(
            candidate=kit.candidate,
            kit=kit.digest,
            runtime_version=profile.environment.conditions.get("runtime_version", "unknown"),
            size_mib=kit.size_mib,
            latency=latency(profile, fp32=None if profile is reference else reference, machine=self.lab.machine),
            residency=None if ran is None else ran.model_copy(update={"layers": ()}),
            environment=profile.environment,
        )
