from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgecnn.cli.main import app
from tests.house.schemas import FOLDER as SCHEMAS
from tests.runner.kits import make_kit


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_kit(tmp_path_factory.mktemp("kits"))


def test_a_short_single_stream_run_is_valid_and_its_logs_are_kept(kit: Path, tmp_path: Path) -> None:
    """The document on stdout is the report beside the logs."""
    pytest.importorskip("mlperf_loadgen", reason='pip install "edgecnn[loadgen]"')
    from jsonschema import Draft202012Validator

    out = tmp_path / "out"
    before = sorted(kit.rglob("*"))
    words = ["study", "loadgen", str(kit), "--scenario", "single-stream", "--duration", "0.3", "--out", str(out), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document.pop("folder") == str(out)
    assert document == json.loads((out / "loadgen.json").read_text())
    Draft202012Validator(json.loads((SCHEMAS / "loadgen.json").read_text())).validate(document)
    (result,) = document["results"]
    assert result["valid"] and result["scenario"] == "SingleStream" and result["figure"] > 0
    summary = (out / result["runs"][0]["logs"] / "mlperf_log_summary.txt").read_text()
    assert "Result is : VALID" in summary and "min_duration (ms): 300" in summary
    assert document["claim"].endswith("no MLPerf result, and not verified by MLCommons Association")
    assert sorted(kit.rglob("*")) == before


def test_a_folder_that_holds_something_is_not_written_into(kit: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = CliRunner().invoke(app, ["study", "loadgen", str(kit), "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "cannot hold the results: it is not empty" in done.stderr


def test_a_scenario_that_does_not_exist_is_bad_input(kit: Path) -> None:
    from edgecnn.errors.measuring import UNKNOWN_SCENARIO

    done = CliRunner().invoke(app, ["study", "loadgen", str(kit), "--scenario", "burst"])
    assert UNKNOWN_SCENARIO.made(done.exception)


def test_a_folder_without_a_kit_is_bad_input(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["study", "loadgen", str(tmp_path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "is neither a kit nor a finished build" in done.stderr
    assert not (tmp_path / "out").exists()
