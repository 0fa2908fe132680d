"""Talk goes to stderr: a line now and then in a log, a bar on a terminal, nothing when quiet."""

from __future__ import annotations

import io
import re
import sys
import time
from dataclasses import dataclass

import pytest

from edgecnn.render.progress import LiveBars, PlainLines, Quiet, progress_for
from edgecnn.values.stage import Pacing, Plotting


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def said(clock: Clock, *steps: tuple[float, int, int | None]) -> list[str]:
    """What plain lines say of one step, heard at these seconds with this much done."""
    stream = io.StringIO()
    lines = PlainLines(stream)
    for second, done, total in steps:
        clock.now = 100.0 + second
        lines.step("train", done, total, "images")
    lines.close()
    return stream.getvalue().splitlines()


def test_a_short_step_says_nothing(clock: Clock) -> None:
    assert said(clock, (0, 0, 10), (1, 5, 10), (1.9, 10, 10)) == []


def test_a_step_of_more_than_two_seconds_says_that_it_ended(clock: Clock) -> None:
    assert said(clock, (0, 0, 10), (2.5, 10, 10)) == ["edgecnn: train: 10 of 10 images, 4 images/s"]


def test_a_step_that_ends_at_once_says_nothing(clock: Clock) -> None:
    assert said(clock, (0, 10, 10), (60, 10, 10)) == []


def test_a_long_step_says_every_few_seconds_where_it_is_and_last_that_it_ended(clock: Clock) -> None:
    assert said(clock, (0, 0, 100), (1.9, 19, 100), (2, 20, 100), (6.9, 69, 100), (7, 70, 100), (10, 100, 100)) == [
        "edgecnn: train: 20 of 100 images, 10 images/s, 8 s left",
        "edgecnn: train: 70 of 100 images, 10 images/s, 3 s left",
        "edgecnn: train: 100 of 100 images, 10 images/s",
    ]


def test_a_step_without_a_known_end_says_how_much_is_done(clock: Clock) -> None:
    assert said(clock, (0, 0, None), (5, 50, None)) == ["edgecnn: train: 50 images, 10 images/s"]


def test_nothing_done_yet_promises_no_time_left(clock: Clock) -> None:
    assert said(clock, (0, 0, 10), (6, 0, 10)) == ["edgecnn: train: 0 of 10 images, 0 images/s"]


def test_what_is_slow_does_not_read_as_if_it_stood(clock: Clock) -> None:
    assert said(clock, (0, 0, 10), (6, 1, 10)) == ["edgecnn: train: 1 of 10 images, 0.2 images/s, 54 s left"]


def test_a_step_that_begins_again_after_its_end_is_timed_anew(clock: Clock) -> None:
    lines = said(clock, (0, 0, 10), (10, 10, 10), (20, 0, 10), (25, 5, 10))
    assert lines[-1] == "edgecnn: train: 5 of 10 images, 1 images/s, 5 s left"


def test_steps_are_told_apart_and_a_unit_may_be_absent(clock: Clock) -> None:
    stream = io.StringIO()
    lines = PlainLines(stream)
    lines.step("one", 0, 4)
    clock.now = 103.5
    lines.step("two", 0, 4)
    clock.now = 105.0
    lines.step("one", 1, 4)
    lines.step("two", 1, 4)
    assert stream.getvalue() == "edgecnn: one: 1 of 4, 15 s left\n"


def test_a_note_is_a_line_on_stderr_and_stdout_stays_empty(capsys: pytest.CaptureFixture[str]) -> None:
    PlainLines().note("NOT PRETRAINED: [red]no network[/]")
    assert tuple(capsys.readouterr()) == ("", "edgecnn: NOT PRETRAINED: [red]no network[/]\n")


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = Quiet()
    quiet.step("train", 1, 2, "images")
    quiet.note("x")
    quiet.close()
    assert tuple(capsys.readouterr()) == ("", "")


def test_a_bar_and_its_notes_show_names_literally_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bars = LiveBars()
    bars.step("hash /[red]a :key:", 1, 4, "files")
    bars.note("skipped /[red]b :key:")
    bars.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hash /[red]a :key:" in captured.err
    assert "1 of 4 files" in captured.err
    assert "skipped /[red]b :key:" in captured.err


def test_a_bar_says_how_fast_and_how_long_still(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bars = LiveBars()
    now = iter(range(1_000))
    monkeypatch.setattr(bars._progress, "get_time", lambda: float(next(now)))
    for done in range(0, 90, 30):
        bars.step("train", done, 1_000, "images")
    bars._progress.refresh()
    bars.close()
    said = capsys.readouterr().err
    assert re.search(r"train .* 60 of 1000 images \d+ images/s 0:00:\d\d 0:0\d:\d\d", said), said


def test_the_right_one_is_taken_for_this_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(progress_for(quiet=True), Quiet)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    assert isinstance(progress_for(quiet=False), PlainLines)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bars = progress_for(quiet=False)
    bars.close()
    assert isinstance(bars, LiveBars)


def test_each_epoch_is_a_line_with_the_best_one_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    lines = PlainLines()
    lines.begin("train")
    for epoch, top1 in ((1, 0.8), (2, 0.9125), (3, 0.9)):
        lines.plot("finetune", epoch, {"validation_top1": top1, "train_loss": 0.4321, "learning_rate": 0.1})
    lines.plot("finetune", 4, {"train_loss": 0.4})  # at a smaller size, which is not judged
    lines.begin("aware:onnxruntime-int8")
    lines.plot("aware", 1, {"validation_top1": 0.5, "validation_recall": 0.6, "train_loss": 1.0})
    said = capsys.readouterr().err.splitlines()
    assert [re.findall(r"[\d.]+ %|epoch \d", line) for line in said] == [
        ["epoch 1", "80.0 %"], ["epoch 2", "91.2 %"], ["epoch 3", "90.0 %", "91.2 %", "epoch 2"], ["epoch 4"],
        ["epoch 1", "60.0 %"],
    ]  # fmt: skip


def test_the_best_epoch_may_be_of_an_earlier_phase(capsys: pytest.CaptureFixture[str]) -> None:
    lines = PlainLines()
    lines.begin("train")
    lines.plot("head", 7, {"validation_top1": 0.889})
    lines.plot("finetune", 1, {"validation_top1": 0.364})
    assert "36.4 % (best 88.9 % in head, epoch 7)" in capsys.readouterr().err.splitlines()[-1]


def test_every_display_shows_epochs_and_parts() -> None:
    (bars := LiveBars()).close()
    assert all(isinstance(display, Plotting) and isinstance(display, Pacing) for display in (Quiet(), PlainLines(), bars))


def test_a_part_of_a_build_is_a_line_with_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    lines = PlainLines()
    lines.part("quantize:openvino-int8", 5, 12, 360.0, complete=True)
    lines.part("train", 1, 12, 30.0, complete=False)
    lines.part("export", 2, 12, 0.0, complete=False)
    assert capsys.readouterr().err.splitlines() == [
        "edgecnn: step 5 of 12: quantize openvino-int8; about 6 min left",
        "edgecnn: step 1 of 12: train; at least 30 s left",
        "edgecnn: step 2 of 12: export",
    ]
