from edgecnn.errors.graph import HalfOverflow, OutputsDiffer


def test_a_network_that_a_converter_changed_is_refused_with_distance_and_tolerance() -> None:
    error = OutputsDiffer(candidate="openvino-fp32", converter="OpenVINO's converter", away=0.0342, allowed=0.001, images=32)
    assert error.line() == (
        "openvino-fp32: outputs are 0.034 from the ONNX file's; 0.001 is allowed: OpenVINO's converter changed the network; "
        "differences are shares of the output range over 32 calibration images — "
        "choose another runtime, or replace the layer that is converted wrongly [outputs-differ]"
    )


def test_a_weight_beyond_fp16_is_called_a_weight() -> None:
    assert HalfOverflow(candidate="ncnn-fp16", tensor="fc", largest=1e5, weight=True).line() == (
        "ncnn-fp16: weight fc reaches 100,000, and fp16 ends at 65,504 — "
        "choose a candidate that does not compute in fp16, or train with weight decay [half-overflow]"
    )


def test_an_overflow_names_the_candidate_the_tensor_its_largest_value_and_the_limit() -> None:
    error = HalfOverflow(candidate="ncnn-fp16", tensor="relu_3", largest=169568.0, images=300)
    assert error.line() == (
        "ncnn-fp16: tensor relu_3 reaches 169,568, and fp16 ends at 65,504: it is the largest magnitude over 300 calibration "
        "images — choose a candidate that does not compute in fp16, or train with weight decay [half-overflow]"
    )
