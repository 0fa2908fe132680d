"""Records of other days in ``baselines/``, shipped ones and the user's own: of desktop GPUs, and of evidence that was sent.

What a machine of a build's device, or a GPU, once did with the same network stands in the report as a dated reference. It is no
measurement of the build: nothing is chosen or judged by it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from edgecnn.building.observed import ObservedBuild
from edgecnn.bundle.evidence import EvidenceKit, EvidenceNetwork, EvidenceRecord, EvidenceVerification
from edgecnn.bundle.evidence_file import EvidenceTrust, bounded_content, parse_evidence, vouched_for
from edgecnn.devices.desktop_gpu import BESIDE, REFERENCE, how
from edgecnn.devices.files import load_devices, own_folder
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.wording import first_problem
from edgecnn.judging.desktop_baseline import BaselineRecord
from edgecnn.resources import resource_folder
from edgecnn.values.base import another_schema
from edgecnn.values.profile import DatedReference, Environment
from edgecnn.values.report import BaselineVariant
from edgecnn.values.resolved import Resolved

GPU_WAYS = frozenset(each.id for each in (REFERENCE, *BESIDE))
ALLOWED_SIGNERS = "allowed_signers"
"""Where a file of this name lies beside them, only evidence that somebody in it signed is taken."""


class DatedRecords(NamedTuple):
    """What could be read."""

    desktop: tuple[BaselineRecord, ...]
    evidence: tuple[EvidenceVerification, ...]
    """Of the device that was asked about, and of GPUs."""
    damaged: tuple[str, ...]
    """A sentence for each file that could not be, which stops nothing."""


def dated_records(device: str) -> DatedRecords:
    """Every record of desktop GPUs, and the evidence of one device and of GPUs; its signatures are looked at."""
    desktop, evidence, damaged = list[BaselineRecord](), list[EvidenceVerification](), list[str]()
    wanted = {device, *_gpus()}
    for path in _files():
        try:
            found = _read(path, wanted)
            if isinstance(found, BaselineRecord):
                desktop.append(found)
            elif found is not None:
                desktop += tuple(_baselines(found))
                evidence.append(found)
        except EdgecnnError as error:
            damaged.append(f"the record {path.name} is left out: {error.because or error.what}")
        except ValidationError as error:
            damaged.append(f"the record {path.name} is left out: {first_problem(error)[:300]}")
    return DatedRecords(tuple(desktop), tuple(evidence), tuple(damaged))


def dated_references(seen: ObservedBuild, found: Iterable[EvidenceVerification]) -> tuple[DatedReference, ...]:
    """Figures of the build's network at its resolution, in its candidates: of each machine the newest."""
    resolved, candidates = seen.execution.plan.resolved, {candidate.id for candidate in seen.candidates}
    if not resolved.is_catalogue_network:
        return ()
    newest = dict[tuple[str, str], DatedReference]()
    for each in sorted(found, key=lambda one: one.record.measured_at):
        taken = candidates if each.record.device == resolved.device.name else GPU_WAYS
        for network, kit in _fitting(each.record, resolved, seen.lab.environment):
            if kit.candidate.id in taken and kit.latency.p50_ms is not None:
                machine = each.record.environment.conditions.get("machine", each.record.machine)
                newest[kit.candidate.id, machine] = _reference(each, network, kit)
    return tuple(newest[name] for name in sorted(newest))


def _files() -> Iterator[Path]:
    for folder in (resource_folder("baselines"), own_folder().parent / "baselines"):
        yield from sorted(folder.glob("*.json"))


def _gpus() -> set[str]:
    return {device.name for device in load_devices().values() if device.role == "baseline"}


def _read(path: Path, devices: Container[str]) -> BaselineRecord | EvidenceVerification | None:
    """None of evidence of other devices."""
    content = bounded_content(path)
    if another_schema(content, EvidenceRecord.model_fields["schema_"].default) is not None:
        return BaselineRecord.model_validate_json(content)
    found = parse_evidence(path, content)
    if found.record.device not in devices:
        return None
    signers = path.parent / ALLOWED_SIGNERS
    return vouched_for(path, found, EvidenceTrust(signers if signers.is_file() else None))


def _baselines(found: EvidenceVerification) -> Iterator[BaselineRecord]:
    """What a GPU did in torch's ways, as a build with that GPU would have left it; nothing of other evidence."""
    record = found.record
    for network in record.networks:
        kits = {kit.candidate.id: kit for kit in network.kits if kit.candidate.id in GPU_WAYS}
        if (reference := kits.pop(REFERENCE.id, None)) is None:
            continue
        yield BaselineRecord(
            device=record.device,
            arch=network.arch,
            resolution_px=network.resolution_px,
            latency=reference.latency,
            how=f"{how(reference.candidate)}; evidence, {network.weights.origin} weights, {_vouched(found)}",
            throughput=reference.throughput,
            variants=tuple(
                BaselineVariant(id=name, how=how(kit.candidate), latency=kit.latency, throughput=kit.throughput)
                for name, kit in kits.items()
            ),
            source=f"evidence of {record.measured_at} with {network.weights.origin} weights; SHA-256 {record.sha256}",
        )


def _vouched(found: EvidenceVerification) -> str:
    return f"signed by {found.vouched_by}" if found.vouched_by else "unsigned"


def _fitting(record: EvidenceRecord, resolved: Resolved, here: Environment) -> Iterator[tuple[EvidenceNetwork, EvidenceKit]]:
    """A device file that leaves the processor to the machine is every machine's: then it must be the same, with as many cores."""
    if record.device == resolved.device.name and resolved.device.processor.architecture == "any":
        there = record.environment.conditions
        if any(there.get(name) != here.conditions.get(name) for name in ("cpu", "cores")):
            return
    asked = (resolved.arch.name, resolved.preprocessing.pixels.crop_px)
    for network in record.networks:
        if (network.arch, network.resolution_px) == asked:
            yield from ((network, kit) for kit in network.kits)


def _reference(of: EvidenceVerification, network: EvidenceNetwork, kit: EvidenceKit) -> DatedReference:
    return DatedReference(
        candidate=kit.candidate.id,
        arch=network.arch,
        resolution_px=network.resolution_px,
        classes=network.classes,
        weights=network.weights.origin,
        runtime_version=kit.runtime_version,
        machine=of.record.machine,
        observed_at=kit.latency.observed_at,
        fidelity=kit.environment.fidelity,
        p50_ms=kit.latency.p50_ms,
        p99_ms=kit.latency.p99_ms,
        runs=kit.latency.runs,
        run_settings=kit.latency.run_settings,
        disturbed=kit.latency.disturbed,
        unsteady=kit.latency.steady.unsteady if kit.latency.steady else None,
        signed_by=of.vouched_by,
        record_sha256=of.record.sha256,
    )
