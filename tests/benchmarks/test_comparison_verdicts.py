from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.comparison_verdicts import bundle_of
from benchmarks.cross_check.kits import harness_ms
from edgecnn.results.shipped import shipped_kit
from tests.building.bundles import make_bundle


@pytest.mark.slow
def test_a_kit_slowed_on_purpose_takes_about_so_many_times_as_long(tmp_path: Path) -> None:
    build = make_bundle(tmp_path / "build")
    plain, slow = (shipped_kit(bundle_of(build, tmp_path / f"times-{times}", times)).kit.folder for times in (1.0, 3.0))
    took = {kit: min(harness_ms(kit, tmp_path, samples=60) for _ in range(3)) for kit in (plain, slow)}
    assert took[slow] > 1.5 * took[plain], "beside other work times differ, but hardly by so much in three runs of each"
