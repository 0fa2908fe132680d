"""Run the train stage: one training, or the rest of an interrupted one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.torch import load_file
from torch import nn

from edgecnn.data.cutouts import open_made
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network, head_of, parameter_count, replace_head
from edgecnn.training.beginning import (
    PreparedPhase,
    TrainingInputs,
    load_inherited,
    material_for,
    prepare_phase,
    pretrained_network,
    random_network,
    with_teacher,
)
from edgecnn.training.checkpoint import finish, is_finished, resume_folder, write_tensors
from edgecnn.training.heads import NAME as HEAD
from edgecnn.training.heads import Features, compute_features, head_removed, train_head
from edgecnn.training.history import BalanceFacts, BestFacts, History, PhaseFacts, tell_epochs
from edgecnn.training.loop import PhaseResult, best_file, run_phase
from edgecnn.training.losses import WEIGHTS
from edgecnn.training.material import Material
from edgecnn.training.memory import TrainingProcesses, within_memory
from edgecnn.training.parallel.torchrun import SharedJob, require_team, run_distributed
from edgecnn.training.process import gpu_name, moved_to_device, repeatable_on, torch_device
from edgecnn.training.schedule import Phase
from edgecnn.training.settings import TrainSettings
from edgecnn.values.arch import ArchSpec
from edgecnn.values.augmentation import mirrored_share
from edgecnn.values.scale import Inheritance
from edgecnn.values.stage import Progress
from edgecnn.values.synthesis import MadeShare
from edgecnn.values.training import TeacherFacts, TransferChoice

FACTS = "history.json"


class _Trained(NamedTuple):
    """Result of a training; the network has the resulting weights."""

    network: nn.Module
    phases: tuple[PhaseFacts, ...]
    best: BestFacts | None
    stopped: str
    summary: str | None = None
    """Sentence about the head for the history."""


def train(settings: TrainSettings, inputs: TrainingInputs, out: Path, tell: Progress) -> None:
    """Write ``weights.safetensors`` and ``history.json``, and delete ``resume/``.

    Raises TRAINING_DIVERGED, NOTHING_TO_TRAIN_ON, CLASSES_DIFFER: see ``TrainStage.make``.
    """
    if is_finished(out, FACTS):
        return
    spec, resume = arch_named(settings.arch), resume_folder(out)
    settings, transfer = _resolve_transfer(settings, inputs)
    if settings.mode != "finetune" or settings.transfer != "head":  # training the head alone uses one process
        require_team(settings, inputs)
    with repeatable_on(torch_device(settings.device), settings.threads) as not_repeatable:
        material = with_teacher(settings, inputs, material_for(settings, inputs, resume, tell))
        # The transfer artifact holds features of these images, unless composed images were added.
        material = material._replace(features=inputs.transfer if inputs.made is None else None)
        teacher = _teacher_facts(settings, material)
        if settings.mode == "finetune":
            course = _finetune(spec, settings, inputs, material)
        else:
            course = _train_whole(prepare_phase(settings, random_network(spec, settings, inputs)), settings, inputs, material)
        write_tensors(course.network.state_dict(), out / WEIGHTS)
    if not_repeatable:
        tell.note(f"the same bits may not come again: torch has no repeatable {', '.join(sorted(not_repeatable))} on a GPU")
    initial = _initial_weights(inputs if settings.mode != "scratch" else inputs._replace(weights=None))
    history = History(
        phases=course.phases,
        best=course.best,
        stopped=course.stopped,
        initial=initial,
        transfer=course.summary or transfer,
        inheritance=_inherited_share(settings, spec, inputs),
        teacher=teacher,
        made=_made_share(inputs, material),
        gpu=gpu_name(material.device),
        not_repeatable=tuple(sorted(not_repeatable)),
    )
    if settings.balance != "none":
        counts = np.bincount(material.decoded.labels, minlength=settings.classes)
        history = history.model_copy(update={"balance": BalanceFacts(how=settings.balance, images=tuple(counts.tolist()))})
    finish(out, FACTS, history.model_dump_json(indent=1) + "\n")


def _resolve_transfer(settings: TrainSettings, inputs: TrainingInputs) -> tuple[TrainSettings, str | None]:
    """Return the settings with the chosen transfer, and a sentence about the choice."""
    transfer = None if settings.mode == "scratch" or settings.transfer == "all" else f"transfer {settings.transfer}, as asked"
    if settings.mode == "finetune" and settings.transfer == "auto":
        if inputs.transfer is None:
            raise TypeError("transfer auto needs a transfer artifact")
        choice = TransferChoice.model_validate_json((inputs.transfer / "transfer.json").read_bytes())
        settings, transfer = settings.model_copy(update={"transfer": choice.chosen}), choice.sentence
    if settings.mode == "finetune" and settings.transfer == "scratch":
        terms = dict(settings.otherwise) if settings.otherwise else {}
        settings = settings.model_copy(update={"mode": "scratch", **terms})
    elif settings.transfer == "all" and settings.relearned is not None:
        settings = settings.model_copy(update={"mode": "inherit", **dict(settings.relearned)})
    return settings, transfer


def _teacher_facts(settings: TrainSettings, material: Material) -> TeacherFacts | None:
    if settings.teacher is None or material.teacher is None:
        return None
    with moved_to_device(material.device, material.teacher):
        return TeacherFacts(arch=settings.teacher.arch, validation_top1=material.validation.top1(material.teacher))


def _made_share(inputs: TrainingInputs, material: Material) -> MadeShare | None:
    if inputs.made is None:
        return None
    made = len(open_made(inputs.made).entries("train"))
    return MadeShare(made=made, photographs=len(material.decoded) - made)


def _initial_weights(inputs: TrainingInputs) -> dict[str, str | None]:
    if inputs.weights is None:
        return {"kind": "random", "sha256": None, "source": None}
    facts = json.loads((inputs.weights / "weights.json").read_text("utf-8"))
    return {"kind": "pretrained", "sha256": facts["sha256"], "source": facts["source"]}


def _inherited_share(settings: TrainSettings, spec: ArchSpec, inputs: TrainingInputs) -> Inheritance | None:
    """Return the inherited share of a scaled network, from a new initial network, since training changed the weights."""
    if spec.scale is None:
        return None
    network = build_network(spec, settings.classes, seed=settings.seed)
    if settings.mode == "scratch" or inputs.weights is None:
        return Inheritance(parameters=parameter_count(network), inherited=0)
    return load_inherited(network, spec, inputs.weights)


def _train_whole(begun: PreparedPhase, settings: TrainSettings, inputs: TrainingInputs, material: Material) -> _Trained:
    """Train the whole network in one phase."""
    result = _run_whole_phase(begun, settings, inputs, material)
    if result.best is not None:
        begun.network.load_state_dict(load_file(best_file(material.folder, begun.phase.name)))
    return _Trained(begun.network, (_phase_facts(begun.phase, result),), result.best, result.stopped)


def _phase_facts(phase: Phase, result: PhaseResult) -> PhaseFacts:
    return PhaseFacts(name=phase.name, precision=phase.precision, epochs=result.epochs)


def _run_whole_phase(
    begun: PreparedPhase, settings: TrainSettings, inputs: TrainingInputs, material: Material, to_beat: float = -1.0
) -> PhaseResult:
    """Run the phase of the whole network, in this process or in several."""
    network, head, phase, groups = begun
    with within_memory(network, phase, len(material.decoded), TrainingProcesses(settings.processes, material.device)):
        if settings.processes == 1 or phase.epochs == 0:
            return run_phase(network, head, phase, material._replace(groups=groups), to_beat=to_beat)
        shared = SharedJob(settings=settings, inputs=inputs, folder=material.folder, to_beat=to_beat)
        return run_distributed(shared, network, phase, material.tell)


def _fit_classical(network: nn.Module, spec: ArchSpec, settings: TrainSettings, features: Features) -> _Trained:
    """Fit a head by scikit-learn or nearest neighbours; no other layer is trained."""
    from edgecnn.training.heads import fit_head

    mirrored = mirrored_share(settings.augment) > 0
    fitted = fit_head(settings.head, features, settings.classes, mirrored=mirrored, seed=settings.seed)  # type: ignore[arg-type]
    if isinstance(fitted.head, nn.Linear):
        head_of(network, spec).load_state_dict(fitted.head.state_dict())
    else:
        replace_head(network, spec, fitted.head)
    best = BestFacts(phase=settings.head, epoch=0, validation_top1=fitted.validation_top1)
    return _Trained(network, (PhaseFacts(name=settings.head, epochs=()),), best, "fitted", fitted.summary)


def _finetune(spec: ArchSpec, settings: TrainSettings, inputs: TrainingInputs, material: Material) -> _Trained:
    network = pretrained_network(spec, settings.classes, settings.seed, inputs)
    if spec.beside:  # several heads are combined, so no head can be trained alone
        return _train_whole(prepare_phase(settings, network), settings, inputs, material)
    with head_removed(network, spec) as frozen:
        features = compute_features(frozen, material, spec, settings.preprocessing.pixels.crop_px)
    if settings.head != "linear":
        return _fit_classical(network, spec, settings, features)
    head = head_of(network, spec)
    of_head = train_head(head, features, settings)
    tell_epochs(material.tell, HEAD, of_head.epochs)
    if settings.transfer == "head":
        return _Trained(network, (PhaseFacts(name=HEAD, epochs=of_head.epochs),), of_head.best, of_head.stopped)
    begun = prepare_phase(settings, network)
    phase = begun.phase
    beaten = of_head.best.score if of_head.best else -1.0
    write_tensors(network.state_dict(), best_file(material.folder, HEAD))
    result = _run_whole_phase(begun, settings, inputs, material, to_beat=beaten)
    better = HEAD if result.best is None else phase.name
    network.load_state_dict(load_file(best_file(material.folder, better)))
    phases = (PhaseFacts(name=HEAD, epochs=of_head.epochs), _phase_facts(phase, result))
    return _Trained(network, phases, result.best or of_head.best, result.stopped)
