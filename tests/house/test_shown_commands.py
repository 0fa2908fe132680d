"""A command that edgecnn shows can be pasted: what a user named is one word of it, by ``errors.wording.shell_word``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from string import Formatter

import pytest
import typer

from edgecnn.cli.main import app
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import (
    BOARD_KEY_CHANGED,
    BOARD_UNKNOWN,
    LOGIN_REFUSED,
    board_unreachable,
)
from edgecnn.errors.store import NOTHING_AFAR
from edgecnn.errors.usage import PORT_IN_USE
from tests.errors.lines import rows
from tests.house.source_tree import PACKAGE

VERBS = "|".join(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
COMMAND = re.compile(rf"(^|[\s`:;(])(edgecnn (?:{VERBS})|ssh|ssh-copy-id|labgrid-client|python3? -\w+|git|cd|rm)\s[^`;—\n]*$")
OPTION = re.compile(r"(^|\s)--[a-z][a-z-]*[ =]$")
OURS = {
    "shell_word", "_measures",
    "device.name", "name", "target", "rounds", "verb", "shipped", "network", "arch", "metric", "own", "folder", "where",
    "better.name", "search.arch", "search.best.scale", "setting", "scale", "words[0]", "_TIMEOUT_S", "near", "golden", "shown",
    "REBUILT", "what", "given", "type(error).__name__", "ENVIRONMENT",
    "names[0]", "options",
}  # fmt: skip
"""Names of the catalogue, of metrics and options, and numbers; what is quoted where it is made."""


def unquoted() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        hints = {id(part) for node in ast.walk(tree) if _is_hint(node) for part in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr) and "hosts" not in path.parts:
                yield from _of(node, id(node) in hints, path.relative_to(PACKAGE).as_posix())


def _is_hint(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id in ("hint", "remedy") for target in node.targets)
    return isinstance(node, ast.keyword) and node.arg in ("hint", "remedy")


def _of(text: ast.JoinedStr, is_hint: bool, where: str) -> Iterator[str]:
    before = ""
    for part in text.values:
        if isinstance(part, ast.Constant):
            before += str(part.value)
        elif isinstance(part, ast.FormattedValue):
            name = ast.unparse(part.value.func if isinstance(part.value, ast.Call) else part.value)
            if (COMMAND.search(before) or (is_hint and OPTION.search(before))) and name not in OURS:
                yield f"{where}:{part.lineno}: {before[-60:]}{{{name}}}"
            before += "X"


def unquoted_in_rows() -> Iterator[str]:
    """The same in the templates of errors, where the format ``word`` quotes a field."""
    for row in rows():
        for template in (row.what, row.why, row.fix):
            before = ""
            for literal, name, spec, _ in Formatter().parse(template):
                before += literal
                is_option = template == row.fix and OPTION.search(before)
                if name is not None and spec != "word" and (COMMAND.search(before) or is_option) and name not in OURS:
                    yield f"{row.ref}: {before[-60:]}{{{name}}}"
                before += "X"


def test_what_a_user_named_is_one_word_of_a_command() -> None:
    assert list(unquoted()) == []
    assert list(unquoted_in_rows()) == []


HOST = "pi@board; rm -rf ~"


@pytest.mark.parametrize(
    "error",
    [
        board_unreachable(board=HOST, because=""),
        BOARD_UNKNOWN(board=HOST),
        BOARD_KEY_CHANGED(board=HOST),
        LOGIN_REFUSED(board=HOST, because=""),
        NOTHING_AFAR(url=HOST),
        PORT_IN_USE(host="127.0.0.1", port=8000, bundle=HOST),
    ],
)
def test_a_hint_quotes_hosts_urls_and_paths(error: EdgecnnError) -> None:
    assert f"'{HOST}'" in (error.hint or "")
