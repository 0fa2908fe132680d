"""A file that can be read at one sitting, a function that fits on one screen, a folder that is taken in at a glance."""

from __future__ import annotations

import ast
import warnings
from collections import Counter

from tests.house.source_tree import ROOT, functions, modules, relative

FILE_LINES_MAX = 300
FILE_LINES_GOOD = 250
FUNCTION_LINES_MAX = 40
PARAMETERS_MAX = 5
FOLDER_FILES_MAX = 25


def test_no_file_is_longer_than_300_lines_and_those_beyond_250_are_listed() -> None:
    lines = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules().values()}
    long = {name: count for name, count in lines.items() if count > FILE_LINES_GOOD}
    if long:
        warnings.warn(f"beyond {FILE_LINES_GOOD} lines: {long}", stacklevel=1)
    assert {name: count for name, count in long.items() if count > FILE_LINES_MAX} == {}


def test_no_folder_has_more_than_25_files() -> None:
    sources = (path for room in ("edgecnn", "tests", "benchmarks") for path in (ROOT / room).rglob("*.py"))
    files = Counter(relative(path.parent) for path in sources)
    assert {folder: count for folder, count in files.items() if count > FOLDER_FILES_MAX} == {}


def test_no_function_is_longer_than_40_lines() -> None:
    long = []
    for path in modules().values():
        for name, node in functions(path):
            lines = _code_lines(node)
            if lines > FUNCTION_LINES_MAX:
                long.append(f"{relative(path)}:{node.lineno} {name} has {lines} lines")
    assert long == []


def test_no_function_takes_more_than_5_parameters() -> None:
    many = []
    for path in modules().values():
        for name, node in functions(path):
            if not _is_command(node) and (count := _parameters(node)) > PARAMETERS_MAX:
                many.append(f"{relative(path)}:{node.lineno} {name} takes {count} parameters")
    assert many == []


def _code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end without the docstring, so that explaining more is not made dearer, and without flags."""
    assert node.end_lineno is not None
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return node.end_lineno - node.lineno + 1 - docstring - _flag_lines(node)


def _flag_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of parameters that are a command's flags, in it or in a command that it makes."""
    made = [each for each in ast.walk(node) if isinstance(each, ast.FunctionDef) and _is_command(each)]
    return sum(len({each.lineno for each in command.args.args}) for command in made)


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return len([each for each in every if each is not None and each.arg not in ("self", "cls")])


def _is_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """True for a verb of the CLI, whose parameters behind its ``Call`` are its flags: typer reads them from the signature."""
    first = next(iter(node.args.args), None)
    return first is not None and first.arg == "call" and len([each for each in node.args.args if _is_flag(each)]) > 0


def _is_flag(argument: ast.arg) -> bool:
    return argument.annotation is not None and ast.unparse(argument.annotation).endswith(("Opt", "Arg", "Out"))
