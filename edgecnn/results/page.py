"""Reads out of the store what belongs to a finished report. Whatever is not there, or disagrees, becomes a sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edgecnn.errors.base import EdgecnnError
from edgecnn.judging.predictions.accuracy import NO_LABELS
from edgecnn.judging.runs.latency import run_ms
from edgecnn.measure.evaluate import logits_of, prepared_digests, prepared_groups
from edgecnn.results.lineage import ancestor, kit_artifact, reported_race
from edgecnn.results.mistakes import Answered, mistakes_of, plain_names
from edgecnn.results.page_facts import SHARES, Mistakes, PageFacts, Part, Raced, RunShape
from edgecnn.store.store import Store
from edgecnn.training.history import History
from edgecnn.values.artifact import Artifact
from edgecnn.values.profile import NOT_TIMED, Profile, Run
from edgecnn.values.report import BuildReport, CandidateFacts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


AGAIN = "the same build command makes it again"
NS_PER_MS = 1e6


class _Gone(Exception):
    """A sentence that takes the place of a section's figures."""


def page_facts(report: BuildReport, store: Store) -> PageFacts:
    """The report with what the store has of its races, answers and training. Nothing is measured and nothing is written."""
    missing: dict[Part, str] = {}
    found: dict[str, Any] = {"raced": (), "mistakes": None, "history": None}
    for part, name, read in (
        ("latency", "raced", _raced),
        ("mistakes", "mistakes", _mistakes),
        ("training", "history", _history),
    ):
        try:
            found[name] = read(report, store)
        except _Gone as gone:
            missing[part] = str(gone)  # type: ignore[index]
        except EdgecnnError as error:
            missing[part] = error.line()  # type: ignore[index]
    return PageFacts(report=report, missing=missing, **found)


def _raced(report: BuildReport, store: Store) -> tuple[Raced, ...]:
    raced = raced_of(report, store)
    if raced:
        return raced
    if any(facts.latency is not None and facts.latency.runs for facts in report.candidates):
        raise _Gone(f"the races' samples are not in the store {store.root}")
    if not report.build.device_attached:
        raise _Gone(f"nothing was timed: {report.build.device} was not attached")
    raise _Gone("nothing was raced" if report.environment.timed else f"the candidates were {NOT_TIMED}")


def _mistakes(report: BuildReport, store: Store) -> Mistakes:
    shown = _shown(report)
    if shown is not None and shown.agreement is not None:
        raise _Gone(f"no mistake is known: {NO_LABELS}")
    if shown is not None and shown.multi_label is not None:
        raise _Gone("what an image was taken for is of one class an image; the table of labels says what each is worth")
    if shown is None or shown.test is None:
        raise _Gone("no candidate's answers to the test split are known")
    prepared = _made(shown, store, "prepare")
    try:
        if prepared_digests(prepared.folder)["test"] != shown.test.pixels:
            raise _Gone("the stored pixels are not those that the report is about")
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
        )
        return mistakes_of(answered)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise _Gone(f"the stored pixels or answers cannot be read: {error}; {AGAIN}") from error


def _shown(report: BuildReport) -> CandidateFacts | None:
    """The chosen candidate; where none was, the baseline."""
    chosen = [facts for facts in report.candidates if facts.chosen]
    return next(iter([*chosen, *(facts for facts in report.candidates if facts.is_baseline)]), None)


def _logits(facts: CandidateFacts, labels: NDArray[Any], store: Store) -> NDArray[np.float32]:
    """The newest stored answers that give exactly the reported accuracy: others are from another day's machine."""
    if facts.test is None:
        raise _Gone(f"{facts.candidate.id} was not evaluated on the test split")
    for stored in store.profiles.of(facts.evaluated_kit or facts.kit or "", "evaluation"):
        if stored.profile.pixels == facts.test.pixels:
            logits = logits_of(stored)
            if logits.ndim == 2 and len(logits) == len(labels):
                top1 = float((logits.argmax(axis=1) == labels).mean())
                if abs(top1 - facts.test.top1.estimate) < 0.5 / len(labels):
                    return logits
    raise _Gone(f"no stored answers of {facts.candidate.id} agree with the report; {AGAIN}")


def _array(path: Path) -> NDArray[Any]:
    import numpy as np

    found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return found


def _made(facts: CandidateFacts, store: Store, kind: str) -> Artifact:
    kit = kit_artifact(store, facts.kit) if facts.kit else None
    found = ancestor(store, kit, kind) if kit is not None else None
    if found is None:
        raise _Gone(f"the {kind} artifact of {facts.candidate.id} is not in the store {store.root}; {AGAIN}")
    return found


def _history(report: BuildReport, store: Store) -> History:
    shown = _shown(report) or next(iter(report.candidates), None)
    if shown is None:
        raise _Gone("no candidate was built")
    if report.keys and "train" not in report.keys:
        custom = "it is a custom model, taken as it is" if "fetch" not in report.keys else "the head of its weights was kept"
        raise _Gone(f"nothing was trained: {custom}")
    trained = _made(shown, store, "train")
    try:
        return History.model_validate_json((trained.folder / "history.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise _Gone(f"history.json cannot be read: {error}") from error


def raced_of(report: BuildReport, store: Store) -> tuple[Raced, ...]:
    """What the store has of each candidate's race, in the report's order; who was never raced is left out.

    Raises StoreUnusable: profiles are there and cannot be read.
    """
    found = ((facts, _profile_of(facts, store)) for facts in report.candidates)
    return tuple(_race_of(facts.candidate.id, profile) for facts, profile in found if profile is not None)


def _profile_of(facts: CandidateFacts, store: Store) -> Profile | None:
    """The profile that the reported latency was computed from."""
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
    """The samples nearest to ``SHARES`` of the sorted ones, in milliseconds; the first is the smallest, the last the largest."""
    ordered = sorted(samples_ns)
    return tuple(round(ordered[round(share * (len(ordered) - 1))] / NS_PER_MS, 5) for share in SHARES)
