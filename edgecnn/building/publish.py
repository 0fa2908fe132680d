"""Write the results of a build: report.json, plan.json and the bundle, each atomically."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from edgecnn.data.formats.registry import is_on_disk
from edgecnn.data.layout import root_of
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import OUTPUT_AMONG_DATA, OUTPUT_HOLDS_OTHER_FILES, OUTPUT_UNUSABLE
from edgecnn.judging.desktop_baseline import BaselineRecord
from edgecnn.planning.plan import Plan
from edgecnn.results.folder import BASELINE, BUNDLE, CHOICE, PLAN, PROGRESS, REPORT, report_text
from edgecnn.store.disk import write_text_atomically
from edgecnn.values.report import BuildReport

Page = Callable[[BuildReport], str]
"""Renders a report as text. Rendering is above this package, so callers pass its functions."""


def check_output(folder: Path, data: str) -> None:
    """Refuse a folder that cannot or must not be written, before any time is spent.

    Raises:
        OUTPUT_UNUSABLE: it is a file, or may not be written.
        OUTPUT_HOLDS_OTHER_FILES: it holds a ``bundle`` that edgecnn did not write.
        OUTPUT_AMONG_DATA: it is inside the images' folder.
        DATA_PATH_UNUSABLE: ``data`` cannot name a folder.
    """
    images = _links_followed(root_of(data)) if is_on_disk(data) else None
    try:
        there = _links_followed(folder)
        if images is not None and (there == images or images in there.parents):
            raise OUTPUT_AMONG_DATA(out=folder, data=Path(data))
        # Created in a temporary folder next to it: a build that is refused later leaves no empty folder.
        beside = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
        with tempfile.TemporaryDirectory(dir=beside, prefix=".edgecnn.") as probe:
            (Path(probe) / folder.relative_to(beside)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OUTPUT_UNUSABLE(folder=folder, because=system_reason(error)) from error
    except ValueError as error:  # a NUL inside the path
        raise OUTPUT_UNUSABLE(folder=folder, because=str(error)) from error
    bundle = folder / BUNDLE
    if bundle.exists() and not (bundle / CHOICE).is_file():
        raise OUTPUT_HOLDS_OTHER_FILES(path=bundle)


def _links_followed(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises a RuntimeError for a link to itself


def publish_plan(plan: Plan, folder: Path) -> None:
    """Write ``plan.json``: the resolved request and every key. The next build in this folder reads its choice of weights."""
    write_text_atomically(folder / PLAN, json.dumps(plan.facts(), indent=1, ensure_ascii=False) + "\n")


def publish_report(report: BuildReport, folder: Path, pages: Mapping[str, str] | None = None) -> None:
    """Write the pages of a report and then ``report.json``, so that a new report never appears without its pages.

    ``folder``: the output folder; the caller holds its ``output_lock``, so that no page describes another build's report.
    ``pages``: file name, such as ``report.md``, to its text.
    """
    for name, text in (pages or {}).items():
        write_text_atomically(folder / name, text)
    write_text_atomically(folder / REPORT, report_text(report))


def publish_baseline(record: BaselineRecord | None, folder: Path) -> None:
    """Write ``baseline.json``, the record of this machine's GPU in the format of ``baselines/``; delete it without a record."""
    if record is None:
        (folder / BASELINE).unlink(missing_ok=True)
        return
    write_text_atomically(folder / BASELINE, record.model_dump_json(indent=1, by_alias=True) + "\n")


def publish_progress(report: BuildReport, goal: str, folder: Path) -> None:
    """Write ``progress.json`` of a goal that stops earlier. The report of a finished build in the folder is not changed."""
    outcomes = {name: outcome.model_dump(mode="json") for name, outcome in report.outcomes.items()}
    facts = {"schema": "edgecnn.progress/1", "goal": goal, "outcomes": outcomes, "timings_s": dict(report.timings_s)}
    write_text_atomically(folder / PROGRESS, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
