"""Checkpoints and results of a training, written so that an interrupted write leaves the previous file intact.

A checkpoint is one safetensors file that is replaced after every epoch.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from edgecnn.store.failures import prefer_system_error
from edgecnn.training.history import EpochFacts


class TrainingState(NamedTuple):
    """The state that training changes: the network, its running average, and the optimizer."""

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer


def write_tensors(state: Mapping[str, Tensor], file: Path, facts: Mapping[str, str] | None = None) -> None:
    """Write tensors and metadata to ``file`` by one rename, so that an existing file is complete.

    A tensor that blocks share is written for each of them.
    """
    partial = file.with_suffix(".part")
    tensors, texts = _separate_tensors(state), {"format": "pt", **(facts or {})}
    size = sum(tensor.nbytes for tensor in tensors.values()) + sum(map(len, texts.values()))
    with prefer_system_error(partial, size):
        save_file(tensors, partial, metadata=texts)
    with partial.open("rb+") as stream:
        os.fsync(stream.fileno())
    partial.rename(file)


def _separate_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors that share memory, which safetensors refuses. The blocks of CoaT share their position encodings."""
    addresses, separate = set[int](), dict[str, Tensor]()
    for name, tensor in state.items():
        address = tensor.untyped_storage().data_ptr()
        separate[name] = tensor.clone() if tensor.numel() and address in addresses else tensor
        addresses.add(address)
    return {name: tensor.contiguous() for name, tensor in separate.items()}


def save_checkpoint(file: Path, state: TrainingState, epochs: Sequence[EpochFacts]) -> None:
    """Write the state that the next epoch depends on, and the facts of finished epochs."""
    tensors = {f"network.{name}": tensor for name, tensor in state.network.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in state.average.state_dict().items()}
    for index, slots in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": tensor for slot, tensor in slots.items() if isinstance(tensor, Tensor)}
    write_tensors(tensors, file, {"epochs": json.dumps([facts.model_dump() for facts in epochs])})


def load_checkpoint(file: Path, state: TrainingState) -> list[EpochFacts]:
    """Restore the state after the last finished epoch, and return the facts of finished epochs; without a file there are none."""
    if not file.exists():
        return []
    slots: dict[int, dict[str, Tensor]] = {}
    states: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}}
    with safe_open(file, "pt") as stored:
        for name in stored.keys():  # noqa: SIM118 - not a mapping
            owner, _, rest = name.partition(".")
            if owner == "optimizer":
                index, _, slot = rest.partition(".")
                slots.setdefault(int(index), {})[slot] = stored.get_tensor(name)
            else:
                states[owner][rest] = stored.get_tensor(name)
        epochs = json.loads(stored.metadata()["epochs"])
    state.network.load_state_dict(states["network"])
    state.average.load_state_dict(states["average"])
    _load_slots(state.optimizer, slots)
    return [EpochFacts.model_validate(facts) for facts in epochs]


def _load_slots(optimizer: torch.optim.Optimizer, slots: Mapping[int, Mapping[str, Tensor]]) -> None:
    """Load the optimizer's slots in the memory order of their parameters.

    The fused AdamW iterates over parameter, gradient and slots in memory order. A contiguous slot of a channels-last parameter
    would be applied to the wrong elements.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    placed = {
        index: {
            slot: torch.empty_like(parameters[index].detach()).copy_(tensor)
            if tensor.shape == parameters[index].shape
            else tensor
            for slot, tensor in stored.items()
        }
        for index, stored in slots.items()
    }
    optimizer.load_state_dict({"state": placed, "param_groups": optimizer.state_dict()["param_groups"]})


RESUME = "resume"


def is_finished(out: Path, facts: str) -> bool:
    """Return whether an earlier call finished; if so, delete a remaining ``resume/``."""
    if not (out / facts).exists():
        return False
    shutil.rmtree(out / RESUME, ignore_errors=True)
    return True


def resume_folder(out: Path) -> Path:
    """Return the folder from which an interrupted training continues, and create it if needed."""
    resume = out / RESUME
    resume.mkdir(parents=True, exist_ok=True)
    return resume


def finish(out: Path, facts: str, text: str) -> None:
    """Write the facts by one rename, and delete ``resume/``."""
    partial = out / RESUME / facts
    partial.write_text(text, encoding="utf-8")
    partial.rename(out / facts)
    shutil.rmtree(out / RESUME)
