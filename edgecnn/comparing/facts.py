"""Facts of comparisons: one candidate over time, and builds side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field

from edgecnn.errors.wording import counted
from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.profile import Environment, Purpose
from edgecnn.values.report import Build, CandidateFacts, Change, Choice
from edgecnn.values.verdict import Fidelity, Interval, Verdict


class MeasuredPoint(Value):
    """One profile of one kit."""

    observed_at: str
    """ISO 8601, UTC."""
    kit: str
    """sha256 of the manifest of the kit that ran."""
    figure: Interval | None
    """p50 in ms, or top-1 on the test split, 0…1."""
    reason: str | None = None
    """Why there is no figure."""
    fidelity: Fidelity
    segment: int
    """Points of one segment may be joined by a line, because no condition that must match differs between them."""
    changed: tuple[str, ...] = ()
    """Conditions that changed since the point before, such as ``kernel: 6.1.0 → 6.8.0``."""
    new_kit: bool = False
    """True if the point before with the same purpose is of another kit."""
    purpose: Purpose | None = None
    """The purpose of a race."""
    count: int
    """Process runs of a race, images of an evaluation."""
    disturbed: str | None = None


class Series(Value):
    """One candidate of a network with one input size and number of classes, in one setting on one machine, over time."""

    arch: str
    candidate: str
    resolution_px: Resolution | None
    """Size of the images that the network reads; None if neither the kit nor a report says."""
    classes: int | None
    machine: str
    """In words."""
    machine_id: str
    knobs: str | None = None
    """The settings of its sessions in words; None: the default."""
    devices: tuple[str, ...]
    """Names of the machine in the profiles: the device file that it matched, or ``this machine``."""
    kits: tuple[str, ...]
    """Digests in the order in which they were first measured."""
    latency: tuple[MeasuredPoint, ...]
    """Medians of races, oldest first."""
    accuracy: tuple[MeasuredPoint, ...]
    """Top-1, or mAP of multi-label images, on the test split, oldest first. Other images begin another segment."""
    accuracy_of: Literal["top1", "map"] = Field(default="top1", exclude_if=lambda of: of == "top1")


class MeasuredHistory(Value):
    """``edgecnn study history``, schema edgecnn.history/1."""

    schema_: Literal["edgecnn.history/1"] = Field(default="edgecnn.history/1", alias="schema")
    version: str
    made_at: str
    store: str
    asked: str
    """The request in words."""
    series: tuple[Series, ...]
    notices: tuple[str, ...] = ()
    command: str
    """The command that makes this history again."""


class ComparedBuild(Value):
    """One build of a comparison."""

    label: str
    """A, B, C …, in the order of the command line; the name in tables and charts."""
    folder: str
    version: str
    """The version of edgecnn that made it."""
    made_at: str
    build: Build
    environment: Environment
    choice: Choice
    verdict: Verdict
    notices: tuple[str, ...] = ()


class ComparedCandidate(Value):
    """One candidate with its row of each build."""

    candidate: str
    facts: tuple[CandidateFacts | None, ...]
    """In the order of the builds; None if a build has no such candidate. Without layers, which report.json holds."""


class Pairing(Value):
    """Images of two test splits that differ, paired by source image, independent of resolution and preprocessing."""

    images: int
    """Images in both test splits."""
    base_images: int
    head_images: int
    """Images in the test split of each side."""
    relabelled: int = 0
    """Common images whose label differs; HEAD's labels count for both sides."""

    def sentence(self, base: str, head: str) -> str:
        """A sentence for notices and captions. ``base``, ``head``: the names of the two builds."""
        labels = (
            f"; {counted(self.relabelled, 'label')} changed, and the labels of {head} are used for both"
            if self.relabelled
            else ""
        )
        return (
            f"accuracy is compared on the {counted(self.images, 'image')} that both test splits hold "
            f"({self.base_images:,} in {base}, {self.head_images:,} in {head}){labels}"
        )


class PairedAccuracy(Value):
    """Top-1 of one candidate in two builds, image by image; mAP of multi-label images."""

    candidate: str
    base: str
    head: str
    """Labels."""
    drop_pp: Interval | None
    """Top-1 or mAP of BASE minus that of HEAD, percentage points; two-sided 90 %. Negative: HEAD is better."""
    lost: int | None = None
    """Images that only BASE gets right; None for mAP, which has no right images."""
    gained: int | None = None
    """Images that only HEAD gets right."""
    images: int | None = None
    pairing: Pairing | None = None
    """None if both sides were evaluated on the same pixels."""
    fidelity: Fidelity = Fidelity.MISSING
    machine: str | None = None
    absent: str | None = None
    """Why there is no difference, as a sentence."""


class BuildChanges(Value):
    """Differences between the inputs and tools of two builds, BASE → HEAD."""

    base: str
    head: str
    lines: tuple[str, ...]
    """One difference each, such as ``recipe train.epochs: 3 → 10``; of one candidate, it begins with the id in brackets."""
    changes: tuple[Change, ...] = ()
    """The differences as values."""
    unknown: str | None = None
    """Why the differences may be incomplete; None if they are complete."""

    @classmethod
    def between(cls, base: str, head: str, changes: Iterable[Change], unknown: str | None = None) -> Self:
        """Changes with a line for each."""
        values = tuple(changes)
        return cls(base=base, head=head, lines=tuple(map(str, values)), changes=values, unknown=unknown)


class MachineGroup(Value):
    """Builds that were timed on one machine in one state."""

    labels: tuple[str, ...]
    machine: str
    differs: tuple[str, ...] = ()
    """Conditions that differ from those of the first group; empty for the first."""


class SideBySide(Value):
    """``edgecnn compare A B …``, schema edgecnn.compare/2."""

    schema_: Literal["edgecnn.compare/2"] = Field(default="edgecnn.compare/2", alias="schema")
    version: str
    made_at: str
    builds: tuple[ComparedBuild, ...] = Field(min_length=2)
    candidates: tuple[ComparedCandidate, ...]
    paired: tuple[PairedAccuracy, ...]
    """Every other build against the first, for each candidate that both have."""
    changed: tuple[BuildChanges, ...]
    """Every other build against the first."""
    machines: tuple[MachineGroup, ...]
    """The builds that were timed. Latencies of two groups are never subtracted, ranked or drawn on one axis."""
    notices: tuple[str, ...] = ()
    command: str
    """The command that makes this comparison again."""

    @property
    def accuracy(self) -> Literal["top1", "map"]:
        """The metric of its builds: mAP for multi-label images, else top-1."""
        rows = (row for candidate in self.candidates for row in candidate.facts if row is not None)
        return "map" if any(row.multi_label is not None for row in rows) else "top1"
