"""A plan for people: what is asked, what would run and why, and what the test set can show."""

from __future__ import annotations

from edgecnn.building.build import PlannedBuild
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.values.dataset import DataSummary

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
            resolved.brought.why if resolved.brought is not None else f"training: {resolved.mode}, {recipe.train.epochs} epochs",
            *_left_out(resolved.data),
            f"the test set: {planned.test_set} of accuracy between two candidates",
            *(f"gate: {gate.side} {gate.metric} {gate.bound:g}, {gate.required} ({gate.stated_by})" for gate in planned.gates),
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
    show_rows(("rung", "step", "key", "store", "because"), rows)


def _left_out(data: DataSummary) -> list[str]:
    """Files that are not used, counted and with the first names: in no table would anybody look for them."""
    lines = []
    for what, names in (("left out", data.skipped), ("copies of other images, left out", data.copies)):
        if names:
            more = f"; and {len(names) - 3} more" if len(names) > 3 else ""
            lines.append(f"{what}: {len(names)}: {'; '.join(names[:3])}{more}")
    return lines
