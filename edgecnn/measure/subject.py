"""A subject: kits on one machine with their predictions, races and images. It is measured, and its rows are judged.

Builds, folds, the desktop GPU, finished builds, bundles and comparisons each make one. A subject holds no plan and no execution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgecnn.judging.accuracy import Answers, check_finite
from edgecnn.measure.evaluate import PixelSet, evaluate, logits_of, prepared_groups
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab, why_not_runnable
from edgecnn.measure.race import RaceResult, race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.artifact import Failed, Outcome
from edgecnn.values.candidate import BASELINE_ID, Candidate, KnobRace, graph_of
from edgecnn.values.layers import MacTable, Residency
from edgecnn.values.profile import ExtraRuns, Profile, Purpose
from edgecnn.values.recipe import Objective, RaceChoice
from edgecnn.values.resolved import Resolved

Split = Literal["validation", "test"]
SPLITS: tuple[Split, ...] = ("validation", "test")


@dataclass(kw_only=True)
class Subject:
    """Measurements by name of a row: a candidate, or HEAD and BASE. A missing entry was not measured or is in ``failures``."""

    lab: Lab
    """The machine that measures."""
    attached: bool = True
    """Whether that machine is the device. Predictions of another machine count as emulated."""
    device: str | None = None
    """The device whose latency is reported; None: that of the lab's machine."""
    reference: str = BASELINE_ID
    """The row that drops and ratios are computed against."""
    classes: tuple[str, ...] = ()
    """Names in the order of the logits."""
    objective: Objective = "latency"
    """The objective of the choice."""
    about: Resolved | None = None
    """The build of the kits; None for a bundle, a comparison and the desktop GPU."""
    listed: Mapping[str, Candidate] | None = None
    """Name to candidate of each row; None: of those that have a kit."""
    race_choice: RaceChoice = RaceChoice()
    """Settings of races, which the options of a call may raise."""
    kits: dict[str, KitRef] = field(default_factory=dict)
    """Kits that would ship, with their settings once these were raced."""
    answering: dict[str, KitRef] = field(default_factory=dict)
    """Kits that are evaluated: the same kit, or its emulated twin."""
    evaluations: dict[tuple[str, Split], StoredProfile] = field(default_factory=dict)
    known_answers: dict[tuple[str, Split], Answers] = field(default_factory=dict)
    """Predictions that are known without a stored evaluation, such as those on the images that two test splits share."""
    elsewhere: set[str] = field(default_factory=set)
    """Names of kits that do not run on this machine and were evaluated on another one."""
    folds: list[Subject] = field(default_factory=list)
    """Subjects of the other folds of cross-validation, with their test predictions. This subject is the first fold."""
    steps: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    """Name to kind of step to its outcome."""
    graphs: dict[str, Path] = field(default_factory=dict)
    """Step that made the ONNX file of candidates to the table of its multiply-adds."""
    planned: dict[str, Path] = field(default_factory=dict)
    """Name to the layers that the builder of its engine planned."""
    layers_kept_float: dict[str, tuple[str, ...]] = field(default_factory=dict)
    prepared: Path | None = None
    """The folder of a build's prepared images; None if no build prepared them."""
    known_labels: dict[Split, Any] = field(default_factory=dict)
    """Labels of images that no build prepared: int64 (images,), or multi-label uint8 (images, labels)."""
    known_groups: dict[Split, Any] = field(default_factory=dict)
    """Groups of these images, int64 (images,)."""
    residency: dict[str, Residency] = field(default_factory=dict)
    races: dict[Purpose, RaceResult] = field(default_factory=dict)
    against: dict[str, Profile] = field(default_factory=dict)
    """Runs of HEAD and BASE in a comparison, joined over its races."""
    extra_runs: ExtraRuns = ExtraRuns()
    """Measurements that the user asked for in addition to the races."""
    batch_screens: dict[int, RaceResult] = field(default_factory=dict)
    """Batch size to its screening run."""
    throughput: list[RaceResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Failures that put no kit out, such as an unreadable trace."""
    failures: dict[str, Failed] = field(default_factory=dict)
    """Name to why its kit is out."""
    absent: dict[str, str] = field(default_factory=dict)
    """Source of a metric (accuracy, residency, latency …) to why its figures are missing."""
    unrunnable: dict[str, str | None] = field(default_factory=dict)
    """Results of ``why_not_runnable``."""
    knobs: KnobRace | None = None
    """The race of the chosen kit's settings; None if they were not raced."""
    desktop: Subject | None = None
    """The subject of this machine's GPU as the desktop baseline; None if there is none."""

    @classmethod
    def from_build(cls, resolved: Resolved, lab: Lab, reference: str = BASELINE_ID) -> Subject:
        """The subject of a build that is measured in a lab."""
        return cls(
            lab=lab,
            about=resolved,
            attached=resolved.attachment.attached,
            device=resolved.device.name,
            reference=reference,
            classes=resolved.data.classes,
            objective=resolved.recipe.choice.objective,
            listed={candidate.id: candidate for candidate in resolved.candidates},
            race_choice=resolved.recipe.race,
        )

    @property
    def resolved(self) -> Resolved:
        """The build of the kits; only for subjects that have one."""
        assert self.about is not None
        return self.about

    def answers_as_device(self, name: str) -> bool:
        """Whether the evaluations of a kit were made on the device."""
        return self.attached and name not in self.elsewhere

    @property
    def rows(self) -> Mapping[str, Candidate]:
        """Name to candidate of each row."""
        return {name: kit.candidate for name, kit in self.kits.items()} if self.listed is None else self.listed

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates that have a row."""
        return tuple(self.rows.values())

    @property
    def timed(self) -> bool:
        """Whether the machine measures real times; False for an emulator."""
        return self.lab.environment.timed

    @property
    def runnable(self) -> dict[str, KitRef]:
        """Kits that have not failed."""
        return {name: kit for name, kit in self.kits.items() if name not in self.failures}

    def raced(self, purpose: Purpose) -> dict[str, Profile]:
        """Profiles of one race by name, whatever setting each kit ran with. In these races every kit has one setting."""
        if purpose == "against":
            return self.against
        result = self.races.get(purpose)
        if result is None:
            return {}
        by_kit = {profile.subject: profile for profile in result.profiles.values()}
        return {name: by_kit[kit.digest] for name, kit in self.kits.items() if kit.digest in by_kit}

    def race(self, request: RaceRequest, note: str | None = None) -> RaceResult:
        """Race kits in the lab. A kit that does not finish is out.

        ``note``: for a race of further figures, which puts no kit out: the note on a failure, with ``{}`` for the candidate.
        """
        result = race(request, self.lab)
        failed = result.failed_of(request.kits)
        if note is not None:
            self.notes += [f"{note.format(name)}: {why}" for name, why in failed.items()]
        else:
            self.failures.update({name: Failed(ref="run-failed", what=why) for name, why in failed.items()})
        return result

    def batches_tried(self, kit: KitRef) -> dict[int, Profile]:
        """Batch size to the screening profile of this kit."""
        screens = self.batch_screens.items()
        return {batch: result.profiles[kit.entrant] for batch, result in screens if kit.entrant in result.profiles}

    def labels(self, split: Split) -> Any | None:
        """The labels of a split, int64 (images,) or multi-label uint8 (images, labels); None if unknown."""
        import numpy as np

        if self.prepared is None or (self.about is not None and not self.about.data.labelled):
            return self.known_labels.get(split)
        return np.load(self.prepared / f"{split}.labels.npy", allow_pickle=False)

    def groups(self, split: Split) -> Any | None:
        """The group of each image of a split, int64 (images,); None if images are independent."""
        return self.known_groups.get(split) if self.prepared is None else prepared_groups(self.prepared, split)

    def outcomes(self, name: str) -> dict[str, Outcome]:
        """Outcome of each step of one candidate, and of measuring it."""
        failure, steps = self.failures.get(name), self.steps.get(name, {})
        return dict(steps) if failure is None else {**steps, "measure": failure}

    def macs(self, candidate: Candidate) -> MacTable | None:
        """Multiply-adds of the graph that the candidate was made from; None if the graph is gone."""
        table = self.graphs.get(graph_of(candidate))
        return None if table is None else MacTable.model_validate_json(table.read_text(encoding="utf-8"))

    def why_not_runnable(self, name: str) -> str | None:
        """Why a kit does not run here, from its self-test, which runs once. A kit that fails it is out."""
        if name not in self.unrunnable:
            failed = why_not_runnable(self.kits[name], self.lab)
            self.unrunnable[name] = None if failed is None else failed.what
            if failed is not None and not failed.missing and name not in self.failures:
                self.fail(name, failed)
        return self.unrunnable[name]

    def fail(self, name: str, failed: Failed, verb: str = "failed") -> None:
        """Put a kit out, and print why."""
        self.failures[name] = failed
        self.lab.tell.note(f"{name} {verb}: {failed.what}")


def evaluated(kit: KitRef, pixels: PixelSet, lab: Lab, begin: Callable[[], None] | None = None) -> StoredProfile:
    """A kit's predictions for these pixels. ``begin`` is called before they are computed, if they are not stored.

    Raises LogitsNotFinite: a logit is NaN or infinite.
    """
    stored = evaluate(kit, pixels, lab, begin)
    check_finite(kit.candidate.id, logits_of(stored))
    return stored
