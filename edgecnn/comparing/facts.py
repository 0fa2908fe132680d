"""What comparisons show, as facts: one candidate over time, and builds side by side, with the reason where none can be paired."""

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
    """``edgecnn study history``, schema edgecnn.history/1."""

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


class ComparedBuild(Value):
    """One build of a comparison."""

    label: str
    """A, B, C …, in the order given: what tables and charts call it."""
    folder: str
    version: str
    """Of the edgecnn that made it."""
    made_at: str
    build: Build
    environment: Environment
    choice: Choice
    verdict: Verdict
    notices: tuple[str, ...] = ()


class ComparedCandidate(Value):
    """One candidate id with what each build found of it."""

    candidate: str
    facts: tuple[CandidateFacts | None, ...]
    """In the order of the builds; None where a build has no such candidate. Layers are left out: report.json has them."""


class Pairing(Value):
    """How images were paired where the two test splits differ: by source image, whatever the resolution or preprocessing."""

    images: int
    """In both test splits."""
    base_images: int
    head_images: int
    """In the whole test split of each side."""
    relabelled: int = 0
    """Common images whose label differs; HEAD's labels count for both sides."""

    def sentence(self, base: str, head: str) -> str:
        """For notices and captions. ``base``, ``head``: what the reader calls the two builds."""
        labels = (
            f"; {counted(self.relabelled, 'label')} changed, and the labels of {head} count for both" if self.relabelled else ""
        )
        return (
            f"accuracy is compared on the {counted(self.images, 'image')} that both test splits hold "
            f"({self.base_images:,} in {base}, {self.head_images:,} in {head}){labels}"
        )


class PairedAccuracy(Value):
    """Top-1 of one candidate in two builds, image by image; mAP where an image has several labels."""

    candidate: str
    base: str
    head: str
    """Labels."""
    drop_pp: Interval | None
    """Top-1, or mAP, that HEAD loses against BASE, percentage points; two-sided 90 %. Negative: HEAD is better."""
    lost: int | None = None
    """Images that only BASE gets right; None of mAP, which no image decides alone."""
    gained: int | None = None
    """Images that only HEAD gets right."""
    images: int | None = None
    pairing: Pairing | None = None
    """None where both sides answered to the same pixels."""
    fidelity: Fidelity = Fidelity.MISSING
    machine: str | None = None
    absent: str | None = None
    """Why there is no difference, as a sentence."""


class BuildChanges(Value):
    """What differs between what two builds were made from and with, BASE → HEAD."""

    base: str
    head: str
    lines: tuple[str, ...]
    """One difference each, such as ``recipe train.epochs: 3 → 10``; of one candidate alone: begun with its id in brackets."""
    changes: tuple[Change, ...] = ()
    """The same as values."""
    unknown: str | None = None
    """Why not everything is known; None where nothing is missing."""

    @classmethod
    def between(cls, base: str, head: str, changes: Iterable[Change], unknown: str | None = None) -> Self:
        """The differences, and each as a line."""
        values = tuple(changes)
        return cls(base=base, head=head, lines=tuple(map(str, values)), changes=values, unknown=unknown)


class MachineGroup(Value):
    """Builds whose times were taken on one machine in one state."""

    labels: tuple[str, ...]
    machine: str
    differs: tuple[str, ...] = ()
    """From the first group, one condition a line; empty for the first."""


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
    """Of the builds that were timed. Times of two groups are never subtracted or ranked, nor drawn on one axis."""
    notices: tuple[str, ...] = ()
    command: str
    """That makes this comparison again."""

    @property
    def accuracy(self) -> Literal["top1", "map"]:
        """The metric that its builds have in common: mAP where an image has several labels."""
        several = any(
            facts is not None and facts.multi_label is not None for candidate in self.candidates for facts in candidate.facts
        )
        return "map" if several else "top1"
