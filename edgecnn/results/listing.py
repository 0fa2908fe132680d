"""The user's finished builds as points next to the catalogue: each one's cost, and its accuracy on its own images."""

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
"""Default folder of builds."""


class OwnBuild(Value):
    """A finished build with known work and an evaluated candidate."""

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
    """Return the named builds, else the readable ones in ``BUILDS``; those without an accuracy are skipped.

    Raises NoReport, ReportUnreadable: of a named folder.
    """
    if named:
        builds = [_own(folder) for folder in named]
    else:
        builds = []
        for file in sorted(BUILDS.glob(f"*/{REPORT}")):
            with suppress(EdgecnnError):  # no one named this folder
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
