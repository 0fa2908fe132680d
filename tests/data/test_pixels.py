import errno
from pathlib import Path

import numpy as np
import pytest

from edgecnn.data.images import open_source
from edgecnn.data.manifest import summarize
from edgecnn.data.prepared import reserve_pixels
from edgecnn.errors.data import CorruptImages
from edgecnn.planning.preprocessing_search import _decode
from edgecnn.training.material import DecodedImages
from edgecnn.values.dataset import SPLIT_ROLES
from edgecnn.values.preprocessing import PixelRecipe
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, draw, fill
from tests.store.small_disks import needs_mount, said_on


def test_reserved_pixels_have_their_blocks_on_the_disk_before_they_are_filled(tmp_path: Path) -> None:
    pixels = reserve_pixels(tmp_path / "a.npy", (100, 64, 64, 3))
    facts = (tmp_path / "a.npy").stat()
    assert facts.st_blocks * 512 >= facts.st_size > pixels.nbytes
    pixels[99] = 7
    pixels.flush()
    assert np.load(tmp_path / "a.npy")[99].min() == 7


ON_A_SMALL_DISK = """
import json, sys
from pathlib import Path
from edgecnn.data.images import open_source
from edgecnn.data.manifest import summarize
from edgecnn.render.progress import Quiet
from edgecnn.training.material import DecodedImages
from edgecnn.values.preprocessing import PixelRecipe
from edgecnn.values.recipe import DataChoice

source = open_source(Path(summarize(DataChoice(path="demo"), Path(sys.argv[2]), Quiet()).manifest_path))
images = DecodedImages(source, source.entries("train"), PixelRecipe(resize_px=64, crop_px=64, interpolation="bilinear"))
try:
    images.hold(Path(sys.argv[1]) / "images.npy", Quiet())
except OSError as error:
    print(json.dumps(error.errno))
"""


@needs_mount
def test_decoded_images_that_find_no_room_are_an_error_and_no_signal(tmp_path: Path) -> None:
    for name in ("disk", "store"):
        (tmp_path / name).mkdir()
    disks = {tmp_path / "disk": "8m"}
    assert said_on(disks, ON_A_SMALL_DISK, str(tmp_path / "disk"), str(tmp_path / "store")) == errno.ENOSPC


def test_an_image_too_narrow_for_its_size_is_told_wherever_pixels_are_made(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"train/cat": 4, "train/dog": 4, "val/cat": 2, "val/dog": 2, "test/cat": 2, "test/dog": 2})
    draw(photos / "train" / "cat" / "thread.png", 90, (1, 20_000))
    summary = summarize(DataChoice(path=str(photos), calibration_images=2), tmp_path / "store", Heard())
    source, recipe = open_source(Path(summary.manifest_path)), PixelRecipe(resize_px=256, crop_px=224, interpolation="bicubic")
    (entry,) = (image for role in SPLIT_ROLES for image in source.entries(role) if image.path.endswith("thread.png"))
    text = "1 of 1 images in .* cannot be decoded: train/cat/thread.png: 1 x 20,000 pixels would be 256 x 5,120,000 when resized"
    with pytest.raises(CorruptImages, match=text):
        DecodedImages(source, [entry], recipe).read([0])
    with pytest.raises(CorruptImages, match=text):
        _decode(source, [entry], recipe)
    with pytest.raises(CorruptImages, match=text):
        source.pixels(entry, recipe.runner_recipe())
