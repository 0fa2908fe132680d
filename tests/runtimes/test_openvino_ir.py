"""An IR is written without what says nothing, and answers as the model did that was converted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from edgecnn.runtimes.openvino import save_ir, share_ranges

CLASSES = 3


def a_model(high: float = 2.0) -> Any:
    """One quantizer before one product; its four ends are constants of their own, as NNCF leaves them."""
    image = ops.parameter([-1, 4], np.float32, name="image")
    ends = [np.float32(end) for end in (-1.0, 2.0, -1.0, high)]
    quantized = ops.fake_quantize(image, *[ops.constant(end) for end in ends], 256)
    weights = ops.constant(np.arange(4 * CLASSES, dtype=np.float32).reshape(4, CLASSES))
    return openvino.Model([ops.result(ops.matmul(quantized, weights, False, False))], [image], "a\n  b")


def answers(model: Any) -> Any:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "1"})
    return compiled(np.linspace(-2, 3, 20, dtype=np.float32).reshape(5, 4))[0]


def constants(model: Any) -> int:
    return sum(op.get_type_name() == "Constant" for op in model.get_ordered_ops())


def test_a_written_model_answers_as_it_did_and_has_no_indentation(tmp_path: Path) -> None:
    before = answers(a_model())
    assert save_ir(a_model(), tmp_path / "model.xml") == CLASSES
    np.testing.assert_array_equal(answers(str(tmp_path / "model.xml")), before)
    text = (tmp_path / "model.xml").read_text()
    assert "\n" not in text
    openvino.save_model(a_model(), tmp_path / "plain.xml", compress_to_fp16=False)
    assert len(text) < 0.8 * len((tmp_path / "plain.xml").read_text())


def test_the_ends_of_one_range_are_the_same_constants() -> None:
    model = a_model()
    before = answers(model)
    share_ranges(model)
    assert constants(model) == 3
    np.testing.assert_array_equal(answers(model), before)


def test_an_end_that_differs_stays_a_constant_of_its_own() -> None:
    model = a_model(high=2.5)
    before = answers(model)
    share_ranges(model)
    assert constants(model) == 4
    np.testing.assert_array_equal(answers(model), before)
