"""Read dated records in ``baselines/``, the shipped ones and the user's own: records of desktop GPUs, and evidence.

The report shows earlier figures of the same network, on a machine of the build's device or on a GPU, as dated references. They
are not measurements of the build, and no gate is judged by them. They order a provisional choice until the device is measured.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain
from pathlib import Path
from statistics import geometric_mean
from typing import NamedTuple

from pydantic import ValidationError

from edgecnn.bundle.evidence import (
    EvidenceKit,
    EvidenceNetwork,
    EvidenceRecord,
    EvidenceTrust,
    EvidenceVerification,
    parse_evidence,
    record_content,
    verify_signature,
)
from edgecnn.devices.desktop_gpu import REFERENCE, VARIANTS, describe_candidate
from edgecnn.devices.files import load_devices, own_folder
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.measuring import EVIDENCE_UNREADABLE
from edgecnn.errors.wording import first_problem
from edgecnn.forecast.tables import MeasuredTime
from edgecnn.installed import resource_folder
from edgecnn.judging.desktop_baseline import BaselineRecord
from edgecnn.measure.subject import Subject
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.disk import sha256_of
from edgecnn.values.base import another_schema, utc_moment
from edgecnn.values.candidate import BASELINE_ID, Runtime
from edgecnn.values.device import Device
from edgecnn.values.profile import DatedReference, Environment, observed_moment
from edgecnn.values.reason import DatedOrder
from edgecnn.values.report import BaselineVariant

GPU_WAYS = frozenset(way.id for way in (REFERENCE, *VARIANTS))
ALLOWED_SIGNERS = "allowed_signers"
"""Name of a file next to the records. If it exists, only evidence that is signed by one of its keys is used."""


class DatedRecords(NamedTuple):
    """The records that could be read."""

    desktop: tuple[BaselineRecord, ...]
    evidence: tuple[EvidenceVerification, ...]
    """Evidence of the requested device and of GPUs."""
    damaged: tuple[str, ...]
    """A sentence for each file that could not be read."""


def dated_records(device: str) -> DatedRecords:
    """Return the records of desktop GPUs, and the evidence of one device and of GPUs with its signatures verified."""
    desktop, evidence, damaged = list[BaselineRecord](), list[EvidenceVerification](), list[str]()
    devices = {device, *(known.name for known in load_devices().values() if known.role == "baseline")}
    folders = (resource_folder("baselines"), own_folder().parent / "baselines")
    for path in chain.from_iterable(sorted(folder.glob("*.json")) for folder in folders):
        try:
            record = _read_record(path, devices)
            if isinstance(record, BaselineRecord):
                desktop.append(record)
            elif record is not None:
                desktop += tuple(_baseline_records(record))
                evidence.append(record)
        except EdgecnnError as error:
            damaged.append(f"the record {path.name} is ignored: {error.because or error.what}")
        except ValidationError as error:
            damaged.append(f"the record {path.name} is ignored: {first_problem(error)[:300]}")
    return DatedRecords(tuple(desktop), tuple(evidence), tuple(damaged))


def measured_times(device: Device, device_file: str | None = None) -> tuple[MeasuredTime, ...]:
    """Return the times in evidence of real machines that match a device, for forecasts.

    A device file that covers many processors has no such times, unless the device is a GPU. ``device_file``: the user's own.
    """
    return tuple(
        MeasuredTime(
            arch=network.arch,
            resolution_px=network.resolution_px,
            device=device.name,
            runtime=kit.candidate.runtime,
            precision=kit.candidate.precision,
            threads=kit.latency.threads,
            p50_ms=kit.latency.p50_ms,
            title=verified.record.machine,
            date=utc_moment(verified.record.measured_at).date().isoformat(),
        )
        for verified in dated_records(device.name).evidence
        if verified.record.device == device.name and verified.record.environment.timed
        if device.role == "baseline" or _matches(verified.record, device, device_file, {})
        for network in verified.record.networks
        for kit in network.kits
        if kit.latency.p50_ms is not None and kit.environment.timed
    )


def dated_references(subject: Subject, evidence: Iterable[EvidenceVerification]) -> tuple[DatedReference, ...]:
    """Return earlier figures of the build's network and candidates at its resolution, the newest of each machine.

    Signed records take precedence over unsigned ones.
    """
    resolved, candidates = subject.resolved, {candidate.id for candidate in subject.candidates}
    if not resolved.is_catalogue_network:
        return ()
    newest = dict[tuple[str, str], tuple[tuple[bool, datetime], DatedReference]]()
    for verified in evidence:
        names = candidates if verified.record.device == resolved.device.name else GPU_WAYS
        for network, kit in _matching_kits(verified.record, subject):
            if kit.candidate.id not in names or kit.latency.p50_ms is None:
                continue
            name = kit.candidate.id, verified.record.environment.conditions.get("machine", verified.record.machine)
            rank = verified.vouched_by is not None, utc_moment(kit.latency.observed_at)
            if name not in newest or rank > newest[name][0]:
                newest[name] = rank, _dated_reference(verified, network, kit)
    return tuple(newest[name][1] for name in sorted(newest))


class OnMachine(NamedTuple):
    """The device of a build, with what is known about the machine that the build is for."""

    device: Device
    device_file: str | None = None
    conditions: Mapping[str, str] = {}


def dated_order(
    on: OnMachine, own_network: tuple[str, ImageSize] | None, evidence: Iterable[EvidenceVerification]
) -> DatedOrder | None:
    """Return how fast candidates were on a machine of a device, by its newest record. Signed records take precedence.

    If the record has the build's own network at its resolution, only that network counts. Otherwise, all networks with a time
    of every candidate of the record count. None: no record has times of another candidate than fp32 in ONNX Runtime.

    ``own_network``: name and resolution; None for a network that is not of the catalogue.
    """
    of_device = [
        verified for verified in evidence if verified.record.device == on.device.name and _applies_to(on, verified.record)
    ]
    of_device.sort(key=lambda verified: (verified.vouched_by is not None, utc_moment(verified.record.measured_at)), reverse=True)
    for record in (verified.record for verified in of_device):
        timed = [(network, times) for network in record.networks if len(times := _relative_to_fp32(network)) > 1]
        same = [(network, times) for network, times in timed if (network.arch, network.resolution_px) == own_network]
        counted = same or timed
        names = {*chain(*(times for _, times in counted))}
        complete = [(network, times) for network, times in counted if times.keys() == names]
        if complete:
            return DatedOrder(
                relative={name: geometric_mean(times[name] for _, times in complete) for name in sorted(names)},
                networks=tuple(dict.fromkeys(network.arch for network, _ in complete)),
                machine=record.machine,
                observed_on=utc_moment(record.measured_at).date().isoformat(),
            )
    return None


def _relative_to_fp32(network: EvidenceNetwork) -> Mapping[str, float]:
    """Return each candidate's p50 divided by that of fp32 in ONNX Runtime; empty if fp32 was not timed."""
    p50_ms = {kit.candidate.id: kit.latency.p50_ms.estimate for kit in network.kits if kit.latency.p50_ms is not None}
    reference = p50_ms.get(BASELINE_ID)
    return {} if reference is None else {name: time / reference for name, time in p50_ms.items()}


def _read_record(path: Path, devices: Container[str]) -> BaselineRecord | EvidenceVerification | None:
    """Read a record. Return None for evidence of other devices."""
    content, signers = record_content(path), path.parent / ALLOWED_SIGNERS
    if another_schema(content, EvidenceRecord.model_fields["schema_"].default) is not None:
        record = BaselineRecord.model_validate_json(content)
        if signers.is_file():
            raise EVIDENCE_UNREADABLE(
                path=path, because=f"{record.schema_} cannot be signed, and {ALLOWED_SIGNERS} requires a signature"
            )
        try:
            observed_moment(record.latency.observed_at)
        except ValueError as error:
            raise EVIDENCE_UNREADABLE(path=path, because=f"latency.observed_at {error}") from error
        return record
    verified = parse_evidence(path, content)
    if verified.record.device not in devices:
        return None
    return verify_signature(path, verified, EvidenceTrust(signers if signers.is_file() else None))


def _baseline_records(verified: EvidenceVerification) -> Iterator[BaselineRecord]:
    """Yield a baseline record for each network that the evidence has with the desktop GPU's candidates."""
    record, signature = verified.record, f"signed by {verified.vouched_by}" if verified.vouched_by else "unsigned"
    for network in record.networks:
        kits = {kit.candidate.id: kit for kit in network.kits if kit.candidate.id in GPU_WAYS}
        if (reference := kits.pop(REFERENCE.id, None)) is None:
            continue
        yield BaselineRecord(
            device=record.device,
            arch=network.arch,
            resolution_px=network.resolution_px,
            latency=reference.latency,
            how=f"{describe_candidate(reference.candidate)}; evidence, {network.weights.origin} weights, {signature}",
            throughput=reference.throughput,
            variants=tuple(
                BaselineVariant(id=name, how=describe_candidate(kit.candidate), latency=kit.latency, throughput=kit.throughput)
                for name, kit in kits.items()
            ),
            source=f"evidence of {record.measured_at} with {network.weights.origin} weights; SHA-256 {record.sha256}",
        )


def _matching_kits(record: EvidenceRecord, subject: Subject) -> Iterator[tuple[EvidenceNetwork, EvidenceKit]]:
    resolved = subject.resolved
    if not _applies_to(machine_of(subject), record):
        return
    ran_in = [profile.environment for result in subject.races.values() for profile in result.profiles.values()]
    adapters = {_webgpu_adapter(environment) for environment in ran_in} - {None}
    own_network = (resolved.arch.name, resolved.preprocessing.pixels.crop_px)
    for network in record.networks:
        if (network.arch, network.resolution_px) == own_network:
            for kit in network.kits:
                if kit.candidate.runtime is not Runtime.WEBGPU or _webgpu_adapter(kit.environment) in adapters:
                    yield network, kit


def machine_of(subject: Subject) -> OnMachine:
    """Return the device of a build, with the conditions of the machine that measures it."""
    resolved = subject.resolved
    return OnMachine(resolved.device, resolved.device_file, subject.lab.environment.conditions)


def _applies_to(on: OnMachine, record: EvidenceRecord) -> bool:
    """Whether a record's times are of a machine that matches the build's device, or of a GPU."""
    if not record.environment.timed or record.device != on.device.name:
        return record.environment.timed
    return _matches(record, on.device, on.device_file, on.conditions)


def _matches(record: EvidenceRecord, device: Device, device_file: str | None, here: Mapping[str, str]) -> bool:
    """Whether a record's machine matches the machine that the build is for.

    A device file that states its cores describes one board, and the number of cores must not differ. Another file covers many
    processors, so the same processor with as many cores is required. A user's own file must have been the same. ``here``:
    conditions of the machine that the build is for.
    """
    there, processor = record.environment.conditions, device.processor
    if device_file is not None and record.device_sha256 != _sha256_or_none(Path(device_file)):
        return False
    if processor.architecture != "any" and processor.cores is not None:
        return there.get("cores", str(processor.cores)) == str(processor.cores)
    return all(name in there and there[name] == here.get(name) for name in ("cpu", "cores"))


def _sha256_or_none(file: Path) -> str | None:
    try:
        return sha256_of(file)
    except OSError:
        return None


def _webgpu_adapter(ran: Environment) -> str | None:
    return ran.conditions.get("webgpu_adapter")


def _dated_reference(verified: EvidenceVerification, network: EvidenceNetwork, kit: EvidenceKit) -> DatedReference:
    machine = verified.record.machine, verified.record.environment.conditions.get("cpu"), _webgpu_adapter(kit.environment)
    return DatedReference(
        candidate=kit.candidate.id,
        arch=network.arch,
        resolution_px=network.resolution_px,
        classes=network.classes,
        weights=network.weights.origin,
        runtime_version=kit.runtime_version,
        machine=", ".join(filter(None, machine)),
        observed_at=kit.latency.observed_at,
        fidelity=kit.environment.fidelity,
        p50_ms=kit.latency.p50_ms,
        p99_ms=kit.latency.p99_ms,
        runs=kit.latency.runs,
        run_settings=kit.latency.run_settings,
        disturbed=kit.latency.disturbed,
        unsteady=kit.latency.steady.unsteady if kit.latency.steady else None,
        signed_by=verified.vouched_by,
        record_sha256=verified.record.sha256,
    )
