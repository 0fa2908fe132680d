"""Names of splits, as people have them: one rule for folders and for the column of a list."""

from __future__ import annotations

import pytest

from edgecnn.data.split_names import is_unlabelled, split_name


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (("train", "Training", "training_set", "seg_train", "train_images", "TrainSet", "trainset", "train2017", "trn"), "train"),
        (("val", "VALID", "validation", "dev", "eval", "dev-set", "valid_images", "val2017", "imgs_val"), "validation"),
        (("test", "testing", "test_set", "seg_test", "testset", "TestImages", "test data", "tst"), "test"),
    ],
)
def test_usual_names_mean_a_split_with_prefixes_and_suffixes_too(names: tuple[str, ...], part: str) -> None:
    assert {name: named.part if (named := split_name(name)) else None for name in names} == dict.fromkeys(names, part)


@pytest.mark.parametrize(
    "name", ["strain", "contest", "devil", "invalid", "train_test_split", "pretrained", "", "__", "猫", "latest"]
)
def test_other_names_mean_none(name: str) -> None:
    assert split_name(name) is None


def test_the_splits_of_one_data_set_share_their_other_words() -> None:
    names = ("train", "train_images", "seg_train", "seg_test", "train_station", "val2017")
    assert [named.division for name in names if (named := split_name(name))] == ["", "", "seg", "seg", "station", "2017"]


def test_a_bucket_of_images_without_a_label_is_known_by_its_name() -> None:
    buckets = ["no_label", "unlabeled", "Unlabelled images", "not labeled", "NoLabel", "unsorted", "unannotated"]
    assert [name for name in [*buckets, "label", "unknown", "other", "none"] if is_unlabelled(name)] == buckets
