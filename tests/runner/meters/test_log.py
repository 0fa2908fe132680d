from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.runner.messages import RunnerError
from edgecnn.runner.meters.log import read_log
from edgecnn.runner.meters.meter import MeterAbsent

START = 1_795_161_600.0
"""2026-11-20T08:00:00+00:00."""


def written(folder: Path, text: str) -> Path:
    path = folder / "meter.csv"
    path.write_text(text)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(RunnerError) as caught:
        read_log(path)
    assert caught.value.ref == "bad-meter-log"
    return f"{caught.value.what.replace(str(path), 'meter.csv')} ({caught.value.because})"


def test_a_log_is_joined_by_the_clock(tmp_path: Path) -> None:
    lines = "".join(f"{START + index / 2},{3.0 if index < 40 else 7.0}\n" for index in range(80))
    log = read_log(written(tmp_path, lines))
    assert log.spent(START + 2.25, 10.0).joules == pytest.approx(30.0)
    assert log.spent(START + 25.0, 10.0).joules == pytest.approx(70.0)


def test_named_columns_stand_where_they_like_and_times_may_be_written_out(tmp_path: Path) -> None:
    rows = [f"{index},2026-11-20T08:00:{index:02d}.000Z,4.5\n" for index in range(30)]
    log = read_log(written(tmp_path, "\ufeffsample,Timestamp,Watts\n" + "".join(rows)))
    assert log.readings[0].at_s == START and log.end_s == START + 29
    assert log.spent(START + 5, 20.0).joules == pytest.approx(90.0)


def test_a_run_outside_of_the_log_has_no_energy(tmp_path: Path) -> None:
    log = read_log(written(tmp_path, "".join(f"{START + index},4\n" for index in range(30))))
    with pytest.raises(MeterAbsent) as caught:
        log.spent(START + 20, 15.0)
    assert caught.value.why.endswith("meter.csv: the readings do not cover the whole run: the last is 6.0 s before its end")


def test_a_meter_that_paused_has_no_energy_for_that_stretch(tmp_path: Path) -> None:
    log = read_log(written(tmp_path, "".join(f"{START + index / 2},4\n" for index in range(80) if not 20 < index < 30)))
    with pytest.raises(MeterAbsent, match="5.0 s without a reading"):
        log.spent(START + 2, 20.0)
    assert log.spent(START + 20, 10.0).joules == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "meter.csv: holds fewer than two readings (a line is a time and watts, as in 1700000000.25,3.91)"),
        ("when,amps\n1,2\n", "meter.csv: names no column timestamp and watts (its columns are when, amps)"),
        (
            "timestamp,watts\n\n2026-11-20T09:00:00,3\n",
            "meter.csv: line 3: '2026-11-20T09:00:00' is not a time "
            "(Unix seconds, or ISO 8601 with a time zone, such as 2026-11-20T09:00:00+00:00)",
        ),
        ("1,3\n2,nan\n", "meter.csv: line 2: 'nan' is not a power in watts (a number of at least 0)"),
        ("1,3\n2,-3\n", "meter.csv: line 2: '-3' is not a power in watts (a number of at least 0)"),
        ("1,3\n2\n", "meter.csv: line 2: has 1 cells (a line needs a time and watts)"),
        ("1,3\n3,3\n2,3\n", "meter.csv: line 3: its time is not after the one before (the meter's clock was set back)"),
    ],
)
def test_a_log_that_is_wrong_says_where(tmp_path: Path, text: str, says: str) -> None:
    assert refusal(written(tmp_path, text)) == says


def test_a_log_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert "cannot be read (No such file or directory)" in refusal(tmp_path / "meter.csv")
