"""What training programs put around a network's tensors: tables inside tables, beginnings of names, tensors of other modules."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from edgecnn.errors.wording import and_more, counted

_TABLES = ("state_dict", "model", "model_state_dict", "net", "network")
_AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")
"""Running averages of the weights; taken where the weights themselves are not there."""
_BEGINNINGS = ("module.", "_orig_mod.", "model.", "net.", "network.")
"""Of DataParallel, of torch.compile, and of modules that hold the network as an attribute."""
_COUNTER = "n_averaged"
"""torch.optim.swa_utils.AveragedModel keeps it beside the network."""
_DEEPEST = 3
_SHOWN = 5


class Unwrapped(NamedTuple):
    """Tensors by name, and what was taken off, each as a part of a sentence."""

    tensors: dict[str, Tensor]
    said: tuple[str, ...]


def tables_in(loaded: object, said: tuple[str, ...] = ()) -> list[Unwrapped]:
    """Every table of tensors in what a file holds, the likeliest first: by the usual names, then by their number of tensors."""
    if not isinstance(loaded, Mapping) or not loaded:
        return []
    if all(isinstance(value, Tensor) for value in loaded.values()):
        return [Unwrapped({str(name): tensor for name, tensor in loaded.items()}, said)]
    if len(said) == _DEEPEST:
        return []
    usual = [name for name in (*_TABLES, *_AVERAGED) if name in loaded]
    named = [table for name in usual for table in tables_in(loaded[name], (*said, f"its entry {name!r}"))]
    others = [
        table
        for name, value in loaded.items()
        if name not in usual
        for table in tables_in(value, (*said, f"its entry {str(name)!r}"))
    ]
    return named + sorted(others, key=lambda table: -len(table.tensors))


def best_fit(tables: Sequence[Unwrapped], wanted: Collection[str]) -> Unwrapped:
    """The table and the beginning of its names that give most of the ``wanted`` names, without that beginning.

    Tensors of other modules, whose names begin otherwise, are left out and named. Where less than half of the wanted names are
    there, the first table without the usual beginnings: its names are of another program, or of another network.
    """
    names = frozenset(wanted)
    fits = [max(_beginnings(table.tensors, names), key=lambda fit: fit[1], default=("", 0)) for table in tables]
    at = max(range(len(tables)), key=lambda number: fits[number][1])
    beginning, fitting = fits[at]
    if 2 * fitting < len(names):
        return _without_usual_beginnings(tables[0])
    table = tables[at]
    inside = {name.removeprefix(beginning): tensor for name, tensor in table.tensors.items() if name.startswith(beginning)}
    outside = [name for name in table.tensors if not name.startswith(beginning) and name != _COUNTER]
    said = [*table.said, *([f"names without {beginning!r}"] if beginning else [])]
    if outside:
        said.append(
            f"{counted(len(outside), 'tensor')} of other modules left out "
            f"({', '.join(outside[:_SHOWN])}{and_more(len(outside), _SHOWN)})"
        )
    return Unwrapped(inside, tuple(said))


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
