"""Boards are old: the runner is Python 3.8 in grammar and in the standard library that it calls, and what asks a board is 3.6."""

from __future__ import annotations

import ast
import subprocess

from tests.house.source_tree import PACKAGE, ROOT, SCRIPTS, modules, relative, syntax

RUNNER = [path for name, path in modules().items() if name.startswith("edgecnn.runner")]


def test_the_runner_is_python_3_8_grammar() -> None:
    for path in RUNNER:
        ast.parse(path.read_text(encoding="utf-8"), filename=relative(path), feature_version=(3, 8))


def test_the_annotations_of_the_runner_are_never_evaluated() -> None:
    annotated = [path for path in RUNNER if any(isinstance(node, (ast.arg, ast.AnnAssign)) for node in ast.walk(syntax(path)))]
    assert [relative(path) for path in annotated if "from __future__ import annotations" not in path.read_text()] == []


def test_the_runner_calls_nothing_that_python_3_8_lacks() -> None:
    command = [SCRIPTS / "vermin", "--target=3.8-", "--no-tips", "--violations", "--no-eval-annotations"]
    command += [PACKAGE / "runner", PACKAGE / "hosts/ssh/far.py", PACKAGE / "hosts/unpacker.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_is_sent_to_a_board_to_ask_what_it_is_is_python_3_6() -> None:
    """A first Nano has Python 3.6, and shall be told so in words."""
    recorder = PACKAGE / "devices/check/recorder.py"
    ast.parse(recorder.read_text(encoding="utf-8"), feature_version=(3, 6))
    done = subprocess.run(
        [SCRIPTS / "vermin", "--target=3.6-", "--no-tips", "--violations", recorder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
