from __future__ import annotations

from edgecnn.render.figures import moved_bytes
from edgecnn.render.sentences import hollow_lines, residency_lines
from edgecnn.values.layers import LayerResidency, Residency
from tests.judging.made import facts
from tests.render.reports import a_row


def seen(**changes: object) -> Residency:
    known = {
        "basis": "executed",
        "layers": (),
        "mac_share": {"int8": 1.0},
        "time_share": {"int8": 0.23, "fp32": 0.5, "overhead": 0.27},
        "byte_share": {"int8": 0.2, "fp32": 0.8},
        "moved_bytes": 3 * 2**20,
        "bytes_absent": None,
    }
    return Residency.model_validate({**known, **changes})


def test_each_share_says_its_basis() -> None:
    assert residency_lines([a_row(residency=seen()), facts("openvino-int8")]) == [
        "`onnxruntime-int8`: what ran: multiply-adds 100 % in int8; time inside layers 50 % in fp32, "
        "27 % converting and moving numbers, 23 % in int8 (one traced process); "
        "3.0 MiB moved, 80 % in fp32, 20 % in int8 (counted from shapes)"
    ]


def test_what_was_planned_was_not_timed() -> None:
    row = a_row("tensorrt-int8", residency=seen(basis="planned", time_share=None))
    (line,) = residency_lines([row])
    assert line.startswith("`tensorrt-int8`: what the engine's builder planned, and nothing ran: multiply-adds 100 % in int8; ")


def test_int8_by_multiply_adds_alone_is_pointed_out() -> None:
    assert hollow_lines([a_row(residency=seen())]) == [
        "onnxruntime-int8: 100 % of the multiply-adds ran in int8, but only 23 % of the time and 20 % of the bytes moved "
        "(the rest of the time: 50 % in fp32, 27 % converting and moving numbers)"
    ]
    assert hollow_lines([a_row(residency=seen(byte_share={"int8": 0.9}, time_share={"int8": 0.2, "unknown": 0.8}))]) == [
        "onnxruntime-int8: 100 % of the multiply-adds ran in int8, but only 20 % of the time "
        "(the rest of the time: 80 % in a precision that the runtime does not name)"
    ]
    assert hollow_lines([a_row(residency=seen(time_share=None))]) == [
        "onnxruntime-int8: 100 % of the multiply-adds ran in int8, but only 20 % of the bytes moved"
    ]


def test_what_is_int8_throughout_or_nowhere_or_only_planned_is_not() -> None:
    whole = seen(time_share={"int8": 0.8, "fp32": 0.2}, byte_share={"int8": 0.9, "fp32": 0.1})
    fp32 = seen(mac_share={"fp32": 1.0}, time_share={"unknown": 1.0}, byte_share=None)
    assert hollow_lines([a_row("litert-fp32", residency=fp32)]) == [], "fp32 cannot be hollow"
    for residency in (whole, seen(mac_share={"fp32": 1.0}), seen(basis="planned"), None):
        assert hollow_lines([a_row(residency=residency)]) == []


def test_what_a_layer_moves_is_listed_most_first() -> None:
    layer = LayerResidency(name="c", op="Conv", precision="int8", macs=1, time_us=1.0, moved_bytes={"int8": 10, "fp32": 4096})
    assert moved_bytes(layer) == "4,096 fp32, 10 int8"
    assert moved_bytes(layer.model_copy(update={"moved_bytes": {}})) == "0"
    assert moved_bytes(layer.model_copy(update={"moved_bytes": None})) == "–"
