"""Run one phase of training, epoch by epoch. An interruption costs at most one epoch, and does not change the result."""

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
from edgecnn.training.batches import Batch, ShownPart, prepare_batch, prepare_parts
from edgecnn.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint, write_tensors
from edgecnn.training.history import BestFacts, EpochFacts, ordinal, tell_epochs
from edgecnn.training.losses import class_weights, distillation, images_by_position, label_loss, multi_label_loss
from edgecnn.training.material import Material, mean_recall, validation_figures, validation_loss
from edgecnn.training.parallel.team import ALONE, Part, Team
from edgecnn.training.process import autocast_to, device_of, moved_to_device
from edgecnn.training.schedule import DROPS, Phase, rate_drops, unfreeze_last
from edgecnn.training.settings import batch_count


@contextmanager
def sample_before_strided(network: nn.Module) -> Iterator[None]:
    """Compute strided 1×1 convolutions with few channels by sampling the input first, and then convolving with stride 1.

    The result is the same. With channels-last tensors, oneDNN 3.x writes past its buffer when it computes the weight gradient of
    such a layer (https://github.com/uxlfoundation/oneDNN/issues/6035; torch 2.14 on AVX2: wrong gradients, or a crash). The first
    layers of MobileOne, RepVGG and FastViT are such layers.
    """
    with ExitStack() as after:
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and _is_miscomputed(module):
                hook = module.register_forward_pre_hook(partial(_sample, stride=module.stride))
                after.callback(setattr, module, "stride", module.stride)
                after.callback(hook.remove)
                module.stride = (1, 1)
        yield


def _is_miscomputed(layer: nn.Conv2d) -> bool:
    pointwise = layer.kernel_size == (1, 1) and layer.padding in ((0, 0), "valid")
    block = 16  # channels that oneDNN processes at once with AVX-512; with AVX2, it processes 8
    return pointwise and layer.stride != (1, 1) and 1 < layer.in_channels // layer.groups < block


def _sample(_: nn.Module, inputs: tuple[Any, ...], *, stride: tuple[int, ...]) -> tuple[Tensor]:
    images: Tensor = inputs[0]
    return (images[..., :: stride[0], :: stride[1]],)


STATISTICS_BATCHES = 16
"""Number of batches from which batch-norm statistics are computed. More would take time and change little."""


class PhaseResult(NamedTuple):
    """Result of a phase. ``best`` is None if no epoch was good enough to replace the weights of the phase before."""

    epochs: tuple[EpochFacts, ...]
    best: BestFacts | None
    stopped: str


def run_phase(network: nn.Module, head: nn.Module, phase: Phase, material: Material, to_beat: float = -1.0) -> PhaseResult:
    """Train ``network`` and write the weights of the epoch that is kept to ``<folder>/<phase>.best.safetensors``.

    ``head``: the last layer, which is trained at the full rate. ``to_beat``: figure on ``validation`` that an epoch must exceed
    to be kept; it may be lower by ``phase.tolerance``. Raises TRAINING_DIVERGED: a loss is not finite.
    """
    with moved_to_device(material.device, network, material.teacher), sample_before_strided(network):
        network.to(memory_format=torch.channels_last)
        state = TrainingState(network, copy.deepcopy(network), _optimizer(network, head, phase))
        file = state_file(material.folder, phase.name)
        epochs = load_checkpoint(file, state)
        if epochs:
            material.tell.note(f"{phase.told_as}: an interrupted training continues after epoch {len(epochs)} of {phase.name}")
        tell_epochs(material.tell, phase.name, epochs)
        images = len(material.decoded)
        # Report progress now, because the first batch may take seconds.
        material.tell.step(phase.told_as, len(epochs) * images, phase.epochs * images, "images")
        tolerance = 0.0 if material.multi_label else phase.tolerance(len(material.validation))

        def keep_if_best() -> None:
            if material.team.leads and _best_index(epochs, to_beat, tolerance) == len(epochs) - 1:
                write_tensors(state.average.state_dict(), best_file(material.folder, phase.name))

        # Each checkpoint is written before the best weights. After a kill in between, they are written again from the checkpoint.
        keep_if_best()
        while len(epochs) < phase.epochs and not _out_of_patience(epochs, phase, to_beat, tolerance):
            drops = rate_drops(_scores(epochs), phase.patience)
            epochs.append(_epoch(state, phase, material, len(epochs), drops))
            if material.team.leads:
                save_checkpoint(file, state, epochs)
            keep_if_best()
            tell_epochs(material.tell, phase.name, epochs[-1:])
        best = _best_index(epochs, to_beat, tolerance)
        stopped = "all epochs done"
        if len(epochs) < phase.epochs:
            stopped = f"no better epoch in {phase.patience}"
            if phase.cycles:
                stopped = "every validation image is right" if _is_perfect(epochs) else "the head alone is clearly better"
            material.tell.step(phase.told_as, len(epochs) * images, len(epochs) * images, "images")  # complete the bar
        return PhaseResult(tuple(epochs), None if best is None else _best_facts(epochs[best], phase), stopped)


def best_file(folder: Path, phase: str) -> Path:
    """Return the file of a phase's best weights."""
    return folder / f"{phase}.best.safetensors"


def state_file(folder: Path, phase: str) -> Path:
    """Return the file of a phase's checkpoint."""
    return folder / f"{phase}.checkpoint.safetensors"


def _best_facts(facts: EpochFacts, phase: Phase) -> BestFacts:
    return BestFacts(
        phase=phase.name,
        epoch=facts.epoch,
        validation_top1=facts.validation_top1,
        validation_recall=facts.validation_recall,
        validation_map=facts.validation_map,
    )


def _best_index(epochs: Sequence[EpochFacts], to_beat: float, tolerance: float = 0.0) -> int | None:
    """Return the last epoch whose score is at most ``tolerance`` below the best one; without tolerance, the first best epoch."""
    best, best_score = None, to_beat
    for index, facts in enumerate(epochs):
        if facts.score is not None and (facts.score > best_score or (tolerance and facts.score >= best_score - tolerance)):
            best, best_score = index, max(best_score, facts.score)
    return best


def _out_of_patience(epochs: Sequence[EpochFacts], phase: Phase, to_beat: float, tolerance: float = 0.0) -> bool:
    if phase.rate_rule == "plateau":
        return rate_drops(_scores(epochs), phase.patience) > DROPS
    if phase.cycles:
        best = _best_index(epochs, to_beat, tolerance)
        return phase.ends_after(len(epochs), None if _is_perfect(epochs) else best)
    evaluated = [facts for facts in epochs if facts.score is not None]
    best = _best_index(evaluated, to_beat)
    return len(evaluated) - 1 - (-1 if best is None else best) >= phase.patience


def _is_perfect(epochs: Sequence[EpochFacts]) -> bool:
    return any(facts.score == 1 for facts in epochs)


def _scores(epochs: Sequence[EpochFacts]) -> list[float]:
    return [facts.score for facts in epochs if facts.score is not None]


def _optimizer(network: nn.Module, head: nn.Module, phase: Phase) -> torch.optim.Optimizer:
    """Return AdamW or SGD. Vectors (biases, batch norm) have no weight decay."""
    head_ids = set(map(id, head.parameters()))
    groups = []
    for share, inside in ((phase.body_share, False), (1.0, True)):
        chosen = [p for p in network.parameters() if (id(p) in head_ids) == inside]
        for decay, members in (
            (phase.weight_decay, [p for p in chosen if p.ndim > 1]),
            (0.0, [p for p in chosen if p.ndim <= 1]),
        ):
            groups.append({"params": members, "weight_decay": decay, "share": share})
    if phase.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=phase.peak_rate, momentum=0.9)
    return torch.optim.AdamW(groups, lr=phase.peak_rate, fused=True)


def _epoch(state: TrainingState, phase: Phase, material: Material, epoch: int, drops: int) -> EpochFacts:
    seed = stream_seed(phase.seed, phase.name, epoch)
    torch.manual_seed(seed)  # dropout and stochastic depth use torch's generator
    drawn = draw_epoch(len(material.decoded), seed=seed, augment=phase.augment)
    size = phase.sizes_px[epoch]
    frame = Frame(size, phase.shipped_px)
    shows = images_by_position(material.decoded.labels, phase.balance, seed)
    learning = unfreeze_last(material.groups, epoch, phase.first_cycle) if material.groups else None
    _set_training_mode(state.network, phase)
    learner = state._replace(network=material.team.learner(state.network))
    batches = np.array_split(drawn.order, batch_count(len(drawn.order), phase.batch_size))
    total, loss_sum, rate = len(drawn.order), 0.0, phase.peak_rate
    for index, (part, shown_part) in enumerate(prepare_parts(material, batches, shows, drawn, frame)):
        rate = phase.rate(epoch + (index + 1) / len(batches), drops)
        for group in state.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        loss = _step(learner, phase, shown_part, part, material)
        _update_average(state, phase.average_decay, steps=epoch * len(batches) + index)
        if not math.isfinite(loss):
            raise _divergence_error(phase, material, epoch, index)
        loss_sum += loss * part.whole
        done = epoch * total + int(sum(map(len, batches[: index + 1])))
        material.tell.step(phase.told_as, done, phase.epochs * total, "images")
    is_evaluated = size == phase.shipped_px
    if is_evaluated and not phase.frozen_statistics:
        share = material.team.own(batches[:STATISTICS_BATCHES])
        images = (prepare_batch(material, (positions, shows), drawn, frame).images for positions in share)
        recompute_statistics(state.average, images, material.team)
    logits = material.validation.outputs(state.average, material.team) if is_evaluated else None
    if logits is not None and not bool(torch.isfinite(logits).all()):  # the loss does not cover the last update
        raise _divergence_error(phase, material, epoch, len(batches) - 1)
    return EpochFacts(
        epoch=epoch,
        train_loss=loss_sum / total,
        **({"validation_top1": None} if logits is None else validation_figures(logits, material.validation.labels)),
        validation_loss=None if logits is None else validation_loss(logits, material.validation.labels),
        validation_recall=None if logits is None or phase.balance == "none" else mean_recall(logits, material.validation.labels),
        learning_rate=rate,
        resolution_px=size,
        learning_groups=learning,
    )


def _divergence_error(phase: Phase, material: Material, epoch: int, batch: int) -> EdgecnnError:
    checkpoints: dict[Path, int | None] = {
        best_file(material.folder, name): None for name in (phase.name, phase.beats) if name is not None
    }
    checkpoints[state_file(material.folder, phase.name)] = ordinal(epoch - 1)
    kept = next(((file, after) for file, after in checkpoints.items() if file.exists()), None)
    rate = (phase.rate_setting, phase.peak_rate)
    return training_diverged(phase=phase.name, epoch=ordinal(epoch), batch=ordinal(batch), kept=kept, rate=rate)


def _set_training_mode(network: nn.Module, phase: Phase) -> None:
    network.train()
    if phase.frozen_statistics:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def _step(state: TrainingState, phase: Phase, shown: ShownPart, part: Part, material: Material) -> float:
    """Take a step on this process's part of a batch, and return the mean loss of the whole batch."""
    teacher = material.teacher

    def loss(logits: Tensor, *auxiliary: Tensor) -> Tensor:
        loss_of = _loss_by_labels(phase, shown.batch, material) if teacher is None else distillation(teacher, shown.drawn)
        total = loss_of(logits)
        for more in auxiliary:
            total = total + phase.auxiliary_weight * loss_of(more)
        return total

    def forward(images: Tensor) -> Any:
        with autocast_to(phase.precision, images.device):
            return state.network(images)

    state.optimizer.zero_grad(set_to_none=True)
    mean_loss = material.team.backward(forward, shown.batch.images, part, loss)
    state.optimizer.step()
    return mean_loss


def _loss_by_labels(phase: Phase, shown: Batch, material: Material) -> Callable[[Tensor], Tensor]:
    if material.multi_label:
        return lambda logits: multi_label_loss(logits, shown.labels, phase.label_smoothing)
    weights = class_weights(material.decoded.labels, material.classes, phase.balance)
    weights = None if weights is None else weights.to(material.device)
    return lambda logits: label_loss(logits, shown.labels, weights, phase.label_smoothing)


@torch.no_grad()
def _update_average(state: TrainingState, decay: float, *, steps: int) -> None:
    """Update the running average of the weights. It moves faster in early steps, so that it soon forgets random weights."""
    decay = min(decay, (1 + steps) / (10 + steps))
    average = dict(state.average.state_dict())
    current = state.network.state_dict()
    floats = [name for name, tensor in current.items() if tensor.is_floating_point()]
    torch._foreach_lerp_([average[name] for name in floats], [current[name] for name in floats], 1 - decay)
    for name, tensor in current.items():
        if not tensor.is_floating_point():
            average[name].copy_(tensor)


@torch.no_grad()
def recompute_statistics(network: nn.Module, batches: Iterable[Tensor], team: Team = ALONE) -> None:
    """Recompute the statistics of batch norm as the plain mean over ``batches``, float32 (N, 3, H, W).

    The averaged weights need their own statistics, which differ from an average of statistics. They are therefore recomputed
    before an epoch is evaluated, as in stochastic weight averaging (Izmailov et al. 2018, arXiv:1803.05407, section 3.2).
    Otherwise a short training would be evaluated and shipped with statistics of its first steps. In a team, each process has its
    own batches, and the mean is over all.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    taken = 0
    for taken, batch in enumerate(batches, start=1):  # noqa: B007 - read after the loop
        network(batch.to(device_of(network)))
    if team.size > 1:
        _average_statistics(norms, taken, team)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def _average_statistics(norms: Sequence[nn.BatchNorm2d], taken: int, team: Team) -> None:
    """Replace each process's statistics, the mean over its ``taken`` batches, by the mean over the batches of all processes."""
    total = float(team.summed(torch.tensor(float(taken))))
    for norm in norms:
        for own in (norm.running_mean, norm.running_var):
            if own is not None:
                own.copy_(team.summed(own.double() * taken) / total)
        if norm.num_batches_tracked is not None:
            team.summed(norm.num_batches_tracked)
