from pathlib import Path

from edgecnn.errors.graph import OpsetNotLowered


def test_an_opset_that_cannot_be_lowered_names_both() -> None:
    error = OpsetNotLowered(file=Path("net.onnx"), found=20, limit=17, why="no adapter for Gelu")
    assert error.line() == (
        "net.onnx: cannot be converted from opset 20 to 17: no adapter for Gelu — "
        "leave TensorRT 8.5 out, or write the network without that operator [opset-not-lowered]"
    )
