"""The raw samples behind each reported latency, run by run, as shapes that can be drawn."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.judging.latency import run_ms
from edgecnn.results.lineage import reported_race, timed_races
from edgecnn.results.page_facts import SHARES, Raced, RunShape
from edgecnn.store.store import Store
from edgecnn.values.profile import Profile, Run
from edgecnn.values.report import BuildReport, CandidateFacts

NS_PER_MS = 1e6


def raced_of(report: BuildReport, store: Store) -> tuple[Raced, ...]:
    """What the store has of each candidate's race, in the report's order; who was never raced is left out.

    Raises:
        StoreUnusable: profiles are there and cannot be read.
    """
    found = ((facts, _profile_of(facts, report, store)) for facts in report.candidates)
    return tuple(_raced(facts.candidate.id, profile) for facts, profile in found if profile is not None)


def _profile_of(facts: CandidateFacts, report: BuildReport, store: Store) -> Profile | None:
    """The profile that the reported latency was computed from; without one, the last screening before the report."""
    if facts.kit is None:
        return None
    if facts.latency is not None and facts.latency.runs:
        return reported_race(store, facts.kit, facts.latency.observed_at)
    if not report.build.device_attached:
        return None
    screens = (profile for profile in timed_races(store, facts.kit) if profile.purpose == "screen")
    return next((profile for profile in screens if profile.observed_at <= report.made_at), None)


def _raced(candidate: str, profile: Profile) -> Raced:
    return Raced(
        candidate=candidate,
        race=profile.race or "",
        purpose=profile.purpose or "report",
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
        load_ms=run.load_ns / NS_PER_MS,
        first_ms=run.first_ns / NS_PER_MS,
    )


def drawn_ms(samples_ns: Sequence[int]) -> tuple[float, ...]:
    """The samples nearest to ``SHARES`` of the sorted ones, in milliseconds; the first is the smallest, the last the largest."""
    ordered = sorted(samples_ns)
    return tuple(round(ordered[round(share * (len(ordered) - 1))] / NS_PER_MS, 5) for share in SHARES)
