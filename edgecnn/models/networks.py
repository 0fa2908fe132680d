"""A row of the catalogue becomes a network, and a file becomes its weights, or an error that names what does not fit.

What training programs put around a network's tensors (tables inside tables, beginnings of names) is taken off again.
"""

from __future__ import annotations

import errno
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.weights import MissingPackage, WeightsDoNotFit, WeightsHoldObjects, WeightsUnreadable
from edgecnn.models.catalogue import all_archs
from edgecnn.models.families import efficientnet_lite
from edgecnn.models.families.built import built
from edgecnn.models.neighbours import PROTOTYPES, NeighbourHead
from edgecnn.models.weights_file import STATISTICS, format_of
from edgecnn.runner.files import open_regular
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.arch import ArchSpec

HEAD_STD = 0.01
"""Standard deviation of a new head's weights; its bias starts at 0. Every class begins with nearly equal probability."""


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
    return _read(path).tensors


def _read(path: Path) -> Unwrapped:
    form = format_of(path)
    try:
        loaded = load_file(path) if form == "safetensors" else _loaded(path)
    except Exception as problem:  # noqa: BLE001 - which one a damaged pickle raises, its bytes decide
        raise _refusal(path, problem) from problem
    found = unwrapped(loaded)
    if found is None:
        raise WeightsUnreadable(path=path, reason="it holds something other than a table of tensors")
    return found


def _loaded(path: Path) -> object:
    with open_regular(path) as file:  # of a path, torch would look at the name
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
    and the network that fits.
    """
    found = _read(path)
    if f"{spec.head}.weight" not in found.tensors:
        found = without_beginnings(found)
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
        raise WeightsDoNotFit(path=path, arch=spec.name, problems=error.problems, fits=archs_that_fit(state)) from error


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
    problems = [f"it lacks {name}" for name in wanted if name not in complete]
    problems += [f"it has {name}, which the network lacks" for name in complete if name not in wanted]
    problems += [
        f"{name} is {tuple(complete[name].shape)}, the network's is {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in complete and complete[name].shape != tensor.shape
    ]
    if problems:
        raise WeightsDoNotFit(path=path, arch=arch, problems=problems)
    return {name: complete[name] for name in wanted}


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
    """The table of tensors in what a file holds; None where there is none."""
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
