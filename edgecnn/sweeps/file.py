"""What a user writes, SWEEP.toml, and the builds that it stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from edgecnn.errors.recipes import OverridesInvalid
from edgecnn.errors.sweeps import BuildsNamedAlike, SweepInvalid, SweepTooLarge
from edgecnn.planning.custom_model import network_name
from edgecnn.recipes.recipe import apply_overrides, key_parts, load_recipe, with_paths_from
from edgecnn.recipes.target import is_path, split_target
from edgecnn.recipes.toml_file import checked, dotted_keys, read_table
from edgecnn.values.base import Value
from edgecnn.values.recipe import Recipe
from edgecnn.values.stage import digest_of

MOST_BUILDS: Final = 10_000
IN_THE_NAME: Final = ("model.arch", "model.onnx", "model.scale", "target.device", "target.runtime")
"""Keys that every build's name already shows."""
_OF_MEASURING: Final = ("target", "race", "desktop", "choice", "gates", "fit")
"""Tables of a recipe of which nothing that a training makes depends."""


class SweepFile(Value):
    """The tables of a SWEEP.toml."""

    schema_: Literal["edgecnn.sweep/1"] = Field(default="edgecnn.sweep/1", alias="schema")
    recipe: str | None = None
    """What every build begins from: a recipe file, whose path counts from this file's folder, or a shipped pipeline."""
    set: Mapping[str, Any] = {}
    """Recipe values of every build, on top of that."""
    grid: Mapping[str, Any] = {}
    """Recipe keys with a list of values each: every combination is a build."""
    build: tuple[Mapping[str, Any], ...] = ()
    """Builds one by one, beside the grid or in place of it: recipe values, and optionally a ``name``."""
    hosts: Mapping[str, str] = {}
    """Device to the board that measures it, as ``--host`` takes one; of others, this machine where it is the device."""


class Cell(Value):
    """One build of a sweep."""

    name: str
    """Of its folder."""
    network: str
    device: str
    """As the target names it; of a device file, the file's name."""
    runtime: str | None
    """Where the target names one."""
    variant: str
    """The network, and what else tells this build from those of other networks: a row of the report."""
    values: Mapping[str, str]
    """Recipe keys that this build states itself, to what it states, as ``--set`` takes it."""
    recipe: Recipe
    words: tuple[str, ...]
    """Behind ``edgecnn build``: the recipe and options by which a person builds the same by hand."""
    trains_as: str
    """Builds with this in common are of one training: the first makes it, the others find it."""


@dataclass(frozen=True)
class Sweep:
    """A sweep file, read, with the recipe that its builds begin from."""

    path: Path
    file: SweepFile
    base: Recipe

    @property
    def begins(self) -> str | None:
        """The recipe as a command line names it from anywhere."""
        stated = self.file.recipe
        if stated is None or not is_path(stated):
            return stated
        return str((self.path.parent / Path(stated).expanduser()).resolve())


def read_sweep(path: Path) -> Sweep:
    """A sweep file and the recipe that it begins from.

    Raises:
        FileUnreadable, NotToml: of either file.
        SweepInvalid: unknown tables, wrong types; all at once.
        EdgecnnError: what ``load_recipe`` raises of the recipe.
    """
    file = checked(SweepFile, read_table(path), lambda problems: SweepInvalid(path=path, problems=problems))
    sweep = Sweep(path, file, Recipe())
    return sweep if sweep.begins is None else Sweep(path, file, load_recipe(sweep.begins))


def cells_of(sweep: Sweep) -> tuple[Cell, ...]:
    """The builds that a sweep stands for, the grid's first, in the file's order. Pure.

    Raises:
        SweepInvalid: a key is unknown, a value does not fit it, a grid's key has no list of values, or there is no build.
        SweepTooLarge: more than ``MOST_BUILDS``.
        BuildsNamedAlike: two builds would be written to one folder.
        UnknownArch: a network of none of the names.
    """
    fixed, problems = _flat(sweep.file.set), list[str]()
    asked = [*_combinations(sweep, problems), *((each.get("name"), _flat(each)) for each in sweep.file.build)]
    if not asked and not problems:
        problems.append("it has neither a [grid] nor a [[build]]")
    cells = dict[str, Cell]()
    for name, stated in asked if not problems else ():
        try:
            cell = _cell(sweep, name if isinstance(name, str) else None, {**fixed, **stated}, stated)
        except OverridesInvalid as error:
            problems += [] if error.because in problems or error.because is None else [error.because]
            continue
        if (other := cells.get(cell.name)) is not None:
            raise BuildsNamedAlike(path=sweep.path, name=cell.name, same=other.recipe == cell.recipe)
        cells[cell.name] = cell
    if problems:
        raise SweepInvalid(path=sweep.path, problems=problems)
    return tuple(cells.values())


def _combinations(sweep: Sweep, problems: list[str]) -> Iterator[tuple[None, dict[str, Any]]]:
    grid = _flat(sweep.file.grid)
    wrong = [f"grid.{key} must be a list of values" for key, values in grid.items() if not isinstance(values, list) or not values]
    problems += wrong
    if wrong or not grid:
        return
    if (builds := prod(len(values) for values in grid.values())) > MOST_BUILDS:
        raise SweepTooLarge(path=sweep.path, builds=builds, most=MOST_BUILDS)
    for values in product(*grid.values()):
        yield None, dict(zip(grid, values, strict=True))


_KEYS: Final = frozenset(dotted_keys(Recipe))


def _flat(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Dotted keys to values; a key of a recipe ends the way down, and so does what is no table. ``name`` is the build's own."""
    found = dict[str, Any]()
    for key, value in table.items():
        dotted = f"{above}{key}"
        if isinstance(value, Mapping) and dotted not in _KEYS - _TABLES:
            found |= _flat(value, f"{dotted}.")
        elif dotted != "name":
            found[dotted] = value
    return found


_TABLES: Final = frozenset({"gates.max", "gates.min", "fit.within"})
"""Keys of a recipe that hold tables of their own."""


def _cell(sweep: Sweep, name: str | None, every: Mapping[str, Any], stated: Mapping[str, Any]) -> Cell:
    """Raises OverridesInvalid: of one of its values."""
    changed = apply_overrides(sweep.base, [f"{key}={_toml(key, value)}" for key, value in every.items()])
    recipe = with_paths_from(sweep.path.parent, changed)
    table = recipe.model_dump(mode="json", by_alias=True)
    words = [f"{key}={_toml(key, _held(table, key))}" for key in every]
    device = split_target(recipe.target.device)[0]
    shown = Path(device).stem if is_path(device) else device
    host = sweep.file.hosts.get(shown)
    trained = {key: value for key, value in table.items() if key not in _OF_MEASURING}
    network, others = network_name(recipe.model), _others(stated)
    runtime = split_target(recipe.target.device)[1] or (None if recipe.target.runtime is None else str(recipe.target.runtime))
    return Cell(
        name=_file_name(name or "-".join([network, shown, *([] if runtime is None else [runtime]), *others])),
        network=network,
        variant=", ".join([network, *others]),
        device=shown,
        runtime=runtime,
        values={key: _toml(key, value) for key, value in stated.items()},
        recipe=recipe,
        words=(
            *(() if sweep.begins is None else (sweep.begins,)),
            *(word for each in words for word in ("--set", each)),
            *(() if host is None else ("--host", host)),
        ),
        trains_as=digest_of(trained),
    )


def _held(table: Mapping[str, Any], key: str) -> Any:
    found: Any = table
    for part in key_parts(key):
        found = found[part]
    return found


def _toml(key: str, value: Any) -> str:
    """As ``--set`` reads it. Raises OverridesInvalid: it is a table, or a list of them, which no option holds."""
    if isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(each, Mapping) for each in value)):
        raise OverridesInvalid(problems=[f"{key} holds tables; state it in the recipe that the sweep begins from"])
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z/~.][A-Za-z0-9_./:~=,@+-]*", value) and value not in ("true", "false"):
        return value
    return json.dumps(value, ensure_ascii=False)


def _others(stated: Mapping[str, Any]) -> list[str]:
    return [f"{key.rpartition('.')[2]}={_toml(key, value)}" for key, value in stated.items() if key not in IN_THE_NAME]


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._=+-]+", "_", text).strip("._")[:120] or "build"


def by_training(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Builds of one training together, in the order in which each first stands."""
    groups = dict[str, list[Cell]]()
    for cell in cells:
        groups.setdefault(cell.trains_as, []).append(cell)
    return list(groups.values())
