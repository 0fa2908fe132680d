"""The screen of an evidence record: its claims, its conditions and its limits."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.bundle.evidence import EvidenceKit, EvidenceNetwork, EvidenceRecord, EvidenceVerification
from edgecnn.errors.wording import counted
from edgecnn.render import figures
from edgecnn.render.sentences import mac_share_text, runs_of
from edgecnn.render.wording import grouped, took
from edgecnn.values.report import MEDIAN, PERCENTILES

_CONDITIONS = ("cpu", "isa", "cores", "kernel", "governor", "clocks", "power_mode", "driver", "gpu", "emulator")
_OBSERVED = ("temperature_c", "throttled", "others_percent")
LIMITS = (
    "It records only how long these kits took on that machine on that day. "
    "It says nothing about accuracy, other machines or weights."
)
SEEDED_ANSWERS = (
    "seeded weights may overflow in a lower precision, so different predictions alone do not mean that the machine is faulty"
)
_GOLDEN_DIFFER = "[golden-logits-differ]"


def verification_lines(verification: EvidenceVerification) -> Iterator[str]:
    """Yield whether the record is intact and who signed it, then its claims."""
    signatures = {
        "none": "unsigned",
        "unchecked": "signed, signature not checked",
        "intact": f"signed by the key {verification.key}",
        "good": f"signed by {verification.signer}",
    }
    yield f"{verification.path}: unchanged, SHA-256 {verification.record.sha256}; {signatures[verification.signature]}"
    yield from record_lines(verification.record)


def record_lines(record: EvidenceRecord) -> Iterator[str]:
    """Yield the machine, its conditions, each network with its kits, what was skipped, and the limits."""
    how = "EMULATED (times of the emulator only) on" if _emulated(record) else "measured on"
    networks = counted(len(record.networks), "network")
    by = f"in {took(record.seconds)}, by edgecnn {record.version}"
    yield f"  claims: {networks} {how} {record.machine}, {record.measured_at}, {by}"
    yield f"  as {record.device_title} ({record.device}; its device file has the SHA-256 {record.device_sha256[:16]}…)"
    conditions, observed = record.environment.conditions, record.environment.observed
    yield "  conditions: " + "; ".join(
        f"{name} {conditions.get(name, 'not read')}" for name in _CONDITIONS if _is_listed(record, name)
    )
    observed_text = "; ".join(f"{name} {observed[name]}" for name in _OBSERVED if name in observed)
    yield from ([f"  observed: {observed_text}"] if observed_text else [])
    for network in record.networks:
        yield from _network_lines(network, record.measured_at)
    yield from (f"  skipped: {line}" for line in grouped(record.left_out))
    yield from (f"  warning when measured: {warning}" for warning in record.warnings)
    yield f"  {LIMITS}"


def _emulated(record: EvidenceRecord) -> bool:
    return not record.environment.timed


def _is_listed(record: EvidenceRecord, name: str) -> bool:
    """Whether a condition is listed: one that some machines do not have is listed only if it was read."""
    return name in record.environment.conditions or name in ("governor", "clocks")


def _network_lines(network: EvidenceNetwork, measured_at: str) -> Iterator[str]:
    weights = network.weights
    licence = f", {weights.licence}" if weights.licence else ""
    size = f"{network.parameters:,} parameters, {network.macs / 1e6:.0f} M multiply-adds"
    yield f"  {network.arch} at {network.resolution_px} px, {size}; weights {weights.origin}: {weights.what}{licence}"
    yield from (f"    {_kit_line(kit, measured_at)}" for kit in network.kits)
    yield from (f"    no figures for {line}" for line in grouped(network.failed))
    if weights.origin == "seeded" and any(_GOLDEN_DIFFER in why for why in network.failed.values()):
        yield f"    {SEEDED_ANSWERS}"


def _kit_line(kit: EvidenceKit, measured_at: str) -> str:
    latency, adapter = kit.latency, kit.environment.conditions.get("webgpu_adapter")
    times = figures.percentiles(latency, (MEDIAN, PERCENTILES[-1]))
    parts = [
        f"{', '.join(times)} ms" if times else "time not known",
        *([f"{figures.milliseconds(latency.on_gpu_ms)} ms by the GPU's clock"] if latency.on_gpu_ms else []),
        *(_throughput(kit)),
        f"{runs_of(latency)}, {latency.fidelity.value}"
        + ("" if latency.observed_at[:10] == measured_at[:10] else f" {latency.observed_at}"),
        *([latency.reason] if latency.reason else []),
        *([latency.disturbed] if latency.disturbed else []),
        *([latency.steady.unsteady] if latency.steady and latency.steady.unsteady else []),
        f"{kit.candidate.runtime.value} {kit.runtime_version}" + (f" on {adapter}" if adapter else ""),
        f"{kit.size_mib:.1f} MiB",
        mac_share_text(kit.residency) if kit.residency else "executed precision not known",
    ]
    return f"{kit.candidate.id}: {'; '.join(parts)}"


def _throughput(kit: EvidenceKit) -> Iterator[str]:
    for figure in kit.throughput.figures if kit.throughput else ():
        if figure.images_per_s is not None:
            yield f"{figure.images_per_s.estimate:,.0f} images/s with {figure.batch} images a call"
