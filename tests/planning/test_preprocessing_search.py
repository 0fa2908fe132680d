"""How a custom model wants its photographs, found by what it gets right: a wrong way must lose, and a tie must be said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image
from pydantic import ValidationError

from edgecnn.data.images import ImageSource, open_source
from edgecnn.data.manifest import summarize
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import (
    ANSWERS_ALIKE,
    ANSWERS_NOT_FINITE,
    PREPROCESSING_HALF_GIVEN,
    UNKNOWN_PREPROCESSING,
)
from edgecnn.graph.custom.onnx_entry import read_entry
from edgecnn.models.preprocessings import USUAL
from edgecnn.planning.preprocessing_search import (
    CustomFile,
    FoundPreprocessing,
    _best_way,
    _chance_not_beaten,
    _normalization_names,
    _ways,
    find_preprocessing,
)
from edgecnn.planning.stated_preprocessing import stated_for
from edgecnn.render.progress import Quiet
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.custom_model import CustomModel
from edgecnn.values.preprocessing import Normalization, PreprocessingChoice
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Key
from tests.graph.custom_files import CLASSES, classifier, feeding_named, grey_model, photo_folder, pictures


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> ImageSource:
    folder = tmp_path_factory.mktemp("custom")
    choice = DataChoice(path=str(photo_folder(folder / "photos")), validation_share=0.45, train=False)
    summary = summarize(choice, folder / "store", Quiet())
    assert summary.counts["train"] == 0
    return open_source(Path(summary.manifest_path))


def settled(model: onnx.ModelProto, photos: ImageSource, folder: Path, **choice: object) -> FoundPreprocessing:
    path = folder / "mine.onnx"
    onnx.save(model, path)
    custom = CustomFile(path=path, entry=read_entry(model, path), stated=stated_for(path))
    return find_preprocessing(custom, PreprocessingChoice.model_validate(choice), photos, Quiet())


@pytest.mark.parametrize("like", USUAL)
def test_each_usual_way_is_found_by_accuracy(like: str, photos: ImageSource, tmp_path: Path) -> None:
    found = settled(classifier(like), photos, tmp_path)
    assert found.feeding.name == like and found.stated_by == "search" and like not in found.rivals
    assert found.trials[0].right == found.trials[0].images == 72
    assert len(found.trials) == 2 * len(USUAL)


def several(folder: Path) -> ImageSource:
    """The same pictures in a list, each with its own class and the next one."""
    made = photo_folder(folder / "photos")
    names, rows = sorted(each.name for each in made.iterdir()), ["path,labels"]
    for path in sorted(made.rglob("*.png")):
        own = names.index(path.parent.name)
        shown = sorted((f"l{own}", f"l{(own + 1) % len(names)}"))
        rows.append(f"photos/{path.relative_to(made)},{'|'.join(shown)}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    choice = DataChoice(path=str(folder / "list.csv"), validation_share=0.45, train=False)
    return open_source(Path(summarize(choice, folder / "store", Quiet()).manifest_path))


def test_of_several_labels_the_first_answer_must_be_one_of_them(tmp_path: Path) -> None:
    found = settled(classifier("imagenet"), several(tmp_path), tmp_path)
    assert (found.feeding.name, found.stated_by) == ("imagenet", "search")
    assert found.trials[0].right == found.trials[0].images > found.trials[-1].right


def test_a_network_that_needs_all_of_the_picture_is_given_it(tmp_path: Path) -> None:
    """Only the outer thirds of each picture show its class."""
    pixels, labels = pictures(160)
    for number, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        wide = np.concatenate([picture, np.full_like(picture, 51), picture], axis=1)
        place = tmp_path / "photos" / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(wide).save(place / f"{number:04}.png")
    summary = summarize(DataChoice(path=str(tmp_path / "photos"), validation_share=0.45, train=False), tmp_path, Quiet())
    source = open_source(Path(summary.manifest_path))
    found = settled(classifier("unit"), source, tmp_path)
    assert (found.feeding.name, found.feeding.pixels.resize, found.feeding.pixels.resize_px) == ("unit", "stretch", (32, 32))
    assert found.trials[0].right == found.trials[0].images
    assert len(found.trials) == len(USUAL) * 3, "the middle alone is the same picture with a border as without"
    asked = settled(classifier("unit", size=(16, 48)), source, tmp_path)
    assert asked.feeding.pixels.resize == "crop" and asked.trials[0].right == asked.trials[0].images, (
        "of its own shape none is cut"
    )
    stated = settled(classifier("unit"), source, tmp_path, resize="letterbox", fill=(51, 51, 51), like="unit")
    assert (stated.feeding.pixels.resize, stated.feeding.pixels.fill, len(stated.trials)) == ("letterbox", (51, 51, 51), 1)


def test_a_network_of_grey_is_tried_with_one_scale_for_all_colours(photos: ImageSource, tmp_path: Path) -> None:
    model = grey_model()
    entry = read_entry(model, tmp_path / "mine.onnx")
    assert {way.channels for way in _ways("half", entry, PreprocessingChoice())} == {"grey"}
    assert _normalization_names(CustomFile(tmp_path / "mine.onnx", entry, None), PreprocessingChoice()) == (
        "half",
        "unit",
        "bytes",
    )


def test_a_model_of_bytes_is_tried_in_both_orders_alone(photos: ImageSource, tmp_path: Path) -> None:
    found = settled(classifier("bytes", layout="NHWC", dtype="uint8"), photos, tmp_path)
    assert found.feeding.name == "bytes"
    assert {trial.feeding.name for trial in found.trials} == {"bytes", "bytes-bgr"}


def test_what_these_images_cannot_tell_apart_is_named(photos: ImageSource, tmp_path: Path) -> None:
    """Blue as strong as red: the order of the channels makes no difference to it."""
    model = classifier("bytes")
    weights = next(each for each in model.graph.initializer if each.name == "fc.w")
    level = numpy_helper.to_array(weights).mean(axis=1, keepdims=True).repeat(3, axis=1)
    weights.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(level), "fc.w"))
    found = settled(model, photos, tmp_path)
    assert found.feeding.name == "bytes" and found.rivals == ("bytes-bgr",)


@pytest.mark.parametrize(("more", "taken"), [(2, "bytes"), (12, "bytes-bgr")])
def test_blue_comes_first_only_where_chance_does_not_explain_it(more: int, taken: str, tmp_path: Path) -> None:
    model = classifier("bytes", layout="NHWC", dtype="uint8")
    custom = CustomFile(path=tmp_path / "mine.onnx", entry=read_entry(model, tmp_path / "mine.onnx"), stated=None)
    red, blue = (_ways(name, custom.entry, PreprocessingChoice())[0] for name in ("bytes", "bytes-bgr"))
    often = np.arange(100) < 80
    found = _best_way([red, blue], [often, np.arange(100) < 80 + more])
    assert (red, blue)[found.chosen].name == taken and found.rivals == (("bytes-bgr",) if taken == "bytes" else ())
    assert [trial.right for trial in found.trials] == [80 + more, 80]


def test_the_best_of_many_ways_is_held_to_more_than_the_best_of_two() -> None:
    """6 images to 0 have p = 1/64 by chance: enough for one comparison, and not for the best of nine (0.05 / 8)."""
    ways = [feeding_named(name) for name in USUAL]
    often = [np.arange(100) < 80 + 6 * (number == 0) for number in range(len(ways))]
    two, nine = _best_way(ways[:2], often[:2]), _best_way(ways, often)
    assert (two.rivals, nine.rivals) == ((), tuple(USUAL)[1:])
    nine = _best_way(ways, [np.arange(100) < 80 + 8 * (number == 0) for number in range(len(ways))])
    assert nine.rivals == (), "8 to 0 have p = 1/256"


@pytest.mark.parametrize("images", [12, 20])
def test_a_way_that_is_better_in_a_single_test_is_not_given_up_for_a_commoner_one(images: int, tmp_path: Path) -> None:
    """8 images to 0 are too few against 0.05 / 35, and too many to prefer the order of most networks."""
    entry = read_entry(classifier(), tmp_path / "mine.onnx")
    ways = [way for name in USUAL for way in _ways(name, entry, PreprocessingChoice())]
    best = next(number for number, way in enumerate(ways) if way.name == "imagenet-bgr")
    right = [np.arange(images) < images - 8 * (number != best) for number in range(len(ways))]
    found = _best_way(ways, right)
    assert found.chosen == best and "imagenet" in found.rivals
    few = [np.arange(images) < images - 3 * (number != best) for number in range(len(ways))]
    assert ways[_best_way(ways, few).chosen].name == "imagenet", "3 to 0 have p = 1/8"


def test_chance_is_held_against_the_chosen_way_alone() -> None:
    chosen = np.arange(12) < 4
    assert _chance_not_beaten(chosen, 36, 1 / 3) == 1 / 3
    assert _chance_not_beaten(np.ones(12, bool), 36, 1 / 3) is None


def test_the_files_own_word_is_taken_and_held_against_images(photos: ImageSource, tmp_path: Path) -> None:
    model = classifier("half")
    order = {"Image.BitmapPixelFormat": "Rgb8"}
    onnx.helper.set_model_props(model, {"Image.NominalPixelRange": "Normalized_1_1", **order})
    found = settled(model, photos, tmp_path)
    assert (found.feeding.name, found.stated_by) == ("half", "file") and found.trials[0].right == 72


def test_both_orders_are_tried_of_a_mean_in_metadata(photos: ImageSource, tmp_path: Path) -> None:
    model = classifier("half-bgr")
    onnx.helper.set_model_props(model, {"mean": "[0.5, 0.5, 0.5]", "std": "[0.5, 0.5, 0.5]"})
    found = settled(model, photos, tmp_path)
    assert (found.feeding.name, found.stated_by) == ("given-bgr", "file") and found.trials[0].right == 72


def test_a_recipes_numbers_are_taken(photos: ImageSource, tmp_path: Path) -> None:
    own: dict[str, object] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "resize_px": 40}
    found = settled(classifier("half"), photos, tmp_path, channels="rgb", **own)
    assert (found.feeding.name, found.stated_by, len(found.trials)) == ("given", "recipe", 1)
    assert found.feeding.pixels.resize_px == ImageSize.square(40)


@pytest.mark.parametrize(("like", "name", "channels"), [("half", "given", "rgb"), ("half-bgr", "given-bgr", "bgr")])
def test_numbers_without_an_order_are_tried_in_both(
    like: str, name: str, channels: str, photos: ImageSource, tmp_path: Path
) -> None:
    own: dict[str, object] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "resize_px": 40}
    found = settled(classifier(like), photos, tmp_path, **own)
    assert (found.feeding.name, found.feeding.channels, len(found.trials)) == (name, channels, 2)
    other = found.trials[1]
    assert other.right < found.trials[0].right == 72
    assert described(found, classifier(like)).endswith(
        f"as the recipe states: right on 72 of 72 images; best other {other.feeding.name}: {other.right}"
    )


@pytest.mark.parametrize("stated", [{}, {"like": "imagenet", "resize": "stretch"}], ids=["searched", "stated"])
def test_a_model_at_chance_level_is_told_so_stated_or_searched(
    stated: dict[str, object], photos: ImageSource, tmp_path: Path
) -> None:
    """Its build never passes: see ``judging.judgement.not_learned``."""
    model = classifier("imagenet")
    weights = next(each for each in model.graph.initializer if each.name == "fc.w")
    weights.CopyFrom(numpy_helper.from_array(np.full((4, 3), 1e-6, np.float32), "fc.w"))
    found = settled(model, photos, tmp_path, **stated)
    assert found.at_chance == 0.25 and found.feeding.channels == "rgb"
    assert described(found, model).endswith(
        "NOT SHOWN TO BEAT CHANCE (always predicting the most frequent class is right on 18): check the order of the classes "
        "(data.classes) and [preprocessing]"
    )


def described(found: FoundPreprocessing, model: onnx.ModelProto) -> str:
    known = {name: value for name, value in vars(found).items() if name != "answers"}
    entry = read_entry(model, Path("mine.onnx"))
    return CustomModel(path="mine.onnx", content=Key("0" * 64), entry=entry, parameters=1, **known).why


def test_a_model_that_answers_everything_alike_is_told_so_and_not_of_folders(photos: ImageSource, tmp_path: Path) -> None:
    model = classifier("imagenet")
    weights = next(each for each in model.graph.initializer if each.name == "fc.w")
    weights.CopyFrom(numpy_helper.from_array(np.zeros((4, 3), np.float32), "fc.w"))
    for choice in ({}, {"like": "imagenet"}):
        with pytest.raises(EdgecnnError, check=ANSWERS_ALIKE.made):
            settled(model, photos, tmp_path, **choice)


def test_a_model_whose_own_answers_are_no_numbers_is_told_so(photos: ImageSource, tmp_path: Path) -> None:
    model = classifier("imagenet")
    weights = next(each for each in model.graph.initializer if each.name == "fc.b")
    weights.CopyFrom(numpy_helper.from_array(np.full(4, np.nan, np.float32), "fc.b"))
    with pytest.raises(EdgecnnError, check=ANSWERS_NOT_FINITE.made) as refusal:
        settled(model, photos, tmp_path)
    assert (refusal.value.fields["bad"], refusal.value.fields["images"]) == (72, 72)


def test_half_a_statement_and_an_unknown_name_are_refused(photos: ImageSource, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=PREPROCESSING_HALF_GIVEN.made) as refusal:
        settled(classifier(), photos, tmp_path, mean=(0, 0, 0))
    assert refusal.value.fields == {"missing": "std"}
    with pytest.raises(EdgecnnError, match="did you mean imagenet", check=UNKNOWN_PREPROCESSING.made):
        settled(classifier(), photos, tmp_path, like="imagent")


def test_a_line_is_tried_of_an_input_that_is_wide(photos: ImageSource, tmp_path: Path) -> None:
    for size, tried in (((16, 64), {"crop", "letterbox", "stretch", "line"}), ((16, 31), {"crop", "letterbox", "stretch"})):
        found = settled(classifier("unit", size=size), photos, tmp_path)
        assert {trial.feeding.pixels.resize for trial in found.trials} == tried
        assert found.feeding.pixels.resize == "crop", "what few networks want is not taken by chance"
    line = settled(classifier("unit", size=(16, 64)), photos, tmp_path, resize="line").feeding.pixels
    assert (line.resize, line.fill) == ("line", (0, 0, 0))


@pytest.mark.parametrize(
    ("asked", "ref", "fields"),
    [
        ({"channels": "bgr"}, "colours-of-grey", {"setting": "preprocessing.channels"}),
        ({"like": "caffe"}, "colours-of-grey", {"setting": "preprocessing.like=caffe"}),
        ({"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.2)}, "grey-numbers-differ", {}),
    ],
)
def test_a_network_of_grey_is_asked_for_no_colours(
    asked: dict[str, Any], ref: str, fields: dict[str, str], photos: ImageSource, tmp_path: Path
) -> None:
    with pytest.raises(EdgecnnError) as refusal:
        settled(grey_model(), photos, tmp_path, **asked)
    assert (refusal.value.ref, refusal.value.fields) == (ref, fields)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"fill": (1, 2, 3), "resize": "stretch"}, "letterbox and line, .*resize = 'stretch' has no border"),
        ({"fill": (1, 2, 3), "resize_px": 40}, "resize = 'crop' has no border"),
        ({"resize": "letterbox", "resize_px": 40}, "resize_px applies to resize = 'crop', and resize is 'letterbox'"),
    ],
)
def test_what_goes_with_no_such_resize_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        PreprocessingChoice.model_validate(asked)


def test_a_short_side_before_the_crop_keeps_the_inputs_shape() -> None:
    grey = Normalization(mean=(0.5, 0.5, 0.5), std=(1, 1, 1))
    made = PreprocessingChoice(resize_px=ImageSize.square(64)).shaped(ImageSize(48, 192), ImageSize(48, 192), grey, "bilinear")
    assert (made.resize_px, made.crop_px, made.fill) == (ImageSize(64, 256), ImageSize(48, 192), (0, 0, 0))
    assert made.describe() == "scaled to cover 64x256, crop 48x192, bilinear"
    boxed = PreprocessingChoice(resize="letterbox").shaped(ImageSize(48, 192), ImageSize(56, 224), grey, "bicubic")
    assert boxed.describe() == "scaled to fit into 48x192 with a border of 128, 128, 128, bicubic"
    line = PreprocessingChoice(resize="line").shaped(ImageSize(48, 192), ImageSize(56, 224), grey, "bilinear")
    assert line.describe() == "scaled to the height of 48x192 with a border of 128, 128, 128 to its right, bilinear"


@pytest.mark.parametrize(("groups", "rivals"), [(None, ()), (np.repeat(np.arange(4), 5), ("imagenet-bgr",))])
def test_frames_of_a_video_do_not_tell_two_ways_apart_as_many_images_would(groups: Any, rivals: tuple[str, ...]) -> None:
    entry = read_entry(classifier("imagenet"), Path("mine.onnx"))
    red, blue = (_ways(name, entry, PreprocessingChoice(resize="crop"))[0] for name in ("imagenet", "imagenet-bgr"))
    right = [np.ones(20, bool), np.zeros(20, bool)]
    found = _best_way([red, blue], right, groups)
    assert (found.chosen, found.rivals) == (0, rivals), "20 images to none tell, and 4 videos to none do not"
    assert _chance_not_beaten(right[0], 2, 1 / 2, groups) == (None if groups is None else 1 / 2)
