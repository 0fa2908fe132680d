"""The one place where outcomes become exit codes, and where an exception becomes a line.

A crash must never be read as a verdict: what is not an error of ours ends with 70, whatever it was.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.building import ResultsNotWritten

_STDOUT_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def drop_stdout() -> None:
    """Send the rest of stdout nowhere, so that Python's own flush at the end does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def guarded(body: Callable[[], ExitCode], *, as_json: bool, debug: bool) -> ExitCode:
    """Run a command's body and turn whatever ends it into an exit code."""
    from edgecnn.render.terminal import show_error

    try:
        status = body()
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # rich turns the first into the second, with the code of a failed gate
        # Whoever read stdout has gone: what is left is dropped, and the code says so without looking like a verdict.
        drop_stdout()
        return ExitCode.INTERRUPTED
    except OSError as error:
        if error.errno not in _STDOUT_IS_FULL or error.filename is not None:
            return _own_fault(error, as_json=as_json)
        drop_stdout()
        lost = ResultsNotWritten(because=error.strerror or str(error))
        show_error(lost, as_json=as_json)
        return lost.exit_code
    except EdgecnnError as error:
        if debug:
            traceback.print_exc()
        show_error(error, as_json=as_json)
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("edgecnn: interrupted; what was finished is kept, and the same command goes on from there\n")
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last clause: our own fault keeps its traceback and its own code
        return _own_fault(error, as_json=as_json)
    return status


def _own_fault(error: Exception, *, as_json: bool) -> ExitCode:
    from edgecnn.errors.fault import OwnFault
    from edgecnn.render.terminal import show_error

    traceback.print_exception(error)
    show_error(OwnFault(error=error), as_json=as_json)
    return ExitCode.OWN_FAULT
