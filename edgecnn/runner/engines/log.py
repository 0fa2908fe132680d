"""What TensorRT says while it works: the only place where it tells why it refused, and where it warns of what it misreads."""

from __future__ import annotations

from typing import Any, List, Optional


class Heard:
    """Warnings and errors are kept; everything goes to a log file where there is one."""

    def __init__(self, file: Optional[Any] = None) -> None:
        self._file = file
        self.warnings: List[str] = []
        self.errors: List[str] = []

    def hear(self, severity: str, text: str) -> None:
        """File one message; ``severity`` is the name of TensorRT's own level."""
        if self._file is not None:
            self._file.write("[{}] {}\n".format(severity, text))
        if severity == "WARNING":
            self.warnings.append(text)
        elif severity in ("ERROR", "INTERNAL_ERROR"):
            self.errors.append(text)

    def last_error(self) -> Optional[str]:
        """The last error on one line, or None."""
        return " ".join(self.errors[-1].split()) if self.errors else None


def logger_of(trt: Any, heard: Heard) -> Any:
    """A logger of the builder's own kind that passes every level on: planned layers are told at the lowest one.

    Args:
        trt: ``tensorrt`` or a module with the same names.
        heard: where messages go.
    """

    class Log(trt.ILogger):  # type: ignore[misc]
        """TensorRT calls ``log`` from its own threads, one at a time."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            heard.hear(str(severity).rsplit(".", 1)[-1], msg)

    return Log()
