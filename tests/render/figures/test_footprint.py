from __future__ import annotations

from edgecnn.render.sentences import footprint_lines, size_lines
from tests.judging.made import facts
from tests.render.page.measured import an_energy


def test_a_reason_that_holds_for_several_is_said_once() -> None:
    nothing = an_energy(total_mj=None, reason="no meter")
    (line,) = footprint_lines([facts(name, energy=nothing) for name in ("onnxruntime-fp32", "onnxruntime-int8")])
    assert "`onnxruntime-fp32`, `onnxruntime-int8`" in line and line.endswith(": no meter")


def test_the_size_of_a_kit_and_of_the_bundle_stand_beside_the_models() -> None:
    rows = [facts("onnxruntime-fp32", size_mib=5.8, kit_mib=6.9), facts("onnxruntime-int8", size_mib=1.7, kit_mib=2.9)]
    *of_kits, both = size_lines(rows, ("onnxruntime-fp32", "onnxruntime-int8"))
    assert "9.8 MiB" in both
    assert "2.9 MiB" in size_lines(rows, ("onnxruntime-int8",))[-1]
    assert size_lines(rows, ()) == of_kits, "nothing was chosen, so there is no bundle"
    assert size_lines([facts(size_mib=1.0)], ("onnxruntime-int8",)) == [], "of a report from before"


def test_a_report_from_before_says_nothing_of_either() -> None:
    assert footprint_lines([facts()]) == []
