"""The small plot of a finished build: at most fifteen lines, in any terminal, saying what the page says."""

from __future__ import annotations

import sys

import pytest
from rich.cells import cell_len

from edgecnn.render.plots import ASCII, UNICODE, plot_lines
from edgecnn.render.screens.report import show_plot
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_latency, an_accuracy, an_interval, facts
from tests.render.page.measured import a_soak
from tests.render.page.pages import a_page
from tests.render.reports import a_report

Captured = pytest.CaptureFixture[str]


def a_row(name: str, top1: float, ms: float | None, **changes: object) -> CandidateFacts:
    accuracy = an_accuracy(top1=an_interval(top1, top1 - 0.02, top1 + 0.02, 0.95))
    latency = None if ms is None else a_latency(an_interval(ms, ms - 0.2, ms + 0.2))
    return facts(name, **{"test": accuracy, "latency": latency, **changes})


TWO = (a_row("onnxruntime-fp32", 0.9, 2.0, is_baseline=True), a_row("onnxruntime-int8", 0.88, 1.0, chosen=True))


def said(*rows: CandidateFacts, width: int = 80) -> list[str]:
    return [line.plain for line in plot_lines(a_report(*rows), width, UNICODE)]


def test_accuracy_and_latency_stand_side_by_side_with_their_intervals() -> None:
    assert said(*TWO) == [
        "                      top-1, %                     median, ms",
        "  onnxruntime-fp32             ├───────●────────┤                     ├──●───┤",
        "  onnxruntime-int8 ◀  ├────────●───────┤           ├───●──┤",
        "                      └ 86.0 ───────────── 92.0 ┘  └ 0.80 ───────────── 2.20 ┘",
    ]


def test_the_same_in_ascii() -> None:
    lines = [line.plain for line in plot_lines(a_report(*TWO), 80, ASCII)]
    assert all(line.isascii() for line in lines)
    assert "o" in lines[1] and "<" in lines[2]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 300])
def test_ten_candidates_with_everything_fit_fifteen_lines_of_a_terminal(width: int) -> None:
    lines = said(*a_page(10).report.candidates, width=width)
    assert len(lines) <= 15
    assert max(map(cell_len, lines)) <= max(width, 76)


def test_of_more_candidates_the_chosen_one_and_the_baseline_are_among_those_shown() -> None:
    many = [a_row(f"openvino-{precision}", 0.8, 1.0 + n) for n in range(4) for precision in ("fp32", "int8", "bf16")]
    lines = said(*many, *TWO)
    assert len(lines) == 13
    assert sum("onnxruntime" in line for line in lines) == 2
    assert "  4 more on the page" in lines


def test_what_has_no_figure_is_called_missing_and_an_emulated_one_has_another_shape() -> None:
    lines = said(
        *TWO,
        a_row("openvino-int8", 0.85, None),
        a_row("tensorrt-int8", 0.85, 1.5, test=an_accuracy(fidelity=Fidelity.EMULATED)),
    )
    assert lines[3].endswith("missing")
    assert "◆" in lines[4] and "◆" not in lines[3]


def test_where_nothing_was_timed_size_stands_in_its_place() -> None:
    lines = said(a_row("onnxruntime-fp32", 0.9, None, size_mib=40.0), a_row("onnxruntime-int8", 0.9, None, size_mib=10.0))
    assert "size, MiB (not timed)" in lines[0]
    assert "40.0" in lines[-1]


def test_a_soak_is_a_row_of_bars_from_zero() -> None:
    lines = said(*TWO, a_row("openvino-int8", 0.9, 1.0, sustained=a_soak(1.0)))
    assert lines[-1] == "  soak of openvino-int8: ▇▇▇▇██  1.00 ms at first, 1.25 at last"


def test_of_a_build_of_which_nothing_is_known_nothing_is_drawn() -> None:
    assert said(facts()) == []


def test_a_name_with_control_signs_stays_text_on_its_line(capsys: Captured) -> None:
    evil = TWO[1].model_copy(update={"candidate": TWO[1].candidate.model_copy(update={"id": "\x1b[31m[red]" + "x" * 90})})
    show_plot(a_report(TWO[0], evil))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[31m[red]xxx" in out


def test_colour_is_never_all_that_tells_and_no_color_is_heeded(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    show_plot(a_report(*TWO))
    out = capsys.readouterr().out
    assert "◀" in out
    assert not any(f"\x1b[{code}m" in out for code in range(30, 50))
