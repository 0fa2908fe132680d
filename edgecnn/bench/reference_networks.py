"""The networks of a record of evidence: their kits, and what was measured of them so far.

The kits are made by the stages that builds use and nothing is trained: a latency does not depend on what weights are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from edgecnn.building.engines import with_engines
from edgecnn.building.runnable import tried, why_not_runnable
from edgecnn.building.untrained_kits import KitMaker
from edgecnn.bundle.evidence import EvidenceKit, EvidenceNetwork, EvidenceWeights
from edgecnn.devices.desktop_gpu import Which
from edgecnn.judging.runs.latency import latency
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.measure.residency import residency
from edgecnn.models.catalogue import arch_named
from edgecnn.models.weights import answer_weights
from edgecnn.planning.complete import stored_weights, tool_versions
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Artifact, Failed
from edgecnn.values.board import HostRequest
from edgecnn.values.candidate import BASELINE_ID, Candidate, TargetRuntime
from edgecnn.values.device import Device, EngineBuilder
from edgecnn.values.fit import Probe
from edgecnn.values.layers import MacTable, Residency
from edgecnn.values.profile import Profile, Purpose

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
    variants: Which = "usual"
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
            built = with_engines(kits, self.builder, self.lab)
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
