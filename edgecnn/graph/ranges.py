"""The largest magnitude of every float tensor of an ONNX graph on real images: what has to fit into a narrower number format."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph.onnx_file import constants_of, load_model
from edgecnn.graph.sessions import Level, answers, session_of

_FLOAT = "tensor(float)"


def float_tensors(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the float32 tensors that nodes make, in the order of the graph; none inside branches and loops."""
    names = [name for node in model.graph.node for name in node.output if name]
    made = {each.name: each.type for each in session_of(model, Level.ORT_DISABLE_ALL, outputs=names).get_outputs()}
    return tuple(name for name in names if made[name] == _FLOAT)


def largest_magnitudes(path: Path, feeds: Iterable[npt.NDArray[Any]]) -> dict[str, float]:
    """The largest magnitude of each float tensor, constants first, then in the order of the graph; NaN where one was seen.

    The extremes are taken inside the graph, so that no tensor has to be kept, and none is fused away.

    ``feeds``: batches of the one input, float32 (N, 3, H, W).
    """
    model = load_model(path)
    names = float_tensors(model)
    floats = ((name, tensor) for name, tensor in constants_of(model.graph).items() if tensor.data_type == TensorProto.FLOAT)
    largest = {name: float(np.max(np.abs(numpy_helper.to_array(tensor)), initial=0.0)) for name, tensor in floats}
    ends = {f"{name}:{kind}": helper.make_node(kind, [name], [f"{name}:{kind}"], keepdims=0) for name in names for kind in _ENDS}
    model.graph.node.extend(ends.values())
    session = session_of(model, Level.ORT_ENABLE_BASIC, outputs=tuple(ends))
    for feed in feeds:
        for end, value in answers(session, feed).items():
            name = end.rpartition(":")[0]
            largest[name] = float(np.maximum(largest.get(name, 0.0), np.abs(value)))
    return largest


_ENDS = ("ReduceMin", "ReduceMax")
