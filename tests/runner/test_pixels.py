from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from torchvision.transforms import InterpolationMode, v2

import edgecnn
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import PixelRecipe, UnreadableImage, pixels_sha256, to_feed, to_pixels
from tests.runner.pythons import environment_with

LEVELS = np.random.default_rng(3).integers(0, 256, (40, 61, 3), dtype=np.uint8)
RED, BLUE = (255, 0, 0), (0, 0, 255)


def picture(width: int = 61, height: int = 40) -> Image.Image:
    return Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(61, 40), (40, 61), (33, 33), (64, 64), (500, 333), (333, 501), (20, 300), (64, 97), (7, 5)])
@pytest.mark.parametrize(("resize", "crop"), [(64, 56), (64, 64), (73, 64), (37, 30), (40, 64), (33, 47)])
def test_pixels_are_exactly_torchvisions_on_pil_images(size: tuple[int, int], resize: int, crop: int, interpolation: str) -> None:
    image = picture(*size)
    theirs = v2.Compose([v2.Resize(resize, InterpolationMode(interpolation)), v2.CenterCrop(crop)])(image)
    assert np.array_equal(
        to_pixels(image, PixelRecipe(ImageSize.square(resize), ImageSize.square(crop), interpolation)), np.asarray(theirs)
    )


FRAME = ImageSize(48, 192)


@pytest.mark.parametrize("size", [(400, 100), (800, 100), (200, 200), (61, 40), (90, 400), (192, 48)])
def test_a_rectangle_is_covered_and_its_centre_is_taken(size: tuple[int, int]) -> None:
    image = picture(*size)
    made = to_pixels(image, PixelRecipe(FRAME, FRAME, "bilinear"))
    width, height = (192, int(192 * size[1] / size[0])) if 4 * size[1] >= size[0] else (int(48 * size[0] / size[1]), 48)
    theirs = v2.Compose([v2.Resize((height, width), InterpolationMode.BILINEAR), v2.CenterCrop((48, 192))])(image)
    assert np.array_equal(made, np.asarray(theirs))


@pytest.mark.parametrize("size", [(400, 100), (800, 100), (200, 200), (61, 40), (90, 400), (192, 48)])
def test_a_letterbox_holds_all_of_the_picture_in_the_middle_of_its_border(size: tuple[int, int]) -> None:
    image = picture(*size)
    made = to_pixels(image, PixelRecipe(FRAME, FRAME, "bicubic", "letterbox", (1, 2, 3)))
    inside = ImageOps.contain(image, (192, 48), Image.Resampling.BICUBIC)
    wanted = Image.new("RGB", (192, 48), (1, 2, 3))
    wanted.paste(inside, ((192 - inside.width) // 2, (48 - inside.height) // 2))
    assert np.array_equal(made, np.asarray(wanted))


def test_a_letterbox_of_a_thread_is_a_pixel_high() -> None:
    made = to_pixels(Image.new("RGB", (2000, 1), RED), PixelRecipe(FRAME, FRAME, "bicubic", "letterbox", BLUE))
    assert (made == RED).all(axis=2).any(axis=1).sum() == 1


@pytest.mark.parametrize("size", [(400, 100), (300, 100), (1200, 100), (61, 40), (3, 400), (150, 48), (192, 48)])
def test_a_line_has_the_frames_height_and_begins_at_its_left(size: tuple[int, int]) -> None:
    image = picture(*size)
    made = to_pixels(image, PixelRecipe(FRAME, FRAME, "bilinear", "line", (1, 2, 3)))
    width = min(192, math.ceil(48 * (size[0] / size[1])))  # PaddleOCR's own rule
    wanted = Image.new("RGB", (192, 48), (1, 2, 3))
    wanted.paste(image.resize((width, 48), Image.Resampling.BILINEAR) if (width, 48) != size else image, (0, 0))
    assert np.array_equal(made, np.asarray(wanted))


def test_a_stretched_picture_has_the_frames_shape() -> None:
    image = picture(61, 40)
    made = to_pixels(image, PixelRecipe(FRAME, FRAME, "bilinear", "stretch"))
    assert np.array_equal(made, np.asarray(v2.Resize((48, 192), InterpolationMode.BILINEAR)(image)))


@pytest.mark.full  # installs an old Pillow from the package index
def test_an_old_pillow_makes_the_same_pixels(tmp_path: Path) -> None:
    python = environment_with(tmp_path / "env", "pillow<12", "numpy")
    assert portrait_digests(python) == portrait_digests(Path(sys.executable))


def portrait_digests(python: Path) -> str:
    """The digests of tall pictures, stretched, by a kit's own runner."""
    made = """
import numpy as np
from PIL import Image
from runner.pixels import ImageSize, PixelRecipe, pixels_sha256, to_pixels
for width, height in ((341, 512), (288, 512), (200, 700), (100, 300)):
    stripes = np.arange(3 * width * height).reshape(height, width, 3) // 128 % 2 * 255
    image = Image.fromarray(stripes.astype(np.uint8))
    for how in ("bilinear", "bicubic"):
        print(pixels_sha256(to_pixels(image, PixelRecipe(ImageSize(224, 224), ImageSize(224, 224), how, "stretch"))))
"""
    words, folder = [str(python), "-c", made], Path(edgecnn.__file__).parent
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_a_size_is_a_side_or_height_by_width() -> None:
    assert [ImageSize.of(size) for size in (224, "224", "48x192", FRAME)] == [(224, 224), (224, 224), (48, 192), (48, 192)]
    assert (ImageSize.of("48X192").stated, ImageSize.square(7).stated, str(FRAME)) == ("48x192", 7, "48x192")
    for wrong in (0, "0x3", "48×192", "48x", True, 22.5, "", None, "4x4x4", -3):
        with pytest.raises(ValueError, match="is neither a side in pixels nor HEIGHTxWIDTH, such as 48x192"):
            ImageSize.of(wrong)


def test_pixels_are_contiguous_and_may_be_written_to() -> None:
    pixels = to_pixels(picture(), PixelRecipe(ImageSize.square(32), ImageSize.square(24), "bilinear"))
    assert (pixels.shape, pixels.dtype, pixels.flags.c_contiguous, pixels.flags.writeable) == ((24, 24, 3), np.uint8, True, True)


def test_a_picture_too_narrow_to_resize_is_refused_before_memory_is_asked_for() -> None:
    with pytest.raises(UnreadableImage, match="1 x 60,000 pixels"):
        to_pixels(Image.new("RGB", (1, 60_000)), PixelRecipe(ImageSize.square(256), ImageSize.square(224), "bicubic"))


def test_the_digest_of_pixels_knows_their_shape_and_type() -> None:
    pixels = np.arange(24, dtype=np.uint8)
    arrays = [pixels, pixels.reshape(2, 4, 3), pixels.reshape(4, 2, 3), pixels.view(np.int8)]
    assert len({pixels_sha256(array) for array in arrays}) == 4


def test_the_digest_of_pixels_does_not_know_how_they_lie_in_memory() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert pixels_sha256(np.asfortranarray(pixels)) == pixels_sha256(pixels)


def test_a_float_feed_is_the_normalized_pixels() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pixels = LEVELS[None, :32, :32]
    feed = to_feed(pixels, "float32", "NCHW", mean, std)
    exact = ((pixels / 255.0 - mean) / std).transpose(0, 3, 1, 2)
    assert (feed.shape, feed.dtype, feed.flags.c_contiguous) == ((1, 3, 32, 32), np.float32, True)
    assert np.abs(feed - exact).max() < 1e-6
    assert np.array_equal(to_feed(pixels, "float32", "NHWC", mean, std), feed.transpose(0, 2, 3, 1))


@pytest.mark.parametrize(("layout", "shape"), [("NHWC", (2, 40, 61, 3)), ("NCHW", (2, 3, 40, 61))])
def test_a_uint8_feed_is_the_pixels_themselves(layout: str, shape: tuple[int, ...]) -> None:
    feed = to_feed(np.stack([LEVELS, LEVELS]), "uint8", layout)
    assert (feed.shape, feed.dtype, feed.flags.c_contiguous) == (shape, np.uint8, True)
    assert np.array_equal(feed[1] if layout == "NHWC" else feed[1].transpose(1, 2, 0), LEVELS)
