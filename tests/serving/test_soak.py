"""``edgecnn bundle serve`` does not grow over thousands of images; for ten thousand see ``benchmarks/serve_soak.py``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.serve_soak import Reading, Soak, curve, photographs, soaked

REQUESTS = int(os.environ.get("EDGECNN_SOAK", "1500"))
SLOPE_MIB = 5.0
"""A thousand requests: 5 kB of each. The photographs have 35 kB, and a quiet server differs by 1 MiB between its readings."""


def test_the_slope_is_that_of_the_second_half_and_the_curve_is_drawn() -> None:
    grows = [Reading(count, 100 + max(0, count - 500) / 100, 1, 4) for count in range(0, 1001, 100)]
    soak = Soak(1000, grows, right=1, answers_ms=[1.0])
    assert soak.slope == pytest.approx(10)
    assert soak.facts()["slope_mib_per_1000"] == 10
    assert b"<svg" in curve(soak)


@pytest.mark.slow  # minutes
def test_memory_stays_flat_and_every_answer_right(
    whole: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    soak = soaked(whole, photographs(whole, None, tmp_path), REQUESTS)
    record_property("figure", f"serve: {REQUESTS:,} photographs, memory {soak.slope:+.2f} MiB a thousand")
    assert soak.wrong == []
    assert (soak.right, soak.refused, soak.reset) == (REQUESTS * 90 // 100, REQUESTS * 8 // 100, REQUESTS * 2 // 100)
    assert soak.slope < SLOPE_MIB, soak.summary()
    assert soak.readings[-1].files <= soak.readings[1].files + 8
    assert soak.readings[-1].threads <= 9
