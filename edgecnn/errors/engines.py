"""Failures of building engines where they run."""

from __future__ import annotations

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.host import RunnerCrashed, RunnerFailed, RunnerTimedOut

_OTHER_PYTHON = (
    "--python names the one that has it: JetPack's is the system's /usr/bin/python3, which a virtual environment made with "
    "--system-site-packages sees too; sudo apt-get install nvidia-jetpack where the system has none"
)


class BoardLacksBuilder(EdgecnnError):
    """Raised before anything is planned or measured for a board whose Python cannot build the engines that its kits need."""

    ref = "board-lacks-builder"
    exit_code = ExitCode.MISSING

    def __init__(self, *, board: str, error: RunnerFailed | RunnerCrashed | RunnerTimedOut) -> None:
        """``error``: what the builder was found to be, or that asking for it ended or hung its process."""
        answered = isinstance(error, RunnerFailed)
        super().__init__(
            what=f"{board}: {error.what}" if answered else f"{board}: its TensorRT does not answer: {error.what}",
            because=error.because,
            hint=error.hint if answered and error.ref != "builder-missing" else _OTHER_PYTHON,
        )


class BuilderUnfit(EdgecnnError):
    """Raised at the same time where the board's TensorRT is outside the range that its kits were made for."""

    ref = "builder-unfit"
    exit_code = ExitCode.MISSING

    def __init__(self, *, board: str, package: str, version: str, wanted: str) -> None:
        super().__init__(
            what=f"{board} has {package} {version}, and the kits need {package}{wanted}",
            because="TensorRT comes with JetPack: 5.1 has 8.5, 6.0 has 8.6, 6.1 and 6.2 have 10.3",
            hint="flash the JetPack of the device's file, or build for what is there: edgecnn devices add NAME --host BOARD",
        )
