"""synthesize: the same bytes from the same key, and for every picture what it was composed of."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image, PngImagePlugin

from edgecnn.data.composing import Composer
from edgecnn.data.cutouts import open_made
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import CUTOUTS_UNUSABLE, IMAGE_CHANGED, MANIFEST_UNREADABLE, CorruptImages
from edgecnn.values.dataset import SPLIT_ROLES
from edgecnn.values.synthesis import Provenance
from tests.data.cutouts import cut, roles, scene, stage_of, synthesis_in
from tests.data.folders import Heard, aged
from tests.house.schemas import FOLDER
from tests.training.made import files_of


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return scene(tmp_path)


def made(place: Path, out: str = "out", **changes: object) -> Path:
    synthesis = synthesis_in(place)
    (place / out).mkdir()
    stage_of(synthesis, **changes).make(roles(synthesis), place / out, Heard())
    return place / out


def provenance(out: Path) -> Provenance:
    return Provenance.model_validate_json((out / "synthesis.json").read_bytes())


def test_one_key_is_one_set_of_bytes(place: Path) -> None:
    assert files_of(made(place, "a")) == files_of(made(place, "b"))
    assert files_of(made(place, "c", seed=1)) != files_of(place / "a")


def test_each_picture_names_the_files_that_it_is_made_of(place: Path) -> None:
    out = made(place)
    Draft202012Validator(json.loads((FOLDER / "synthesis.json").read_text())).validate(
        json.loads((out / "synthesis.json").read_text())
    )
    listed = provenance(out).images
    assert {each.file for each in listed} == {str(path.relative_to(out / "images")) for path in (out / "images").rglob("*.png")}
    for each in listed:
        for folder, file, sha256 in (
            ("out/images", each.file, each.sha256),
            ("cut", each.cutout, each.cutout_sha256),
            ("under", each.background, each.background_sha256),
        ):
            assert hashlib.sha256((place / folder / file).read_bytes()).hexdigest() == sha256
        assert each.cutout.startswith(f"{each.class_name}/")


def test_the_picture_shows_its_cut_out_where_it_is_said_to_lie(place: Path) -> None:
    out = made(place)
    for each in provenance(out).images:
        pixels = np.asarray(Image.open(out / "images" / each.file)).astype(int)
        channel = 0 if each.class_name == "disc" else 1
        shown = pixels[..., channel] - pixels[..., 1 - channel] > 90
        left, top, right, bottom = (min(max(end, 0), 64) for end in each.box_px)
        assert shown[top:bottom, left:right].mean() > 0.3 and shown.sum() == shown[top:bottom, left:right].sum()


def test_no_cut_out_and_no_background_is_used_more_often_than_another(place: Path) -> None:
    images = provenance(made(place, images_per_class=10)).images
    assert dict(Counter(each.class_name for each in images)) == {"disc": 10, "square": 10}
    assert set(Counter(each.cutout for each in images).values()) == {3, 4}
    under = {name: [each.background for each in images if each.class_name == name] for name in ("disc", "square")}
    assert under["disc"] == under["square"], "no background tells a class"
    assert set(Counter(under["disc"]).values()) == {2, 3}


def test_another_class_or_more_pictures_leave_the_first_as_they_are(place: Path) -> None:
    few, many = made(place, "few"), made(place, "many", images_per_class=9)
    assert files_of(few / "images").items() <= files_of(many / "images").items()


def test_made_images_have_the_role_train_alone(place: Path) -> None:
    source = open_made(made(place))
    assert {role: len(source.entries(role)) for role in SPLIT_ROLES} == {
        "train": 12,
        "calibration": 0,
        "validation": 0,
        "test": 0,
    }
    assert source.read(source.entries("train")[0]).size == (64, 64)


def test_what_decides_the_bytes_is_in_the_key_and_where_it_lies_is_not(place: Path) -> None:
    versions = {"pillow": "1"}
    key = stage_of(synthesis_in(place)).key(versions)
    (place / "under").rename(place / "moved")
    moved = {"backgrounds": str(place / "moved")}
    assert stage_of(synthesis_in(place, **moved)).key(versions) == key
    changes: list[dict[str, object]] = [{"seed": 1}, {"scale": (0.1, 0.2)}, {"size_px": 96}, {"images_per_class": 7}]
    others = [stage_of(synthesis_in(place, **moved), **change).key(versions) for change in changes]
    others.append(stage_of(synthesis_in(place, **moved)).key({"pillow": "2"}))
    cut(place / "cut" / "disc" / "9.png", (1, 1, 1))
    others.append(stage_of(synthesis_in(place, **moved)).key(versions))
    assert len({key, *others}) == 7


def test_every_picture_that_is_no_cut_out_is_named_before_any_is_made(place: Path) -> None:
    Image.new("RGB", (40, 40), "red").save(place / "cut" / "disc" / "photo.jpg")
    Image.new("RGBA", (40, 40), "red").save(place / "cut" / "square" / "opaque.png")
    whole = (place / "cut" / "disc" / "0.png").read_bytes()
    (place / "cut" / "disc" / "torn.png").write_bytes(whole[: len(whole) // 2] + b"IEND")
    with pytest.raises(EdgecnnError, check=CUTOUTS_UNUSABLE.made) as caught:
        made(place)
    assert {path for path, _ in caught.value.fields["broken"]} == {"disc/photo.jpg", "square/opaque.png", "disc/torn.png"}
    assert not list((place / "out").iterdir())


def test_a_bomb_among_cut_outs_is_not_decoded(place: Path) -> None:
    stream = place / "cut" / "disc" / "bomb.png"
    header = b"\x00\x01\x86\xa0\x00\x01\x86\xa0\x08\x06\x00\x00\x00"  # 100,000 × 100,000, RGBA
    with stream.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        PngImagePlugin.putchunk(file, b"IHDR", header)
        PngImagePlugin.putchunk(file, b"IEND")
    aged(stream)
    skipped = synthesis_in(place).cutouts.skipped
    assert len(skipped) == 1 and skipped[0].startswith("disc/bomb.png: more than 178,956,970 pixels")


def test_a_background_that_breaks_off_is_named(place: Path) -> None:
    torn = place / "under" / "torn.png"
    Image.effect_noise((80, 80), 90).save(torn)
    whole = torn.read_bytes()
    torn.write_bytes(whole[: len(whole) // 2] + b"IEND")  # with an end, which a first look finds
    aged(torn)
    with pytest.raises(CorruptImages, match=r"torn\.png"):
        made(place)


def test_a_file_that_changes_meanwhile_is_not_composed(place: Path) -> None:
    synthesis = synthesis_in(place)
    cut(place / "cut" / "disc" / "0.png", (4, 4, 4))
    (place / "out").mkdir()
    with pytest.raises(EdgecnnError, check=IMAGE_CHANGED.made):
        stage_of(synthesis).make(roles(synthesis), place / "out", Heard())


def test_a_damaged_list_is_our_own_fault(place: Path) -> None:
    out = made(place)
    (out / "synthesis.json").write_text("{}")
    with pytest.raises(EdgecnnError, check=MANIFEST_UNREADABLE.made):
        open_made(out)


def test_a_picture_by_itself_is_the_one_of_the_whole(place: Path) -> None:
    synthesis = synthesis_in(place)
    out, settings = made(place), stage_of(synthesis)
    composer = Composer(*roles(synthesis).values(), settings)
    last = composer.planned[-1]
    alone = np.asarray(composer.compose(last)[0].picture)
    assert np.array_equal(alone, np.asarray(Image.open(out / "images" / last.file)))
