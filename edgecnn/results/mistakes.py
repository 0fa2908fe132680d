"""Where a network errs: its confusions, its classes and the images it was surely wrong about, from stored logits."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecnn.judging.intervals import ACCURACY_CONFIDENCE
from edgecnn.judging.predictions.accuracy import share_of
from edgecnn.results.page_facts import ClassAnswers, Mistake, Mistakes
from edgecnn.values.accuracy import Accuracy
from edgecnn.values.verdict import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


MATRIX_CLASSES_MAX = 24
"""Above this a confusion matrix is wider than a page; what each class is taken for is then listed instead."""
CONFUSIONS_SHOWN = 5
WORST_SHOWN = 12
THUMBNAIL_PX = 96
JPEG_QUALITY = 82


@dataclass(frozen=True, eq=False)
class Answered:
    """What the shown candidate and the baseline network answered to the test split."""

    candidate: str
    accuracy: Accuracy
    classes: tuple[str, ...]
    labels: NDArray[Any]
    """(images,)"""
    pixels: NDArray[np.uint8]
    """(images, height, width, 3); only the shown ones are read."""
    logits: NDArray[np.float32]
    """(images, classes)"""
    baseline: NDArray[np.float32] | None
    """(images, classes); None where the shown candidate is the baseline."""
    groups: NDArray[np.int64] | None = None
    """Which images came together, (images,); None where they are independent, or it is not known."""


def mistakes_of(answered: Answered) -> Mistakes:
    """Everything that the page says of wrong answers."""
    answers = answered.logits.argmax(axis=1)
    counts = _counts(answered, answers)
    return Mistakes(
        candidate=answered.candidate,
        fidelity=answered.accuracy.fidelity,
        machine=answered.accuracy.machine,
        images=len(answered.labels),
        wrong=int((answers != answered.labels).sum()),
        classes=tuple(_class_figures(answered, counts, index) for index in range(len(answered.classes))),
        counts=tuple(tuple(int(each) for each in row) for row in counts) if len(counts) <= MATRIX_CLASSES_MAX else None,
        worst=_worst(answered, answers),
    )


def _counts(answered: Answered, answers: NDArray[Any]) -> NDArray[np.int64]:
    import numpy as np

    size = len(answered.classes)
    return np.bincount(answered.labels * size + answers, minlength=size * size).reshape(size, size)


def _class_figures(answered: Answered, counts: NDArray[np.int64], index: int) -> ClassAnswers:
    row = counts[index]
    images = int(row.sum())
    others = [other for other in row.argsort()[::-1] if other != index and row[other] > 0]
    return ClassAnswers(
        name=answered.classes[index],
        images=images,
        recall=_recall(answered, index),
        baseline_recall=_baseline_recall(answered, index),
        said=tuple((answered.classes[other], int(row[other])) for other in others[:CONFUSIONS_SHOWN]),
    )


def _recall(answered: Answered, index: int) -> Interval | None:
    """Without an interval where images depend on each other in a way that is not known here."""
    own, groups = answered.labels == index, answered.groups
    right = answered.logits[own].argmax(axis=1) == index
    share = share_of(right, None if groups is None else groups[own], ACCURACY_CONFIDENCE)
    is_known = answered.accuracy.folds is None and (answered.accuracy.groups is None) == (groups is None)
    return share if share is None or is_known else share.alone


def _baseline_recall(answered: Answered, index: int) -> float | None:
    of_class = answered.labels == index
    if answered.baseline is None or not of_class.any():
        return None
    return float((answered.baseline[of_class].argmax(axis=1) == index).mean())


def _worst(answered: Answered, answers: NDArray[Any]) -> tuple[Mistake, ...]:
    import numpy as np

    wrong = np.flatnonzero(answers != answered.labels)
    doubt = _doubt(answered.logits[wrong])
    surest = np.argsort(doubt, kind="stable")[:WORST_SHOWN]
    names = answered.classes
    return tuple(
        Mistake(
            image=int(image),
            truth=names[answered.labels[image]],
            answer=names[answers[image]],
            confidence=float(1 / (1 + each)),
            baseline_answer=None if answered.baseline is None else names[int(answered.baseline[image].argmax())],
            jpeg_base64=thumbnail(answered.pixels[image]),
        )
        for image, each in zip(wrong[surest], doubt[surest], strict=True)
    )


def _doubt(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Odds against each answer (images, classes) → (images,): they still tell answers apart whose softmax rounds to 1."""
    import numpy as np

    from_largest = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    odds = np.exp(from_largest)
    odds[np.arange(len(logits)), logits.argmax(axis=1)] = 0
    return np.asarray(odds.sum(axis=1))


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """One image (height, width, 3) as a JPEG of at most 96 × 96 pixels, in base64."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=JPEG_QUALITY)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def plain_names(names: Sequence[object]) -> tuple[str, ...]:
    """Class names as text that can be written: half a surrogate pair, as an odd file name leaves it, becomes a question mark."""
    return tuple(str(name).encode("utf-8", "replace").decode("utf-8") for name in names)
