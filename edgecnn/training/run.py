"""One training from beginning to end, or from where a killed one stopped: the files of the train stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from edgecnn.data.images import open_source
from edgecnn.errors.training import ClassesDiffer, NothingToTrainOn
from edgecnn.models.catalogue import arch_named
from edgecnn.models.compound import base_name
from edgecnn.models.families.inheritance import inherit
from edgecnn.models.networks import build_network, head_of, parameter_count, read_weights, replace_head
from edgecnn.training import finetune, scratch
from edgecnn.training.checkpoint import write_tensors
from edgecnn.training.features import Features, compute_features, without_head
from edgecnn.training.groups import freeze_all_but_last, learning_groups
from edgecnn.training.head import NAME as HEAD
from edgecnn.training.head import train_head
from edgecnn.training.history import BalanceFacts, BestFacts, History, PhaseFacts
from edgecnn.training.loader import Squares
from edgecnn.training.loop import Material, best_file, run_phase
from edgecnn.training.machine import repeatable
from edgecnn.training.memory import within_memory
from edgecnn.training.resuming import begin, finish, is_made
from edgecnn.training.settings import TrainSettings
from edgecnn.training.teacher import WEIGHTS, taught_by
from edgecnn.training.validation import ChoosePixels
from edgecnn.values.arch import ArchSpec
from edgecnn.values.augmentation import mirrored_share
from edgecnn.values.preprocessing import Preprocessing
from edgecnn.values.scale import Inheritance
from edgecnn.values.stage import Progress
from edgecnn.values.teacher import TeacherFacts
from edgecnn.values.transfer import TransferChoice


class Shown(Protocol):
    """What settings say of the images, whatever is learned from them."""

    @property
    def classes(self) -> int:
        """How many there are to be."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How pixels become the network's input."""


FACTS = "history.json"


class TrainingInputs(NamedTuple):
    """Where a training reads from."""

    images: Path
    """A data manifest."""
    pixels: Path
    """A prepare artifact."""
    weights: Path | None
    """A fetch artifact; None from scratch."""
    transfer: Path | None = None
    """A transfer artifact, where the choice was left to it."""
    teacher: Path | None = None
    """A train artifact, of the network whose answers are learned in place of labels."""


class _Course(NamedTuple):
    """What a mode of training came to; the network holds the result."""

    network: nn.Module
    phases: tuple[PhaseFacts, ...]
    best: BestFacts | None
    stopped: str
    said: str | None = None
    """What the history says of the head."""


def train(settings: TrainSettings, inputs: TrainingInputs, out: Path, tell: Progress) -> None:
    """Write ``weights.safetensors`` and ``history.json``; ``resume/`` in ``out`` is gone afterwards.

    Raises:
        TrainingDiverged, NothingToTrainOn, ClassesDiffer: see ``TrainStage.make``.
    """
    if is_made(out, FACTS):
        return
    spec, resume = arch_named(settings.arch), begin(out)
    settings, said = _settled(settings, inputs)
    with repeatable():
        material = _taught(settings, inputs, material_for(settings, inputs, resume, tell))._replace(features=inputs.transfer)
        run = _from_weights if settings.mode == "finetune" else _from_scratch
        taught = _teacher_facts(settings, material)
        course = run(spec, settings, inputs, material)
        write_tensors(course.network.state_dict(), out / WEIGHTS)
    initial = _initial(inputs if settings.mode != "scratch" else inputs._replace(weights=None))
    history = History(
        phases=course.phases,
        best=course.best,
        stopped=course.stopped,
        initial=initial,
        transfer=course.said or said,
        inheritance=_inheritance(settings, spec, inputs),
        teacher=taught,
    )
    if settings.balance != "none":
        counts = np.bincount(material.squares.labels, minlength=settings.classes)
        history = history.model_copy(update={"balance": BalanceFacts(how=settings.balance, images=tuple(counts.tolist()))})
    finish(out, FACTS, history.model_dump_json(indent=1) + "\n")


def _settled(settings: TrainSettings, inputs: TrainingInputs) -> tuple[TrainSettings, str | None]:
    """The settings with the transfer that was chosen or forced, and what there is to say of it."""
    said = None if settings.mode == "scratch" or settings.transfer == "all" else f"transfer {settings.transfer}, as asked"
    if settings.mode == "finetune" and settings.transfer == "auto":
        if inputs.transfer is None:
            raise TypeError("transfer auto needs a transfer artifact")
        choice = TransferChoice.model_validate_json((inputs.transfer / "transfer.json").read_bytes())
        settings, said = settings.model_copy(update={"transfer": choice.chosen}), choice.sentence
    if settings.mode == "finetune" and settings.transfer == "scratch":
        terms = dict(settings.otherwise) if settings.otherwise else {}
        settings = settings.model_copy(update={"mode": "scratch", **terms})
    return settings, said


def material_for(settings: Shown, inputs: TrainingInputs, resume: Path, tell: Progress) -> Material:
    """The training images, decoded into ``resume`` unless they are there, and the images that judge.

    Raises:
        NothingToTrainOn, ClassesDiffer: the images are not those that were planned for.
    """
    source = open_source(inputs.images)
    if len(source.classes) != settings.classes:
        raise ClassesDiffer(planned=settings.classes, found=len(source.classes))
    choose = ChoosePixels(inputs.pixels, settings.preprocessing.normalization)
    pixels = settings.preprocessing.pixels
    entries = source.entries("train")
    for role, count in (("train", len(entries)), ("choose", len(choose))):
        if count == 0:
            raise NothingToTrainOn(role=role)
    squares = Squares(source, entries, side_px=max(pixels.resize_px, pixels.crop_px), interpolation=pixels.interpolation)
    squares.hold(resume / "squares.npy", tell)
    return Material(squares, choose, resume, tell, settings.classes)


def _taught(settings: TrainSettings, inputs: TrainingInputs, material: Material) -> Material:
    """With the teacher where there is one."""
    if settings.teacher is None:
        return material
    theirs = settings.preprocessing.normalization
    return material._replace(teacher=taught_by(settings.teacher, settings.classes, inputs.teacher, theirs))


def _teacher_facts(settings: TrainSettings, material: Material) -> TeacherFacts | None:
    if settings.teacher is None or material.teacher is None:
        return None
    return TeacherFacts(arch=settings.teacher.arch, choose_top1=material.choose.top1(material.teacher))


def _initial(inputs: TrainingInputs) -> dict[str, str | None]:
    if inputs.weights is None:
        return {"kind": "random", "sha256": None, "source": None}
    facts = json.loads((inputs.weights / "weights.json").read_text("utf-8"))
    return {"kind": "pretrained", "sha256": facts["sha256"], "source": facts["source"]}


def pretrained(spec: ArchSpec, classes: int, seed: int, inputs: TrainingInputs) -> nn.Module:
    """The network with the weights that were fetched, and a new last layer.

    Raises:
        TypeError: there are no weights.
        WeightsUnreadable, WeightsDoNotFit: see ``read_weights``.
    """
    if inputs.weights is None:
        raise TypeError("fine-tuning needs weights")
    network = build_network(spec, classes, seed=seed)
    _inherit(network, spec, inputs.weights)
    finetune.prepare_network(network)
    return network.to(memory_format=torch.channels_last)


def _inherit(network: nn.Module, spec: ArchSpec, weights: Path) -> Inheritance:
    """Put into the network what the starting weights have of it, all where it was not scaled. Last layers stay new."""
    base = arch_named(base_name(spec.name))
    return inherit(network, spec, base, read_weights(base, weights / WEIGHTS))


def _inheritance(settings: TrainSettings, spec: ArchSpec, inputs: TrainingInputs) -> Inheritance | None:
    """What is written down of a scaled network; it begins anew as training did, whose weights have changed since."""
    if spec.scale is None:
        return None
    network = build_network(spec, settings.classes, seed=settings.seed)
    if settings.mode == "scratch" or inputs.weights is None:
        return Inheritance(parameters=parameter_count(network), inherited=0)
    return _inherit(network, spec, inputs.weights)


def _from_scratch(spec: ArchSpec, settings: TrainSettings, inputs: TrainingInputs, material: Material) -> _Course:
    """Of random weights, or in mode ``inherit`` of what a scaled network has of the unscaled one's."""
    network = build_network(spec, settings.classes, seed=settings.seed)
    scratch.prepare_network(network, settings)  # first, since it may begin layers anew
    if settings.mode == "inherit":
        if inputs.weights is None:
            raise TypeError("inheriting needs weights")
        _inherit(network, spec, inputs.weights)
    phase = scratch.scratch_phase(settings)
    with within_memory(network, phase, len(material.squares)):
        result = run_phase(network, head_of(network, spec), phase, material)
    if result.best is not None:
        network.load_state_dict(load_file(best_file(material.folder, phase)))
    return _Course(network, (PhaseFacts(name=phase.name, epochs=result.epochs),), result.best, result.stopped)


def _classical(network: nn.Module, spec: ArchSpec, settings: TrainSettings, features: Features) -> _Course:
    """A head that is fitted and not descended to; nothing before it learns."""
    from edgecnn.training.classical import fit

    mirrored = mirrored_share(settings.augment) > 0
    fitted = fit(settings.head, features, settings.classes, mirrored=mirrored, seed=settings.seed)  # type: ignore[arg-type]
    if isinstance(fitted.head, nn.Linear):
        head_of(network, spec).load_state_dict(fitted.head.state_dict())
    else:
        replace_head(network, spec, fitted.head)
    best = BestFacts(phase=settings.head, epoch=0, choose_top1=fitted.choose_top1)
    return _Course(network, (PhaseFacts(name=settings.head, epochs=()),), best, "fitted", fitted.said)


def _from_weights(spec: ArchSpec, settings: TrainSettings, inputs: TrainingInputs, material: Material) -> _Course:
    network = pretrained(spec, settings.classes, settings.seed, inputs)
    with without_head(network, spec.head) as frozen:
        features = compute_features(frozen, material, settings.preprocessing.pixels.crop_px)
    if settings.head != "linear":
        return _classical(network, spec, settings, features)
    head = head_of(network, spec)
    of_head = train_head(head, features, settings)
    if settings.transfer == "head":
        return _Course(network, (PhaseFacts(name=HEAD, epochs=of_head.epochs),), of_head.best, of_head.stopped)
    beside = [network.get_submodule(name) for name in spec.auxiliary.heads] if spec.auxiliary else []
    if settings.transfer == "last":
        freeze_all_but_last(network, head, beside)
    if settings.unfreeze == "groups":
        material = material._replace(groups=learning_groups(network, head, beside))
    phase = finetune.finetune_phase(settings)
    beaten = of_head.best.standing if of_head.best else -1.0
    head_alone = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with within_memory(network, phase, len(material.squares)):
        result = run_phase(network, head, phase, material, to_beat=beaten)
    network.load_state_dict(head_alone if result.best is None else load_file(best_file(material.folder, phase)))
    phases = (PhaseFacts(name=HEAD, epochs=of_head.epochs), PhaseFacts(name=phase.name, epochs=result.epochs))
    return _Course(network, phases, result.best or of_head.best, result.stopped)
