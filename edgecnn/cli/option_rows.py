"""The table of options read back, row by row: what typer is told of each, and which of them a call was given."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from edgecnn.cli.option_table import BuildOptions, Enters, Group, Says


@dataclass(frozen=True)
class Row:
    """One option of the table."""

    name: str
    """Of the field, and of the verb's parameter."""
    kind: Any
    default: Any
    group: Group
    names: tuple[str, ...]
    enters: Enters
    details: dict[str, Any]

    @property
    def word(self) -> str:
        """How messages call it: its first name, or what stands in an argument's place."""
        return self.names[0] if self.names else self.name.upper()

    @property
    def annotation(self) -> Any:
        """What typer reads."""
        if not self.names:
            return Annotated[self.kind, typer.Argument(**self.details)]
        kind = list[str] | None if isinstance(self.default, tuple) else self.kind
        return Annotated[kind, typer.Option(*self.names, rich_help_panel=self.group.panel, **self.details)]


_ROWS: dict[Any, tuple[Row, ...]] = {}


def rows_of(table: type[BuildOptions]) -> tuple[Row, ...]:
    """Every option of the table, in its order."""
    if table not in _ROWS:
        kinds, options = typing.get_type_hints(table), [each for each in fields(table) if each.metadata]
        _ROWS[table] = tuple(Row(each.name, kinds[each.name], each.default, **each.metadata) for each in options)
    return _ROWS[table]


def given_in(asked: BuildOptions) -> Iterator[tuple[Row, Any]]:
    """The options that were given, with their values; an empty text is one too."""
    for each in rows_of(type(asked)):
        value = getattr(asked, each.name)
        if value is not None and value is not False and value != ():
            yield each, value


def options_that_say(asked: BuildOptions, *says: Says) -> tuple[str, ...]:
    """Those that were given of the options that say how to build, or to measure."""
    return tuple(each.word for each, value in given_in(asked) if each.names and each.group.says in says and value)
