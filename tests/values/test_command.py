"""A command prints itself for any verb, and is changed by its parts."""

from __future__ import annotations

import pytest

from edgecnn.values.command import Command

MADE = Command(
    verb=("judge",), parts=(("mine.toml",), ("--data", "my photos"), ("--fresh",), ("--target", "cpu"), ("--target", "x:y"))
)


def test_it_prints_itself_quoted_for_a_shell_and_for_another_verb() -> None:
    assert str(MADE) == "edgecnn judge mine.toml --data 'my photos' --fresh --target cpu --target x:y"
    assert str(MADE.to("sweep", "run")).startswith("edgecnn sweep run mine.toml ")
    assert MADE.words[:3] == ("edgecnn", "judge", "mine.toml")


def test_an_option_goes_with_its_value_wherever_and_however_often_it_is_there() -> None:
    assert str(MADE.without("--target", "--fresh").adding(("--out", "o"))) == "edgecnn judge mine.toml --data 'my photos' --out o"
    assert (MADE.value_of("--target"), MADE.value_of("--out")) == ("x:y", None)


@pytest.mark.parametrize("text", ["edgecnn judge", "--out", "edgecnn build"])
def test_a_value_that_reads_like_a_verb_or_an_option_is_no_such_thing(text: str) -> None:
    made = Command(verb=("judge",), parts=(("--data", text),))
    assert made.to("build").words == ("edgecnn", "build", "--data", text)
    assert made.without("--out") == made


def test_where_no_command_line_made_something_there_is_nothing_to_print() -> None:
    assert not Command() and str(Command().to("build")) == ""


def test_a_printed_command_is_read_back_to_print_the_same() -> None:
    text = "edgecnn judge 'my recipe.toml' --target jetson:all --no-labels --set 'a=b c' --max p50_ms=3"
    command = Command.read(text)
    assert (str(command), command.value_of("--target")) == (text, "jetson:all")
    assert str(command.to("build").without("--target")) == text.replace("judge", "build").replace(" --target jetson:all", "")


@pytest.mark.parametrize("text", ["", "make all", "edgecnn", "edgecnn --help", "edgecnn build 'unclosed"])
def test_what_is_no_command_of_edgecnn_is_read_as_an_empty_one(text: str) -> None:
    assert not Command.read(text)
