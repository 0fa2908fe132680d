"""Pictures that look alike, found without comparing every one with every other.

Two hashes of 128 bits, in eight pieces of 16, that differ in at most 15 bits differ in at most one bit of some piece (the
pigeonhole principle; Norouzi, Punjani and Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012). So only
pictures with such a piece are compared, or all with all where that is fewer pairs. What is found so is then held against the
small copies, since plain pictures have poor hashes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image

from edgecnn.runner.pixel_recipe import ALL_LEVELS
from edgecnn.runner.pixels import MAX_PIXELS, UnreadableImage, decode, levels_of, open_picture
from edgecnn.values.stage import Progress

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.int64]
    Pieces = npt.NDArray[np.uint16]
    Small = npt.NDArray[np.uint8]


MAX_BITS: Final = 15
MAX_LEVELS: Final = 5.0
"""Mean difference of the small copies, in levels of 255. On 3,409 photographs of clothing, each of 300 was known again after
JPEG at quality 15 and after halving, 98 % of them after 1 % was cut off every side; the closest two different ones are at 8.2."""
_PIECES: Final = 8
_PAIRS_AT_ONCE: Final = 1 << 20
_VERIFIED_AT_ONCE: Final = 1 << 13


def near_groups(small: Small, tell: Progress) -> list[list[int]]:
    """Groups of pictures that look alike, each sorted, in the order of their first ones; most pictures are in none.

    Alike is handed on: the first and the last of a group need not be. Pictures whose small copies are the same to the byte are
    alike too.

    ``small``: uint8 (N, 18, 18, 3), as ``looks.look_at`` makes them; N may be 0. ``tell``: shown how many pairs were compared.
    """
    if not len(small):
        return []
    _, first, same_as = np.unique(small.reshape(len(small), -1), axis=0, return_index=True, return_inverse=True)
    joined_groups = _Groups(small[first])
    bits = hash_bits(small[first])
    hashes = np.packbits(bits, axis=1).view(np.uint64)
    keys = _keys(bits)
    total, compared = sum(_count_pairs(key, mask) for key, mask in keys), 0
    if total > len(bits) ** 2 // 2:
        keys, total = [(np.zeros(len(bits), np.uint16), 0)], len(bits) * (len(bits) - 1) // 2
    for left, right in (pairs for key, mask in keys for pairs in _joined(key, mask)):
        compared += len(left)
        tell.step("comparing pictures", compared, total, "pairs")
        close = np.bitwise_count(hashes[left] ^ hashes[right]).sum(axis=1) <= MAX_BITS
        joined_groups.join_alike(left[close], right[close])
    groups: dict[int, list[int]] = {}
    for number, root in enumerate(joined_groups.roots[same_as.reshape(-1)].tolist()):
        groups.setdefault(root, []).append(number)
    return [group for group in groups.values() if len(group) > 1]


class _Groups:
    """Which pictures belong together so far; ``roots`` names the group of each."""

    def __init__(self, small: Small) -> None:
        self._small = small
        self.roots: Numbers = np.arange(len(small))

    def join_alike(self, left: Numbers, right: Numbers) -> None:
        """Compare pairs by their small copies. What is in one group already is not compared again: frames of a video would be."""
        for start in range(0, len(left), _VERIFIED_AT_ONCE):
            one, other = left[start : start + _VERIFIED_AT_ONCE], right[start : start + _VERIFIED_AT_ONCE]
            apart = self.roots[one] != self.roots[other]
            one, other = one[apart], other[apart]
            levels = np.abs(self._small[one].astype(np.int16) - self._small[other]).mean(axis=(1, 2, 3))
            for here, there in zip(one[levels <= MAX_LEVELS].tolist(), other[levels <= MAX_LEVELS].tolist(), strict=True):
                low, high = sorted((self._root(here), self._root(there)))
                self.roots[high] = low
            while not np.array_equal(self.roots, flat := self.roots[self.roots]):
                self.roots = flat

    def _root(self, number: int) -> int:
        while (above := int(self.roots[number])) != number:
            number = above
        return number


def _keys(bits: npt.NDArray[np.uint8]) -> list[tuple[Pieces, int]]:
    """Pieces, and by which bit they may differ: between them, they bring every pair that differs in at most ``MAX_BITS``."""
    # Every eighth bit, not eight in a row: neighbours say the same, and pieces would be the same in many pictures.
    pieces = np.ascontiguousarray(np.packbits(bits.reshape(-1, 16, _PIECES).transpose(0, 2, 1), axis=2)).view(np.uint16)[..., 0]
    return [(piece, mask) for piece in pieces.T for mask in (0, *(1 << bit for bit in range(16)))]


def _count_pairs(piece: Pieces, mask: int) -> int:
    counts = np.bincount(piece, minlength=1 << 16)
    return int(counts @ (counts - 1 if mask == 0 else counts[np.arange(1 << 16) ^ mask])) // 2


def _joined(piece: Pieces, mask: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Pairs whose pieces differ exactly by ``mask``, each once."""
    order = np.argsort(piece, kind="stable")
    ranked = piece[order]
    partner = ranked ^ np.uint16(mask)
    begin, end = np.searchsorted(ranked, partner), np.searchsorted(ranked, partner, side="right")
    begin = np.where(mask == 0, np.arange(len(order)) + 1, begin)  # the same piece: those that come later
    lengths = np.where((mask == 0) | (partner > ranked), end - begin, 0)
    ends = np.cumsum(lengths)
    start = 0
    while start < len(order):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _PAIRS_AT_ONCE, side="right")))
        size = lengths[start:stop]
        left = np.repeat(np.arange(start, stop), size)
        right = np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size) + np.repeat(begin[start:stop], size)
        yield order[left], order[right]
        start = stop


SMALL_PX: Final = 18
"""Side of the small copy: twice that of the grid whose differences are the hash."""
_STEP: Final = 3 * 4 * 1000
"""Three levels, of the sum of four pixels, weighted in thousandths."""
_DRAFT_PX: Final = 4 * SMALL_PX
_ORIENTATION_TAG: Final = 0x0112
_TURNS: Final = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
"""EXIF 2.32, tag 0x0112: quarter turns against the clock, then left and right exchanged, that turn a stored picture upright."""


class Fingerprint(NamedTuple):
    """Facts of one image. ``small`` is uint8 (18, 18, 3), RGB, upright, for images of any size."""

    kind: str
    """The format, as Pillow names it."""
    mode: str
    """Of its pixels as stored: RGB, L, CMYK, I;16, …"""
    width_px: int
    height_px: int
    """As stored, before any turn."""
    orientation: int
    """EXIF's, 1 to 8; 1 is upright."""
    animated: bool
    transparent: bool
    levels: tuple[int, int] | None
    """The darkest and the lightest of grey of 16 bits."""
    small: npt.NDArray[np.uint8]


def fingerprint_of(data: bytes) -> Fingerprint:
    """Decode a picture, at reduced size where its format can.

    Whether a file can be used is for ``runner.pixels.decode`` alone to say. A JPEG is the one exception that is made for speed:
    the format can be decoded at an eighth of its size for a fraction of the time, and all of its data is read on the way, so that
    what breaks off is noticed just the same.

    Raises UnreadableImage: as ``runner.pixels.decode`` does.
    """
    try:
        with open_picture(io.BytesIO(data)) as image:
            kind, mode, (width, height) = image.format or "", image.mode, image.size
            orientation = _orientation(image)
            animated = bool(getattr(image, "is_animated", False)) and kind not in ("TIFF", "MPO")
            levels = levels_of(image) if mode.startswith("I") and width * height <= MAX_PIXELS else None
            transparent = mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info
    except Exception as error:
        decode(io.BytesIO(data))  # says it in its own words
        raise UnreadableImage(str(error) or type(error).__name__) from error
    shrunk = _drafted(data) if kind == "JPEG" and mode in ("RGB", "L") and width * height <= MAX_PIXELS else None
    if shrunk is None:
        small = _small(decode(io.BytesIO(data), levels if levels and levels[0] < levels[1] else ALL_LEVELS))
    else:
        turns, mirrored = _TURNS.get(orientation, (0, False))
        turned = np.rot90(_small(shrunk), turns)
        small = np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
    return Fingerprint(
        kind, mode, width, height, orientation if orientation in _TURNS else 1, animated, transparent, levels, small
    )


def hash_bits(small: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A difference hash of 128 bits: whether it gets darker to the right, and downwards, over a grid of 9 × 9 grey cells.

    Plain areas are a little noisy; only a step of more than three levels counts. After Neal Krawetz,
    "Kind of Like That" (Hacker Factor, 2013), in both directions. Grey is ITU-R BT.601.

    ``small``: uint8 (N, 18, 18, 3). Returns uint8 (N, 128), zeros and ones.
    """
    cells = small.reshape(-1, 9, 2, 9, 2, 3).sum(axis=(2, 4), dtype=np.int32) @ np.array([299, 587, 114], np.int32)
    right, down = cells[:, :8, :-1] - cells[:, :8, 1:] > _STEP, cells[:, :-1, :8] - cells[:, 1:, :8] > _STEP
    return np.concatenate([right.reshape(-1, 64), down.reshape(-1, 64)], axis=1).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - a damaged EXIF block says nothing about the picture beside it
        return 1


def _drafted(data: bytes) -> Image.Image | None:
    """A JPEG at the smallest size that its decoder offers and that is large enough; None where ``decode`` has to say why not."""
    try:
        with open_picture(io.BytesIO(data)) as image:
            image.draft(image.mode, (_DRAFT_PX, _DRAFT_PX))
            image.load()
            return image.convert("RGB")
    except Exception:  # noqa: BLE001 - Pillow's readers promise no type; the one decoder names the reason
        return None


def _small(image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(image.resize((SMALL_PX, SMALL_PX), Image.Resampling.BOX))
