"""Two steps to half precision: first every number becomes one that fp16 holds, still in fp32; then the graph is typed fp16.

Between the two lies the twin: an fp32 file with exactly the weights of the fp16 one, which a runtime without half arithmetic
can run. What it does not show is the rounding of activations to half.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, numpy_helper
from onnxconverter_common import float16

from edgecnn.errors.tensorrt import HalfOverflow
from edgecnn.graph.document import constants_of

LARGEST_HALF = 65504.0
SMALLEST_HALF = 2.0**-24
"""The smallest subnormal above zero, IEEE 754 binary16."""


def through_half(values: npt.NDArray[np.float32], tensor: str) -> npt.NDArray[np.float32]:
    """Each number as the nearest fp16 one, in fp32.

    Raises:
        HalfOverflow: a finite number is beyond ``LARGEST_HALF``.
    """
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16).astype(np.float32)
    if np.isinf(rounded).any() and np.isfinite(values).all():
        raise HalfOverflow(tensor=tensor, largest=float(np.abs(values).max()))
    return rounded


def carry_half(model: ModelProto) -> ModelProto:
    """A copy whose float initializers hold only numbers that fp16 holds, typed fp32 as before.

    Raises:
        HalfOverflow: a weight is beyond fp16's range.
    """
    carried = ModelProto()
    carried.CopyFrom(model)
    for name, tensor in constants_of(carried.graph).items():
        _round(tensor, name)
    return carried


def type_half(carried: ModelProto) -> ModelProto:
    """A copy typed fp16, its inputs and outputs left float32 behind Casts.

    The numbers are not rounded here: ``carried`` comes from ``carry_half``, so that both files hold the same ones. The
    converter's own bounds are put outside fp16's: by default it moves numbers below 1e-7 and above 10,000.
    """
    copy = ModelProto()
    copy.CopyFrom(carried)
    typed: ModelProto = float16.convert_float_to_float16(
        copy, min_positive_val=SMALLEST_HALF / 2, max_finite_val=LARGEST_HALF + 1, keep_io_types=True
    )
    return typed


def _round(tensor: TensorProto, name: str) -> None:
    if tensor.data_type != TensorProto.FLOAT:
        return
    rounded = numpy_helper.from_array(through_half(numpy_helper.to_array(tensor), name), tensor.name)
    tensor.CopyFrom(rounded)
