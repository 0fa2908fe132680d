"""Notes of a report: what a reader must know before trusting the table, and what did not run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgecnn.building.execute import Execution
from edgecnn.building.trained import history_of, made_images
from edgecnn.devices.emulated_machine import DEVICE as EMULATED_DEVICE
from edgecnn.errors.wording import counted, first_of, listed
from edgecnn.judging.accuracy import NO_LABELS
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race_request import TITLES
from edgecnn.measure.subject import Subject
from edgecnn.planning.request import BuildRequest
from edgecnn.planning.synthesis import synthesis_facts, synthesis_notices
from edgecnn.recipes.target import split_target
from edgecnn.results.explain import bench_command
from edgecnn.training.history import BestFacts
from edgecnn.values.artifact import Unavailable, WeightsAnswer
from edgecnn.values.base import utc_moment
from edgecnn.values.candidate import Candidate, Precision
from edgecnn.values.command import Command
from edgecnn.values.custom_model import CustomModel
from edgecnn.values.profile import NOT_TIMED
from edgecnn.values.report import Choice
from edgecnn.values.resolved import Resolved
from edgecnn.values.training import TeacherFacts

_NO_ACCURACY = (
    f"NO LABELS: {NO_LABELS}. Agreement with fp32 is not accuracy, because fp32 may be wrong on these images. Accuracy can have "
    "dropped by at most the share of predictions that differ"
)
ASK_AGAIN = "; --refresh-weights checks online again"


def measure_command(request: BuildRequest, choice: Choice, kits: Mapping[str, KitRef], *, raced: bool = False) -> str | None:
    """The command that measures the carried kits on the device and settles the choice. ``raced``: a race was tried already."""
    if choice.state != "provisional" or not any(name in kits for name in choice.carried):
        return None
    if not raced:
        return timing_command(request.out, request.device.name, request.command)
    where = () if request.host is None else (("--host", request.host.address),)
    return str(Command(verb=("bench",), parts=((str(request.out),), *where, ("--fresh",))))


def timing_command(folder: Path, device: str, made_by: Command) -> str:
    """The command that times a finished build. A build for the emulated machine is rebuilt for a real device instead.

    ``made_by``: the command of the build.
    """
    return _real_device_command(made_by) if device == EMULATED_DEVICE else bench_command(folder, device)


def _real_device_command(made_by: Command) -> str:
    """The command of a build for a device that the reader fills in, with another output folder."""
    _, runtime = split_target(made_by.value_of("--target") or "")
    target = "DEVICE" if runtime is None else f"DEVICE:{runtime}"
    command = (made_by or Command(verb=("build",))).to("build").without("--target", "--host", "--python", "--out")
    return str(command.adding(("--target", target), ("--host", "USER@DEVICE")))


def _not_pretrained(weights: WeightsAnswer) -> str:
    better = "" if weights.alternative is None else f"{weights.alternative.sentence}. Now "
    return f"NOT PRETRAINED: {better}{weights.why}" + (ASK_AGAIN if weights.asked else "")


def notices(subject: Subject, *, anew: str, execution: Execution | None = None) -> tuple[str, ...]:
    """Notes, the most important first.

    ``anew``: how to race again if a stored race was used. ``execution``: trained the network in this call, if any did.
    """
    resolved = subject.resolved
    sentences = []
    if resolved.weights.fell_back:
        sentences.append(_not_pretrained(resolved.weights))
    sentences += [] if resolved.data.labelled else [_NO_ACCURACY]
    sentences += _training_notices(resolved, execution)
    if not subject.attached and subject.evaluations:
        computed = "accuracy was" if resolved.data.labelled else "predictions were"
        unmeasured = f"{computed} computed here, and latency on the device is unknown{_measure_here(subject)}"
        sentences.append(f"{resolved.attachment.why}: {unmeasured}")
    elif subject.attached and not subject.timed:
        sentences.append(f"{resolved.attachment.why}: its predictions count, and the candidates were {NOT_TIMED}")
    sentences += _engine_notices(subject)
    sentences += _half_precision_notices(subject)
    stored = {purpose: result for purpose, result in subject.races.items() if result.reused}
    sentences += [f"{TITLES[purpose]}: {_age(result.observed_at)}; {anew}" for purpose, result in stored.items()]
    if subject.knobs is not None and subject.knobs.reused:
        sentences.append(f"{TITLES['knobs']}: {_age(subject.knobs.observed_at)}; {anew}")
    sentences += _desktop_gpu_notices(subject, anew)
    sentences += subject.lab.warnings
    sentences += subject.notes
    if resolved.data.grouping is not None:
        sentences.append(resolved.data.grouping.sentence)
    if resolved.data.copies:
        copies = counted(len(resolved.data.copies), "copy", "copies")
        sentences.append(f"excluded: {copies} of other images, {first_of(resolved.data.copies, 3)}")
    if resolved.data.skipped:
        sentences.append(f"skipped: {counted(len(resolved.data.skipped), 'file')}, {first_of(resolved.data.skipped, 3)}")
    return (*sentences, *_not_built(resolved.unavailable))


def _not_built(unavailable: Mapping[str, Unavailable]) -> list[str]:
    """One note for each reason."""
    names: dict[str, list[str]] = {}
    for name, outcome in unavailable.items():
        names.setdefault(outcome.words, []).append(name)
    return [f"not built: {', '.join(candidates)}: {words}" for words, candidates in names.items()]


def _engine_notices(subject: Subject) -> list[str]:
    twins = [
        kit for name, kit in subject.answering.items() if kit.stands_for is not None and (name, "test") in subject.evaluations
    ]
    if twins:
        return [
            "the accuracy of engines is emulated with kits for ONNX Runtime (report.json has both hashes). These kits "
            "have the device's weights and INT8 scales, and round activations to fp16 after each layer"
        ]
    return []


def _half_precision_notices(subject: Subject) -> list[str]:
    """A note for each half-precision kit that this machine computed in another precision, by its trace."""
    sentences = []
    for name, kit in subject.answering.items():
        half, traced = kit.candidate.precision, subject.residency.get(name)
        evaluated_here = not subject.attached and name not in subject.elsewhere and (name, "test") in subject.evaluations
        if half not in (Precision.FP16, Precision.BF16) or not evaluated_here or kit.stands_for is not None or traced is None:
            continue
        shares = {precision: share for precision, share in traced.mac_share.items() if precision in list(Precision) and share > 0}
        if traced.basis == "planned" or half in shares or not shares:
            continue
        arithmetic, unknown = (
            listed(sorted(shares, key=lambda precision: -shares[precision])),
            traced.mac_share.get("unknown", 0.0),
        )
        partly = f" ({100 * unknown:.1f} % of the multiply-adds in an unknown precision)" if unknown else ""
        sentences.append(
            f"accuracy of {name} was computed in {arithmetic}{partly}: it does not include the device's rounding to {half}"
        )
    return sentences


def _has_run(candidate: Candidate, subject: Subject) -> bool:
    """Whether the engine itself was evaluated, and not an emulated twin."""
    evaluated = subject.answering.get(candidate.id)
    return evaluated is not None and evaluated.stands_for is None and (candidate.id, "test") in subject.evaluations


def _quantized(custom: CustomModel) -> list[str]:
    if (form := custom.entry.quantized) is None:
        return []
    return [
        f"QUANTIZED ALREADY: the file is quantized ({form}). It is packaged and measured unchanged. Its loss of accuracy is not "
        "known, because the file does not hold the float network"
    ]


def _training_notices(resolved: Resolved, execution: Execution | None) -> list[str]:
    if resolved.custom_model is not None:
        return [*_quantized(resolved.custom_model), f"{resolved.weights.why}; {resolved.custom_model.why}"]
    sentences, balance = [], resolved.recipe.train.balance
    if resolved.data.origin == "demo":
        size, images = resolved.recipe.model.resolution_px, counted(resolved.training_images, "training image")
        sentences.append(
            f"demo: Fashion-MNIST at {size} px, {images}; its accuracy does not predict accuracy on ImageNet or on your images"
        )
    if balance != "none":
        sentences.append(f"every class has the same weight in training, whatever its size (train.balance = {balance!r})")
    sentences += synthesis_notices(resolved, synthesis_facts(resolved, None if execution is None else made_images(execution)))
    history = (None if execution is None else history_of(execution)) or {}
    sentences += _teacher_notices(resolved, history)
    sentences += _kept_epoch_notices(history)
    if (transfer := history.get("transfer")) is not None:
        sentences.append(transfer)
    rounded = {phase["precision"] for phase in history.get("phases", ()) if "precision" in phase}
    if rounded:  # auto may have trained only the head, in fp32
        sentences.append(f"training steps were computed in {', '.join(rounded)}; candidates were made from the fp32 weights")
    return sentences


def _teacher_notices(resolved: Resolved, history: Mapping[str, Any]) -> list[str]:
    """A note on the teacher and its accuracy. ``history`` is empty if nothing was trained."""
    teacher = resolved.teacher
    if teacher is None or not history:
        return []
    facts = TeacherFacts.model_validate(history["teacher"])
    first = f"the build {teacher.named}" if teacher.weights is None else "fine-tuned on these images first"
    return [
        f"the teacher was {facts.arch} ({first}): its predictions for the training images replaced their labels. It classifies "
        f"{facts.validation_top1:.1%} of the validation images correctly"
    ]


def _kept_epoch_notices(history: Mapping[str, Any]) -> list[str]:
    """A note on the epoch that the weights are from, if the best epoch was selected."""
    if history.get("best") is None:
        return []
    best, phases = BestFacts.model_validate(history["best"]), history["phases"]
    place = [phase["name"] for phase in phases].index(best.phase)
    later = [phase["name"] for phase in phases[place + 1 :] if phase["epochs"]]
    name, share = ("top-1", best.validation_top1) if best.validation_map is None else ("mAP", best.validation_map)
    if phases[place]["epochs"]:
        weights = f"the weights are from epoch {best.number} of phase {best.phase}"
    else:
        weights = f"the weights are from phase {best.phase}, which fits the head in one step"
    beaten = f"; no epoch of phase {' or '.join(later)} was better" if later else ""
    return [f"trained: {weights}, with {name} {share:.1%} on validation{beaten}; training stopped: {history['stopped']}"]


def _desktop_gpu_notices(subject: Subject, anew: str) -> list[str]:
    desktop, gpu = subject.desktop, subject.resolved.desktop_gpu
    if desktop is None or gpu is None:
        return []
    if (failed := desktop.failures.get(desktop.reference)) is not None:
        return [f"{gpu.model} could not run the desktop baseline: {failed.what}"]
    sentences = [f"{gpu.model} has no figures for {name}: {failed.what}" for name, failed in desktop.failures.items()]
    sentences += desktop.notes
    if (raced := desktop.races.get("baseline")) is not None and raced.reused:
        sentences.append(f"{TITLES['baseline']}: {_age(raced.observed_at)}; {anew}")
    return sentences


def unexecuted(subject: Subject, execution: Execution, carried: Sequence[str]) -> tuple[str, ...]:
    """Notes on engines that ship without having run here. ``carried``: the candidates that ship."""
    resolved = subject.resolved
    needing = [candidate for candidate in subject.candidates if candidate.needs_engine and candidate.id in carried]
    engines = [candidate.id for candidate in needing if not _has_run(candidate, subject)]
    if not engines:
        return ()
    names = ", ".join(engines)
    built = [name for name in engines if f"compile:{name}" in execution.artifacts]
    lines = [
        f"{names}: no engine ran here, because runner/sessions/tensorrt_gpu.py needs an NVIDIA GPU",
        f"{names}: the device builds the engine that it uses, with `edgecnn bench` or `python3 -m runner build-engine`",
    ]
    if built and resolved.builder:
        gpus = f"for the GPUs in build.json, not for {resolved.device.title}"
        lines.append(f"{', '.join(built)}: parsed and built ahead of time with {resolved.builder} {gpus}")
    elif any(candidate.builder_flags for candidate in subject.candidates):
        lines.append(f"{names}: unverified, only checked against the documented operators of TensorRT 8.5; no builder is here")
    else:
        lines.append(f'{names}: not parsed; `pip install "edgecnn[tensorrt-rtx]"` (Linux x86-64) installs a parser')
    return tuple(lines)


def _measure_here(subject: Subject) -> str:
    """How to measure this machine, if it has the device's instruction set."""
    here = subject.lab.environment.observed.get("architecture")
    return "; --target cpu measures this machine" if here == subject.resolved.device.processor.architecture else ""


def _age(observed_at: str) -> str:
    hours = (datetime.now(UTC) - utc_moment(observed_at)).total_seconds() / 3600
    return f"reused from {observed_at}, {hours:.1f} h old"
