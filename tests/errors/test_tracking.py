from __future__ import annotations

import pytest

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.sweeps import TRACKER_MISREAD, TRACKER_REFUSED, TRACKER_UNREACHABLE


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (
            TRACKER_MISREAD(text="wandb:x", because="mlflow is the one tracker that is known"),
            "--track 'wandb:x' names no tracker: mlflow is the one tracker that is known"
            " — mlflow: and MLflow's tracking URI, such as mlflow:http://HOST:5000 or mlflow:sqlite:///mlflow.db;"
            " mlflow-figures: sends no paths and no files [tracker-misread]",
            ExitCode.BAD_INPUT,
        ),
        (
            TRACKER_REFUSED(address="mlflow:foo://x", because="it knows no such kind of store", hint="try http://"),
            "MLflow cannot use mlflow:foo://x: it knows no such kind of store — try http:// [tracker-refused]",
            ExitCode.BAD_INPUT,
        ),
        (
            TRACKER_UNREACHABLE(address="mlflow:http://host:5000", because="connection refused"),
            "mlflow:http://host:5000 cannot be written: connection refused [tracker-unreachable]",
            ExitCode.MISSING,
        ),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, EdgecnnError) else "",
)
def test_each_says_what_and_why(error: EdgecnnError, line: str, code: ExitCode) -> None:
    assert error.line() == line
    assert error.exit_code == code
