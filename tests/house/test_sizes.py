"""A file is one subject and a function one idea: ruff's C90 bounds complexity at 10, and lines bound files generously."""

from __future__ import annotations

import ast

from tests.house.source_tree import functions, modules, relative

FILE_LINES_MAX = 700
PARAMETERS_MAX = 5


def test_no_file_is_longer_than_700_lines() -> None:
    lines = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules().values()}
    assert {name: count for name, count in lines.items() if count > FILE_LINES_MAX} == {}


def test_no_function_takes_more_than_5_parameters() -> None:
    many = []
    for path in modules().values():
        for name, node in functions(path):
            if not _is_command(node) and (count := _parameters(node)) > PARAMETERS_MAX:
                many.append(f"{relative(path)}:{node.lineno} {name} takes {count} parameters")
    assert many == []


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return len([argument for argument in every if argument is not None and argument.arg not in ("self", "cls")])


def _is_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """True for a verb of the CLI, whose parameters behind its ``Call`` are its flags: typer reads them from the signature."""
    first = next(iter(node.args.args), None)
    return first is not None and first.arg == "call" and any(_is_flag(argument) for argument in node.args.args)


def _is_flag(argument: ast.arg) -> bool:
    return argument.annotation is not None and ast.unparse(argument.annotation).endswith(("Opt", "Arg", "Out"))
