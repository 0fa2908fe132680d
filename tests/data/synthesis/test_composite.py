"""A cut-out on a background: no rim of what lies under its transparency, no hard edge that is always the same, no bomb."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from edgecnn.data.composing import compose_image, draw_numbers, read_background, read_cutout
from edgecnn.runner.pixels import UnreadableImage
from edgecnn.values.synthesis import SynthesisSettings

SIZE_PX = 96


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def white_disc(hidden: tuple[int, int, int], side: int = 200) -> bytes:
    across = np.arange(side) - side / 2
    inside = across[:, None] ** 2 + across**2 < (0.4 * side) ** 2
    pixels = np.full((side, side, 4), (*hidden, 0), np.uint8)
    pixels[inside] = 255
    return png(Image.fromarray(pixels))


def settings_with(**changes: object) -> SynthesisSettings:
    plain = {"size_px": SIZE_PX, "scale": (0.5, 0.5), "feather_px": (0, 0), "blur_px": (0, 0), "degrees": (-20, 20)}
    return SynthesisSettings.model_validate({**plain, **changes})


def made(data: bytes, settings: SynthesisSettings, name: str = "a:0", under: str = "yellow") -> tuple[np.ndarray, object]:
    composite = compose_image(
        read_cutout(data, SIZE_PX), Image.new("RGB", (300, 200), under), draw_numbers(settings, name), settings
    )
    return np.asarray(composite.picture).astype(int), composite


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 0, 255)])
@pytest.mark.parametrize("feather_px", [0.0, 1.5, 5.0])
def test_nothing_of_what_lies_under_the_transparency_shows(hidden: tuple[int, int, int], feather_px: float) -> None:
    """White on yellow: red and green are full everywhere, whatever the edge does."""
    pixels, _ = made(white_disc(hidden), settings_with(feather_px=(feather_px, feather_px)))
    assert pixels[..., :2].min() >= 254 and pixels[..., 2].max() == 255 and pixels[..., 2].min() == 0


def test_a_softer_edge_has_more_levels_between() -> None:
    between = [
        int(((pixels[..., 2] > 8) & (pixels[..., 2] < 247)).sum())
        for sigma in (0.0, 1.5, 4.0)
        for pixels, _ in [made(white_disc((0, 0, 0)), settings_with(feather_px=(sigma, sigma), degrees=(0, 0)))]
    ]
    assert between[0] < between[1] < between[2]


def test_glass_stays_glass() -> None:
    pane = Image.new("RGBA", (100, 100))
    pane.paste((255, 255, 255, 128), (10, 10, 90, 90))
    pixels, _ = made(png(pane), settings_with(feather_px=(2.0, 2.0), degrees=(0, 0)))
    assert 120 <= pixels[..., 2].max() <= 136, "half of the white, half of the yellow"


def test_what_is_thinner_than_its_soft_edge_does_not_vanish() -> None:
    thread = Image.new("RGBA", (200, 200))
    thread.paste((255, 255, 255, 255), (20, 99, 180, 101))
    pixels, box = made(png(thread), settings_with(feather_px=(6.0, 6.0), degrees=(0, 0)))
    assert pixels[..., 2].max() > 100 and box.visible > 0.9  # type: ignore[attr-defined]


def test_ranges_are_kept_and_the_box_says_where_it_lies() -> None:
    settings = settings_with(scale=(0.3, 0.8), outside=0.25, degrees=(-30, 10), feather_px=(0, 2))
    shares, degrees = [], []
    for number in range(60):
        pixels, box = made(white_disc((0, 0, 0)), settings, f"disc:{number}")
        left, top, right, bottom = box.box_px  # type: ignore[attr-defined]
        width, height = right - left, bottom - top
        assert left >= -0.25 * width - 1 and right <= SIZE_PX + 0.25 * width + 1
        assert top >= -0.25 * height - 1 and bottom <= SIZE_PX + 0.25 * height + 1
        white = np.argwhere(pixels[..., 2] > 60)
        low, high = white.min(axis=0), white.max(axis=0)
        assert abs(low[0] - max(top, 0)) <= 3 and abs(high[1] - min(right, SIZE_PX)) <= 3
        numbers = draw_numbers(settings, f"disc:{number}")
        shares.append(numbers.scale)
        degrees.append(numbers.degrees)
        assert abs(max(width, height) - numbers.scale * SIZE_PX) <= 5, "a disc is as wide turned as not"
    assert 0.3 <= min(shares) < 0.4 < 0.7 < max(shares) <= 0.8 and -30 <= min(degrees) < 0 < max(degrees) <= 10


def test_numbers_follow_from_seed_and_name_alone() -> None:
    assert draw_numbers(settings_with(), "disc:1") == draw_numbers(settings_with(), "disc:1")
    assert (
        len({draw_numbers(settings_with(scale=(0.1, 0.9), seed=seed), name) for seed in (0, 1) for name in ("disc:1", "disc:2")})
        == 4
    )


def test_a_positive_turn_is_clockwise() -> None:
    half = Image.new("RGBA", (120, 120))
    half.paste((255, 255, 255, 255), (10, 10, 110, 60))  # longer than high
    pixels, _ = made(png(half), settings_with(scale=(0.8, 0.8), degrees=(40, 40)))
    rows, columns = np.nonzero(pixels[..., 2] > 128)
    assert np.corrcoef(rows, columns)[0, 1] > 0.5, "its right end is lower"


def test_a_large_background_is_averaged_down_before_it_is_kept() -> None:
    large = Image.effect_noise((1600, 1000), 60).convert("RGB")
    assert read_background(png(large), SIZE_PX).size == (307, 192)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (Image.new("RGB", (30, 30), "red"), "it has no alpha channel"),
        (Image.new("RGBA", (30, 30), "red"), "it is fully opaque, so its whole rectangle would be pasted"),
        (Image.new("RGBA", (30, 30), (255, 0, 0, 2)), "it is fully transparent"),
    ],
)
def test_what_is_no_cut_out_says_why(image: Image.Image, why: str) -> None:
    with pytest.raises(UnreadableImage) as caught:
        read_cutout(png(image), SIZE_PX)
    assert caught.value.why == why


def test_a_palette_with_a_transparent_colour_is_a_cut_out() -> None:
    image = Image.new("P", (20, 20), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.paste(1, (5, 5, 15, 15))
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=0)
    assert read_cutout(stream.getvalue(), SIZE_PX).size == (10, 10)
