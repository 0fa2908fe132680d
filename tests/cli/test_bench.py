"""`edgecnn bench` and `--host`: what is refused before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgecnn.cli.main import app
from edgecnn.errors.bundle import SIGNERS_NOT_NAMED
from edgecnn.errors.hosts import BAD_ADDRESS, CARRY_WITHOUT_HOST
from edgecnn.errors.usage import HOST_OF_NOTHING, HOST_OPTION_WITHOUT_HOST


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("bench", "nowhere", "--host", "-oProxyCommand=reboot"),
            f"edgecnn: error: {BAD_ADDRESS(text='-oProxyCommand=reboot').line()}",
        ),
        (
            ("bench", "nowhere", "--clean"),
            f"edgecnn: error: {HOST_OPTION_WITHOUT_HOST(option='--clean').line()}",
        ),
        (
            ("build", "--arch", "lenet-5", "--python", "python3"),
            f"edgecnn: error: {HOST_OPTION_WITHOUT_HOST(option='--python').line()}",
        ),
        (
            ("bench", "nowhere", "--carry-wheels"),
            f"edgecnn: error: {CARRY_WITHOUT_HOST().line()}",
        ),
        (
            ("bench", "nowhere.zip", "--data", "photos"),
            "edgecnn: error: nowhere.zip is not a bundle: it does not exist — pass the folder of a build, its bundle/, or a "
            "zip of the bundle [no-bundle-here]",
        ),
        (
            ("bench", "nowhere", "--require-signature"),
            f"edgecnn: error: {SIGNERS_NOT_NAMED(option='--require-signature').line()}",
        ),
        (
            ("train", "--host", "pi"),
            f"edgecnn: error: {HOST_OF_NOTHING(verb='train').line()}",
        ),
    ],
)
def test_what_makes_no_sense_is_one_line(
    words: tuple[str, ...], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert (result.exit_code, result.stderr.strip()) == (2, line)


def test_a_folder_that_is_no_build_is_refused_before_the_board_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_SSH", "/nowhere/ssh")
    result = run("bench", tmp_path, "--host", "pi@board")
    assert result.exit_code == 2 and result.stderr.strip().endswith("[no-build-to-judge]"), result.stderr


def test_a_build_on_a_board_asks_the_board_before_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_SSH", "/nowhere/ssh")
    monkeypatch.chdir(tmp_path)
    result = run("build", "--arch", "lenet-5", "--host", "pi@board", "--quiet")
    assert (result.exit_code, result.stderr.strip()) == (
        3,
        "edgecnn: error: /nowhere/ssh cannot be started — apt install openssh-client [ssh-absent]",
    )
