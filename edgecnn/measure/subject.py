"""A subject: kits on one machine with their predictions, races and images. It is measured, and its rows are judged.

Builds, folds, the desktop GPU, finished builds, bundles and comparisons are subjects. A subject holds no plan and no execution.
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
    """Whether the lab's machine is the device. Predictions of another machine count as emulated."""
    device: str | None = None
    """Device whose latency is reported; None: the lab's machine."""
    reference: str = BASELINE_ID
    """Row that drops and ratios are computed against."""
    classes: tuple[str, ...] = ()
    """Names in the order of the logits."""
    objective: Objective = "latency"
    """Objective of the choice."""
    about: Resolved | None = None
    """Resolved request of the kits' build; None for a bundle, a comparison and the desktop GPU."""
    listed: Mapping[str, Candidate] | None = None
    """Candidate of each row; None: the rows are the kits."""
    race_choice: RaceChoice = RaceChoice()
    """Settings of races; the options of a call may require more rounds."""
    kits: dict[str, KitRef] = field(default_factory=dict)
    """Kits that would ship, with their knobs after these were raced."""
    answering: dict[str, KitRef] = field(default_factory=dict)
    """Kits that are evaluated: the same kit, or its emulated twin."""
    evaluations: dict[tuple[str, Split], StoredProfile] = field(default_factory=dict)
    known_answers: dict[tuple[str, Split], Answers] = field(default_factory=dict)
    """Predictions that are known without a stored evaluation, such as those for images that two test splits share."""
    elsewhere: set[str] = field(default_factory=set)
    """Names of kits that do not run on this machine and were evaluated on another one."""
    folds: list[Subject] = field(default_factory=list)
    """Subjects of the other folds of cross-validation, with their test predictions. This subject is the first fold."""
    steps: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    """Outcome by name and kind of step."""
    graphs: dict[str, Path] = field(default_factory=dict)
    """Table of multiply-adds, by the step that made the ONNX file of candidates."""
    planned: dict[str, Path] = field(default_factory=dict)
    """Layers that the builder of an engine planned."""
    layers_kept_float: dict[str, tuple[str, ...]] = field(default_factory=dict)
    prepared: Path | None = None
    """Folder of a build's prepared images; None if no build prepared the images."""
    known_labels: dict[Split, Any] = field(default_factory=dict)
    """Labels of images that no build prepared: int64 (images,), or multi-label uint8 (images, labels)."""
    known_groups: dict[Split, Any] = field(default_factory=dict)
    """Groups of images that no build prepared, int64 (images,)."""
    residency: dict[str, Residency] = field(default_factory=dict)
    races: dict[Purpose, RaceResult] = field(default_factory=dict)
    against: dict[str, Profile] = field(default_factory=dict)
    """Runs of HEAD and BASE in a comparison, joined over its races."""
    extra_runs: ExtraRuns = ExtraRuns()
    """Measurements that the user requested in addition to the races."""
    batch_screens: dict[int, RaceResult] = field(default_factory=dict)
    """Screening run by batch size."""
    throughput: list[RaceResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Failures that exclude no kit, such as an unreadable trace."""
    failures: dict[str, Failed] = field(default_factory=dict)
    """Why a kit is excluded, by name."""
    absent: dict[str, str] = field(default_factory=dict)
    """Why figures are missing, by source of the metric (accuracy, residency, latency …)."""
    unrunnable: dict[str, str | None] = field(default_factory=dict)
    """Results of ``why_not_runnable``."""
    knobs: KnobRace | None = None
    """Race of the chosen kit's knobs; None if they were not raced."""
    desktop: Subject | None = None
    """Subject of this machine's GPU as the desktop baseline; None without such a GPU."""

    @classmethod
    def from_build(cls, resolved: Resolved, lab: Lab, reference: str = BASELINE_ID) -> Subject:
        """Return the subject of a build that is measured in a lab."""
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
        """The resolved request of the kits' build, for subjects that have one."""
        assert self.about is not None
        return self.about

    def answers_as_device(self, name: str) -> bool:
        """Whether the evaluations of a kit were made on the device."""
        return self.attached and name not in self.elsewhere

    @property
    def rows(self) -> Mapping[str, Candidate]:
        """The candidate of each row, by name."""
        return {name: kit.candidate for name, kit in self.kits.items()} if self.listed is None else self.listed

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates of all rows."""
        return tuple(self.rows.values())

    @property
    def timed(self) -> bool:
        """Whether the machine measures real times; False for an emulator."""
        return self.lab.environment.timed

    @property
    def runnable(self) -> dict[str, KitRef]:
        """The kits that have not failed, by name."""
        return {name: kit for name, kit in self.kits.items() if name not in self.failures}

    def raced(self, purpose: Purpose) -> dict[str, Profile]:
        """Return the profiles of one race by name; in these races, every kit ran with one setting of its knobs."""
        if purpose == "against":
            return self.against
        result = self.races.get(purpose)
        if result is None:
            return {}
        by_kit = {profile.subject: profile for profile in result.profiles.values()}
        return {name: by_kit[kit.digest] for name, kit in self.kits.items() if kit.digest in by_kit}

    def race(self, request: RaceRequest, note: str | None = None) -> RaceResult:
        """Race kits in the lab. A kit that does not finish is excluded.

        ``note``: for a race of additional figures, which excludes no kit: the note on a failure, with ``{}`` for the candidate.
        """
        result = race(request, self.lab)
        failed = result.failed_of(request.kits)
        if note is not None:
            self.notes += [f"{note.format(name)}: {why}" for name, why in failed.items()]
        else:
            self.failures.update({name: Failed(ref="run-failed", what=why) for name, why in failed.items()})
        return result

    def batches_tried(self, kit: KitRef) -> dict[int, Profile]:
        """Return the screening profile of this kit by batch size."""
        screens = self.batch_screens.items()
        return {batch: result.profiles[kit.entrant] for batch, result in screens if kit.entrant in result.profiles}

    def labels(self, split: Split) -> Any | None:
        """Return the labels of a split, int64 (images,) or multi-label uint8 (images, labels); None if unknown."""
        import numpy as np

        if self.prepared is None or (self.about is not None and not self.about.data.labelled):
            return self.known_labels.get(split)
        return np.load(self.prepared / f"{split}.labels.npy", allow_pickle=False)

    def groups(self, split: Split) -> Any | None:
        """Return the group of each image of a split, int64 (images,); None if images are independent."""
        return self.known_groups.get(split) if self.prepared is None else prepared_groups(self.prepared, split)

    def outcomes(self, name: str) -> dict[str, Outcome]:
        """Return the outcome of each step of one candidate, and of measuring it."""
        failure, steps = self.failures.get(name), self.steps.get(name, {})
        return dict(steps) if failure is None else {**steps, "measure": failure}

    def macs(self, candidate: Candidate) -> MacTable | None:
        """Return the multiply-adds of the graph that the candidate was made from; None if the graph is gone."""
        table = self.graphs.get(graph_of(candidate))
        return None if table is None else MacTable.model_validate_json(table.read_text(encoding="utf-8"))

    def why_not_runnable(self, name: str) -> str | None:
        """Return why a kit does not run here, or None. Its self-test runs once; a kit that fails the test is excluded."""
        if name not in self.unrunnable:
            failed = why_not_runnable(self.kits[name], self.lab)
            self.unrunnable[name] = None if failed is None else failed.what
            if failed is not None and not failed.missing and name not in self.failures:
                self.fail(name, failed)
        return self.unrunnable[name]

    def fail(self, name: str, failed: Failed, verb: str = "failed") -> None:
        """Exclude a kit, and print why."""
        self.failures[name] = failed
        self.lab.tell.note(f"{name} {verb}: {failed.what}")


def evaluate_finite(kit: KitRef, pixels: PixelSet, lab: Lab, begin: Callable[[], None] | None = None) -> StoredProfile:
    """Return a kit's stored or new evaluation on these pixels; ``begin`` is called before a new evaluation.

    Raises LogitsNotFinite: a logit is NaN or infinite.
    """
    stored = evaluate(kit, pixels, lab, begin)
    check_finite(kit.candidate.id, logits_of(stored))
    return stored
