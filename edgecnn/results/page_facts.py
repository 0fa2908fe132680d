"""What the page shows, as one value: the report, and what the store still holds of how it came about.

A report stands without its raw samples: what is gone, damaged or disagrees with the report is left out with its reason, and is
never a failure.
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
"""Where a run's distribution is drawn. Each drawn time is a sample that was really taken: nothing is interpolated or smoothed."""

Part = Literal["latency", "mistakes", "training"]
"""Sections whose figures come out of the store and not out of the report."""


class RunShape(Value):
    """One process run of a race."""

    round: int
    samples: int
    at_ms: tuple[float, ...]
    """Warm latencies at ``SHARES`` of the run's sorted samples, milliseconds."""
    p99_ms: float | None
    """None below 1,000 samples."""
    load_ms: float | None
    """None where others opened theirs meanwhile."""
    first_ms: float


class Raced(Value):
    """What one race left of one candidate: the race that its reported latency is from."""

    candidate: str
    race: str
    purpose: Literal["select", "report"]
    observed_at: str
    environment: Environment
    fidelity: Fidelity
    runs: tuple[RunShape, ...]


class ClassAnswers(Value):
    """How one class fared on the test split."""

    name: str
    images: int
    recall: Interval | None
    """0…1, 95 %, by groups where images came in groups, and alone over folds; None for a class without images."""
    baseline_recall: float | None
    """Of the fp32 network on the same images; None for itself."""
    confusions: tuple[tuple[str, int], ...]
    """What else its images were taken for, most often first, five at most."""


class Mistake(Value):
    """One image that was answered wrongly."""

    image: int
    """Index in the test split."""
    file: str | None = None
    """Path of the image under the data's root; None where the store no longer lists it."""
    truth: str
    answer: str
    confidence: float
    """Softmax of the wrong answer, 0…1."""
    baseline_answer: str | None
    """What the fp32 network says; None where the mistakes are its own."""
    jpeg_base64: str
    """The pixels that the network saw, made smaller where they are large."""


class Mistakes(Value):
    """Where the shown candidate errs, from its stored logits."""

    candidate: str
    fidelity: Fidelity
    machine: str
    images: int
    wrong: int
    classes: tuple[ClassAnswers, ...]
    counts: tuple[tuple[int, ...], ...] | None
    """Truth by answer; None where there are more classes than a table can show."""
    worst: tuple[Mistake, ...]
    """The wrong answers it was surest of, surest first."""


class PageFacts(Value):
    """Everything on the page."""

    report: BuildReport
    raced: tuple[Raced, ...] = ()
    """In the order of the report's candidates."""
    mistakes: Mistakes | None = None
    history: History | None = None
    missing: Mapping[Part, str] = {}
    """Why a section has no figures, as a sentence."""


def shown_digest(report: BuildReport) -> str:
    """SHA-256 of what its page is about: not when, how fast and how warm a machine put it together, nor notices."""
    passing = dict.fromkeys(("made_at", "seconds", "timings_s", "outcomes", "notices"), True)
    rows = {"__all__": {"outcomes"}}
    shown = report.model_dump_json(exclude={**passing, "environment": {"observed"}, "candidates": rows})
    return hashlib.sha256(shown.encode("utf-8")).hexdigest()
