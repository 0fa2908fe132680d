"""What the store's dated profiles say of one candidate over time, as facts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.data.preprocessing import Resolution
from edgecnn.values.profile import Purpose
from edgecnn.values.verdict import Fidelity, Interval


class MeasuredPoint(Value):
    """One profile: what was observed of one kit at one time."""

    observed_at: str
    """ISO 8601, UTC."""
    kit: str
    """sha256 of the manifest of what ran."""
    figure: Interval | None
    """p50 in ms, or top-1 on the test split, 0…1."""
    reason: str | None = None
    """Why there is no figure."""
    fidelity: Fidelity
    segment: int
    """Points of one segment may be joined by a line: nothing that must match differs between them."""
    changed: tuple[str, ...] = ()
    """Conditions that are not those of the point before, such as ``kernel: 6.1.0 → 6.8.0``."""
    new_kit: bool = False
    """True where another kit ran than at the point before that was run for the same."""
    purpose: Purpose | None = None
    """Of a race."""
    count: int
    """Process runs of a race, images of an evaluation."""
    disturbed: str | None = None


class Series(Value):
    """One candidate of one network for one input and as many classes, in one setting on one machine, over successive kits."""

    arch: str
    candidate: str
    resolution_px: Resolution | None
    """Of the images that the network reads; None where neither the kit nor a report says it."""
    classes: int | None
    machine: str
    """In words."""
    machine_id: str
    knobs: str | None = None
    """What its sessions were set to beside their kits, in words; None: nothing."""
    devices: tuple[str, ...]
    """Names that the profiles give it: the device file that the machine matched, or ``this machine``."""
    kits: tuple[str, ...]
    """Digests in the order in which they were first measured."""
    latency: tuple[MeasuredPoint, ...]
    """Medians of races, oldest first."""
    accuracy: tuple[MeasuredPoint, ...]
    """Top-1 on the test split, oldest first, or mAP where an image has several labels. Other images begin another segment."""
    accuracy_of: Literal["top1", "map"] = Field(default="top1", exclude_if=lambda of: of == "top1")


class MeasuredHistory(Value):
    """``edgecnn history``, schema edgecnn.history/1."""

    schema_: Literal["edgecnn.history/1"] = Field(default="edgecnn.history/1", alias="schema")
    version: str
    made_at: str
    store: str
    asked: str
    """What was asked for, in words."""
    series: tuple[Series, ...]
    notices: tuple[str, ...] = ()
    command: str
    """That makes this history again."""
