"""A failure of the runner is one JSON line, because the side that reads it may be another machine."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional


class RunnerError(Exception):
    """What went wrong, because of what, and what mends it.

    Args:
        ref: kebab-case name to search for.
        what: the plain statement, with the offending value and file.
        because: what was seen.
        hint: the next step, a command where one exists.
        missing: True when a package, runtime or device is absent, rather than an input wrong.
    """

    results: Mapping[str, Any] = {}
    """Fields of the last line next to the error, where part of the work succeeded."""

    def __init__(
        self, ref: str, what: str, because: Optional[str] = None, hint: Optional[str] = None, missing: bool = False
    ) -> None:
        super().__init__(what)
        self.ref = ref
        self.what = what
        self.because = because
        self.hint = hint
        self.missing = missing

    def with_results(self, results: Mapping[str, Any]) -> RunnerError:
        """The same error, next to what succeeded."""
        self.results = results
        return self

    def facts(self) -> Dict[str, Any]:
        """The ``error`` object of a result line and of a run file."""
        return {"ref": self.ref, "what": self.what, "because": self.because, "hint": self.hint, "missing": self.missing}
