"""Errors are rows: each is made somewhere, with exactly its fields, and only what is caught by name is a class."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode, error_again
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.errors.wording import fill_template
from tests.errors import lines
from tests.house.source_tree import PACKAGE, relative, syntax

ERRORS = PACKAGE / "errors"
SAMPLE = ErrorRow(
    "sample-of-a-test", "{file}: {problems:counted problem}", "{because}", "name {names:listed}", exit_code=ExitCode.MISSING
)


def _declared(tree: ast.Module) -> dict[str, ast.Call]:
    """The rows of a module by their names."""
    return {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and getattr(node.value.func, "id", "") == "ErrorRow"
    }


def _wrong_calls(tree: ast.AST, fields: dict[str, frozenset[str]]) -> Iterator[str]:
    """Calls of rows that do not pass exactly the fields of their row, each by its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in fields:
            passed = [keyword.arg for keyword in node.keywords]
            if node.args or None in passed or set(passed) != fields[node.func.id]:
                yield f"line {node.lineno}: {node.func.id} takes {sorted(fields[node.func.id])}, not {passed}"


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _asks_for_a_class(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass", "suppress")


ROWS = {name: call for path in ERRORS.rglob("*.py") for name, call in _declared(syntax(path)).items()}
FIELDS = {row.ref.upper().replace("-", "_"): row.fields for row in lines.rows()}


def test_a_row_is_named_after_its_reference() -> None:
    assert ROWS.keys() == FIELDS.keys()


def test_every_call_of_a_row_passes_exactly_its_fields() -> None:
    found = [f"{relative(path)}, {wrong}" for path in PACKAGE.rglob("*.py") for wrong in _wrong_calls(syntax(path), FIELDS)]
    assert found == []


@pytest.mark.parametrize("call", ["ROW(a=1)", "ROW(a=1, b=2, c=3)", "ROW(1, b=2)", "ROW(**both)"])
def test_a_call_with_other_fields_is_noticed(call: str) -> None:
    assert len([*_wrong_calls(ast.parse(f"raise {call}"), {"ROW": frozenset(("a", "b"))})]) == 1


def test_every_row_and_every_function_beside_one_is_used() -> None:
    used = set[str]()
    for path in PACKAGE.rglob("*.py"):
        used |= {name.id for name in ast.walk(syntax(path)) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load)}
    functions = {
        node.name
        for path in ERRORS.rglob("*.py")
        if path.name not in ("base.py", "wording.py")
        for node in syntax(path).body
        if isinstance(node, ast.FunctionDef)
    }
    assert (ROWS.keys() | functions) - used == set()


def test_a_class_of_errors_is_caught_by_its_name() -> None:
    """A name in a tuple of exceptions counts as caught."""
    caught = set[str]()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(syntax(path)):
            if isinstance(node, ast.ExceptHandler) and node.type is not None:
                caught |= _names(node.type)
            elif isinstance(node, ast.Tuple | ast.Set) or _asks_for_a_class(node):
                caught |= _names(node)
    bodyless = {
        node.name
        for path in ERRORS.rglob("*.py")
        for node in syntax(path).body
        if isinstance(node, ast.ClassDef)
        and path.name != "base.py"
        and not any(isinstance(part, ast.FunctionDef) for part in node.body)
        and any(getattr(base, "id", "").endswith("Error") for base in node.bases)
    }
    assert bodyless - caught == set()


@pytest.mark.parametrize("row", lines.rows(), ids=lambda row: row.ref)
def test_the_parts_of_a_row_are_short(row: ErrorRow) -> None:
    """Twelve words say what happened, and no sentence has more than 25; a field counts as one word."""
    parts = [re.sub(r"\{[^}]*\}", "FIELD", part) for part in (row.what, row.why, row.fix)]
    assert len(parts[0].split()) <= 12
    assert max(len(sentence.split()) for part in parts for sentence in re.split(r"[;:?] |\. ", part)) <= 25


def test_an_error_keeps_its_fields() -> None:
    error = SAMPLE(file=Path("a.toml"), problems=["x", "y"], because=None, names=["b", "c"])
    assert error.line() == "a.toml: 2 problems — name b and c [sample-of-a-test]"
    assert (error.ref, error.exit_code, error.because) == ("sample-of-a-test", ExitCode.MISSING, None)
    assert error.fields["names"] == ["b", "c"]
    again = pickle.loads(pickle.dumps(error))
    assert (again.line(), again.exit_code, again.fields) == (error.line(), error.exit_code, error.fields)


def test_a_row_refuses_other_fields() -> None:
    with pytest.raises(TypeError, match="takes the fields"):
        SAMPLE(file="a")


def test_an_error_of_another_process_is_found_by_its_reference() -> None:
    error = SAMPLE(file="a", problems=["x"], because="y", names=["b"])
    again = error_again(error.kept())
    assert type(again) is EdgecnnError
    assert SAMPLE.made(again)
    assert (again.facts(), again.exit_code) == (error.facts(), error.exit_code)


def test_a_reference_names_one_row() -> None:
    with pytest.raises(ValueError, match="two rows"):
        ErrorRow(SAMPLE.ref, "another text")


@pytest.mark.parametrize(
    ("template", "fields", "text"),
    [
        ("{because}", {"because": None}, None),
        ("{names:commas}", {"names": []}, None),
        ("", {}, None),
        ("{n:counted class/classes}", {"n": 1200}, "1,200 classes"),
        ("{names:first 2}", {"names": ["a", "b", "c"]}, "a; b and 1 more"),
        ("{path:word} of {size:mib}", {"path": "a b", "size": 2**20}, "'a b' of 1.0 MiB"),
        ("{name!r} {share:.0%}", {"name": "x", "share": 0.5}, "'x' 50%"),
    ],
)
def test_a_template_is_filled(template: str, fields: dict[str, object], text: str | None) -> None:
    assert fill_template(template, fields) == text


@pytest.mark.parametrize("missing", [True, False])
def test_a_runner_s_error_keeps_its_exit_code_in_another_process(missing: bool) -> None:
    error = RunnerFailed(ref="missing-package", what="x", because=None, hint=None, missing=missing)
    assert error_again(error.kept()).exit_code is error.exit_code
