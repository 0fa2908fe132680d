from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import FOLDER_OF_OTHER_FILES, OUTPUT_UNWRITABLE
from edgecnn.errors.fit import NETWORK_GONE
from edgecnn.graph.custom.onnx_trunk import convert_to_trunk
from edgecnn.render.progress import Quiet
from edgecnn.studies.facts import FeaturePictures
from edgecnn.studies.look import LookRequest, look_into
from edgecnn.values.custom_model import GraphEntry
from tests.building.built_networks import BuiltNetworks
from tests.graph.planted import SIDE, planted


def looked(networks: BuiltNetworks, build: Path, images: int = 1, channels: int = 16) -> FeaturePictures:
    return look_into(build, build / "look", LookRequest(images, channels), networks.store, Quiet())


@pytest.fixture
def networks(tmp_path: Path) -> BuiltNetworks:
    return BuiltNetworks(tmp_path)


def test_a_planted_channel_is_shown_what_excites_it_and_where(networks: BuiltNetworks) -> None:
    found = looked(networks, networks.build("a"), images=2)
    first, second = found.maps
    assert [each.channel for each in first.drawn] == [0, 1, 2] and first.constant_channels == 1
    green = first.drawn[1].strongest
    assert [(each.file, each.class_name) for each in green] == [("green/1.png", "green"), ("green/4.png", "green")]
    assert (green[0].row, green[0].column, green[0].activation) == (3, 12, pytest.approx(1))
    assert (green[0].top_px, green[0].left_px, green[0].side_px) == (2, 11, 3), "the spot, and nothing around it"
    assert (second.receptive_field_px, second.jump_px) == (5, 2)


def test_what_is_drawn_of_a_channel_is_the_image_part_itself(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    name = looked(networks, build).maps[0].picture
    with Image.open(build / "look" / name) as sheet:
        colours = sheet.convert("RGB").getcolors(1 << 24) or []
    assert {(255, 0, 0), (0, 255, 0), (0, 0, 255)} <= {colour for _, colour in colours}


def test_a_part_at_the_border_lies_inside_the_image(networks: BuiltNetworks) -> None:
    for each in looked(networks, networks.build("a"), images=25).maps:
        for one in (one for channel in each.drawn for one in channel.strongest):
            assert 0 <= one.left_px <= SIDE - one.side_px and 0 <= one.top_px <= SIDE - one.side_px


def test_filters_are_drawn_in_the_images_colours_also_where_blue_comes_first(networks: BuiltNetworks) -> None:
    entry = GraphEntry(
        input="image", layout="NCHW", dtype="float32", resolution_px=SIDE, batch=None, output="logits", classes=3,
        ends_in_softmax=False, opset=20,
    )  # fmt: skip
    blue_first = convert_to_trunk(planted(), entry, "bgr", Path("a.onnx"))
    for name, model, corner in (("a", planted(), (255, 0, 0)), ("b", blue_first, (0, 0, 255))):
        build = networks.build(name, model)
        found = looked(networks, build)
        assert found.filters is not None and found.filters.filters == 4
        assert np.load(build / "look" / found.filters.weights).shape == (4, 3, 3, 3)
        with Image.open(build / "look" / found.filters.picture) as sheet:
            assert sheet.convert("RGB").getpixel((20, 20)) == corner


def test_a_second_look_takes_the_place_of_the_first_and_of_nothing_else(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    looked(networks, build)
    (build / "look" / "map-9-1x1.png").write_bytes(b"")
    assert len(looked(networks, build, channels=1).maps[0].drawn) == 1
    assert not (build / "look" / "map-9-1x1.png").exists()
    mine = networks.folder / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    with pytest.raises(EdgecnnError, check=FOLDER_OF_OTHER_FILES.made):
        look_into(build, mine, LookRequest(1, 1), networks.store, Quiet())


def test_a_place_that_no_file_system_has_is_refused_in_one_line(networks: BuiltNetworks) -> None:
    long = networks.folder / ("é" * 200)
    with pytest.raises(EdgecnnError, match="(?i)file name too long", check=OUTPUT_UNWRITABLE.made):
        look_into(networks.build("a"), long, LookRequest(1, 1), networks.store, Quiet())


def test_a_list_of_images_that_is_gone_takes_their_names_alone(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    networks.manifest.unlink()
    one = looked(networks, build).maps[0].drawn[0].strongest[0]
    assert (one.file, one.class_name) == (None, "red")


def test_a_network_that_the_store_lost_is_made_again_by_its_command(networks: BuiltNetworks) -> None:
    build = networks.build("a")
    key = json.loads((build / "report.json").read_text())["keys"]["export"]
    (networks.store.layout.entry("export", key) / "files" / "model.onnx").unlink()
    with pytest.raises(EdgecnnError, check=NETWORK_GONE.made) as raised:
        looked(networks, build)
    assert raised.value.ref == "network-gone"
