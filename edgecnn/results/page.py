"""The content of the page as one value: the report, and figures that are read from the store.

Missing, damaged or contradicting data never cause an error: the section is omitted, and the page says why.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from edgecnn.errors.base import EdgecnnError
from edgecnn.judging.accuracy import NO_LABELS, share_of
from edgecnn.judging.intervals import ACCURACY_CONFIDENCE
from edgecnn.judging.latency import run_ms
from edgecnn.measure.evaluate import logits_of, prepared_digests, prepared_groups
from edgecnn.results.origin import ancestor, kit_artifact, listed_images, reported_race
from edgecnn.store.store import Store
from edgecnn.training.history import History
from edgecnn.values.artifact import Artifact
from edgecnn.values.base import Value
from edgecnn.values.figures import Accuracy
from edgecnn.values.profile import NOT_TIMED, Environment, Profile, Run
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Fidelity, Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


SHARES = (0.0, 0.01, 0.025, *(share / 20 for share in range(1, 20)), 0.975, 0.99, 1.0)
"""Points at which a run's distribution is drawn. Each is a real sample, without interpolation or smoothing."""

Part = Literal["latency", "mistakes", "training"]
"""Sections whose figures come from the store rather than the report."""


class RunShape(Value):
    """One process run of a race."""

    round: int
    samples: int
    at_ms: tuple[float, ...]
    """Warm latencies at ``SHARES`` of the run's sorted samples, milliseconds."""
    p99_ms: float | None
    """None below 1,000 samples."""
    load_ms: float | None
    """None if other processes opened their models at the same time."""
    first_ms: float


class Raced(Value):
    """The race behind one candidate's reported latency."""

    candidate: str
    race: str
    purpose: Literal["select", "report"]
    observed_at: str
    environment: Environment
    fidelity: Fidelity
    runs: tuple[RunShape, ...]


class ClassAnswers(Value):
    """Results of one class on the test split."""

    name: str
    images: int
    recall: Interval | None
    """0…1, 95 %, by groups if images are in groups, without interval over folds; None for a class without images."""
    baseline_recall: float | None
    """Recall of the fp32 network on the same images; None for itself."""
    confusions: tuple[tuple[str, int], ...]
    """Other predictions for its images, the most frequent first, at most five."""


class Mistake(Value):
    """One wrongly classified image."""

    image: int
    """Index in the test split."""
    file: str | None = None
    """Path relative to the data's root; None if the store no longer lists it."""
    truth: str
    answer: str
    confidence: float
    """Softmax of the wrong class, 0…1."""
    baseline_answer: str | None
    """Prediction of the fp32 network; None if the mistakes are its own."""
    jpeg_base64: str
    """The pixels that the network received, reduced if they are large."""


class Mistakes(Value):
    """Mistakes of the shown candidate, from its stored logits."""

    candidate: str
    fidelity: Fidelity
    machine: str
    images: int
    wrong: int
    classes: tuple[ClassAnswers, ...]
    counts: tuple[tuple[int, ...], ...] | None
    """True class by predicted class; None if there are more classes than a table can show."""
    worst: tuple[Mistake, ...]
    """The wrong predictions with the highest confidence, in descending order."""


class PageFacts(Value):
    """Everything on the page."""

    report: BuildReport
    raced: tuple[Raced, ...] = ()
    """In the order of the report's candidates."""
    mistakes: Mistakes | None = None
    history: History | None = None
    missing: Mapping[Part, str] = {}
    """Why a section has no figures."""


def shown_digest(report: BuildReport) -> str:
    """Return the SHA-256 of the page's subject, without dates, the machine's state and notices."""
    passing = dict.fromkeys(("made_at", "seconds", "timings_s", "outcomes", "notices"), True)
    rows = {"__all__": {"outcomes"}}
    shown = report.model_dump_json(exclude={**passing, "environment": {"observed"}, "candidates": rows})
    return hashlib.sha256(shown.encode("utf-8")).hexdigest()


MATRIX_CLASSES_MAX = 24
"""With more classes, a confusion matrix is wider than a page, so each class's most frequent errors are listed instead."""
CONFUSIONS_SHOWN = 5
WORST_SHOWN = 12
THUMBNAIL_PX = 96
JPEG_QUALITY = 82


@dataclass(frozen=True, eq=False)
class Answered:
    """Predictions of the shown candidate and of the baseline network on the test split."""

    candidate: str
    accuracy: Accuracy
    classes: tuple[str, ...]
    labels: NDArray[Any]
    """(images,)"""
    pixels: NDArray[np.uint8]
    """(images, height, width, 3); only the shown images are read."""
    logits: NDArray[np.float32]
    """(images, classes)"""
    baseline: NDArray[np.float32] | None
    """(images, classes); None if the shown candidate is the baseline."""
    groups: NDArray[np.int64] | None = None
    """Group of each image, (images,); None if images are independent, or it is unknown."""
    files: tuple[str, ...] | None = None
    """Path of each image relative to the data's root; None if the store no longer lists them."""


def mistakes_of(answered: Answered) -> Mistakes:
    """Return the page's facts on wrong predictions."""
    answers = answered.logits.argmax(axis=1)
    counts = _counts(answered, answers)
    return Mistakes(
        candidate=answered.candidate,
        fidelity=answered.accuracy.fidelity,
        machine=answered.accuracy.machine,
        images=len(answered.labels),
        wrong=int((answers != answered.labels).sum()),
        classes=tuple(_class_figures(answered, counts, index) for index in range(len(answered.classes))),
        counts=tuple(tuple(int(count) for count in row) for row in counts) if len(counts) <= MATRIX_CLASSES_MAX else None,
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
        confusions=tuple((answered.classes[other], int(row[other])) for other in others[:CONFUSIONS_SHOWN]),
    )


def _recall(answered: Answered, index: int) -> Interval | None:
    """Return recall, without an interval if images depend on each other in an unknown way."""
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
            file=None if answered.files is None else answered.files[image],
            truth=names[answered.labels[image]],
            answer=names[answers[image]],
            confidence=float(1 / (1 + odds)),
            baseline_answer=None if answered.baseline is None else names[int(answered.baseline[image].argmax())],
            jpeg_base64=thumbnail(answered.pixels[image]),
        )
        for image, odds in zip(wrong[surest], doubt[surest], strict=True)
    )


def _doubt(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return odds against each prediction (images, classes) → (images,), even if its softmax rounds to 1."""
    import numpy as np

    from_largest = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    odds = np.exp(from_largest)
    odds[np.arange(len(logits)), logits.argmax(axis=1)] = 0
    return np.asarray(odds.sum(axis=1))


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """Return one image (height, width, 3) as a JPEG of at most 96 × 96 pixels, in base64."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=JPEG_QUALITY)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def plain_names(names: Sequence[object]) -> tuple[str, ...]:
    """Return class names as writable text: half a surrogate pair, from an unusual file name, becomes a question mark."""
    return tuple(str(name).encode("utf-8", "replace").decode("utf-8") for name in names)


AGAIN = "repeat the build command"
NS_PER_MS = 1e6


class _Gone(Exception):
    """A sentence that replaces a section's figures."""


def page_facts(report: BuildReport, store: Store) -> PageFacts:
    """Return the report with the store's data on its races, predictions and training. Nothing is measured or written."""
    missing: dict[Part, str] = {}
    parts: dict[str, Any] = {"raced": (), "mistakes": None, "history": None}
    for part, name, read in (
        ("latency", "raced", _raced),
        ("mistakes", "mistakes", _mistakes),
        ("training", "history", _history),
    ):
        try:
            parts[name] = read(report, store)
        except _Gone as gone:
            missing[part] = str(gone)  # type: ignore[index]
        except EdgecnnError as error:
            missing[part] = error.line()  # type: ignore[index]
    return PageFacts(report=report, missing=missing, **parts)


def _raced(report: BuildReport, store: Store) -> tuple[Raced, ...]:
    raced = raced_of(report, store)
    if raced:
        return raced
    if any(facts.latency is not None and facts.latency.runs for facts in report.candidates):
        raise _Gone(f"the races' samples are not in the store {store.root}")
    if not report.build.device_attached:
        raise _Gone(f"no latency was measured: {report.build.device} was not attached")
    raise _Gone("no race ran" if report.environment.timed else f"the candidates were {NOT_TIMED}")


def _mistakes(report: BuildReport, store: Store) -> Mistakes:
    shown = _shown(report)
    if shown is not None and shown.agreement is not None:
        raise _Gone(f"mistakes are unknown: {NO_LABELS}")
    if shown is not None and shown.multi_label is not None:
        raise _Gone("confusions exist only for one class per image; the table of labels shows the figures of each label")
    if shown is None or shown.test is None:
        raise _Gone("no predictions on the test split are stored")
    prepared = _made(shown, store, "prepare")
    listed = listed_images(store, prepared, "test")
    try:
        if prepared_digests(prepared.folder)["test"] != shown.test.pixels:
            raise _Gone("the stored pixels do not belong to the report")
        labels = _array(prepared.folder / "test.labels.npy")
        baseline = next((facts for facts in report.candidates if facts.is_baseline), None)
        answered = Answered(
            candidate=shown.candidate.id,
            accuracy=shown.test,
            classes=plain_names(json.loads((prepared.folder / "labels.json").read_text(encoding="utf-8"))),
            labels=labels,
            pixels=_array(prepared.folder / "test.pixels.npy"),
            logits=_logits(shown, labels, store),
            baseline=None if baseline is None or shown.is_baseline else _logits(baseline, labels, store),
            groups=prepared_groups(prepared.folder, "test"),
            files=None if listed is None else tuple(image.path for image in listed),
        )
        return mistakes_of(answered)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise _Gone(f"the stored pixels or answers cannot be read: {error}; {AGAIN}") from error


def _shown(report: BuildReport) -> CandidateFacts | None:
    """Return the chosen candidate; the baseline if none was chosen."""
    chosen = [facts for facts in report.candidates if facts.chosen]
    return next(iter([*chosen, *(facts for facts in report.candidates if facts.is_baseline)]), None)


def _logits(facts: CandidateFacts, labels: NDArray[Any], store: Store) -> NDArray[np.float32]:
    """Return the newest stored logits with exactly the reported accuracy; others are from another machine or day."""
    if facts.test is None:
        raise _Gone(f"{facts.candidate.id} was not evaluated on the test split")
    for stored in store.profiles.of(facts.evaluated_kit or facts.kit or "", "evaluation"):
        if stored.profile.pixels == facts.test.pixels:
            logits = logits_of(stored)
            if logits.ndim == 2 and len(logits) == len(labels):
                top1 = float((logits.argmax(axis=1) == labels).mean())
                if abs(top1 - facts.test.top1.estimate) < 0.5 / len(labels):
                    return logits
    raise _Gone(f"no stored predictions of {facts.candidate.id} agree with the report; {AGAIN}")


def _array(path: Path) -> NDArray[Any]:
    import numpy as np

    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _made(facts: CandidateFacts, store: Store, kind: str) -> Artifact:
    kit = kit_artifact(store, facts.kit) if facts.kit else None
    artifact = ancestor(store, kit, kind) if kit is not None else None
    if artifact is None:
        raise _Gone(f"the {kind} artifact of {facts.candidate.id} is not in the store {store.root}; {AGAIN}")
    return artifact


def _history(report: BuildReport, store: Store) -> History:
    shown = _shown(report) or next(iter(report.candidates), None)
    if shown is None:
        raise _Gone("no candidate was built")
    if report.keys and "train" not in report.keys:
        custom = "the custom model is used as it is" if "fetch" not in report.keys else "the head of its weights was kept"
        raise _Gone(f"nothing was trained: {custom}")
    trained = _made(shown, store, "train")
    try:
        return History.model_validate_json((trained.folder / "history.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise _Gone(f"history.json cannot be read: {error}") from error


def raced_of(report: BuildReport, store: Store) -> tuple[Raced, ...]:
    """Return the stored race of each candidate, in the report's order, without those that were never raced.

    Raises StoreUnusable: profiles exist but cannot be read.
    """
    raced = ((facts, _profile_of(facts, store)) for facts in report.candidates)
    return tuple(_race_of(facts.candidate.id, profile) for facts, profile in raced if profile is not None)


def _profile_of(facts: CandidateFacts, store: Store) -> Profile | None:
    """Return the profile behind the reported latency."""
    if facts.kit is None or facts.latency is None or not facts.latency.runs:
        return None
    return reported_race(store, facts.kit, facts.latency.observed_at)


def _race_of(candidate: str, profile: Profile) -> Raced:
    return Raced(
        candidate=candidate,
        race=profile.race or "",
        purpose="select" if profile.purpose == "select" else "report",
        observed_at=profile.observed_at,
        environment=profile.environment,
        fidelity=profile.fidelity,
        runs=tuple(_shape(run) for run in profile.runs if run.samples_ns),
    )


def _shape(run: Run) -> RunShape:
    return RunShape(
        round=run.round,
        samples=len(run.samples_ns),
        at_ms=drawn_ms(run.samples_ns),
        p99_ms=run_ms(run, 99),
        load_ms=None if run.load_ns is None else run.load_ns / NS_PER_MS,
        first_ms=run.first_ns / NS_PER_MS,
    )


def drawn_ms(samples_ns: Sequence[int]) -> tuple[float, ...]:
    """Return the samples nearest to ``SHARES`` of the sorted ones, in milliseconds; the first is the smallest, the last the
    largest.
    """
    ordered = sorted(samples_ns)
    return tuple(round(ordered[round(share * (len(ordered) - 1))] / NS_PER_MS, 5) for share in SHARES)
