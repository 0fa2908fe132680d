"""Reports of two builds as they come out, with the reasons that validation gives: one raced here, one for a board elsewhere."""

from __future__ import annotations

from typing import Any

from edgecnn.judging.choice import ChoiceRules, SpeedClaim, choose, with_claims
from edgecnn.judging.judgement import judge_candidate
from edgecnn.values.artifact import Unavailable
from edgecnn.values.candidate import Precision, Runtime, Unsupported
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Fidelity, Gate, Interval, Verdict
from tests.judging.made import a_contest, a_latency, a_residency, an_accuracy, an_interval, facts
from tests.render.reports import a_build, a_report

SETTLE = "scp -r bundle USER@jetson-orin-nano:edgecnn-1 && ssh USER@jetson-orin-nano 'cd edgecnn-1 && python3 -m runner measure'"
DROP = Gate(metric="drop_pp", side="max", bound=1.0, required="advisory")
FASTER = an_interval(1.12, 1.09, 1.18)
"""Shown by the race for the figures."""
RACED = {"onnxruntime-fp32": 0.81, "onnxruntime-int8": 0.73, "openvino-fp32": [0.94, 0.95, 0.93]}
"""Milliseconds in the first race, which openvino-fp32 left after three rounds."""


def decided(rows: tuple[CandidateFacts, ...], rules: ChoiceRules, claim: Interval = FASTER, **changes: Any) -> BuildReport:
    """The report of these rows, chosen from and judged as a build does it."""
    race = a_contest(RACED) if rules.attached else None
    claims = {("onnxruntime-int8", "onnxruntime-fp32"): SpeedClaim(ratio=claim)}
    found = with_claims(choose(rows, rules, race), {row.candidate.id: row for row in rows}, claims)
    known = {
        row.candidate.id: row.model_copy(
            update={
                "because": found.because[row.candidate.id],
                "reason": found.reasons[row.candidate.id],
                "chosen": row.candidate.id == found.choice.candidate,
                "gates": judge_candidate([DROP], row),
            }
        )
        for row in rows
    }
    gates = known[found.choice.candidate or ""].gates
    return a_report(*known.values(), choice=found.choice, gates=gates, verdict=Verdict.PASS, **changes)


def raced_report(**changes: Any) -> BuildReport:
    """INT8 is used; of OpenVINO one left the race early, one loses, and one precision is no arithmetic of this processor."""
    energy = {"energy": None, "memory": None}
    rows = (
        facts(
            "onnxruntime-fp32",
            is_baseline=True,
            validation=an_accuracy(split="validation"),
            test=an_accuracy(images=10_000, drop_pp=None),
            latency=a_latency(an_interval(0.81, 0.79, 0.85)),
            residency=a_residency(mac={"fp32": 1.0}, time={"fp32": 0.8275, "overhead": 0.1725}),
            **energy,
        ),
        facts(
            "onnxruntime-int8",
            validation=an_accuracy(10, 3, split="validation"),
            test=an_accuracy(80, 60, images=10_000),
            latency=a_latency(an_interval(0.73, 0.71, 0.75), ratio=an_interval(1.12, 1.09, 1.18)),
            residency=a_residency(mac={"int8": 1.0}, time={"int8": 0.5667, "fp32": 0.1859, "overhead": 0.2474}),
            **energy,
        ),
        facts(
            "openvino-fp32",
            validation=an_accuracy(split="validation"),
            test=an_accuracy(images=10_000),
            latency=a_latency(an_interval(0.94, 0.84, 1.05), runs=3, selecting=True),
            residency=a_residency(mac={"fp32": 1.0}, time={"fp32": 1.0}),
            **energy,
        ),
        facts(
            "openvino-int8",
            validation=an_accuracy(25, 8, split="validation"),
            test=an_accuracy(160, 150, images=10_000),
            latency=a_latency(None, runs=0, reason="not raced"),
            **energy,
        ),
    )
    refused = Unsupported(runtime=Runtime.ONNXRUNTIME, precision=Precision.BF16, why="the CPU provider has no bf16 convolution")
    return decided(
        rows, ChoiceRules(attached=True), **{"unsupported": (refused,), "build": a_build(command="edgecnn build"), **changes}
    )


def provisional_report(**changes: Any) -> BuildReport:
    """A Jetson that is not here: fp16 first, accuracy from twins, residency from the builder's log."""
    rows = (
        facts(
            "onnxruntime-fp32",
            **_away("onnxruntime-fp32"),
            is_baseline=True,
            validation=an_accuracy(split="validation"),
            test=an_accuracy(images=10_000, drop_pp=None, fidelity=Fidelity.EMULATED),
            residency=a_residency("elsewhere", mac={"fp32": 1.0}, time={"fp32": 1.0}),
        ),
        facts(
            "tensorrt-fp16",
            **_away("twin-of-fp16"),
            validation=an_accuracy(split="validation"),
            test=an_accuracy(3, 3, images=10_000, fidelity=Fidelity.EMULATED),
            residency=a_residency("planned", mac={"fp16": 0.9996, "fp32": 0.0004}),
        ),
    )
    rules = ChoiceRules(attached=False, device="jetson-orin-nano", settle_command=SETTLE)
    lacking = {"tensorrt-int8": Unavailable(why="onnx is not installed", command='pip install "edgecnn[tensorrt-rtx]"')}
    build = a_build(arch="efficientnet-b0", device="jetson-orin-nano", device_attached=False)
    unexecuted = ("tensorrt-fp16: no engine was executed",)
    return decided(rows, rules, **{"build": build, "unavailable": lacking, "unexecuted": unexecuted, **changes})


def _away(answered: str) -> dict[str, Any]:
    latency = a_latency(None, runs=0, reason="not measured on jetson-orin-nano", fidelity=Fidelity.MISSING)
    return {"latency": latency, "evaluated_kit": f"sha-of-{answered}"}
