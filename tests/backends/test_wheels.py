from __future__ import annotations

from edgecnn.backends.registry import backend_for
from edgecnn.backends.wheels import for_old_pythons, oldest_glibc, pythons_with_wheels, series_for
from edgecnn.values.candidate import Runtime

ONNXRUNTIME = backend_for(Runtime.ONNXRUNTIME).runtime_packages["onnxruntime"]
OPENVINO = backend_for(Runtime.OPENVINO).runtime_packages["openvino"]


def test_old_pythons_take_old_runtimes() -> None:
    python_3_8, python_3_12 = series_for(Runtime.ONNXRUNTIME, (3, 8)), series_for(Runtime.ONNXRUNTIME, (3, 12))
    assert python_3_8 is not None and python_3_8.newest == "1.19.2"
    assert python_3_12 is not None and python_3_12.newest is None
    assert series_for(Runtime.ONNXRUNTIME, (3, 7)) is series_for(Runtime.TENSORRT, (3, 10)) is None


def test_a_runtime_in_the_wanted_range_bounds_the_pythons() -> None:
    assert pythons_with_wheels(Runtime.ONNXRUNTIME, ONNXRUNTIME) == ((3, 8), (3, 14))
    assert pythons_with_wheels(Runtime.OPENVINO, OPENVINO) == ((3, 10), (3, 14))
    assert pythons_with_wheels(Runtime.TENSORRT, "") is None


def test_the_sentence_of_a_bundles_page() -> None:
    assert for_old_pythons(Runtime.ONNXRUNTIME, ONNXRUNTIME) == (
        "Python 3.8 or 3.9 takes onnxruntime 1.19.2, Python 3.10 takes onnxruntime 1.23.2, the last with wheels for it; "
        "Python 3.11 or newer takes any later one."
    )
    assert for_old_pythons(Runtime.OPENVINO, OPENVINO) == "openvino >=2026.2,<2027 needs Python 3.10 or newer."
    assert for_old_pythons(Runtime.TENSORRT, "") is None


def test_openvinos_wheels_for_arm_need_a_newer_c_library() -> None:
    assert oldest_glibc(Runtime.OPENVINO, "aarch64") == (2, 35)
    assert oldest_glibc(Runtime.ONNXRUNTIME, "riscv64") is None
