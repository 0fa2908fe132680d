"""What POSIX alone has stands in few places, each known; the table in docs/howto/install.md says what that costs."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source_tree import PACKAGE, ROOT

POSIX_MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "termios"}
POSIX_NAMES = {
    "os": {
        "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "fork", "forkpty", "getpgid", "getpgrp", "getuid", "geteuid", "killpg",
        "mkfifo", "posix_fallocate", "posix_fadvise", "sched_getaffinity", "sched_setaffinity", "setsid", "statvfs", "uname",
    },
    "signal": {"SIGKILL", "SIGHUP", "SIGALRM", "setitimer"},
}  # fmt: skip
"""Absent on Windows, by the availability notes of Python's own documentation."""
KNOWN = {
    "bundle/opening.py": "a bundle's files are opened without following links",
    "data/files.py": "folders are listed through a handle",
    "devices/check/recorder.py": "a program for a board with Linux, which asks how full its disk is",
    "errors/limits.py": "a failure names the limit of the process, which only such a system has",
    "hosts/called.py": "a sandboxed process uses a few cores",
    "hosts/restrict.py": "a process restricts itself, on Linux only",
    "hosts/ssh/far.py": "the far end of a connection, which runs on a board with Linux",
    "store/disk.py": "a folder's names are forced onto the disk",
    "runner/runs/parent.py": "a measured process ends with whoever started it",
    "runner/runs/processes.py": "a run that hangs is ended with all it started",
}
"""Modules that Windows could not run, and for what. Elsewhere such a name stands behind a guard."""


def names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.attr in POSIX_NAMES.get(node.value.id, ())
        ):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in POSIX_MODULES)


def is_guarded(name: str, source: str) -> bool:
    if name in POSIX_MODULES:
        return re.search(r"except (?:ImportError|ModuleNotFoundError)", source) is not None
    return f'hasattr(os, "{name.rpartition(".")[2]}")' in source


def test_posix_stands_where_it_is_known_to_and_behind_a_guard_elsewhere() -> None:
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        names = {name for name in names_in(ast.parse(source)) if not is_guarded(name, source)}
        if names:
            found[path.relative_to(PACKAGE).as_posix()] = names
    assert found.keys() == KNOWN.keys(), found


def test_nothing_depends_on_processes_that_fork() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    forking = re.compile(
        r"os\.fork\b|get_context\(|set_start_method|preexec_fn|^from multiprocessing|^import multiprocessing", re.M
    )
    assert [path for path, source in sources.items() if forking.search(source)] == []


def test_a_page_that_the_readme_names_states_which_systems_are_supported() -> None:
    assert "](docs/howto/install.md#systems)" in Path(ROOT, "README.md").read_text(encoding="utf-8")
    text = Path(ROOT, "docs/howto/install.md").read_text(encoding="utf-8")
    rows = [line for line in text.partition("## Systems")[2].partition("## ")[0].splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["Linux, x86-64", "Linux, 64-bit Arm", "macOS", "Windows"]
    assert os.name == "posix", "the tests themselves were run on POSIX alone"


TEMPORARY = ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile")
"""Binary unless a mode says otherwise."""
_MODE = re.compile(r"[rwax][bt+]{0,2}")


def opens_text(call: ast.Call, name: str) -> bool:
    """Whether a call opens a file as text, by its mode or for want of one."""
    words = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    texts = [word.value for word in words if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    modes = [text for text in texts if _MODE.fullmatch(text)]
    if modes or name in TEMPORARY:
        return any("b" not in mode for mode in modes)
    if isinstance(call.func, ast.Attribute) and name == "open":
        of_class = isinstance(call.func.value, ast.Name) and call.func.value.id[:1].isupper()
        return not words and not of_class  # path.open(), and neither Store.open() nor tarfile.open(mode="r|")
    return len(call.args) == 1


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("path.open()", True),
        ("path.open(errors='replace')", True),
        ("path.open(mode='w')", True),
        ("path.open('rt')", True),
        ("path.open('w+t')", True),
        ("open(path)", True),
        ("open(path, 'wt')", True),
        ("open('notes.txt')", True),
        ("os.fdopen(handle, 'w')", True),
        ("os.fdopen(handle)", True),
        ("tempfile.TemporaryFile('w')", True),
        ("NamedTemporaryFile(mode='w+')", True),
        ("path.open(encoding='utf-8')", False),
        ("path.open('rb')", False),
        ("path.open(mode='xb')", False),
        ("open(path, 'r+b')", False),
        ("tempfile.TemporaryFile()", False),
        ("tempfile.TemporaryFile('w', encoding='utf-8')", False),
        ("Store.open()", False),
        ("tarfile.open(fileobj=stream, mode='r|')", False),
        ("Image.open(path)", False),
        ("os.open(path, os.O_RDONLY)", False),
    ],
)
def test_a_file_that_is_opened_as_text_is_recognised(code: str, found: bool) -> None:
    call = ast.parse(code, mode="eval").body
    assert isinstance(call, ast.Call) and is_of_a_locale(call) is found


def is_of_a_locale(call: ast.Call) -> bool:
    """Whether a call reads or writes text in the encoding of whoever runs it."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    stated = {keyword.arg for keyword in call.keywords}
    if name in ("read_text", "write_text"):
        own = isinstance(call.func, ast.Name)  # a function of ours, which states it itself
        return not own and "encoding" not in stated and len(call.args) < (1 if name == "read_text" else 2)
    if name in ("open", "fdopen", *TEMPORARY):
        return "encoding" not in stated and opens_text(call, name)
    return name in ("run", "Popen", "check_output") and bool({"text", "universal_newlines"} & stated) and "encoding" not in stated


def test_files_and_programs_are_read_and_written_in_utf_8_whatever_the_locale_is() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): call.lineno
        for path in sorted(PACKAGE.rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and is_of_a_locale(call)
    }
    assert found.keys() == {"bundle/publishing.py"}, f"which opens an entry of a zip: {found}"
