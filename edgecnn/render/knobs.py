"""What became of each setting of the chosen kit's runtime knobs, in a sentence with the figures that decided."""

from __future__ import annotations

from edgecnn.values.knobs import KnobTrial
from edgecnn.values.report import Choice
from edgecnn.values.verdict import Interval


def knob_lines(choice: Choice) -> list[str]:
    """One line on what is used, and one a setting; nothing where they were not raced."""
    found = choice.knobs
    if found is None:
        return []
    known = [trial.ratio for trial in found.trials if trial.ratio is not None]
    how = f"; speed is against its default, paired, at {100 * known[0].confidence:.1f} %" if known else ""
    return [f"`{found.candidate}` runs with {found.knobs.words}{how}", *map(_said, found.trials)]


def _said(trial: KnobTrial) -> str:
    words = trial.knobs.words
    if trial.ratio is None:
        said = "not usable" if trial.outcome == "unusable" else "not shown to be faster"
        return f"{words}: {said}: {trial.why}"
    seen = _times(trial.ratio)
    return {
        "taken": f"{words}: {seen} as fast, taken",
        "faster": f"{words}: {seen} as fast, and what was taken is faster still",
        "disturbed": f"{words}: {seen} as fast, and not taken: {trial.why}",
        "not-shown": f"{words}: not shown to be faster, {seen}",
        "unusable": f"{words}: {seen} as fast, and not usable: {trial.why}",
    }[trial.outcome]


def _times(ratio: Interval) -> str:
    return f"{ratio.estimate:.2f} × [{ratio.low:.2f}, {ratio.high:.2f}]"
