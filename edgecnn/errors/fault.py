"""What is nobody's fault but ours."""

from __future__ import annotations

from edgecnn.errors.base import EdgecnnError, ExitCode


class OwnFault(EdgecnnError):
    """Raised for nothing: it words an exception that no error of ours foresaw."""

    ref = "own-fault"
    exit_code = ExitCode.OWN_FAULT

    def __init__(self, *, error: BaseException) -> None:
        super().__init__(
            what=f"edgecnn failed in a way it should not: {type(error).__name__}",
            because=str(error).splitlines()[0] if str(error) else None,
            hint="please report the traceback above; no verdict was given",
        )
