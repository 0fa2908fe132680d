"""How the figures beyond top-1 are spelt, of the whole split and by class, once for every place that shows them."""

from __future__ import annotations

import re

from edgecnn.render.figures import MARKS, NONE, percent_interval
from edgecnn.render.visible import visible
from edgecnn.values.figures import ClassFigures, ClassReport
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Interval

COLUMNS = ("candidate", "top-5", "macro-F1", "calibration error", "agreement with fp32", "largest drop of a class")
LEGEND = (
    "Intervals at 90 %: each bound is the one-sided 95 % a gate is judged by. Calibration error over 15 bins of equal width: "
    "chance adds to its estimate, and its interval allows for that. The largest drop holds for all classes at once."
)
CLASS_COLUMNS = ("class", "images", "recall (95 %)", "F1", "drop against fp32 (90 %)", "loss")
CLASSES_SHOWN = 20


def row(facts: CandidateFacts) -> tuple[str, ...] | None:
    """One candidate's cells, in the order of ``COLUMNS``; None where nothing is known beyond top-1."""
    if facts.test is None or facts.test.quality is None:
        return None
    found, mark = facts.test.quality, MARKS[facts.test.fidelity]
    shares = (found.top5, found.macro_f1, found.ece, found.agreement)
    cells = [NONE if share is None else percent_interval(share) + mark for share in shares]
    cells.append(NONE if found.classes.worst_drop_pp is None else _points(found.classes.worst_drop_pp) + mark)
    if facts.is_baseline:
        cells[3:] = ["baseline", "baseline"]
    return (facts.candidate.id, *cells)


def class_rows(classes: ClassReport) -> list[tuple[str, ...]]:
    """The cells of each class, in the order of ``CLASS_COLUMNS``: all of up to 20 classes, else of those that lose most."""
    return [_class_row(each) for each in most_telling(classes)]


def left_out(classes: ClassReport) -> str:
    """One sentence on the classes without a row; nothing where there are none."""
    more = len(classes.classes) - CLASSES_SHOWN
    return f"The {CLASSES_SHOWN} that lose most; {more:,} more in report.json." if more > 0 else ""


def most_telling(classes: ClassReport) -> tuple[ClassFigures, ...]:
    """All of up to 20 classes, else those that lose most: shown losses first, then by drop."""
    if len(classes.classes) <= CLASSES_SHOWN:
        return classes.classes
    shown = classes.shown()
    rest = [each for each in classes.classes if each.regression != "shown"]
    rest.sort(key=lambda each: (-_drop(each), each.recall.estimate if each.recall else 1.0))
    return (*shown, *rest)[:CLASSES_SHOWN]


# ---------------------------------------------------------------------------------------------------------------------


def _drop(each: ClassFigures) -> float:
    return each.drop_pp.estimate if each.drop_pp else 0.0


def _class_row(each: ClassFigures) -> tuple[str, ...]:
    return (
        _plain(each.name),
        f"{each.images:,}",
        NONE if each.recall is None else percent_interval(each.recall),
        NONE if each.f1 is None else f"{100 * each.f1:.1f} %",
        NONE if each.drop_pp is None else _points(each.drop_pp),
        each.regression or NONE,
    )


def _points(drop: Interval) -> str:
    return f"{drop.estimate:+.1f} [{drop.low:+.1f}, {drop.high:+.1f}] pp"


def _plain(name: str) -> str:
    """A folder may be called anything; here it is text, and no markup."""
    return re.sub(r"([\\`*<\[])", r"\\\1", visible(name))
