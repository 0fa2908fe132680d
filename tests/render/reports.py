"""A build report with defaults, so that a test states the one field that it is about."""

from __future__ import annotations

from typing import Any

from edgecnn.values.figures import BatchFigure, Throughput
from edgecnn.values.layers import Residency
from edgecnn.values.profile import Environment
from edgecnn.values.report import BaselineFacts, BaselineVariant, Build, BuildReport, CandidateFacts, Choice
from edgecnn.values.verdict import Fidelity, Gate, GateResult, Verdict
from tests.judging.made import a_latency, an_accuracy, an_interval, facts

GATE = Gate(metric="drop_pp", side="max", bound=1.0, required="advisory")


def a_row(ident: str = "onnxruntime-int8", **changes: Any) -> CandidateFacts:
    """A candidate of which everything is known."""
    known = {
        "test": an_accuracy(top1=an_interval(0.8623, 0.855, 0.869, 0.95), drop_pp=an_interval(0.31, -0.12, 0.75, 0.9)),
        "latency": a_latency(an_interval(2.345, 2.31, 2.38), an_interval(3.1, 3.0, 3.25), an_interval(1.905, 1.88, 1.93)),
        "size_mib": 5.44,
        "residency": a_residency(int8=0.97, fp32=0.03),
        "verdict": Verdict.PASS,
    }
    return facts(ident, **{**known, **changes})


def a_residency(basis: str = "executed", **shares: float) -> Residency:
    return Residency.model_validate({"basis": basis, "layers": (), "mac_share": shares, "time_share": None})


def a_gate(verdict: Verdict = Verdict.PASS, reason: str = "the drop is at most 0.75 pp") -> GateResult:
    return GateResult(
        gate=GATE, candidate="onnxruntime-int8", verdict=verdict, figure=None, fidelity=Fidelity.MEASURED, reason=reason
    )


def a_build(**changes: Any) -> Build:
    known = {
        "name": "flowers",
        "arch": "resnet-18",
        "parameters": 11689512,
        "macs": 1814000000,
        "resolution_px": 224,
        "weights": "IMAGENET1K_V1, sha256 f37072fd",
        "weights_sha256": None,
        "data": "photos",
        "classes": 3,
        "splits": {"train": 700, "test": 200},
        "device": "cpu",
        "device_attached": True,
        "command": "edgecnn build --data photos",
    }
    return Build.model_validate({**known, **changes})


def a_report(*rows: CandidateFacts, **changes: Any) -> BuildReport:
    unmeasured = a_latency(None, reason="no baseline profile is shipped")
    known = {
        "version": "0.1.0",
        "made_at": "2026-11-20T10:00:00+00:00",
        "build": a_build(),
        "environment": Environment(conditions={}, observed={}),
        "candidates": rows or (a_row(),),
        "unsupported": (),
        "skipped_rungs": {},
        "choice": Choice(state="settled", candidate="onnxruntime-int8", why="onnxruntime-int8 is 1.91x as fast as fp32"),
        "verdict": Verdict.PASS,
        "gates": (a_gate(),),
        "baseline": BaselineFacts(
            device="rtx-4090", accuracy_from="accuracy from the fp32 network on AMD EPYC", latency=unmeasured
        ),
        "notices": (),
        "unexecuted": (),
        "outcomes": {},
        "seconds": 62.4,
        "output": "/home/me/out",
    }
    return BuildReport(**{**known, **changes})


def a_played_baseline(**changes: Any) -> BaselineFacts:
    """A GPU that ran the network in three ways, of which one failed."""
    amp = BaselineVariant(
        id="torch-amp-cudagraph",
        how="eager torch in a CUDA graph, automatic mixed precision (autocast to fp16)",
        latency=a_latency(an_interval(0.4), None, an_interval(3.0, 2.9, 3.1), on_gpu_ms=an_interval(0.3)),
        accuracy=an_accuracy(drop_pp=an_interval(0.1, -0.2, 0.4, 0.9)),
        throughput=_throughput(),
    )
    slow = BaselineVariant(id="torch-fp32-compiled", how="torch.compile", latency=a_latency(None, reason="there is no g++"))
    known = {
        "device": "nvidia-h200",
        "accuracy_from": "accuracy measured on NVIDIA H200",
        "latency": a_latency(an_interval(1.2), absent={"on_gpu_ms": "it was not asked"}),
        "how": "eager torch, fp32 with TF32 off",
        "accuracy": an_accuracy(),
        "variants": (amp, slow),
    }
    return BaselineFacts.model_validate({**known, **changes})


def _throughput() -> Throughput:
    rates = ((1, 2000.0, False), (32, 9000.0, True))
    figures = tuple(
        BatchFigure(batch=batch, images_per_s=an_interval(rate), call_ms=None, runs=8, best=best, asked=False)
        for batch, rate, best in rates
    )
    return Throughput(figures=figures, fidelity=Fidelity.MEASURED, machine="NVIDIA H200", observed_at="2026-11-20")
