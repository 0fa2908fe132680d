"""TensorRT's messages: the only source of why it refused, and of warnings about misread files."""

from __future__ import annotations

from typing import Any, List, Optional


class MessageLog:
    """Warnings and errors, and an optional log file of all messages."""

    def __init__(self, file: Optional[Any] = None) -> None:
        self._file = file
        self.warnings: List[str] = []
        self.errors: List[str] = []

    def keep(self, severity: str, text: str) -> None:
        """Record a message; ``severity`` is the name of TensorRT's level."""
        if self._file is not None:
            self._file.write("[{}] {}\n".format(severity, text))
        if severity == "WARNING":
            self.warnings.append(text)
        elif severity in ("ERROR", "INTERNAL_ERROR"):
            self.errors.append(text)

    def last_error(self) -> Optional[str]:
        """Return the last error on one line, or None."""
        return " ".join(self.errors[-1].split()) if self.errors else None


def logger_of(trt: Any, messages: MessageLog) -> Any:
    """Return TensorRT's logger that passes on every level: planned layers are logged at the lowest.

    Args:
        trt: ``tensorrt`` or a module with the same names.
        messages: receives the messages.
    """

    class Log(trt.ILogger):  # type: ignore[misc]
        """TensorRT calls ``log`` from its threads, one at a time."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            messages.keep(str(severity).rsplit(".", 1)[-1], msg)

    return Log()
