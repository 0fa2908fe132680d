from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgecnn.cli.main import app
from edgecnn.cli.usage import guarded
from edgecnn.errors.base import ExitCode
from edgecnn.errors.building import NOTHING_TO_BUILD


def raising(error: BaseException) -> Any:
    def body() -> ExitCode:
        raise error

    return body


LACKING = NOTHING_TO_BUILD(device="cpu", reasons=("onnxruntime is not installed",), command=None)


def test_a_verdict_passes_through() -> None:
    assert guarded(lambda: ExitCode.GATE_FAILED, as_json=False, debug=False) is ExitCode.GATE_FAILED


def test_an_error_of_ours_is_one_line_on_stderr_with_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(LACKING), as_json=False, debug=False) is ExitCode.MISSING
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "edgecnn: error: nothing can be built for cpu here: onnxruntime is not installed [nothing-to-build]\n"


def test_with_json_the_error_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    guarded(raising(LACKING), as_json=True, debug=False)
    assert json.loads(capsys.readouterr().err)["error"]["ref"] == "nothing-to-build"


def test_a_crash_is_never_read_as_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(ZeroDivisionError("division by zero")), as_json=False, debug=False) is ExitCode.OWN_FAULT
    captured = capsys.readouterr()
    assert "Traceback" in captured.err
    assert captured.err.endswith("no verdict was given [own-fault]\n")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_never_our_fault(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    full = OSError(number, os.strerror(number), "/mnt/a")

    def wrapped() -> ExitCode:
        try:
            raise full
        except OSError as error:
            raise RuntimeError("a library could not write") from error

    for body in (raising(full), wrapped):
        assert guarded(body, as_json=True, debug=False) is ExitCode.BAD_INPUT
        assert json.loads(capsys.readouterr().err)["error"]["ref"] == "disk-full"


LONG = "x" * 5000


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "--arch", "lenet-5", "--data", LONG, "--target", "cpu"),
        ("data", "inspect", LONG),
        ("data", "split", LONG, "--out", "o"),
        ("init", LONG),
        ("loadgen", LONG),
        ("recipe", "diff", LONG, LONG),
        ("devices", "measure", "cpu", "--out", LONG),
    ],
)
def test_a_path_that_is_too_long_is_the_user_s_mistake_for_every_command(words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, words).exit_code == ExitCode.BAD_INPUT


def test_a_path_that_is_too_long_is_named_wherever_it_was_met(capsys: pytest.CaptureFixture[str]) -> None:
    long = OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), LONG)
    assert guarded(raising(long), as_json=True, debug=False) is ExitCode.BAD_INPUT
    assert json.loads(capsys.readouterr().err)["error"]["ref"] == "path-too-long"


def test_an_interruption_says_that_nothing_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(KeyboardInterrupt()), as_json=False, debug=False) is ExitCode.INTERRUPTED
    assert "finished work is kept" in capsys.readouterr().err


@pytest.mark.parametrize("exception", [ImportError("initialization failed"), LACKING])
def test_an_interruption_inside_of_a_compiled_module_is_one(exception: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """As pybind11's modules raise it when they are imported, and as our own error for a package that cannot be imported."""

    def body() -> ExitCode:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise exception from error

    assert guarded(body, as_json=False, debug=False) is ExitCode.INTERRUPTED
    assert capsys.readouterr().err.startswith("edgecnn: interrupted; ")


@pytest.mark.parametrize("words", [("list", "archs"), ("--help",), ("--version",)], ids=lambda words: words[0])
def test_a_full_disk_behind_stdout_is_one_line_and_no_verdict(words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "edgecnn", *words]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert "[results-not-written]" in done.stderr


@pytest.mark.parametrize("words", [("bild",), ("bild", "--debug"), ("build", "--arch", "x")], ids=" ".join)
def test_a_full_disk_behind_stderr_takes_the_words_and_not_the_code(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "edgecnn", *words], stdout=subprocess.PIPE, stderr=full, check=False)
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("words", "closed", "code"), [("list archs", "1>&-", 0), ("--help", "1>&-", 0), ("bild", "2>&-", 2), ("bild", "1>&- 2>&-", 2)]
)
def test_a_stream_that_was_never_open_changes_no_code(words: str, closed: str, code: int) -> None:
    done = subprocess.run(["sh", "-c", f'"$0" -m edgecnn {words} {closed}', sys.executable], capture_output=True, check=False)
    assert done.returncode == code
    assert (done.stdout, done.stderr) == (b"", b"")


ASCII = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
"""A locale of ASCII, from which Python neither turns to UTF-8 nor takes its own UTF-8 mode."""


@pytest.mark.parametrize("environment", [ASCII, {"PYTHONIOENCODING": "ascii:strict"}], ids=["locale", "strict"])
@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("build", "--help"), 0),
        (("list", "archs"), 0),
        (("list", "archs", "--json"), 0),
        (("plan", "demo", "--arch", "lenet-5"), 0),
        (("data", "inspect", "Größe"), 2),
        (("explain", "Größe", "--json"), 2),
        (("no-such-verb-é",), 2),
    ],
    ids=lambda words: "-".join(words) if isinstance(words, tuple) else str(words),
)
def test_a_sign_that_the_output_cannot_show_is_no_fault_of_ours(
    words: tuple[str, ...], status: int, environment: dict[str, str], tmp_path: Path
) -> None:
    whole = {**os.environ, "EDGECNN_STORE": str(tmp_path / "store"), "EDGECNN_OFFLINE": "1", **environment}
    done = subprocess.run([sys.executable, "-m", "edgecnn", *words], env=whole, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == status, done.stderr
    done.stdout.decode("ascii")
    if "--json" in words:
        json.loads((done.stdout or done.stderr).decode("ascii"))
