"""The runner's error, which is printed as one line of JSON, because the reader may be another machine."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional


class RunnerError(Exception):
    """An error with its cause and its fix.

    Args:
        ref: kebab-case name to search for.
        what: what happened, with the value and the file.
        because: the cause.
        hint: the fix, a command if there is one.
        missing: True if a package, runtime or device is absent; False if an input is wrong.
    """

    results: Mapping[str, Any] = {}
    """Fields of the last line next to the error, if part of the work succeeded."""

    def __init__(
        self, ref: str, what: str, because: Optional[str] = None, hint: Optional[str] = None, missing: bool = False
    ) -> None:
        super().__init__(what)
        self.ref = ref
        self.what = what
        self.because = because
        self.hint = hint
        self.missing = missing

    def add_results(self, results: Mapping[str, Any]) -> RunnerError:
        """Add the results of the work that succeeded; return this error."""
        self.results = results
        return self

    def facts(self) -> Dict[str, Any]:
        """Return the ``error`` object of a result line and of a run file."""
        return {"ref": self.ref, "what": self.what, "because": self.because, "hint": self.hint, "missing": self.missing}
