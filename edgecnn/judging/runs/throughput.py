"""From runs whose calls take many images to images a second. The process run is the unit, as for latency.

The best batch is found on one short run of each, and measured in a race of its own: the winner of a selection flatters itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgecnn.errors.wording import counted
from edgecnn.judging.runs.dependence import runs_interval
from edgecnn.judging.runs.latency import RUNS_NEEDED, disturbed, latency_interval_ms
from edgecnn.values.figures import BatchFigure, Throughput
from edgecnn.values.profile import Profile, Run
from edgecnn.values.verdict import Fidelity

NS_PER_S = 1e9


def batches_up_to(largest: int) -> tuple[int, ...]:
    """1, 2, 4, … and the largest itself."""
    doubled = [2**power for power in range(largest.bit_length()) if 2**power < largest]
    return (*doubled, largest)


def images_per_s(run: Run) -> float:
    """All images over all the time that the calls took: a slow call weighs as long as it was."""
    return run.batch * len(run.samples_ns) / sum(run.samples_ns) * NS_PER_S


def screened(profiles: Mapping[int, Profile]) -> dict[int, float]:
    """Batch to images a second in its screening run; who has none is left out."""
    return {batch: images_per_s(profile.runs[0]) for batch, profile in sorted(profiles.items()) if profile.runs}


def best_batch(seen: Mapping[int, float]) -> int | None:
    """The one with the most images a second, the smaller of two alike; None where nothing was screened."""
    return max(seen, key=lambda batch: (seen[batch], -batch), default=None)


def throughput(
    profiles: Sequence[Profile], seen: Mapping[int, float], asked: Sequence[int], machine: str, reason: str | None = None
) -> Throughput:
    """One candidate's figures.

    Args:
        profiles: of this candidate, one of each batch that was measured.
        seen: what screening saw.
        asked: batches that were asked for by number.
        machine: as a reader would name it.
        reason: why one of them is missing.
    """
    raced = sorted((profile for profile in profiles if profile.runs), key=lambda profile: profile.runs[0].batch)
    best = best_batch(seen)
    return Throughput(
        figures=tuple(_figure(profile, best, asked) for profile in raced),
        screened=seen,
        fidelity=raced[0].fidelity if raced else Fidelity.MISSING,
        machine=machine,
        observed_at=max((profile.observed_at for profile in raced), default=""),
        reason=reason,
        disturbed=next((said for profile in raced if (said := disturbed(profile.environment))), None),
    )


def _figure(profile: Profile, best: int | None, asked: Sequence[int]) -> BatchFigure:
    runs, batch = profile.runs, profile.runs[0].batch
    found = runs_interval([images_per_s(run) for run in runs])
    few = f"{counted(len(runs), 'run')}; an interval needs {RUNS_NEEDED}"
    return BatchFigure(
        batch=batch,
        images_per_s=found,
        call_ms=latency_interval_ms(runs),
        runs=len(runs),
        best=batch == best,
        asked=batch in asked,
        reason=None if found else few,
    )
