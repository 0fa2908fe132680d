"""Compare images by small fingerprints: near-duplicates, and classes that are recognisable by a property of their files."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image, ImageCms

from edgecnn.runner.pixel_recipe import ALL_LEVELS
from edgecnn.runner.pixels import MAX_PIXELS, UnreadableImage, decode, grey_levels, open_picture
from edgecnn.values.dataset import ClassMark, MarkKind
from edgecnn.values.stage import Progress

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.int64]
    Pieces = npt.NDArray[np.uint16]
    Small = npt.NDArray[np.uint8]


MAX_BITS: Final = 15
MAX_LEVELS: Final = 5.0
"""Mean difference of the small copies, in levels of 255. Of 3,409 photographs of clothing, 300 were tested: all were recognised
after JPEG at quality 15 and after halving, and 98 % after cropping 1 % from every side. The closest two different ones are at
8.2."""
_PIECES: Final = 8
_PAIRS_AT_ONCE: Final = 1 << 20
_VERIFIED_AT_ONCE: Final = 1 << 13
SMALL_PX: Final = 18
"""Side of the small copy, twice that of the grid behind the hash."""
_STEP: Final = 3 * 4 * 1000
"""Three levels of the sum of four pixels, weighted in thousandths."""
_DRAFT_PX: Final = 4 * SMALL_PX
_ORIENTATION_TAG: Final = 0x0112
_TURNS: Final = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
"""EXIF 2.32, tag 0x0112: counter-clockwise quarter turns, then a left-right flip, that turn a stored image upright."""
_LUMINANCE: Final = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87,
    80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95,
    98, 112, 100, 103, 99,
)  # fmt: skip
"""Luminance table of ITU-T T.81, annex K.1, which libjpeg scales by quality."""
_MISSING_GREY: Final = 128
_BLOCK_ROWS: Final = 16
"""Rows of one line of blocks at the usual chroma subsampling."""
_FEWEST: Final = 4
_MOST_OTHERS: Final = 0.5
"""Largest share of the other images that may have the mark. A more common mark says little about the class."""
_CHANCE: Final = 0.05
"""Largest probability that a mark appears by chance in any class (Bonferroni's bound)."""
_SIDES_SWAPPED: Final = 5
"""The first EXIF orientation that turns an image by a quarter (EXIF 2.32, tag 0x0112)."""


def near_groups(small: Small, tell: Progress) -> list[list[int]]:
    """Return groups of images that look alike, each sorted, in the order of their first members. Most images are in no group.

    Similarity is transitive, so the first and the last of a group may differ. Images with identical small copies are alike too.

    ``small``: uint8 (N, 18, 18, 3), as in ``Fingerprint.small``; N may be 0. ``tell``: receives the number of compared pairs.
    """
    if not len(small):
        return []
    _, first, same_as = np.unique(small.reshape(len(small), -1), axis=0, return_index=True, return_inverse=True)
    joined = _Groups(small[first])
    bits = hash_bits(small[first])
    hashes = np.packbits(bits, axis=1).view(np.uint64)
    keys = _hash_pieces(bits)
    total, compared = sum(_count_pairs(key, mask) for key, mask in keys), 0
    if total > len(bits) ** 2 // 2:
        keys, total = [(np.zeros(len(bits), np.uint16), 0)], len(bits) * (len(bits) - 1) // 2
    for left, right in (pairs for key, mask in keys for pairs in _matching_pairs(key, mask)):
        compared += len(left)
        tell.step("comparing pictures", compared, total, "pairs")
        close = np.bitwise_count(hashes[left] ^ hashes[right]).sum(axis=1) <= MAX_BITS
        joined.join_alike(left[close], right[close])
    groups: dict[int, list[int]] = {}
    for number, root in enumerate(joined.roots[same_as.reshape(-1)].tolist()):
        groups.setdefault(root, []).append(number)
    return [group for group in groups.values() if len(group) > 1]


class _Groups:
    """The groups so far; ``roots`` names each image's group."""

    def __init__(self, small: Small) -> None:
        self._small_copy = small
        self.roots: Numbers = np.arange(len(small))

    def join_alike(self, left: Numbers, right: Numbers) -> None:
        """Compare pairs by their small copies. Pairs within one group are skipped, which saves time on video frames."""
        for start in range(0, len(left), _VERIFIED_AT_ONCE):
            one, other = left[start : start + _VERIFIED_AT_ONCE], right[start : start + _VERIFIED_AT_ONCE]
            apart = self.roots[one] != self.roots[other]
            one, other = one[apart], other[apart]
            levels = np.abs(self._small_copy[one].astype(np.int16) - self._small_copy[other]).mean(axis=(1, 2, 3))
            for here, there in zip(one[levels <= MAX_LEVELS].tolist(), other[levels <= MAX_LEVELS].tolist(), strict=True):
                low, high = sorted((self._root_of(here), self._root_of(there)))
                self.roots[high] = low
            while not np.array_equal(self.roots, flat := self.roots[self.roots]):
                self.roots = flat

    def _root_of(self, number: int) -> int:
        while (above := int(self.roots[number])) != number:
            number = above
        return number


def _hash_pieces(bits: npt.NDArray[np.uint8]) -> list[tuple[Pieces, int]]:
    """Return pieces of the hashes, and a bit in which two may differ; together they find every pair within ``MAX_BITS``."""
    # Every eighth bit, since neighbouring bits are correlated and contiguous pieces would coincide in many images.
    pieces = np.ascontiguousarray(np.packbits(bits.reshape(-1, 16, _PIECES).transpose(0, 2, 1), axis=2)).view(np.uint16)[..., 0]
    return [(piece, mask) for piece in pieces.T for mask in (0, *(1 << bit for bit in range(16)))]


def _count_pairs(piece: Pieces, mask: int) -> int:
    counts = np.bincount(piece, minlength=1 << 16)
    return int(counts @ (counts - 1 if mask == 0 else counts[np.arange(1 << 16) ^ mask])) // 2


def _matching_pairs(piece: Pieces, mask: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield pairs whose pieces differ exactly by ``mask``, each once."""
    order = np.argsort(piece, kind="stable")
    ranked = piece[order]
    partner = ranked ^ np.uint16(mask)
    begin, end = np.searchsorted(ranked, partner), np.searchsorted(ranked, partner, side="right")
    begin = np.where(mask == 0, np.arange(len(order)) + 1, begin)  # equal pieces: only later ones
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


class Fingerprint(NamedTuple):
    """Facts of one image. ``small`` is uint8 (18, 18, 3), RGB, upright, for images of any size."""

    kind: str
    """The format, by Pillow's name."""
    mode: str
    """Mode of the stored pixels: RGB, L, CMYK, I;16, …"""
    width_px: int
    height_px: int
    """Height as stored, before any rotation."""
    orientation: int
    """The EXIF orientation, 1 to 8; 1 is upright."""
    animated: bool
    transparent: bool
    levels: tuple[int, int] | None
    """The darkest and the lightest value of 16-bit grey."""
    small: npt.NDArray[np.uint8]
    profile: str = "none"
    """Description of the embedded colour profile."""
    quality: str = ""
    """Quality of a JPEG file in the scale of libjpeg, or a digest of its tables; empty for other formats."""
    cut_off: bool = False
    """Whether the lower part of a JPEG file is empty, as of a file that was cut and ended afterwards."""


def fingerprint_of(data: bytes) -> Fingerprint:
    """Decode an image, at reduced size if its format allows it.

    ``runner.pixels.decode`` alone decides whether a file is usable. JPEG is an exception for speed: decoding at an eighth of the
    size costs a fraction of the time and still reads all of the data, so truncation is detected.

    Raises UnreadableImage: as ``runner.pixels.decode`` does.
    """
    try:
        with open_picture(io.BytesIO(data)) as image:
            kind, mode, (width, height) = image.format or "", image.mode, image.size
            orientation = _orientation(image)
            animated = bool(getattr(image, "is_animated", False)) and kind != "MPO"
            profile, quality = _profile_name(image), _jpeg_quality(image)
            levels = grey_levels(image) if mode.startswith("I") and width * height <= MAX_PIXELS else None
            transparent = mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info
    except Exception as error:
        decode(io.BytesIO(data))  # reports the fault in its own words
        raise UnreadableImage(str(error) or type(error).__name__) from error
    shrunk = _decode_reduced(data) if kind == "JPEG" and mode in ("RGB", "L") and width * height <= MAX_PIXELS else None
    if shrunk is None:
        small = _small_copy(decode(io.BytesIO(data), levels if levels and levels[0] < levels[1] else ALL_LEVELS))
    else:
        turns, mirrored = _TURNS.get(orientation, (0, False))
        turned = np.rot90(_small_copy(shrunk), turns)
        small = np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
    upright = orientation if orientation in _TURNS else 1
    cut_off = shrunk is not None and _is_cut_off(np.asarray(shrunk), max(1, height // shrunk.height))
    return Fingerprint(kind, mode, width, height, upright, animated, transparent, levels, small, profile, quality, cut_off)


def _profile_name(image: Image.Image) -> str:
    """Return the description of the colour profile, or a digest of a profile without one."""
    content = image.info.get("icc_profile")
    if not content:
        return "none"
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(content))).strip()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        name = ""
    return name or hashlib.sha256(content).hexdigest()[:8]


def _jpeg_quality(image: Image.Image) -> str:
    """Return the quality whose luminance table the file has, or a digest of its tables."""
    tables = getattr(image, "quantization", None)
    if image.format != "JPEG" or not tables:
        return ""
    table = [int(value) for value in tables[min(tables)]]
    if len(table) == len(_LUMINANCE):
        for quality in range(1, 101):
            scale = 5000 // quality if quality < 50 else 200 - 2 * quality  # noqa: PLR2004 - of jcparam.c
            if sorted(table) == sorted(min(255, max(1, (value * scale + 50) // 100)) for value in _LUMINANCE):
                return str(quality)
    return hashlib.sha256(repr(sorted(tables.items())).encode()).hexdigest()[:8]


def _is_cut_off(pixels: npt.NDArray[np.uint8], scale: int) -> bool:
    """Return whether the lowest rows are exactly the grey that libjpeg gives missing blocks.

    ``scale``: stored rows of each row.
    """
    empty = (pixels == _MISSING_GREY).all(axis=(1, 2))
    rows = int(np.argmin(empty[::-1])) if not empty.all() else 0
    return rows * scale >= _BLOCK_ROWS


def hash_bits(small: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a difference hash of 128 bits: whether it gets darker to the right, and downwards, over a grid of 9 × 9 grey cells.

    Plain areas are slightly noisy, so only a step of more than three levels counts. After Neal Krawetz, "Kind of Like That"
    (Hacker Factor, 2013), in both directions. Grey is ITU-R BT.601.

    ``small``: uint8 (N, 18, 18, 3). Returns uint8 (N, 128), zeros and ones.
    """
    cells = small.reshape(-1, 9, 2, 9, 2, 3).sum(axis=(2, 4), dtype=np.int32) @ np.array([299, 587, 114], np.int32)
    right, down = cells[:, :8, :-1] - cells[:, :8, 1:] > _STEP, cells[:, :-1, :8] - cells[:, 1:, :8] > _STEP
    return np.concatenate([right.reshape(-1, 64), down.reshape(-1, 64)], axis=1).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - a damaged EXIF block says nothing about the pixels
        return 1


def _decode_reduced(data: bytes) -> Image.Image | None:
    """Return a JPEG at the smallest sufficient size that its decoder offers; None if ``decode`` has to report a fault."""
    try:
        with open_picture(io.BytesIO(data)) as image:
            image.draft(image.mode, (_DRAFT_PX, _DRAFT_PX))
            image.load()
            return image.convert("RGB")
    except Exception:  # noqa: BLE001 - Pillow's readers promise no type; the one decoder names the reason
        return None


def _small_copy(image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(image.resize((SMALL_PX, SMALL_PX), Image.Resampling.BOX))


def class_marks(images: Sequence[tuple[Sequence[int], Fingerprint]], classes: Sequence[str]) -> tuple[ClassMark, ...]:
    """Return the classes whose images all have one mark that at most half of the other images have, beyond chance.

    A reported class is then excluded from the comparison, so only one of two classes is reported.

    ``images``: the classes or labels of each image, and its fingerprint.
    """
    return tuple(mark for kind in _MARKS for mark in _marks_of_kind(images, classes, kind))


def _marks_of_kind(
    images: Sequence[tuple[Sequence[int], Fingerprint]], classes: Sequence[str], kind: MarkKind
) -> Iterator[ClassMark]:
    mark = _MARKS[kind]
    size = Counter(label for labels, _ in images for label in labels)
    images = [(labels, fingerprint) for labels, fingerprint in images if mark(fingerprint)]  # other formats have no quality
    unassigned = Counter(mark(fingerprint) for _, fingerprint in images)
    counts = Counter((label, mark(fingerprint)) for labels, fingerprint in images for label in labels)
    uniform = [(label, value) for (label, value), own in counts.items() if own == size[label] >= _FEWEST]
    for label, value in sorted(uniform, key=lambda pair: (unassigned[pair[1]] - size[pair[0]], pair)):
        own, others, of_others = size[label], unassigned[value] - size[label], unassigned.total() - size[label]
        if 0 <= others <= of_others * _MOST_OTHERS < of_others and len(size) * (others / of_others) ** own <= _CHANCE:
            unassigned[value] -= own
            yield ClassMark(name=classes[label], kind=kind, value=value, images=own, others=others, of_others=of_others)


def _size_text(fingerprint: Fingerprint) -> str:
    sides = fingerprint.width_px, fingerprint.height_px
    width, height = sides[::-1] if fingerprint.orientation >= _SIDES_SWAPPED else sides
    return f"{width:,} × {height:,} px"


_MARKS: Final[Mapping[MarkKind, Callable[[Fingerprint], str]]] = {
    "mode": lambda fingerprint: fingerprint.mode,
    "format": lambda fingerprint: fingerprint.kind,
    "size": _size_text,
    "colour profile": lambda fingerprint: fingerprint.profile,
    "JPEG quality": lambda fingerprint: fingerprint.quality,
}
