from edgecnn.errors.devices import ConverterFailed, LayerNotConverted


def test_a_converter_that_failed_is_quoted() -> None:
    error = ConverterFailed(converter="pnnx", candidate="ncnn-fp32", why="signal SIGSEGV; it said last: pass_ncnn")
    assert error.line() == (
        "pnnx made no model of ncnn-fp32: signal SIGSEGV; it said last: pass_ncnn — "
        "the other candidates are built without this runtime [converter-failed]"
    )


def test_a_layer_without_a_form_is_named() -> None:
    error = LayerNotConverted(converter="pnnx", candidate="ncnn-fp32", layer="aten::erf", name="erf_0")
    assert error.line() == (
        "pnnx has no form of aten::erf for ncnn-fp32 (layer erf_0) — "
        "the other candidates are built without this runtime; or write the network without that operator [layer-not-converted]"
    )
