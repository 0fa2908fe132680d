from pathlib import Path

from edgecnn.errors.tensorrt import LoweredDisagrees, OpsetNotLowered


def test_an_opset_that_cannot_be_lowered_names_both() -> None:
    error = OpsetNotLowered(file=Path("net.onnx"), found=20, limit=17, why="no adapter for Gelu")
    assert error.line() == (
        "net.onnx: cannot be converted from opset 20 to 17: no adapter for Gelu — "
        "leave TensorRT 8.5 out, or write the network without that operator [opset-not-lowered]"
    )


def test_a_lowered_network_that_answers_otherwise_is_refused_with_how_far_it_is() -> None:
    error = LoweredDisagrees(file=Path("net.onnx"), away=0.25, allowed=0.001, images=16)
    assert error.line() == (
        "net.onnx: in an older opset its answers are 0.25 of their spread away, allowed is 0.001: the largest of 16 images — "
        "leave TensorRT 8.5 out for this network [lowered-disagrees]"
    )
