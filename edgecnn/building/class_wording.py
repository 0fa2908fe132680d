"""Sentences about classes: which were shown to lose, and of which nothing could be shown."""

from __future__ import annotations

from collections.abc import Iterable

from edgecnn.values.class_report import ClassFigures, ClassReport
from edgecnn.values.report import Accuracy, CandidateFacts
from edgecnn.values.verdict import Fidelity

SENTENCES = 5
"""Of one candidate: where more classes are lost it is broken altogether, and the rest is told in one."""
NAMES = 10
"""In one sentence; report.json has all of them."""


def class_notices(rows: Iterable[CandidateFacts]) -> tuple[str, ...]:
    """One sentence for each class that a candidate was shown to lose on, the largest loss first; then the classes too small."""
    reports = [(row.candidate.id, row.report, row.report.quality.classes) for row in rows if row.report and row.report.quality]
    said = [sentence for name, report, classes in reports for sentence in _lost(name, report, classes)]
    compared = next((classes for _, _, classes in reports if classes.compared), None)
    return (*said, *_too_small(compared)) if compared is not None else tuple(said)


def guess_notices(rows: Iterable[CandidateFacts]) -> tuple[str, ...]:
    """That the network itself is not shown to be better than naming the commonest class each time, where it is not."""
    row = next((row for row in rows if row.is_baseline), None)
    if row is None or row.report is None or row.report.quality is None:
        return ()
    commonest = max(row.report.quality.classes.classes, key=lambda each: each.images)
    share, found = commonest.images / row.report.images, row.report.top1
    if found.low > share:
        return ()
    right = f"{row.candidate.id} is right on {found.estimate:.1%} [{found.low:.1%}, {found.high:.1%}] of report"
    return (f"NOT SHOWN TO HAVE LEARNED: {right}, and whoever always says {commonest.name!r} on {share:.1%}",)


# ---------------------------------------------------------------------------------------------------------------------


def _lost(candidate: str, report: Accuracy, classes: ClassReport) -> list[str]:
    shown = classes.shown()
    where = " (emulated)" if report.fidelity is Fidelity.EMULATED else ""
    over = f"shown after Holm over {_counted(classes.compared, 'class', 'classes')}"
    said = [
        f"{candidate} loses {_points(each)}{where} on class {each.name!r} ({_counted(each.images, 'image', 'images')}), {over}"
        for each in shown[:SENTENCES]
    ]
    if rest := shown[SENTENCES:]:
        more = _counted(len(rest), "further class", "further classes")
        said.append(f"{candidate} loses on {more}{where}, {over}: {_names(rest)}")
    return said


def _points(each: ClassFigures) -> str:
    if each.drop_pp is None:
        return ""
    drop = each.drop_pp
    return f"{drop.estimate:.1f} pp [{drop.low:.1f}, {drop.high:.1f}] at {100 * drop.confidence:.4g} %"


def _too_small(classes: ClassReport) -> list[str]:
    small = classes.too_small()
    if not small:
        return []
    have = f"{_counted(len(small), 'class has', 'classes have')} fewer than {classes.lost_to_show} images in report"
    return [f"{have}, too few for a loss to be sure to show: {_names(small)}"]


def _names(classes: Iterable[ClassFigures]) -> str:
    names = [repr(each.name) for each in classes]
    more = f" and {len(names) - NAMES:,} more" if len(names) > NAMES else ""
    return ", ".join(names[:NAMES]) + more


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
