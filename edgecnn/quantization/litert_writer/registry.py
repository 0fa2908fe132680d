"""One rule for each ONNX operator that LiteRT has a form of."""

from __future__ import annotations

from collections.abc import Callable

from edgecnn.quantization.litert_writer.conversion import Rule

RULES: dict[str, Rule] = {}


def rule(*operators: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule of these operators. It writes a node's operators and raises NoForm where there are none."""

    def registered(function: Rule) -> Rule:
        for operator in operators:
            RULES[operator] = function
        return function

    return registered
