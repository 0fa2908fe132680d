"""What looking through a folder of images found, as facts. Rendering is somewhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.dataset import SplitRole


class ClassCount(Value):
    """One class: its name, its images by split folder, and its files that cannot be used."""

    name: str
    images: int
    by_split: Mapping[Literal["train", "validation", "test"], int]
    unreadable: int


class FileProblem(Value):
    """A file that a build cannot use, and why. ``path`` is relative to the root."""

    path: str
    why: str


class Alike(Value):
    """Files that hold the same bytes, or pictures that look alike."""

    paths: tuple[str, ...]
    classes: tuple[str, ...]
    """Of these files; more than one is a contradiction."""
    roles: tuple[SplitRole, ...]
    """That a build would give them; more than one is a leak. Empty where it would use none of them."""


class NameSlip(Value):
    """Two classes whose names nobody would tell apart on purpose."""

    one: str
    other: str
    why: str


class Spread(Value):
    """Of all images, in pixels of the upright picture's shorter and longer side."""

    min: int
    p5: int
    median: int
    p95: int
    max: int


class Finding(Value):
    """One thing to know, in one sentence. ``serious``: there would be no build, or its figures would mislead."""

    kind: Literal[
        "leak", "contradiction", "copies", "alike", "unreadable", "imbalance", "names", "roles", "stored-turned", "animated",
        "transparent", "wide-pixels", "mixed-modes", "ignored",
    ]  # fmt: skip
    serious: bool
    sentence: str


class DataInspection(Value):
    """``edgecnn data inspect FOLDER``, schema edgecnn.inspection/2. Nothing here is an opinion of a network."""

    schema_: Literal["edgecnn.inspection/2"] = Field(default="edgecnn.inspection/2", alias="schema")
    version: str
    root: str
    images: int
    """Readable ones."""
    bytes: int
    classes: tuple[ClassCount, ...]
    roles: Mapping[SplitRole, int] | None
    """As a build with the default shares and seed would draw them; None where it could not."""
    roles_from: str
    """One sentence: which folder became which role, or why none can be drawn."""
    unreadable: tuple[FileProblem, ...]
    copies: tuple[Alike, ...]
    """The same bytes more than once."""
    near: tuple[Alike, ...]
    """Other bytes, and yet alike: encoded again, made smaller, hardly cropped."""
    imbalance: float
    """Images of the largest class over those of the smallest."""
    name_slips: tuple[NameSlip, ...]
    short_side_px: Spread
    long_side_px: Spread
    formats: Mapping[str, int]
    modes: Mapping[str, int]
    """Pixels as stored, in Pillow's words: RGB, L, CMYK, I;16, …"""
    orientations: Mapping[str, int]
    """EXIF's 1 to 8; every one but 1 is turned upright."""
    transparent: int
    animated: int
    """Of an animation the first frame is used."""
    ignored: tuple[str, ...]
    """Folders beside the splits that are none."""
    findings: tuple[Finding, ...]
    seconds: float
    contact_sheet: str | None = None
