"""Which cut-out comes on which background, and every picture that is made so, with what it was made of.

They are dealt out rather than drawn, so that none is used more often than another; the order is a hash of seed and content, as
that of the roles is.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from PIL import Image

from edgecnn.data.images import FolderImages, open_source
from edgecnn.data.parallel import on_every_core
from edgecnn.data.synthesis.composite import Composed, Drawn, composed, drawn, read_background, read_cutout
from edgecnn.errors.data.folder import CorruptImages
from edgecnn.errors.data.synthesis import CutoutsUnusable
from edgecnn.runner.machine.environment import available_cores
from edgecnn.runner.pixels import UnreadableImage
from edgecnn.values.data.dataset import ImageEntry
from edgecnn.values.data.synthesis import MadeImage, Provenance, SynthesisSettings
from edgecnn.values.stage import Progress

FACTS: Final = "synthesis.json"
FOLDER: Final = "images"
_HELD_BYTES: Final = 256 << 20
"""Of decoded cut-outs, which come again and again."""


class Planned(NamedTuple):
    """A picture before it is made."""

    file: str
    label: int
    cutout: ImageEntry
    background: ImageEntry
    name: str
    """Whatever its numbers are drawn by, with the seed."""


class Composer:
    """Makes any of the pictures by itself, the same to the bit whichever are made before.

    ``cutouts``, ``backgrounds``: manifests. ``settings``: what is asked. Raises ManifestUnreadable: of the manifests.
    """

    def __init__(self, cutouts: Path, backgrounds: Path, settings: SynthesisSettings) -> None:
        self.cutouts, self.backgrounds = (FolderImages(open_source(file).manifest) for file in (cutouts, backgrounds))
        self.settings = settings
        held = max(16, _HELD_BYTES // (4 * (2 * settings.size_px) ** 2))
        self._cutout = lru_cache(maxsize=held)(self._read_cutout)
        self._background = lru_cache(maxsize=2 * available_cores())(self._read_background)

    @cached_property
    def planned(self) -> tuple[Planned, ...]:
        """Every picture, ordered so that every prefix holds the classes in equal parts."""
        count, seed = self.settings.images_per_class, self.settings.seed
        under = dealt(self.backgrounds.manifest.images, count, f"{seed}:background")
        of_class: dict[int, Sequence[ImageEntry]] = {}
        for label, name in enumerate(self.cutouts.classes):
            if mine := [image for image in self.cutouts.manifest.images if image.label == label]:
                of_class[label] = dealt(mine, count, f"{seed}:{name}")
        names = self.cutouts.classes
        return tuple(
            Planned(f"{label:04d}/{number:05d}.png", label, mine[number], under[number], f"{names[label]}:{number}")
            for number in range(count)
            for label, mine in of_class.items()
        )

    def check(self, tell: Progress) -> None:
        """Look at every cut-out, before any picture is made.

        Raises CutoutsUnusable: some are none; all of them are named. ImageGone, ImageChanged: the folder changed since it was
        listed.
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

        on_every_core(self.cutouts.manifest.images, check, take, "looking at cut-outs", tell)
        if broken:
            raise CutoutsUnusable(folder=self.cutouts.manifest.root, broken=broken, checked=len(self.cutouts.manifest.images))

    def compose(self, planned: Planned) -> tuple[Composed, Drawn]:
        """One picture, and what was drawn for it.

        Raises CutoutsUnusable, CorruptImages, ImageGone, ImageChanged: of its two files.
        """
        numbers = drawn(self.settings, planned.name)
        try:
            cutout = self._cutout(planned.cutout)
        except UnreadableImage as error:
            raise CutoutsUnusable(
                folder=self.cutouts.manifest.root, broken=[(planned.cutout.path, error.why)], checked=1
            ) from error
        return composed(cutout, self._background(planned.background), numbers, self.settings), numbers

    def _read_cutout(self, entry: ImageEntry) -> Image.Image:
        return read_cutout(self.cutouts.bytes_of(entry), self.settings.size_px)

    def _read_background(self, entry: ImageEntry) -> Image.Image:
        try:
            return read_background(self.backgrounds.bytes_of(entry), self.settings.size_px)
        except UnreadableImage as error:
            raise CorruptImages(root=self.backgrounds.manifest.root, broken=[(entry.path, error.why)], checked=1) from error


def dealt(images: Sequence[ImageEntry], count: int, seed: str) -> list[ImageEntry]:
    """``count`` of them in rounds: each comes once before any comes again, in an order of its own in every round."""
    found: list[ImageEntry] = []
    for turn in range(-(-count // len(images))):
        found += sorted(images, key=lambda image: (hashlib.sha256(f"{seed}:{turn}:{image.sha256}".encode()).digest(), image.path))
    return found[:count]


def make_images(settings: SynthesisSettings, cutouts: Path, backgrounds: Path, out: Path, tell: Progress) -> None:
    """Write ``images/`` and ``synthesis.json``.

    Raises CutoutsUnusable, CorruptImages, ImageGone, ImageChanged, ManifestUnreadable: see ``Composer``.
    """
    composer = Composer(cutouts, backgrounds, settings)
    composer.check(tell)
    made: dict[str, MadeImage] = {}
    for label in {planned.label for planned in composer.planned}:
        (out / FOLDER / f"{label:04d}").mkdir(parents=True)

    def make(planned: Planned) -> MadeImage:
        data, facts = _encoded(composer, planned)
        (out / FOLDER / planned.file).write_bytes(data)
        return facts

    def take(planned: Planned, facts: MadeImage) -> None:
        made[planned.file] = facts

    # Those of one background after another, since that is the larger file to decode.
    in_turn = sorted(composer.planned, key=lambda planned: (planned.background.path, planned.file))
    on_every_core(in_turn, make, take, "composing training images", tell)
    provenance = Provenance(
        classes=composer.cutouts.classes,
        settings=SynthesisSettings.of(settings),
        cutouts=len(composer.cutouts.manifest.images),
        backgrounds=len(composer.backgrounds.manifest.images),
        images=tuple(made[planned.file] for planned in composer.planned),
    )
    (out / FACTS).write_text(provenance.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")


def _encoded(composer: Composer, planned: Planned) -> tuple[bytes, MadeImage]:
    """PNG: what was composed stays as it was, and no second picture is laid over it by a codec."""
    found, numbers = composer.compose(planned)
    stream = io.BytesIO()
    found.picture.save(stream, "PNG")
    data = stream.getvalue()
    facts = MadeImage(
        file=planned.file,
        sha256=hashlib.sha256(data).hexdigest(),
        class_name=composer.cutouts.classes[planned.label],
        cutout=planned.cutout.path,
        cutout_sha256=planned.cutout.sha256,
        background=planned.background.path,
        background_sha256=planned.background.sha256,
        background_box=found.background_box,
        scale=numbers.scale,
        degrees=numbers.degrees,
        box_px=found.box_px,
        visible=found.visible,
        feather_px=numbers.feather_px,
        blur_px=numbers.blur_px,
    )
    return data, facts
