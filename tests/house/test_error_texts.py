"""Every failure that a user can see stands in an ordinary test as the whole line that the user sees."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from tests.house.source_tree import ROOT, modules, syntax

LEFT_OUT = re.compile(r"slow|full|needs_\w+")
"""Marks of tests that an ordinary call of pytest does not run, or not on every machine."""


def _errors() -> list[type[EdgecnnError]]:
    """Those that are raised: the classes that word an error of their own."""
    for name in modules():
        if name.startswith("edgecnn.errors"):
            importlib.import_module(name)
    found: list[type[EdgecnnError]] = []
    kinds = [EdgecnnError]
    while kinds:
        kinds += (below := kinds.pop().__subclasses__())
        found += [kind for kind in below if "__init__" in vars(kind)]
    return [kind for kind in found if kind.__module__.startswith("edgecnn.")]


def _text(node: ast.AST) -> str | None:
    """What a literal says, with a question mark for whatever a program puts into it."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "?" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        return None if left is right is None else (left or "?") + (right or "?")
    return None


def _is_a_piece(node: ast.AST) -> bool:
    """A text that is only looked for in another one: ``x in line``, ``line.endswith(x)``, ``match=x``."""
    if isinstance(node, ast.Compare):
        return isinstance(node.ops[0], (ast.In, ast.NotIn))
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr in ("endswith", "startswith", "count", "index", "find")
    return isinstance(node, ast.keyword) and node.arg == "match"


def _is_left_out(node: ast.AST) -> bool:
    """A function that is marked so, or a file's ``pytestmark``."""
    marks = getattr(node, "decorator_list", [])
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "pytestmark":
        marks = [node.value]
    names = (getattr(each, "attr", getattr(each, "id", "")) for mark in marks for each in ast.walk(mark))
    return any(LEFT_OUT.fullmatch(name) for name in names)


def _whole_texts(node: ast.AST) -> Iterator[str]:
    """The outermost literals below, without those of tests that are left out, and without pieces."""
    if _is_left_out(node):
        return
    for child in ast.iter_child_nodes(node):
        text = _text(child)
        if text is None:
            yield from _whole_texts(child)
        elif not (_is_a_piece(node) and child is not getattr(node, "comparators", [None])[0]):
            yield text


def _pinned(tree: ast.Module) -> set[str]:
    """References at the end of a text that has more than that: at least something that failed."""
    if any(_is_left_out(node) for node in tree.body if isinstance(node, ast.Assign)):
        return set()
    found = (re.fullmatch(r"(?s)(.*\w.*) \[([a-z0-9-]+)\]\s*", text) for text in _whole_texts(tree))
    return {each[2] for each in found if each and len(each[1].split()) > 1}


def test_the_whole_line_of_every_error_stands_in_an_ordinary_test() -> None:
    pinned = set().union(*(_pinned(syntax(path)) for path in sorted((ROOT / "tests").rglob("*.py"))))
    assert {f"{kind.__module__}.{kind.__name__}" for kind in _errors() if kind.ref not in pinned} == set()


def test_a_reference_names_one_error() -> None:
    assert [ref for ref, times in Counter(kind.ref for kind in _errors()).items() if times > 1] == []


@pytest.mark.parametrize(
    ("source", "counts"),
    [
        ("assert error.line() == 'x: it broke — mend it [it-broke]'", True),
        ("assert error.line() == f'{path}: it broke [it-broke]'", True),
        ("lines = [(Broke(), 'x: it ' 'broke [it-broke]')]", True),
        ("assert said == start + ': it broke [it-broke]\\n'", True),
        ("assert 'it broke [it-broke]' in said", False),
        ("assert said.endswith('it broke [it-broke]')", False),
        ("pytest.raises(Broke, match='it broke [it-broke]')", False),
        ("assert said == '[it-broke]'", False),
        ("@pytest.mark.slow\ndef test() -> None:\n    assert said == 'x: it broke [it-broke]'", False),
        ("@needs_sshd\ndef test() -> None:\n    assert said == 'x: it broke [it-broke]'", False),
        ("pytestmark = pytest.mark.full\nassert said == 'x: it broke [it-broke]'", False),
    ],
)
def test_only_a_whole_line_in_a_test_that_runs_counts(source: str, counts: bool) -> None:
    assert (_pinned(ast.parse(source)) == {"it-broke"}) is counts


def test_what_is_read_are_the_errors_of_the_package() -> None:
    """Else the first test holds of nothing."""
    files = {Path(modules()[kind.__module__]) for kind in _errors()}
    raised = {path for path in (ROOT / "edgecnn/errors").rglob("*.py") if "super().__init__(" in path.read_text(encoding="utf-8")}
    assert files == raised - {ROOT / "edgecnn/errors/base.py"}
