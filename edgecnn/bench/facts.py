"""The report of a bundle that was measured without its build."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from edgecnn.bundle.manifest import BundleVerification
from edgecnn.values.base import Value
from edgecnn.values.figures import Accuracy, MultiLabelAccuracy
from edgecnn.values.profile import Environment
from edgecnn.values.report import CandidateFacts
from edgecnn.values.sandbox import Confinement
from edgecnn.values.verdict import GateResult, Verdict


class BenchImages(Value):
    """Images that a bundle's kits were evaluated on."""

    source: Literal["store", "data", "none"]
    role: Literal["recorded", "other"] | None = None
    """recorded: pixel for pixel the build's test images. other: images of ``--data``, which may include training images."""
    images: int = 0
    pixels: str | None = None
    """Digest of the pixels by ``runner.pixels.pixels_sha256``."""
    data: str | None = None
    """Value of ``--data``."""
    said: str
    """Source and number of images as a sentence."""


class BundleBench(Value):
    """``bundle-bench.json``, schema edgecnn.bundle-bench/2: figures of a bundle's kits on one machine."""

    schema_: Literal["edgecnn.bundle-bench/2"] = Field(default="edgecnn.bundle-bench/2", alias="schema")
    version: str
    made_at: str
    bundle: BundleVerification
    device: str
    """Device name in the profiles: the device that the machine is, or ``this machine``."""
    built_for: str | None
    """Device that the bundle was built for; None if the bundle does not state it."""
    machine: str
    board: str | None
    """Value of ``--host``; None: the machine that edgecnn ran on."""
    environment: Environment
    confinement: Confinement | None = None
    """The sandbox of the kits on this machine; None: they were measured on a board."""
    images: BenchImages
    candidates: tuple[CandidateFacts, ...]
    recorded: Mapping[str, Accuracy | MultiLabelAccuracy]
    """Accuracy that the build reported, on any machine, by candidate."""
    profiles: Mapping[str, tuple[str, ...]]
    """Folders with copies of the profiles in the store, relative to this file, by candidate."""
    gates: tuple[GateResult, ...]
    """Gates of the kit that the bundle uses."""
    require_measured: bool = Field(default=False, exclude_if=lambda required: not required)
    verdict: Verdict
    notices: tuple[str, ...]
    seconds: float
    output: str
