"""Every test here runs once for each candidate; what this machine cannot run is skipped in the runner's own words."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from edgecnn.errors.base import ExitCode
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.errors.weights import MissingPackage
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Task
from edgecnn.installed import lacking
from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.sessions import open_session
from tests.conformance.subjects import Subject, kit_of, marked, subjects
from tests.runtimes.made import Quiet

BUILD_LEASE_S = 600.0


@pytest.fixture(params=marked(subjects()), ids=lambda each: each.candidate.id)
def subject(request: pytest.FixtureRequest) -> Subject:
    found: Subject = request.param
    if lacks := lacking(found.backend.packages, found.backend.extra):
        pytest.skip(f"{lacks.why} — {lacks.command}")
    return found


@pytest.fixture
def kit(subject: Subject) -> Path:
    """The candidate's kit, with its engine where it needs one; skipped where this machine cannot run it."""
    try:
        folder = kit_of(subject)
    except MissingPackage as missing:
        pytest.skip(missing.line())
    if subject.candidate.needs_engine and (why := _why_no_engine(folder)) is not None:
        pytest.skip(why)
    try:
        open_session(Kit.open(folder), batch=1).close()
    except RunnerError as error:
        if error.missing:
            pytest.skip(f"{error.what}: {error.because or error.hint}")
        raise
    return folder


@cache
def _why_no_engine(folder: Path) -> str | None:
    """Build the kit's engine for this machine, once a test run; why there is none, or None where there is one."""
    try:
        LocalHost().run(Task(folder, "build-engine", out=folder / "build", made_here=True), lease_s=BUILD_LEASE_S, tell=Quiet())
    except RunnerFailed as error:
        if error.exit_code is ExitCode.MISSING:
            return error.line()
        raise
    return None
