"""Build a row's network, and load its weights from a file, or raise an error that names what does not fit.

Training programs wrap a network's tensors in tables, prefixes and other modules; these are removed. A network may end in k
nearest neighbours instead of a linear layer.
"""

from __future__ import annotations

import errno
import os
import pickle
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.weights import (
    WEIGHTS_UNREADABLE,
    MissingPackage,
    WeightsDoNotFit,
    weights_ambiguous,
    weights_do_not_fit,
    weights_hold_objects,
)
from edgecnn.errors.wording import and_more, counted
from edgecnn.models.catalogue import all_archs
from edgecnn.models.families.build import published_network
from edgecnn.models.families.tables import is_published, renamed_tensors
from edgecnn.models.weights_file import SAVED_ARGUMENTS, STATISTICS, format_of
from edgecnn.runner.files import open_regular
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.arch import ArchSpec

PROTOTYPES = "prototypes.weight"
"""The tensor that identifies a file whose network ends in neighbours."""


class NeighbourHead(nn.Module):
    """The share of each class among the ``k`` nearest training images, by cosine."""

    k: Tensor
    votes: Tensor

    def __init__(self, count: int, inputs: int, classes: int, k: int) -> None:
        super().__init__()
        self.neighbours = k
        self.prototypes = nn.Linear(inputs, count, bias=False)
        self.register_buffer("votes", torch.zeros(count, classes))
        self.register_buffer("k", torch.tensor(k))

    @property
    def in_features(self) -> int:
        """Features of each image."""
        return self.prototypes.in_features

    @classmethod
    def of(cls, features: Tensor, labels: Tensor, classes: int, k: int) -> NeighbourHead:
        """Return a head that stores ``features`` (N, F) and their ``labels`` (N,)."""
        head = cls(len(features), features.shape[1], classes, k)
        with torch.no_grad():
            head.prototypes.weight.copy_(functional.normalize(features))
        head.votes.copy_(functional.one_hot(labels, classes))
        return head

    @classmethod
    def like(cls, state: Mapping[str, Tensor], prefix: str) -> NeighbourHead:
        """Return an empty head with the shape of a file's tensors."""
        count, inputs = state[f"{prefix}.{PROTOTYPES}"].shape
        return cls(count, inputs, state[f"{prefix}.votes"].shape[1], int(state[f"{prefix}.k"]))

    def forward(self, features: Tensor) -> Tensor:
        """Features float (N, F), or maps of one pixel, → shares float (N, classes); in a tie the first class gets the larger
        share.
        """
        nearest = self.prototypes(functional.normalize(features.flatten(1))).topk(self.neighbours).indices
        return self.votes[nearest].mean(dim=1)


_TABLES = ("state_dict", "model", "model_state_dict", "net", "network", "params")
_AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema", "params_ema")
"""Running averages of the weights, used if the weights themselves are absent."""
_BEGINNINGS = ("module.", "_orig_mod.", "model.", "net.", "network.")
"""Prefixes of DataParallel, of torch.compile, and of modules that have the network as an attribute."""
_COUNTER = "n_averaged"
"""torch.optim.swa_utils.AveragedModel stores it next to the network."""
_AVERAGE = re.compile(r"(^|_)(ema|swa|avg|averaged)(_|$)")
_DEEPEST = 3
_TABLES_MAX = 100_000
"""Largest number of tables to inspect; an optimizer has one for each parameter."""
_PREFIXES_SHOWN = 5


class Unwrapped(NamedTuple):
    """Tensors by name, and descriptions of the removed wrappers."""

    tensors: dict[str, Tensor]
    removed: tuple[str, ...]
    entries: tuple[str, ...] = ()
    """The entries of the file that lead to the table, outermost first."""


def tables_in(loaded: object) -> list[Unwrapped]:
    """Return every table of tensors in a file's content, the most likely first: by usual names, then by number of tensors."""
    return _tables_below(loaded, (), set())


def _tables_below(loaded: object, entries: tuple[str, ...], visited: set[int]) -> list[Unwrapped]:
    """``visited``: the identity of each table. A table that appears several times, even inside itself, counts once."""
    if not isinstance(loaded, Mapping) or not loaded or id(loaded) in visited or len(visited) == _TABLES_MAX:
        return []
    visited.add(id(loaded))
    if all(isinstance(value, Tensor) for value in loaded.values()):
        removed = tuple(f"its entry {name!r}" for name in entries)
        return [Unwrapped({str(name): tensor for name, tensor in loaded.items()}, removed, entries)]
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
    """Return the table and the name prefix that match most ``wanted`` names, with the prefix removed.

    Tensors of other modules, with other prefixes, are excluded and named. If less than half of the wanted names match, the first
    table without usual prefixes is returned: its names belong to another program or network. In a tie the usual names come first,
    and averages last.

    Raises WEIGHTS_AMBIGUOUS: several match equally well, and their names do not decide.
    """
    names = frozenset(wanted)
    fits = [(table, *fit) for table in tables for fit in _beginnings(table.tensors, names)]
    most = max((fitting for _, _, fitting in fits), default=0)
    if 2 * most < len(names):
        return _strip_usual_beginnings(tables[0])
    best = [(table, beginning) for table, beginning, fitting in fits if fitting == most]
    preferred = min(_preference(table, beginning) for table, beginning in best)
    best = [(table, beginning) for table, beginning in best if _preference(table, beginning) == preferred]
    if preferred and len(best) > 1:
        raise weights_ambiguous(path=path, sets=[".".join((*table.entries, beginning)).rstrip(".") for table, beginning in best])
    table, beginning = best[0]
    inside = {name.removeprefix(beginning): tensor for name, tensor in table.tensors.items() if name.startswith(beginning)}
    outside = [name for name in table.tensors if not name.startswith(beginning) and name != _COUNTER]
    removed = [*table.removed, *([f"names without {beginning!r}"] if beginning else [])]
    if outside:
        removed.append(
            f"{counted(len(outside), 'tensor')} of other modules skipped "
            f"({', '.join(outside[:_PREFIXES_SHOWN])}{and_more(len(outside), _PREFIXES_SHOWN)})"
        )
    return Unwrapped(inside, tuple(removed))


def _preference(table: Unwrapped, beginning: str) -> int:
    """0 for usual names, 1 for others, 2 for an average."""
    modules = beginning.split(".")[:-1]
    if any(_AVERAGE.search(name) for name in (*table.entries, *modules)):
        return 2
    is_usual = all(name in _TABLES for name in table.entries) and all(f"{name}." in _BEGINNINGS for name in modules)
    return 0 if is_usual else 1


def _beginnings(tensors: Collection[str], wanted: frozenset[str]) -> Iterator[tuple[str, int]]:
    """Yield each prefix before wanted names, in the table's order, with the number of names that have it."""
    count, longest = Counter[str](), max(map(len, wanted))
    for name in tensors:
        start = 0
        while True:
            if len(name) - start <= longest and name[start:] in wanted:
                count[name[:start]] += 1
            if (start := name.find(".", start) + 1) == 0:
                break
    yield from count.items()


def _strip_usual_beginnings(table: Unwrapped) -> Unwrapped:
    tensors, removed = dict(table.tensors), list(table.removed)
    if len(tensors) > 1:
        tensors.pop(_COUNTER, None)
    while (
        beginning := next((usual for usual in _BEGINNINGS if all(name.startswith(usual) for name in tensors)), None)
    ) is not None:
        tensors = {name.removeprefix(beginning): tensor for name, tensor in tensors.items()}
        removed.append(f"names without {beginning!r}")
    return Unwrapped(tensors, tuple(removed))


def strip_common_beginning(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors without the module names that all their names start with."""
    modules = os.path.commonprefix(list(tensors)).rpartition(".")
    beginning = "".join(modules[:2]) if len(tensors) > 1 else ""
    return {name.removeprefix(beginning): tensor for name, tensor in tensors.items()}


HEAD_STD = 0.01
"""Standard deviation of a new head's weights. Its bias starts at 0, so all classes start with nearly equal probability."""

_NAMES_SHOWN = 8
"""Tensors of each kind of mismatch that an error names."""


def build_network(spec: ArchSpec, classes: int = 1000, *, seed: int = 0) -> nn.Module:
    """Return the network with random weights: the body as its builder initializes it, the last layers as ``HEAD_STD`` says.

    ``classes``: outputs of the last layer, and of auxiliary heads. ``seed``: of the initialization. The caller's random state is
    unchanged. Raises MissingPackage: its library is an extra that is not installed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = published_network(spec)
        for name in spec.last_layers:
            old = _linear(network, name)
            head = type(old)(old.in_features, classes)
            nn.init.normal_(head.weight, std=HEAD_STD)
            nn.init.zeros_(head.bias)
            _put(network, name, head)
    return network


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def head_of(network: nn.Module, spec: ArchSpec) -> nn.Linear:
    """Return the last layer, which is retrained for new classes."""
    return _linear(network, spec.head)


def _linear(network: nn.Module, name: str) -> nn.Linear:
    head = network.get_submodule(name)
    if not isinstance(head, nn.Linear):
        raise TypeError(f"{name} of {type(network).__name__} is a {type(head).__name__}, not a Linear")
    return head


def parameter_count(network: nn.Module) -> int:
    """Return the number of trainable numbers, without running statistics."""
    return sum(parameter.numel() for parameter in network.parameters())


def shipped_parameter_count(network: nn.Module, spec: ArchSpec) -> int:
    """Return the number of parameters without auxiliary heads, which are used in training only."""
    return sum(parameter.numel() for name, parameter in network.named_parameters() if not name.startswith(spec.left_behind))


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors or a torch file, under the file's own names.

    The bytes decide the format, not the file's name. A torch file with nested tables, as training programs write checkpoints, is
    unwrapped.

    Raises WEIGHTS_UNREADABLE: truncated, damaged, another format, or without a table of tensors. WEIGHTS_HOLD_OBJECTS: it
    contains Python objects, and reading them would run code that the file names.
    """
    return _read(path)[0].tensors


def _read(path: Path) -> Sequence[Unwrapped]:
    form = format_of(path)
    try:
        loaded = load_file(path) if form == "safetensors" else _load_torch_file(path)
    except Exception as problem:  # noqa: BLE001 - a damaged pickle may raise any error
        raise _refusal(path, problem) from problem
    if not (tables := tables_in(loaded)):
        raise WEIGHTS_UNREADABLE(path=path, reason="it contains something other than a table of tensors")
    return tables


def _load_torch_file(path: Path) -> object:
    arguments: list[Any] = [(kind, name) for name, kind in SAVED_ARGUMENTS.items()]
    with open_regular(path) as file, torch.serialization.safe_globals(arguments):  # given a path, torch would check the name
        return torch.load(file, map_location="cpu", weights_only=True)


def _refusal(path: Path, problem: Exception) -> EdgecnnError:
    """Return our own wording; torch's explains how to disable its check."""
    text = str(problem).strip()
    names = re.findall(r"(?:GLOBAL|class) ([A-Za-z_][\w.]*\.\w+)", text)
    if isinstance(problem, pickle.UnpicklingError) and names:
        return weights_hold_objects(path=path, names=list(dict.fromkeys(names)))
    is_damage = getattr(problem, "errno", None) == errno.EINVAL or "weights_only" in text or "%ld" in text  # a bug of torch
    if isinstance(problem, (SafetensorError, RuntimeError, OSError)) and text and not is_damage:
        return WEIGHTS_UNREADABLE(path=path, reason=text.splitlines()[0])
    return WEIGHTS_UNREADABLE(path=path, reason="it is damaged: its table of tensors cannot be read")


def read_weights(spec: ArchSpec, path: Path) -> dict[str, Tensor]:
    """Return a file's tensors under this network's names, checked against it; the head may have any number of classes.

    Raises WEIGHTS_UNREADABLE, WeightsDoNotFit: see ``unwrapped_weights``.
    """
    return unwrapped_weights(spec, path).tensors


def unwrapped_weights(spec: ArchSpec, path: Path) -> Unwrapped:
    """Return the tensors as ``read_weights`` does, and the wrappers that were removed.

    Raises:
        WEIGHTS_UNREADABLE: see ``read_state``.
        WeightsDoNotFit: the file is of another network; the error names the tensors, and the network that fits.
        WEIGHTS_AMBIGUOUS: see ``best_fit``.
    """
    tables = _read(path)
    table = tables[0]
    if len(tables) > 1 or f"{spec.head}.weight" not in table.tensors:
        table = best_fit(tables, _shapes(spec, {}), path)
    state = table.tensors
    if spec.family == "efficientnet-lite" and is_published(state):
        state = renamed_tensors(state)
    if spec.origin == "timm":
        from edgecnn.models.families.from_timm import renamed_state

        state = renamed_state(spec, state)
    wanted = _shapes(spec, state)
    try:
        return Unwrapped(_fitting(state, wanted, path=path, arch=spec.name), table.removed)
    except WeightsDoNotFit as error:
        fits = archs_that_fit(strip_common_beginning(state))
        raise weights_do_not_fit(path=path, arch=spec.name, problems=error.fields["problems"], fits=fits) from error


def archs_that_fit(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return networks of the catalogue that have exactly these tensors, with any number of classes."""
    return tuple(spec.name for spec in all_archs() if _has_as_many(spec, state) and _fits_exactly(spec, state))


def _has_as_many(spec: ArchSpec, state: Mapping[str, Tensor]) -> bool:
    """Compare parameter counts first, which is free; the network is built only if they match."""
    head = state.get(f"{spec.head}.weight")
    if head is None or head.ndim != 2 or spec.parameters is None:
        return False
    count = sum(tensor.numel() for name, tensor in state.items() if not name.endswith(STATISTICS))
    per_class = (head.shape[1] + 1) * (1 + len(spec.beside))
    least = spec.parameters + spec.merged + (head.shape[0] - spec.classes) * per_class
    return count == least or spec.auxiliary is not None and count > least


def _fits_exactly(spec: ArchSpec, state: Mapping[str, Tensor]) -> bool:
    try:
        _fitting(state, _shapes(spec, state), path=Path(), arch=spec.name)
    except (WeightsDoNotFit, MissingPackage):
        return False
    return True


def _shapes(spec: ArchSpec, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the shapes of the network's tensors, with a head as large as the file's."""
    weight = state.get(f"{spec.head}.weight")
    classes = int(weight.shape[0]) if weight is not None and weight.ndim == 2 else 1000
    with torch.device("meta"):
        return build_network(spec, classes).state_dict()


def load_trained(spec: ArchSpec, classes: int, path: Path, *, seed: int = 0) -> nn.Module:
    """Return the network that training wrote to a file, with either kind of head.

    Raises WEIGHTS_UNREADABLE: see ``read_state``. WeightsDoNotFit: names or shapes differ; the error names them.
    """
    network = build_network(spec, classes, seed=seed)
    state = read_state(path)
    if f"{spec.head}.{PROTOTYPES}" in state:
        replace_head(network, spec, NeighbourHead.like(state, spec.head))
    network.load_state_dict(_fitting(state, network.state_dict(), path=path, arch=type(network).__name__))
    return network


def shipping_shapes(spec: ArchSpec, classes: int) -> nn.Module:
    """Return the network as it ships, with shapes but no values, on torch's meta device.

    Raises MissingPackage: its library is an extra that is not installed.
    """
    with torch.device("meta"):
        network = build_network(spec, classes)
        if spec.origin != "timm":
            return network
        from edgecnn.models.families.from_timm import merge_branches

        return merge_branches(network)


def load_shipping(spec: ArchSpec, classes: int, path: Path, size: ImageSize) -> nn.Module:
    """Return the trained network as it ships, with the parallel branches of training merged into one layer each.

    Raises WEIGHTS_UNREADABLE, WeightsDoNotFit: see ``load_trained``. MERGE_DIFFERS: the merged network's outputs differ.
    """
    network = load_trained(spec, classes, path)
    if spec.origin != "timm":
        return network
    from edgecnn.models.families.from_timm import merge_for_shipping

    return merge_for_shipping(network, size)


def replace_head(network: nn.Module, spec: ArchSpec, head: nn.Module) -> None:
    """Replace the network's last layer."""
    _put(network, spec.head, head)


def _fitting(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, path: Path, arch: str) -> dict[str, Tensor]:
    counters = {name: torch.zeros((), dtype=torch.int64) for name in wanted if name.endswith("num_batches_tracked")}
    complete = {**counters, **state}  # old files lack the batch-norm counters, which affect no output
    lacking = [name for name in wanted if name not in complete]
    foreign = [name for name in complete if name not in wanted]
    other = [
        f"{name} is {tuple(complete[name].shape)}, the network's is {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in complete and complete[name].shape != tensor.shape
    ]
    kinds = {"it lacks ": lacking, "it has tensors that the network lacks, ": foreign, "": other}
    problems = [
        f"{what}{', '.join(names[:_NAMES_SHOWN])}{and_more(len(names), _NAMES_SHOWN)}" for what, names in kinds.items() if names
    ]
    if problems:
        raise weights_do_not_fit(path=path, arch=arch, problems=problems)
    return {name: complete[name] for name in wanted}
