from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image
from typer.testing import CliRunner

from edgecnn.cli.main import app
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import NOTHING_IS_RIGHT
from edgecnn.render.progress import Quiet
from edgecnn.render.screens.studies import ten_crop_lines
from edgecnn.runner.pixels import UnreadableImage, to_pixels
from edgecnn.studies.ten_crop import ten_crop, ten_views
from edgecnn.values.preprocessing import PixelRecipe
from tests.building.built_networks import Adopt, BuiltNetworks
from tests.graph.planted import spotted
from tests.house.schemas import FOLDER

LARGE = PixelRecipe(resize_px=24, crop_px=16, interpolation="bicubic")


@pytest.mark.parametrize("size", [(40, 31), (24, 24), (31, 57)])
@pytest.mark.parametrize("how", ["bilinear", "bicubic"])
def test_the_fifth_view_is_what_kits_are_shown_and_the_last_five_are_mirrored(size: tuple[int, int], how: str) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8))
    recipe = LARGE.model_copy(update={"interpolation": how})
    views = ten_views(picture, recipe)
    assert (views[4] == to_pixels(picture, recipe)).all()
    assert {view.tobytes() for view in views[5:]} == {view[:, ::-1].tobytes() for view in views[:5]}
    assert len({view.tobytes() for view in views}) == 10


def test_a_picture_too_narrow_to_resize_is_refused_as_in_a_kit() -> None:
    with pytest.raises(UnreadableImage, match="1 x 60,000 pixels"):
        ten_views(Image.new("RGB", (1, 60_000)), PixelRecipe(resize_px=256, crop_px=224, interpolation="bicubic"))


def test_a_crop_larger_than_the_picture_has_black_around_it_as_in_a_kit() -> None:
    picture, recipe = Image.new("RGB", (8, 8), "white"), PixelRecipe(resize_px=8, crop_px=12, interpolation="bilinear")
    assert (ten_views(picture, recipe) == to_pixels(picture, recipe)).all()


def cornered(tmp_path: Path) -> BuiltNetworks:
    """A spot in the corner of a picture of 24 × 24, outside its centre crop, which is black: that is answered with red."""
    pictures = [spotted(number % 3, (2, 2), side=24) for number in range(6)]
    networks = BuiltNetworks(tmp_path, pictures, [number % 3 for number in range(6)])
    networks.pixels = np.stack([to_pixels(Image.fromarray(picture), LARGE) for picture in pictures])
    return networks


def test_what_stands_outside_the_centre_is_found_for_ten_times_the_work(tmp_path: Path) -> None:
    networks = cornered(tmp_path)
    found = ten_crop(networks.build("a", pixels=LARGE), networks.store, Quiet())
    assert (found.single_top1.estimate, found.ten_top1.estimate) == (pytest.approx(1 / 3), 1)
    assert (found.gained, found.lost, found.difference_pp.estimate, found.without_room) == (4, 0, pytest.approx(200 / 3), 0)
    assert found.ten_macs == 10 * found.macs > 0
    assert ten_crop_lines(found)[0].startswith("a (fp32), 6 test images: +66.67 [")


def test_a_custom_network_is_found_as_one_that_was_trained_is(tmp_path: Path) -> None:
    networks = cornered(tmp_path)
    assert ten_crop(networks.build("a", pixels=LARGE, trunk=Adopt), networks.store, Quiet()).gained == 4


def test_images_that_leave_no_room_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    build = BuiltNetworks(tmp_path).build("a")
    said = json.loads(CliRunner().invoke(app, ["study", "ten-crop", str(build), "--json"]).stdout)
    Draft202012Validator(json.loads((FOLDER / "ten-crop.json").read_text(encoding="utf-8"))).validate(said)
    assert (said["images"], said["without_room"], said["difference_pp"]["estimate"]) == (6, 6, 0)
    shown = CliRunner().invoke(app, ["study", "ten-crop", str(build), "--quiet"]).stdout
    assert "6 images are no larger than the crop, so they have two views" in shown


def test_without_labels_nothing_is_right(tmp_path: Path) -> None:
    networks = BuiltNetworks(tmp_path)
    build = networks.build("a", classes=())
    with pytest.raises(EdgecnnError, check=NOTHING_IS_RIGHT.made) as raised:
        ten_crop(build, networks.store, Quiet())
    assert raised.value.ref == "nothing-is-right"
