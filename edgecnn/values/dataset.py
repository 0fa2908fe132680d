"""Which images there are, in which roles, by content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from edgecnn.values.base import Value
from edgecnn.values.key import Key

SplitRole = Literal["train", "calibration", "validation", "test"]
UNLABELLED = -1
SPLIT_ROLES: tuple[SplitRole, ...] = ("train", "calibration", "validation", "test")


class ImageEntry(Value):
    """One image: where it is under the manifest's root, its class index, its role and its bytes' digest."""

    path: str
    label: int
    """``UNLABELLED`` where nobody said what it shows."""
    role: SplitRole
    sha256: str


class DataManifest(Value):
    """Every image of a data set. ``content`` ignores where the root is."""

    schema_: Literal["edgecnn.data/2"] = "edgecnn.data/2"
    origin: Literal["demo", "folder"]
    root: str
    classes: tuple[str, ...]
    """Empty where the images have no labels."""
    images: tuple[ImageEntry, ...]
    skipped: tuple[str, ...] = ()
    """Files that are no readable image, with the reason."""
    copies: tuple[str, ...] = ()
    """Images left out because the same bytes stand in another split or under another class."""


class DataSummary(Value):
    """What planning needs of a manifest, without its 100,000 lines."""

    origin: Literal["demo", "folder"]
    root: str
    content: Key
    """Digest of classes and images; the key under which stages name this data."""
    manifest_path: str
    classes: tuple[str, ...]
    counts: Mapping[SplitRole, int]
    skipped: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    splits_from: str
    """One sentence: which folder became which role."""

    @property
    def labelled(self) -> bool:
        """False where nobody said what the images show: then nothing is known but whether two networks agree."""
        return bool(self.classes)
