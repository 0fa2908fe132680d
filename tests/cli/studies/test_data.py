"""`edgecnn data` as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from tests import warm
from tests.data.folders import fill, write
from tests.data.test_near_duplicates import encoded, scene
from tests.house.child import child
from tests.house.schemas import FOLDER


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = fill(tmp_path / "photos", {"cat": 9, "dog": 9})
    write(folder / "cat/x.jpg", encoded(scene(5)))
    write(folder / "dog/y.jpg", encoded(scene(5), quality=40))
    return folder


def run(photos: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return warm.edgecnn(["data", *words], env={**os.environ, "EDGECNN_STORE": str(photos.parent / "store")}, cwd=photos.parent)


def test_the_table_and_what_to_know_are_on_stdout(photos: Path) -> None:
    shown = run(photos, "inspect", "photos")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"{photos}: 20 images of 2 classes" in shown.stdout
    assert "  warning: 1 group of images that look alike is in several classes; a build uses all of them" in shown.stdout
    assert "  file format: PNG (18 images), JPEG (2 images); pixel format: RGB (20 images)" in shown.stdout


def test_images_that_no_build_can_use_end_with_2_and_warnings_do_where_strict_is_asked(photos: Path) -> None:
    assert run(photos, "inspect", "photos", "--strict").returncode == 2, "pictures of two classes look alike"
    (photos / "cat/x.jpg").unlink()
    assert run(photos, "inspect", "photos", "--strict").returncode == 0
    write(photos / "dog/none.png", b"")
    assert [run(photos, "inspect", "photos", *strict).returncode for strict in ([], ["--strict"])] == [0, 2]
    write(photos / "emu/one.png", encoded(scene(7), "PNG"))
    shown = run(photos, "inspect", "photos")
    assert shown.returncode == 2
    assert "  error: no build is possible: " in shown.stdout
    as_json = run(photos, "inspect", "photos", "--json")
    assert (as_json.returncode, json.loads(as_json.stdout)["roles"]) == (2, None)


def test_folders_with_two_readings_end_with_2_and_the_answer_that_is_named_works(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {f"site{site}/{label}": 5 for site in (1, 2) for label in ("cat", "dog")})
    refused = run(photos, "inspect", "photos")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "[split-folders]" in refused.stderr
    shown = run(photos, "inspect", "photos", "--set", "data.folders=nested")
    assert shown.returncode == 0 and f"{photos}: 20 images of 2 classes" in shown.stdout
    divided = run(photos, "split", "photos", "--out", "divided", "--set", "data.folders=nested")
    assert divided.returncode == 0 and (tmp_path / "divided/train/cat/site1").is_dir()


def test_of_several_labels_the_table_speaks_of_labels(photos: Path) -> None:
    both = {path: "cat|dog" if path.suffix == ".jpg" else path.parent.name for path in sorted(photos.rglob("*.*"))}
    listed = [f"photos/{path.parent.name}/{path.name},{labels}" for path, labels in both.items()]
    (photos.parent / "list.csv").write_text("\n".join(["path,labels", *listed]) + "\n")
    shown = run(photos, "inspect", "list.csv").stdout
    assert "20 images with any of 2 labels" in shown and "label" in shown and "classes" not in shown.splitlines()[0]


def test_the_json_satisfies_its_published_schema_and_nothing_is_written_unasked(photos: Path) -> None:
    before = sorted(photos.parent.iterdir())
    shown = run(photos, "inspect", "photos", "--json")
    schema = json.loads((FOLDER / "inspection.json").read_text(encoding="utf-8"))
    facts = json.loads(shown.stdout)
    Draft202012Validator(schema).validate(facts)
    assert (facts["images"], facts["contact_sheet"], facts["schema"]) == (20, None, "edgecnn.inspection/2")
    assert [path for path in sorted(photos.parent.iterdir()) if path not in before] == [photos.parent / "store"]


def test_a_contact_sheet_is_drawn_where_asked_upright_and_again_over_itself(photos: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.new("RGB", (200, 100), "red")
    write(photos / "cat/000a.jpg", encoded(wide, exif=exif))
    for _ in range(2):
        shown = run(photos, "inspect", "photos", "--sheet", "sheet.png")
        assert (shown.returncode, shown.stdout.splitlines()[-1]) == (0, "  sheet.png")
    with Image.open(photos.parent / "sheet.png") as sheet:
        assert sheet.width < 1200 and sheet.height == 6 + 2 * 118
        cell = np.asarray(sheet.convert("RGB").crop((220 + 118, 6, 220 + 118 + 112, 6 + 112))).astype(int)
    rows, columns = np.nonzero(np.abs(cell - (254, 0, 0)).max(axis=2) < 8)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1, len(rows)) == (112, 56, 112 * 56), "stored lying, shown standing"


def test_a_contact_sheet_shows_grey_of_twelve_bits_by_the_window_that_is_advised(tmp_path: Path) -> None:
    for number in range(4):
        levels = np.full((40, 40), 4000, np.uint16)
        levels[:, : 8 * number] = 16
        write(tmp_path / f"photos/{'ab'[number % 2]}/{number}.png", encoded(Image.fromarray(levels), "PNG"))
    run(tmp_path / "photos", "inspect", "photos", "--sheet", "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        cell = np.asarray(sheet.convert("L").crop((220, 6, 220 + 112, 6 + 112)))
    assert (cell == round(255 * 4000 / 4095)).sum() == 40 * 40


@pytest.mark.parametrize("content", [b"my own", None])
def test_a_file_that_is_not_ours_is_never_overwritten(photos: Path, content: bytes | None) -> None:
    place = photos.parent / "sheet.png"
    place.write_bytes(content if content is not None else encoded(scene(1), "PNG"))
    before = place.read_bytes()
    shown = run(photos, "inspect", "photos", "--sheet", "sheet.png")
    assert (shown.returncode, shown.stdout, place.read_bytes()) == (2, "", before)
    assert "[not-overwritten]" in shown.stderr


def test_a_sheet_among_the_images_or_in_no_folder_is_refused_before_any_work(photos: Path) -> None:
    inside = run(photos, "inspect", "photos", "--sheet", "photos/cat/sheet.png")
    assert inside.returncode == 2
    assert "[output-inside-data]" in inside.stderr
    nowhere = run(photos, "inspect", "photos", "--sheet", "none/sheet.png")
    assert nowhere.returncode == 2
    assert "[output-unwritable]" in nowhere.stderr
    assert not (photos.parent / "store").exists()


def test_a_name_that_is_hostile_to_terminals_and_fonts_is_drawn_and_shown(photos: Path) -> None:
    fill(photos, {"[red]\u202e \U0001f600 " + "w" * 150: 9}, start=900)
    shown = run(photos, "inspect", "photos", "--sheet", "sheet.png")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "[red]" in shown.stdout


def test_ctrl_c_ends_it_with_130(photos: Path) -> None:
    fill(photos, {"cat/more": 3000}, start=1000)
    command = [sys.executable, "-m", "edgecnn", "data", "inspect", "photos"]
    surroundings = {**os.environ, "EDGECNN_STORE": str(photos.parent / "store")}
    with child(command, env=surroundings, cwd=photos.parent) as process:
        while not (photos.parent / "store" / "manifests" / "index").is_dir() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, stderr = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert "interrupted" in stderr


def test_groups_are_shown_and_kept_whole(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {f"{label}/clip{number:02}": 3 for label in ("cat", "dog") for number in range(20)})
    words = ("photos", "--set", "data.folders=classes", "--group-by", "clip[0-9]+")
    shown = run(photos, "inspect", *words)
    assert (shown.returncode, shown.stderr) == (0, "")
    text = "split by group ('clip[0-9]+'): 20 groups, none in two splits"
    assert f"; {text}; " in shown.stdout
    assert "\n  groups: 20 by 'clip[0-9]+', the largest 'clip00' with 6 images\n" in shown.stdout
    facts = json.loads(run(photos, "inspect", *words, "--json").stdout)
    Draft202012Validator(json.loads((FOLDER / "inspection.json").read_text(encoding="utf-8"))).validate(facts)
    assert facts["grouping"]["groups"] == 20
    divided = run(photos, "split", *words, "--out", "divided").stdout
    assert f"; {text}; " in divided and "; seed 0\n" in divided
    names = [{path.name for path in (tmp_path / "divided" / part).rglob("clip*")} for part in ("train", "validation", "test")]
    assert (len(set().union(*names)), sum(map(len, names))) == (20, 20)
    planned = run(photos, "inspect", "photos", "--group-by", "")
    assert planned.stderr.endswith("[empty-option]\n")


def test_split_says_what_it_wrote_and_its_json_satisfies_its_schema(photos: Path) -> None:
    shown = run(photos, "split", "photos", "--out", "divided")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("divided: train/ 12, validation/ 4, test/ 4\n")
    document = json.loads(run(photos, "split", "photos", "--out", "again", "--link", "--json").stdout)
    Draft202012Validator(json.loads((FOLDER / "division.json").read_text(encoding="utf-8"))).validate(document)
    assert (document["linked"], document["images"]) == (True, {"train": 12, "validation": 4, "test": 4})
    refused = run(photos, "split", "photos", "--out", "divided")
    assert (refused.returncode, refused.stdout) == (2, "")


@pytest.mark.parametrize(
    ("words", "seed"), [(("--set", "data.seed=3"), 3), (("--set", "data.seed=3", "--seed", "4"), 4), ((), 0)]
)
def test_the_seed_is_that_of_the_recipe_unless_the_option_states_one(photos: Path, words: tuple[str, ...], seed: int) -> None:
    assert f"; seed {seed}\n" in run(photos, "split", "photos", *words, "--out", "divided").stdout


def test_options_say_how_a_list_is_read(photos: Path) -> None:
    rows = [f"{place.stem};{place.parent.name};x" for place in sorted(photos.rglob("0*.png"))]
    for place in sorted(photos.rglob("0*.png")):
        place.rename(photos / f"{place.parent.name}-{place.name}")
    rows = [f"{row.split(';')[1]}-{row}" for row in rows]
    (photos.parent / "list.csv").write_text("\n".join(["picture;kind;note", *rows]), encoding="utf-8")
    refused = run(photos, "inspect", "list.csv")
    assert (refused.returncode, "pass --path-column COLUMN" in refused.stderr) == (2, True)
    options = ("--path-column", "picture", "--label-column", "kind", "--path-suffix", ".png", "--image-root", "photos")
    shown = run(photos, "inspect", "list.csv", *options)
    assert (shown.returncode, shown.stderr) == (0, f"edgecnn: {photos.parent}/list.csv: reads the columns picture and kind\n")
    assert "18 images of 2 classes" in shown.stdout


@pytest.mark.parametrize(
    "verb", ["build", "plan", "train", "recipe show", "fit", "data inspect", "data split", "data preview", "bench", "init"]
)
def test_each_verb_that_takes_images_takes_the_options_of_lists(verb: str) -> None:
    from tests.cli.test_option_table import ROOT

    command = ROOT
    for word in verb.split():
        command = command.commands[word]
    names = {option for parameter in command.params for option in parameter.opts}
    assert {"--path-column", "--label-column", "--label-separator", "--path-suffix", "--image-root"} <= names
