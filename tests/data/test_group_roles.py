"""Images of one group are never on two sides, whatever the seed, and shares are as near as whole groups allow."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.data.roles import Assigned, Listed, ListedImage, assign_roles, images_by_role
from edgecnn.data.split_names import Part
from edgecnn.errors.data import TooFewImages
from edgecnn.errors.labels import GroupOnTwoSides, GroupsNotDivisible, TooFewGroups
from edgecnn.values.dataset import Grouping
from edgecnn.values.recipe import DataChoice

ROOT = Path("photos")
CLASSES = ("cat", "dog", "emu")


def sha(number: int) -> str:
    return f"{number:064x}"


def pictured(group: str | None, counts: Sequence[int], part: Part = "train", start: int = 0) -> list[ListedImage]:
    """As many images of each class in one group; ``start`` numbers their bytes."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    names = [f"{part}/{CLASSES[label]}/{group}-{start + number}" for number, label in enumerate(labels)]
    return [
        ListedImage(name, label, part, sha(start + number), group)
        for number, (name, label) in enumerate(zip(names, labels, strict=True))
    ]


def people(count: int, *, seed: int = 0, most: int = 9) -> list[ListedImage]:
    """Each with up to ``most`` images of every class."""
    draws = random.Random(seed)
    images: list[ListedImage] = []
    for number in range(count):
        images += pictured(f"p{number:03}", [draws.randint(1, most) for _ in CLASSES], start=len(images))
    return images


def assigned(images: Sequence[ListedImage], **options: object) -> Assigned:
    listed = Listed(ROOT, CLASSES, {image.part for image in images}, images)
    return assign_roles(listed, DataChoice.model_validate({"calibration_images": 30, "group_by": "person", **options}))


def grouping(result: Assigned) -> Grouping:
    assert result.grouping is not None
    return result.grouping


def sides(images: Sequence[ListedImage], result: Assigned, *, trained: bool = True) -> dict[str, set[str]]:
    """Group to the sides that its images came to be on."""
    group_of = {image.path: image.group or image.path for image in images}
    side_of = {"calibration": "train"} if trained else {}
    found_on: dict[str, set[str]] = defaultdict(set)
    for image in result.images:
        found_on[group_of[image.path]].add(side_of.get(image.role, image.role))
    return found_on


@settings(max_examples=150, deadline=None)
@given(
    groups=st.integers(3, 40),
    most=st.integers(2, 12),
    alone=st.integers(0, 5),
    seed=st.integers(0, 2**31),
    shares=st.tuples(st.floats(0.05, 0.4), st.floats(0.05, 0.4)),
    train=st.booleans(),
)
def test_no_group_is_on_two_sides_and_no_image_is_lost(
    groups: int, most: int, alone: int, seed: int, shares: tuple[float, float], train: bool
) -> None:
    listed = people(groups + (not train), seed=seed, most=most)
    listed += pictured(None, [alone, 0, 0], start=len(listed))
    try:
        result = assigned(listed, seed=seed, test_share=shares[0], validation_share=shares[1], train=train)
    except (TooFewImages, TooFewGroups, GroupsNotDivisible):
        return
    assert sorted(image.path for image in result.images) == sorted(image.path for image in listed)
    assert {group: on for group, on in sides(listed, result, trained=train).items() if len(on) > 1} == {}
    if not result.thin:
        roles = ("train", "calibration", "validation", "test") if train else ("calibration", "validation", "test")
        shown = {role: {image.label for image in result.images if image.role == role} for role in roles}
        assert shown == dict.fromkeys(roles, {0, 1, 2})


@pytest.mark.parametrize("seed", range(20))
def test_shares_are_near_where_groups_are_many(seed: int) -> None:
    listed = people(60, seed=seed)
    result = assigned(listed, seed=seed)
    for label in range(3):
        mine = [image.role for image in result.images if image.label == label]
        assert mine.count("test") / len(mine) == pytest.approx(0.2, abs=0.04)
        assert mine.count("validation") / len(mine) == pytest.approx(0.15, abs=0.04)
    assert grouping(result).off == ()


@pytest.mark.parametrize("seed", range(10))
def test_shares_are_met_where_each_group_shows_one_class(seed: int) -> None:
    draws = random.Random(seed)
    images: list[ListedImage] = []
    for number in range(90):
        counts = [draws.randint(1, 20) if label == number % 3 else 0 for label in range(3)]
        images += pictured(f"p{number}", counts, start=len(images))
    mine = [[image.role for image in assigned(images, seed=seed).images if image.label == label] for label in range(3)]
    assert [roles.count("test") / len(roles) for roles in mine] == pytest.approx([0.2] * 3, abs=0.01)


def test_another_seed_puts_other_people_to_the_test_and_the_same_one_the_same() -> None:
    listed = people(30)

    def tested(seed: int) -> frozenset[str]:
        return frozenset(group for group, on in sides(listed, assigned(listed, seed=seed)).items() if on == {"test"})

    assert len({tested(seed) for seed in range(10)}) == 10
    assert set().union(*(tested(seed) for seed in range(60))) == {f"p{number:03}" for number in range(30)}
    assert assigned(listed).images == assigned(listed[::-1]).images


def test_what_groups_and_files_are_called_decides_nothing() -> None:
    listed = people(20)
    renamed = [image._replace(path=f"other/{image.path}", group=f"{image.group} again") for image in listed[::-1]]
    first, second = ({image.sha256: image.role for image in assigned(images).images} for images in (listed, renamed))
    assert first == second


def test_a_calibration_image_may_be_of_a_person_who_is_learned_from() -> None:
    listed = people(12)
    both = {"train", "calibration"}
    roles_of: dict[str, set[str]] = defaultdict(set)
    for image in assigned(listed).images:
        roles_of[image.path.rpartition("/")[2].partition("-")[0]].add(image.role)
    assert any(roles == both for roles in roles_of.values())


def test_where_nothing_is_trained_nobody_calibrates_and_is_tested() -> None:
    listed = people(12)
    result = assigned(listed, train=False)
    assert all(len(on) == 1 for on in sides(listed, result, trained=False).values())
    assert images_by_role(result.images)["train"] == 0
    assert min(images_by_role(result.images)[role] for role in ("calibration", "validation", "test")) > 0


def test_where_nothing_is_trained_classes_of_few_groups_are_drawn_from_together() -> None:
    listed = [*people(12), *pictured("one", [0, 0, 3], start=1000)]
    listed = [image for image in listed if image.label != 2 or image.group == "one"]
    result = assigned(listed, train=False)
    assert (result.thin, {image.role for image in result.images if image.label == 2}) == (1, {"test"})
    with pytest.raises(TooFewGroups, match="class 'emu' .* to only 1 group"):
        assigned([*listed, *pictured("one", [0, 0, 9], start=2000)])


def test_groups_that_hold_the_same_bytes_go_together() -> None:
    listed = people(9)
    twins = [image for image in listed if image.group == "p000"][:1]
    linked = [*listed, *(image._replace(path=f"{image.path}-copy", group="p001") for image in twins)]
    for seed in range(30):
        on = sides(linked, assigned(linked, seed=seed))
        assert on["p000"] == on["p001"] and len(on["p000"]) == 1


def test_a_group_with_most_of_a_class_is_learned_from_and_what_that_does_to_shares_is_said() -> None:
    replaces = [*pictured("anna", [60, 1, 1]), *people(9, most=2)]
    replaces = [image._replace(sha256=sha(number)) for number, image in enumerate(replaces)]
    result = assigned(replaces)
    assert sides(replaces, result)["anna"] == {"train"}
    assert [re.findall(r"(\w+) has (\d+%)", sentence)[0] for sentence in grouping(result).off] == [
        ("test", "8%"), ("test", "4%"), ("validation", "6%"), ("validation", "3%"),
    ]  # fmt: skip


def test_images_without_a_group_stand_alone_and_are_counted() -> None:
    result = assigned([*people(10), *pictured(None, [1, 0, 0], start=500), *pictured(None, [0, 2, 0], start=600)])
    groups = grouping(result)
    assert (groups.groups, groups.alone) == (10, 3)
    assert result.sentence({}, 30).endswith(groups.sentence)


def test_a_class_of_too_few_groups_is_named_with_them() -> None:
    listed = [*pictured("anna", [9, 9, 9]), *pictured("bert", [9, 9, 9], start=100), *pictured("cleo", [9, 0, 9], start=200)]
    with pytest.raises(TooFewGroups) as caught:
        assigned(listed)
    assert caught.value.ref == "too-few-groups"
    alone = [*pictured("anna", [9, 9, 9]), *pictured(None, [0, 1, 0], start=300)]
    with pytest.raises(TooFewGroups) as several:
        assigned(alone, train=False)
    assert several.value.ref == "too-few-groups"


def test_groups_that_cannot_be_divided_are_told_with_the_largest() -> None:
    """Cats and dogs each want Anna, Bert and one more on three sides, who are then on one, and emus have only Emil besides."""
    shown = {"anna": (4, 4, 0), "bert": (4, 4, 0), "cleo": (4, 0, 4), "dora": (0, 8, 4), "emil": (0, 0, 4)}
    listed = [image for start, (name, counts) in enumerate(shown.items()) for image in pictured(name, counts, start=100 * start)]
    with pytest.raises(GroupsNotDivisible) as caught:
        assigned(listed)
    assert caught.value.ref == "groups-not-divisible"
    assert images_by_role(assigned([*listed, *pictured("finn", (0, 0, 4), start=900)]).images)["test"] > 0


def test_splits_of_the_user_s_keep_their_roles_and_a_group_in_two_is_an_error() -> None:
    trained, tested = people(9), pictured("zoe", [3, 3, 3], "test", start=900)
    result = assigned([*trained, *tested])
    assert {image.path for image in result.images if image.role == "test"} == {image.path for image in tested}
    assert all(len(on) == 1 for on in sides([*trained, *tested], result).values())
    again = [*trained, *tested, *pictured("p004", [1, 0, 0], "test", start=950), *pictured("p002", [1, 0, 0], "test", start=960)]
    with pytest.raises(GroupOnTwoSides) as caught:
        assigned(again)
    first = min(image.path for image in trained if image.group == "p002")
    assert first in caught.value.fields["paths"]


def test_a_copy_that_is_left_out_puts_no_group_on_two_sides() -> None:
    listed = [*people(9), *pictured("zoe", [3, 3, 3], "test", start=900)]
    result = assigned([*listed, ListedImage("train/cat/copy", 0, "train", sha(900), "zoe")])
    assert result.copies == ("train/cat/copy: the same bytes as test/cat/zoe-900",)
