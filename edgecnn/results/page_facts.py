"""The content of the page as one value: the report, and what the store still has about its origin.

A report is complete without raw samples. Data that are missing, damaged or contradict the report are omitted with the reason, and
never cause an error.
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
