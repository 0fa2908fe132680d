from __future__ import annotations

import pickle

from edgecnn.errors.base import ExitCode
from edgecnn.errors.hosts import (
    RunnerFailed,
)


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
