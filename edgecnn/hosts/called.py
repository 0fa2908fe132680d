"""The process in a sandbox that calls functions for ``hosts.sandbox``.

Each request and each answer is one line of JSON, and ``bytes`` further bytes after it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from typing import Any, TextIO

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import unknown_failure

_INTERVAL_S = 0.1


class _Progress:
    """Progress that is printed for the calling process."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._told_at = out, 0.0

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Print progress, unless it was printed a moment ago."""
        if time.monotonic() - self._told_at < _INTERVAL_S and done != total:
            return
        self._told_at = time.monotonic()
        say(self._out, {"progress": {"what": what, "done": done, "total": total, "unit": unit}})

    def note(self, text: str) -> None:
        """Print a note."""
        say(self._out, {"note": text})


def say(out: TextIO, value: Any) -> None:
    """Print one line."""
    out.write(json.dumps(value) + "\n")
    out.flush()


def main() -> None:
    """Answer requests until standard input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # other output belongs to errors
    cores = int(sys.argv[1])
    if cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    say(out, {"ready": True})
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        content = sys.stdin.buffer.read(request["bytes"])
        answer, returned = _answer(request, content, out)
        say(out, {**answer, "bytes": len(returned)})
        out.buffer.write(returned)
        out.flush()
    os._exit(0)  # nothing that a file registered may run now


def _answer(request: dict[str, Any], content: bytes, out: TextIO) -> tuple[dict[str, Any], bytes]:
    module, _, name = request["function"].partition(":")
    arguments = request["arguments"]
    if content:
        arguments["content"] = content
    if request["tells"]:
        arguments["tell"] = _Progress(out)
    try:
        value = getattr(import_module(module), name)(**arguments)
        value, returned = value if request["returns_content"] else (value, b"")
        return {"ok": True, "value": value}, returned
    except EdgecnnError as error:
        return {"ok": False, "error": error.kept()}, b""
    except OSError as error:
        if error.errno is not None:
            return {"ok": False, "disk": [error.errno, error.strerror, error.filename and str(error.filename)]}, b""
        return {"ok": False, "error": unknown_failure(error=error).kept()}, b""
    except Exception as error:  # noqa: BLE001 - the boundary of the process: every exception becomes an answer
        return {"ok": False, "error": unknown_failure(error=error).kept()}, b""


if __name__ == "__main__":
    main()
