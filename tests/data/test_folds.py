"""Cross-validation: each image that is not validation is tested by one fold, and nothing that a fold tests was learned from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgecnn.data.manifest import summarize
from edgecnn.data.roles import Assigned, Listed, ListedImage, assign_roles
from edgecnn.errors.data import FoldsBesideSplit, TooFewImages
from edgecnn.errors.labels import TooFewGroups
from edgecnn.values.dataset import Fold, SplitRole
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard
from tests.data.test_group_roles import CLASSES, ROOT, people, pictured
from tests.graph.custom_files import photo_folder


def folds(images: Sequence[ListedImage], of: int, **options: object) -> list[Assigned]:
    listed = Listed(ROOT, CLASSES, {image.part for image in images}, images)
    choice = DataChoice.model_validate({"calibration_images": 30, **options})
    return [assign_roles(listed, choice, Fold(number=number, of=of)) for number in range(1, of + 1)]


def paths(result: Assigned, role: SplitRole) -> set[str]:
    return {image.path for image in result.images if image.role == role}


@pytest.mark.parametrize(("of", "counts"), [(5, (40, 23, 9)), (7, (100, 8, 31))])
def test_every_image_but_those_of_validation_is_tested_once(of: int, counts: tuple[int, ...]) -> None:
    listed = pictured(None, counts)
    every = folds(listed, of)
    validation = paths(every[0], "validation")
    assert all(paths(fold, "validation") == validation for fold in every)
    tested = Counter(path for fold in every for path in paths(fold, "test"))
    assert set(tested.values()) == {1} and set(tested) == {image.path for image in listed} - validation
    for fold in every:
        assert sum(len(paths(fold, role)) for role in ("train", "calibration", "validation", "test")) == len(listed)
        labels = Counter(image.label for image in fold.images if image.role == "test")
        assert sum(paths(fold, "train") == paths(other, "train") for other in every) == 1
        for label, count in enumerate(counts):
            left = count - sum(image.label == label for image in fold.images if image.role == "validation")
            assert left // of <= labels[label] <= -(-left // of)


def test_groups_are_never_on_two_sides_of_a_fold() -> None:
    listed = people(40)
    every = folds(listed, 5, group_by="person")
    group_of = {image.path: image.group for image in listed}
    tested: Counter[str] = Counter()
    for fold in every:
        sides = [{group_of[path] for path in paths(fold, role)} for role in ("validation", "test")]
        learned = {group_of[path] for role in ("train", "calibration") for path in paths(fold, role)}  # type: ignore[arg-type]
        assert not sides[0] & sides[1] and not (sides[0] | sides[1]) & learned
        tested.update(paths(fold, "test"))
    assert set(tested.values()) == {1} and set(tested) == set(group_of) - paths(every[0], "validation")


def test_what_cannot_be_divided_is_said() -> None:
    with pytest.raises(TooFewImages) as caught:
        folds(pictured(None, (40, 40, 5)), 5)
    fields = caught.value.fields
    assert (fields["name"], fields["found"], fields["needed"]) == ("emu", 5, 6)
    assert list(fields["roles"]) == ["train", "calibration", "validation", "test"]
    with pytest.raises(TooFewGroups) as groups:
        folds(people(5), 5, group_by="person")
    assert groups.value.ref == "too-few-groups"


def test_a_split_of_the_users_own_is_not_taken_apart(tmp_path: Path) -> None:
    photos = photo_folder(tmp_path / "photos", per_class=20)
    (tmp_path / "split").mkdir()
    photos.rename(tmp_path / "split" / "train")
    photo_folder(tmp_path / "split" / "test", per_class=4)
    with pytest.raises(FoldsBesideSplit) as caught:
        summarize(DataChoice(path=str(tmp_path / "split")), tmp_path / "store", Heard(), Fold(number=1, of=5))
    assert caught.value.ref == "folds-beside-split"


def test_a_fold_is_another_content_and_is_kept_apart(tmp_path: Path) -> None:
    choice, store = DataChoice(path=str(photo_folder(tmp_path / "photos", per_class=20))), tmp_path / "store"
    whole = summarize(choice, store, Heard())
    first, second = (summarize(choice, store, Heard(), Fold(number=number, of=5)) for number in (1, 2))
    assert len({whole.content, first.content, second.content}) == 3
    assert first.splits_from.startswith("fold 1 of 5")
    assert summarize(choice, store, Heard(), Fold(number=2, of=5)) == second and summarize(choice, store, Heard()) == whole


def test_what_whole_groups_did_to_the_share_that_a_fold_tests_is_said() -> None:
    sizes = (9, 9, 9, 9, 8, 8, 8, 8, 1, 1)
    listed = [
        image for number, size in enumerate(sizes) for image in pictured(f"p{number}", [size, size, size], start=100 * number)
    ]
    every = folds(listed, 5, group_by="person")
    off = [
        [sentence for sentence in fold.grouping.off if sentence.startswith("test")] for fold in every if fold.grouping is not None
    ]
    tested = [len(paths(fold, "test")) / len(listed) for fold in every]
    wanted = (1 - len(paths(every[0], "validation")) / len(listed)) / 5
    assert max(abs(share - wanted) for share in tested) > 0.05
    for share, sentences in zip(tested, off, strict=True):
        assert bool(sentences) == (abs(share - wanted) > 0.02), (share, sentences)
        assert not sentences or sentences[0].startswith(f"test has {share:.0%} of the images, not ")
