"""Compose training images: choose a cut-out and a background for each, and record how it was made.

Cut-outs are dealt in rounds rather than drawn, so all are used equally often; the order is a hash of seed and content. Arithmetic
uses premultiplied colours, as Pillow does to resize and turn RGBA. Edges are softened inwards.
"""

from __future__ import annotations

import hashlib
import io
import math
import random
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat

from edgecnn.data.decoders import decoders
from edgecnn.data.files import process_on_every_core
from edgecnn.data.images import FolderImages, open_source
from edgecnn.errors.data import corrupt_images, cutouts_unusable
from edgecnn.runner.machine.environment import available_cores
from edgecnn.runner.pixels import UnreadableImage, decode, open_picture
from edgecnn.values.dataset import ImageEntry
from edgecnn.values.stage import Progress
from edgecnn.values.synthesis import MadeImage, Provenance, SynthesisSettings

FACTS: Final = "synthesis.json"
FOLDER: Final = "images"
_VISIBLE_FROM: Final = 13
"""Lowest alpha, of 255, of a visible pixel. Background removers leave traces of 1 or 2 everywhere."""
_CROP: Final = (0.6, 1.0)
"""Side of the visible part of a background, as a share of its short side."""
_KEPT: Final = 2
"""Images are kept at up to this multiple of the composed image's side, because only a part of an image may be used."""
_CACHE_BYTES: Final = 256 << 20
"""Size of the cache of decoded cut-outs, which recur."""
Box = tuple[int, int, int, int]
Shares = tuple[float, float, float, float]


class Drawn(NamedTuple):
    """Random numbers of one image; ``at`` and ``crop_at`` are shares of the possible range."""

    scale: float
    degrees: float
    feather_px: float
    blur_px: float
    crop: float
    at: tuple[float, float]
    crop_at: tuple[float, float]


class Composed(NamedTuple):
    """A composed image, and the effect of the numbers drawn for it."""

    picture: Image.Image
    background_box: Shares
    box_px: Box
    visible: float


def draw_numbers(settings: SynthesisSettings, name: str) -> Drawn:
    """Return the random numbers of one image. They depend on the seed and its name alone, never on another image.

    Only ``random()`` is used: Python guarantees its sequence for a seed across versions.
    """
    numbers = random.Random(f"{settings.seed}:{name}")

    def within(ends: tuple[float, float]) -> float:
        return round(ends[0] + (ends[1] - ends[0]) * numbers.random(), 6)

    return Drawn(
        scale=within(settings.scale),
        degrees=within(settings.degrees),
        feather_px=within(settings.feather_px),
        blur_px=within(settings.blur_px),
        crop=within(_CROP),
        at=(numbers.random(), numbers.random()),
        crop_at=(numbers.random(), numbers.random()),
    )


def read_background(data: bytes, size_px: int) -> Image.Image:
    """Return an upright RGB image, reduced if it is much larger than needed.

    Raises UnreadableImage: as ``runner.pixels.decode``.
    """
    picture = decode(io.BytesIO(data))
    return _reduce(picture, min(picture.size), size_px)


def read_cutout(data: bytes, size_px: int) -> Image.Image:
    """Return the RGBA image, cropped to its visible part, and reduced if it is much larger than needed.

    Raises UnreadableImage: as ``runner.pixels.decode``; also if the image has no alpha channel, or is fully opaque or
    transparent.
    """
    decode(io.BytesIO(data))  # defines which images are readable, and their limits
    with open_picture(io.BytesIO(data)) as image:
        if not image.has_transparency_data:
            raise UnreadableImage("it has no alpha channel")
        cutout = ImageOps.exif_transpose(image).convert("RGBA")
    alpha = cutout.getchannel("A")
    if alpha.getextrema()[0] == 255:
        raise UnreadableImage("it is fully opaque, so its whole rectangle would be pasted")
    box = alpha.point(_is_visible).getbbox()
    if box is None:
        raise UnreadableImage("it is fully transparent")
    shown = cutout.crop(box)
    return _reduce(shown, max(shown.size), size_px)


def compose_image(cutout: Image.Image, background: Image.Image, numbers: Drawn, settings: SynthesisSettings) -> Composed:
    """Paste an RGBA cut-out on an RGB background; the result is ``size_px`` square."""
    size_px, (width, height) = settings.size_px, background.size
    shown = _background_box(background, numbers)
    box_px = shown[0] * width, shown[1] * height, shown[2] * width, shown[3] * height
    picture = background.resize((size_px, size_px), Image.Resampling.BICUBIC, box=box_px).convert("RGBA")
    laid = _placed_cutout(cutout, numbers, size_px)
    left, top = (_offset(extent, size_px, settings.outside, share) for extent, share in zip(laid.size, numbers.at, strict=True))
    layer = Image.new("RGBA", picture.size)
    layer.paste(laid, (left, top))
    picture = Image.alpha_composite(picture, layer).convert("RGB")
    if numbers.blur_px > 0:
        picture = picture.filter(ImageFilter.GaussianBlur(numbers.blur_px))
    opaque = ImageStat.Stat(laid.getchannel("A")).sum[0]
    visible = ImageStat.Stat(layer.getchannel("A")).sum[0] / opaque if opaque else 0.0
    box = (left, top, left + laid.width, top + laid.height)
    return Composed(picture, shown, box, round(visible, 6))


def _is_visible(alpha: int) -> int:
    return 255 if alpha >= _VISIBLE_FROM else 0


def _reduce(image: Image.Image, side_px: int, size_px: int) -> Image.Image:
    """Reduce an image until ``side_px`` is at most ``_KEPT`` times the composed image's side, which bounds memory."""
    factor = _KEPT * size_px / side_px
    if factor >= 1:
        return image
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), Image.Resampling.BOX)


def _background_box(background: Image.Image, numbers: Drawn) -> Shares:
    """Return the visible square of a background, in shares of its sides."""
    width, height = background.size
    side = min(width, height) * numbers.crop
    left, top = (width - side) * numbers.crop_at[0], (height - side) * numbers.crop_at[1]
    shares = left / width, top / height, (left + side) / width, (top + side) / height
    return (round(shares[0], 6), round(shares[1], 6), min(1.0, round(shares[2], 6)), min(1.0, round(shares[3], 6)))


def _placed_cutout(cutout: Image.Image, numbers: Drawn, size_px: int) -> Image.Image:
    """Return the cut-out scaled, turned and softened, cropped to its visible part."""
    factor = numbers.scale * size_px / max(cutout.size)
    width, height = (max(1, round(extent * factor)) for extent in cutout.size)
    small = cutout.resize((width, height), Image.Resampling.BICUBIC)
    rim = 2 + math.ceil(3 * numbers.feather_px)  # a transparent border, so that the outermost pixels form an edge
    framed = Image.new("RGBA", (width + 2 * rim, height + 2 * rim))
    framed.paste(small, (rim, rim))
    turned = framed.rotate(-numbers.degrees, Image.Resampling.BICUBIC, expand=True)  # Pillow turns counter-clockwise
    soft = _feather(turned, numbers.feather_px)
    box = soft.getchannel("A").point(_is_visible).getbbox()
    return turned.crop(turned.getbbox()) if box is None else soft.crop(box)  # a part thinner than its edge is not softened


def _feather(cutout: Image.Image, sigma: float) -> Image.Image:
    """Soften an edge: alpha rises from 0 to its own value within two standard deviations inside it."""
    if sigma <= 0:
        return cutout
    alpha = cutout.getchannel("A")
    inside = alpha.point(_is_visible).filter(ImageFilter.GaussianBlur(sigma))  # 0.5 on a straight edge, 0.98 at two sigmas inside
    kept = inside.point([max(0, 2 * level - 255) for level in range(256)])
    soft = cutout.copy()
    soft.putalpha(ImageChops.multiply(alpha, kept))
    return soft


def _offset(extent: int, size_px: int, outside: float, share: float) -> int:
    """Return the offset of a cut-out of this width or height, with at most ``outside`` of it beyond the image."""
    first, last = sorted((-outside * extent, size_px - extent + outside * extent))
    return round(first + (last - first) * share)


class Planned(NamedTuple):
    """An image before it is composed."""

    file: str
    label: int
    cutout: ImageEntry
    background: ImageEntry
    name: str
    """Name that determines its random numbers, together with the seed."""


class Composer:
    """Compose any of the images independently; an image is bit-identical whichever others are composed.

    ``cutouts``, ``backgrounds``: manifests. Raises MANIFEST_UNREADABLE: a manifest is absent or damaged.
    """

    def __init__(self, cutouts: Path, backgrounds: Path, settings: SynthesisSettings) -> None:
        self.cutouts, self.backgrounds = (FolderImages(open_source(file).manifest) for file in (cutouts, backgrounds))
        self.settings = settings
        cutouts_cached = max(16, _CACHE_BYTES // (4 * (2 * settings.size_px) ** 2))
        self._cutout = lru_cache(maxsize=cutouts_cached)(self._read_cutout)
        self._background = lru_cache(maxsize=2 * available_cores())(self._read_background)

    @cached_property
    def planned(self) -> tuple[Planned, ...]:
        """Every image to compose, ordered so that each prefix is balanced over the classes."""
        count, seed = self.settings.images_per_class, self.settings.seed
        under = deal(self.backgrounds.manifest.images, count, f"{seed}:background")
        of_class: dict[int, Sequence[ImageEntry]] = {}
        for label, name in enumerate(self.cutouts.classes):
            if mine := [image for image in self.cutouts.manifest.images if image.label == label]:
                of_class[label] = deal(mine, count, f"{seed}:{name}")
        names = self.cutouts.classes
        return tuple(
            Planned(f"{label:04d}/{number:05d}.png", label, mine[number], under[number], f"{names[label]}:{number}")
            for number in range(count)
            for label, mine in of_class.items()
        )

    def check(self, tell: Progress) -> None:
        """Check every cut-out before composing begins.

        Raises:
            CUTOUTS_UNUSABLE: some cut-outs cannot be used; it names all of them.
            IMAGE_GONE, IMAGE_CHANGED: the folder changed since it was listed.
        """
        broken: list[tuple[str, str]] = []

        def check(entry: ImageEntry) -> str:
            try:
                self._cutout(entry)
            except UnreadableImage as error:
                return error.why
            return ""

        def take(entry: ImageEntry, why: str) -> None:
            if why:
                broken.append((entry.path, why))

        process_on_every_core(self.cutouts.manifest.images, check, take, "looking at cut-outs", tell)
        if broken:
            raise cutouts_unusable(folder=self.cutouts.manifest.root, broken=broken, checked=len(self.cutouts.manifest.images))

    def compose(self, planned: Planned) -> tuple[Composed, Drawn]:
        """Return one composed image, and the numbers drawn for it.

        Raises CUTOUTS_UNUSABLE, CorruptImages, IMAGE_GONE, IMAGE_CHANGED: one of its two files cannot be used.
        """
        numbers = draw_numbers(self.settings, planned.name)
        try:
            cutout = self._cutout(planned.cutout)
        except UnreadableImage as error:
            raise cutouts_unusable(
                folder=self.cutouts.manifest.root, broken=[(planned.cutout.path, error.why)], checked=1
            ) from error
        return compose_image(cutout, self._background(planned.background), numbers, self.settings), numbers

    def _read_cutout(self, entry: ImageEntry) -> Image.Image:
        return decoders().cutout(self.cutouts.bytes_of(entry), self.settings.size_px)

    def _read_background(self, entry: ImageEntry) -> Image.Image:
        try:
            return decoders().background(self.backgrounds.bytes_of(entry), self.settings.size_px)
        except UnreadableImage as error:
            raise corrupt_images(root=self.backgrounds.manifest.root, broken=[(entry.path, error.why)], checked=1) from error


def deal(images: Sequence[ImageEntry], count: int, seed: str) -> list[ImageEntry]:
    """Return ``count`` images in rounds: every image appears once in each round, and each round has its own order."""
    order: list[ImageEntry] = []
    for round_number in range(-(-count // len(images))):
        order += sorted(
            images, key=lambda image: (hashlib.sha256(f"{seed}:{round_number}:{image.sha256}".encode()).digest(), image.path)
        )
    return order[:count]


def make_images(settings: SynthesisSettings, cutouts: Path, backgrounds: Path, out: Path, tell: Progress) -> None:
    """Write ``images/`` and ``synthesis.json``.

    Raises CUTOUTS_UNUSABLE, CorruptImages, IMAGE_GONE, IMAGE_CHANGED, MANIFEST_UNREADABLE: see ``Composer``.
    """
    composer = Composer(cutouts, backgrounds, settings)
    composer.check(tell)
    made: dict[str, MadeImage] = {}
    for label in {planned.label for planned in composer.planned}:
        (out / FOLDER / f"{label:04d}").mkdir(parents=True)

    def make(planned: Planned) -> MadeImage:
        data, facts = _encode(composer, planned)
        (out / FOLDER / planned.file).write_bytes(data)
        return facts

    def take(planned: Planned, facts: MadeImage) -> None:
        made[planned.file] = facts

    # Compose all images of one background before the next, since backgrounds are slower to decode.
    in_turn = sorted(composer.planned, key=lambda planned: (planned.background.path, planned.file))
    process_on_every_core(in_turn, make, take, "composing training images", tell)
    provenance = Provenance(
        classes=composer.cutouts.classes,
        settings=SynthesisSettings.of(settings),
        cutouts=len(composer.cutouts.manifest.images),
        backgrounds=len(composer.backgrounds.manifest.images),
        images=tuple(made[planned.file] for planned in composer.planned),
    )
    (out / FACTS).write_text(provenance.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")


def _encode(composer: Composer, planned: Planned) -> tuple[bytes, MadeImage]:
    """Return an image as PNG, which is lossless, and its facts."""
    composition, numbers = composer.compose(planned)
    stream = io.BytesIO()
    composition.picture.save(stream, "PNG")
    data = stream.getvalue()
    facts = MadeImage(
        file=planned.file,
        sha256=hashlib.sha256(data).hexdigest(),
        class_name=composer.cutouts.classes[planned.label],
        cutout=planned.cutout.path,
        cutout_sha256=planned.cutout.sha256,
        background=planned.background.path,
        background_sha256=planned.background.sha256,
        background_box=composition.background_box,
        scale=numbers.scale,
        degrees=numbers.degrees,
        box_px=composition.box_px,
        visible=composition.visible,
        feather_px=numbers.feather_px,
        blur_px=numbers.blur_px,
    )
    return data, facts
