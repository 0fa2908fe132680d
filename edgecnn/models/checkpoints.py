"""What training programs put around a network's tensors, taken off again: tables inside tables, and beginnings of names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

_TABLES = ("state_dict", "model", "model_state_dict", "net", "network")
_AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")
"""Running averages of the weights; taken where the weights themselves are not there."""
_BEGINNINGS = ("module.", "_orig_mod.", "model.", "net.", "network.")
"""Of DataParallel, of torch.compile, and of modules that hold the network as an attribute."""
_COUNTER = "n_averaged"
"""torch.optim.swa_utils.AveragedModel keeps it beside the network."""
_DEEPEST = 3


class Unwrapped(NamedTuple):
    """Tensors by name, and what was taken off, each as a part of a sentence."""

    tensors: dict[str, Tensor]
    said: tuple[str, ...]


def unwrapped(loaded: object) -> Unwrapped | None:
    """The table of tensors in what a file holds; None where there is none.

    Args:
        loaded: as torch or safetensors read it.
    """
    said: list[str] = []
    for _ in range(_DEEPEST):
        inner = _table_in(loaded)
        if inner is None:
            break
        name, loaded = inner
        said.append(f"its entry {name!r}")
    if not isinstance(loaded, Mapping) or not loaded or not all(isinstance(value, Tensor) for value in loaded.values()):
        return None
    return Unwrapped({str(name): tensor for name, tensor in loaded.items()}, tuple(said))


def without_beginnings(found: Unwrapped) -> Unwrapped:
    """The same tensors without what stands before every one of their names."""
    tensors, said = dict(found.tensors), list(found.said)
    if len(tensors) > 1:
        tensors.pop(_COUNTER, None)
    while (beginning := next((each for each in _BEGINNINGS if all(name.startswith(each) for name in tensors)), None)) is not None:
        tensors = {name.removeprefix(beginning): tensor for name, tensor in tensors.items()}
        said.append(f"names without {beginning!r}")
    return Unwrapped(tensors, tuple(said))


def _table_in(loaded: object) -> tuple[str, Mapping[str, object]] | None:
    if not isinstance(loaded, Mapping):
        return None
    for name in (*_TABLES, *_AVERAGED):
        if isinstance(table := loaded.get(name), Mapping):
            return name, table
    return None
