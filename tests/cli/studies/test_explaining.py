from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from edgecnn.cli.main import app
from tests.building.explained import provisional_report
from tests.house.schemas import FOLDER


@pytest.fixture
def build(tmp_path: Path) -> Path:
    (tmp_path / "report.json").write_text(provisional_report().model_dump_json(by_alias=True))
    return tmp_path


def test_a_report_alone_is_explained(build: Path) -> None:
    done = CliRunner().invoke(app, ["explain", str(build)])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("efficientnet-b0 on jetson-orin-nano: tensorrt-fp16 is chosen; the choice is PROVISIONAL")
    assert sorted(path.name for path in build.iterdir()) == ["report.json"], "nothing is written"


def test_with_json_it_is_one_document_of_the_published_schema(build: Path) -> None:
    document = json.loads(CliRunner().invoke(app, ["explain", str(build), "--json"]).stdout)
    schema = json.loads((FOLDER / "explanation.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(document)
    assert document["schema"] == "edgecnn.explanation/2"
    assert document["candidates"][1]["facts"]["because"]["kind"] == "provisional"


def test_one_candidate_can_be_asked_about(build: Path) -> None:
    done = CliRunner().invoke(app, ["explain", str(build), "--candidate", "tensorrt-fp16"])
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "tensorrt-fp16 (chosen)")


def test_an_unknown_candidate_is_bad_input(build: Path) -> None:
    done = CliRunner().invoke(app, ["explain", str(build), "--candidate", "tensorrt-fp8"])
    assert done.exit_code == 2
    assert "has no candidate 'tensorrt-fp8'" in done.stderr
    assert done.stderr.endswith("did you mean tensorrt-fp16? [unknown-candidate]\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "holds no report.json"),
        ("{", "cannot be read as a report"),
        ('{"schema": "edgecnn.report/3"}', "its schema is edgecnn.report/3, and this version reads edgecnn.report/2"),
    ],
)
def test_what_is_no_report_of_this_version_is_bad_input(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    done = CliRunner().invoke(app, ["explain", str(tmp_path)])
    assert done.exit_code == 2
    assert says in done.stderr
