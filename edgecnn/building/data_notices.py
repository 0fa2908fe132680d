"""Sentences about classes: which were shown to lose, and of which nothing could be shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgecnn.building.execute import Execution
from edgecnn.errors.wording import and_more, counted
from edgecnn.judging.channel_shift import LEAST_IMAGES, channel_shifts
from edgecnn.values.candidate import Method
from edgecnn.values.figures import Accuracy, CalibrationFacts, ChannelShift, ClassFigures, ClassReport
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity

SENTENCES = 5
"""Of one candidate: where more classes are lost it is broken altogether, and the rest is told in one."""
NAMES = 10
"""In one sentence; report.json has all of them."""


def class_notices(rows: Iterable[CandidateFacts]) -> tuple[str, ...]:
    """One sentence for each class that a candidate was shown to lose on, the largest loss first; then the classes too small."""
    measured = [(row.candidate.id, row.test, row.test.quality.classes) for row in rows if row.test and row.test.quality]
    losses = [sentence for name, test, classes in measured for sentence in _lost(name, test, classes)]
    compared = next((classes for _, _, classes in measured if classes.compared), None)
    return (*losses, *_too_small(compared)) if compared is not None else tuple(losses)


def _lost(candidate: str, test: Accuracy, classes: ClassReport) -> list[str]:
    shown = classes.shown()
    where = " (emulated)" if test.fidelity is Fidelity.EMULATED else ""
    of = f" of {classes.candidates} candidates" if classes.candidates > 1 else ""
    over = f"significant after Holm correction across {counted(classes.compared, 'class', 'classes')}{of}"
    sentences = [
        # Without the interval of the class, which does not hold of one that was selected because it loses.
        f"{candidate} loses {lost.drop_pp.estimate:.1f} pp{where} on class {lost.name!r} ({_counted(lost)}), {over}"
        for lost in shown[:SENTENCES]
        if lost.drop_pp is not None
    ]
    if further := shown[SENTENCES:]:
        more = counted(len(further), "further class", "further classes")
        sentences.append(f"{candidate} loses on {more}{where}, {over}: {_names(further)}")
    return sentences


def _counted(lost: ClassFigures) -> str:
    images = counted(lost.images, "image")
    if (units := lost.units) is None:
        return images
    return f"{images} in {counted(units.count, units.kind)}, of which {units.lost:,} lose and {units.gained:,} gain"


def _too_small(classes: ClassReport) -> list[str]:
    small = classes.too_small()
    if not small:
        return []
    units = {"image": "test images", "group": "groups of test images", "fold": "folds"}[classes.unit]
    have = f"{counted(len(small), 'class has', 'classes have')} fewer than {classes.lost_to_show} {units}"
    return [f"{have}, too few to be sure that a loss would show: {_names(small)}"]


def _names(classes: Iterable[ClassFigures]) -> str:
    names = [repr(figures.name) for figures in classes]
    return ", ".join(names[:NAMES]) + and_more(len(names), NAMES)


VALIDATION_AT_MOST = 2000
"""Validation images that are looked at, evenly spread: more would tell apart only what is too small to matter."""
_WORDS = {"level": "mean", "contrast": "spread inside an image", "variety": "spread between images"}


def calibration_facts(execution: Execution) -> CalibrationFacts | None:
    """Of the images that were used; None where the build has no INT8 candidate, or did not prepare images."""
    import numpy as np

    from edgecnn.runtimes.job import calibration_classes, calibration_pixels

    prepared, resolved = execution.artifacts.get("prepare"), execution.plan.resolved
    images = resolved.recipe.quantize.images
    calibrated = any(
        not candidate.precision.is_float and candidate.method is not Method.ORIGINAL for candidate in execution.candidates
    )
    if prepared is None or images is None or not calibrated:
        return None
    if not (prepared.folder / "calibration.pixels.npy").is_file():
        return None
    if len(np.load(prepared.folder / "calibration.pixels.npy", mmap_mode="r")) < images:
        return None  # every INT8 candidate failed of it, and says so
    validation = np.load(prepared.folder / "validation.pixels.npy", mmap_mode="r")
    places = np.arange(min(len(validation), VALIDATION_AT_MOST)) * len(validation) // min(len(validation), VALIDATION_AT_MOST)
    shifts = channel_shifts(calibration_pixels(prepared.folder, images), validation[places])
    return CalibrationFacts(
        images=images,
        classes=calibration_classes(prepared.folder, images),
        classes_of=len(resolved.data.classes),
        compared=shifts is not None,
        shifts=shifts or (),
    )


def calibration_notices(facts: CalibrationFacts | None) -> tuple[str, ...]:
    """What a reader must know before believing an INT8 candidate; nothing where there is nothing to say."""
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
    """The largest of each statistic, since three channels of a grey picture say the same."""
    largest = {shift.statistic: shift for shift in sorted(shifts, key=lambda shift: abs(shift.spreads))}
    return "; ".join(
        f"{_WORDS[name]} of {shift.channel} {shift.calibration:.0f} against {shift.validation:.0f} (of 255; "
        f"{abs(shift.spreads):.1f} times the spread between images)"
        for name, shift in largest.items()
    )
