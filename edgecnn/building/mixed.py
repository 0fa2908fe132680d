"""The rungs that keep some layers of an INT8 candidate in float: known to the plan, climbed only where its loss asks for it."""

from __future__ import annotations

from collections.abc import Iterable

from edgecnn.quantization.registry import keeps_layers
from edgecnn.values.candidate import Candidate, Method, Rung

KEPT_FLOAT = (2, 4, 8, 16)
"""Layers kept in float, rung by rung: doubling finds the fewest to within a factor of two in four builds. A rounded tensor
between two layers is of both, so that one alone seldom frees anything; what sixteen do not mend is no matter of a few layers."""


def mixed_rungs(candidates: Iterable[Candidate]) -> tuple[Rung, ...]:
    """For each post-training INT8 candidate whose runtime can leave layers in float, one rung a number of layers."""
    return tuple(
        Rung(name=made.id, candidates=(made,), mends=candidate.id, kept_float=kept)
        for candidate in candidates
        if candidate.method is Method.POST_TRAINING and keeps_layers(candidate.runtime)
        for kept in KEPT_FLOAT
        for made in (_mixed(candidate, kept),)
    )


def _mixed(candidate: Candidate, kept: int) -> Candidate:
    return candidate.model_copy(update={"id": f"{candidate.id}-mixed-{kept}", "method": Method.MIXED})
