"""Carry out a phase, an epoch at a time, so that a kill costs one epoch and changes no bit of the result.

Classes of unequal size count alike where a recipe asks for it: by weights in the loss, or by how often images are shown. Either
way the mean over an epoch is what it would be of classes of one size. What oneDNN computes wrongly in the memory layout of
training is computed otherwise.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.training import training_diverged
from edgecnn.training.augment import Frame, draw_epoch, stream_seed
from edgecnn.training.batches import Batch, ShownPart, batch_count, parts_shown, shown
from edgecnn.training.checkpoint import Moving, load_checkpoint, save_checkpoint, write_tensors
from edgecnn.training.history import BestFacts, EpochFacts, ordinal, tell_epochs
from edgecnn.training.losses import class_weights, distillation, images_shown, label_loss, multi_label_loss
from edgecnn.training.material import Material, mean_recall, standing
from edgecnn.training.parallel.team import ALONE, Part, Team
from edgecnn.training.process import computing_in, device_of, moved
from edgecnn.training.schedule import DROPS, Phase, drops_of, release

_BLOCK = 16
"""Channels that oneDNN takes at a time with AVX-512; with AVX2 they are 8."""


@contextmanager
def sampled_first(network: nn.Module) -> Iterator[None]:
    """Within, strided 1×1 convolutions of few channels leave out the pixels between, and convolve the rest in steps of one.

    The sums are the same. For the gradient of such a layer's weights, channels last, oneDNN 3.x writes past its buffer
    (https://github.com/uxlfoundation/oneDNN/issues/6035; torch 2.14 on AVX2: wrong gradients, or a crash), which the first layers
    of MobileOne, RepVGG and FastViT meet.
    """
    with ExitStack() as after:
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and _miscomputed(module):
                hook = module.register_forward_pre_hook(partial(_sampled, stride=module.stride))
                after.callback(setattr, module, "stride", module.stride)
                after.callback(hook.remove)
                module.stride = (1, 1)
        yield


def _miscomputed(layer: nn.Conv2d) -> bool:
    pointwise = layer.kernel_size == (1, 1) and layer.padding in ((0, 0), "valid")
    return pointwise and layer.stride != (1, 1) and 1 < layer.in_channels // layer.groups < _BLOCK


def _sampled(_: nn.Module, inputs: tuple[Any, ...], *, stride: tuple[int, ...]) -> tuple[Tensor]:
    images: Tensor = inputs[0]
    return (images[..., :: stride[0], :: stride[1]],)


STATISTICS_BATCHES = 16
"""Enough images for a mean and a variance; more would cost time and change little."""


class PhaseResult(NamedTuple):
    """How a phase went. ``best`` is None when none of its epochs beat what there was before."""

    epochs: tuple[EpochFacts, ...]
    best: BestFacts | None
    stopped: str


def run_phase(network: nn.Module, head: nn.Module, phase: Phase, material: Material, to_beat: float = -1.0) -> PhaseResult:
    """Train ``network`` and leave the best epoch's weights in ``<folder>/<phase>.best.safetensors``.

    ``head``: its last layer, which learns at the full rate. ``to_beat``: standing on ``validation`` that an epoch must exceed to
    be worth keeping. Raises TRAINING_DIVERGED: a loss is not finite.
    """
    with moved(material.device, network, material.teacher), sampled_first(network):
        return _phase(network, head, phase, material, to_beat)


def _phase(network: nn.Module, head: nn.Module, phase: Phase, material: Material, to_beat: float) -> PhaseResult:
    network.to(memory_format=torch.channels_last)
    moving = Moving(network, copy.deepcopy(network), _optimizer(network, head, phase))
    file = state_file(material.folder, phase.name)
    epochs = load_checkpoint(file, moving)
    tell_epochs(material.tell, phase.name, epochs)
    images = len(material.decoded)
    material.tell.step(phase.told_as, len(epochs) * images, phase.epochs * images, "images")  # the first batch may take seconds
    while len(epochs) < phase.epochs and not _out_of_patience(epochs, phase, to_beat):
        drops = drops_of(_judged(epochs), phase.patience)
        epochs.append(_epoch(moving, phase, material, len(epochs), drops))
        if material.team.leads:
            if _best(epochs, phase, to_beat) == len(epochs) - 1:
                write_tensors(moving.average.state_dict(), best_file(material.folder, phase.name))
            save_checkpoint(file, moving, epochs)
        tell_epochs(material.tell, phase.name, epochs[-1:])
    best = _best(epochs, phase, to_beat)
    stopped = "all epochs done"
    if len(epochs) < phase.epochs:
        stopped = "no better epoch in the last cycle" if phase.cycles else f"no better epoch in {phase.patience}"
        material.tell.step(phase.told_as, len(epochs) * images, len(epochs) * images, "images")  # the bar is full and goes away
    return PhaseResult(tuple(epochs), None if best is None else _best_facts(epochs[best], phase), stopped)


def best_file(folder: Path, phase: str) -> Path:
    """Where a phase of that name keeps its best weights."""
    return folder / f"{phase}.best.safetensors"


def state_file(folder: Path, phase: str) -> Path:
    """Where a phase of that name keeps what it goes on from."""
    return folder / f"{phase}.checkpoint.safetensors"


def _best_facts(facts: EpochFacts, phase: Phase) -> BestFacts:
    return BestFacts(
        phase=phase.name,
        epoch=facts.epoch,
        validation_top1=facts.validation_top1,
        validation_recall=facts.validation_recall,
        validation_map=facts.validation_map,
    )


def _best(epochs: Sequence[EpochFacts], phase: Phase, to_beat: float) -> int | None:
    best, standing = None, to_beat
    for index, facts in enumerate(epochs):
        if facts.standing is not None and facts.standing > standing:
            best, standing = index, facts.standing
    return best


def _out_of_patience(epochs: Sequence[EpochFacts], phase: Phase, to_beat: float) -> bool:
    if phase.rate_rule == "plateau":
        return drops_of(_judged(epochs), phase.patience) > DROPS
    if phase.cycles:
        best = _best(epochs, phase, to_beat)  # another cycle cannot be better than every validation image right
        return phase.ends_after(len(epochs), None if best is not None and epochs[best].standing == 1 else best)
    judged = [facts for facts in epochs if facts.standing is not None]
    best = _best(judged, phase, to_beat)
    return len(judged) - 1 - (-1 if best is None else best) >= phase.patience


def _judged(epochs: Sequence[EpochFacts]) -> list[float]:
    return [facts.standing for facts in epochs if facts.standing is not None]


def _optimizer(network: nn.Module, head: nn.Module, phase: Phase) -> torch.optim.Optimizer:
    """AdamW or SGD; vectors (biases, batch norm) are not decayed."""
    of_head = set(map(id, head.parameters()))
    groups = []
    for share, inside in ((phase.body_share, False), (1.0, True)):
        chosen = [p for p in network.parameters() if (id(p) in of_head) == inside]
        for decay, members in (
            (phase.weight_decay, [p for p in chosen if p.ndim > 1]),
            (0.0, [p for p in chosen if p.ndim <= 1]),
        ):
            groups.append({"params": members, "weight_decay": decay, "share": share})
    if phase.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=phase.peak_rate, momentum=0.9)
    return torch.optim.AdamW(groups, lr=phase.peak_rate, fused=True)


def _epoch(moving: Moving, phase: Phase, material: Material, epoch: int, drops: int) -> EpochFacts:
    seed = stream_seed(phase.seed, phase.name, epoch)
    torch.manual_seed(seed)  # dropout and stochastic depth draw from torch's own stream
    drawn = draw_epoch(len(material.decoded), seed=seed, augment=phase.augment)
    size = phase.sizes_px[epoch]
    frame = Frame(size, phase.shipped_px)
    shows = images_shown(material.decoded.labels, phase.balance, seed)
    learning = release(material.groups, epoch, phase.first_cycle) if material.groups else None
    _training_mode(moving.network, phase)
    learning_one = moving._replace(network=material.team.learner(moving.network))
    batches = np.array_split(drawn.order, batch_count(len(drawn.order), phase.batch_size))
    total, loss_sum, rate = len(drawn.order), 0.0, phase.peak_rate
    for index, (part, shown_part) in enumerate(parts_shown(material, batches, shows, drawn, frame)):
        rate = phase.rate(epoch + (index + 1) / len(batches), drops)
        for group in moving.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        loss = _step(learning_one, phase, shown_part, part, material)
        _average(moving, phase.average_decay, steps=epoch * len(batches) + index)
        if not math.isfinite(loss):
            raise _diverged(phase, material, epoch, index)
        loss_sum += loss * part.whole
        done = epoch * total + int(sum(map(len, batches[: index + 1])))
        material.tell.step(phase.told_as, done, phase.epochs * total, "images")
    judged = size == phase.shipped_px
    if judged and not phase.frozen_statistics:
        own = material.team.own(batches[:STATISTICS_BATCHES])
        take_statistics(
            moving.average, (shown(material, (positions, shows), drawn, frame).images for positions in own), material.team
        )
    logits = material.validation.outputs(moving.average, material.team) if judged else None
    if logits is not None and not bool(torch.isfinite(logits).all()):  # the last step's loss was looked at before that step
        raise _diverged(phase, material, epoch, len(batches) - 1)
    return EpochFacts(
        epoch=epoch,
        train_loss=loss_sum / total,
        **({"validation_top1": None} if logits is None else standing(logits, material.validation.labels)),
        validation_recall=None if logits is None or phase.balance == "none" else mean_recall(logits, material.validation.labels),
        learning_rate=rate,
        resolution_px=size,
        learning_groups=learning,
    )


def _diverged(phase: Phase, material: Material, epoch: int, batch: int) -> EdgecnnError:
    bests = [best_file(material.folder, name) for name in (phase.name, phase.beats) if name is not None]
    kept = dict.fromkeys(bests, "the best checkpoint so far")
    kept[state_file(material.folder, phase.name)] = f"the state after epoch {ordinal(epoch - 1)}"
    kept_file = next((f"{what} is kept in {file}" for file, what in kept.items() if file.exists()), None)
    rate = (phase.rate_setting, phase.peak_rate)
    return training_diverged(phase=phase.name, epoch=ordinal(epoch), batch=ordinal(batch), kept=kept_file, rate=rate)


def _training_mode(network: nn.Module, phase: Phase) -> None:
    network.train()
    if phase.frozen_statistics:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def _step(moving: Moving, phase: Phase, shown: ShownPart, part: Part, material: Material) -> float:
    """Learn from this process's part of a batch, and say the whole batch's mean loss."""
    teacher = material.teacher

    def loss(logits: Tensor, *auxiliary: Tensor) -> Tensor:
        loss_of = _loss_by_labels(phase, shown.batch, material) if teacher is None else distillation(teacher, shown.drawn)
        total = loss_of(logits)
        for more in auxiliary:
            total = total + phase.auxiliary_weight * loss_of(more)
        return total

    def forward(images: Tensor) -> Any:
        with computing_in(phase.precision, images.device):
            return moving.network(images)

    moving.optimizer.zero_grad(set_to_none=True)
    mean_loss = material.team.backward(forward, shown.batch.images, part, loss)
    moving.optimizer.step()
    return mean_loss


def _loss_by_labels(phase: Phase, shown: Batch, material: Material) -> Callable[[Tensor], Tensor]:
    if material.multi_label:
        return lambda logits: multi_label_loss(logits, shown.labels, phase.label_smoothing)
    weights = class_weights(material.decoded.labels, material.classes, phase.balance)
    weights = None if weights is None else weights.to(material.device)
    return lambda logits: label_loss(logits, shown.labels, weights, phase.label_smoothing)


@torch.no_grad()
def _average(moving: Moving, decay: float, *, steps: int) -> None:
    """Move the running average towards the network; early on faster, so that the random beginning is soon forgotten."""
    decay = min(decay, (1 + steps) / (10 + steps))
    theirs = dict(moving.average.state_dict())
    ours = moving.network.state_dict()
    floats = [name for name, tensor in ours.items() if tensor.is_floating_point()]
    torch._foreach_lerp_([theirs[name] for name in floats], [ours[name] for name in floats], 1 - decay)
    for name, tensor in ours.items():
        if not tensor.is_floating_point():
            theirs[name].copy_(tensor)


@torch.no_grad()
def take_statistics(network: nn.Module, batches: Iterable[Tensor], team: Team = ALONE) -> None:
    """Replace the running statistics by the plain mean over ``batches``, float32 (N, 3, H, W); everything else stays as it is.

    The average of many networks' statistics is not the statistics of their average: they are taken anew before an epoch is
    judged, as stochastic weight averaging does (Izmailov et al. 2018, arXiv:1803.05407, section 3.2). Without it a training of
    few steps is judged, and shipped, with statistics of its beginning. Of a team each has its own batches; the mean is over all.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    taken = 0
    for taken, batch in enumerate(batches, start=1):  # noqa: B007 - it is read after the loop
        network(batch.to(device_of(network)))
    if team.size > 1:
        _average_statistics(norms, taken, team)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def _average_statistics(norms: Sequence[nn.BatchNorm2d], taken: int, team: Team) -> None:
    """Put the mean over the batches of all processes in place of each one's own, of which there were ``taken``."""
    counted = float(team.summed(torch.tensor(float(taken))))
    for norm in norms:
        for own in (norm.running_mean, norm.running_var):
            if own is not None:
                own.copy_(team.summed(own.double() * taken) / counted)
        if norm.num_batches_tracked is not None:
            team.summed(norm.num_batches_tracked)
