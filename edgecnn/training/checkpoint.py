"""A checkpoint is one safetensors file, replaced whole after every epoch: a kill leaves the previous one, never half of one."""

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


class Moving(NamedTuple):
    """What changes while training: the network, its running average, and the optimizer."""

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer


def write_tensors(state: Mapping[str, Tensor], file: Path, facts: Mapping[str, str] | None = None) -> None:
    """Write tensors so that the file is complete whenever it is there under its name; what blocks share is written for each."""
    partial = file.with_suffix(".part")
    tensors, texts = _apart(state), {"format": "pt", **(facts or {})}
    size = sum(tensor.nbytes for tensor in tensors.values()) + sum(map(len, texts.values()))
    with prefer_system_error(partial, size):
        save_file(tensors, partial, metadata=texts)
    with partial.open("rb+") as stream:
        os.fsync(stream.fileno())
    partial.rename(file)


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """No two in one piece of memory: safetensors refuses that. CoaT's blocks share their position encodings."""
    held, separate = set[int](), dict[str, Tensor]()
    for name, tensor in state.items():
        memory = tensor.untyped_storage().data_ptr()
        separate[name] = tensor.clone() if tensor.numel() and memory in held else tensor
        held.add(memory)
    return {name: tensor.contiguous() for name, tensor in separate.items()}


def save_checkpoint(file: Path, moving: Moving, epochs: Sequence[EpochFacts]) -> None:
    """Keep everything that the next epoch depends on, and the facts of those done."""
    state = {f"network.{name}": tensor for name, tensor in moving.network.state_dict().items()}
    state |= {f"average.{name}": tensor for name, tensor in moving.average.state_dict().items()}
    for index, slots in moving.optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{index}.{slot}": tensor for slot, tensor in slots.items() if isinstance(tensor, Tensor)}
    write_tensors(state, file, {"epochs": json.dumps([facts.model_dump() for facts in epochs])})


def load_checkpoint(file: Path, moving: Moving) -> list[EpochFacts]:
    """Bring everything back to the end of the last finished epoch; no file means that none is."""
    if not file.exists():
        return []
    slots: dict[int, dict[str, Tensor]] = {}
    states: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}}
    with safe_open(file, "pt") as stored:
        for name in stored.keys():  # noqa: SIM118 - it is no mapping
            owner, _, rest = name.partition(".")
            if owner == "optimizer":
                index, _, slot = rest.partition(".")
                slots.setdefault(int(index), {})[slot] = stored.get_tensor(name)
            else:
                states[owner][rest] = stored.get_tensor(name)
        epochs = json.loads(stored.metadata()["epochs"])
    moving.network.load_state_dict(states["network"])
    moving.average.load_state_dict(states["average"])
    _load_slots(moving.optimizer, slots)
    return [EpochFacts.model_validate(facts) for facts in epochs]


def _load_slots(optimizer: torch.optim.Optimizer, slots: Mapping[int, Mapping[str, Tensor]]) -> None:
    """Give each parameter its slots in the parameter's own memory order.

    The fused AdamW walks parameter, gradient and slots in memory order; a slot stored row by row beside a channels-last
    parameter would be read for the wrong elements.
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


def is_made(out: Path, facts: str) -> bool:
    """Whether an earlier call wrote everything; where only its clearing up was interrupted, that is done."""
    if not (out / facts).exists():
        return False
    shutil.rmtree(out / RESUME, ignore_errors=True)
    return True


def begin(out: Path) -> Path:
    """The folder that an interrupted training goes on from."""
    resume = out / RESUME
    resume.mkdir(parents=True, exist_ok=True)
    return resume


def finish(out: Path, facts: str, text: str) -> None:
    """Write the facts, whole or not at all, and leave nothing to resume."""
    partial = out / RESUME / facts
    partial.write_text(text, encoding="utf-8")
    partial.rename(out / facts)
    shutil.rmtree(out / RESUME)
