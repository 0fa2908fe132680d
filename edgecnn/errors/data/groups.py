"""Failures of ``data.group_by``: what it says cannot be read or finds nothing, or its groups cannot be kept whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.wording import and_more, counted, listed, plural

_NAMED = 5
_SIGNS = 100
"""Of a group's name: a list's cell can hold a book."""
_WISH = "it is a regular expression, such as 'person([0-9]+)', or the name of a column of a list"


class GroupPatternInvalid(EdgecnnError):
    """Raised when ``data.group_by`` names no column and is no regular expression either."""

    def __init__(self, *, pattern: str, because: str) -> None:
        super().__init__(
            what=f"data.group_by '{pattern}' cannot be read as a regular expression",
            because=because,
            hint="write one such as 'person([0-9]+)', or name a column of a list",
        )


class GroupPatternTooSlow(EdgecnnError):
    """Raised when a regular expression comes to no end: repetitions inside repetitions can take years on a short path."""

    def __init__(self, *, pattern: str, paths: int, limit_s: float) -> None:
        super().__init__(
            what=f"data.group_by '{pattern}' was not searched in {counted(paths, 'path')} within {limit_s:g} s",
            hint="write it without a repetition inside a repetition, such as (a+)+",
        )


class NoGroupFound(EdgecnnError):
    """Raised when ``data.group_by`` gives no image a group. ``column``: whether it names one."""

    def __init__(self, *, by: str, source: Path, example: str, column: bool) -> None:
        super().__init__(
            what=f"{source}: the column '{by}', which data.group_by names, is empty in every row"
            if column
            else f"{source}: data.group_by '{by}' is found in no path, such as {example!r}",
            hint="fill the column in, or leave data.group_by out"
            if column
            else f"{_WISH}; its first group in parentheses, or else all that it matches, names the group of an image",
        )


class GroupOnTwoSides(EdgecnnError):
    """Raised when the user's own splits have images of one group in two of them; they are left as they are."""

    def __init__(self, *, root: Path, group: str, paths: Sequence[str], others: int) -> None:
        more = f"; {counted(others, 'other group is', 'other groups are')} on two sides too" if others else ""
        super().__init__(
            what=f"{root}: group {group[:_SIGNS]!r} is on both sides of a split that the user made",
            because=f"{listed(paths)} are of it{more}",
            hint="move all files of a group to one side, or leave data.group_by out",
        )


class TooFewGroups(EdgecnnError):
    """Raised when a class has images of fewer groups than there are roles that must not share one.

    ``names``: of the classes that are short of them; none where it is all classes, taken together.
    """

    def __init__(self, *, root: Path, names: Sequence[str], groups: Sequence[str], alone: int, roles: Sequence[str]) -> None:
        named = [
            *(repr(group[:_SIGNS]) for group in groups[:_NAMED]),
            *([counted(alone, "image of none", "images of none")] if alone else []),
        ]
        others, shown = names[1:], f"class {names[0]!r}" if names else "all classes"
        also = f"{', '.join(map(repr, others[:_NAMED]))}{and_more(len(others), _NAMED)}"
        super().__init__(
            what=f"{root}: the images of {shown} are of {counted(len(groups) + alone, 'group')}"
            f" ({listed(named)}{and_more(len(groups), _NAMED)}), and {listed(roles)} need one each",
            because=f"{also} {plural(len(others), 'is', 'are')} short of groups too" if others else None,
            hint="add images of other groups, or leave data.group_by out",
        )


class GroupsNotDivisible(EdgecnnError):
    """Raised when every class has groups enough, and still no way is found to have each of them in every role."""

    def __init__(self, *, root: Path, roles: Sequence[str], group: str, share: float, name: str) -> None:
        super().__init__(
            what=f"{root}: no way was found to divide whole groups so that {listed(roles)} each have images of every class",
            because=f"the largest part of a class is group {group[:_SIGNS]!r}, with {share:.0%} of {name!r}",
            hint="name smaller groups, add images of others, or divide the images yourself into train/, val/ and test/",
        )
