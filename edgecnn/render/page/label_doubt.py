"""The page of doubted labels: thumbnails, classes, confused pairs, and what to collect next."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.render.page.charts.figure import Table
from edgecnn.render.page.document import document
from edgecnn.render.screens.studies import CLASS_COLUMNS, class_rows, doubt_lines
from edgecnn.studies.doubt import SHOWN
from edgecnn.studies.facts import LabelDoubt


def doubt_page(doubt: LabelDoubt, thumbnails: Mapping[str, str], folder: str) -> str:
    """Return the page as text, for UTF-8. ``thumbnails``: paths to JPEGs in base64."""
    caption = f"Classes by recall, and the gain of {doubt.more_images} more images of one class (90 % interval)"
    result, *notes = doubt_lines(doubt, folder)
    return document(
        "doubt.html.j2",
        [],
        found=doubt,
        thumbnails=thumbnails,
        result=result,
        notes=notes,
        doubted=doubt.doubted[:SHOWN],
        near=doubt.near[:SHOWN],
        classes=Table(caption=caption, columns=CLASS_COLUMNS, rows=tuple(class_rows(doubt))),
    )
