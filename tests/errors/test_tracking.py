from __future__ import annotations

import pytest

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.sweeps import TrackerMisread, TrackerRefused, TrackerUnreachable


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (
            TrackerMisread(text="wandb:x", because="mlflow is the one tracker that is known", takes="mlflow: and a URI"),
            "--track 'wandb:x' names no tracker: mlflow is the one tracker that is known — mlflow: and a URI [tracker-misread]",
            ExitCode.BAD_INPUT,
        ),
        (
            TrackerRefused(address="mlflow:foo://x", because="it knows no such kind of store", hint="try http://"),
            "MLflow cannot use mlflow:foo://x: it knows no such kind of store — try http:// [tracker-refused]",
            ExitCode.BAD_INPUT,
        ),
        (
            TrackerUnreachable(address="mlflow:http://host:5000", because="connection refused"),
            "mlflow:http://host:5000 cannot be written: connection refused [tracker-unreachable]",
            ExitCode.MISSING,
        ),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, EdgecnnError) else "",
)
def test_each_says_what_and_why(error: EdgecnnError, line: str, code: ExitCode) -> None:
    assert error.line() == line
    assert error.exit_code == code
