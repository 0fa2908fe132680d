"""What training programs put around a network's tensors: tables inside tables, beginnings of names, tensors of other modules."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from edgecnn.errors.weights import WeightsAmbiguous
from edgecnn.errors.wording import and_more, counted

_TABLES = ("state_dict", "model", "model_state_dict", "net", "network", "params")
_AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema", "params_ema")
"""Running averages of the weights; taken where the weights themselves are not there."""
_BEGINNINGS = ("module.", "_orig_mod.", "model.", "net.", "network.")
"""Of DataParallel, of torch.compile, and of modules that hold the network as an attribute."""
_COUNTER = "n_averaged"
"""torch.optim.swa_utils.AveragedModel keeps it beside the network."""
_AVERAGE = re.compile(r"(^|_)(ema|swa|avg|averaged)(_|$)")
_DEEPEST = 3
_TABLES_MAX = 100_000
"""Tables that are looked at; an optimizer keeps one for each parameter."""
_SHOWN = 5


class Unwrapped(NamedTuple):
    """Tensors by name, and what was taken off, each as a part of a sentence."""

    tensors: dict[str, Tensor]
    said: tuple[str, ...]
    entries: tuple[str, ...] = ()
    """The entries of the file that lead to the table, from the outside in."""


def tables_in(loaded: object) -> list[Unwrapped]:
    """Every table of tensors in what a file holds, the likeliest first: by the usual names, then by their number of tensors."""
    return _tables_below(loaded, (), set())


def _tables_below(loaded: object, entries: tuple[str, ...], visited: set[int]) -> list[Unwrapped]:
    """``visited``: the identity of each table. A table that is in several places, itself included, counts once."""
    if not isinstance(loaded, Mapping) or not loaded or id(loaded) in visited or len(visited) == _TABLES_MAX:
        return []
    visited.add(id(loaded))
    if all(isinstance(value, Tensor) for value in loaded.values()):
        said = tuple(f"its entry {name!r}" for name in entries)
        return [Unwrapped({str(name): tensor for name, tensor in loaded.items()}, said, entries)]
    if len(entries) == _DEEPEST:
        return []
    usual = [name for name in (*_TABLES, *_AVERAGED) if name in loaded]
    named = [table for name in usual for table in _tables_below(loaded[name], (*entries, name), visited)]
    others = [
        table
        for name, value in loaded.items()
        if name not in usual
        for table in _tables_below(value, (*entries, str(name)), visited)
    ]
    return named + sorted(others, key=lambda table: -len(table.tensors))


def best_fit(tables: Sequence[Unwrapped], wanted: Collection[str], path: Path) -> Unwrapped:
    """The table and the beginning of its names that give most of the ``wanted`` names, without that beginning.

    Tensors of other modules, whose names begin otherwise, are left out and named. Where less than half of the wanted names are
    there, the first table without the usual beginnings: its names are of another program, or of another network. Of several
    that give as many, the usual names come first, and averages last.

    Raises WeightsAmbiguous: several give as many, and their names do not tell which one is meant.
    """
    names = frozenset(wanted)
    fits = [(table, *fit) for table in tables for fit in _beginnings(table.tensors, names)]
    most = max((fitting for _, _, fitting in fits), default=0)
    if 2 * most < len(names):
        return _without_usual_beginnings(tables[0])
    best = [(table, beginning) for table, beginning, fitting in fits if fitting == most]
    preferred = min(_preference(table, beginning) for table, beginning in best)
    best = [(table, beginning) for table, beginning in best if _preference(table, beginning) == preferred]
    if preferred and len(best) > 1:
        raise WeightsAmbiguous(path=path, sets=[".".join((*table.entries, beginning)).rstrip(".") for table, beginning in best])
    table, beginning = best[0]
    inside = {name.removeprefix(beginning): tensor for name, tensor in table.tensors.items() if name.startswith(beginning)}
    outside = [name for name in table.tensors if not name.startswith(beginning) and name != _COUNTER]
    said = [*table.said, *([f"names without {beginning!r}"] if beginning else [])]
    if outside:
        said.append(
            f"{counted(len(outside), 'tensor')} of other modules left out "
            f"({', '.join(outside[:_SHOWN])}{and_more(len(outside), _SHOWN)})"
        )
    return Unwrapped(inside, tuple(said))


def _preference(table: Unwrapped, beginning: str) -> int:
    """0 of usual names, 1 of others, 2 of an average."""
    modules = beginning.split(".")[:-1]
    if any(_AVERAGE.search(name) for name in (*table.entries, *modules)):
        return 2
    is_usual = all(name in _TABLES for name in table.entries) and all(f"{name}." in _BEGINNINGS for name in modules)
    return 0 if is_usual else 1


def _beginnings(tensors: Collection[str], wanted: frozenset[str]) -> Iterator[tuple[str, int]]:
    """What stands before wanted names, in the table's order, and before how many of them."""
    count, longest = Counter[str](), max(map(len, wanted))
    for name in tensors:
        start = 0
        while True:
            if len(name) - start <= longest and name[start:] in wanted:
                count[name[:start]] += 1
            if (start := name.find(".", start) + 1) == 0:
                break
    yield from count.items()


def _without_usual_beginnings(found: Unwrapped) -> Unwrapped:
    tensors, said = dict(found.tensors), list(found.said)
    if len(tensors) > 1:
        tensors.pop(_COUNTER, None)
    while (
        beginning := next((usual for usual in _BEGINNINGS if all(name.startswith(usual) for name in tensors)), None)
    ) is not None:
        tensors = {name.removeprefix(beginning): tensor for name, tensor in tensors.items()}
        said.append(f"names without {beginning!r}")
    return Unwrapped(tensors, tuple(said))


def without_common_beginning(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without the modules that all of their names begin with."""
    modules = os.path.commonprefix(list(tensors)).rpartition(".")
    beginning = "".join(modules[:2]) if len(tensors) > 1 else ""
    return {name.removeprefix(beginning): tensor for name, tensor in tensors.items()}
