"""``--help`` of every command, as words: the frame around them and their line breaks are typer's and argparse's."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import typer

from edgecnn.cli.main import app
from edgecnn.runner.__main__ import _parser

ROOT: Any = typer.main.get_command(app)


def _tree(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _tree(below, (*words, name))


def _parameter(parameter: Any) -> str:
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    metavar = f" {parameter.metavar}" if parameter.metavar else ""
    default = f" [default: {parameter.default}]" if isinstance(parameter.default, str | int | float) and parameter.default else ""
    return f"  {names}{metavar}: {getattr(parameter, 'help', None) or ''}{default}"


BY_WORDS: dict[tuple[str, ...], Any] = dict(_tree(ROOT))
COMMANDS = tuple(BY_WORDS)
SHARED = [
    line
    for line, verbs in Counter(_parameter(parameter) for verb in BY_WORDS.values() for parameter in verb.params).items()
    if verbs > 1
]
"""Options with the same help in several commands: pinned once, so that a rewording changes one text."""


def help_text(words: tuple[str, ...], _: Path) -> str:
    """Its sentences, then its commands by panel, then its parameters by panel."""
    command = BY_WORDS[words]
    lines = [" ".join(("edgecnn", *words)), "", *(command.help or "").splitlines()]
    panels: dict[str, list[str]] = {}
    for verb in getattr(command, "commands", {}).values():
        panels.setdefault(verb.rich_help_panel or "Commands", []).append(f"  {verb.name}: {verb.short_help or verb.help}")
    for parameter in command.params:
        panel = getattr(parameter, "rich_help_panel", None) or f"{parameter.param_type_name}s".capitalize()
        line = _parameter(parameter)
        panels.setdefault(panel, []).append(line.partition(": ")[0] if line in SHARED else line)
    for panel, entries in panels.items():
        lines += ["", f"{panel}:", *entries]
    return "\n".join([*lines, *(["", command.epilog] if command.epilog else [])])


def runner_help(_: Path) -> str:
    """Of the program inside a kit: its commands with their options."""
    parser = _parser()
    lines = [f"{parser.prog}: {parser.description}", *map(_option, _options(parser))]
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    summaries = {action.dest: action.help for action in commands._choices_actions}
    for name, command in commands.choices.items():
        lines += ["", f"{name}: {summaries.get(name)}", *map(_option, _options(command))]
    return "\n".join(lines)


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    left = (argparse._HelpAction, argparse._SubParsersAction)
    return [action for action in parser._actions if not isinstance(action, left)]


def _option(action: argparse.Action) -> str:
    words = [", ".join(action.option_strings) or action.dest, *([str(action.metavar)] if action.metavar else [])]
    return f"  {' '.join(words)}: {action.help or ''}"


def shared_options(_: Path) -> str:
    return "\n".join(line.strip() for line in sorted(SHARED))


SURFACES = {f"help/{'-'.join(('edgecnn', *words))}": partial(help_text, words) for words in COMMANDS} | {
    "help/shared-options": shared_options,
    "help/runner": runner_help,
}
