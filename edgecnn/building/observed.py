"""What was seen of kits on one machine, whether they are a build's, a bundle's or those of two builds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from edgecnn.building.execute import Execution
from edgecnn.building.runnable import why_not_runnable
from edgecnn.judging.predictions.accuracy import check_finite
from edgecnn.judging.runs.ratio import PairedRace
from edgecnn.measure.evaluate import PixelSet, evaluate, logits_of, prepared_groups
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import RaceResult, race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.planning.request import ExtraRuns
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.artifact import Failed, Outcome
from edgecnn.values.candidate import BASELINE_ID, Candidate, KnobRace, Method
from edgecnn.values.layers import Residency
from edgecnn.values.profile import Profile, Purpose
from edgecnn.values.recipe import Objective

Split = Literal["validation", "test"]
SPLITS: tuple[Split, ...] = ("validation", "test")


@dataclass(kw_only=True)
class Observed:
    """Everything that was seen, by candidate. What is absent was not measured, and ``failures`` says where it was tried."""

    lab: Lab
    """Where."""
    attached: bool = True
    """Whether that machine is the device: answers of another are no evidence of what the device would say."""
    device: str | None = None
    """Whose times are wanted; None: those of the machine itself, whichever it is."""
    reference: str = BASELINE_ID
    """Whom drops and ratios are counted from."""
    classes: tuple[str, ...] = ()
    """Names, in the order of the logits."""
    objective: Objective = "latency"
    """What was chosen by."""
    kits: dict[str, KitRef] = field(default_factory=dict)
    """What ships, in the setting that it ships in once that was raced."""
    answering: dict[str, KitRef] = field(default_factory=dict)
    """What answered: the same kit, or its emulated twin."""
    evaluations: dict[tuple[str, Split], StoredProfile] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)
    """Candidates that do not run on this machine, whose evaluations are another one's."""
    folds: list[Observed] = field(default_factory=list)
    """Of cross-validation: what the networks of the other folds answered to their test images; the first fold's is here."""
    known_labels: dict[Split, Any] = field(default_factory=dict)
    """Of a split's images, int64 (images,), where no build has them prepared."""
    known_groups: dict[Split, Any] = field(default_factory=dict)
    """Likewise which of them came together."""
    residency: dict[str, Residency] = field(default_factory=dict)
    races: dict[Purpose, RaceResult] = field(default_factory=dict)
    pairs: list[PairedRace] = field(default_factory=list)
    """Rounds of two builds' kits, in the order in which they ran."""
    extra_runs: ExtraRuns = ExtraRuns()
    """What was asked for beyond these races."""
    batch_screens: dict[int, RaceResult] = field(default_factory=dict)
    """Images in a call to the screening run of that many."""
    throughput: list[RaceResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What could not be read and is not needed: a candidate is not out for it."""
    failures: dict[str, Failed] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """Source of a metric (accuracy, residency, latency …) to why nobody has a figure of it."""
    unrunnable: dict[str, str | None] = field(default_factory=dict)
    """What ``why_not_runnable`` answered."""

    def answers_as_device(self, name: str) -> bool:
        """Whether the evaluations of a candidate are the device's own."""
        return self.attached and name not in self.elsewhere

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Whoever has a row."""
        return tuple(kit.candidate for kit in self.kits.values())

    @property
    def timed(self) -> bool:
        """Whether times there are a processor's own."""
        return self.lab.environment.timed

    @property
    def runnable(self) -> dict[str, KitRef]:
        """Kits that have not failed."""
        return {name: kit for name, kit in self.kits.items() if name not in self.failures}

    def raced(self, purpose: Purpose) -> dict[str, Profile]:
        """Profiles of one race by candidate, in whichever setting each ran there: of these races, every kit runs in one."""
        result = self.races.get(purpose)
        if result is None:
            return {}
        found = {profile.subject: profile for profile in result.profiles.values()}
        return {name: found[kit.digest] for name, kit in self.kits.items() if kit.digest in found}

    def race(self, request: RaceRequest, note: str | None = None) -> RaceResult:
        """Race kits where they are observed. ``note``: what is noted of a kit that fails, with ``{}`` for its candidate."""
        result = race(request, self.lab)
        if note is not None:
            self.notes += [f"{note.format(name)}: {why}" for name, why in result.failed_of(request.kits).items()]
        return result

    def batches_tried(self, kit: KitRef) -> dict[int, Profile]:
        """Images in a call to the one run of this kit with so many."""
        found = self.batch_screens.items()
        return {batch: result.profiles[kit.entrant] for batch, result in found if kit.entrant in result.profiles}

    def labels(self, split: Split) -> Any | None:
        """The true classes of a split, int64 (images,); None where nobody knows them."""
        return self.known_labels.get(split)

    def groups(self, split: Split) -> Any | None:
        """Which images of a split came together, int64 (images,); None where they are independent of each other."""
        return self.known_groups.get(split)

    def outcomes(self, candidate: Candidate) -> dict[str, Outcome]:
        """What became of measuring one candidate."""
        failure = self.failures.get(candidate.id)
        return {} if failure is None else {"measure": failure}

    def kept_float(self, candidate: Candidate) -> tuple[str, ...]:
        """Layers that a candidate keeps in float, where that is known."""
        del candidate
        return ()

    def why_not_runnable(self, name: str) -> str | None:
        """Asked of each kit once, since it starts a process. A kit that fails its own test is out."""
        if name not in self.unrunnable:
            failed = why_not_runnable(self.kits[name], self.lab)
            self.unrunnable[name] = None if failed is None else failed.what
            if failed is not None and not failed.missing and name not in self.failures:
                self.fail(name, failed)
        return self.unrunnable[name]

    def fail(self, name: str, failed: Failed, verb: str = "failed") -> None:
        """A candidate is out, in the failure's own words."""
        self.failures[name] = failed
        self.lab.tell.note(f"{name} {verb}: {failed.what}")


@dataclass(kw_only=True)
class ObservedBuild(Observed):
    """The same of a build's candidates, with what their steps left."""

    execution: Execution
    knobs: KnobRace | None = None
    """What the chosen kit's settings did; None where they were not raced."""
    desktop: Observed | None = None
    """What a GPU of this machine did as the desktop baseline; None where there is none."""

    def __post_init__(self) -> None:
        resolved = self.execution.plan.resolved
        self.attached, self.device = resolved.attachment.attached, resolved.device.name
        self.classes, self.objective = resolved.data.classes, resolved.recipe.choice.objective

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every candidate that the build is about."""
        return self.execution.candidates

    def labels(self, split: Split) -> Any | None:
        """Of the prepared images."""
        import numpy as np

        if not self.execution.plan.resolved.data.labelled:
            return None
        return np.load(self.execution.artifacts["prepare"].folder / f"{split}.labels.npy", allow_pickle=False)

    def groups(self, split: Split) -> Any | None:
        """Of the prepared images."""
        return prepared_groups(self.execution.artifacts["prepare"].folder, split)

    def outcomes(self, candidate: Candidate) -> dict[str, Outcome]:
        """What became of each step of one candidate, and of measuring it."""
        found = {
            step.id.partition(":")[0]: outcome
            for step in self.execution.plan.of_candidate(candidate.id)
            if (outcome := self.execution.outcomes.get(step.id)) is not None
        }
        return {**found, **super().outcomes(candidate)}

    def kept_float(self, candidate: Candidate) -> tuple[str, ...]:
        """As quantizing wrote it down: what the ranking says of mixed precision, then attention."""
        made = self.execution.artifacts.get(f"quantize:{candidate.id}")
        if made is None or candidate.method not in (Method.MIXED, Method.POST_TRAINING):
            return ()
        said = json.loads((made.folder / "quantize.json").read_text(encoding="utf-8"))
        return tuple(dict.fromkeys((*said.get("kept_float", ()), *said.get("attention", ()))))


def pixel_sets(execution: Execution) -> dict[Split, PixelSet]:
    """The evaluated splits of a build's prepared images."""
    counts, folder = execution.plan.resolved.data.counts, execution.artifacts["prepare"].folder
    return {split: PixelSet.prepared(folder, split, counts[split]) for split in SPLITS}


def evaluated(kit: KitRef, pixels: PixelSet, lab: Lab) -> StoredProfile:
    """What a kit answers to these pixels, where every answer is a number.

    Raises LogitsNotFinite: one is none.
    """
    stored = evaluate(kit, pixels, lab)
    check_finite(kit.candidate.id, logits_of(stored))
    return stored
