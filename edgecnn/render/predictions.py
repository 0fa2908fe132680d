"""What a bundle says of photographs: a table for people, lines for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from edgecnn.bundle.predictions import Predictions

COLUMNS = ("photograph", "label", "probability", "then")


def prediction_rows(found: Predictions) -> Iterator[Sequence[str]]:
    """A photograph a row."""
    for each in found.predictions:
        first, *others = each.labels
        yield (
            each.file,
            first.label,
            _percent(first.probability),
            "; ".join(f"{o.label} {_percent(o.probability)}" for o in others),
        )


def prediction_csv(found: Predictions) -> Iterator[str]:
    """``file,rank,label,probability``, a line a label; a comma or a quote in a name is quoted."""
    for row in (("file", "rank", "label", "probability"), *_ranked(found)):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(row)
        yield line.getvalue()


def unreadable_lines(found: Predictions) -> Iterator[str]:
    """For stderr: what was left out, by name, and how many of how many."""
    for each in found.unreadable:
        yield f"edgecnn: not read: {each.file}: {each.because}"
    if found.unreadable:
        yield f"edgecnn: {len(found.unreadable):,} of {len(found.unreadable) + len(found.predictions):,} files were not read"


def _ranked(found: Predictions) -> Iterator[Sequence[object]]:
    for each in found.predictions:
        for rank, label in enumerate(each.labels, start=1):
            yield each.file, rank, label.label, f"{label.probability:.6f}"


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"
