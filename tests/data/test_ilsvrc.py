"""ImageNet's validation images as the devkit, Kaggle and Caffe hand them out, on a handful of made ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.data.class_names import imagenet_ids
from edgecnn.data.images import FolderImages
from edgecnn.data.manifest import list_files, summarize
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import SPLITS_DIFFER, TABLE_UNUSABLE, NoClassFolders
from edgecnn.render.progress import Quiet
from edgecnn.values.dataset import DataManifest, DataSummary
from edgecnn.values.recipe import DataChoice
from tests.data.folders import fill

SHOWN = {1: 65, 2: 970, 3: 230, 7: 809, 50: 516, 49999: 65}
"""The number of an image to the class that it shows."""


def pictures(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number in SHOWN:
        noise = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"ILSVRC2012_val_{number:08d}.JPEG")


def devkit(place: Path) -> None:
    """Its numbers are not in the order of the WordNet IDs."""
    from scipy.io import savemat

    place.mkdir(parents=True, exist_ok=True)
    ids = imagenet_ids()
    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")]
    rows = [(1000 - place, ids[place], "", "", 0) for place in range(1000)] + [(1001, "n00000000", "", "", 3)]
    savemat(place / "meta.mat", {"synsets": np.array(rows, dtype=kinds)})
    lines = [str(1000 - SHOWN.get(number, 0)) for number in range(1, 50001)]
    (place / "ILSVRC2012_validation_ground_truth.txt").write_text("\n".join(lines) + "\n")


def kaggle(file: Path) -> None:
    ids = imagenet_ids()
    rows = [f"ILSVRC2012_val_{number:08d},{ids[shown]} 1 2 3 4 " for number, shown in SHOWN.items()]
    file.write_text("ImageId,PredictionString\n" + "\n".join(rows) + "\n")


def caffe(file: Path) -> None:
    file.write_text("".join(f"ILSVRC2012_val_{number:08d}.JPEG {shown}\n" for number, shown in SHOWN.items()))


def summed_up(path: Path, tmp_path: Path) -> DataSummary:
    choice = DataChoice(path=str(path), train=False, classes="imagenet", calibration_images=2)
    return summarize(choice, tmp_path / "store", Quiet())


def labels_of(summary: DataSummary) -> dict[int, int]:
    manifest = DataManifest.model_validate_json(Path(summary.manifest_path).read_text("utf-8"))
    return {int(image.path[-13:-5]): image.label for image in manifest.images}


def test_each_way_of_handing_them_out_says_the_same(tmp_path: Path) -> None:
    pictures(tmp_path / "devkit" / "val")
    devkit(tmp_path / "devkit" / "ILSVRC2012_devkit_t12" / "data")
    pictures(tmp_path / "kaggle" / "ILSVRC" / "Data" / "CLS-LOC" / "val")
    kaggle(tmp_path / "kaggle" / "LOC_val_solution.csv")
    pictures(tmp_path / "caffe")
    caffe(tmp_path / "caffe" / "val.txt")
    for named in ("devkit", "devkit/val", "kaggle", "kaggle/ILSVRC/Data/CLS-LOC/val", "caffe"):
        summary = summed_up(tmp_path / named, tmp_path)
        assert labels_of(summary) == SHOWN, named
        assert len(summary.classes) == 1000
        assert summary.counts["train"] == 0
        assert min(summary.counts[role] for role in ("calibration", "validation", "test")) >= 1


def training_images(folder: Path, without: int | None = None) -> None:
    for place in set(SHOWN.values()) - {without}:
        fill(folder, {imagenet_ids()[place]: 4}, start=10 * place)


@pytest.mark.parametrize("above", ["", "ILSVRC/Data/CLS-LOC"])
def test_beside_train_the_images_of_one_folder_are_those_tested(tmp_path: Path, above: str) -> None:
    root = tmp_path / "imagenet"
    pictures(root / above / "val")
    caffe(root / above / "val.txt")
    training_images(root / above / "train")
    (root / above / "test").mkdir()
    summary = summarize(DataChoice(path=str(root), calibration_images=5), tmp_path / "store", Quiet())
    manifest = DataManifest.model_validate_json(Path(summary.manifest_path).read_text("utf-8"))
    by_folder = {image.path.split("/")[0]: image.role for image in manifest.images if image.role in ("train", "test")}
    assert by_folder == {"train": "train", "val": "test"}
    assert (summary.counts["test"], sum(summary.counts.values())) == (len(SHOWN), len(SHOWN) + 20)
    shown = {image.path: imagenet_ids().index(summary.classes[image.label]) for image in manifest.images if image.role == "test"}
    assert shown == {f"val/ILSVRC2012_val_{number:08d}.JPEG": place for number, place in SHOWN.items()}
    assert summary.splits_from.startswith("val/ is test (6)") and summary.splits_from.endswith(": test/")
    assert FolderImages(manifest).bytes_of(next(image for image in manifest.images if image.role == "test"))


def test_where_nothing_is_trained_the_folder_train_is_named_as_unused(tmp_path: Path) -> None:
    pictures(tmp_path / "imagenet" / "val")
    caffe(tmp_path / "imagenet" / "val.txt")
    training_images(tmp_path / "imagenet" / "train")
    summary = summed_up(tmp_path / "imagenet", tmp_path)
    assert labels_of(summary) == SHOWN and summary.splits_from.endswith(": train/")
    assert "not used" not in summed_up(tmp_path / "imagenet" / "val", tmp_path).splits_from


def test_a_folder_train_of_other_things_is_named_as_unused(tmp_path: Path) -> None:
    pictures(tmp_path / "imagenet" / "val")
    caffe(tmp_path / "imagenet" / "val.txt")
    fill(tmp_path / "imagenet" / "train", {"cats": 4, "dogs": 4})
    layout = list_files(DataChoice(path=str(tmp_path / "imagenet")), tmp_path / "store", Quiet()).layout
    assert (layout.parts, layout.ignored) == ({}, ("train",))


def test_training_images_of_other_classes_are_refused(tmp_path: Path) -> None:
    pictures(tmp_path / "val")
    caffe(tmp_path / "val.txt")
    training_images(tmp_path / "train", without=970)
    with pytest.raises(EdgecnnError, check=SPLITS_DIFFER.made) as caught:
        list_files(DataChoice(path=str(tmp_path)), tmp_path / "store", Quiet())
    assert caught.value.ref == "splits-differ"


def test_an_image_that_the_file_says_nothing_of_is_named(tmp_path: Path) -> None:
    pictures(tmp_path / "val")
    (tmp_path / "val.txt").write_text("ILSVRC2012_val_00000001.JPEG 65\n")
    with pytest.raises(EdgecnnError, match=r"it does not list ILSVRC2012_val_00000002\.JPEG", check=TABLE_UNUSABLE.made):
        summed_up(tmp_path, tmp_path)


@pytest.mark.parametrize(
    "text", ["ILSVRC2012_val_00000001.JPEG\n", "ILSVRC2012_val_00000001.JPEG 5000\n", "cat.jpg 3\n", "\0\xff"]
)
def test_a_damaged_file_is_one_line(tmp_path: Path, text: str) -> None:
    pictures(tmp_path / "val")
    (tmp_path / "val.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made):
        summed_up(tmp_path, tmp_path)


def test_a_class_that_is_no_wordnet_id_is_named(tmp_path: Path) -> None:
    pictures(tmp_path / "val")
    kaggle(tmp_path / "LOC_val_solution.csv")
    written = (tmp_path / "LOC_val_solution.csv").read_text()
    (tmp_path / "LOC_val_solution.csv").write_text(written.replace(imagenet_ids()[970], "../../home"))
    with pytest.raises(EdgecnnError, match=r"'\.\./\.\./home' is not a WordNet ID", check=TABLE_UNUSABLE.made):
        summed_up(tmp_path, tmp_path)


def test_a_devkit_without_its_table_is_one_line(tmp_path: Path) -> None:
    pictures(tmp_path / "val")
    devkit(tmp_path / "devkit" / "data")
    (tmp_path / "devkit" / "data" / "meta.mat").write_bytes(b"no table")
    with pytest.raises(
        EdgecnnError, match=r"meta\.mat next to it is missing, or lacks some of its numbers", check=TABLE_UNUSABLE.made
    ):
        summed_up(tmp_path / "val", tmp_path)


def test_blank_lines_at_the_end_of_the_devkits_numbers_are_none(tmp_path: Path) -> None:
    pictures(tmp_path / "val")
    devkit(tmp_path / "devkit" / "data")
    with (tmp_path / "devkit" / "data" / "ILSVRC2012_validation_ground_truth.txt").open("a") as file:
        file.write("\n  \n")
    assert labels_of(summed_up(tmp_path / "val", tmp_path)) == SHOWN


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["1", "", "3"], "line 2 of the list {} cannot be used: it is blank"),
        (["1", "x", "3"], "line 2 of the list {} cannot be used: 'x' is not a number in meta.mat"),
        (
            ["1", "2", "1001"],
            "line 3 of the list {} cannot be used: '1001' is not a number in meta.mat",
        ),
    ],
)
def test_a_line_of_the_devkit_that_is_no_class_is_named(tmp_path: Path, lines: list[str], text: str) -> None:
    pictures(tmp_path / "val")
    devkit(tmp_path / "devkit" / "data")
    truth = tmp_path / "devkit" / "data" / "ILSVRC2012_validation_ground_truth.txt"
    truth.write_text("\n".join(lines) + "\n")
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made) as caught:
        summed_up(tmp_path / "val", tmp_path)
    assert caught.value.line().startswith(f"{text.format(truth.resolve())} — ")


@pytest.mark.parametrize("number", ["-1", "1000"])
def test_a_class_that_is_none_of_the_thousand_is_refused_with_its_line(tmp_path: Path, number: str) -> None:
    pictures(tmp_path / "val")
    caffe(tmp_path / "val.txt")
    written = (tmp_path / "val.txt").read_text().replace("JPEG 230\n", f"JPEG {number}\n")
    (tmp_path / "val.txt").write_text("\n" + written)
    text = rf"^line 4 of the list .*val\.txt cannot be used: its classes count from 0 to 999, and {number} is not one of them"
    with pytest.raises(EdgecnnError, match=text, check=TABLE_UNUSABLE.made):
        summed_up(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("row", "text"),
    [("cat,n01440764 1", "'cat' is not an image of ImageNet's"), ("ILSVRC2012_val_00000002", "it does not name an image")],
)
def test_lines_of_kaggles_file_count_from_its_header(tmp_path: Path, row: str, text: str) -> None:
    pictures(tmp_path / "val")
    kaggle(tmp_path / "LOC_val_solution.csv")
    header, first, *others = (tmp_path / "LOC_val_solution.csv").read_text().splitlines()
    (tmp_path / "LOC_val_solution.csv").write_text("\n".join([header, first, "", row, *others]))
    with pytest.raises(
        EdgecnnError, match=rf"^line 4 of the list .*LOC_val_solution\.csv cannot be used: {text}", check=TABLE_UNUSABLE.made
    ):
        summed_up(tmp_path, tmp_path)


@pytest.mark.parametrize("named", ["", "val"])
@pytest.mark.parametrize("trained", [False, True])
def test_where_no_file_says_what_images_show_each_is_named_that_would(tmp_path: Path, named: str, trained: bool) -> None:
    pictures(tmp_path / "val")
    if trained:
        training_images(tmp_path / "train")
    with pytest.raises(NoClassFolders) as caught:
        summed_up(tmp_path / named, tmp_path)
    assert caught.value.ref == "no-class-folders"
    assert caught.value.fields["files"] == len(SHOWN)


def test_such_images_in_the_way_of_class_folders_are_passed_over(tmp_path: Path) -> None:
    pictures(tmp_path / "photos")
    fill(tmp_path / "photos", {"cats": 4, "dogs": 4})
    assert list_files(DataChoice(path=str(tmp_path / "photos")), tmp_path / "store", Quiet()).layout.classes == ("cats", "dogs")
