"""A bundle whose names come from a file (``data.classes``) is shown folders and lists that spell them in their own way."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgecnn.data.class_names import imagenet_classes
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import BENCH_CLASSES_DIFFER
from edgecnn.errors.data import FOLDERS_OF_ONE_CLASS
from edgecnn.errors.labels import UNKNOWN_LABEL
from tests.bench.test_bundle import seen, strangers
from tests.building.builds import CLASSES, Place

NAMES = ["hat", "t shirt", "Boot"]


def naming(built_once: Place, folder: Path, labels: list[str], thresholds: list[float] | None = None) -> Place:
    """The bundle as a build with other names would have left it."""
    place = Place(folder / "named")
    shutil.copytree(built_once.out / "bundle", place.out / "bundle")
    for kit in place.out.glob("bundle/kits/*/kit.json"):
        manifest = json.loads(kit.read_text()) | {"labels": labels}
        kit.write_text(json.dumps(manifest if thresholds is None else manifest | {"thresholds": thresholds}))
    return place


def test_a_build_s_own_photographs_are_known_again_under_names_of_a_file(built_once: Place, tmp_path: Path) -> None:
    place = naming(built_once, tmp_path, [name.upper() for name in CLASSES])
    found = seen(place, tmp_path, built_once.photos)
    assert found.facts.role == "recorded" and found.labels is not None and set(found.labels.tolist()) == {0, 1, 2}


def test_a_folder_is_the_class_of_its_name_and_some_folders_are_enough(built_once: Place, tmp_path: Path) -> None:
    place = naming(built_once, tmp_path, NAMES)
    folder = strangers(tmp_path, "boot", "t-shirt")
    found = seen(place, tmp_path, folder)
    assert found.labels is not None and sorted(found.labels.tolist()) == [1, 1, 2, 2]
    assert found.facts.said.startswith(f"4 images of {folder}, with 2 of the bundle's 3 classes; ")


def test_so_are_imagenet_s(built_once: Place, tmp_path: Path) -> None:
    place = naming(built_once, tmp_path, list(imagenet_classes()))
    found = seen(place, tmp_path, strangers(tmp_path, "n01440764", "toilet_tissue"))
    assert found.labels is not None and sorted(found.labels.tolist()) == [0, 0, 999, 999]


def test_a_list_of_several_labels_is_too(built_once: Place, tmp_path: Path) -> None:
    place = naming(built_once, tmp_path, NAMES, [0.5, 0.5, 0.5])
    strangers(tmp_path, "all", "more")
    rows = [["path", "boot", "t-shirt"], *([f"others/{name}/{n}.png", "1", str(n)] for name in ("all", "more") for n in (0, 1))]
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    found = seen(place, tmp_path, tmp_path / "list.csv")
    assert found.labels is not None and sorted(found.labels.tolist()) == [[0, 0, 1], [0, 0, 1], [0, 1, 1], [0, 1, 1]]
    assert found.labels.dtype == np.uint8


@pytest.mark.parametrize(("named", "near"), [("boots", "Boot"), ("hats", "hat")])
def test_a_name_that_is_none_of_them_is_told_with_the_nearest(built_once: Place, tmp_path: Path, named: str, near: str) -> None:
    place = naming(built_once, tmp_path, NAMES)
    folder = strangers(tmp_path, named, "t-shirt")
    with pytest.raises(EdgecnnError, check=BENCH_CLASSES_DIFFER.made) as caught:
        seen(place, tmp_path, folder)
    assert f"did you mean {near}?" in caught.value.line()


def test_two_folders_of_one_of_them_are_told(built_once: Place, tmp_path: Path) -> None:
    place = naming(built_once, tmp_path, NAMES)
    folder = strangers(tmp_path, "t_shirt", "t-shirt")
    with pytest.raises(EdgecnnError, check=FOLDERS_OF_ONE_CLASS.made) as caught:
        seen(place, tmp_path, folder)
    assert caught.value.ref == "folders-of-one-class"


def test_a_label_that_is_none_of_them_is_told_with_the_network_s(built_once: Place, tmp_path: Path) -> None:
    place = naming(built_once, tmp_path, NAMES, [0.5, 0.5, 0.5])
    strangers(tmp_path, "all", "more")
    (tmp_path / "list.csv").write_text("path,boots,t-shirt\nothers/all/0.png,1,0\nothers/all/1.png,1,1\n")
    with pytest.raises(EdgecnnError, match="the known labels are hat, t shirt, Boot", check=UNKNOWN_LABEL.made) as refusal:
        seen(place, tmp_path, tmp_path / "list.csv")
    assert refusal.value.fields["name"] == "boots"
    assert (refusal.value.fields["count"], refusal.value.fields["known_by"]) == (3, "the bundle's network")
