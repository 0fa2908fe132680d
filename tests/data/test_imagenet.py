"""The 1,000 classes: known by WordNet id and by name, in the order in which published networks answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from torchvision.models._meta import _IMAGENET_CATEGORIES

from edgecnn.data.class_names import imagenet_classes, imagenet_labels
from edgecnn.data.images import open_source
from edgecnn.data.manifest import summarize
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import NO_IMAGENET_CLASS
from edgecnn.render.progress import Quiet
from edgecnn.values.recipe import DataChoice

HERE = Path("val")


def test_the_names_are_those_that_torchvision_answers_with() -> None:
    assert imagenet_classes() == tuple(_IMAGENET_CATEGORIES)
    assert len(set(imagenet_classes())) == 1000


def test_a_folder_is_found_by_its_id_and_by_its_name_however_it_is_spaced() -> None:
    assert imagenet_labels(["n01440764", "n15075141", "N01440764"], HERE) == (0, 999, 0)
    assert imagenet_labels(["tench", "toilet_tissue", "great-white-shark"], HERE) == (0, 999, 2)
    assert imagenet_labels(["Cardigan", "cardigan"], HERE) == (264, 474)
    assert all(imagenet_labels([name], HERE) == (label,) for label, name in enumerate(imagenet_classes()))


def test_a_folder_of_another_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(EdgecnnError, check=NO_IMAGENET_CLASS.made) as caught:
        imagenet_labels(["tench", "toilet tisue"], HERE)
    assert caught.value.ref == "no-imagenet-class"


def test_some_folders_are_enough_and_keep_their_places_among_the_thousand(tmp_path: Path) -> None:
    for folder, level in (("n01440764", 10), ("toilet tissue", 200)):
        (tmp_path / "val" / folder).mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (8, 8), (level, number, 0)).save(tmp_path / "val" / folder / f"{number}.png")
    choice = DataChoice(path=str(tmp_path / "val"), classes="imagenet", train=False)
    summary = summarize(choice, tmp_path / "store", Quiet())
    assert summary.classes == imagenet_classes() and summary.counts["train"] == 0
    images = open_source(Path(summary.manifest_path)).entries("test")
    assert {(image.path.split("/")[0], image.label) for image in images} == {("n01440764", 0), ("toilet tissue", 999)}
