from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.data.roles import Assigned, ExcludedFile, Listed, ListedImage, assign_roles
from edgecnn.data.split_names import Part
from edgecnn.errors.data import TooFewImages
from edgecnn.values.dataset import SPLIT_ROLES, SplitRole
from edgecnn.values.recipe import DataChoice

ROOT = Path("photos")
CLASSES = ("cat", "dog", "emu")


def sha(number: int) -> str:
    return f"{number:064x}"


def images(part: Part, counts: Sequence[int], start: int = 0) -> list[ListedImage]:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    return [
        ListedImage(f"{part}/{CLASSES[label]}/{number}", label, part, sha(start + number)) for number, label in enumerate(labels)
    ]


def assigned(images_listed: Sequence[ListedImage], skipped: Sequence[ExcludedFile] = (), **options: object) -> Assigned:
    listed = Listed(ROOT, CLASSES, {image.part for image in images_listed}, images_listed, skipped)
    return assign_roles(listed, DataChoice.model_validate({"calibration_images": 30, **options}))


def counts_of(result: Assigned) -> dict[SplitRole, int]:
    counts = Counter(image.role for image in result.images)
    return {role: counts[role] for role in SPLIT_ROLES}


def test_without_splits_all_roles_come_out_by_shares() -> None:
    assert counts_of(assigned(images("train", (100, 100, 100)))) == {
        "train": 165,
        "calibration": 30,
        "validation": 45,
        "test": 60,
    }


def test_with_all_splits_only_calibrate_comes_out_of_train() -> None:
    listed = images("train", (40, 40, 40)) + images("validation", (5, 5, 5), 1000) + images("test", (6, 6, 6), 2000)
    result = assigned(listed)
    assert counts_of(result) == {"train": 90, "calibration": 30, "validation": 15, "test": 18}
    assert {image.path.split("/")[0] for image in result.images if image.role == "test"} == {"test"}
    assert {image.path.split("/")[0] for image in result.images if image.role == "validation"} == {"validation"}


def test_with_train_and_validation_the_whole_validation_is_reported() -> None:
    result = assigned(images("train", (40, 40, 40)) + images("validation", (5, 5, 5), 1000))
    assert counts_of(result) == {"train": 78, "calibration": 24, "validation": 18, "test": 15}
    assert all(image.path.startswith("validation/") for image in result.images if image.role == "test")


def test_with_train_and_test_choose_comes_out_of_train() -> None:
    result = assigned(images("train", (40, 40, 40)) + images("test", (5, 5, 5), 1000))
    assert counts_of(result) == {"train": 78, "calibration": 24, "validation": 18, "test": 15}


def test_every_class_is_in_every_role_by_its_share() -> None:
    result = assigned(images("train", (400, 100, 40)), calibration_images=54)
    by_role = {role: Counter(image.label for image in result.images if image.role == role) for role in SPLIT_ROLES}
    assert [by_role["test"][label] for label in range(3)] == [80, 20, 8]
    assert [by_role["validation"][label] for label in range(3)] == [60, 15, 6]
    assert [by_role["calibration"][label] for label in range(3)] == [40, 10, 4]


def test_roles_do_not_depend_on_names_or_order() -> None:
    listed = images("train", (50, 50, 50))
    renamed = [image._replace(path=f"other/{image.path}") for image in listed[::-1]]
    first, second = ({image.sha256: image.role for image in assigned(listing).images} for listing in (listed, renamed))
    assert first == second


def test_another_seed_makes_other_roles() -> None:
    listed = images("train", (50, 50, 50))
    assert assigned(listed, seed=1).images != assigned(listed, seed=0).images


def test_more_calibration_images_leave_report_and_choose_as_they_are() -> None:
    listed = images("train", (100, 100, 100))

    def kept(count: int) -> set[tuple[str, str]]:
        chosen = assigned(listed, calibration_images=count).images
        return {(image.path, image.role) for image in chosen if image.role in ("test", "validation")}

    assert kept(10) == kept(40)


def test_any_prefix_of_a_role_holds_the_classes_in_their_proportions() -> None:
    calibration = [
        image for image in assigned(images("train", (600, 300, 300)), calibration_images=80).images if image.role == "calibration"
    ]
    assert Counter(image.label for image in calibration[:20]) == {0: 10, 1: 5, 2: 5}


def test_calibration_takes_at_most_a_quarter_of_what_trains() -> None:
    assert counts_of(assigned(images("train", (20, 20, 20)), calibration_images=300)) == {
        "train": 30,
        "calibration": 9,
        "validation": 9,
        "test": 12,
    }


def test_a_copy_in_another_split_leaves_the_training_side() -> None:
    listed = images("train", (9, 9, 9)) + images("test", (3, 3, 3), 1000)
    result = assigned([*listed, ListedImage("train/cat/copy", 0, "train", sha(1000))])
    (copy,) = result.copies
    assert copy.startswith("train/cat/copy: ") and copy.endswith(" test/cat/0")
    assert [image.role for image in result.images if image.sha256 == sha(1000)] == ["test"]


def test_a_picture_under_two_classes_is_left_out_of_both() -> None:
    result = assigned([*images("train", (9, 9, 9)), ListedImage("train/dog/copy", 1, "train", sha(0))])
    assert [copy.partition(":")[0] for copy in result.copies] == ["train/cat/0", "train/dog/copy"]
    assert sha(0) not in {image.sha256 for image in result.images}


def test_copies_within_one_class_stay_together() -> None:
    listed = images("train", (30, 30, 30))
    doubled = [*listed, *(image._replace(path=f"{image.path} (copy)") for image in listed)]
    result = assigned(doubled)
    assert (len(result.images), result.copies) == (180, ())
    roles = [{image.role for image in result.images if image.sha256 == one.sha256} for one in listed]
    assert all(len(role) == 1 for role in roles)


@given(
    counts=st.tuples(*[st.integers(20, 60)] * 3),
    shares=st.tuples(st.floats(0.01, 0.45), st.floats(0.01, 0.45)),
    calibration=st.integers(1, 80),
    seed=st.integers(0, 5),
)
def test_no_image_is_lost_or_in_two_roles_and_every_class_trains(
    counts: tuple[int, int, int], shares: tuple[float, float], calibration: int, seed: int
) -> None:
    listed = images("train", counts)
    result = assigned(listed, calibration_images=calibration, validation_share=shares[0], test_share=shares[1], seed=seed)
    assert sorted(image.path for image in result.images) == sorted(image.path for image in listed)
    for role in ("train", "validation", "test"):
        assert {image.label for image in result.images if image.role == role} == {0, 1, 2}
    assert 1 <= counts_of(result)["calibration"] <= calibration


def test_too_few_images_name_the_class_and_what_is_needed() -> None:
    with pytest.raises(TooFewImages) as caught:
        assigned(images("train", (9, 1, 9)))
    assert caught.value.line() == (
        "class 'dog' in photos has 1 usable image, but needs 4 for train, calibration, validation and test"
        " — add images to the class, or remove its folder [too-few-images]"
    )


def test_a_class_without_test_images_is_named() -> None:
    with pytest.raises(TooFewImages) as caught:
        assigned(images("train", (9, 9, 9)) + images("test", (3, 0, 3), 1000))
    assert caught.value.line() == (
        "class 'dog' in photos has 0 usable images, but needs 1 for test"
        " — add images to the class, or remove its folder [too-few-images]"
    )


def test_too_few_images_say_where_the_files_went() -> None:
    """Four files in a class and one image: three are the same bytes, and notes and a broken picture are no images."""
    same = [ListedImage(f"train/dog/{name}.png", 1, "train", sha(100)) for name in "abcde"]
    elsewhere = [ListedImage("train/dog/f.png", 1, "train", sha(0))]
    skipped = [ExcludedFile("train/dog/half.jpg", 1, "train", "is cut off"), ExcludedFile("x", 0, "train", "of no interest")]
    with pytest.raises(TooFewImages) as caught:
        assigned([*images("train", (9, 0, 9)), *same, *elsewhere], skipped)
    assert caught.value.because == (
        "of its 7 files, 5 are copies (train/dog/f.png: the same bytes as train/cat/0, which is another class (cat);"
        " train/dog/b.png: the same bytes as train/dog/a.png; train/dog/c.png: the same bytes as train/dog/a.png and 2 more)"
        " and 1 is not a readable image (train/dog/half.jpg: is cut off)"
    )


def test_every_class_that_is_short_is_named() -> None:
    with pytest.raises(TooFewImages):
        assigned(images("train", (1, 2, 3)))
    with pytest.raises(TooFewImages):
        assigned(images("train", (3, 9, 1)) + images("test", (0, 2, 2), 1000))


def test_large_shares_need_larger_classes() -> None:
    with pytest.raises(TooFewImages, match="has 13 usable images, but needs 14 for "):
        assigned(images("train", (13, 13, 13)), validation_share=0.45, test_share=0.45)


def many_classes(counts: Sequence[int], **options: object) -> Assigned:
    """As many classes as counts, all in one folder."""
    images_listed = [
        ListedImage(f"{label}/{number}", label, "train", sha(1000 * label + number))
        for label, count in enumerate(counts)
        for number in range(count)
    ]
    listed = Listed(ROOT, [f"n{label:03}" for label in range(len(counts))], {"train"}, images_listed)
    return assign_roles(listed, DataChoice.model_validate({"calibration_images": 30, "train": False, **options}))


def test_where_nothing_is_trained_one_image_a_class_fills_every_role() -> None:
    result = many_classes([1] * 100)
    assert counts_of(result) == {"train": 0, "calibration": 16, "validation": 15, "test": 69}
    assert result.thin == 100
    assert len({image.sha256 for image in result.images}) == 100
    assert "100 classes" in result.sentence({}, 30)


def test_classes_that_can_fill_their_roles_do_so_beside_one_that_cannot() -> None:
    result = many_classes([40, 40, 1])
    assert result.thin == 1
    for label in (0, 1):
        assert counts_of(Assigned(tuple(image for image in result.images if image.label == label), (), {})) == counts_of(
            Assigned(tuple(image for image in many_classes([40, 40]).images if image.label == label), (), {})
        )
    assert [image.role for image in result.images if image.label == 2] == ["test"]


@pytest.mark.parametrize("counts", [[1, 1, 1], [2], [40, 0]])
def test_too_few_in_all_and_a_class_without_any_are_refused_still(counts: list[int]) -> None:
    with pytest.raises(TooFewImages):
        many_classes(counts)


def test_what_trains_needs_every_role_of_every_class() -> None:
    with pytest.raises(TooFewImages):
        many_classes([1] * 100, train=True)
