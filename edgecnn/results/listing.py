"""Finished builds of the user as points next to the catalogue: their cost and accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from edgecnn.errors.base import EdgecnnError
from edgecnn.results.folder import REPORT, read_report
from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.verdict import Interval

BUILDS = Path("builds")
"""The default folder of builds."""


class OwnBuild(Value):
    """A finished build with known work and an evaluated chosen candidate."""

    folder: str
    arch: str
    data: str
    candidate: str
    parameters: int
    macs: int
    resolution_px: Resolution
    accuracy_top1: Interval
    """0…1, on the build's own test split."""


def own_builds(named: Sequence[Path] | None) -> tuple[OwnBuild, ...]:
    """Return the named builds, or the readable builds in ``BUILDS``, without those that lack an accuracy.

    Raises NoReport, ReportUnreadable: for a named folder.
    """
    if named:
        builds = [_own(folder) for folder in named]
    else:
        builds = []
        for file in sorted(BUILDS.glob(f"*/{REPORT}")):
            with suppress(EdgecnnError):  # nobody asked for this folder by name
                builds.append(_own(file.parent))
    return tuple(build for build in builds if build is not None)


def _own(folder: Path) -> OwnBuild | None:
    report = read_report(folder)
    chosen = report.shipped
    if chosen is None or chosen.test is None or not report.build.macs:
        return None
    return OwnBuild(
        folder=str(folder),
        arch=report.build.arch,
        data=report.build.data,
        candidate=chosen.candidate.id,
        parameters=report.build.parameters,
        macs=report.build.macs,
        resolution_px=report.build.resolution_px,
        accuracy_top1=chosen.test.top1,
    )
