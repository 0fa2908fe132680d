"""`edgecnn bench` and `--host`: what is refused before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgecnn.cli.main import app


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("bench", "nowhere", "--host", "-oProxyCommand=reboot"),
            "edgecnn: error: --host '-oProxyCommand=reboot' is no SSH destination — give user@board, or a name of your "
            "ssh_config [bad-address]",
        ),
        (
            ("bench", "nowhere", "--clean"),
            "edgecnn: error: --clean is about a board, and --host names none — say --host user@board, or "
            "leave --clean out [host-option-without-host]",
        ),
        (
            ("build", "--arch", "lenet-5", "--python", "python3"),
            "edgecnn: error: --python is about a board, and --host names none — say --host user@board, or "
            "leave --python out [host-option-without-host]",
        ),
        (
            ("bench", "nowhere", "--carry-wheels"),
            "edgecnn: error: --carry-wheels copies packages to a board, and --host names none — say --host user@board, or "
            "install what the findings name [carry-without-host]",
        ),
        (
            ("bench", "nowhere.zip", "--data", "photos"),
            "edgecnn: error: nowhere.zip: no bundle: there is no such folder or zip — name a build's folder, its bundle/, or a "
            "zip of it [no-bundle-here]",
        ),
        (
            ("bench", "nowhere", "--require-signature"),
            "edgecnn: error: --require-signature needs to know whose signature is good — --allowed-signers FILE "
            "[signers-not-named]",
        ),
        (
            ("train", "--host", "pi"),
            "edgecnn: error: edgecnn train runs no kit, so --host has nothing to do — build, profile and bench take it "
            "[host-of-nothing]",
        ),
    ],
)
def test_what_makes_no_sense_is_one_line(
    words: tuple[str, ...], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run(*words)
    assert (found.exit_code, found.stderr.strip()) == (2, line)


def test_a_folder_that_is_no_build_is_refused_before_the_board_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_SSH", "/nowhere/ssh")
    found = run("bench", tmp_path, "--host", "pi@board")
    assert found.exit_code == 2 and found.stderr.strip().endswith("[no-build-to-judge]"), found.stderr


def test_a_build_on_a_board_asks_the_board_before_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_SSH", "/nowhere/ssh")
    monkeypatch.chdir(tmp_path)
    found = run("build", "--arch", "lenet-5", "--host", "pi@board", "--quiet")
    assert (found.exit_code, found.stderr.strip()) == (
        3,
        "edgecnn: error: /nowhere/ssh: cannot be started — apt install openssh-client [ssh-absent]",
    )
