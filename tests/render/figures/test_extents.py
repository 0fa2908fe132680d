from __future__ import annotations

from typing import Any

from edgecnn.render.sentences import extent_lines
from edgecnn.values.figures import BatchFigure, SoakWindow, Sustained, Throughput
from edgecnn.values.report import EndToEnd
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_latency, an_interval, facts


def line(**fields: Any) -> str:
    (found,) = extent_lines([facts(**fields)])
    return found


def a_figure(batch: int, rate: float | None, **changes: Any) -> BatchFigure:
    known = {"images_per_s": rate and an_interval(rate, rate - 1, rate + 1), "call_ms": rate and an_interval(4.0, 3.9, 4.1)}
    return BatchFigure.model_validate({"batch": batch, "runs": 8, "best": False, "asked": True, **known, **changes})


def test_throughput_is_said_by_growing_batch_with_what_screening_saw() -> None:
    value = Throughput(
        figures=(a_figure(1, 250.0), a_figure(8, 900.0, best=True)), screened={1: 240.4, 8: 910.6},
        fidelity=Fidelity.MEASURED, machine="here", observed_at="",
    )  # fmt: skip
    assert line(throughput=value) == (
        "throughput of `onnxruntime-int8`, in the throughput race: 1 image a call: 250.0 [249.0, 251.0] images/s, 4.00 "
        "[3.90, 4.10] ms a call; "
        "8 images a call (the best): 900.0 [899.0, 901.0] images/s, 4.00 [3.90, 4.10] ms a call; "
        "seen in one run of each number of images: 1: 240, 8: 911"
    )
    few = value.model_copy(update={"figures": (a_figure(2, None, reason="3 runs; an interval needs 7"),), "screened": {}})
    assert line(throughput=few).endswith(": 2 images a call: not known, 3 runs; an interval needs 7")


def test_end_to_end_says_which_picture() -> None:
    seen = EndToEnd(latency=a_latency(an_interval(9.0, 8.9, 9.1)), picture="JPEG of 640 x 480 pixels and 81,204 bytes")
    assert line(end_to_end=seen) == (
        "end to end of `onnxruntime-int8`, in the end-to-end race: p50 9.00 [8.90, 9.10] ms "
        "from the file of a JPEG of 640 x 480 pixels and 81,204 bytes to logits"
    )
    none = EndToEnd(latency=a_latency(None, reason="3 runs; an interval needs 7"), picture="JPEG")
    assert line(end_to_end=none).endswith(": not known: 3 runs; an interval needs 7")


def test_a_soak_shows_every_window() -> None:
    windows = tuple(SoakWindow(began_s=0, p50_ms=ms, samples=9, observed={}) for ms in (1.0, None, 1.25))
    value = Sustained(
        windows=windows, slowdown=1.25, throttled="no", says="one process, 3 windows", fidelity=Fidelity.MEASURED, machine="here",
        observed_at="",
    )  # fmt: skip
    assert (
        line(sustained=value)
        == "sustained, `onnxruntime-int8`, in the soak: one process, 3 windows; p50 by window 1.00, –, 1.25 ms"
    )


def test_what_was_not_asked_for_has_no_line() -> None:
    assert extent_lines([facts()]) == []
