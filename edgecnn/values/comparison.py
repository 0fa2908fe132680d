"""What judging one build against another found, as facts. Rendering is somewhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from edgecnn.values.base import Value
from edgecnn.values.candidate import Candidate
from edgecnn.values.knobs import DEFAULT, Knobs
from edgecnn.values.profile import CONDITIONS_THAT_MUST_MATCH, Environment, Run, observed_moment
from edgecnn.values.recipe import Recipe
from edgecnn.values.report import Latency
from edgecnn.values.stage import digest_of
from edgecnn.values.verdict import GateResult, Interval, Verdict

ChangeKind = Literal["recipe", "weights", "data", "device", "kit", "tools"]


class Change(Value):
    """One thing that two kits were made from or with, and that differs between them."""

    kind: ChangeKind
    name: str
    """Such as ``recipe train.epochs``."""
    before: str
    after: str
    candidate: str | None = None
    """Of which alone it is known; None: it holds for every one."""

    def __str__(self) -> str:
        whose = "" if self.candidate is None else f"[{self.candidate}] "
        return f"{whose}{self.name}: {self.before} → {self.after}"


class Origin(Value):
    """What a kit was made from and with, leaf by leaf, in words: two origins can be held against each other line by line."""

    kit: Mapping[str, str]
    """From the kit's own manifest."""
    plan: Mapping[str, str] | None = None
    """From the ``plan.json`` of its build; None for a bundle without one."""


class ShippedKitFacts(Value):
    """The kit that a build ships, as one side of a comparison."""

    name: str
    """Of the build's folder."""
    candidate: Candidate
    kit: str
    """sha256 of the kit's manifest."""
    knobs: Knobs = DEFAULT
    """What its build chose that it runs with: each side is raced in its own setting, since that is what ships."""
    arch: str | None = None
    device: str | None = None
    """What it was built for; None where only a bundle was given."""
    observed_at: str | None = None
    """When its runs were made, where that is another day than the other side's."""

    def is_identical_to(self, other: ShippedKitFacts, *machines: Mapping[str, str]) -> bool:
        """Whether both sides are the same files, with the same knobs, for the same device and on one machine.

        ``machines``: the conditions of every machine that is involved; none where one call runs both sides. A machine without a
        name is not known to be another one; a condition that is unknown on both sides counts as equal. Differences between
        identical sides are 0, and ratios 1, by definition.
        """
        devices = {self.device, other.device} - {None}
        conditions = [{name: known.get(name) for name in CONDITIONS_THAT_MUST_MATCH} for known in machines]
        named = all(known.get("machine") for known in machines)
        one_machine = named and all(condition == conditions[0] for condition in conditions)
        return (self.kit, self.knobs) == (other.kit, other.knobs) and len(devices) <= 1 and one_machine


def sealed_digest(written: Mapping[str, Any]) -> str:
    """SHA-256 of a document but for its own: as it stands in its file, so that a later version's field makes none look edited."""
    return digest_of({name: value for name, value in written.items() if name != "sha256"})


class Comparison(Value):
    """``edgecnn judge HEAD --against BASE`` and ``edgecnn baseline compare``, schema edgecnn.comparison/1."""

    schema_: Literal["edgecnn.comparison/1"] = Field(default="edgecnn.comparison/1", alias="schema")
    version: str
    made_at: str
    how: Literal["paired", "unpaired"]
    """paired: both ran interleaved in one race. unpaired: BASE's runs are of another day, so that drift too is a difference."""
    head: ShippedKitFacts
    base: ShippedKitFacts
    identical: bool = Field(default=False, exclude_if=lambda identical: not identical)
    """Both sides are the same files in the same setting: ``ratio`` and ``drop_pp`` are so by definition and were not measured."""
    machine: str
    environment: Environment
    rounds: int
    """Processes of HEAD that were timed."""
    ratio: Interval | None
    """Latency of HEAD over BASE: above 1, HEAD is slower."""
    latency: Latency
    """HEAD's own."""
    base_latency: Latency
    drop_pp: Interval | None
    """Top-1, or mAP, lost by HEAD against BASE on the same images, percentage points; two-sided 90 %."""
    drop_of: Literal["top-1", "mAP"] = Field(default="top-1", exclude_if=lambda of: of == "top-1")
    """What is lost: mAP where an image has several labels."""
    drop_absent: str | None = None
    """Why there is no drop."""
    verdict: Verdict
    gates: tuple[GateResult, ...]
    changed: tuple[str, ...]
    """What differs between what the two were made from and with, BASE → HEAD."""
    notices: tuple[str, ...] = ()
    seconds: float


class LatencyBaseline(Value):
    """A file of ``edgecnn baseline``, schema edgecnn.latency-baseline/1: every raw run of one kit on one machine.

    It is for boards and pinned runners, where a later build's runs may be held against it; the records in ``baselines/`` are
    something else, what reference GPUs did with a network.
    """

    schema_: Literal["edgecnn.latency-baseline/1"] = Field(default="edgecnn.latency-baseline/1", alias="schema")
    version: str
    shipped: ShippedKitFacts
    machine: str
    environment: Environment
    """Conditions and observations of the race."""
    observed_at: str
    runs: tuple[Run, ...] = Field(min_length=1)
    """Every process, with every timed inference in nanoseconds."""
    energy_runs: tuple[Run, ...] = ()
    """Every process that measured energy, and timed nothing."""
    energy_absent: str | None = None
    """Why there are no energy runs, where that is known."""
    companions: int | None = None
    """Other kits of the same race, which ran between these processes; None of a file that does not say."""
    origin: Origin
    """So that a later regression can say what changed."""
    sha256: str = ""
    """Of the canonical JSON of everything else: an edited file is refused."""

    @field_validator("observed_at")
    @classmethod
    def _dated(cls, observed_at: str) -> str:
        observed_moment(observed_at)
        return observed_at


class PinnedBuild(Value):
    """A file of ``edgecnn baseline pin``, schema edgecnn.pinned-build/2: which kit a later commit is raced against.

    It is small and committed beside the recipe. It holds no runs, since a hosted runner is another machine tomorrow, and no kit:
    that comes out of the store, or out of the command that builds it again.
    """

    schema_: Literal["edgecnn.pinned-build/2"] = Field(default="edgecnn.pinned-build/2", alias="schema")
    version: str
    """Of edgecnn."""
    shipped: ShippedKitFacts
    evaluated_kit: str
    """sha256 of the manifest of the kit that answered: the same, or its emulated twin."""
    device_attached: bool
    """Whether the machine that built it was the device, so that its answers are the device's own."""
    keys: Mapping[str, str]
    """Step to its key in the store: the trunk, and the branch of what ships."""
    tools: Mapping[str, str]
    """Distribution to its version there."""
    recipe: Recipe
    """As resolved; what is a path counts from this file's folder."""
    origin: Origin
    """So that a later regression can say what changed."""
    made_at: str
    sha256: str = ""
    """Of the canonical JSON of everything else: an edited file is refused."""
