"""Facts of comparisons: one candidate over time, and builds side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, Self

from pydantic import Field

from edgecnn.errors.wording import counted, listed, plural
from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.profile import Environment, Purpose
from edgecnn.values.report import Build, CandidateFacts, Change, Choice
from edgecnn.values.verdict import Fidelity, Interval, Verdict


def condition_changes(before: Mapping[str, str], now: Mapping[str, str], names: Iterable[str]) -> Iterator[str]:
    """Yield the conditions that differ, such as ``kernel: 6.1.0 → 6.8.0``."""
    for name in names:
        if before.get(name) != now.get(name):
            yield f"{name}: {before.get(name) or 'unknown'} → {now.get(name) or 'unknown'}"


class MeasuredPoint(Value):
    """The figure of one profile of one kit."""

    observed_at: str
    """ISO 8601, UTC."""
    kit: str
    """SHA-256 of the manifest of the kit that ran."""
    figure: Interval | None
    """p50 in ms, or top-1 on the test split, 0…1."""
    reason: str | None = None
    """Why there is no figure."""
    fidelity: Fidelity
    segment: int
    """Number of the segment. A line may join the points of a segment, because the conditions that must match are equal."""
    changed: tuple[str, ...] = ()
    """Conditions that changed since the previous point, such as ``kernel: 6.1.0 → 6.8.0``."""
    new_kit: bool = False
    """Whether the previous point with the same purpose is of another kit."""
    purpose: Purpose | None = None
    """Purpose of a race."""
    count: int
    """Runs of a race, or images of an evaluation."""
    disturbed: str | None = None


class Series(Value):
    """Measurements over time of one candidate of a network, with one input size and number of classes, on one machine."""

    arch: str
    candidate: str
    resolution_px: Resolution | None
    """Size of the images that the network reads; None if neither the kit nor a report states the size."""
    classes: int | None
    machine: str
    """Description of the machine."""
    machine_id: str
    knobs: str | None = None
    """Knobs in words; None: the default."""
    devices: tuple[str, ...]
    """Names of the machine in the profiles: the device file that the machine matched, or ``this machine``."""
    kits: tuple[str, ...]
    """Digests in the order in which the kits were first measured."""
    latency: tuple[MeasuredPoint, ...]
    """Medians of races, oldest first."""
    accuracy: tuple[MeasuredPoint, ...]
    """Top-1, or mAP of multi-label images, on the test split, oldest first. Other images start another segment."""
    accuracy_of: Literal["top1", "map"] = Field(default="top1", exclude_if=lambda of: of == "top1")


class MeasuredHistory(Value):
    """``edgecnn study history``, schema edgecnn.history/1."""

    schema_: Literal["edgecnn.history/1"] = Field(default="edgecnn.history/1", alias="schema")
    version: str
    made_at: str
    store: str
    asked: str
    """Request in words."""
    series: tuple[Series, ...]
    notices: tuple[str, ...] = ()
    command: str
    """Command that makes this history."""


class ComparedBuild(Value):
    """One build of a comparison."""

    label: str
    """A, B, C …, in the order of the command line; used as the name in tables and charts."""
    folder: str
    version: str
    """Version of edgecnn that made the build."""
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
    """Rows in the order of the builds, without layers, which are in report.json; None if a build has no such candidate."""


class Pairing(Value):
    """Numbers of images of two different test splits that were paired by source image."""

    images: int
    """Images in both test splits."""
    base_images: int
    """Images in BASE's test split."""
    head_images: int
    """Images in HEAD's test split."""
    relabelled: int = 0
    """Common images whose label differs; HEAD's labels count for both sides."""
    multi_label: bool = Field(default=False, exclude_if=lambda is_multi_label: not is_multi_label)
    only_head: tuple[str, ...] = ()
    """Classes that BASE does not have. Their images are not compared."""
    only_base: tuple[str, ...] = ()
    """Classes that HEAD does not have. Their images are not compared."""

    def sentence(self, base: str, head: str) -> str:
        """Return a sentence for notices and captions. ``base``, ``head``: the names of the two builds."""
        labels = (
            f"; {counted(self.relabelled, 'label')} changed, and the labels of {head} are used for both"
            if self.relabelled
            else ""
        )
        alone = [
            f"{listed([repr(name) for name in names])} {plural(len(names), 'is', 'are')} only in {side}"
            for side, names in ((head, self.only_head), (base, self.only_base))
            if names
        ]
        shown = (
            "only labels that both builds have count"
            if self.multi_label
            else "the images show only classes that both builds have"
        )
        classes = f"; {shown} ({' and '.join(alone)})" if alone else ""
        return (
            f"accuracy is compared on the {counted(self.images, 'image')} that both test splits hold "
            f"({self.base_images:,} in {base}, {self.head_images:,} in {head}){classes}{labels}"
        )


class PairedAccuracy(Value):
    """Top-1, or mAP of multi-label images, of one candidate in two builds, paired by image."""

    candidate: str
    base: str
    """Label of BASE."""
    head: str
    """Label of HEAD."""
    drop_pp: Interval | None
    """Top-1 or mAP of BASE minus that of HEAD, in percentage points; two-sided 90 %. Negative: HEAD is better."""
    lost: int | None = None
    """Images that only BASE gets right; None for mAP."""
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
    """Differences, such as ``recipe train.epochs: 3 → 10``; a difference of one candidate begins with its id in brackets."""
    changes: tuple[Change, ...] = ()
    """Differences as values."""
    unknown: str | None = None
    """Why the differences may be incomplete; None if they are complete."""

    @classmethod
    def between(cls, base: str, head: str, changes: Iterable[Change], unknown: str | None = None) -> Self:
        """Return the changes with a line for each."""
        values = tuple(changes)
        return cls(base=base, head=head, lines=tuple(map(str, values)), changes=values, unknown=unknown)


class MachineGroup(Value):
    """Builds that were timed on one machine in one state."""

    labels: tuple[str, ...]
    machine: str
    differs: tuple[str, ...] = ()
    """Conditions that differ from those of the first group; empty for the first group."""


class SideBySide(Value):
    """``edgecnn compare A B …``, schema edgecnn.compare/2."""

    schema_: Literal["edgecnn.compare/2"] = Field(default="edgecnn.compare/2", alias="schema")
    version: str
    made_at: str
    builds: tuple[ComparedBuild, ...] = Field(min_length=2)
    candidates: tuple[ComparedCandidate, ...]
    paired: tuple[PairedAccuracy, ...]
    """Every other build compared with the first, for each candidate of both."""
    changed: tuple[BuildChanges, ...]
    """Every other build compared with the first."""
    machines: tuple[MachineGroup, ...]
    """Timed builds by machine. Latencies of two groups are never subtracted, ranked or drawn on one axis."""
    notices: tuple[str, ...] = ()
    command: str
    """Command that makes this comparison."""

    @property
    def accuracy(self) -> Literal["top1", "map"]:
        """The metric of the builds: mAP for multi-label images, else top-1."""
        rows = (row for candidate in self.candidates for row in candidate.facts if row is not None)
        return "map" if any(row.multi_label is not None for row in rows) else "top1"
