"""Pictures that look alike are found, and others are not, however many there are."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from edgecnn.data.fingerprints import MAX_BITS, MAX_LEVELS, fingerprint_of, hash_bits, near_groups
from tests.data.folders import Heard


def scene(seed: int, size: tuple[int, int] = (240, 180)) -> Image.Image:
    """Large soft patches, as photographs have them."""
    patches = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def groups_of(*pictures: bytes) -> list[list[int]]:
    return near_groups(np.stack([fingerprint_of(data).small for data in pictures]), Heard())


CHANGES = {
    "quality 30": lambda image: encoded(image, quality=30),
    "half as wide": lambda image: encoded(image.resize((image.width // 2, image.height // 2))),
    "as PNG": lambda image: encoded(image, "PNG"),
    "as WebP": lambda image: encoded(image, "WEBP", quality=70),
    "1 % cut off": lambda image: encoded(image.crop((2, 2, image.width - 2, image.height - 2))),
    "a little blurred": lambda image: encoded(image.filter(ImageFilter.GaussianBlur(1))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_is_known_again(change: str) -> None:
    assert groups_of(*(encoded(scene(seed)) for seed in range(20)), CHANGES[change](scene(7))) == [[7, 20]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_that_is_stored_turned_is_the_upright_one(orientation: int) -> None:
    turns = [None, None, 0, 3, 1, 5, 2, 6, 4]  # Pillow's Transpose that undoes each EXIF orientation's own
    stored = scene(1) if turns[orientation] is None else scene(1).transpose(Image.Transpose(turns[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("JPEG", "PNG"):
        look = fingerprint_of(encoded(stored, kind, exif=exif))
        assert look.orientation == orientation
        assert near_groups(np.stack([fingerprint_of(encoded(scene(1))).small, look.small]), Heard()) == [[0, 1]], kind


def test_the_same_shape_in_another_colour_is_another_picture() -> None:
    red, blue = (Image.merge("RGB", bands) for bands in (scene(3).split(), scene(3).split()[::-1]))
    assert groups_of(encoded(red), encoded(blue)) == []


def test_plain_pictures_are_told_apart_by_their_colour() -> None:
    plain = [encoded(Image.new("RGB", (40, 40), (level, level, level))) for level in (20, 60, 100)]
    assert groups_of(*plain, plain[1]) == [[1, 3]]


def test_no_picture_and_one_picture_have_no_group() -> None:
    assert near_groups(np.zeros((0, 18, 18, 3), np.uint8), Heard()) == []
    assert groups_of(encoded(scene(1))) == []


def all_pairs(small: np.ndarray) -> list[list[int]]:
    """What the words of ``near`` say, the slow way."""
    bits = hash_bits(small)
    group = list(range(len(small)))
    for one in range(len(small)):
        for other in range(one):
            levels = np.abs(small[one].astype(int) - small[other]).mean()
            if (bits[one] != bits[other]).sum() <= MAX_BITS and levels <= MAX_LEVELS:
                group = [group[other] if number == group[one] else number for number in group]
    return sorted(sorted(n for n, g in enumerate(group) if g == name) for name in set(group) if group.count(name) > 1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 90), noise=st.integers(0, 14), scenes=st.integers(1, 30))
def test_the_groups_are_those_of_comparing_every_pair(seed: int, count: int, noise: int, scenes: int) -> None:
    random = np.random.default_rng(seed)
    bases = random.integers(0, 256, (scenes, 18, 18, 3))
    small = np.clip(bases[random.integers(0, scenes, count)] + random.integers(-noise, noise + 1, (count, 18, 18, 3)), 0, 255)
    assert near_groups(small.astype(np.uint8), Heard()) == all_pairs(small.astype(np.uint8))


def test_pieces_find_what_all_pairs_would_among_many() -> None:
    random = np.random.default_rng(1)
    small = random.integers(0, 256, (3000, 18, 18, 3), dtype=np.uint8)
    noisy = np.clip(small[:50].astype(int) + random.integers(-3, 4, (50, 18, 18, 3)), 0, 255).astype(np.uint8)
    heard = Heard()
    assert near_groups(np.concatenate([small, noisy]), heard) == [[number, 3000 + number] for number in range(50)]
    what, done, total, unit = heard.steps[-1]
    assert (what, done, unit) == ("comparing pictures", total, "pairs")
    assert total is not None and total < 3050 * 3049 // 2 / 20, "far fewer than all pairs"


def test_frames_of_a_camera_that_stands_still_are_one_group() -> None:
    frames = np.clip(150 + np.random.default_rng(2).integers(-2, 3, (1500, 18, 18, 3)), 0, 255).astype(np.uint8)
    frames[:, :9] -= 100
    frames[:, :, :9] += 50
    frames[:, ::2, ::3] += 40
    assert [len(group) for group in near_groups(frames, Heard())] == [1500]


def test_pictures_whose_hashes_differ_in_every_piece_are_found_still() -> None:
    """Twelve bits of 128 can be spread over all eight pieces: then some piece differs in one bit, and none has to be equal."""
    random = np.random.default_rng(4)
    spread = 0
    while spread < 5:
        cells = random.integers(110, 140, (2, 9, 9, 1)) // 6 * 6
        cells[1] = cells[0] + random.integers(-4, 5, (9, 9, 1))
        small = np.repeat(np.repeat(np.repeat(cells, 2, axis=1), 2, axis=2), 3, axis=3).astype(np.uint8)
        differ = (hash_bits(small)[0] != hash_bits(small)[1]).reshape(16, 8)
        if differ.sum() <= MAX_BITS and differ.any(axis=0).all():
            spread += 1
            assert near_groups(small, Heard()) == [[0, 1]]
