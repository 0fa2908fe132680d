"""``data.group_by`` on folders and lists: what is a group, what is refused and in which words, and what is kept of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.data import division
from edgecnn.data.division import groups_by_path
from edgecnn.data.images import open_source
from edgecnn.data.inspection import inspect
from edgecnn.data.manifest import summarize
from edgecnn.data.prepared import write_pixels
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import TABLE_UNUSABLE
from edgecnn.errors.labels import (
    GroupOnTwoSides,
    GroupPatternInvalid,
    GroupPatternTooSlow,
    NoGroupFound,
)
from edgecnn.measure.evaluate import prepared_groups
from edgecnn.planning.recipe import apply_overrides
from edgecnn.runner.pixel_recipe import ImageSize, PixelRecipe
from edgecnn.values.dataset import DataInspection, DataManifest, DataSummary
from edgecnn.values.recipe import DataChoice, Recipe
from edgecnn.values.stage import digest_of
from tests.data.folders import Heard, draw, fill, write
from tests.data.formats.test_table import HINT

PEOPLE = 20
PERSON = "person([0-9]+)"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twenty people, of each three cats and two dogs."""
    for number in range(PEOPLE):
        for label, count in (("cat", 3), ("dog", 2)):
            for shot in range(count):
                draw(tmp_path / "photos" / label / f"person{number}_{shot}.png", 100 * number + 10 * count + shot)
    return tmp_path / "photos"


def summary_of(path: Path, heard: Heard | None = None, **options: object) -> DataSummary:
    return summarize(DataChoice.model_validate({"path": str(path), **options}), path.parent / "store", heard or Heard())


def sides_of(summary: DataSummary, group_of: dict[str, str]) -> list[set[str]]:
    manifest = DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes())
    side = {"calibration": "train"}
    return [
        {side.get(image.role, image.role) for image in manifest.images if group_of[Path(image.path).name] == group}
        for group in sorted(set(group_of.values()))
    ]


def person_of(photos: Path) -> dict[str, str]:
    return {path.name: path.name.partition("_")[0] for path in photos.rglob("*.png")}


def inspected(path: Path, group_by: str) -> DataInspection:
    return inspect(DataChoice(path=str(path), group_by=group_by), path.parent / "store", Heard()).facts


@pytest.mark.parametrize("group_by", [PERSON, "person[0-9]+", "(?P<who>person[0-9]+)_([0-9])", "/([^_/]+)_"])
def test_a_pattern_keeps_what_it_finds_together(photos: Path, group_by: str) -> None:
    for seed in range(5):
        summary = summary_of(photos, group_by=group_by, seed=seed)
        assert all(len(sides) == 1 for sides in sides_of(summary, person_of(photos)))
    assert summary.grouping is not None and (summary.grouping.by, summary.grouping.groups) == (group_by, 20)
    assert summary.splits_from.endswith(summary.grouping.sentence)
    assert any(len(sides) > 1 for sides in sides_of(summary_of(photos), person_of(photos))), "which is what it is for"


def test_an_image_in_which_nothing_is_found_stands_alone_and_is_counted(photos: Path) -> None:
    for number in range(3):
        draw(photos / "cat" / f"stray{number}.png", 5000 + number)
    summary = summary_of(photos, group_by="(person[0-9]+)|stray")
    assert summary.grouping is not None
    assert (summary.grouping.groups, summary.grouping.alone, summary.grouping.largest_images) == (20, 3, 5)
    assert summary.splits_from.endswith(summary.grouping.sentence)


def test_a_list_s_column_is_the_group_wherever_it_stands(photos: Path) -> None:
    place = photos.parent / "list.csv"
    rows = [
        f"{path.stem.partition('_')[0][6:]},photos/{path.parent.name}/{path.name},{path.parent.name}"
        for path in photos.rglob("*.png")
    ]
    place.write_text("\n".join(["Person,path,label", *rows]), encoding="utf-8")
    summary = summary_of(place, group_by="person")
    assert summary.grouping is not None and (summary.grouping.by, summary.grouping.groups) == ("person", 20)
    assert all(len(sides) == 1 for sides in sides_of(summary, person_of(photos)))
    heard = Heard()
    assert summary_of(place, heard, group_by="person") == summary and heard.steps == []
    place.write_text("\n".join(["Person,path,label", *rows]).replace("\n7,", "\n6,"), encoding="utf-8")
    assert (changed := summary_of(place, group_by="person").grouping) is not None
    assert (changed.groups, changed.largest, changed.largest_images) == (19, "6", 10)


def test_a_list_without_such_a_column_is_searched_in_its_paths(photos: Path) -> None:
    rows = [f"photos/{path.parent.name}/{path.name},{path.parent.name}" for path in photos.rglob("*.png")]
    place = photos.parent / "list.csv"
    place.write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    assert all(len(sides) == 1 for sides in sides_of(summary_of(place, group_by=PERSON), person_of(photos)))


def refused(path: Path, group_by: str) -> str:
    with pytest.raises(EdgecnnError) as caught:
        summary_of(path, group_by=group_by)
    return caught.value.line()


def test_a_list_s_columns_are_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    place = tmp_path / "list.csv"
    hint = f"{HINT} [table-unusable]"
    place.write_text("path,label,person\na.png,cat,anna\n", encoding="utf-8")
    assert refused(place, "persn") == (
        f"line 1 of the list {place} cannot be used: its columns are path, label, person, and none is data.group_by"
        " 'persn' — pass --label-column COLUMN; columns that are not named are then ignored [table-unusable]"
    )
    place.write_text("path,label,person\na.png,cat,anna\na.png,dog,bert\n", encoding="utf-8")
    assert refused(place, "person") == (f"the list {place} cannot be used: 'a.png' is in two groups, 'anna' and 'bert' — {hint}")
    place.write_text("path,label,person,person\na.png,cat,anna,bert\n", encoding="utf-8")
    with pytest.raises(
        EdgecnnError, match="its columns are path, label, person, person — pass --label-column", check=TABLE_UNUSABLE.made
    ):
        summary_of(place, group_by="person")
    draw(tmp_path / "a.png", 1)
    place.write_text("path,label,person\na.png,cat,\nb.png,dog, \n", encoding="utf-8")
    assert "[no-group-found]" in refused(place, "person")


def test_a_pattern_that_is_none_or_finds_nothing_is_told_before_a_file_is_read(photos: Path) -> None:
    heard = Heard()
    with pytest.raises(GroupPatternInvalid) as caught:
        summary_of(photos, heard, group_by="person(")
    assert caught.value.line() == (
        "data.group_by 'person(' cannot be read as a regular expression: missing ), unterminated subpattern at position 6"
        " — write one such as 'person([0-9]+)', or the name of a list column [group-pattern-invalid]"
    )
    with pytest.raises(NoGroupFound) as nothing:
        summary_of(photos, heard, group_by="child([0-9]*)")
    assert nothing.value.ref == "no-group-found"
    assert heard.steps == []
    with pytest.raises(NoGroupFound, match="one of the paths is 'train/00000'"):
        summarize(DataChoice(group_by="person"), photos.parent / "store", heard)


def test_what_matches_the_empty_text_is_no_group(photos: Path) -> None:
    with pytest.raises(NoGroupFound):
        summary_of(photos, group_by="x*")


def test_a_pattern_that_comes_to_no_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(division, "LIMIT_S", 0.5)
    photos = fill(tmp_path / "photos", {"cat": 4, "dog": 4})
    draw(photos / "cat" / f"{'a' * 60}.png", 100)
    with pytest.raises(GroupPatternTooSlow) as caught:
        summary_of(photos, group_by="(a+)+b")
    assert caught.value.line() == (
        "matching data.group_by '(a+)+b' against 9 paths took over 0.5 s"
        " — avoid nested repetition such as (a+)+ [group-pattern-too-slow]"
    )


@settings(max_examples=25, deadline=None)
@given(pattern=st.text(min_size=1, max_size=30) | st.from_regex(r"[()\[\]{}*+?|\\^$a-z0-9,.:<>=!-]{1,20}", fullmatch=True))
def test_whatever_a_pattern_is_ends_in_groups_or_an_error_of_ours(pattern: str) -> None:
    try:
        groups = groups_by_path(pattern, Path("photos"), ["cat/a-\udcff.png", "dog/b.png"], None)
    except EdgecnnError:
        return
    assert groups and all(groups.values())


@pytest.mark.parametrize(
    ("value", "problem"), [('""', "must not be empty"), ('"a\\tb"', "holds a character that cannot be printed")]
)
def test_what_could_be_no_group_by_is_no_recipe(value: str, problem: str) -> None:
    with pytest.raises(EdgecnnError, match=f"data.group_by:? {problem}"):
        apply_overrides(Recipe(), [f"data.group_by={value}"])


def test_folders_of_splits_keep_their_roles_and_a_group_in_two_of_them_is_refused(tmp_path: Path) -> None:
    for part, people in (("train", range(6)), ("test", range(6, 8))):
        for number in people:
            for label in ("cat", "dog"):
                for shot in range(3):
                    draw(tmp_path / "photos" / part / label / f"person{number}_{shot}.png", len(list(tmp_path.rglob("*.png"))))
    photos = tmp_path / "photos"
    summary = summary_of(photos, group_by=PERSON)
    assert all(len(sides) == 1 for sides in sides_of(summary, person_of(photos)))
    assert summary.splits_from.startswith("test/ (12); out of train/ by content: validation 6, calibration 6, train 24;")
    (photos / "train" / "cat" / "person2_0.png").rename(photos / "test" / "cat" / "person2_0.png")
    with pytest.raises(GroupOnTwoSides) as caught:
        summary_of(photos, group_by=PERSON)
    paths = ["test/cat/person2_0.png", "train/cat/person2_1.png"]
    assert (caught.value.fields["group"], list(caught.value.fields["paths"])) == ("2", paths)
    line = caught.value.line()
    facts = inspected(photos, PERSON)
    assert (facts.roles, facts.roles_from, facts.findings[0].sentence) == (None, line, f"no build is possible: {line}")
    assert facts.grouping is not None and facts.grouping.groups == 8
    assert summary_of(photos).counts["test"] == 13


def test_an_inspection_has_the_groups_and_the_roles_of_a_build(photos: Path) -> None:
    draw(photos / "dog" / "person3_9.png", 9000)
    facts, summary = inspected(photos, PERSON), summary_of(photos, group_by=PERSON)
    assert (facts.roles, facts.roles_from, facts.grouping) == (summary.counts, summary.splits_from, summary.grouping)
    assert facts.grouping is not None
    assert (facts.grouping.largest, facts.grouping.largest_images) == ("3", 6)


def test_prepared_images_say_which_of_them_came_together(photos: Path, tmp_path: Path) -> None:
    recipe = PixelRecipe(ImageSize.square(8), ImageSize.square(8), "bilinear")
    source = open_source(Path(summary_of(photos, group_by=PERSON).manifest_path))
    write_pixels(source, recipe, tmp_path, Heard(), ("test",))
    groups = prepared_groups(tmp_path, "test")
    people = [person_of(photos)[Path(entry.path).name] for entry in source.entries("test")]
    assert groups is not None and len(set(groups)) == len(set(people)) == len(set(zip(groups, people, strict=True)))
    write_pixels(open_source(Path(summary_of(photos).manifest_path)), recipe, tmp_path, Heard(), ("test",))
    assert prepared_groups(tmp_path, "test") is None, "other images in their place are of no group"


def test_where_no_group_is_asked_for_nothing_that_is_kept_knows_of_groups(photos: Path) -> None:
    plain = summary_of(photos)
    kept = photos.parent / "store" / "manifests"
    options: dict[str, object] = {"seed": 0, "calibration_images": 300, "validation_share": 0.15, "test_share": 0.2}
    options |= {"classes": None, "labels": None, "links": "follow", "train": True}
    name = digest_of({"root": str(photos), "asked": options, "revision": 7})
    before = json.loads((kept / "summaries" / f"{name}.json").read_bytes())
    assert "grouping" not in before["summary"]
    grouped = summary_of(photos, group_by=PERSON)
    assert grouped.content != plain.content
    assert summary_of(photos) == plain and len(list((kept / "summaries").iterdir())) == 2
    assert set(json.loads(Path(plain.manifest_path).read_bytes())["images"][0]) == {"path", "label", "role", "sha256"}


def test_unreadable_files_are_of_no_group(photos: Path) -> None:
    write(photos / "cat" / "person0_9.png", b"no picture")
    summary = summary_of(photos, group_by=PERSON)
    assert len(summary.skipped) == 1 and summary.grouping is not None and summary.grouping.largest_images == 5
