"""Candidates whose engine the device builds: what can be shown without the device, which is that it parses and builds.

By ``tensorrt_rtx_bindings``, which builds for GPUs that are not here; its engines are for none of the boards.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors.hosts import RunnerFailed
from edgecnn.stages.engine import CompileStage
from edgecnn.values.layers import Residency
from tests.conformance.subjects import Subject, copied, kit_of, spoiled, subjects
from tests.runtimes.made import Quiet

BUILT = [each for each in subjects() if each.candidate.needs_engine]
CAPABILITY = "8.9"

pytestmark = pytest.mark.skipif(not BUILT, reason="no backend here has candidates that need an engine")


@pytest.fixture(params=BUILT, ids=lambda each: each.candidate.id)
def subject(request: pytest.FixtureRequest) -> Subject:
    found: Subject = request.param
    return found


def built(kit: Path, out: Path) -> Path:
    """The compile stage's folder; skipped where the builder is not installed."""
    out.mkdir()
    try:
        CompileStage(capabilities=(CAPABILITY,)).make({"kit": kit}, out, Quiet())
    except RunnerFailed as error:
        if error.ref == "builder-missing":
            pytest.skip(error.line())
        raise
    return out


def test_it_parses_and_builds_and_its_planned_shares_sum_to_one(subject: Subject, tmp_path: Path) -> None:
    planned = Residency.model_validate_json((built(kit_of(subject), tmp_path / "out") / "planned.json").read_text())
    assert planned.basis == "planned"
    assert planned.time_share is None, "nothing ran"
    assert planned.mac_share.get(subject.candidate.precision.value, 0.0) > 0.95
    assert sum(planned.mac_share.values()) == pytest.approx(1.0)
    assert planned.byte_share is not None, planned.bytes_absent
    assert sum(planned.byte_share.values()) == pytest.approx(1.0)


def test_a_model_file_cut_short_is_refused_and_the_next_build_is_as_before(subject: Subject, tmp_path: Path) -> None:
    name = "model.onnx"
    bad = spoiled(
        copied(subject, tmp_path / "bad"),
        lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:5000]) and None,
    )
    first = built(kit_of(subject), tmp_path / "first")
    with pytest.raises(RunnerFailed) as refused:
        built(bad, tmp_path / "refused")
    assert refused.value.ref == "model-refused"
    assert not list((tmp_path / "refused").glob("*.plan"))
    again = built(kit_of(subject), tmp_path / "again")
    assert (again / "planned.json").read_text() == (first / "planned.json").read_text()
