"""Failures of sending builds to an experiment tracker. No address in them has a password."""

from __future__ import annotations

from edgecnn.errors.base import EdgecnnError, ExitCode


class TrackerMisread(EdgecnnError):
    """Raised before any work when what is given with --track is no address of a tracker."""

    def __init__(self, *, text: str, because: str) -> None:
        super().__init__(
            what=f"--track {text!r} names no tracker",
            because=because,
            hint="mlflow: and MLflow's tracking URI, such as mlflow:http://HOST:5000 or mlflow:sqlite:///mlflow.db; "
            "mlflow-figures: sends no paths and no files",
        )


class TrackerRefused(EdgecnnError):
    """Raised before any work when MLflow's client takes no such address, as of a folder, or a database without its packages."""

    def __init__(self, *, address: str, because: str, hint: str) -> None:
        super().__init__(what=f"MLflow cannot use {address}", because=because, hint=hint)


class TrackerUnreachable(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a tracker does not answer, or refuses what it is sent. No build ends by it."""

    def __init__(self, *, address: str, because: str) -> None:
        super().__init__(what=f"{address} cannot be written", because=because)
