"""The files of a build's folder, by name: what one call leaves there, the next one finds."""

from __future__ import annotations

REPORT = "report.json"
PAGE = "report.html"
"""The report for people, beside it."""
PLAN = "plan.json"
PROGRESS = "progress.json"
"""Of a call that stopped before the report."""
BASELINE = "baseline.json"
"""What a GPU of this machine did."""
BUNDLE = "bundle"
"""What ships."""
CHOICE = "choice.json"
"""In the bundle: its kits, and the one that is used."""
