"""An option is one row of a table: its signature, its way into the request and the printed command follow from that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from edgecnn.cli.asking import command_of, request_from
from edgecnn.cli.main import FIRST_SCREEN, MORE, app
from edgecnn.cli.options import OF_THE_CALL, WHAT, AsSet, BuildOptions, InRecipe, InRequest, options_settling, row, rows_of
from edgecnn.cli.verbs import Call, verb
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.recipes import EMPTY_OPTION

ROOT: Any = typer.main.get_command(app)
SAMPLES = {"target": "cpu", "time_budget": "60s", "until": "2%", "batches": "1,best", "soak": "60s", "scale": "phi=1"}
SAMPLES |= {"at_most": "drop_pp=2", "at_least": "top1=0.5", "overrides": "train.epochs=3", "host": "pi@10.0.0.5", "rounds": "9"}


@dataclass(frozen=True)
class WithRounds(BuildOptions):
    """The table with a row more."""

    race_rounds: str | None = row(WHAT, "--race-rounds", enters=AsSet("race.rounds"), metavar="N", help="Rounds of a race.")
    fewer: bool = row(WHAT, "--fewer", enters=InRecipe("race.rounds", read=lambda value: 7), default=False, help="Seven.")
    again: bool = row(WHAT, "--again", enters=InRequest("only_judge"), default=False, help="Only judge.")


def asked_by(*words: str) -> WithRounds:
    """What a verb of the longer table hears."""
    heard: list[Any] = []
    other = typer.Typer()
    verb(other, "try", short="Try.", takes=(WHAT, WithRounds))(lambda call: heard.append(call.options))
    done = CliRunner().invoke(other, list(words))
    assert done.exit_code == 0, done.output
    return heard[0]  # type: ignore[no-any-return]


def test_a_row_more_is_an_option_more_in_the_signature_the_request_and_the_command() -> None:
    options = asked_by("--arch", "resnet-18", "--fewer", "--again")
    request = request_from(options, "judge")
    assert (request.recipe.race.rounds, request.only_judge) == (7, True)
    assert str(request.command) == "edgecnn try --arch resnet-18 --fewer --again"
    assert options_settling(options, "how to build") == ("--arch", "--fewer", "--again")
    with pytest.raises(EdgecnnError, match="--race-rounds", check=EMPTY_OPTION.made):
        request_from(WithRounds(race_rounds=" "), "judge")


def test_a_row_that_stands_for_set_is_checked_as_set_is() -> None:
    with pytest.raises(EdgecnnError, match="race.rounds"):
        request_from(asked_by("--race-rounds", "many"), "judge")


def test_a_verb_s_own_parameter_stands_before_a_row_of_its_name() -> None:
    heard: list[Any] = []

    def tried(call: Call, arch: int = 3) -> None:
        heard.append((arch, call.options.arch))

    other = typer.Typer()
    verb(other, "try", short="Try.", takes=(WHAT,))(tried)
    assert CliRunner().invoke(other, ["--arch", "5"]).exit_code == 0
    assert heard == [(5, None)]


def sample_of(name: str) -> Any:
    default = next(option.default for option in rows_of(BuildOptions) if option.name == name)
    sample = SAMPLES.get(name, "x")
    return True if default is False else (sample,) if isinstance(default, tuple) else sample


@pytest.mark.parametrize("name", [option.name for option in rows_of(BuildOptions)])
def test_every_option_of_the_request_stands_in_the_command_that_asks_again_and_no_other_does(name: str) -> None:
    option = next(option for option in rows_of(BuildOptions) if option.name == name)
    words = list(command_of(BuildOptions(**{name: sample_of(name)})).words[2:])
    value = [] if sample_of(name) is True else [SAMPLES.get(name, "x")]
    assert words == ([] if option.enters == OF_THE_CALL else [*option.names[:1], *value])


def test_what_a_finished_build_refuses_are_the_options_that_say_how_to_build() -> None:
    saying = [option.word for option in rows_of(BuildOptions) if option.group.says == "how to build" and option.names]
    whole = BuildOptions(**{option.name: sample_of(option.name) for option in rows_of(BuildOptions)})
    assert list(options_settling(whole, "how to build")) == saying
    assert {"--refresh-weights", "--tensorboard", "--time-budget", "--set", "--out"} <= set(saying)


def test_the_verbs_are_listed_in_panels_with_one_short_line_each() -> None:
    lines = {name: command.short_help or command.help for name, command in ROOT.commands.items()}
    assert {name: line for name, line in lines.items() if len(line) > 70 or "\n" in line} == {}
    shown = CliRunner().invoke(app, ["--help-all"], env={"COLUMNS": "80"}).stdout
    places = [shown.index(f"─ {panel} ─") for panel in (*FIRST_SCREEN, MORE)]
    assert places == sorted(places)
    assert [line for line in lines.values() if line not in shown] == []
