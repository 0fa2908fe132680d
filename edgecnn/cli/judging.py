"""`edgecnn judge`: a finished build by itself, what a recipe's last build left, or one build against another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli.asking import measured_as, refuse_unusable_texts, request_from, stored_race_of
from edgecnn.cli.build import built, judged
from edgecnn.cli.options import AGAINST, GATES, JOB, MEASURING, OUT, STORED, WHAT, BuildOptions, options_that_say
from edgecnn.cli.verbs import Call, verb
from edgecnn.errors.base import ExitCode
from edgecnn.errors.comparing import ROUNDS_WITHOUT_AGAINST

if TYPE_CHECKING:
    from edgecnn.values.report import Comparison

JudgedArg = Annotated[
    str | None,
    typer.Argument(metavar="[BUILD]", help="The folder of a finished build, a recipe file (TOML), or the name of a pipeline."),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    takes = (WHAT, GATES, MEASURING, OUT, STORED, AGAINST, JOB)
    verb(app, "judge", short="Judge a finished build, or race two of them.", takes=takes)(judge)


def judge(call: Call, recipe: JudgedArg = None) -> ExitCode:
    """Judge a finished build: its folder, or the last build of a recipe in the store.

    Accuracy, size and executed precision come from the store. Latency is measured again if the device is available.
    With --against, two finished builds are raced.
    """
    if call.asked.against is not None:
        return _against(call, recipe, call.asked.against)
    if call.asked.rounds is not None:
        raise ROUNDS_WITHOUT_AGAINST(rounds=call.asked.rounds)
    from edgecnn.results.finished import build_folder

    folder = build_folder(recipe) if recipe and recipe.strip() and "\0" not in recipe else None
    if folder is not None:  # it stands in the recipe's place
        return _finished(call, folder)
    request = request_from(replace(call.asked, recipe=recipe), "judge")
    return built(call, request.model_copy(update={"stored_race": stored_race_of(call.asked), "only_judge": True}))


def _finished(call: Call, folder: Path) -> ExitCode:
    from edgecnn.bench.judge import JudgeRequest, judge_finished
    from edgecnn.devices.machine import local_lab
    from edgecnn.errors.comparing import OPTIONS_NOT_WITH_BUILD

    refuse_unusable_texts(call.asked)
    if foreign := options_that_say(call.asked, "how to build"):
        raise OPTIONS_NOT_WITH_BUILD(folder=folder, options=foreign)
    request = JudgeRequest(folder=folder, stored_race=stored_race_of(call.asked), **measured_as(call.asked))
    return judged(call, judge_finished(request, local_lab(call.store, call.tell)))


def _against(call: Call, head: str | None, base: str) -> ExitCode:
    """Two finished builds, raced against each other in this call; the recipe's place holds HEAD."""
    from edgecnn.comparing.paired import AgainstRequest, judge_against
    from edgecnn.devices.machine import local_lab
    from edgecnn.judging.gates import parse_bounds
    from edgecnn.judging.runs.stopping import ROUNDS_MAX

    asked = call.asked
    folder = _checked_head(asked, head, base)
    gates = parse_bounds(asked.at_most, asked.at_least, compared=True)
    request = AgainstRequest(head=folder, base=base, gates=gates, rounds=asked.rounds or ROUNDS_MAX)
    return compared(call, judge_against(request, local_lab(call.store, call.tell)))


def compared(call: Call, found: Comparison) -> ExitCode:
    """Show a comparison, to the job too, and say how the call ends."""
    from edgecnn.render.ci import sheet_of_comparison
    from edgecnn.render.screens.comparing import comparison_lines

    return call.judge(sheet_of_comparison(found), found, comparison_lines(found))


def _checked_head(asked: BuildOptions, head: str | None, base: str) -> Path:
    from edgecnn.errors.comparing import OPTIONS_NOT_WITH_AGAINST
    from edgecnn.errors.recipes import EMPTY_OPTION
    from edgecnn.errors.usage import MISSING_ARGUMENT

    if head is None:
        meaning = "the folder of the finished build that is judged"
        raise MISSING_ARGUMENT(command="edgecnn judge --against", name="HEAD", meaning=meaning)
    for option, text in (("HEAD", head), ("--against", base)):
        if not text.strip():
            raise EMPTY_OPTION(option=option)
    if foreign := options_that_say(asked, "how to build", "how to measure"):
        raise OPTIONS_NOT_WITH_AGAINST(options=foreign)
    return Path(head)
