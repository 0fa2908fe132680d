"""One rule for each ONNX operator that LiteRT has a form of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edgecnn.runtimes.litert_writer.conversion import Rule

RULES: dict[str, Rule] = {}


class Form(NamedTuple):
    """How LiteRT holds an operator, for readers: docs/reference/litert-operators.md lists it."""

    held: str
    """LiteRT's operators that the rule may write, TRANSPOSE and RESHAPE apart."""
    limits: str
    in_int8: str = ""
    """LiteRT's operators in a file that is to be quantized; empty: the same."""


FORMS: dict[str, Form] = {}


def rule(*operators: str, held: str, limits: str = "", in_int8: str = "") -> Callable[[Rule], Rule]:
    """Register a function as the rule of these operators. It writes a node's operators and raises NoForm where there are none.

    ``limits``: uses of the operators that have no form. The test of the operators compares ``held`` with what is written.
    """

    def registered(function: Rule) -> Rule:
        for operator in operators:
            RULES[operator], FORMS[operator] = function, Form(held, limits, in_int8)
        return function

    return registered
