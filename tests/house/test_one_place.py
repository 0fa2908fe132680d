"""A rule has one place: who works out gates, who judges, who chooses, and who makes what is measured."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.house.source_tree import PACKAGE, modules, syntax

PLACES = {
    "gates_for": {"judging/gates.py"},
    "comparison_gates": {"judging/gates.py"},
    "EffectiveGates.of": {"planning/request.py", "bench/bundle.py"},
    "EffectiveGates.comparing": {"comparing/comparison.py"},
    "comparison": {"comparing/comparison.py"},
    "comparison_subject": {"comparing/comparison.py"},
    "require_same_device": {"comparing/comparison.py"},
    "effective_gates": {"building/build.py", "bench/bench.py"},
    "runs_for": {"judging/gates.py", "fit/finish.py", "bundle/manifest.py"},
    "judge_candidate": {"judging/judgement.py"},
    "judge_identical": {"judging/judgement.py"},
    "not_learned": {"judging/judgement.py"},
    "verdict_of": {"judging/judgement.py"},
    "eligibility_of": {"judging/choice.py", "building/choosing.py"},
    "with_claims": {"building/report.py"},
    "decide": {"building/build.py", "building/report.py"},
    "Subject.from_build": {"building/build.py", "building/measuring.py", "bench/subject.py"},
    "Subject": {
        "bench/bundle.py",
        "bench/subject.py",
        "building/desktop_gpu.py",
        "building/measuring.py",
        "comparing/comparison.py",
    },
}
"""What is called to where it may be called; ``fit`` races members again by the gates of their builds."""


SUBJECT = "edgecnn.measure.subject"
"""Other rooms have subjects of their own."""
NAMES = frozenset({*PLACES, "Plan"})


@cache
def places() -> Mapping[str, set[str]]:
    """Every one of these to the files that call it; ``CI`` and ``required`` to those that read it."""
    found: dict[str, set[str]] = {name: set() for name in (*NAMES, "CI", "required")}
    for path in modules().values():
        file = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(syntax(path)):
            if isinstance(node, ast.Call) and (called := name_of(node.func)) in NAMES:
                found[called] |= {file} if called != "Subject" or SUBJECT in imported(path) else set()
            elif isinstance(node, ast.Constant) and node.value == "CI":
                found["CI"].add(file)
            elif isinstance(node, ast.GeneratorExp) and ast.unparse(node.elt).endswith(".require_measured"):
                found["required"].add(file)
    return found


def imported(path: Path) -> set[str | None]:
    return {node.module for node in ast.walk(syntax(path)) if isinstance(node, ast.ImportFrom)}


def name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return f"{function.value.id}.{function.attr}"
    return function.id if isinstance(function, ast.Name) else ""


@pytest.mark.parametrize("called", PLACES)
def test_a_rule_is_worked_out_where_the_architecture_says(called: str) -> None:
    assert places()[called] == PLACES[called]


def test_one_function_asks_whether_a_ci_job_makes_the_call() -> None:
    assert places()["CI"] == {"planning/request.py"}


def test_one_function_combines_what_the_recipe_and_the_command_line_require() -> None:
    assert places()["required"] == {"judging/gates.py"}


def test_no_plan_is_made_up_for_what_was_built_long_ago() -> None:
    assert places()["Plan"] == {"planning/plan.py"}
