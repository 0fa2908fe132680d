"""A name says what a thing is: words that say nothing, and functions called by a preposition, are refused."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.house.source_tree import functions, modules, relative, syntax

EMPTY = {"each", "found", "said", "seen", "asked", "given", "told"}
"""Say what happened to a thing and not what it is: `for candidate in candidates`, not `for each in found`."""
EMPTY_FUNCTION = re.compile(r"_?(?:of|beside|by|in|for|on|at|after|before|without)_\w+|\w+_(?:seen|said|told|asked|found|given)")
"""A function says what it returns or does: `latency_interval(samples)`, not `_of_a_tail(seen)`. Constructors and conversions
keep their usual names, such as `from_json`, `to_json` and `with_suffix`."""
NAMED_ELSEWHERE = {"in_features"}
"""Names that PyTorch prescribes."""


def empty_names() -> Iterator[str]:
    """Fields of classes do not count: many are names in files that users have."""
    for path in modules().values():
        tree = syntax(path)
        fields = {id(line.target) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for line in _annotated(node)}
        for node in ast.walk(tree):
            name = node.arg if isinstance(node, ast.arg) else node.id if isinstance(node, ast.Name) else None
            is_new = isinstance(node, ast.arg) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
            if is_new and name in EMPTY and id(node) not in fields:
                yield f"{relative(path)}:{getattr(node, 'lineno', 0)}: {name}"
        for qualified, function in functions(path):
            if EMPTY_FUNCTION.fullmatch(function.name) and function.name not in NAMED_ELSEWHERE:
                yield f"{relative(path)}:{function.lineno}: {qualified}"


def _annotated(node: ast.ClassDef) -> Iterator[ast.AnnAssign]:
    return (line for line in node.body if isinstance(line, ast.AnnAssign))


def test_every_name_says_what_it_holds_or_does() -> None:
    assert list(empty_names()) == []
