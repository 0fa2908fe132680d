"""A plan's lines about training: what is printed is what would run."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from edgecnn import installed
from edgecnn.cli.main import app


@pytest.mark.parametrize(("bound", "replaced"), [("images_per_s=20", True), ("top1=0.5", False)])
def test_a_plan_says_where_bounds_replace_the_default_gate_on_accuracy(bound: str, replaced: bool) -> None:
    done = CliRunner().invoke(app, ["plan", "--arch", "lenet-5", "--target", "cpu", "--min", bound])
    assert done.exit_code == 0
    assert ("no gate on accuracy" in done.stdout) is replaced


def test_candidates_that_a_missing_wheel_keeps_out_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["plan", "--arch", "lenet-5", "--target", "cpu:litert"]
    real = installed.installed_version
    monkeypatch.setattr(installed, "installed_version", lambda name: None if name == "ai-edge-litert" else real(name))
    why = "not available: litert-fp32, litert-int8: ai-edge-litert"
    missing = CliRunner().invoke(app, ["plan", "--arch", "lenet-5", "--target", "cpu:all"])
    assert f'{why} is not installed; pip install "edgecnn[litert]"' in missing.stdout.splitlines()
    monkeypatch.setattr(installed, "why_no_wheel", lambda name: f"{name} has no wheel for Linux on armv7l")
    wheelless = CliRunner().invoke(app, ["plan", "--arch", "lenet-5", "--target", "cpu:all"])
    assert f"{why} has no wheel for Linux on armv7l" in wheelless.stdout.splitlines()
    alone = CliRunner().invoke(app, words)
    assert (alone.exit_code, alone.stdout) == (3, "")
    assert alone.stderr == (
        "edgecnn: error: nothing can be built for cpu here: ai-edge-litert has no wheel for Linux on armv7l [nothing-to-build]\n"
    )
