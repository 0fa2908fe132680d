"""`edgecnn judge HEAD --against BASE`: two finished builds, raced against each other in this job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.cli.job import Job
from edgecnn.errors.base import ExitCode

if TYPE_CHECKING:
    from edgecnn.values.comparison import Comparison


@dataclass(frozen=True)
class AgainstOptions:
    """The flags of a comparison."""

    head: str | None
    base: str
    at_most: tuple[str, ...]
    at_least: tuple[str, ...]
    rounds: int | None
    foreign: tuple[str, ...]
    """Options given that say how to build."""


def judged_against(asked: AgainstOptions, job: Job, *, as_json: bool, quiet: bool) -> ExitCode:
    """Race, judge and show."""
    from edgecnn.comparing.paired import AgainstRequest, judge_against
    from edgecnn.devices.machine import local_lab
    from edgecnn.judging.bounds import parse_bounds
    from edgecnn.judging.stopping import ROUNDS_MAX
    from edgecnn.render.progress import progress_for
    from edgecnn.store.store import Store

    head = _checked(asked)
    gates = parse_bounds(asked.at_most, asked.at_least, compared=True)
    request = AgainstRequest(head=Path(head), base=asked.base, gates=gates, rounds=asked.rounds or ROUNDS_MAX)
    tell = progress_for(quiet=quiet or as_json)
    try:
        found = judge_against(request, local_lab(Store.open(), tell))
    finally:
        tell.close()
    return told(found, job, as_json=as_json)


def told(found: Comparison, job: Job, *, as_json: bool) -> ExitCode:
    """Show a comparison, and the exit code that it means."""
    from edgecnn.judging.gates import exit_code_of
    from edgecnn.render.ci import sheet_of_comparison
    from edgecnn.render.screens.comparing import show_comparison
    from edgecnn.render.terminal import show_json

    job.tell(sheet_of_comparison(found))
    if as_json:
        show_json(found.model_dump(mode="json", by_alias=True))
    else:
        show_comparison(found)
    return exit_code_of(found.gates)


def _checked(asked: AgainstOptions) -> str:
    from edgecnn.errors.comparing import OptionsNotWithAgainst
    from edgecnn.errors.recipes import EmptyOption
    from edgecnn.errors.usage import MissingArgument

    if asked.head is None:
        raise MissingArgument(
            command="edgecnn judge --against", name="HEAD", meaning="the folder of the finished build that is judged"
        )
    for option, text in (("HEAD", asked.head), ("--against", asked.base)):
        if not text.strip():
            raise EmptyOption(option=option)
    if asked.foreign:
        raise OptionsNotWithAgainst(options=asked.foreign)
    return asked.head
