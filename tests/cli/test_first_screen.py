"""The first screen names sixteen commands at most, every command shows examples, and each example can be typed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from edgecnn.cli.main import EXAMPLES, FIRST_SCREEN, app

ROOT: Any = typer.main.get_command(app)


def leaves(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if getattr(command, "commands", None):
            if getattr(command, "invoke_without_command", False):
                yield (*words, name), command
            yield from leaves(command, (*words, name))
        else:
            yield (*words, name), command


def test_the_first_screen_has_sixteen_commands_at_most_and_all_exist() -> None:
    shown = [name for names in FIRST_SCREEN.values() for name in names]
    assert len(shown) <= 16
    assert set(shown) <= set(ROOT.commands)
    assert {name for name, command in ROOT.commands.items() if not command.hidden} == set(shown)


def test_every_command_has_an_example() -> None:
    steps = {"train", "export", "quantize", "package", "compile", "profile"}
    assert {" ".join(words) for words, _ in leaves(ROOT)} - steps == set(EXAMPLES)


@pytest.mark.parametrize("example", [example for examples in EXAMPLES.values() for example in examples])
def test_an_example_is_read_by_the_parser_of_its_command(example: str) -> None:
    program, *words = shlex.split(example)
    assert program == "edgecnn"
    command: Any = ROOT
    path = []
    while words and words[0] in getattr(command, "commands", {}):
        path.append(words[0])
        command = command.commands[words.pop(0)]
    context = command.make_context(" ".join(path), list(words), resilient_parsing=False)
    assert context.command is command
    assert example in EXAMPLES[" ".join(path)]
    assert example in (command.help or "")


@pytest.mark.parametrize("words", [("bench",), ("devices", "measure")])
def test_the_earlier_name_of_fresh_is_accepted_and_not_shown(words: tuple[str, ...]) -> None:
    command: Any = ROOT
    for word in words:
        command = command.commands[word]
    hidden = {name: option.hidden for option in command.params for name in option.opts if name in ("--fresh", "--anew")}
    assert hidden == {"--fresh": False, "--anew": True}
