"""A plan for people: what is asked, what would run and why, and what the test set can show."""

from __future__ import annotations

from edgecnn.building.build import PlannedBuild
from edgecnn.render.terminal import show_lines, show_rows

KEY_SHOWN = 12


def show_plan(planned: PlannedBuild) -> None:
    """Print it."""
    resolved = planned.plan.resolved
    recipe = resolved.recipe
    counts = ", ".join(f"{role} {count:,}" for role, count in resolved.data.counts.items())
    show_lines(
        [
            f"{resolved.arch.name} at {recipe.model.resolution_px} px for {resolved.device.title}",
            f"weights: {resolved.weights.why}",
            f"data: {resolved.data.root}, {len(resolved.data.classes)} classes; {counts}; {resolved.data.splits_from}",
            f"training: {resolved.mode}, {recipe.train.epochs} epochs",
            f"the test set: {planned.test_set}",
            f"latency: {resolved.attachment.why}" + ("" if resolved.attachment.attached else "; it is not measured here"),
            *(f"not offered: {u.runtime.value} {u.precision.value}: {u.why}" for u in resolved.unsupported),
            *(f"not available here: {name}: {u.why}; {u.command}" for name, u in resolved.unavailable.items()),
        ]
    )
    rungs = {candidate.id: rung.name for rung in planned.plan.rungs for candidate in rung.candidates}
    of_candidate = {step.id: rungs.get(step.candidate or "", "trunk") for step in planned.plan.steps}
    rows = [
        (
            of_candidate[step.id],
            step.id,
            step.key[:KEY_SHOWN],
            "cached" if step.missing is None else "run",
            "; ".join(step.missing or ()),
        )
        for step in planned.steps
    ]
    show_rows(("rung", "step", "key", "", "because"), rows)
