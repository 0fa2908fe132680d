"""Failures of keys and of the store."""

from __future__ import annotations

from edgecnn.errors.base import EdgecnnError, ExitCode


class UnstableValue(EdgecnnError):
    """Raised when a value in a key would not have the same bytes in every process."""

    ref = "unstable-value"
    exit_code = ExitCode.OWN_FAULT

    def __init__(self, *, where: str, value: object) -> None:
        super().__init__(
            what=f"{where} cannot enter a key: {type(value).__name__} {value!r} has no stable form",
            hint="use None, bool, int, a finite float, str, or mappings and sequences of these",
        )
