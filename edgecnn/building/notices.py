"""Notices of a report: what a reader must know before relying on its figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgecnn.building.execute import Execution
from edgecnn.building.trained import composed_images_folder, history_of
from edgecnn.devices.emulated_machine import DEVICE as EMULATED_DEVICE
from edgecnn.errors.labels import MultiLabelNotFitting
from edgecnn.errors.training import FoldsNotFitting
from edgecnn.errors.wording import and_more, counted, first_of, listed
from edgecnn.judging.accuracy import NO_LABELS
from edgecnn.judging.channel_shift import LEAST_IMAGES, channel_shifts
from edgecnn.judging.judgement import learned_result, weakness_of, weakness_sentence
from edgecnn.judging.metrics import METRICS
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race_request import TITLES
from edgecnn.measure.subject import Subject
from edgecnn.planning.data_rules import require_fitting, require_foldable, synthesis_facts, synthesis_notices
from edgecnn.planning.request import BuildRequest
from edgecnn.results.explain import bench_command
from edgecnn.training.history import BestFacts, ranking_figure
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.base import utc_moment
from edgecnn.values.candidate import Method, Precision
from edgecnn.values.command import Command
from edgecnn.values.device import split_target
from edgecnn.values.figures import (
    Accuracy,
    CalibrationFacts,
    ChannelShift,
    ClassFigures,
    ClassReport,
    Folds,
    MultiLabelAccuracy,
)
from edgecnn.values.profile import NOT_TIMED
from edgecnn.values.report import CandidateFacts, Choice, Remedy
from edgecnn.values.resolved import Resolved
from edgecnn.values.training import TeacherFacts
from edgecnn.values.verdict import Fidelity, Interval, Verdict

_NO_ACCURACY = (
    f"NO LABELS: {NO_LABELS}. Agreement with fp32 is not accuracy, because fp32 may be wrong on these images. Accuracy can have "
    "dropped by at most the share of predictions that differ"
)
ASK_AGAIN = "; --refresh-weights checks online again"


def measure_command(request: BuildRequest, choice: Choice, kits: Mapping[str, KitRef], *, raced: bool = False) -> str | None:
    """Return the command that measures the carried kits on the device and settles the choice; None if no command can.

    ``raced``: a race was tried already, so the command asks for a new one.
    """
    if choice.state != "provisional" or not any(name in kits for name in choice.carried):
        return None
    if not raced:
        return timing_command(request.out, request.device.name, request.command)
    where = () if request.host is None else (("--host", request.host.address),)
    return str(Command(verb=("bench",), parts=((str(request.out),), *where, ("--fresh",))))


def timing_command(folder: Path, device: str, made_by: Command) -> str:
    """Return the command that times a finished build.

    For the emulated machine, this is a new build for a real device, which the reader fills in. ``made_by``: the build's command.
    """
    if device != EMULATED_DEVICE:
        return bench_command(folder, device)
    _, runtime = split_target(made_by.value_of("--target") or "")
    target = "DEVICE" if runtime is None else f"DEVICE:{runtime}"
    command = (made_by or Command(verb=("build",))).to("build").without("--target", "--host", "--python", "--out")
    return str(command.adding(("--target", target), ("--host", "USER@DEVICE")))


def notices(subject: Subject, *, anew: str, execution: Execution | None = None) -> tuple[str, ...]:
    """Return notes on weights, training, engines, precision, stored races and skipped images, the most important first.

    ``anew``: how to race again if a stored race was used. ``execution``: of the training; None if this call trained nothing.
    """
    resolved, weights = subject.resolved, subject.resolved.weights
    sentences = []
    if weights.fell_back:
        better = "" if weights.alternative is None else f"{weights.alternative.sentence}. Now "
        sentences.append(f"NOT PRETRAINED: {better}{weights.why}{ASK_AGAIN if weights.asked else ''}")
    sentences += [] if resolved.data.labelled else [_NO_ACCURACY]
    sentences += _training_notices(resolved, execution)
    if not subject.attached and subject.evaluations:
        computed = "accuracy was" if resolved.data.labelled else "predictions were"
        alike = subject.lab.environment.observed.get("architecture") == resolved.device.processor.architecture
        measure_here = "; --target cpu measures this machine" if alike else ""
        sentences.append(
            f"{resolved.attachment.why}: {computed} computed here, and latency on the device is unknown{measure_here}"
        )
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
    names_by_reason: dict[str, list[str]] = {}
    for name, outcome in resolved.unavailable.items():
        names_by_reason.setdefault(outcome.words, []).append(name)
    sentences += [f"not built: {', '.join(names)}: {reason}" for reason, names in names_by_reason.items()]
    return tuple(sentences)


def _engine_notices(subject: Subject) -> list[str]:
    if not any(kit.stands_for is not None and (name, "test") in subject.evaluations for name, kit in subject.answering.items()):
        return []
    return [
        "the accuracy of engines is emulated with kits for ONNX Runtime (report.json has both hashes). These kits "
        "have the device's weights and INT8 scales, and round activations to fp16 after each layer"
    ]


def _half_precision_notices(subject: Subject) -> list[str]:
    """Return a note for each half-precision kit that this machine computed in another precision, according to its trace."""
    sentences = []
    for name, kit in subject.answering.items():
        half, traced = kit.candidate.precision, subject.residency.get(name)
        evaluated_here = not subject.attached and name not in subject.elsewhere and (name, "test") in subject.evaluations
        if half not in (Precision.FP16, Precision.BF16) or not evaluated_here or kit.stands_for is not None or traced is None:
            continue
        shares = {precision: share for precision, share in traced.mac_share.items() if precision in list(Precision) and share > 0}
        if traced.basis == "planned" or half in shares or not shares:
            continue
        arithmetic = listed(sorted(shares, key=lambda precision: -shares[precision]))
        unknown = traced.mac_share.get("unknown", 0.0)
        partly = f" ({100 * unknown:.1f} % of the multiply-adds in an unknown precision)" if unknown else ""
        sentences.append(
            f"accuracy of {name} was computed in {arithmetic}{partly}: it does not include the device's rounding to {half}"
        )
    return sentences


def _training_notices(resolved: Resolved, execution: Execution | None) -> list[str]:
    sentences, balance = list[str](), resolved.recipe.train.balance
    if (custom := resolved.custom_model) is not None:
        if (form := custom.entry.quantized) is not None:
            sentences.append(
                f"QUANTIZED ALREADY: the file is quantized ({form}). It is packaged and measured unchanged. Its loss of accuracy "
                "is not known, because the file does not hold the float network"
            )
        return [*sentences, f"{resolved.weights.why}; {custom.why}"]
    if resolved.data.origin == "demo":
        size, images = resolved.recipe.model.resolution_px, counted(resolved.training_images, "training image")
        sentences.append(
            f"demo: Fashion-MNIST at {size} px, {images}; its accuracy does not predict accuracy on ImageNet or on your images"
        )
    if balance != "none":
        sentences.append(f"every class has the same weight in training, whatever its size (train.balance = {balance!r})")
    sentences += synthesis_notices(
        resolved, synthesis_facts(resolved, None if execution is None else composed_images_folder(execution))
    )
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
    """Return a note on the teacher and its accuracy. ``history`` is empty if nothing was trained."""
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
    """Return a note on the epoch of the weights, if training selected one, and on the best epochs of the other phases."""
    if history.get("best") is None:
        return []
    best, phases = BestFacts.model_validate(history["best"]), history["phases"]
    place = [phase["name"] for phase in phases].index(best.phase)
    figure, share = ranking_figure(best), best.score
    name = {"validation_map": "mAP", "validation_recall": "mean recall", "validation_top1": "top-1"}[figure]
    if phases[place]["epochs"]:
        weights = f"the weights are from epoch {best.number} of phase {best.phase}"
    else:
        weights = f"the weights are from phase {best.phase}, which fits the head in one step"
    higher, later = [], []
    for index, phase in enumerate(phases):
        figures = {facts["epoch"] + 1: facts[figure] for facts in phase["epochs"] if facts.get(figure) is not None}
        number = max(figures, key=figures.__getitem__, default=None)
        if number is not None and figures[number] > share:
            higher.append(f"epoch {number} of phase {phase['name']} has {figures[number]:.1%}")
        elif number is not None and index > place:
            later.append(f"; the best epoch of phase {phase['name']} has {figures[number]:.1%}")
    chance = f"; {' and '.join(higher)}, and differences this small can be chance" if higher else ""
    compared = "".join(later) + chance
    return [f"trained: {weights}, with {name} {share:.1%} on validation{compared}; training stopped: {history['stopped']}"]


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


def unexecuted_engine_notices(subject: Subject, execution: Execution, carried: Sequence[str]) -> tuple[str, ...]:
    """Return notes on engines that ship without having run here. ``carried``: the candidates that ship."""
    resolved = subject.resolved
    evaluated = {
        name for name, kit in subject.answering.items() if kit.stands_for is None and (name, "test") in subject.evaluations
    }
    needing = [candidate.id for candidate in subject.candidates if candidate.needs_engine and candidate.id in carried]
    engines = [name for name in needing if name not in evaluated]
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


def _age(observed_at: str) -> str:
    hours = (datetime.now(UTC) - utc_moment(observed_at)).total_seconds() / 3600
    return f"reused from {observed_at}, {hours:.1f} h old"


def random_weights_text(resolved: Resolved) -> str:
    """Return that training starts from random weights, although pretrained ones were wanted, and what is better."""
    better = resolved.weights.alternative
    instead = f"the reason is {resolved.weights.lacking}" if better is None else better.sentence
    return f"NOT PRETRAINED: {resolved.arch.name} starts from random weights, so its accuracy will be low; {instead}"


def weak_notices(subject: Subject, rows: Sequence[CandidateFacts]) -> tuple[str, ...]:
    """Return one sentence if the accuracy of the chosen candidate is weak. If none was chosen, fp32 counts."""
    shown = next((row for row in rows if row.chosen), None) or next((row for row in rows if row.is_baseline), None)
    weak = None if shown is None else weakness_of(shown)
    if shown is None or weak is None:
        return ()
    return (f"{weakness_sentence(shown.candidate.id, weak)}; {remedy_for(subject.resolved).sentence}",)


def weak_remedy(subject: Subject, rows: Sequence[CandidateFacts]) -> Remedy | None:
    """Return the remedy if the chosen candidate is weak or is not shown to have learned; None if it is neither."""
    shown = next((row for row in rows if row.chosen), None)
    if shown is None or (learned_result(shown.gates) is None and weakness_of(shown) is None):
        return None
    return remedy_for(subject.resolved)


def remedy_for(resolved: Resolved) -> Remedy:
    """Return the change to the build's command that is most likely to improve a weak network."""
    train, weights, is_scratch = resolved.recipe.train, resolved.weights, resolved.asked.train.transfer == "scratch"
    if resolved.mode == "custom":
        return Remedy(cause="custom-model")
    if resolved.mode == "kept":
        return Remedy(cause="kept-head", without=("--keep-head",))
    if resolved.mode == "scratch":
        if weights.pretrained:
            return Remedy(cause="weights-not-used", options=(("--transfer", "all"),))
        if (better := weights.alternative) is not None:
            transfer = (("--transfer", "all"),) if is_scratch else ()
            if better.arch == resolved.arch.name:
                return Remedy(cause="random-weights", arch=better.arch, options=(("--weights", "imagenet"), *transfer))
            auto = (("--weights", "auto"),) if weights.choice == "none" and not transfer else ()
            options = (("--arch", better.arch), *auto, *transfer)
            return Remedy(cause="random-weights", arch=better.arch, options=options)
    if not train.epochs:  # only the head learned
        return Remedy(cause="head-only", options=(("--transfer", "all"),))
    return Remedy(cause="short-training", options=(("--set", f"train.epochs={2 * train.epochs}"),))


FEW_IMAGES = 1000
"""Images of all roles. With more images, the size of the test split seldom leaves a verdict open."""
DROPS_SHOWN = 3
"""Notes on drops; report.json has all of them."""
FOLDS_TO_ADVISE = 5
"""Number of folds to advise: each network then trains on as many images as with a test split of a fifth."""


def fold_notices(rows: Sequence[CandidateFacts], weights: WeightsAnswer) -> tuple[str, ...]:
    """Return notes on cross-validation or, without it, on groups of images. ``weights``: the initial weights of training."""
    baseline = next((row for row in rows if row.is_baseline and row.test is not None and row.test.folds is not None), None)
    if baseline is None or baseline.test is None or baseline.test.folds is None:
        return _group_notices(rows)
    folds = baseline.test.folds
    sentences = [
        f"CROSS-VALIDATION: accuracy was measured on {baseline.test.images:,} test images in {len(folds.each)} folds. "
        "Each image was classified by a network that was not trained on it. The first fold's network ships. "
        "Validation images are not among the test images. Intervals assume that the networks' accuracies are normally "
        "distributed. If one network failed, read the figures by fold",
        f"{baseline.candidate.id} by fold: top-1 {', '.join(f'{fold.right / fold.images:.1%}' for fold in folds.each)}"
        f"{_spread(folds.top1_effect, baseline.test)}",
    ]
    if weights.kind == "file":
        sentences.append("the training images of the weights file are unknown: if they include test images, accuracy is too high")
    compared = sorted((row for row in rows if not row.is_baseline), key=lambda row: not row.chosen)
    drops = [_drop_sentence(row.candidate.id, row.test, row.test.folds) for row in compared if row.test and row.test.folds]
    sentences += drops[:DROPS_SHOWN]
    return tuple(sentences)


def _drop_sentence(name: str, test: Accuracy, folds: Folds) -> str:
    by_fold = ", ".join(
        "+0.0" if fold.lost is None or fold.gained is None else f"{100 * (fold.lost - fold.gained) / fold.images:+.1f}"
        for fold in folds.each
    )
    alone = "" if folds.alone_drop_pp is None else f"; in the first fold: {_points(folds.alone_drop_pp)}"
    together = "" if test.drop_pp is None else f" {_points(test.drop_pp)}"
    worth = f", as if the first fold had about {folds.worth_images:,} more test images" if folds.worth_images > 0 else ""
    return f"drop of {name}:{together} over all folds{worth}{alone}; by fold: {by_fold} pp{_spread(folds.drop_effect, test)}"


def _group_notices(rows: Sequence[CandidateFacts]) -> tuple[str, ...]:
    for row in rows:
        figures = row.test or row.multi_label
        if row.is_baseline and isinstance(figures, MultiLabelAccuracy) and figures.groups is not None:
            worth = f"mAP of {row.candidate.id} is as certain as with {figures.trials:,.0f} independent images"
            return (f"{_grouped(figures.images, figures.groups)}: {worth}",)
        if row.is_baseline and row.test is not None and row.test.groups is not None:
            groups = _grouped(row.test.images, row.test.groups.groups)
            images, most = row.test.images / row.test.top1_effect, row.test.independent_at_most
            worth = f"{images:,.0f} independent images" + (f"; a PASS counts them as only {most:,.0f}" if most < images else "")
            return (f"{groups}: top-1 of {row.candidate.id} is as certain as with {worth}",)
        if row.agreement is not None and row.agreement.groups is not None:
            return (_grouped(row.agreement.images, row.agreement.groups),)
    return ()


def _grouped(images: int, groups: int) -> str:
    return f"GROUPS: the {images:,} test images form {counted(groups, 'group')} of similar images, and intervals allow for that"


def _points(drop: Interval) -> str:
    return f"{drop.estimate:+.2f} pp [{drop.low:+.2f}, {drop.high:+.2f}]"


def _spread(effect: float, test: Accuracy) -> str:
    effect, to = max(effect, test.images / test.independent_at_most), "" if test.groups is None else "up to "
    if effect <= 1:
        return ""
    return f" (the interval is {to}{effect**0.5:.2f} times as wide, because folds or groups differ more than single images)"


def folds_advice(resolved: Resolved, rows: Sequence[CandidateFacts]) -> tuple[str, ...]:
    """Return a note that advises folds, if a gate on accuracy is UNSURE and there are few images."""
    chosen = next((row for row in rows if row.chosen), None)
    with_folds = resolved.asked.model_copy(update={"train": resolved.asked.train.model_copy(update={"folds": FOLDS_TO_ADVISE})})
    try:
        require_foldable(with_folds)
        require_fitting(with_folds, resolved.data)
    except (FoldsNotFitting, MultiLabelNotFitting):
        return ()
    images, trained = sum(resolved.data.counts.values()), resolved.mode in ("finetune", "inherit", "scratch")
    if chosen is None or not trained or resolved.folds or images >= FEW_IMAGES or resolved.data.own_roles:
        return ()
    is_open = any(gate.verdict is Verdict.UNSURE and METRICS[gate.gate.metric].source == "accuracy" for gate in chosen.gates)
    if not is_open:
        return ()
    tested = resolved.data.counts["test"]
    return (
        f"accuracy is judged on {tested:,} of {images:,} images; --set train.folds={FOLDS_TO_ADVISE} trains {FOLDS_TO_ADVISE} "
        f"networks in about {FOLDS_TO_ADVISE} times the time, and tests on all images except validation images",
    )


LOSSES_SHOWN = 5
"""Sentences on classes of one candidate. If it loses on more, the whole candidate is broken, and one sentence names the rest."""
NAMES_SHOWN = 10
"""Names of classes in one sentence; report.json has all of them."""


def class_notices(rows: Iterable[CandidateFacts]) -> tuple[str, ...]:
    """Return a sentence for each class with a significant loss, the largest first, and one on classes with too few images."""
    measured = [(row.candidate.id, row.test, row.test.quality.classes) for row in rows if row.test and row.test.quality]
    losses = [sentence for name, test, classes in measured for sentence in _loss_sentences(name, test, classes)]
    compared = next((classes for _, _, classes in measured if classes.compared), None)
    small = [] if compared is None else compared.too_small()
    if compared is not None and small:
        units = {"image": "test images", "group": "groups of test images", "fold": "folds"}[compared.unit]
        have = f"{counted(len(small), 'class has', 'classes have')} fewer than {compared.lost_to_show} {units}"
        losses.append(f"{have}, too few to be sure that a loss would show: {_names(small)}")
    return tuple(losses)


def _loss_sentences(candidate: str, test: Accuracy, classes: ClassReport) -> list[str]:
    shown = classes.shown()
    where = " (emulated)" if test.fidelity is Fidelity.EMULATED else ""
    of = f" of {classes.candidates} candidates" if classes.candidates > 1 else ""
    over = f"significant after Holm correction across {counted(classes.compared, 'class', 'classes')}{of}"
    sentences = [
        # Without the interval of the class, which is not valid for a class that was selected by its loss.
        f"{candidate} loses {lost.drop_pp.estimate:.1f} pp{where} on class {lost.name!r} ({_images_and_units(lost)}), {over}"
        for lost in shown[:LOSSES_SHOWN]
        if lost.drop_pp is not None
    ]
    if further := shown[LOSSES_SHOWN:]:
        more = counted(len(further), "further class", "further classes")
        sentences.append(f"{candidate} loses on {more}{where}, {over}: {_names(further)}")
    return sentences


def _images_and_units(lost: ClassFigures) -> str:
    images = counted(lost.images, "image")
    if (units := lost.units) is None:
        return images
    return f"{images} in {counted(units.count, units.kind)}, of which {units.lost:,} lose and {units.gained:,} gain"


def _names(classes: Iterable[ClassFigures]) -> str:
    names = [repr(figures.name) for figures in classes]
    return ", ".join(names[:NAMES_SHOWN]) + and_more(len(names), NAMES_SHOWN)


VALIDATION_AT_MOST = 2000
"""Evenly spaced validation images that are compared. More images would only reveal differences too small to matter."""


def calibration_facts(execution: Execution) -> CalibrationFacts | None:
    """Return facts on the calibration images; None if the build has no INT8 candidate or did not prepare images."""
    import numpy as np

    from edgecnn.runtimes.job import calibration_classes, calibration_pixels

    prepared, resolved = execution.artifacts.get("prepare"), execution.plan.resolved
    images = resolved.recipe.quantize.images
    calibrated = any(
        not candidate.precision.is_float and candidate.method is not Method.ORIGINAL for candidate in execution.candidates
    )
    if prepared is None or images is None or not calibrated:
        return None
    pixels = prepared.folder / "calibration.pixels.npy"
    if not pixels.is_file() or len(np.load(pixels, mmap_mode="r")) < images:  # too few: every INT8 candidate failed
        return None
    validation = np.load(prepared.folder / "validation.pixels.npy", mmap_mode="r")
    compared = min(len(validation), VALIDATION_AT_MOST)
    shifts = channel_shifts(
        calibration_pixels(prepared.folder, images), validation[np.arange(compared) * len(validation) // compared]
    )
    return CalibrationFacts(
        images=images,
        classes=calibration_classes(prepared.folder, images),
        classes_of=len(resolved.data.classes),
        compared=shifts is not None,
        shifts=shifts or (),
    )


def calibration_notices(facts: CalibrationFacts | None) -> tuple[str, ...]:
    """Return notes on calibration images that may not represent the data."""
    if facts is None:
        return ()
    if facts.images == 1:
        return (
            "CALIBRATION ON A SINGLE IMAGE: INT8 ranges fit only that image, so others may be clipped; raise quantize.images",
        )
    sentences = []
    if facts.classes == 1 and facts.classes_of > 1:
        sentences.append(
            f"CALIBRATION ON ONE CLASS of {facts.classes_of}: all {facts.images:,} calibration images show it, "
            "and INT8 ranges fit only it; raise quantize.images, or data.calibration_images"
        )
    if facts.shifts:
        sentences.append(
            f"CALIBRATION IMAGES DIFFER from the validation images: {_shifts(facts.shifts)}; "
            "INT8 ranges may not fit the validation images"
        )
    elif not facts.compared:
        sentences.append(
            f"INT8 ranges come from {facts.images} calibration images. With fewer than {LEAST_IMAGES} "
            "calibration or validation images, their channels cannot be compared"
        )
    return tuple(sentences)


def _shifts(shifts: Sequence[ChannelShift]) -> str:
    """Return the largest shift of each statistic. The three channels of a grey image would repeat it."""
    words = {"level": "mean", "contrast": "spread inside an image", "variety": "spread between images"}
    largest = {shift.statistic: shift for shift in sorted(shifts, key=lambda shift: abs(shift.spreads))}
    return "; ".join(
        f"{words[name]} of {shift.channel} {shift.calibration:.0f} against {shift.validation:.0f} (of 255; "
        f"{abs(shift.spreads):.1f} times the spread between images)"
        for name, shift in largest.items()
    )
