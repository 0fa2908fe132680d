"""The one place where outcomes become exit codes, and where an exception becomes a line.

A crash must never be read as a verdict: what is not an error of ours ends with 70, whatever it was.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

from edgecnn.errors.base import DISK_FULL, KEPT_IN, EdgecnnError, ExitCode, causes_of, system_reason
from edgecnn.errors.building import ResultsNotWritten
from edgecnn.runner.say import drop_unwritable

_STDOUT_IS_FULL = DISK_FULL | {errno.EIO}


def guarded(body: Callable[[], ExitCode], *, as_json: bool, debug: bool) -> ExitCode:
    """Run a command's body and turn whatever ends it into an exit code.

    Where whoever read stdout or stderr has gone, the rest is dropped, and the code says so without looking like a verdict.
    """
    _open_closed_streams()
    accept_every_sign()
    try:
        return _told(body, as_json=as_json, debug=debug)
    except (BrokenPipeError, SystemExit):  # rich turns the first into the second, with the code of a failed gate
        drop_unwritable()
        return ExitCode.INTERRUPTED


def _told(body: Callable[[], ExitCode], *, as_json: bool, debug: bool) -> ExitCode:
    try:
        status = body()
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return _tell_interrupted()
    except OSError as error:
        if error.errno not in _STDOUT_IS_FULL or error.filename is not None:
            return _fault(error, as_json=as_json, debug=debug)
        drop_unwritable()
        return _tell(ResultsNotWritten(because=system_reason(error)), as_json=as_json)
    except Exception as error:  # noqa: BLE001 - our own fault keeps its traceback and its own code
        if any(isinstance(cause, KeyboardInterrupt) for cause in causes_of(error)):
            # A Ctrl-C while a compiled module is imported comes out as an ImportError of that module, raised from it.
            return _tell_interrupted()
        if isinstance(error, EdgecnnError):
            return _tell(error, as_json=as_json, traced=error if debug else None)
        return _fault(error, as_json=as_json, debug=debug)
    return status


def _tell_interrupted() -> ExitCode:
    interrupted = "edgecnn: interrupted; what was finished is kept, and the same command goes on from there\n"
    return _after(lambda: sys.stderr.write(interrupted), ExitCode.INTERRUPTED)


def _fault(error: Exception, *, as_json: bool, debug: bool) -> ExitCode:
    """Of an error without a name: neither a full disk nor a path that is too long is our fault, wherever it was met."""
    from edgecnn.errors.store import DiskFull
    from edgecnn.errors.usage import OwnFault, PathTooLong

    for cause in causes_of(error):
        if isinstance(cause, OSError) and cause.errno in {*DISK_FULL, errno.ENAMETOOLONG}:
            path = cause.filename2 or cause.filename
            named = DiskFull(file=path) if cause.errno in DISK_FULL else PathTooLong(path=path)
            return _tell(named, as_json=as_json, traced=error if debug else None)
    return _tell(OwnFault(error=error), as_json=as_json, traced=error)


def _tell(error: EdgecnnError, *, as_json: bool, traced: Exception | None = None) -> ExitCode:
    from edgecnn.render.terminal import show_error

    if (path := os.environ.get(KEPT_IN)) is not None:
        with suppress(OSError):
            Path(path).write_text(json.dumps(error.kept()), encoding="utf-8")

    def tell() -> None:
        if traced is not None:
            traceback.print_exception(traced)
        show_error(error, as_json=as_json)

    return _after(tell, error.exit_code)


def _after(tell: Callable[[], object], status: ExitCode) -> ExitCode:
    """The status, once it was told on stderr; a full disk behind that takes the words and not the status."""
    try:
        tell()
    except BrokenPipeError:
        raise
    except OSError:
        drop_unwritable()
    return status


def accept_every_sign() -> None:
    """Let a stream print an escape for a sign that its encoding lacks, such as an arrow in Latin-1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _open_closed_streams() -> None:
    """Python has no stream where a process was started with one closed (`>&-`): what is written there goes nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for as long as the process lives
