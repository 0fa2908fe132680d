"""One rule for each ONNX operator that has a LiteRT form."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edgecnn.runtimes.litert_writer.conversion import Rule

RULES: dict[str, Rule] = {}


class Form(NamedTuple):
    """The LiteRT form of an operator, as docs/reference/litert-operators.md lists it."""

    held: str
    """LiteRT operators that the rule may write, without TRANSPOSE and RESHAPE."""
    limits: str
    in_int8: str = ""
    """LiteRT operators in a file that will be quantized; empty: the same as ``held``."""


FORMS: dict[str, Form] = {}


def rule(*operators: str, held: str, limits: str = "", in_int8: str = "") -> Callable[[Rule], Rule]:
    """Register a function as the rule of these ONNX operators. The rule writes a node, or raises NoForm if it has no form.

    ``limits``: restrictions of the form. A test compares ``held`` with the written operators.
    """

    def registered(function: Rule) -> Rule:
        for operator in operators:
            RULES[operator], FORMS[operator] = function, Form(held, limits, in_int8)
        return function

    return registered
