"""The pure middle: what would be done, under which keys, before anything is.

Every key is known here, those of rungs that may never be climbed too. Nothing in this module reads a disk, a clock or a
network, so a plan can be tested, printed and compared without running it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from edgecnn.planning.branches import beginning_of, lay_branch, lay_desktop_branches, lay_mixed_branches, quantize_stage
from edgecnn.planning.trunk import Step, Steps, lay_trunk
from edgecnn.planning.variants import mixed_rungs
from edgecnn.values.candidate import AWARE, SURGERY, Precision, Rung, is_of_trunk, learned_by
from edgecnn.values.data.dataset import DataSummary
from edgecnn.values.resolved import PLAN_SCHEMA, Resolved

RUNGS = (("fp32", (Precision.FP32,)), ("half", (Precision.FP16, Precision.BF16)), ("int8", (Precision.INT8,)))


@dataclass(frozen=True)
class Plan:
    """Trunk, branches and rungs. Steps stand in an order in which each one's inputs come before it."""

    resolved: Resolved
    steps: tuple[Step, ...]
    rungs: tuple[Rung, ...]
    folds: tuple[Plan, ...] = ()
    """Of cross-validation: the second network and those after it, which differ from the first in their images alone."""

    def step(self, step_id: str) -> Step | None:
        """The step of this name, or None where the plan has none."""
        return next((step for step in self.steps if step.id == step_id), None)

    @property
    def trunk(self) -> Plan:
        """The same without what is made for single candidates."""
        return replace(self, steps=tuple(step for step in self.steps if step.candidate is None))

    def of_candidate(self, candidate: str) -> tuple[Step, ...]:
        """The branch of one candidate, in order."""
        return tuple(step for step in self.steps if step.candidate == candidate)

    def facts(self) -> dict[str, Any]:
        """The plan for ``plan.json`` and ``--json``: what was resolved, and each step with the payload of its key."""
        return {
            "schema": PLAN_SCHEMA,
            "resolved": self.resolved.model_dump(mode="json", by_alias=True),
            "rungs": [rung.model_dump(mode="json") for rung in self.rungs],
            "steps": [
                {**_named(step), "candidate": step.candidate, "payload": step.stage.payload(self.resolved.versions)}
                for step in self.steps
            ],
            **({"folds": [[_named(step) for step in fold.steps] for fold in self.folds]} if self.folds else {}),
        }


def _named(step: Step) -> dict[str, str]:
    return {"id": step.id, "kind": step.stage.kind, "key": step.key}


def plan(resolved: Resolved) -> Plan:
    """Lay out every stage with its key."""
    steps = Steps(resolved.versions)
    trunk = lay_trunk(resolved, steps)
    for candidate in resolved.candidates:
        beginning = beginning_of(resolved, candidate, steps, trunk)
        lay_branch(resolved, quantize_stage(resolved, candidate, beginning), steps, beginning)
    mixed = mixed_rungs(tuple(candidate for candidate in resolved.candidates if is_of_trunk(candidate)))
    for _, mending in groupby(mixed, key=lambda rung: rung.mends):
        lay_mixed_branches(resolved, tuple(mending), steps, trunk)
    if resolved.desktop_gpu is not None and resolved.desktop_gpu.unusable is None:
        lay_desktop_branches(resolved, resolved.desktop_gpu, steps, trunk)
    rungs = tuple(
        Rung(name=name, candidates=members)
        for name, precisions in RUNGS
        if (members := tuple(c for c in resolved.candidates if c.precision in precisions and is_of_trunk(c)))
    )
    learned = tuple(
        Rung(name=name, candidates=members)
        for name in (AWARE, SURGERY)
        if (members := tuple(candidate for candidate in resolved.candidates if learned_by(candidate) == name))
    )
    folds = tuple(plan(_of_fold(resolved, data)) for data in resolved.folds)
    return Plan(resolved=resolved, steps=tuple(steps.steps), rungs=(*rungs, *mixed, *learned), folds=folds)


def _of_fold(resolved: Resolved, data: DataSummary) -> Resolved:
    """Images for calibration can be one fewer than the first has."""
    quantize, found = resolved.recipe.quantize, data.counts["calibration"]
    images = found if quantize.images is None else min(quantize.images, found)
    recipe = resolved.recipe.model_copy(update={"quantize": quantize.model_copy(update={"images": images})})
    sources = {**resolved.sources, data.content: Path(data.manifest_path)}
    changed = {"data": data, "recipe": recipe, "sources": sources, "folds": (), "desktop_gpu": None}
    return resolved.model_copy(update=changed)
