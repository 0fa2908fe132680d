"""The desktop GPU's ways as a table, under the GPU's true name; or one sentence that says MISSING and why."""

from __future__ import annotations

import pytest

from edgecnn.render import desktop
from edgecnn.render.markdown import report_markdown
from edgecnn.render.screens.report import show_report
from edgecnn.values.figures import Steady
from edgecnn.values.report import BaselineFacts
from tests.judging.made import a_latency, an_interval
from tests.render.reports import a_played_baseline, a_report

NOBODY = BaselineFacts(
    device="rtx-4090", accuracy_from="the fp32 network on this machine", latency=a_latency(None, reason="no rtx-4090 here")
)


def test_the_reference_comes_first_and_each_way_has_its_own_figures() -> None:
    rows = [dict(zip(desktop.COLUMNS, row, strict=True)) for row in desktop.rows(a_played_baseline())]
    assert [row["way"] for row in rows] == ["torch-fp32", "torch-amp-cudagraph", "torch-fp32-compiled"]
    amp = rows[1]
    assert (amp["p50 ms"][:4], amp["by the GPU's clock"][:4], amp["speed-up"][:5]) == ("0.40", "0.30", "3.00×")
    assert (amp["drop"][:5], amp["images/s"]) == ("+0.10", "9000 (batch 32)")


def test_a_way_that_could_not_run_is_missing_with_the_reason() -> None:
    row = dict(zip(desktop.COLUMNS, desktop.rows(a_played_baseline())[2], strict=True))
    assert row["p50 ms"] == "MISSING: there is no g++"
    assert {row[name] for name in ("by the GPU's clock", "speed-up", "top-1 (95 %)", "drop", "images/s")} == {"–"}


def test_where_the_gpu_s_clock_said_nothing_the_notes_say_why() -> None:
    assert "not timed by the GPU's clock: torch-fp32 (it was not asked)" in desktop.notes(a_played_baseline())
    assert desktop.notes(a_played_baseline())[0].startswith("measured on AMD EPYC, 2026-")
    assert any("copies to and from the GPU inside" in note for note in desktop.notes(a_played_baseline()))


def test_nobody_is_one_sentence_and_no_table() -> None:
    assert desktop.sentence(NOBODY) == "rtx-4090: MISSING, no rtx-4090 here; the fp32 network on this machine"
    assert (desktop.rows(NOBODY), desktop.notes(NOBODY)) == ([], [])


def test_a_race_too_short_for_p99_still_has_its_p50() -> None:
    alone = a_played_baseline(latency=a_latency(an_interval(1.2), reason="p99: a run has only 100 samples"), variants=())
    assert desktop.sentence(alone).startswith("nvidia-h200: p50 1.20")


def test_ways_whose_runs_did_not_settle_are_named_in_the_notes_and_the_reference_s_in_the_sentence_too() -> None:
    steady = Steady(flat=6, faster=0, slower=0, unsettled=2, short=0, late=0, after_ms=None, says="does not settle: 2 of 8")
    played = a_played_baseline(latency=a_latency(an_interval(1.2), steady=steady))
    assert "runs of torch-fp32: does not settle: 2 of 8" in desktop.notes(played)
    assert "; does not settle: 2 of 8; " in desktop.sentence(played)


@pytest.mark.parametrize("baseline", [NOBODY, a_played_baseline()])
def test_markdown_and_terminal_say_the_same(baseline: BaselineFacts, capsys: pytest.CaptureFixture[str]) -> None:
    report = a_report(baseline=baseline)
    show_report(report)
    for text in (capsys.readouterr().out, report_markdown(report)):
        assert baseline.device in text
        assert "MISSING" in text
        assert [row[0] for row in desktop.rows(baseline) if row[0] not in text] == []
        assert ("0.40 [" in text) == bool(baseline.variants)
