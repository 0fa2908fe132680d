from __future__ import annotations

import re

import pytest

from edgecnn.render.figures import moved_bytes
from edgecnn.render.sentences import partial_precision_lines
from edgecnn.values.layers import LayerResidency, Residency
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


@pytest.mark.parametrize(
    ("changes", "shares"),
    [
        ({}, ["23 %", "20 %"]),
        ({"byte_share": {"int8": 0.9}, "time_share": {"int8": 0.2, "unknown": 0.8}}, ["20 %"]),
        ({"time_share": None}, ["20 %"]),
    ],
)
def test_int8_by_multiply_adds_alone_is_pointed_out(changes: dict[str, object], shares: list[str]) -> None:
    (line,) = partial_precision_lines([a_row(residency=seen(**changes))])
    assert re.findall(r"\d+ %", line.partition("but only")[2])[: len(shares)] == shares


def test_what_is_int8_throughout_or_nowhere_or_only_planned_is_not() -> None:
    whole = seen(time_share={"int8": 0.8, "fp32": 0.2}, byte_share={"int8": 0.9, "fp32": 0.1})
    fp32 = seen(mac_share={"fp32": 1.0}, time_share={"unknown": 1.0}, byte_share=None)
    assert partial_precision_lines([a_row("litert-fp32", residency=fp32)]) == [], "fp32 cannot be hollow"
    for residency in (whole, seen(mac_share={"fp32": 1.0}), seen(basis="planned"), None):
        assert partial_precision_lines([a_row(residency=residency)]) == []


def test_what_a_layer_moves_is_listed_most_first() -> None:
    layer = LayerResidency(name="c", op="Conv", precision="int8", macs=1, time_us=1.0, moved_bytes={"int8": 10, "fp32": 4096})
    assert moved_bytes(layer) == "4,096 fp32, 10 int8"
    assert moved_bytes(layer.model_copy(update={"moved_bytes": {}})) == "0"
    assert moved_bytes(layer.model_copy(update={"moved_bytes": None})) == "–"
