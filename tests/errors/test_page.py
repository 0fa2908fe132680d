from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import ExitCode
from edgecnn.errors.building import (
    HistoryOfWhat,
    NoHistory,
    NoReport,
    PageFailed,
    PageIsForeign,
    PageUnwritable,
    PlotFormUnknown,
    ReportUnreadable,
)


def test_a_folder_without_a_finished_build_is_named_with_what_to_name_instead() -> None:
    error = NoReport(folder=Path("builds"))
    assert error.line() == (
        "builds holds no report.json: a build writes it when it is finished"
        " — name the folder of a finished build; one that was interrupted goes on with the command that began it [no-report]"
    )
    assert error.exit_code is ExitCode.BAD_INPUT


def test_a_report_that_cannot_be_read_says_where_it_breaks_off_and_how_to_have_it_again() -> None:
    error = ReportUnreadable(path=Path("out/report.json"), because="build.arch: Field required")
    assert error.line() == (
        "out/report.json cannot be read as a report: build.arch: Field required"
        " — the same build command writes it again [report-unreadable]"
    )
    assert error.exit_code is ExitCode.BAD_INPUT


def test_a_page_that_cannot_be_written_names_the_file_and_the_way_out() -> None:
    error = PageUnwritable(path=Path("/proc/x.html"), because="Permission denied")
    assert error.line() == "/proc/x.html cannot be written: Permission denied — name another file in its place [page-unwritable]"
    assert error.exit_code is ExitCode.BAD_INPUT


def test_a_page_that_broke_in_drawing_names_where_the_figures_are() -> None:
    error = PageFailed(because="ValueError: Vega-Lite:\n no scale")
    assert error.line() == (
        "the page could not be drawn: ValueError: Vega-Lite: no scale — report.json and report.md hold the same figures;"
        " edgecnn report BUILD --debug shows where it broke [page-failed]"
    )
    assert error.exit_code is ExitCode.OWN_FAULT


def test_a_file_of_somebody_else_s_is_left_as_it_is() -> None:
    error = PageIsForeign(path=Path("compare.html"))
    assert error.line() == (
        "compare.html is left as it is: it was not written by edgecnn — name another file, or move it away [page-is-foreign]"
    )
    assert error.exit_code is ExitCode.BAD_INPUT


def test_a_plot_in_a_form_that_is_not_drawn_names_those_that_are() -> None:
    error = PlotFormUnknown(path=Path("out/frontier.jpg"), forms=(".html", ".png", ".svg"))
    assert error.line() == (
        "no plot can be drawn into out/frontier.jpg: its name ends in '.jpg'; this plot is drawn in .html, .png, .svg"
        " — --plot frontier.html [plot-form-unknown]"
    )
    assert error.exit_code is ExitCode.BAD_INPUT


def test_a_history_of_nothing_names_what_there_is() -> None:
    error = NoHistory(asked="resnet-34", store=Path("/store"), known=("resnet-18 onnxruntime-fp32",))
    assert error.line() == (
        "the store /store holds no measurement of resnet-34: measured there: resnet-18 onnxruntime-fp32"
        " — edgecnn build … measures; EDGECNN_STORE names another store [no-history]"
    )
    assert error.exit_code is ExitCode.MISSING
    assert "nothing was measured with this store" in NoHistory(asked="x", store=Path("/store"), known=()).line()


def test_a_history_is_of_a_build_or_of_names() -> None:
    error = HistoryOfWhat(options=("--arch", "--target"))
    assert error.line() == (
        "BUILD says already what --arch and --target would say"
        " — edgecnn study history BUILD, or edgecnn study history --arch NAME --target DEVICE [history-of-what]"
    )
    assert error.exit_code is ExitCode.BAD_INPUT
