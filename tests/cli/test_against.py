"""`edgecnn judge HEAD --against BASE`: what is refused before anything runs, and what is printed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgecnn.cli.main import app
from tests import warm
from tests.building.races import RacingHost, racing_lab, two_bundles


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RacingHost:
    host = RacingHost(head=1.1, base=1.0)
    monkeypatch.setattr("edgecnn.devices.machine.local_lab", lambda store, tell: racing_lab(host, tmp_path))
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return host


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_regression_is_told_verdict_first_with_what_changed(host: RacingHost, tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    done = run("judge", head, "--against", base, "--junit", tmp_path / "gates.xml")
    assert done.exit_code == 1, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("FAIL: onnxruntime-fp32 breaks latency_ratio ")
    assert lines[-1] == lines[0]
    assert any("latency_ratio" in line and "1.100 ×" in line for line in lines[1:-1])
    assert any("model: " in line for line in lines)
    assert 'failures="1"' in (tmp_path / "gates.xml").read_text()


def test_with_json_it_is_one_document(host: RacingHost, tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    document = json.loads(run("judge", head, "--against", base, "--json").stdout)
    assert (document["schema"], document["verdict"], document["how"], document["rounds"]) == (
        "edgecnn.comparison/1",
        "FAIL",
        "paired",
        16,
    )


def test_rounds_bound_the_race(host: RacingHost, tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    host.wobble["head"] = (0.8, 1.2)
    done = run("judge", head, "--against", base, "--rounds", "8", "-q")
    assert (done.exit_code, len(host.ran)) == (4, 18), "one run of each beforehand"


@pytest.mark.parametrize(
    ("words", "ref"),
    [
        (("--against", "base"), "missing-argument"),
        (("head", "--against", ""), "empty-option"),
        (("", "--against", "base"), "empty-option"),
        (("head", "--against", "nowhere"), "no-base-to-compare"),
        (("head", "--against", "base", "--set", "train.epochs=3", "--arch", "resnet-18"), "options-not-with-against"),
        (("head", "--against", "base", "--max", "latency_ratio"), "bound-missing"),
        (("head", "--against", "base", "--max", "latency_ration=1"), "unknown-metric"),
        (("head", "--against", "base", "--max", "p99_ms=20"), "metric-not-compared"),
        (("head", "--against", "base", "--min", "latency_ratio=1"), "bound-on-wrong-side"),
        (("head", "--against", "base", "--rounds", "7"), "bad-value"),
        (("ci-gate", "--rounds", "12"), "rounds-without-against"),
        (("ci-gate", "--max", "latency_ratio=1.03"), "bound-of-two-builds"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(
    host: RacingHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], ref: str
) -> None:
    two_bundles(tmp_path)
    done = warm.edgecnn(["judge", *words], env=os.environ, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.endswith(f"[{ref}]\n"), done.stderr
    assert not (tmp_path / "store").exists()


def test_an_unknown_metric_suggests_the_nearest(host: RacingHost, tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    done = run("judge", head, "--against", base, "--max", "latency_ration=1.03")
    assert "did you mean latency_ratio?" in done.stderr
