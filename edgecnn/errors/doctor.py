"""Failures of asking `edgecnn doctor` for something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from edgecnn.errors.base import EdgecnnError, ExitCode


class UnknownNeed(EdgecnnError):
    """Raised when something is said to be needed that doctor does not look at."""

    ref = "unknown-need"

    def __init__(self, *, name: str, known: Sequence[str]) -> None:
        near = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
        super().__init__(
            what=f"doctor does not know what {name!r} is",
            because=f"what can be needed is {', '.join(known)}",
            hint=f"did you mean --need {near[0]}?" if near else "leave --need out to see all that there is",
        )


class NeedsUnmet(EdgecnnError):
    """Raised after the findings were shown, when something that the call needs does not work here; ``unmet`` has why of each."""

    ref = "needs-unmet"
    exit_code = ExitCode.MISSING

    def __init__(self, *, unmet: Mapping[str, str], hints: Sequence[str]) -> None:
        super().__init__(
            what=f"what is needed does not work here: {', '.join(unmet)}",
            because="; ".join(f"{name}: {why}" if len(unmet) > 1 else why for name, why in unmet.items()),
            hint="; ".join(dict.fromkeys(hints)) or None,
        )
