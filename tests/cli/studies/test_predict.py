"""`edgecnn predict` as a user meets it: the rest is answered, what cannot be read is named, and nothing unverified is opened."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner, Result

from edgecnn.bundle.predicting import image_files, predict_photos
from edgecnn.bundle.verify import UNSIGNED
from edgecnn.cli.main import app
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.bundle import NO_PHOTOS
from edgecnn.runner.classifier import Classifier
from edgecnn.runner.pixels import UNSUPPORTED_FORMAT
from tests.bundle.sealed import KIT, KIT_FOLDER, copied, published, verified, with_kit, zipped
from tests.house.schemas import FOLDER
from tests.runner.kits import rewrite_manifest
from tests.store.toys import Ear

WARNED = f"edgecnn: warning: {UNSIGNED}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("bundles") / "flowers")


@pytest.fixture
def photos(whole: Path, tmp_path: Path) -> Path:
    """Three pictures, two files that are none, and one that is hidden."""
    folder = tmp_path / "photos"
    folder.mkdir()
    golden = whole / KIT_FOLDER / "golden"
    for name, source in (("b.png", "card.png"), ("a, b.png", "0.png"), ("c.jpg", "photo.jpg")):
        (folder / name).write_bytes((golden / source).read_bytes())
    (folder / "cut.jpg").write_bytes((golden / "photo.jpg").read_bytes()[:300])
    (folder / "note.txt").write_text("hello")
    (folder / ".hidden").write_text("x")
    return folder


def predict(*words: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, words)])


def test_a_folder_is_answered_as_the_kit_s_own_classifier_does_and_the_json_satisfies_its_schema(
    whole: Path, photos: Path, tmp_path: Path
) -> None:
    results = [predict(bundle, photos, "--json", "--top", "2") for bundle in (whole, zipped(whole, tmp_path / "x.zip"))]
    document = json.loads(results[0].stdout)
    Draft202012Validator(json.loads((FOLDER / "predictions.json").read_text())).validate(document)
    assert document["predictions"] == json.loads(results[1].stdout)["predictions"], "a zip answers as the folder does"
    assert [Path(prediction["file"]).name for prediction in document["predictions"]] == ["a, b.png", "b.png", "c.jpg"]
    assert [Path(failure["file"]).name for failure in document["unreadable"]] == ["cut.jpg", "note.txt"]
    classifier = Classifier(whole / KIT_FOLDER)
    for prediction in document["predictions"]:
        expected = [{"label": label, "probability": share} for label, share in classifier.predict(prediction["file"])[:2]]
        assert prediction["labels"] == expected
    assert document["candidate"] == KIT


def test_what_cannot_be_read_is_named_and_counted_on_stderr_and_makes_it_exit_2(whole: Path, photos: Path) -> None:
    done = predict(whole, photos)
    assert done.exit_code == 2
    lines = done.stderr.splitlines()
    assert lines[0] == WARNED
    assert lines[1].startswith(f"edgecnn: not read: {photos}/cut.jpg: ")
    assert lines[2] == f"edgecnn: not read: {photos}/note.txt: {UNSUPPORTED_FORMAT}"
    assert lines[3:] == ["edgecnn: 2 of 5 files were not read"]
    assert done.stdout.count(str(photos)) == 3
    good = predict(whole, photos / "b.png")
    assert (good.exit_code, good.stderr) == (0, f"{WARNED}\n")


def test_csv_is_read_back_by_a_spreadsheet(whole: Path, photos: Path) -> None:
    done = predict(whole, photos / "a, b.png", photos / "c.jpg", "--csv", "--top", "3")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(Path(row["file"]).name, row["rank"]) for row in rows] == [
        (name, str(rank)) for name in ("a, b.png", "c.jpg") for rank in (1, 2, 3)
    ]
    assert all(0 <= float(row["probability"]) <= 1 and row["label"].startswith("class ") for row in rows)
    both = predict(whole, photos, "--csv", "--json")
    assert json.loads(both.stderr)["error"]["ref"] == "two-forms-asked"


@pytest.mark.parametrize(
    "words, line",
    [
        (["absent"], "[photo-absent]"),
        (["absent.png", "none.png"], "[photo-absent]"),
        (["--csv", "--json", "x"], ""),
    ],
)
def test_where_nothing_can_be_answered_there_is_one_error(whole: Path, words: list[str], line: str) -> None:
    done = predict(whole, *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_files_of_tools_and_hidden_folders_are_skipped_and_those_with_images_are_told(whole: Path, tmp_path: Path) -> None:
    card = (whole / KIT_FOLDER / "golden" / "card.png").read_bytes()
    names = ("a.png", "@eaDir/a.png/SYNOPHOTO_THUMB_M.png", ".NET shirt/b.png", "Thumbs.db", "._a.png", "desktop.ini")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(card if name.endswith("a.png") or "THUMB" in name or "b.png" in name else b"x")
    for words in ([tmp_path], [path for path in tmp_path.iterdir() if path.name != ".NET shirt"]):
        done = predict(whole, *words, "--json")
        document = json.loads(done.stdout)
        assert (done.exit_code, [Path(prediction["file"]).name for prediction in document["predictions"]]) == (0, ["a.png"])
        assert any(skipped.endswith("@eaDir/ (1 image, left by a tool)") for skipped in document["skipped"])
    done = predict(whole, tmp_path)
    assert [line for line in done.stderr.splitlines() if ".NET shirt/ (1 image, hidden)" in line]
    refused = predict(whole, tmp_path / "Thumbs.db")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "[no-photos]" in refused.stderr


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=NO_PHOTOS.made) as caught:
        image_files([tmp_path], Ear())
    assert caught.value.ref == "no-photos"


def test_an_unverified_bundle_opens_nothing(whole: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = copied(whole, tmp_path / "bundle")
    model = bundle / KIT_FOLDER / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    monkeypatch.setattr("edgecnn.runner.classifier.Classifier", lambda *_: pytest.fail("opened"))
    done = predict(bundle, photos)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"edgecnn: error: {KIT_FOLDER}/model.onnx in {bundle} was changed: ")
    assert done.stderr.endswith("[bundle-file-changed]\n")


def test_an_engine_that_nobody_listed_is_opened_only_where_this_machine_is_said_to_have_made_it(
    whole: Path, photos: Path, tmp_path: Path
) -> None:
    bundle = copied(whole, tmp_path / "bundle")
    (bundle / KIT_FOLDER / "build").mkdir()
    (bundle / KIT_FOLDER / "build" / "engine.plan").write_bytes(b"x")
    done = predict(bundle, photos / "b.png")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "[bundle-file-extra]" in done.stderr
    assert predict(bundle, photos / "b.png", "--made-here").exit_code == 0


def test_a_signature_can_be_asked_for_as_verify_asks_for_it(whole: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "signers").write_text("")
    done = predict(whole, photos / "b.png", "--allowed-signers", tmp_path / "signers")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.endswith("[signature-missing]\n")
    unnamed = predict(whole, photos / "b.png", "--require-signature")
    assert unnamed.stderr.endswith("[signers-not-named]\n")


def test_a_kit_that_is_not_there_and_one_that_does_not_run_here_are_named(whole: Path, photos: Path, tmp_path: Path) -> None:
    done = predict(whole, photos, "--candidate", "onnxruntime-int8")
    assert done.exit_code == 3
    assert "[kit-not-carried]" in done.stderr
    bundle = copied(whole, tmp_path / "bundle")
    with_kit(bundle, lambda kit: rewrite_manifest(kit, lambda facts: facts["requirements"].update(machines=["s390x"])))
    done = predict(bundle, photos)
    assert done.exit_code == 3
    assert done.stderr.startswith("edgecnn: error: this kit does not run on ")


def require_of_kits(bundle: Path, **requirements: dict[str, object]) -> Path:
    """The bundle with a copy of its kit for each further name, and what each then requires."""
    choice = json.loads((bundle / "choice.json").read_text())
    for name in requirements:
        folder = bundle / ("kits" if name == "chosen" else f"kits/{name}")
        if name != "chosen":
            shutil.copytree(bundle / KIT_FOLDER, folder)
            choice["kits"][name] = {**choice["kits"][KIT], "folder": f"kits/{name}"}
    (bundle / "choice.json").write_text(json.dumps(choice))
    for name, required in requirements.items():
        kit = bundle / (KIT_FOLDER if name == "chosen" else f"kits/{name}")
        rewrite_manifest(kit, lambda facts, required=required: facts["requirements"].update(required))  # type: ignore[misc]
    return with_kit(bundle, lambda _: None)


TOO_NEW = {"packages": {"tensorrt": ">=99"}}
ELSEWHERE = {"machines": ["s390x"]}
INSTALL = "pip install 'tensorrt>=99'"


@pytest.mark.parametrize("verb", ["predict", "bundle serve", "study loadgen"])
@pytest.mark.parametrize(
    ("kits", "hint"),
    [
        ({"chosen": TOO_NEW, "a": TOO_NEW, "b": {}}, f"{INSTALL}, or another kit of the bundle runs here: --candidate b"),
        ({"chosen": TOO_NEW, "a": TOO_NEW}, INSTALL),
        ({"chosen": ELSEWHERE, "a": ELSEWHERE, "b": {}}, "another kit of the bundle runs here: --candidate b"),
        ({"chosen": ELSEWHERE, "a": ELSEWHERE, "b": TOO_NEW}, f"{INSTALL}, then --candidate b"),
        ({"chosen": ELSEWHERE, "a": {"python": ">=9"}}, None),
        ({"chosen": {"packages": {"onnxruntime": ">=99"}}, "a": {}},
         "pip install 'onnxruntime>=99', or another kit of the bundle runs here: --candidate a"),
    ],
)  # fmt: skip
def test_only_a_kit_that_runs_here_is_suggested_else_what_to_install(
    whole: Path, photos: Path, tmp_path: Path, verb: str, kits: dict[str, dict[str, object]], hint: str | None
) -> None:
    bundle = require_of_kits(copied(whole, tmp_path / "bundle"), **kits)
    words = {"predict": [bundle, photos], "bundle serve": [bundle], "study loadgen": [bundle, "--out", tmp_path / "out"]}[verb]
    done = CliRunner().invoke(app, [*verb.split(), *map(str, words), "--json"])
    assert (done.exit_code, done.stdout, json.loads(done.stderr)["error"]["hint"]) == (3, "", hint)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["predict", "bundle serve", "study loadgen"])
def test_a_kit_that_is_not_carried_is_answered_with_one_that_runs_here(
    whole: Path, photos: Path, tmp_path: Path, verb: str
) -> None:
    bundle = require_of_kits(copied(whole, tmp_path / "bundle"), chosen=TOO_NEW, litert=TOO_NEW, b={})
    words = {"predict": [bundle, photos], "bundle serve": [bundle], "study loadgen": [bundle, "--out", tmp_path / "out"]}[verb]
    done = CliRunner().invoke(app, [*verb.split(), *map(str, words), "--candidate", "litert-int8"])
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.endswith(" — choose --candidate b, which runs here [kit-not-carried]\n")


def test_of_a_zip_a_kit_that_runs_here_is_suggested_too(whole: Path, photos: Path, tmp_path: Path) -> None:
    bundle = require_of_kits(copied(whole, tmp_path / "bundle"), chosen=TOO_NEW, a=TOO_NEW, b={})
    done = predict(zipped(bundle, tmp_path / "x.zip"), photos)
    assert done.stderr.endswith(f" — {INSTALL}, or another kit of the bundle runs here: --candidate b [missing-package]\n")


def test_progress_is_told_after_two_seconds_and_not_before(whole: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Ear()
    files = [photos / "b.png"] * 3
    bundle = verified(whole)
    predict_photos(bundle, files, None, 1, heard)
    assert [step for step in heard.steps if step[0] == "predicting"] == []
    clock = iter([0.0, 1.0, 2.0, 3.0])
    monkeypatch.setattr("edgecnn.bundle.predicting.time", type("Clock", (), {"monotonic": staticmethod(lambda: next(clock))}))
    predict_photos(bundle, files, None, 1, heard)
    assert [step for step in heard.steps if step[0] == "predicting"] == [("predicting", done, 3, "images") for done in (2, 3)]


@pytest.mark.parametrize("text", ["https://example.org/a.jpg", "-"])
def test_an_address_and_standard_input_are_no_images(tmp_path: Path, text: str) -> None:
    shown = predict(tmp_path / "no bundle", text)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.startswith(f"edgecnn: error: {text} ") and shown.stderr.endswith("[photo-not-a-file]\n")
