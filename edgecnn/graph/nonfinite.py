"""Which layer of an ONNX graph first gives a number that is none, on one image: NaN or infinity spreads, so the last layer says
nothing of where it came from.

Every layer's output is asked for, some layers a pass, since all of them together may not fit into memory. Nothing is fused then:
what overflows in a fused kernel alone is not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import numpy_helper

LAYERS_A_PASS = 64
"""Of EfficientNet-B7 at 600 pixels that many outputs of one image take less than 1 GiB."""


class Culprit(NamedTuple):
    """The first layer whose output is not finite although all that it was given is, in the graph's order."""

    layer: str
    operator: str
    value: float
    weights: bool
    """Whether its own weights already hold such a number."""

    def __str__(self) -> str:
        why = "its weights hold it already" if self.weights else "from finite numbers and finite weights"
        return f"layer {self.layer} ({self.operator}) is the first to give {self.value}, {why}"


def first_nonfinite(path: Path, feed: npt.NDArray[Any], options: Mapping[str, str] | None = None) -> Culprit | None:
    """The layer that first gives NaN or infinity for a feed of one image; None where no layer does.

    ``options``: session configuration entries (``session.…``); others are left alone.
    """
    model = onnx.load(path)
    weights = {each.name: each for each in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.output]
    for begin in range(0, len(nodes), LAYERS_A_PASS):
        some = nodes[begin : begin + LAYERS_A_PASS]
        answers = _outputs(model, [name for node in some for name in node.output if name], feed, options or {})
        for node in some:
            value = next((bad for name in node.output if (bad := _bad(answers.get(name))) is not None), None)
            if value is not None:
                held = any(_bad(numpy_helper.to_array(weights[name])) is not None for name in node.input if name in weights)
                return Culprit(node.name or node.output[0], node.op_type, value, held)
    return None


def _outputs(
    model: onnx.ModelProto, names: list[str], feed: npt.NDArray[Any], options: Mapping[str, str]
) -> dict[str, npt.NDArray[Any]]:
    """These tensors; the model is as it was afterwards."""
    declared = [each.SerializeToString() for each in model.graph.output]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for name, value in _entries(options):
        settings.add_session_config_entry(name, value)
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    finally:
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto.FromString(text) for text in declared)
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: feed}), strict=True))


def _entries(options: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in sorted(options.items()) if "." in name)


def _bad(values: npt.NDArray[Any] | None) -> float | None:
    """The first number that is none; None of whole numbers, which are all numbers."""
    if values is None or not np.issubdtype(values.dtype, np.floating):
        return None
    finite = np.isfinite(values)
    return None if finite.all() else float(values[~finite].flat[0])
