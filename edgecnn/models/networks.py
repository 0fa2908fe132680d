"""A row of the catalogue becomes a network, and a file becomes its weights, or an error that names what does not fit.

What training programs put around a network's tensors is taken off again: see ``models/checkpoints.py``.
"""

from __future__ import annotations

import errno
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.weights import MissingPackage, WeightsDoNotFit, WeightsHoldObjects, WeightsUnreadable
from edgecnn.errors.wording import and_more
from edgecnn.models.catalogue import all_archs
from edgecnn.models.checkpoints import Unwrapped, best_fit, tables_in, without_common_beginning
from edgecnn.models.families import efficientnet_lite
from edgecnn.models.families.built import built
from edgecnn.models.neighbours import PROTOTYPES, NeighbourHead
from edgecnn.models.weights_file import SAVED_ARGUMENTS, STATISTICS, format_of
from edgecnn.runner.files import open_regular
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.arch import ArchSpec

HEAD_STD = 0.01
"""Standard deviation of a new head's weights; its bias starts at 0. Every class begins with nearly equal probability."""

_SHOWN = 8
"""Tensors of each kind of misfit that an error names."""


def build_network(spec: ArchSpec, classes: int = 1000, *, seed: int = 0) -> nn.Module:
    """The network with random weights: the body initialized as its builder does, the last layers as ``HEAD_STD`` says.

    ``classes``: outputs of the last layer, and of the last layers of auxiliary heads. ``seed``: of the initialization. The
    caller's random state is left as it was. Raises MissingPackage: its library is an extra that is not installed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = built(spec)
        for name in spec.last_layers:
            _replace_head(network, name, classes)
    return network


def _replace_head(network: nn.Module, name: str, classes: int) -> None:
    old = _linear(network, name)
    head = type(old)(old.in_features, classes)
    nn.init.normal_(head.weight, std=HEAD_STD)
    nn.init.zeros_(head.bias)
    _put(network, name, head)


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def head_of(network: nn.Module, spec: ArchSpec) -> nn.Linear:
    """The last layer, whose input is what a new set of classes is learned from."""
    return _linear(network, spec.head)


def _linear(network: nn.Module, name: str) -> nn.Linear:
    head = network.get_submodule(name)
    if not isinstance(head, nn.Linear):
        raise TypeError(f"{name} of {type(network).__name__} is a {type(head).__name__}, not a Linear")
    return head


def parameter_count(network: nn.Module) -> int:
    """Trainable numbers; running statistics are not counted."""
    return sum(parameter.numel() for parameter in network.parameters())


def shipped_parameter_count(network: nn.Module, spec: ArchSpec) -> int:
    """The same without auxiliary heads, which only help to learn."""
    return sum(each.numel() for name, each in network.named_parameters() if not name.startswith(spec.left_behind))


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file or of a torch file, under the names that the file gives them.

    The bytes and not the name decide which of the two it is. A torch file that has its tensors in a table inside a table, as
    training programs write checkpoints, is unwrapped.

    Raises WeightsUnreadable: truncated, damaged, another format, or no table of tensors. WeightsHoldObjects: it holds Python
    objects, and reading those would run code that the file names.
    """
    return _read(path)[0].tensors


def _read(path: Path) -> Sequence[Unwrapped]:
    form = format_of(path)
    try:
        loaded = load_file(path) if form == "safetensors" else _loaded(path)
    except Exception as problem:  # noqa: BLE001 - which one a damaged pickle raises, its bytes decide
        raise _refusal(path, problem) from problem
    if not (tables := tables_in(loaded)):
        raise WeightsUnreadable(path=path, reason="it holds something other than a table of tensors")
    return tables


def _loaded(path: Path) -> object:
    arguments: list[Any] = [(kind, name) for name, kind in SAVED_ARGUMENTS.items()]
    with open_regular(path) as file, torch.serialization.safe_globals(arguments):  # of a path, torch would look at the name
        return torch.load(file, map_location="cpu", weights_only=True)


def _refusal(path: Path, problem: Exception) -> EdgecnnError:
    """In our words: torch's own tell how to switch its check off."""
    text = str(problem).strip()
    names = re.findall(r"(?:GLOBAL|class) ([A-Za-z_][\w.]*\.\w+)", text)
    if isinstance(problem, pickle.UnpicklingError) and names:
        return WeightsHoldObjects(path=path, names=list(dict.fromkeys(names)))
    is_damage = getattr(problem, "errno", None) == errno.EINVAL or "weights_only" in text or "%ld" in text  # torch's own slip
    if isinstance(problem, (SafetensorError, RuntimeError, OSError)) and text and not is_damage:
        return WeightsUnreadable(path=path, reason=text.splitlines()[0])
    return WeightsUnreadable(path=path, reason="it is damaged: its table of tensors cannot be read")


def read_weights(spec: ArchSpec, path: Path) -> dict[str, Tensor]:
    """The tensors of a file under this network's names, checked against it; the head may have any number of classes.

    Raises WeightsUnreadable, WeightsDoNotFit: see ``unwrapped_weights``.
    """
    return unwrapped_weights(spec, path).tensors


def unwrapped_weights(spec: ArchSpec, path: Path) -> Unwrapped:
    """The same, with what was taken off the tensors to get at them.

    Raises WeightsUnreadable: see ``read_state``. WeightsDoNotFit: the file is of another network; the error names the tensors,
    and the network that fits. WeightsAmbiguous: see ``best_fit``.
    """
    tables = _read(path)
    found = tables[0]
    if len(tables) > 1 or f"{spec.head}.weight" not in found.tensors:
        found = best_fit(tables, _shapes(spec, {}), path)
    state = found.tensors
    if spec.family == "efficientnet-lite" and efficientnet_lite.is_published(state):
        state = efficientnet_lite.from_published(state)
    if spec.origin == "timm":
        from edgecnn.models.families.from_timm import translated

        state = translated(spec, state)
    wanted = _shapes(spec, state)
    try:
        return Unwrapped(_fitting(state, wanted, path=path, arch=spec.name), found.said)
    except WeightsDoNotFit as error:
        fits = archs_that_fit(without_common_beginning(state))
        raise WeightsDoNotFit(path=path, arch=spec.name, problems=error.problems, fits=fits) from error


def archs_that_fit(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Networks of the catalogue that have exactly these tensors, the head of any number of classes."""
    return tuple(spec.name for spec in all_archs() if _has_as_many(spec, state) and _fits(spec, state))


def _has_as_many(spec: ArchSpec, state: Mapping[str, Tensor]) -> bool:
    """Numbers as the row counts them, which costs nothing; only where these agree is the network built and compared."""
    head = state.get(f"{spec.head}.weight")
    if head is None or head.ndim != 2 or spec.parameters is None:
        return False
    found = sum(tensor.numel() for name, tensor in state.items() if not name.endswith(STATISTICS))
    per_class = (head.shape[1] + 1) * (1 + len(spec.beside))
    least = spec.parameters + spec.merged + (head.shape[0] - spec.classes) * per_class
    return found == least or spec.auxiliary is not None and found > least


def _fits(spec: ArchSpec, state: Mapping[str, Tensor]) -> bool:
    try:
        _fitting(state, _shapes(spec, state), path=Path(), arch=spec.name)
    except (WeightsDoNotFit, MissingPackage):
        return False
    return True


def _shapes(spec: ArchSpec, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the network has, without memory, its head as large as the file's."""
    weight = state.get(f"{spec.head}.weight")
    classes = int(weight.shape[0]) if weight is not None and weight.ndim == 2 else 1000
    with torch.device("meta"):
        return build_network(spec, classes).state_dict()


def load_trained(spec: ArchSpec, classes: int, path: Path, *, seed: int = 0) -> nn.Module:
    """The network that training left in a file, whichever kind of head it ends in.

    Raises WeightsUnreadable: see ``read_state``. WeightsDoNotFit: names or shapes differ; the error names them.
    """
    network = build_network(spec, classes, seed=seed)
    state = read_state(path)
    if f"{spec.head}.{PROTOTYPES}" in state:
        replace_head(network, spec, NeighbourHead.like(state, spec.head))
    network.load_state_dict(_fitting(state, network.state_dict(), path=path, arch=type(network).__name__))
    return network


def shipping_shapes(spec: ArchSpec, classes: int) -> nn.Module:
    """The network as it ships, of shapes alone: on torch's meta device, without a number in it.

    Raises MissingPackage: its library is an extra that is not installed.
    """
    with torch.device("meta"):
        network = build_network(spec, classes)
        if spec.origin != "timm":
            return network
        from edgecnn.models.families.from_timm import without_branches

        return without_branches(network)


def load_shipping(spec: ArchSpec, classes: int, path: Path, size: ImageSize) -> nn.Module:
    """The same as it ships: parallel branches that only helped it to learn are one layer each.

    Raises WeightsUnreadable, WeightsDoNotFit: see ``load_trained``. MergeDiffers: the merged network answers otherwise.
    """
    network = load_trained(spec, classes, path)
    if spec.origin != "timm":
        return network
    from edgecnn.models.families.from_timm import merged

    return merged(network, size)


def replace_head(network: nn.Module, spec: ArchSpec, head: nn.Module) -> None:
    """Put another last layer in the place of the network's own."""
    _put(network, spec.head, head)


def _fitting(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, path: Path, arch: str) -> dict[str, Tensor]:
    counters = {name: torch.zeros((), dtype=torch.int64) for name in wanted if name.endswith("num_batches_tracked")}
    complete = {**counters, **state}  # old files lack the batch-norm counters, which no output depends on
    lacking = [name for name in wanted if name not in complete]
    foreign = [name for name in complete if name not in wanted]
    other = [
        f"{name} is {tuple(complete[name].shape)}, the network's is {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in complete and complete[name].shape != tensor.shape
    ]
    kinds = {"it lacks ": lacking, "it has tensors that the network lacks, ": foreign, "": other}
    problems = [f"{what}{', '.join(names[:_SHOWN])}{and_more(len(names), _SHOWN)}" for what, names in kinds.items() if names]
    if problems:
        raise WeightsDoNotFit(path=path, arch=arch, problems=problems)
    return {name: complete[name] for name in wanted}
