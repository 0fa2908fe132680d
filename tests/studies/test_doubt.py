from __future__ import annotations

import csv
import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgecnn.data import fingerprints
from edgecnn.data.manifest import list_files, read_files
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import LIST_EDITED, OUTPUT_INSIDE_DATA
from edgecnn.errors.data import IMAGE_GONE
from edgecnn.errors.fit import NETWORK_GONE, NO_FEATURES, NO_LABELS_TO_DOUBT
from edgecnn.errors.labels import MULTI_LABEL_NOT_FITTING
from edgecnn.render.page.studies import doubt_page
from edgecnn.render.progress import Quiet
from edgecnn.render.screens.studies import doubt_lines, doubt_next_lines
from edgecnn.studies.doubt import LIST, DoubtFound, DoubtRequest, label_doubt
from edgecnn.studies.facts import LabelDoubt
from edgecnn.values.dataset import DataManifest
from edgecnn.values.recipe import DataChoice, Recipe
from edgecnn.values.resolved import Resolved
from edgecnn.values.verdict import Interval
from tests.building.built_networks import COLOURS, BuiltNetworks
from tests.building.resolutions import resolved
from tests.graph.planted import planted, spotted
from tests.store.toys import Ear

EACH = 12
WRONG = {0: 1, 4: 2}
"""Image to the class whose folder it is in by mistake."""


def pictures() -> tuple[list[NDArray[np.uint8]], list[int]]:
    """Spots of three colours at many places and levels; those of ``WRONG`` are in another colour's folder."""
    shown = [number % 3 for number in range(3 * EACH)]
    drawn = [spotted(colour, (2 + number % 11, 2 + (5 * number) % 12), 255 - number) for number, colour in enumerate(shown)]
    return drawn, [WRONG.get(number, colour) for number, colour in enumerate(shown)]


@pytest.fixture(autouse=True)
def apart(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Call no images near-duplicates: small spots on black look alike."""
    if "alike" not in request.node.name:
        monkeypatch.setattr(fingerprints, "near_groups", lambda *_: [])


@pytest.fixture
def networks(tmp_path: Path) -> BuiltNetworks:
    """The manifest lists each image once: the first 6 are the test images, the rest train, calibrate and validate."""
    drawn, labels = pictures()
    made = BuiltNetworks(tmp_path, drawn, labels)
    manifest = DataManifest.model_validate_json(made.manifest.read_bytes())
    entries = list({image.path: image for image in manifest.images}.values())
    roles = ["validation"] * 6 + ["train"] * 20 + ["calibration"] * 4 + ["test"] * 6
    images = tuple(entry.model_copy(update={"role": role}) for entry, role in zip(entries, roles, strict=True))
    made.manifest.write_text(manifest.model_copy(update={"images": images}).model_dump_json(by_alias=True))
    return made


def doubted(networks: BuiltNetworks, build: Path, *, with_test: bool = False) -> DoubtFound:
    return label_doubt(build, DoubtRequest(build / "doubt", with_test), networks.store, Quiet())


def refused(networks: BuiltNetworks, build: Path, out: Path | None = None) -> EdgecnnError:
    with pytest.raises(EdgecnnError) as caught:
        label_doubt(build, DoubtRequest(out or build / "doubt"), networks.store, Quiet())
    return caught.value


def wrong_file(number: int) -> str:
    return f"{COLOURS[WRONG[number]]}/{number}.png"


def test_images_in_the_wrong_folder_are_named_with_their_class(networks: BuiltNetworks) -> None:
    found = doubted(networks, networks.build("a")).facts
    assert {(each.file, each.label, each.suggested) for each in found.doubted} == {
        (wrong_file(number), COLOURS[WRONG[number]], COLOURS[number % 3]) for number in WRONG
    }
    assert all(each.suggested_probability > each.label_probability for each in found.doubted)
    examples = {(pair.label, pair.predicted): pair.examples[0] for pair in found.pairs}
    assert all(examples[COLOURS[WRONG[number]], COLOURS[number % 3]] == wrong_file(number) for number in WRONG)


def test_test_images_are_judged_on_request_alone(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    found = doubted(networks, build).facts
    assert ("test" not in found.roles, found.images) == (True, 30)
    found = doubted(networks, build, with_test=True).facts
    assert ("test" in found.roles, found.images) == (True, 36)


def test_the_list_has_every_image_and_is_read_as_data(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    before = {path: path.read_bytes() for path in networks.photos.rglob("*.png")}
    doubted(networks, build)
    with (build / "doubt" / LIST).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["path"] for row in rows[:2]} == {wrong_file(number) for number in WRONG}, "the doubted ones come first"
    assert len(rows) == 36 and sum(row["split"] == "test" for row in rows) == 6
    choice = DataChoice(path=str(build / "doubt" / LIST), image_root=str(networks.photos), label_column="label")
    listed, _ = read_files(list_files(choice, networks.store.root, Quiet()), networks.store.root, Quiet())
    assert {image.path for image in listed.images} == {row["path"] for row in rows}
    assert before == {path: path.read_bytes() for path in networks.photos.rglob("*.png")}


def test_an_edited_list_is_not_overwritten(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    doubted(networks, build)
    doubted(networks, build)
    with (build / "doubt" / LIST).open("a") as file:
        file.write("red/99.png,red,train,\n")
    assert LIST_EDITED.made(refused(networks, build))


def test_features_are_computed_once(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    doubted(networks, build)
    ear = Ear()
    label_doubt(build, DoubtRequest(build / "doubt"), networks.store, ear)
    assert "compute features" not in {what for what, *_ in ear.steps}


def test_classes_say_what_more_images_bring(networks: BuiltNetworks) -> None:
    found = doubted(networks, networks.build("a")).facts
    assert {each.name for each in found.classes} == set(COLOURS) and not found.not_judged
    for outlook in found.classes:
        assert outlook.recall is not None
        room = 100 * (1 - outlook.recall.estimate)
        assert (outlook.gain_pp is None) == (room == 0)
        if outlook.gain_pp is not None:
            assert 0 <= outlook.gain_pp.low <= outlook.gain_pp.estimate <= outlook.gain_pp.high <= room
    assert found.top1_at_twice.confidence == 0.9


def test_a_class_with_two_images_is_not_judged(tmp_path: Path) -> None:
    drawn, labels = pictures()
    kept = [number for number, label in enumerate(labels) if label != 2] + [
        number for number, label in enumerate(labels) if label == 2
    ][:2]
    networks = BuiltNetworks(tmp_path, [drawn[number] for number in kept], [labels[number] for number in kept])
    found = doubted(networks, networks.build("a")).facts
    assert found.not_judged == ("blue",)
    assert all(each.label != "blue" for each in found.doubted)
    (blue,) = (each for each in found.classes if each.name == "blue")
    assert (blue.images, blue.recall, blue.gain_pp) == (2, None, None)


def test_a_class_of_one_group_is_not_judged_and_groups_widen_a_recall(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    single = {row.name: row.recall for row in doubted(networks, build).facts.classes}
    manifest = DataManifest.model_validate_json(networks.manifest.read_bytes())
    groups = {
        image.path: "one" if image.label == 2 else f"{image.path[:3]}{number // 6}"
        for number, image in enumerate(manifest.images)
    }
    images = tuple(image.model_copy(update={"group": groups[image.path]}) for image in manifest.images)
    networks.manifest.write_text(manifest.model_copy(update={"images": images}).model_dump_json(by_alias=True))
    facts = doubted(networks, build).facts
    rows = {row.name: row for row in facts.classes}
    assert facts.not_judged == (COLOURS[2],) and all(row.label != COLOURS[2] for row in facts.doubted)
    assert (rows[COLOURS[2]].recall, rows[COLOURS[2]].gain_pp) == (None, None)
    for colour in COLOURS[:2]:
        before, after = single[colour], rows[colour].recall
        assert before is not None and after is not None and after.high - after.low > before.high - before.low


def test_images_that_look_alike_in_two_classes_are_shown(tmp_path: Path) -> None:
    drawn, labels = pictures()
    twin = drawn[3].copy()
    twin[0, 0] = 1
    networks = BuiltNetworks(tmp_path, [*drawn, twin], [*labels, 2])
    found = doubted(networks, networks.build("a")).facts
    assert any(set(group.paths) >= {"red/3.png", f"blue/{len(drawn)}.png"} for group in found.near)


def test_the_page_holds_the_pictures_and_loads_nothing(networks: BuiltNetworks) -> None:
    found = doubted(networks, networks.build("a"))
    page = doubt_page(found.facts, found.thumbnails, "doubt")
    assert all(f'alt="{wrong_file(number)}" src="data:image/jpeg;base64,' in page for number in WRONG)
    assert 'src="http' not in page


def test_images_that_are_gone_are_named(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    shutil.rmtree(networks.photos)
    assert IMAGE_GONE.made(refused(networks, build))


def test_a_network_that_is_gone_is_named(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    shutil.rmtree(networks.store.root / "artifacts")
    assert NETWORK_GONE.made(refused(networks, build))


def test_a_model_of_one_layer_has_no_features(networks: BuiltNetworks) -> None:
    model = planted()
    del model.graph.node[:4]
    model.graph.node[0].input[0] = "image"
    onnx.checker.check_model(model)
    assert NO_FEATURES.made(refused(networks, networks.build("a", model)))


def test_results_never_go_between_the_images(networks: BuiltNetworks) -> None:
    error = refused(networks, networks.build("a"), networks.photos / "doubt")
    assert OUTPUT_INSIDE_DATA.made(error) and not (networks.photos / "doubt").exists()


def _changed(build: Path, **data: object) -> None:
    plan = json.loads((build / "plan.json").read_text())
    resolved = Resolved.model_validate(plan["resolved"])
    changed = resolved.model_copy(update={"data": resolved.data.model_copy(update=data)})
    plan["resolved"] = changed.model_dump(mode="json", by_alias=True)
    (build / "plan.json").write_text(json.dumps(plan))


def test_several_labels_an_image_are_refused(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    _changed(build, multi_label=True)
    assert MULTI_LABEL_NOT_FITTING.made(refused(networks, build))


def test_images_without_labels_are_refused(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    manifest = DataManifest.model_validate_json(networks.manifest.read_bytes())
    images = tuple(image.model_copy(update={"label": -1}) for image in manifest.images)
    networks.manifest.write_text(manifest.model_copy(update={"images": images}).model_dump_json(by_alias=True))
    assert NO_LABELS_TO_DOUBT.made(refused(networks, build))


def test_images_that_are_all_of_one_group_are_refused(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    manifest = DataManifest.model_validate_json(networks.manifest.read_bytes())
    images = tuple(image.model_copy(update={"group": "one"}) for image in manifest.images)
    networks.manifest.write_text(manifest.model_copy(update={"images": images}).model_dump_json(by_alias=True))
    assert NO_LABELS_TO_DOUBT.made(refused(networks, build))


CALLED = "edgecnn build mine.toml --arch mobilenet-v3-small --target cpu --data photos --group-by person --out a"


def _called(build: Path, command: str) -> None:
    report = json.loads((build / "report.json").read_text())
    report["build"].pop("called", None)
    report["build"]["command"] = command
    (build / "report.json").write_text(json.dumps(report))


def options_of(found: DoubtFound) -> tuple[list[str], dict[str, str]]:
    """The words of the command for the corrected list that stand alone, and its options."""
    words = shlex.split(found.facts.build_command or "")
    options = dict(zip(words, words[1:], strict=False))
    named = {name: value for name, value in options.items() if name.startswith("--")}
    return [word for word in words if word not in named and word not in named.values()], named


def test_the_corrected_list_is_built_as_the_build_was(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    _called(build, f"{CALLED} --set train.epochs=3 --path-suffix .png --label-column person --max drop_pp=2")
    found = doubted(networks, build)
    alone, options = options_of(found)
    assert alone == ["edgecnn", "build", "mine.toml"]
    assert options == {
        "--arch": "mobilenet-v3-small",
        "--target": "cpu",
        "--set": "train.epochs=3",
        "--data": str(build / "doubt" / LIST),
        "--image-root": str(networks.photos),
        "--label-column": "label",
        "--out": f"{build}-corrected",
    }
    command = found.facts.build_command
    assert command is not None and any(line.endswith(command) for line in doubt_next_lines(found.facts, "doubt"))


def test_a_build_that_no_command_made_is_named_by_its_network_and_device(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    _called(build, "")
    _, options = options_of(doubted(networks, build))
    assert (options["--arch"], options["--target"], options["--out"]) == ("a", "cpu", f"{build}-corrected")


def test_groups_of_the_list_are_groups_of_the_corrected_build(networks: BuiltNetworks) -> None:
    manifest = DataManifest.model_validate_json(networks.manifest.read_bytes())
    images = tuple(image.model_copy(update={"group": f"p{max(number, 1)}"}) for number, image in enumerate(manifest.images))
    networks.manifest.write_text(manifest.model_copy(update={"images": images}).model_dump_json(by_alias=True))
    build = networks.build("a")
    _called(build, CALLED)
    _, options = options_of(doubted(networks, build))
    assert options["--group-by"] == "group"
    assert (build / "doubt" / LIST).read_text().startswith("path,label,split,group,suggested\n")


def test_the_list_of_a_build_with_folds_states_no_splits(networks: BuiltNetworks) -> None:
    build = networks.build("a", recipe=a_recipe(folds=5))
    doubted(networks, build)
    assert (build / "doubt" / LIST).read_text().startswith("path,label,suggested\n")


@pytest.mark.parametrize(("transfer", "warned"), [("all", True), ("scratch", True), ("head", False), ("auto", False)])
def test_features_that_were_trained_on_the_labels_are_named(networks: BuiltNetworks, transfer: str, warned: bool) -> None:
    found = doubted(networks, networks.build("a", recipe=a_recipe(transfer=transfer, epochs=2))).facts
    assert found.features_trained is warned
    assert any("--transfer head" in line for line in doubt_lines(found)) is warned


def a_recipe(**train: object) -> Recipe:
    recipe = resolved().recipe
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=train)})


@pytest.mark.parametrize(
    ("low", "high", "weakness"),
    [(0.05, 0.2, "at-chance"), (0.2, 0.4, "weak"), (0.5, 0.6, None)],
)
def test_a_network_that_is_too_weak_to_doubt_labels_is_warned_about_first(low: float, high: float, weakness: str | None) -> None:
    top1 = Interval(estimate=(low + high) / 2, low=low, high=high, confidence=0.95)
    doubt = LabelDoubt(
        build="b", network="n", root="r", roles=("train",), images=200, folds=5, top1=top1, top1_at_twice=top1, more_images=100,
        doubted=(), classes=(), not_judged=(), pairs=(), near=(), excluded=(), list_file=None, list_sha256=None, chance_top1=0.1,
    )  # fmt: skip
    assert doubt.weakness == weakness
    assert (doubt_lines(doubt)[0].startswith("WARNING: ")) is (weakness is not None)
    assert doubt.model_copy(update={"chance_top1": None}).weakness is None, "an older file"
