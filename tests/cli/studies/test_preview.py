"""`edgecnn data preview` on the command line: a sheet, and what was drawn for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image
from typer.testing import CliRunner

from edgecnn.cli.main import app
from tests.data.cutouts import backgrounds, cutouts, shapes
from tests.house.schemas import FOLDER


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))


def test_the_demo_is_shown_beside_what_training_makes_of_it(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    words = ["data", "preview", "--sheet", str(sheet), "--images", "3", "--columns", "2", "--json"]
    done = CliRunner().invoke(app, [*words, "--set", 'train.augment=[{kind="flip", p=1.0}, {kind="rotate"}, {kind="mixup"}]'])
    assert done.exit_code == 0, done.stderr
    facts = json.loads(done.stdout)
    Draft202012Validator(json.loads((FOLDER / "preview.json").read_text(encoding="utf-8"))).validate(facts)
    assert [(picture["row"], picture["column"]) for picture in facts["pictures"]] == [(r, c) for r in (1, 2, 3) for c in (1, 2)]
    flip, rotate, mixup = facts["pictures"][0]["drawn"]
    assert flip == {"kind": "flip", "applied": True, "values": {}}
    assert -15 <= rotate["values"]["degrees"] <= 15 and mixup["applied"]
    with Image.open(sheet) as image:
        assert image.format == "PNG" and image.width > 3 * 112
    again = CliRunner().invoke(app, ["data", "preview", "--sheet", str(sheet), "--images", "2", "--columns", "2", "-q"])
    assert again.exit_code == 0, "a sheet of ours may be replaced"
    assert "  crop: area 0.6 to 1, aspect 1.18; applied to 4 of 4 images\n" in again.stdout


def test_a_picture_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "mine.png"
    Image.new("RGB", (8, 8)).save(mine)
    done = CliRunner().invoke(app, ["data", "preview", "--sheet", str(mine)])
    assert done.exit_code == 2 and "[not-overwritten]" in done.stderr


def test_an_absent_folder_is_bad_input(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["data", "preview", str(tmp_path / "none"), "--sheet", str(tmp_path / "s.png")])
    assert done.exit_code == 2 and "[data-folder-missing]" in done.stderr


def test_it_shows_the_list_of_the_training_that_would_begin(tmp_path: Path) -> None:
    """Unset, the list is that of the mode: from scratch where pretrained weights are not wanted."""
    words = ["data", "preview", "--sheet", str(tmp_path / "s.png"), "--images", "1", "--columns", "1", "-q"]
    done = CliRunner().invoke(app, [*words, "--set", "train.transfer=scratch"])
    assert done.exit_code == 0 and "  crop: area 0.8 to 1" in done.stdout, done.stderr


def test_composed_images_are_shown_beside_photographs_as_a_build_composes_them(tmp_path: Path) -> None:
    words = ["data", "preview", "--images", "5", "--columns", "1", "--sheet", str(tmp_path / "sheet.png")]
    for key, folder in (("cutouts", cutouts(tmp_path / "cut")), ("backgrounds", backgrounds(tmp_path / "under"))):
        words += ["--set", f"synthesis.{key}={folder}"]
    words += ["--set", "model.resolution_px=64", str(shapes(tmp_path / "photos", per_class=12))]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.stderr
    facts = json.loads(done.stdout)
    Draft202012Validator(json.loads((FOLDER / "preview.json").read_text(encoding="utf-8"))).validate(facts)
    assert facts["composed_rows"] == [3, 4, 5]
    assert [picture["class_name"] for picture in facts["pictures"]] == ["disc", "square", "disc", "square", "disc"]
    of = [picture.get("composed_of") for picture in facts["pictures"]]
    assert of[:2] == [None, None] and all(cutout.startswith(("disc/", "square/")) for cutout, _ in of[2:])
    with Image.open(tmp_path / "sheet.png") as image:
        red, green, _ = np.asarray(image.convert("RGB"), int)[6 + 2 * 118 :][:112, 6:118].transpose(2, 0, 1)
    assert (red - green > 100).sum() > 300, "the third row's original shows a red disc"
    result = CliRunner().invoke(app, [*words, "-q"])
    assert "  composed of cut-outs and backgrounds: rows 3 to 5" in result.stdout
    alone = CliRunner().invoke(app, [*words, "-q", "--set", "data.train=false"])
    assert "rows 1 to 5" in alone.stdout, alone.stderr
    half = CliRunner().invoke(app, ["data", "preview", "--set", f"synthesis.cutouts={tmp_path / 'cut'}"])
    assert half.exit_code == 2 and "[synthesis-incomplete]" in half.stderr
