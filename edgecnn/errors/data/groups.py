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
    "write one such as 'person([0-9]+)', or the name of a list column",
    kind=GroupPatternInvalid,
)
GROUP_PATTERN_TOO_SLOW = ErrorRow(
    "group-pattern-too-slow",
    "matching data.group_by '{pattern}' against {paths:counted path} took over {limit_s:g} s",
    fix="avoid nested repetition such as (a+)+",
    kind=GroupPatternTooSlow,
)
NO_GROUP_FOUND = ErrorRow("no-group-found", "{problem} in {source}", "{because}", "{hint}", kind=NoGroupFound)
GROUP_ON_TWO_SIDES = ErrorRow(
    "group-on-two-sides",
    "group {group!r} in {root} is in two of your splits",
    "{paths:listed} belong to the group{more}",
    "move all files of each group into one split, or remove data.group_by",
    kind=GroupOnTwoSides,
)
TOO_FEW_GROUPS = ErrorRow(
    "too-few-groups",
    "{shown} in {root} cannot fill {roles:listed} with separate groups",
    "the images belong to only {groups} ({named}){also}",
    "add images of other groups, or remove data.group_by",
    kind=TooFewGroups,
)
GROUPS_NOT_DIVISIBLE = ErrorRow(
    "groups-not-divisible",
    "whole groups in {root} cannot give {roles:listed} images of every class",
    "the largest group, {group!r}, holds {share:.0%} of class {name!r}",
    "define smaller groups, add images of other groups, or divide the images yourself into train/, val/ and test/",
    kind=GroupsNotDivisible,
)


def no_groups(by: str, source: Path, example: str, column: bool) -> EdgecnnError:
    """``column``: ``by`` names a column."""
    if column:
        problem, because = f"the data.group_by column '{by}' is empty", "no row has a value in it"
        hint = "fill the column, or remove data.group_by"
    else:
        problem, because = f"data.group_by '{by}' matches no path", f"one of the paths is {example!r}"
        hint = "write a regular expression, such as 'person([0-9]+)', or the name of a list column; "
        hint += "the first parenthesized part, or else the whole match, names the group of an image"
    return NO_GROUP_FOUND(source=source, problem=problem, because=because, hint=hint)


def group_on_two_sides(root: Path, group: str, paths: Sequence[str], others: int) -> EdgecnnError:
    """``others``: further groups on two sides."""
    more = f"; {counted(others, 'other group is', 'other groups are')} also in two splits" if others else ""
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
        also=f"; {also} also {plural(len(others), 'has', 'have')} too few groups" if others else "",
    )


def groups_not_divisible(root: Path, roles: Sequence[str], group: str, share: float, name: str) -> EdgecnnError:
    """``share``: of the class ``name`` that is in ``group``."""
    return GROUPS_NOT_DIVISIBLE(root=root, roles=roles, group=group[:_SIGNS], share=share, name=name)
