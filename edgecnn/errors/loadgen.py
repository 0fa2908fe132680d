"""Failures of measuring a kit with LoadGen."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode


class UnknownScenario(EdgecnnError):
    """Raised when a scenario is named that MLPerf does not have."""

    ref = "unknown-scenario"

    def __init__(self, *, name: str, known: Sequence[str]) -> None:
        near = get_close_matches(name.lower(), [each.lower() for each in known], n=1)
        meant = next((each for each in known if near and each.lower() == near[0]), None)
        super().__init__(
            what=f"there is no scenario {name!r}",
            because=f"there are {', '.join(known)}",
            hint=f"did you mean {meant}?" if meant else None,
        )


class NothingToLoad(EdgecnnError):
    """Raised when the folder that was named holds neither a kit nor a bundle."""

    ref = "nothing-to-load"

    def __init__(self, *, folder: Path, because: str) -> None:
        super().__init__(
            what=f"{folder} is neither a kit nor a finished build",
            because=because,
            hint="name a folder such as builds/ARCH-DEVICE or a kit inside its bundle",
        )


class LoadGenLogUnreadable(EdgecnnError):
    """Raised when LoadGen ended and its log holds no verdict."""

    ref = "loadgen-log-unreadable"
    exit_code = ExitCode.OWN_FAULT

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path} is no log of a finished LoadGen run", because=because, hint="run the same command again")
