"""A user's SWEEP.toml, and the builds that it defines."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import prod
from operator import getitem
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from edgecnn.devices.emulated_machine import DEVICE as EMULATED_DEVICE
from edgecnn.devices.files import parse_target, target_of
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.hosts import BadAddress
from edgecnn.errors.recipes import OVERRIDES_INVALID, OverridesInvalid
from edgecnn.errors.sweeps import BUILD_REPEATED, BUILDS_NAMED_ALIKE, SWEEP_INVALID, SWEEP_TOO_LARGE
from edgecnn.errors.wording import did_you_mean
from edgecnn.hosts.ssh.link import Address
from edgecnn.planning.custom_model import network_name
from edgecnn.planning.recipe import anchor_paths, apply_overrides, key_parts, load_recipe
from edgecnn.store.disk import read_table, user_path
from edgecnn.values.base import Value
from edgecnn.values.board import EMULATED
from edgecnn.values.device import is_path
from edgecnn.values.recipe import GateChoice, Recipe
from edgecnn.values.stage import digest_of
from edgecnn.values.toml import checked, dotted_keys, unknown_key

MOST_BUILDS: Final = 10_000
IN_THE_NAME: Final = ("model.arch", "model.onnx", "model.scale", "target.device", "target.runtime")
"""Keys that every build's name shows already."""
_OF_TRAINING: Final = ("model", "data", "preprocessing", "train", "synthesis")
"""Tables of a recipe that determine the result of a training."""


class SweepFile(Value):
    """The tables of a SWEEP.toml."""

    schema_: Literal["edgecnn.sweep/1"] = Field(default="edgecnn.sweep/1", alias="schema")
    recipe: str | None = None
    """Base of every build: a recipe file, relative to this file's folder, or a shipped pipeline."""
    set: Mapping[str, Any] = {}
    """Recipe values of every build, on top of the base."""
    devices: Mapping[str, Mapping[str, Any]] = {}
    """Device to recipe values of its builds, such as ``gates.max.p99_ms``. The build's own values take precedence."""
    grid: Mapping[str, Any] = {}
    """Recipe keys, each with a list of values: every combination is a build."""
    build: tuple[Mapping[str, Any], ...] = ()
    """Single builds, in addition to the grid or instead of it: recipe values, and optionally a ``name``."""
    hosts: Mapping[str, str] = {}
    """Device to the board that measures it, as ``--host`` takes it. Other devices are measured on this machine if it is the
    device."""
    boards: str | None = None
    """Source of leased boards: a file of boards, relative to this file's folder, or ``labgrid://HOST:PORT``."""
    tags: Mapping[str, tuple[str, ...]] = {}
    """Device to the tags that a leased board must have."""


class Cell(Value):
    """One build of a sweep."""

    name: str
    """Name of its folder."""
    network: str
    device: str
    """The device's own name, however the target spells it."""
    runtime: str | None
    """The runtime, if the target names one."""
    variant: str
    """Row of the report: the network, and the settings that distinguish the build from others of that network."""
    recipe: Recipe
    host: str | None
    """The board that measures it, as ``--host`` takes it; None: a leased board, or this machine if it is the device."""
    leased: tuple[str, ...] | None = None
    """Tags of the board that may be leased to measure it; None: no board is leased."""
    gates: GateChoice = GateChoice()
    """Bounds of the call; each replaces the recipe's bound of the same metric. They are included in ``words``."""
    words: tuple[str, ...]
    """Arguments of ``edgecnn build`` for the same build, without the board: the recipe and options."""
    trains_as: str
    """Builds with the same value share one training: the first build makes it, the others use it."""
    tested_on: str
    """Builds with the same value are tested on the same images, so their accuracies can be compared."""


@dataclass(frozen=True)
class Sweep:
    """A sweep file and its base recipe."""

    path: Path
    file: SweepFile
    base: Recipe

    @property
    def begins(self) -> str | None:
        """The base recipe, named so that a command in any folder finds it."""
        stated = self.file.recipe
        if stated is None or not is_path(stated):
            return stated
        return str(self.beside(stated).resolve())

    def beside(self, path: str) -> Path:
        """Resolve a path relative to the file's folder."""
        return self.path.parent / user_path(path)


def read_sweep(path: Path) -> Sweep:
    """Read a sweep file and its base recipe.

    Raises:
        FILE_UNREADABLE, NOT_TOML: of either file.
        SWEEP_INVALID: unknown tables or wrong types; all at once.
        EdgecnnError: an error of ``load_recipe``.
    """
    file = checked(SweepFile, read_table(path), lambda problems: SWEEP_INVALID(path=path, problems=problems))
    sweep = Sweep(path, file, Recipe())
    return sweep if sweep.begins is None else Sweep(path, file, load_recipe(sweep.begins))


def cells_of(sweep: Sweep) -> tuple[Cell, ...]:
    """Return the builds of a sweep, those of the grid first, in the file's order. Only device files are read.

    Raises:
        SWEEP_INVALID: unknown keys, networks or devices, invalid values or hosts, tables of devices without a build, no build, or
            ``train.minutes``.
        SWEEP_TOO_LARGE: more than ``MOST_BUILDS``.
        BUILD_REPEATED, BUILDS_NAMED_ALIKE: two builds have the same folder.
        EdgecnnError: errors of ``target_of`` and ``apply_overrides`` that are not bad input.
    """
    problems, cells = list[str](), dict[str, Cell]()
    for name, stated in _stated_values(sweep, problems):
        try:
            cell = _cell(sweep, name, stated)
        except EdgecnnError as error:
            if error.exit_code is not ExitCode.BAD_INPUT:  # for example a missing package
                raise
            problem = error.because or error.what if isinstance(error, OverridesInvalid) else error.sentence()
            problems += [] if problem in problems else [problem]
            continue
        if (other := cells.get(cell.name.casefold())) is not None:
            raise (BUILD_REPEATED if other.recipe == cell.recipe else BUILDS_NAMED_ALIKE)(path=sweep.path, name=cell.name)
        cells[cell.name.casefold()] = cell
    if not problems:
        devices = {cell.device for cell in cells.values()}
        problems += unknown_devices("hosts", sweep.file.hosts, devices)
        problems += unknown_devices("devices", sweep.file.devices, devices)
    problems += _host_problems(sweep.file.hosts)
    if any(cell.recipe.train.minutes is not None for cell in cells.values()):
        problems.append("train.minutes can give each build other epochs; set train.epochs instead")
    if problems:
        raise SWEEP_INVALID(path=sweep.path, problems=problems)
    return tuple(cells.values())


def unknown_devices(table: str, named: Iterable[str], devices: Collection[str]) -> list[str]:
    """Return a sentence for each name in a table that is not a device of the sweep. ``devices``: those of the sweep."""
    other = f"it has {', '.join(sorted(devices))}"
    return [
        f"{table}.{option} is not a device of this sweep; {did_you_mean(option, devices) or other}"
        for option in named
        if option not in devices
    ]


def _host_problems(hosts: Mapping[str, str]) -> Iterator[str]:
    for device, host in hosts.items():
        if host == EMULATED and device != EMULATED_DEVICE:
            yield f'hosts.{device} is "{EMULATED}", but the emulated machine is the device {EMULATED_DEVICE}'
        try:
            Address.of(host)
        except BadAddress as error:
            yield f"hosts.{device} = {host!r} is not an SSH destination; {error.hint}"


def _stated_values(sweep: Sweep, problems: list[str]) -> list[tuple[str | None, dict[str, Any]]]:
    """Return the name and the own values of each build. If a key is wrong, add a problem and return nothing."""
    grid, device_tables = _flatten(sweep.file.grid), {name: _flatten(table) for name, table in sweep.file.devices.items()}
    single = [
        (build.get("name"), _flatten({key: value for key, value in build.items() if key != "name"})) for build in sweep.file.build
    ]
    problems += [f"build.name must be text in quotes, not {name!r}" for name, _ in single if not isinstance(name, str | None)]
    tables = (_flatten(sweep.file.set), *device_tables.values(), grid, *(stated for _, stated in single))
    keys = dict.fromkeys(key for table in tables for key in table)
    problems += [
        f"devices.{name} cannot set target.device, since it applies to that device's builds"
        for name in device_tables
        if "target.device" in device_tables[name]
    ]
    problems += [unknown_key(Recipe, key) for key in keys if key not in _KEYS and not key.startswith(_OPEN)]
    problems += [
        f"grid.{key} must be a list of values" for key, values in grid.items() if not isinstance(values, list) or not values
    ]
    if not grid and not single and not problems:
        problems.append("it has neither a [grid] nor a [[build]]")
    if problems:
        return []
    if (builds := prod(len(values) for values in grid.values()) if grid else 0) > MOST_BUILDS:
        raise SWEEP_TOO_LARGE(path=sweep.path, builds=builds, most=MOST_BUILDS)
    combined = [(None, dict(zip(grid, values, strict=True))) for values in product(*grid.values())] if grid else []
    return [*combined, *single]


_KEYS: Final = frozenset(dotted_keys(Recipe)) - {"gates.max", "gates.min", "fit.within"}
_OPEN: Final = ("gates.max.", "gates.min.")
"""Prefixes of keys whose last part is a metric."""


def _flatten(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Flatten tables to dotted keys, down to the keys of a recipe."""
    flat = dict[str, Any]()
    for key, value in table.items():
        dotted = f"{above}{key}"
        if isinstance(value, Mapping) and dotted not in _KEYS:
            flat |= _flatten(value, f"{dotted}.")
        else:
            flat[dotted] = value
    return flat


def _recipe(sweep: Sweep, values: Mapping[str, Any]) -> Recipe:
    changed = apply_overrides(sweep.base, [f"{key}={_toml(key, value)}" for key, value in values.items()])
    return anchor_paths(sweep.path.parent, changed)


def _cell(sweep: Sweep, name: str | None, stated: Mapping[str, Any]) -> Cell:
    """Raises OverridesInvalid: one of its values is invalid."""
    values = {**_flatten(sweep.file.set), **stated}
    recipe = _recipe(sweep, values)
    if sweep.file.devices:
        device_values = sweep.file.devices.get(parse_target(recipe.target.device).device.name, {})
        values = {**_flatten(sweep.file.set), **_flatten(device_values), **stated}
        recipe = _recipe(sweep, values)
    table = recipe.model_dump(mode="json", by_alias=True)
    words = [f"{key}={_toml(key, reduce(getitem, key_parts(key), table))}" for key in values]
    device, runtime = target_of(recipe.target, None)
    network, others = network_name(recipe.model), _distinguishing_settings(stated)
    return Cell(
        name=file_name(name or "-".join([network, device.name, *([] if runtime is None else [str(runtime)]), *others])),
        network=network,
        variant=", ".join([network, *others]),
        device=device.name,
        runtime=None if runtime is None else str(runtime),
        recipe=recipe,
        host=sweep.file.hosts.get(device.name),
        words=(*(() if sweep.begins is None else (sweep.begins,)), *(word for setting in words for word in ("--set", setting))),
        trains_as=digest_of({name: table[name] for name in _OF_TRAINING}),
        tested_on=digest_of({"data": table["data"], "folds": table["train"]["folds"]}),
    )


_BARE: Final = re.compile(r"[a-z][a-z0-9_-]*[0-9][a-z0-9_-]*|[a-z0-9-]+:[a-z]+")
"""Names, such as those of networks and targets, that are not valid TOML values and need no quotes in a shell."""


def _toml(key: str, value: Any) -> str:
    """Format a value as ``--set`` reads it. Raises OverridesInvalid: it contains tables, which no option can hold."""
    if isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(item, Mapping) for item in value)):
        raise OVERRIDES_INVALID(problems=[f"{key} holds tables; set it in the base recipe of the sweep"])
    if isinstance(value, str) and _BARE.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # JSON allows the character, TOML does not


def _distinguishing_settings(stated: Mapping[str, Any]) -> list[str]:
    """Return the settings, other than network and device, that distinguish a build, such as ``epochs=3``.

    A key whose last part is ambiguous is written in full.
    """
    shown = [key for key in stated if key not in IN_THE_NAME]
    ends = [key.rpartition(".")[2] for key in shown]
    named = [key if ends.count(end) > 1 else end for key, end in zip(shown, ends, strict=True)]
    return [f"{name}={_toml(key, stated[key])}" for name, key in zip(named, shown, strict=True)]


def file_name(text: str) -> str:
    """Make a valid file name. If characters are replaced, a digest keeps similar names apart."""
    safe = re.sub(r"[^A-Za-z0-9._=+-]+", "_", text).strip("._")[:120] or "build"
    return safe if safe == text else f"{safe}-{digest_of(text)[:6]}"


def group_by_training(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Group builds with the same training, in the order of their first builds."""
    groups = dict[str, list[Cell]]()
    for cell in cells:
        groups.setdefault(cell.trains_as, []).append(cell)
    return list(groups.values())
