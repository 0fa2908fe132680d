from __future__ import annotations

from edgecnn.render.sentences import footprint_lines, size_lines
from edgecnn.values.figures import Energy, Memory
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity, Interval
from tests.judging.made import facts


def about(estimate: float) -> Interval:
    return Interval(estimate=estimate, low=estimate - 1, high=estimate + 1, confidence=0.98)


MEMORY = Memory(
    peak_mib=about(81), baseline_mib=about(60), above_baseline_mib=about(21), runs=8, fidelity=Fidelity.MEASURED, machine="here"
)
ENERGY = Energy(
    total_mj=about(12), above_idle_mj=about(8), idle_w=about(2), meter="rapl", covers="the packages", runs=8, images=800,
    fidelity=Fidelity.MEASURED, machine="here",
)  # fmt: skip


def line(row: CandidateFacts) -> str:
    (found,) = footprint_lines([row])
    return found


def test_memory_is_said_with_the_runtimes_own_part() -> None:
    assert line(facts(memory=MEMORY)) == (
        "memory of `onnxruntime-int8`: peak 81.0 [80.0, 82.0] MiB, 21.0 [20.0, 22.0] MiB above the runtime's own 60.0"
    )
    gpu = MEMORY.model_copy(update={"gpu_mib": about(300)})
    assert line(facts(memory=gpu)).endswith("above the runtime's own 60.0; 300.0 [299.0, 301.0] MiB of the GPU's")
    unknown = MEMORY.model_copy(update={"gpu_reason": "not listed"})
    assert line(facts(memory=unknown)).endswith("; of the GPU's not known: not listed")


def test_energy_is_said_with_its_meter_and_of_what_it_is() -> None:
    assert line(facts(energy=ENERGY)) == (
        "energy of `onnxruntime-int8`: 12.00 [11.00, 13.00] mJ an image, 8.00 [7.00, 9.00] mJ of it above idle "
        "(2.00 [1.00, 3.00] W); rapl: the packages"
    )


def test_a_reason_that_holds_for_several_is_said_once() -> None:
    nothing = ENERGY.model_copy(update={"total_mj": None, "reason": "no meter can be read here"})
    rows = [facts(name, energy=nothing) for name in ("onnxruntime-fp32", "onnxruntime-int8")]
    assert footprint_lines(rows) == ["energy of `onnxruntime-fp32`, `onnxruntime-int8`: not known: no meter can be read here"]


def test_the_size_of_a_kit_and_of_the_bundle_stand_beside_the_models() -> None:
    rows = [facts("onnxruntime-fp32", size_mib=5.8, kit_mib=6.9), facts("onnxruntime-int8", size_mib=1.7, kit_mib=2.9)]
    one = ["size of `onnxruntime-fp32`: model 5.8 MiB, kit 6.9 MiB", "size of `onnxruntime-int8`: model 1.7 MiB, kit 2.9 MiB"]
    assert size_lines(rows, ("onnxruntime-fp32", "onnxruntime-int8")) == [*one, "size of the bundle: 9.8 MiB, 2 kits"]
    assert size_lines(rows, ("onnxruntime-int8",))[-1] == "size of the bundle: 2.9 MiB, 1 kit"
    assert size_lines(rows, ()) == one, "nothing was chosen, so there is no bundle"
    assert size_lines([facts(size_mib=1.0)], ("onnxruntime-int8",)) == [], "of a report from before"


def test_a_report_from_before_says_nothing_of_either() -> None:
    assert footprint_lines([facts()]) == []
