"""The contents of the page as one value: the report, and the store's data behind it.

A report is valid without its raw samples. Data that is gone, damaged or contradicts the report is omitted with its reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

from edgecnn.training.history import History
from edgecnn.values.base import Value
from edgecnn.values.profile import Environment
from edgecnn.values.report import BuildReport
from edgecnn.values.verdict import Fidelity, Interval

SHARES = (0.0, 0.01, 0.025, *(share / 20 for share in range(1, 20)), 0.975, 0.99, 1.0)
"""Shares at which a run's distribution is drawn. Each drawn time is a real sample, without interpolation."""

Part = Literal["latency", "mistakes", "training"]
"""Sections whose figures come from the store."""


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
    """A candidate's part of the race behind its reported latency."""

    candidate: str
    race: str
    purpose: Literal["select", "report"]
    observed_at: str
    environment: Environment
    fidelity: Fidelity
    runs: tuple[RunShape, ...]


class ClassAnswers(Value):
    """Figures of one class on the test split."""

    name: str
    images: int
    recall: Interval | None
    """0…1, 95 %, by groups if images come in groups, and without an interval over folds; None for a class without images."""
    baseline_recall: float | None
    """Recall of the fp32 network on the same images; None for itself."""
    confusions: tuple[tuple[str, int], ...]
    """Other classes that its images were taken for, most frequent first, at most five."""


class Mistake(Value):
    """A wrong prediction."""

    image: int
    """Index in the test split."""
    file: str | None = None
    """Path of the image under the data's root; None if the store no longer lists it."""
    truth: str
    answer: str
    confidence: float
    """Softmax of the wrong answer, 0…1."""
    baseline_answer: str | None
    """Prediction of the fp32 network; None if the mistakes are its own."""
    jpeg_base64: str
    """The pixels that the network saw, reduced if they are large."""


class Mistakes(Value):
    """Mistakes of the shown candidate, from its stored logits."""

    candidate: str
    fidelity: Fidelity
    machine: str
    images: int
    wrong: int
    classes: tuple[ClassAnswers, ...]
    counts: tuple[tuple[int, ...], ...] | None
    """Images by truth and prediction; None if there are too many classes for a table."""
    worst: tuple[Mistake, ...]
    """The most confident wrong predictions, most confident first."""


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
    """SHA-256 of the page's subject, without times of its making, machine state and notices."""
    passing = dict.fromkeys(("made_at", "seconds", "timings_s", "outcomes", "notices"), True)
    rows = {"__all__": {"outcomes"}}
    shown = report.model_dump_json(exclude={**passing, "environment": {"observed"}, "candidates": rows})
    return hashlib.sha256(shown.encode("utf-8")).hexdigest()
