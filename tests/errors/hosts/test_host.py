from __future__ import annotations

import pickle
from pathlib import Path

from edgecnn.errors.base import ExitCode
from edgecnn.errors.hosts.process import RunnerCrashed, RunnerFailed, RunnerNotStarted, RunnerTimedOut


def test_runner_failed_speaks_with_the_runners_words() -> None:
    error = RunnerFailed(ref="bad-option", what="threads = 'x'", because="no number", hint="give one")
    assert error.line() == "threads = 'x': no number — give one [bad-option]"
    assert error.exit_code is ExitCode.BAD_INPUT
    assert RunnerFailed(ref="runner-failed", what="it ended", because=None, hint=None).line() == "it ended [runner-failed]"


def test_runner_failed_is_missing_where_the_runner_says_so_even_after_pickling() -> None:
    error = RunnerFailed(ref="missing-package", what="no openvino", because=None, hint=None, missing=True)
    again = pickle.loads(pickle.dumps(error))
    assert again.line() == "no openvino [missing-package]"
    assert again.exit_code is ExitCode.MISSING


def test_runner_crashed() -> None:
    error = RunnerCrashed(argv=["evaluate", "--out", "x"], ending="signal SIGKILL", last_lines=["one", "two"])
    assert error.line() == "runner evaluate ended without a result (signal SIGKILL): one | two [runner-crashed]"


def test_runner_crashed_in_silence() -> None:
    error = RunnerCrashed(argv=[], ending="exit status 1", last_lines=[])
    assert error.line() == (
        "runner without a command ended without a result (exit status 1): it said nothing on standard error [runner-crashed]"
    )


def test_runner_timed_out() -> None:
    error = RunnerTimedOut(argv=["bench"], lease_s=90, last_lines=["stuck"])
    assert error.line() == "runner bench said nothing for 90 s and was killed: last on standard error: stuck [runner-timed-out]"


def test_runner_not_started() -> None:
    error = RunnerNotStarted(folder=Path("/kit"), why=FileNotFoundError(2, "No such file or directory"))
    assert error.line() == "/kit: no runner could be started here: no such file or directory [runner-not-started]"
