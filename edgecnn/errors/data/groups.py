"""Failures of ``data.group_by``: it cannot be read, matches nothing, or its groups cannot be kept together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow
from edgecnn.errors.wording import and_more, counted, listed, plural

_NAMED = 5
_SIGNS = 100
"""Characters of a group's name that are shown, since a cell of a list can be long."""


class GroupPatternInvalid(EdgecnnError):
    """``data.group_by`` is neither a column nor a regular expression."""


class GroupPatternTooSlow(EdgecnnError):
    """A regular expression does not finish: nested repetitions can take years on a short path."""


class NoGroupFound(EdgecnnError):
    """``data.group_by`` gives no image a group."""


class GroupOnTwoSides(EdgecnnError):
    """Two of the user's own splits have images of one group."""


class TooFewGroups(EdgecnnError):
    """A class has images of fewer groups than there are separate roles."""


class GroupsNotDivisible(EdgecnnError):
    """Every class has enough groups, but no division gives every role images of every class."""


GROUP_PATTERN_INVALID = ErrorRow(
    "group-pattern-invalid",
    "data.group_by '{pattern}' cannot be read as a regular expression",
    "{because}",
    "write one such as 'person([0-9]+)', or name a column of a list",
    kind=GroupPatternInvalid,
)
GROUP_PATTERN_TOO_SLOW = ErrorRow(
    "group-pattern-too-slow",
    "data.group_by '{pattern}' was not searched in {paths:counted path} within {limit_s:g} s",
    fix="write it without a repetition inside a repetition, such as (a+)+",
    kind=GroupPatternTooSlow,
)
NO_GROUP_FOUND = ErrorRow("no-group-found", "{source}: {problem}", "{because}", "{hint}", kind=NoGroupFound)
GROUP_ON_TWO_SIDES = ErrorRow(
    "group-on-two-sides",
    "{root}: group {group!r} is on both sides of your own split",
    "{paths:listed} belong to it{more}",
    "move all files of a group to one side, or leave data.group_by out",
    kind=GroupOnTwoSides,
)
TOO_FEW_GROUPS = ErrorRow(
    "too-few-groups",
    "{root}: {shown} cannot fill {roles:listed} with separate groups",
    "the images are of {groups} ({named}){also}",
    "add images of other groups, or leave data.group_by out",
    kind=TooFewGroups,
)
GROUPS_NOT_DIVISIBLE = ErrorRow(
    "groups-not-divisible",
    "{root}: whole groups cannot give every class to {roles:listed}",
    "the largest part of a class is group {group!r}, with {share:.0%} of {name!r}",
    "name smaller groups, add images of others, or divide the images yourself into train/, val/ and test/",
    kind=GroupsNotDivisible,
)


def no_groups(by: str, source: Path, example: str, column: bool) -> EdgecnnError:
    """``column``: ``by`` names a column."""
    if column:
        problem, because = f"the column '{by}' of data.group_by is empty", "it has no value in any row"
        hint = "fill the column, or leave data.group_by out"
    else:
        problem, because = f"no path contains data.group_by '{by}'", f"a path is {example!r}"
        hint = "write a regular expression, such as 'person([0-9]+)', or the name of a column of a list; "
        hint += "its first group in parentheses, or else the whole match, names the group of an image"
    return NO_GROUP_FOUND(source=source, problem=problem, because=because, hint=hint)


def group_on_two_sides(root: Path, group: str, paths: Sequence[str], others: int) -> EdgecnnError:
    """``others``: further groups on two sides."""
    more = f"; {counted(others, 'other group is', 'other groups are')} on two sides too" if others else ""
    return GROUP_ON_TWO_SIDES(root=root, group=group[:_SIGNS], paths=paths, more=more)


def too_few_groups(root: Path, names: Sequence[str], groups: Sequence[str], alone: int, roles: Sequence[str]) -> EdgecnnError:
    """``names``: the classes with too few; empty if it is all classes together. ``alone``: images without a group."""
    named = [
        *(repr(group[:_SIGNS]) for group in groups[:_NAMED]),
        *([counted(alone, "image without one", "images without one")] if alone else []),
    ]
    others = names[1:]
    also = f"{', '.join(map(repr, others[:_NAMED]))}{and_more(len(others), _NAMED)}"
    return TOO_FEW_GROUPS(
        root=root,
        shown=f"class {names[0]!r}" if names else "all classes together",
        roles=roles,
        groups=counted(len(groups) + alone, "group"),
        named=f"{listed(named)}{and_more(len(groups), _NAMED)}",
        also=f"; {also} {plural(len(others), 'has', 'have')} too few groups too" if others else "",
    )


def groups_not_divisible(root: Path, roles: Sequence[str], group: str, share: float, name: str) -> EdgecnnError:
    """``share``: of the class ``name`` that is in ``group``."""
    return GROUPS_NOT_DIVISIBLE(root=root, roles=roles, group=group[:_SIGNS], share=share, name=name)
