"""Everything that can be measured beyond accuracy and latency, made up for a page, so that every chart has a shape."""

from __future__ import annotations

from typing import Any

from edgecnn.values.figures import BatchFigure, Energy, Memory, SoakWindow, Steady, Sustained, Throughput
from edgecnn.values.report import BaselineFacts, CandidateFacts, EndToEnd, Latency
from edgecnn.values.verdict import Fidelity, Interval
from tests.judging.made import a_latency, a_quality, an_accuracy, an_interval

MACHINE = "AMD EPYC"
MEASURED: dict[str, Any] = {"fidelity": Fidelity.MEASURED, "machine": MACHINE}


def around(estimate: float, share: float = 0.05) -> Interval:
    return an_interval(estimate, estimate * (1 - share), estimate * (1 + share))


def a_memory(model_mib: float = 21.0, **changes: Any) -> Memory:
    known = {"peak_mib": around(60 + model_mib), "baseline_mib": around(60), "above_baseline_mib": around(model_mib), "runs": 8}
    return Memory.model_validate({**known, **MEASURED, **changes})


def an_energy(mj: float = 12.0, **changes: Any) -> Energy:
    known = {
        "total_mj": around(mj), "above_idle_mj": around(mj * 0.6), "idle_w": around(2.0), "meter": "rapl",
        "covers": "the package", "runs": 8, "images": 800,
    }  # fmt: skip
    return Energy.model_validate({**known, **MEASURED, **changes})


def a_throughput(rate: float = 250.0, **changes: Any) -> Throughput:
    figures = tuple(
        BatchFigure(
            batch=batch,
            images_per_s=around(rate * batch**0.5),
            call_ms=around(4.0 * batch**0.5),
            runs=8,
            best=batch == 8,
            asked=True,
        )
        for batch in (1, 8)
    )
    screened = {batch: rate * batch**0.5 for batch in (1, 2, 4, 8, 16)}
    return Throughput.model_validate({"figures": figures, "screened": screened, "observed_at": "", **MEASURED, **changes})


def a_way(ms: float = 9.0, **changes: Any) -> EndToEnd:
    return EndToEnd(latency=a_latency(around(ms), **changes), picture="JPEG of 640 x 480 pixels and 81,204 bytes")


def a_soak(ms: float = 1.0, **changes: Any) -> Sustained:
    windows = tuple(
        SoakWindow(
            began_s=10.0 * place,
            p50_ms=ms * (1 + place / 20),
            samples=9000 - 300 * place,
            seconds=10.0,
            observed={"throttled": "no" if place < 4 else "soft temperature limit", "temperature_c": f"{60 + 3 * place}"},
        )
        for place in range(6)
    )
    known = {"windows": windows, "slowdown": 1.2, "throttled": None, "says": "one process, 6 windows", "observed_at": ""}
    return Sustained.model_validate({**known, **MEASURED, **changes})


def a_steady(**changes: Any) -> Steady:
    known = {"flat": 5, "faster": 2, "slower": 0, "unsettled": 1, "short": 0, "late": 0, "after_ms": None}
    return Steady.model_validate({**known, "says": "does not settle: 1 of 8 runs still changes", **changes})


def a_started(latency: Latency, ms: float = 1.0) -> Latency:
    times = {"load_ms": around(30 * ms), "first_ms": around(4 * ms), "cold_start_ms": around(400.0)}
    return latency.model_copy(update={**times, "steady": a_steady()})


def with_everything(row: CandidateFacts, ms: float) -> CandidateFacts:
    """The same row, with everything that a build can be asked to measure."""
    assert row.test is not None and row.latency is not None
    return row.model_copy(
        update={
            "test": row.test.model_copy(update={"quality": a_quality()}),
            "latency": a_started(row.latency, ms),
            "memory": a_memory(20 * ms),
            "energy": an_energy(12 * ms),
            "throughput": a_throughput(900 / ms),
            "end_to_end": a_way(8 + ms),
            "sustained": a_soak(ms),
        }
    )


def a_desktop(**changes: Any) -> BaselineFacts:
    known = {
        "device": "rtx-4090", "accuracy_from": "accuracy from the fp32 network on AMD EPYC",
        "how": "eager torch, fp32", "accuracy": an_accuracy(),
        "latency": a_latency(around(0.8), machine="RTX 4090"),
    }  # fmt: skip
    return BaselineFacts.model_validate({**known, **changes})
