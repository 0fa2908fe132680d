"""A plan's lines about training: what is printed is what would run."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from edgecnn.cli.main import app


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--transfer", "head"), "training: finetune, the head alone, 30 epochs"),
        (("--set", "train.head=svm"), "training: finetune, the head alone, svm fitted on frozen features"),
        (("--set", "train.precision=bf16"), "training: finetune, 2 epochs; steps in bf16"),
        (("--transfer", "last"), "training: finetune, 2 epochs; the last groups of blocks alone"),
    ],
)
def test_epochs_are_those_of_what_learns(words: tuple[str, ...], line: str) -> None:
    done = CliRunner().invoke(app, ["plan", "--arch", "efficientnet-lite0", *words])
    assert done.exit_code == 0, done.stderr
    assert line in done.stdout.splitlines()
