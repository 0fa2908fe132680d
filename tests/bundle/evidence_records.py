"""Records of evidence as tests make them: one network, two kits, a machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgecnn.bundle.evidence import EvidenceKit, EvidenceNetwork, EvidenceRecord, EvidenceWeights, seal, write_evidence
from edgecnn.values.layers import Residency
from edgecnn.values.profile import Environment
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_candidate, a_latency, an_interval

HERE = Environment(
    conditions={"machine": "m1", "cpu": "a cpu", "kernel": "6.12", "governor": "performance"}, observed={"throttled": "no"}
)
SEEDED = EvidenceWeights(origin="seeded", what="drawn from a fixed seed; nothing was learned, and no accuracy is known")


def an_evidence_kit(name: str = "onnxruntime-fp32", p50_ms: float = 4.0, **changes: Any) -> EvidenceKit:
    known: dict[str, Any] = {
        "candidate": a_candidate(name),
        "kit": "a" * 64,
        "runtime_version": "1.23.0",
        "size_mib": 13.4,
        "latency": a_latency(an_interval(p50_ms), observed_at="2026-11-20T09:00:00+00:00"),
        "residency": Residency(basis="executed", layers=(), mac_share={"fp32": 1.0}, time_share=None),
        "environment": HERE,
    }
    return EvidenceKit(**{**known, **changes})


def a_network(*kits: EvidenceKit, **changes: Any) -> EvidenceNetwork:
    known: dict[str, Any] = {
        "arch": "mobilenet-v3-small",
        "resolution_px": 64,
        "classes": 1000,
        "parameters": 2_542_856,
        "macs": 56_510_000,
        "weights": SEEDED,
        "kits": kits or (an_evidence_kit(), an_evidence_kit("onnxruntime-int8", 2.0)),
    }
    return EvidenceNetwork(**{**known, **changes})


def an_evidence(*networks: EvidenceNetwork, **changes: Any) -> EvidenceRecord:
    known: dict[str, Any] = {
        "version": "0.1.0",
        "device": "raspberry-pi-5",
        "device_title": "Raspberry Pi 5",
        "device_sha256": "d" * 64,
        "machine": "a board",
        "environment": HERE,
        "measured_at": "2026-11-20T09:00:00+00:00",
        "minutes": 30.0,
        "seconds": 1200.0,
        "networks": networks or (a_network(),),
    }
    return EvidenceRecord(**{**known, **changes})


def written(path: Path, record: EvidenceRecord | None = None, key: Path | None = None) -> Path:
    """A record in a file, as the command leaves it."""
    write_evidence(seal(record or an_evidence(), key), path)
    return path


def edited(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The same file with something in it changed, and its digest left."""
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


EMULATED = Environment(conditions={**HERE.conditions, "emulator": "qemu 7.2"}, observed={})


def an_emulated_kit() -> EvidenceKit:
    latency = a_latency(an_interval(40.0), fidelity=Fidelity.EMULATED)
    return an_evidence_kit(latency=latency, environment=EMULATED)
