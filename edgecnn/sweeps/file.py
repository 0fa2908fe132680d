"""What a user writes, SWEEP.toml, and the builds that it stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from edgecnn.devices.emulated_machine import DEVICE as EMULATED_DEVICE
from edgecnn.devices.files import parse_target, target_of
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.hosts.board import BadAddress
from edgecnn.errors.recipes import OVERRIDES_INVALID, OverridesInvalid
from edgecnn.errors.sweeps import SWEEP_INVALID, SWEEP_TOO_LARGE, builds_named_alike
from edgecnn.errors.wording import did_you_mean
from edgecnn.hosts.ssh.link import Address
from edgecnn.planning.custom_model import network_name
from edgecnn.recipes.recipe import anchor_paths, apply_overrides, key_parts, load_recipe
from edgecnn.recipes.target import is_path
from edgecnn.recipes.toml_file import checked, dotted_keys, read_table, unknown_key
from edgecnn.store.disk import user_path
from edgecnn.values.base import Value
from edgecnn.values.board import EMULATED
from edgecnn.values.recipe import GateChoice, Recipe
from edgecnn.values.stage import digest_of

MOST_BUILDS: Final = 10_000
IN_THE_NAME: Final = ("model.arch", "model.onnx", "model.scale", "target.device", "target.runtime")
"""Keys that every build's name already shows."""
_OF_TRAINING: Final = ("model", "data", "preprocessing", "train", "synthesis")
"""Tables of a recipe on which what a training makes depends."""


class SweepFile(Value):
    """The tables of a SWEEP.toml."""

    schema_: Literal["edgecnn.sweep/1"] = Field(default="edgecnn.sweep/1", alias="schema")
    recipe: str | None = None
    """What every build begins from: a recipe file, whose path counts from this file's folder, or a shipped pipeline."""
    set: Mapping[str, Any] = {}
    """Recipe values of every build, on top of that."""
    devices: Mapping[str, Mapping[str, Any]] = {}
    """Device to recipe values of its builds, on top of these, such as ``gates.max.p99_ms``; the build's own values go before."""
    grid: Mapping[str, Any] = {}
    """Recipe keys with a list of values each: every combination is a build."""
    build: tuple[Mapping[str, Any], ...] = ()
    """Builds one by one, beside the grid or in place of it: recipe values, and optionally a ``name``."""
    hosts: Mapping[str, str] = {}
    """Device to the board that measures it, as ``--host`` takes one; of others, this machine where it is the device."""
    boards: str | None = None
    """From where boards are leased: a file of them, whose path counts from this file's folder, or ``labgrid://HOST:PORT``."""
    tags: Mapping[str, tuple[str, ...]] = {}
    """Device to words that a leased board of it must have, every one."""


class Cell(Value):
    """One build of a sweep."""

    name: str
    """Of its folder."""
    network: str
    device: str
    """The device's own name, however the target spells it."""
    runtime: str | None
    """Where the target names one."""
    variant: str
    """The network, and what else tells this build from those of other networks: a row of the report."""
    recipe: Recipe
    host: str | None
    """The board that measures it, as ``--host`` takes one; None: a leased one, else this machine, where it is the device."""
    leased: tuple[str, ...] | None = None
    """That a board may be leased which measures it, and the tags that it must have; None: none is."""
    gates: GateChoice = GateChoice()
    """Bounds of the call, which replace the recipe's; they are among the words."""
    words: tuple[str, ...]
    """Behind ``edgecnn build``, but for the board: the recipe and options by which a person builds the same by hand."""
    trains_as: str
    """Builds with this in common are of one training: the first makes it, the others find it."""
    tested_on: str
    """Builds with this in common are tested on the same images, so that their accuracies can be compared."""


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
        return str(self.beside(stated).resolve())

    def beside(self, path: str) -> Path:
        """A path that counts from the file's folder."""
        return self.path.parent / user_path(path)


def read_sweep(path: Path) -> Sweep:
    """A sweep file and the recipe that it begins from.

    Raises:
        FILE_UNREADABLE, NOT_TOML: of either file.
        SWEEP_INVALID: unknown tables, wrong types; all at once.
        EdgecnnError: what ``load_recipe`` raises of the recipe.
    """
    file = checked(SweepFile, read_table(path), lambda problems: SWEEP_INVALID(path=path, problems=problems))
    sweep = Sweep(path, file, Recipe())
    return sweep if sweep.begins is None else Sweep(path, file, load_recipe(sweep.begins))


def cells_of(sweep: Sweep) -> tuple[Cell, ...]:
    """The builds that a sweep stands for, the grid's first, in the file's order. Of the disk, device files alone are read.

    Raises:
        SWEEP_INVALID: a key is unknown, a value does not fit it, a grid's key has no list of values, there is no such network or
            device, a host is none, something is said of a device that no build is for, or there is no build.
        SWEEP_TOO_LARGE: more than ``MOST_BUILDS``.
        BUILDS_NAMED_ALIKE: two builds would be written to one folder.
        EdgecnnError: of what ``target_of`` and ``apply_overrides`` raise, those that are no bad input.
    """
    problems, cells = list[str](), dict[str, Cell]()
    for name, stated in _stated_values(sweep, problems):
        try:
            cell = _cell(sweep, name, stated)
        except EdgecnnError as error:
            problem = _problem(error)
            problems += [] if problem in problems else [problem]
            continue
        if (other := cells.get(cell.name.casefold())) is not None:
            raise builds_named_alike(path=sweep.path, name=cell.name, same=other.recipe == cell.recipe)
        cells[cell.name.casefold()] = cell
    if not problems:
        devices = {cell.device for cell in cells.values()}
        problems += unknown_devices("hosts", sweep.file.hosts, devices)
        problems += unknown_devices("devices", sweep.file.devices, devices)
    problems += _host_problems(sweep.file.hosts)
    if problems:
        raise SWEEP_INVALID(path=sweep.path, problems=problems)
    return tuple(cells.values())


def _problem(error: EdgecnnError) -> str:
    """One build's error as a problem of the sweep. Raises it again where the file cannot help it: a package is missing, say."""
    if error.exit_code is not ExitCode.BAD_INPUT:
        raise error
    return error.because or error.what if isinstance(error, OverridesInvalid) else error.sentence()


def unknown_devices(table: str, named: Iterable[str], devices: Collection[str]) -> list[str]:
    """A sentence for each name in a table of devices that no build is for. ``devices``: the sweep's."""
    other = f"it has {', '.join(sorted(devices))}"
    return [
        f"{table}.{option} is no device of this sweep; {did_you_mean(option, devices) or other}"
        for option in named
        if option not in devices
    ]


def _host_problems(hosts: Mapping[str, str]) -> Iterator[str]:
    for device, host in hosts.items():
        if host == EMULATED and device != EMULATED_DEVICE:
            yield f'hosts.{device} is "{EMULATED}", and the emulated machine is the device {EMULATED_DEVICE}'
        try:
            Address.of(host)
        except BadAddress as error:
            yield f"hosts.{device} = {host!r} is not an SSH destination; {error.hint}"


def _stated_values(sweep: Sweep, problems: list[str]) -> list[tuple[str | None, dict[str, Any]]]:
    """Name and values of its own, of each build; nothing where a key is wrong, which is a problem then."""
    grid, device_tables = _flat(sweep.file.grid), {name: _flat(table) for name, table in sweep.file.devices.items()}
    single = [
        (build.get("name"), _flat({key: value for key, value in build.items() if key != "name"})) for build in sweep.file.build
    ]
    problems += [f"build.name must be text in quotes, not {name!r}" for name, _ in single if not isinstance(name, str | None)]
    tables = (_flat(sweep.file.set), *device_tables.values(), grid, *(stated for _, stated in single))
    keys = dict.fromkeys(key for table in tables for key in table)
    problems += [
        f"devices.{name} is of that device's builds, and cannot say target.device"
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
"""How keys of tables begin whose keys are metrics."""


def _flat(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Dotted keys to values; a key of a recipe ends the way down, and so does what is no table."""
    flat = dict[str, Any]()
    for key, value in table.items():
        dotted = f"{above}{key}"
        if isinstance(value, Mapping) and dotted not in _KEYS:
            flat |= _flat(value, f"{dotted}.")
        else:
            flat[dotted] = value
    return flat


def _recipe(sweep: Sweep, values: Mapping[str, Any]) -> Recipe:
    changed = apply_overrides(sweep.base, [f"{key}={_toml(key, value)}" for key, value in values.items()])
    return anchor_paths(sweep.path.parent, changed)


def _cell(sweep: Sweep, name: str | None, stated: Mapping[str, Any]) -> Cell:
    """Raises OverridesInvalid: of one of its values."""
    values = {**_flat(sweep.file.set), **stated}
    recipe = _recipe(sweep, values)
    if sweep.file.devices:
        device_values = sweep.file.devices.get(parse_target(recipe.target.device).device.name, {})
        values = {**_flat(sweep.file.set), **_flat(device_values), **stated}
        recipe = _recipe(sweep, values)
    table = recipe.model_dump(mode="json", by_alias=True)
    words = [f"{key}={_toml(key, _value_at(table, key))}" for key in values]
    device, runtime = target_of(recipe.target, None)
    network, others = network_name(recipe.model), _others(stated)
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


def _value_at(table: Mapping[str, Any], key: str) -> Any:
    value: Any = table
    for part in key_parts(key):
        value = value[part]
    return value


_BARE: Final = re.compile(r"[a-z][a-z0-9_-]*[0-9][a-z0-9_-]*|[a-z0-9-]+:[a-z]+")
"""Names that can be no TOML value, such as of networks and targets: they need no quotes in a shell."""


def _toml(key: str, value: Any) -> str:
    """As ``--set`` reads it. Raises OverridesInvalid: it is a table, or a list of them, which no option holds."""
    if isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(item, Mapping) for item in value)):
        raise OVERRIDES_INVALID(problems=[f"{key} holds tables; state it in the recipe that the sweep begins from"])
    if isinstance(value, str) and _BARE.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # which JSON lets stand, and TOML does not


def _others(stated: Mapping[str, Any]) -> list[str]:
    """What tells a build from others besides network and device, as ``epochs=3``; of keys that end alike the whole key."""
    shown = [key for key in stated if key not in IN_THE_NAME]
    ends = [key.rpartition(".")[2] for key in shown]
    named = [key if ends.count(end) > 1 else end for key, end in zip(shown, ends, strict=True)]
    return [f"{name}={_toml(key, stated[key])}" for name, key in zip(named, shown, strict=True)]


def file_name(text: str) -> str:
    """What a file system takes; of a text with other signs a digest keeps it apart from its like."""
    safe = re.sub(r"[^A-Za-z0-9._=+-]+", "_", text).strip("._")[:120] or "build"
    return safe if safe == text else f"{safe}-{digest_of(text)[:6]}"


def group_by_training(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Builds of one training together, in the order in which each first stands."""
    groups = dict[str, list[Cell]]()
    for cell in cells:
        groups.setdefault(cell.trains_as, []).append(cell)
    return list(groups.values())
