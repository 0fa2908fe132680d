"""A spreadsheet that opens what edgecnn writes as CSV calculates nothing."""

from __future__ import annotations

import ast
import csv
import io

import pytest

from edgecnn.bundle.predictions import Predictions
from edgecnn.render.screens.bundle import show_predictions
from edgecnn.render.wording import csv_line
from tests.house.source_tree import PACKAGE

FORMULAS = (
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "=cmd|' /C calc'!A0", '=HYPERLINK("http://x")', "\t=1", "\r=1", " =1", "\uff1d1", "-",
    "--1", "+a", "\ufeff=1", "\0=1", "\u200b@a", "\x1f +a", "\u2060\u00a0-a", "\ufeff\uff1d1",
)  # fmt: skip


def read_back(line: str) -> list[str]:
    (row,) = csv.reader(io.StringIO(line, newline=""))
    return row


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_a_text_behind_an_apostrophe(text: str) -> None:
    assert read_back(csv_line((text, "cat"))) == [f"'{text}", "cat"]


@pytest.mark.parametrize(
    "text", ["-1.5", "+2", "-1e-05", "-.5", "0.25", "cat", "a-b", "a=b", "x, y", "'quoted'", 'say "cat"', "", "a@b"]
)
def test_numbers_and_other_names_stay_as_they_are(text: str) -> None:
    assert read_back(csv_line((text, -1.5))) == [text, "-1.5"]


def test_no_separator_of_another_country_begins_a_cell() -> None:
    assert csv_line(("a;=1", 2)) == '"a;=1","2"'


def test_predictions_are_written_so(capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"file": "=1+1.png", "labels": [{"label": "@cat", "probability": 0.5}]}
    names = {
        "bundle": "b",
        "sha256": "0" * 64,
        "confinement": {"landlock": 7},
        "name": "a",
        "version": 1,
        "candidate": "onnxruntime-fp32",
        "kit": "k",
        "knobs": {},
    }
    found = Predictions.model_validate({**names, "predictions": [facts], "unreadable": []})
    show_predictions(found, as_csv=True)
    assert capsys.readouterr().out.splitlines()[1] == "'=1+1.png,1,'@cat,0.500000"


def test_no_other_place_writes_csv_for_people() -> None:
    """``sample_pairs`` and ``doubt`` write lists of images that a build reads: an apostrophe would change paths."""
    names = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("writer", "DictWriter", "to_csv")
    }
    assert names <= {"render/wording.py", "data/formats/archive.py", "studies/doubt.py"}
