"""Names say what a thing is: no drawer for everything, and one package that prints."""

from __future__ import annotations

import ast
import re

from tests.house.source_tree import PACKAGE, ROOT, modules, relative, syntax

DRAWERS = {
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "misc",
    "manager",
    "managers",
    "tools",
    "shared",
    "base_utils",
    "part2",
}


def test_no_module_is_a_drawer_for_everything() -> None:
    named = [path for root in (PACKAGE, ROOT / "tests") for path in root.rglob("*") if path.stem.lower() in DRAWERS]
    assert [relative(path) for path in named] == []


def test_only_rendering_prints() -> None:
    """The runner prints too: JSON lines are its protocol."""
    printing = []
    for name, path in modules().items():
        if not name.startswith(("edgecnn.render.", "edgecnn.runner")):
            calls = [node for node in ast.walk(syntax(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
            printing += [f"{relative(path)}:{call.lineno}" for call in calls if call.func.id == "print"]
    assert printing == []


def test_a_module_says_what_it_promises() -> None:
    filled = [path for path in modules().values() if path.name != "__init__.py" or path.read_text(encoding="utf-8").strip()]
    assert [relative(path) for path in filled if not ast.get_docstring(syntax(path))] == []


def test_nothing_is_swallowed() -> None:
    """A bare ``except``, or one whose body is only ``pass`` without a word on why, hides what happened."""
    found = []
    for path in modules().values():
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(syntax(path)):
            if isinstance(node, ast.ExceptHandler):
                silent = all(isinstance(each, ast.Pass) for each in node.body)
                reasoned = "#" in lines[node.lineno - 1] or "#" in lines[node.body[0].lineno - 1]
                if node.type is None or (silent and not reasoned):
                    found.append(f"{relative(path)}:{node.lineno}")
    assert found == []


def test_input_is_never_checked_by_assert() -> None:
    """``python -O`` removes assertions, so they can guard nothing that a user gives; telling mypy of a None is allowed."""
    found = [
        f"{relative(path)}:{node.lineno}"
        for path in modules().values()
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Assert) and not ast.unparse(node.test).endswith(" is not None")
    ]
    assert found == []


def test_every_error_names_itself_once_and_its_exact_text_is_tested() -> None:
    """A reference is searched for by whoever sees it, so it is unique; ``[reference]`` ends every error's line."""
    refs: dict[str, str] = {}
    twice = []
    for name, path in modules().items():
        if name.startswith("edgecnn.errors."):
            for ref in re.findall(r'^    ref = "([^"]+)"', path.read_text(encoding="utf-8"), flags=re.MULTILINE):
                twice += [ref] if ref in refs else []
                refs[ref] = name
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert twice == []
    assert [f"{ref} of {name}" for ref, name in refs.items() if f"[{ref}]" not in tests] == []


def test_no_document_has_a_place_that_was_left_to_fill_in() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    left = [f"{relative(path)}: {found}" for path in documents for found in re.findall(r"@[A-Z0-9_]+@", path.read_text("utf-8"))]
    assert left == []
