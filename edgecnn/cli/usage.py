"""Turn outcomes into exit codes, and exceptions and invalid command lines into errors of edgecnn.

A crash must never look like a verdict, so an unexpected exception exits with 70. For an invalid command
line typer would exit with 1, the code of a failed gate. Its refusals therefore become errors here.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer

from edgecnn.errors.base import FULL_ERRNOS, KEPT_IN, EdgecnnError, ExitCode, causes_of, system_reason, visible
from edgecnn.errors.building import RESULTS_NOT_WRITTEN
from edgecnn.errors.usage import MISSING_ARGUMENT, USAGE, bad_value, no_such_command, no_such_option
from edgecnn.errors.wording import PROGRAM
from edgecnn.installed import unknown_variables
from edgecnn.runner.messages import drop_unwritable

_STDOUT_IS_FULL = FULL_ERRNOS | {errno.EIO}


def guarded(body: Callable[[], ExitCode], *, as_json: bool, debug: bool) -> ExitCode:
    """Run a command's body and return the exit code. If the reader of stdout or stderr is gone, drop the remaining output."""
    _open_closed_streams()
    accept_every_sign()
    try:
        return _run_body(body, as_json=as_json, debug=debug)
    except (BrokenPipeError, SystemExit):  # rich turns a BrokenPipeError into a SystemExit with the code of a failed gate
        drop_unwritable()
        return ExitCode.INTERRUPTED


def _run_body(body: Callable[[], ExitCode], *, as_json: bool, debug: bool) -> ExitCode:
    try:
        status = body()
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (KeyboardInterrupt, typer.Abort):  # a prompt whose input ends raises Abort
        return _tell_interrupted()
    except OSError as error:
        if error.errno not in _STDOUT_IS_FULL or error.filename is not None:
            return _report_unexpected(error, as_json=as_json, debug=debug)
        drop_unwritable()
        return _show_error(RESULTS_NOT_WRITTEN(because=system_reason(error)), as_json=as_json)
    except Exception as error:  # noqa: BLE001 - an unexpected exception keeps its traceback and has its own exit code
        if any(isinstance(cause, KeyboardInterrupt) for cause in causes_of(error)):
            # Ctrl-C during the import of a compiled module raises an ImportError from the KeyboardInterrupt.
            return _tell_interrupted()
        if isinstance(error, EdgecnnError):
            return _show_error(error, as_json=as_json, traced=error if debug else None)
        return _report_unexpected(error, as_json=as_json, debug=debug)
    return status


def _tell_interrupted() -> ExitCode:
    interrupted = "edgecnn: interrupted; finished work is kept, and the same command resumes\n"
    return _exit_after(lambda: sys.stderr.write(interrupted), ExitCode.INTERRUPTED)


def _report_unexpected(error: Exception, *, as_json: bool, debug: bool) -> ExitCode:
    """Report an unexpected exception. A limit of the process, a full disk and a path that is too long have their own errors."""
    from edgecnn.errors.limits import process_limit
    from edgecnn.errors.store import disk_full
    from edgecnn.errors.usage import own_fault, path_too_long

    if (limited := process_limit(error)) is not None:
        return _show_error(limited, as_json=as_json, traced=error if debug else None)
    for cause in causes_of(error):
        if isinstance(cause, OSError) and cause.errno in {*FULL_ERRNOS, errno.ENAMETOOLONG}:
            path = cause.filename2 or cause.filename
            named = disk_full(file=path) if cause.errno in FULL_ERRNOS else path_too_long(path=path)
            return _show_error(named, as_json=as_json, traced=error if debug else None)
    return _show_error(own_fault(error=error), as_json=as_json, traced=error)


def _show_error(error: EdgecnnError, *, as_json: bool, traced: Exception | None = None) -> ExitCode:
    from edgecnn.render.terminal import show_error

    if (path := os.environ.get(KEPT_IN)) is not None:
        with suppress(OSError):
            Path(path).write_text(json.dumps(error.kept()), encoding="utf-8")

    def tell() -> None:
        if traced is not None:
            traceback.print_exception(traced)
        show_error(error, as_json=as_json)

    return _exit_after(tell, error.exit_code)


def _exit_after(tell: Callable[[], object], status: ExitCode) -> ExitCode:
    """Print to stderr and return the status, even if the disk behind stderr is full."""
    try:
        tell()
    except BrokenPipeError:
        raise
    except OSError:
        drop_unwritable()
    return status


def accept_every_sign() -> None:
    """Let streams print an escape for a character that their encoding lacks, such as an arrow in Latin-1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _open_closed_streams() -> None:
    """Open streams that the process was started without (`>&-`); their output is dropped."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for as long as the process lives


_REFUSAL: type[Exception] = typer.BadParameter.__mro__[1]
"""Base class of all refusals of a command line; typer does not export it."""


def run(app: typer.Typer) -> ExitCode:
    """Parse this process's arguments, run their verb and return the exit code."""
    words = sys.argv[1:]
    words = words[: words.index("--")] if "--" in words else words  # no option is after a lone `--`
    return guarded(lambda: _run_command(app), as_json="--json" in words, debug="--debug" in words)


def _run_command(app: typer.Typer) -> ExitCode:
    for name, near in unknown_variables(os.environ).items():
        meant = "" if near is None else f"; did you mean {near}?"
        sys.stderr.write(f"{PROGRAM}: warning: {visible(name)} is not a variable of edgecnn and is ignored{meant}\n")
    command: Any = typer.main.get_command(app)
    if (swallowed := _missing_value(command, sys.argv[1:])) is not None:
        raise swallowed
    try:
        status = command(prog_name=PROGRAM, standalone_mode=False)
    except _REFUSAL as refusal:
        line = _read_line(command, sys.argv[1:])
        if line.is_bare_group:  # its help was printed instead
            return ExitCode.BAD_INPUT
        raise _refusal_error(refusal, line) from refusal
    except typer.Abort as abort:
        raise KeyboardInterrupt from abort
    except SystemExit as end:
        if any(isinstance(cause, BrokenPipeError) for cause in causes_of(end)):
            raise BrokenPipeError from end  # click and rich turn a closed pipe into status 1
        status = end.code
    if isinstance(status, ExitCode):
        return status
    # The status of help, version or completion. typer exits with 1 for the completion of an unknown shell.
    return ExitCode.OK if not status else ExitCode.INTERRUPTED if status == ExitCode.INTERRUPTED else ExitCode.BAD_INPUT


@dataclass(frozen=True)
class _ReadLine:
    """A command line, split after the leading words that name commands."""

    command: str
    known: tuple[str, ...]
    """The commands that may follow; none after a verb."""
    rest: tuple[str, ...]
    inside: tuple[str, ...] = ()
    """Commands inside groups with the name of the first word that is not a command, such as ``edgecnn study cost``."""

    @property
    def is_bare_group(self) -> bool:
        return bool(self.known) and not self.rest


def _read_line(command: Any, words: Sequence[str]) -> _ReadLine:
    path = [PROGRAM]
    known = getattr(command, "commands", {})
    while words and words[0] in known:
        path.append(words[0])
        known = getattr(known[words[0]], "commands", {})
        words = words[1:]
    groups = [group for group, inner in known.items() if words and words[0] in getattr(inner, "commands", {})]
    inside = tuple(" ".join((*path, group, words[0])) for group in groups)
    return _ReadLine(command=" ".join(path), known=tuple(known), rest=tuple(words), inside=inside)


def _missing_value(command: Any, words: Sequence[str]) -> EdgecnnError | None:
    """Return an error if an option would take the next option as its value; the parser accepts that."""
    line = _read_line(command, words)
    for word in words:
        command = getattr(command, "commands", {}).get(word, command)
    taking = {
        name: not param.is_flag for param in getattr(command, "params", ()) for name in param.opts if hasattr(param, "is_flag")
    }
    for word, following in pairwise(line.rest):
        if word == "--":
            return None
        if taking.get(word) and following in taking:
            return MISSING_ARGUMENT(command=line.command, name=f"a value for {word}", meaning=f"{following} follows it")
    return None


_SYNONYMS = {"--kit": ("--candidate",)}
"""Option that users mean by a name whose spelling does not suggest it."""


def _refusal_error(refusal: Any, line: _ReadLine) -> EdgecnnError:
    """Turn typer's refusal into an error of edgecnn, from its facts if it has any, else with its text."""
    if line.known and not line.rest[0].startswith("-"):
        return no_such_command(command=line.command, name=line.rest[0], known=line.known, inside=line.inside)
    if hasattr(refusal, "option_name") and hasattr(refusal, "possibilities"):
        verb = getattr(getattr(refusal, "ctx", None), "command", None)
        takes_keys = any("--set" in option.opts for option in getattr(verb, "params", ()))
        key = _recipe_key(refusal.option_name) if takes_keys else None
        taken = {name for option in getattr(verb, "params", ()) for name in option.opts}
        near = [name for name in _SYNONYMS.get(refusal.option_name, ()) if name in taken] or refusal.possibilities or ()
        return no_such_option(command=line.command, option=refusal.option_name, near=near, key=key)
    parameter = getattr(refusal, "param", None)
    if parameter is not None and hasattr(refusal, "param_type"):
        meaning = _sentence(getattr(parameter, "help", None) or "")
        return MISSING_ARGUMENT(command=line.command, name=_parameter_name(parameter), meaning=meaning or None)
    if parameter is not None:
        reason, value = _sentence(refusal.message), _last_value(parameter.opts, line.rest)
        return bad_value(command=line.command, name=_parameter_name(parameter), value=value, reason=reason)
    return USAGE(command=line.command, reason=_sentence(refusal.format_message()))


def _recipe_key(option: str) -> str | None:
    """Return the recipe key that ends in an option's name: ``--epochs`` is ``train.epochs``."""
    from edgecnn.values.recipe import Recipe
    from edgecnn.values.toml import dotted_keys

    leaf = option.lstrip("-").replace("-", "_")
    keys = [key for key in dotted_keys(Recipe) if key.rpartition(".")[2] == leaf]
    return keys[0] if len(keys) == 1 else f"train.{leaf}" if f"train.{leaf}" in keys else None


def _parameter_name(parameter: Any) -> str:
    option: str = max(parameter.opts, key=len)
    return option if option.startswith("-") else str(parameter.metavar or parameter.name.upper())


def _last_value(names: Sequence[str], words: Sequence[str]) -> str | None:
    """Return the last value of an option; None for a positional argument."""
    value = None
    for word, following in zip(words, (*words[1:], None), strict=True):
        name, equals, attached = word.partition("=")
        if name.startswith("-") and name in names:
            value = attached if equals else following
    return value


def _sentence(text: str) -> str:
    """Return a library's message as part of a sentence: on one line, in lower case, without the full stop."""
    joined = " ".join(text.split()).rstrip(".")
    return joined[:1].lower() + joined[1:]
