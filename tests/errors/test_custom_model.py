from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import REPORT, ExternalDataMissing, OpsetUnreachable, TrunkDisagrees

FILE = Path("mine.onnx")
LINES = (
    (
        TrunkDisagrees(path=FILE, change="with opset 11 to 20", max_abs_diff=2.5, allowed=0.01),
        "mine.onnx cannot be built from: with opset 11 to 20, it differs by 2.5 in an answer, 0.01 is allowed"
        " — export it anew with opset 20 and a dynamic batch [trunk-disagrees]",
    ),
    (
        TrunkDisagrees(path=FILE, change="saved anew", max_abs_diff=2.5, allowed=0.01, hint=REPORT),
        "mine.onnx cannot be built from: saved anew, it differs by 2.5 in an answer, 0.01 is allowed — report this "
        "with the file: the conversion here changed its answers [trunk-disagrees]",
    ),
    (
        OpsetUnreachable(path=FILE, opset=23, wanted=20, because="no adapter for RMSNormalization"),
        "mine.onnx has ONNX opset 23, and cannot be converted to 20: no adapter for RMSNormalization"
        " — export it anew with opset 20 [opset-unreachable]",
    ),
    (
        ExternalDataMissing(path=Path("models/mine.onnx"), location="mine.onnx.data"),
        "models/mine.onnx needs the file mine.onnx.data, which is not in its folder: the model's weights are stored there — copy "
        "mine.onnx.data into models too, from where the model was exported [external-data-missing]",
    ),
)


@pytest.mark.parametrize(("error", "line"), LINES, ids=[error.ref for error, _ in LINES])
def test_the_exact_text(error: EdgecnnError, line: str) -> None:
    assert error.line() == line
