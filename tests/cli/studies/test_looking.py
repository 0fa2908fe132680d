from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from edgecnn.cli.main import app
from tests.building.built_networks import BuiltNetworks
from tests.house.schemas import FOLDER


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    return BuiltNetworks(tmp_path).build("a")


def test_the_pictures_lie_in_the_build_and_the_table_names_them(build: Path) -> None:
    done = CliRunner().invoke(app, ["study", "look", str(build), "--quiet"])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (build / "look").iterdir()) == [
        "filters.npy", "filters.png", "look.json", "map-1-16x16.png", "map-2-8x8.png",
    ]  # fmt: skip
    assert "map-2-8x8.png" in done.stdout and "filters.png: 4 filters of 3 × 3 in spotter, grey is zero" in done.stdout


def test_with_json_it_prints_the_file_that_it_writes(build: Path) -> None:
    out = build.parent / "elsewhere"
    document = json.loads(
        CliRunner().invoke(app, ["study", "look", str(build), "--out", str(out), "--images", "2", "--json"]).stdout
    )
    Draft202012Validator(json.loads((FOLDER / "look.json").read_text(encoding="utf-8"))).validate(document)
    assert document == json.loads((out / "look.json").read_text())
    assert len(document["maps"][0]["drawn"][0]["strongest"]) == 2


def test_a_folder_without_a_build_is_bad_input(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["study", "look", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.endswith("[no-report]\n")
