"""The desktop GPU's ways as a table, under the GPU's true name; or one sentence that says MISSING and why."""

from __future__ import annotations

from typing import Any

import pytest

from edgecnn.render import desktop
from edgecnn.render.markdown import report_markdown
from edgecnn.render.terminal import show_report
from edgecnn.values.report import BaselineFacts, BaselineVariant
from edgecnn.values.throughput import BatchFigure, Throughput
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_latency, an_accuracy, an_interval
from tests.render.reports import a_report

NOBODY = BaselineFacts(
    device="rtx-4090", accuracy_from="the fp32 network on this machine", latency=a_latency(None, reason="no rtx-4090 here")
)


def played(**changes: Any) -> BaselineFacts:
    amp = BaselineVariant(
        id="torch-amp-cudagraph",
        how="eager torch in a CUDA graph, automatic mixed precision (autocast to fp16)",
        latency=a_latency(an_interval(0.4), None, an_interval(3.0, 2.9, 3.1), on_gpu_ms=an_interval(0.3)),
        accuracy=an_accuracy(drop_pp=an_interval(0.1, -0.2, 0.4, 0.9)),
        throughput=throughput(),
    )
    slow = BaselineVariant(id="torch-fp32-compiled", how="torch.compile", latency=a_latency(None, reason="there is no g++"))
    known = {
        "device": "nvidia-h200",
        "accuracy_from": "NVIDIA H200 itself",
        "latency": a_latency(an_interval(1.2), absent={"on_gpu_ms": "it was not asked"}),
        "how": "eager torch, fp32 with TF32 off",
        "accuracy": an_accuracy(),
        "variants": (amp, slow),
    }
    return BaselineFacts.model_validate({**known, **changes})


def throughput() -> Throughput:
    rates = ((1, 2000.0, False), (32, 9000.0, True))
    figures = tuple(
        BatchFigure(batch=batch, images_per_s=an_interval(rate), call_ms=None, runs=8, best=best, asked=False)
        for batch, rate, best in rates
    )
    return Throughput(figures=figures, fidelity=Fidelity.MEASURED, machine="NVIDIA H200", observed_at="2026-11-20")


def test_the_reference_comes_first_and_each_way_has_its_own_figures() -> None:
    rows = [dict(zip(desktop.COLUMNS, row, strict=True)) for row in desktop.rows(played())]
    assert [row["way"] for row in rows] == ["torch-fp32", "torch-amp-cudagraph", "torch-fp32-compiled"]
    amp = rows[1]
    assert (amp["p50 ms"][:4], amp["by the GPU's clock"][:4], amp["speed-up"][:5]) == ("0.40", "0.30", "3.00×")
    assert (amp["drop"][:5], amp["images/s"]) == ("+0.10", "9000 (batch 32)")


def test_a_way_that_could_not_run_is_missing_with_the_reason() -> None:
    row = dict(zip(desktop.COLUMNS, desktop.rows(played())[2], strict=True))
    assert row["p50 ms"] == "MISSING: there is no g++"
    assert {row[name] for name in ("by the GPU's clock", "speed-up", "top-1 (95 %)", "drop", "images/s")} == {"–"}


def test_where_the_gpu_s_clock_said_nothing_the_notes_say_why() -> None:
    assert "not timed by the GPU's clock: torch-fp32 (it was not asked)" in desktop.notes(played())
    assert any("copies to and from the GPU inside" in note for note in desktop.notes(played()))


def test_nobody_is_one_sentence_and_no_table() -> None:
    assert desktop.sentence(NOBODY) == "rtx-4090: MISSING, no rtx-4090 here; the fp32 network on this machine"
    assert (desktop.rows(NOBODY), desktop.notes(NOBODY)) == ([], [])


def test_a_race_too_short_for_p99_still_has_its_p50() -> None:
    alone = played(latency=a_latency(an_interval(1.2), reason="p99: a run has only 100 samples"), variants=())
    assert desktop.sentence(alone).startswith("nvidia-h200: p50 1.20")


@pytest.mark.parametrize("baseline", [NOBODY, played()])
def test_markdown_and_terminal_say_the_same(baseline: BaselineFacts, capsys: pytest.CaptureFixture[str]) -> None:
    report = a_report(baseline=baseline)
    show_report(report)
    for text in (capsys.readouterr().out, report_markdown(report)):
        assert baseline.device in text
        assert "MISSING" in text
        assert [row[0] for row in desktop.rows(baseline) if row[0] not in text] == []
        assert ("0.40 [" in text) == bool(baseline.variants)
