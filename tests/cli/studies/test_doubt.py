from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from edgecnn.cli.main import app
from tests.building.built_networks import BuiltNetworks, spots
from tests.house.schemas import FOLDER


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    return BuiltNetworks(tmp_path, *spots(6)).build("a")


def test_it_writes_the_page_the_list_and_the_facts_into_the_build(build: Path) -> None:
    done = CliRunner().invoke(app, ["data", "doubt", str(build), "--quiet"])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (build / "doubt").iterdir()) == ["doubt.html", "doubt.json", "labels.csv"]
    assert "--label-column label" in " ".join(done.stdout.split())


def test_with_json_it_prints_the_file_that_it_writes(build: Path) -> None:
    out = build.parent / "elsewhere"
    printed = json.loads(CliRunner().invoke(app, ["data", "doubt", str(build), "--out", str(out), "--json"]).stdout)
    Draft202012Validator(json.loads((FOLDER / "label-doubt.json").read_text(encoding="utf-8"))).validate(printed)
    assert printed == json.loads((out / "doubt.json").read_text())


def test_a_folder_without_a_build_is_bad_input(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["data", "doubt", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.endswith("[no-report]\n")
