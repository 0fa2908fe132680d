from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from edgecnn.cli.main import app
from tests.building.built_networks import BuiltNetworks
from tests.graph.planted import planted
from tests.house.schemas import FOLDER


def test_one_document_of_the_published_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    networks = BuiltNetworks(tmp_path)
    folders = [str(networks.build("a")), str(networks.build("b", planted(gain=2)))]
    done = CliRunner().invoke(app, ["study", "ensemble", *folders, "--out", str(tmp_path / "e.onnx"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["chance_top1"] == pytest.approx(1 / 3)
    Draft202012Validator(json.loads((FOLDER / "ensemble.json").read_text(encoding="utf-8"))).validate(json.loads(done.stdout))
    shown = CliRunner().invoke(app, ["study", "ensemble", *folders, "--out", str(tmp_path / "e.onnx"), "--quiet"])
    assert "build it: edgecnn build --model" in shown.stdout


def test_an_ensemble_at_chance_level_begins_with_that_and_ends_with_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    networks = BuiltNetworks(tmp_path)
    folders = [str(networks.build(name, planted(gain=0))) for name in "ab"]
    done = CliRunner().invoke(app, ["study", "ensemble", *folders, "--out", str(tmp_path / "e.onnx"), "--quiet"])
    assert done.exit_code == 4, done.output
    assert done.stdout.startswith("UNSURE: e.onnx is not shown to have learned: 33.3 % [")
