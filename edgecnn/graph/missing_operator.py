"""Identify an operator that a runtime lacks from the runtime's error, with the nearest form that every runtime supports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edgecnn.errors.graph import operator_missing
from edgecnn.values.candidate import Runtime

_REFUSALS = (
    re.compile(r"Could not find an implementation for (?P<op>\w+)\(-?\d+\) node with name '(?P<node>[^']*)'"),
    re.compile(r"No Op registered for (?P<op>\w+) with"),
    re.compile(r"(?P<op>\w+)\(-?\d+\) is not a registered function/op"),
)
"""ONNX Runtime's errors for a missing kernel, an unknown operator of a known domain, and an unknown operator."""
NEAREST: Mapping[str, str] = {
    "Swish": "x * Sigmoid(x)",
    "Mish": "x * Tanh(Softplus(x))",
    "HardSwish": "x * HardSigmoid(x) with alpha 1/6 and beta 0.5",
    "Gelu": "0.5 * x * (1 + Erf(x / sqrt(2)))",
    "GroupNormalization": "Reshape to groups, InstanceNormalization, Reshape back, Mul and Add",
    "LayerNormalization": "ReduceMean, Sub, Mul, ReduceMean, Sqrt, Div, then Mul and Add",
    "RMSNormalization": "x / Sqrt(ReduceMean(x * x) + epsilon), then Mul",
    "LpNormalization": "x / ReduceL2(x)",
    "GlobalLpPool": "GlobalAveragePool of x * x, then Sqrt and Mul",
    "DeformConv": "Conv, whose positions are fixed; then retrain the network",
}
"""ONNX operator to equivalents in older opsets. Results are equal except for rounding, unless a comment says otherwise."""


@contextmanager
def name_missing_operator(
    model: Path | bytes, runtime: Runtime = Runtime.ONNXRUNTIME, refusals: Iterable[re.Pattern[str]] = _REFUSALS
) -> Iterator[None]:
    """Wrap the opening or conversion of a model file. ``refusals``: patterns of the runtime's errors, with a group ``op`` and
    maybe ``node``.

    Raises OPERATOR_MISSING: the runtime's error names an operator; any other failure is raised unchanged.
    """
    try:
        yield
    except Exception as error:
        match = next((match_here for refusal in refusals if (match_here := refusal.search(str(error)))), None)
        if match is None:
            raise
        op = match["op"]
        node = match.groupdict().get("node") or None
        path = model if isinstance(model, Path) else Path("a model in memory")
        raise operator_missing(path=path, runtime=runtime.value, op=op, node=node, nearest=NEAREST.get(op)) from error
