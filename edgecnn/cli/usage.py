"""A command line that cannot be read ends like every other failure: one line or one JSON object, a reference, a code.

typer words its refusals itself and ends with 1, the code of a failed gate, where a pipe is closed. So it is called in the mode in
which it raises instead, and what it raises becomes an error of ours here. Only its public names are used: which click lies
under it differs between versions, so a refusal is known by the public class of which it is a kind, and by the facts it carries.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import typer

from edgecnn.cli.exits import guarded
from edgecnn.errors.base import EdgecnnError, ExitCode, causes_of
from edgecnn.errors.usage import BadValue, MissingArgument, NoSuchCommand, NoSuchOption, NotUnderstood

PROGRAM = "edgecnn"
"""How help and hints call it, however it was started: `python -m edgecnn` is the same program."""
_REFUSAL: type[Exception] = typer.BadParameter.__mro__[1]
"""What every refusal of a command line is; typer publishes this one kind of it."""


def run(app: typer.Typer) -> ExitCode:
    """Parse this process's arguments, call the verb they name and say how it ended."""
    words = sys.argv[1:]
    words = words[: words.index("--")] if "--" in words else words  # no option is after a lone `--`
    return guarded(lambda: _called(app), as_json="--json" in words, debug="--debug" in words)


def _called(app: typer.Typer) -> ExitCode:
    command: Any = typer.main.get_command(app)
    if (swallowed := _swallowed(command, sys.argv[1:])) is not None:
        raise swallowed
    try:
        status = command(prog_name=PROGRAM, standalone_mode=False)
    except _REFUSAL as refusal:
        asked = _read(command, sys.argv[1:])
        if asked.is_bare_group:  # its help was printed instead
            return ExitCode.BAD_INPUT
        raise _worded(refusal, asked) from refusal
    except typer.Abort as abort:
        raise KeyboardInterrupt from abort
    except SystemExit as end:
        status = _unless_unread(end)
    if isinstance(status, ExitCode):
        return status
    # Not a verb's: help, a version or completion, of which typer says 1 where it knows no such shell.
    return ExitCode.OK if not status else ExitCode.INTERRUPTED if status == ExitCode.INTERRUPTED else ExitCode.BAD_INPUT


def _unless_unread(end: SystemExit) -> object:
    """The status of an end that a library chose; a closed pipe, which click and rich both turn into 1, is raised again.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    if any(isinstance(cause, BrokenPipeError) for cause in causes_of(end)):
        raise BrokenPipeError from end
    return end.code


@dataclass(frozen=True)
class _ReadLine:
    """A command line as far as its leading words name commands."""

    command: str
    known: tuple[str, ...]
    """The commands that may follow; none after a verb."""
    rest: tuple[str, ...]

    @property
    def is_bare_group(self) -> bool:
        return bool(self.known) and not self.rest


def _read(command: Any, words: Sequence[str]) -> _ReadLine:
    path = [PROGRAM]
    known = getattr(command, "commands", {})
    while words and words[0] in known:
        path.append(words[0])
        known = getattr(known[words[0]], "commands", {})
        words = words[1:]
    return _ReadLine(command=" ".join(path), known=tuple(known), rest=tuple(words))


def _swallowed(command: Any, words: Sequence[str]) -> EdgecnnError | None:
    """An option that would take the option behind it for its value, as every parser of this kind lets it."""
    line = _read(command, words)
    for word in words:
        command = getattr(command, "commands", {}).get(word, command)
    taking = {
        name: not param.is_flag for param in getattr(command, "params", ()) for name in param.opts if hasattr(param, "is_flag")
    }
    for word, following in pairwise(line.rest):
        if word == "--":
            return None
        if taking.get(word) and following in taking:
            return MissingArgument(command=line.command, name=f"a value for {word}", meaning=f"{following} comes right behind it")
    return None


def _worded(refusal: Any, asked: _ReadLine) -> EdgecnnError:
    """The refusal as an error of ours, from the facts it carries where it carries some, else with its own words."""
    if asked.known and not asked.rest[0].startswith("-"):
        return NoSuchCommand(command=asked.command, name=asked.rest[0], known=asked.known)
    if hasattr(refusal, "option_name") and hasattr(refusal, "possibilities"):
        return NoSuchOption(command=asked.command, option=refusal.option_name, near=refusal.possibilities or ())
    parameter = getattr(refusal, "param", None)
    if parameter is not None and hasattr(refusal, "param_type"):
        meaning = _sentence(getattr(parameter, "help", None) or "")
        return MissingArgument(command=asked.command, name=_name(parameter), meaning=meaning or None)
    if parameter is not None:
        reason, value = _sentence(refusal.message), _given(parameter.opts, asked.rest)
        return BadValue(command=asked.command, name=_name(parameter), value=value, reason=reason)
    return NotUnderstood(command=asked.command, reason=_sentence(refusal.format_message()))


def _name(parameter: Any) -> str:
    option: str = max(parameter.opts, key=len)
    return option if option.startswith("-") else str(parameter.metavar or parameter.name.upper())


def _given(names: Sequence[str], words: Sequence[str]) -> str | None:
    """The value an option was given last; None for a positional one, which has no name to look for."""
    value = None
    for word, following in zip(words, (*words[1:], None), strict=True):
        name, equals, attached = word.partition("=")
        if name.startswith("-") and name in names:
            value = attached if equals else following
    return value


def _sentence(text: str) -> str:
    """A library's message as part of our line: on one line, begun small and without its full stop."""
    joined = " ".join(text.split()).rstrip(".")
    return joined[:1].lower() + joined[1:]
