from __future__ import annotations

from pathlib import Path

from benchmarks.comparison_verdicts import bundle_of
from benchmarks.cross_check import harness_ms
from edgecnn.building.contenders import side_of
from tests.building.bundles import make_bundle


def test_a_kit_slowed_on_purpose_takes_about_so_many_times_as_long(tmp_path: Path) -> None:
    build = make_bundle(tmp_path / "build")
    plain, slow = (side_of(bundle_of(build, tmp_path / f"times-{times}", times)).kit.folder for times in (1.0, 3.0))
    ratio = harness_ms(slow, tmp_path, samples=60) / harness_ms(plain, tmp_path, samples=60)
    assert 2 < ratio < 4.5
