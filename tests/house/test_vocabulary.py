"""Names say what a thing is, in the field's own words; no drawer for everything, and one package that prints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import typer

from edgecnn.cli.main import app
from edgecnn.values.candidate import Method, Precision, Runtime
from edgecnn.values.dataset import SPLIT_ROLES
from edgecnn.values.report import Choice
from edgecnn.values.verdict import Fidelity, Verdict
from tests.house.source_tree import PACKAGE, ROOT, modules, relative, syntax

GLOSSARY = ROOT / "docs" / "concepts" / "words.md"
RETIRED = {"armed", "brought", "lookout", "manner", "offer", "offered", "station", "weather"}
"""No part of a name is one of these: custom, rung_drops, run_settings, supported, machine, conditions are the words."""
RETIRED_CLASSES = {"Asked", "Given", "Look", "Manner", "Offer", "Seen", "Settled", "Shown", "Standing"}
"""No class ends in one of these, which say what happened to a value and not what it is; interim looks are statistics' term."""
RETIRED_PHRASES = ("as-brought", "bring-a-model", "brought model", "brought network", "brought file")

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


def test_no_document_has_a_place_that_was_left_to_fill_in() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    left = [f"{relative(path)}: {found}" for path in documents for found in re.findall(r"@[A-Z0-9_]+@", path.read_text("utf-8"))]
    assert left == []


def test_the_glossary_has_every_word_that_a_user_meets() -> None:
    """Commands, verdicts, fidelities, split roles, precisions, runtimes, methods, choices, stages, and published documents."""
    command = typer.main.get_command(app)
    words = {*command.commands, *SPLIT_ROLES, *Verdict, *Fidelity, *Precision, *Runtime, *Method}  # type: ignore[attr-defined]
    words |= {state for state in get_args(Choice.model_fields["state"].annotation) if state != "none"}
    stages = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "stages").glob("*.py"))
    words |= set(re.findall(r'kind: ClassVar\[str\] = "([a-z]+)"', stages))
    words |= {path.stem for path in (ROOT / "docs" / "schemas").glob("*.json")}
    terms = set(re.findall(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*", _first_columns(GLOSSARY.read_text(encoding="utf-8"))))
    assert sorted(word for word in words if word not in terms) == []


def _first_columns(page: str) -> str:
    return "\n".join(line.split("|")[1] for line in page.splitlines() if line.startswith("|")) + " ".join(
        re.findall(r"`([^`]+)`", page)
    )


def _names(path: Path) -> Iterator[tuple[int, str]]:
    """What a module defines, binds or takes, by line; what libraries call their own is none of it."""
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def _of_the_runner(path: Path) -> bool:
    """Its source is part of every kit's bytes, which no rename is worth."""
    return relative(path).startswith("edgecnn/runner/")


def test_no_retired_word_names_anything() -> None:
    found = []
    for path in modules().values():
        if _of_the_runner(path):
            continue
        found += [relative(path)] if RETIRED & set(path.stem.split("_")) else []
        for line, name in _names(path):
            parts = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)
            is_class = name.lstrip("_")[:1].isupper() and not name.isupper() and name != "InterimLook"
            if RETIRED & {part.lower() for part in parts} or (is_class and RETIRED_CLASSES & set(parts[-1:])):
                found.append(f"{relative(path)}:{line}: {name}")
    assert found == []


def test_no_document_or_message_has_a_retired_phrase() -> None:
    texts = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs" / "schemas").glob("*.json"), *ROOT.glob("*.md"), *modules().values()]
    found = [
        (relative(path), phrase) for path in texts for phrase in RETIRED_PHRASES if phrase in path.read_text(encoding="utf-8")
    ]
    assert found == []
