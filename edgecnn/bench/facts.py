"""What was measured of a bundle alone: no build's folder lies beside it, so that this is a report of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from edgecnn.bundle.manifest import BundleVerification
from edgecnn.values.base import Value
from edgecnn.values.figures import Accuracy, MultiLabelAccuracy
from edgecnn.values.profile import Environment
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import GateResult, Verdict


class BenchImages(Value):
    """What a bundle's kits were asked about."""

    source: Literal["store", "data", "none"]
    role: Literal["recorded", "other"] | None = None
    """recorded: pixel for pixel the build's test images. other: whatever ``--data`` holds, of which nobody knows whether
    the network learned from it."""
    images: int = 0
    pixels: str | None = None
    """Their digest, as ``runner.pixels.pixels_sha256`` has it."""
    data: str | None = None
    """What ``--data`` named."""
    said: str
    """The same in a sentence."""


class BundleBench(Value):
    """``bundle-bench.json``, schema edgecnn.bundle-bench/2: figures of a bundle's kits on one machine."""

    schema_: Literal["edgecnn.bundle-bench/2"] = Field(default="edgecnn.bundle-bench/2", alias="schema")
    version: str
    made_at: str
    bundle: BundleVerification
    device: str
    """Under whose name the profiles are filed: a device that the machine is, or ``this machine``."""
    built_for: str | None
    """What the bundle says; None of one that says nothing of it."""
    machine: str
    board: str | None
    """As --host named it; None: the machine that edgecnn ran on."""
    environment: Environment
    images: BenchImages
    candidates: tuple[CandidateFacts, ...]
    recorded: Mapping[str, Accuracy | MultiLabelAccuracy]
    """Candidate to the accuracy that its build reported, wherever that was measured."""
    profiles: Mapping[str, tuple[str, ...]]
    """Candidate to the folders of its profiles, beside this file; the store has the same."""
    gates: tuple[GateResult, ...]
    """Of the kit that the bundle uses."""
    require_measured: bool = Field(default=False, exclude_if=lambda required: not required)
    verdict: Verdict
    notices: tuple[str, ...]
    seconds: float
    output: str
