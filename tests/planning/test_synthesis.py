"""Composed training images in a plan, a recipe and a build: who is given them, what does not go with them, what is reported."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from edgecnn.comparing.pin import pin_of, rebuild_command
from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import DATA_TRAIN_STATED
from edgecnn.errors.data import CLASSES_WITHOUT_CUTOUTS, SYNTHESIS_INCOMPLETE, SYNTHESIS_NOT_FITTING
from edgecnn.planning.complete import CompletedRecipe, complete_recipe
from edgecnn.planning.custom_model import check_custom
from edgecnn.planning.plan import Plan, plan
from edgecnn.planning.recipe import apply_overrides, load_recipe
from edgecnn.planning.request import BuildRequest
from edgecnn.store.store import Store
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.recipe import Recipe
from edgecnn.values.resolved import Resolved
from edgecnn.values.stage import Key
from edgecnn.values.synthesis import Synthesis
from tests.building.builds import Place
from tests.building.resolutions import DATA, resolved, summary
from tests.data.cutouts import backgrounds, cutouts, shapes
from tests.data.folders import Heard
from tests.planning.test_teaching import teacher

CUT, UNDER = Key("1" * 64), Key("2" * 64)
FILE = WeightsAnswer(choice="w.pth", kind="file", sha256="f" * 64, path="/w.pth", why="yours")


def asking(*overrides: str, **changes: Any) -> Resolved:
    """Ten classes of 20 pictures each."""
    folders = ("synthesis.cutouts=/cut", "synthesis.backgrounds=/under", "synthesis.size_px=64", "synthesis.images_per_class=20")
    recipe = apply_overrides(resolved().asked, [*folders, *overrides])
    found = Synthesis(
        cutouts=summary().model_copy(update={"content": CUT}),
        backgrounds=summary().model_copy(update={"content": UNDER}),
        class_names=tuple("abcdefghij"),
        images=200,
    )
    return resolved(recipe, **{"synthesis": found, **changes})


def roles_of(laid: Plan, step_id: str) -> set[str]:
    step = laid.step(step_id)
    assert step is not None
    return set(step.stage.inputs)


def test_every_training_is_given_them_and_nothing_that_judges_or_calibrates() -> None:
    laid = plan(asking(teacher=teacher("resnet-50", weights=FILE)))
    made = laid.step("synthesize")
    assert made is not None and dict(made.stage.inputs) == {"cutouts": CUT, "backgrounds": UNDER}
    given = {step.id for step in laid.steps if made.key in step.stage.inputs.values()}
    assert given == {"train", "train:teacher"}
    assert laid.step("prepare") == plan(resolved()).step("prepare"), "what judges is what it was"
    assert laid.step("prepare").stage.inputs == {"images": DATA}  # type: ignore[union-attr]


def test_the_transfer_is_measured_on_photographs() -> None:
    laid = plan(asking("train.transfer=auto", mode="finetune", weights=FILE))
    assert "made" in roles_of(laid, "train") and "made" not in roles_of(laid, "transfer")


def test_alone_they_take_the_place_of_the_photographs() -> None:
    alone = asking("data.train=false")
    assert roles_of(plan(alone), "train") == {"made", "pixels"}
    assert (alone.training_images, asking().training_images, resolved().training_images) == (200, 4200, 4000)


def test_who_asks_for_none_has_the_keys_of_before() -> None:
    assert {step.id for step in plan(asking()).steps} - {step.id for step in plan(resolved()).steps} == {"synthesize"}
    assert roles_of(plan(resolved()), "train") == {"images", "pixels"}


def folders_in(place: Path) -> tuple[str, ...]:
    cutouts(place / "cut")
    backgrounds(place / "under")
    shapes(place / "photos", per_class=12)
    return tuple(
        f"{key}={place / name}"
        for key, name in (("data.path", "photos"), ("synthesis.cutouts", "cut"), ("synthesis.backgrounds", "under"))
    )


def settled(place: Path, *overrides: str) -> CompletedRecipe:
    recipe = apply_overrides(Recipe(), ["model.arch=mobilenet-v3-small", "model.weights=none", *overrides])
    request = BuildRequest(recipe=recipe, device=device_named("cpu"), out=place / "out")
    return complete_recipe(request, Store.open(place / "store"), Heard())


def test_what_is_unset_is_filled_in_visibly(tmp_path: Path) -> None:
    words = folders_in(tmp_path)
    assert settled(tmp_path, *words).recipe.synthesis.size_px == 256, "what training keeps of a network of 224 px"
    assert settled(tmp_path, *words, "synthesis.size_px=64").recipe.synthesis.size_px == 64
    assert settled(tmp_path).recipe.synthesis.size_px is None
    few = settled(tmp_path, *words, "synthesis.images_per_class=1").recipe.train.epochs
    many = settled(tmp_path, *words, "synthesis.images_per_class=20000").recipe.train.epochs
    assert few is not None and many is not None and few > many, "epochs follow from all images that train"


@pytest.mark.parametrize(
    ("overrides", "beside"),
    [
        (("model.onnx=/m.onnx",), "--model: nothing is trained"),
        (("model.keep_head=true",), "--keep-head: nothing is trained"),
        (("data.train=false", "synthesis.classes=some"), "synthesis.classes = some and data.train = false: a class without"),
        (("data.train=false", "train.transfer=auto"), "--transfer auto and data.train = false: auto counts photographs"),
    ],
)
def test_contradictions_are_refused_before_anything_is_read(overrides: tuple[str, ...], beside: str, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, match=beside, check=SYNTHESIS_NOT_FITTING.made):
        settled(tmp_path, "synthesis.cutouts=/none", "synthesis.backgrounds=/none", *overrides)


def test_one_folder_of_the_two_is_no_synthesis(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, match=r"synthesis\.backgrounds is not", check=SYNTHESIS_INCOMPLETE.made):
        settled(tmp_path, "synthesis.cutouts=/none")
    with pytest.raises(EdgecnnError, match=r"synthesis\.cutouts is not", check=SYNTHESIS_INCOMPLETE.made):
        settled(tmp_path, "synthesis.backgrounds=/none")
    with pytest.raises(EdgecnnError, check=SYNTHESIS_INCOMPLETE.made) as refusal:
        settled(tmp_path, "synthesis.images_per_class=500")
    assert refusal.value.fields == {"stated": "images_per_class", "missing": "cutouts"}


def test_photographs_may_be_kept_out_of_training_only_where_something_is_composed(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=DATA_TRAIN_STATED.made):
        check_custom(apply_overrides(Recipe(), ["data.train=false"]), "judge", tmp_path)
    folders = ["synthesis.cutouts=/c", "synthesis.backgrounds=/b"]
    check_custom(apply_overrides(Recipe(), ["data.train=false", *folders]), "judge", tmp_path)


def test_alone_every_class_needs_cut_outs(tmp_path: Path) -> None:
    words = folders_in(tmp_path)
    for file in (tmp_path / "cut" / "square").iterdir():
        file.unlink()
    assert settled(tmp_path, *words, "synthesis.classes=some").synthesis is not None
    with pytest.raises(EdgecnnError, check=CLASSES_WITHOUT_CUTOUTS.made):
        settled(tmp_path, *words, "data.train=false")


def test_relative_folders_in_a_recipe_file_count_from_that_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('schema = "edgecnn.recipe/2"\n[synthesis]\ncutouts = "cut"\nbackgrounds = "/under"\n')
    synthesis = load_recipe(file).synthesis
    assert (synthesis.cutouts, synthesis.backgrounds) == (str(tmp_path / "cut"), "/under")


@pytest.mark.slow  # a whole build
def test_a_pinned_build_is_made_again_from_the_same_folders(composed: Place) -> None:
    pin = pin_of(composed.out, composed.folder / "gates" / "pin.json")
    assert (pin.recipe.synthesis.cutouts, pin.recipe.synthesis.backgrounds) == ("../cut", "../under")
    words = shlex.split(rebuild_command(pin, composed.folder / "gates"))
    again = apply_overrides(Recipe(), [words[at + 1] for at, word in enumerate(words) if word == "--set"])
    assert Path(again.synthesis.cutouts or "").resolve() == (composed.folder / "cut").resolve()
    assert again.data.train is False and again.synthesis.images_per_class == 16


WORDS = (
    "--set", "synthesis.images_per_class=16", "--set", "train.epochs=1",
    "--set", "data.train=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A whole build that composed images alone trained."""
    place = Place(tmp_path_factory.mktemp("composed"))
    words = [word for each in folders_in(place.folder) for word in ("--set", each)]
    done = place.run("build", *WORDS, *words)
    assert done.returncode in (0, 1), done.stderr
    (place.folder / "said.txt").write_text(done.stdout)
    return place


@pytest.mark.slow  # a whole build
def test_the_report_says_how_many_were_composed_and_where_it_is_written_of_what(composed: Place) -> None:
    build = composed.report()["build"]
    facts = build["synthesis"]
    assert (facts["made"], facts["photographs"], facts["cutouts"], facts["backgrounds"]) == (32, 0, 6, 4)
    assert facts["images_per_class"] == {"disc": 16, "square": 16} and build["splits"]["train"] == 0
    assert len(json.loads(Path(facts["provenance"]).read_text())["images"]) == 32
    said = "COMPOSED: 32 of 32 training images (100%) are composed from 6 cut-outs on 4 backgrounds"
    assert said in (composed.folder / "said.txt").read_text()
    (history,) = [json.loads(file.read_text()) for file in composed.store.glob("artifacts/train/*/*/history.json")]
    assert history["made"] == {"made": 32, "photographs": 0}


@pytest.mark.slow  # a whole build
def test_what_judges_and_calibrates_is_photographs_alone(composed: Place) -> None:
    splits = composed.report()["build"]["splits"]
    (pixels,) = composed.store.glob("artifacts/prepare/*/files")
    assert sum(splits.values()) == 24 and len(list(pixels.glob("*.labels.npy"))) == 3
    steps = json.loads((composed.out / "plan.json").read_text())["steps"]
    (made,) = [step["key"] for step in steps if step["kind"] == "synthesize"]
    assert [step["id"] for step in steps if made in step["payload"]["inputs"].values()] == ["train"]
