"""What is measured and judged: kits on one machine, their answers, their races and the images, wherever the kits come from.

A build, a finished build, a bundle, a comparison of two builds, a fold and the desktop GPU each make one. None knows a plan or an
execution: what these made is handed over by ``observe.add_made``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgecnn.building.runnable import why_not_runnable
from edgecnn.judging.predictions.accuracy import Answers, check_finite
from edgecnn.measure.evaluate import PixelSet, evaluate, logits_of, prepared_groups
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import RaceResult, race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.planning.request import ExtraRuns
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.artifact import Failed, Outcome
from edgecnn.values.candidate import BASELINE_ID, Candidate, KnobRace, graph_of
from edgecnn.values.layers import MacTable, Residency
from edgecnn.values.profile import Profile, Purpose
from edgecnn.values.recipe import Objective, RaceChoice
from edgecnn.values.resolved import Resolved

Split = Literal["validation", "test"]
SPLITS: tuple[Split, ...] = ("validation", "test")


@dataclass(kw_only=True)
class Subject:
    """Everything that is known, by candidate. What is absent was not measured, and ``failures`` says where it was tried."""

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
    about: Resolved | None = None
    """The build that the kits are of; None of a bundle, of two builds, and of the desktop GPU."""
    listed: Mapping[str, Candidate] | None = None
    """Name to candidate of each row; None: of those that have a kit."""
    race_choice: RaceChoice = RaceChoice()
    """How races are run, unless a call asks for more."""
    kits: dict[str, KitRef] = field(default_factory=dict)
    """What ships, in the setting that it ships in once that was raced."""
    answering: dict[str, KitRef] = field(default_factory=dict)
    """What answered: the same kit, or its emulated twin."""
    evaluations: dict[tuple[str, Split], StoredProfile] = field(default_factory=dict)
    known_answers: dict[tuple[str, Split], Answers] = field(default_factory=dict)
    """Predictions that are known without a stored evaluation, such as those on the images that two test splits share."""
    elsewhere: set[str] = field(default_factory=set)
    """Candidates that do not run on this machine, whose evaluations are another one's."""
    folds: list[Subject] = field(default_factory=list)
    """Of cross-validation: what the networks of the other folds answered to their test images; the first fold's is here."""
    steps: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    """Candidate to kind of step to what became of it."""
    graphs: dict[str, Path] = field(default_factory=dict)
    """Step whose ONNX candidates are made from to the table of its multiply-adds."""
    planned: dict[str, Path] = field(default_factory=dict)
    """Candidate to the layers that its engine's builder planned."""
    layers_kept_float: dict[str, tuple[str, ...]] = field(default_factory=dict)
    prepared: Path | None = None
    """The folder of a build's prepared images; None where no build has them prepared."""
    known_labels: dict[Split, Any] = field(default_factory=dict)
    """Of a split's images, int64 (images,), where no build has them prepared."""
    known_groups: dict[Split, Any] = field(default_factory=dict)
    """Likewise which of them came together."""
    residency: dict[str, Residency] = field(default_factory=dict)
    races: dict[Purpose, RaceResult] = field(default_factory=dict)
    against: dict[str, Profile] = field(default_factory=dict)
    """Runs of HEAD and BASE in a comparison, joined over its races."""
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
    knobs: KnobRace | None = None
    """What the chosen kit's settings did; None where they were not raced."""
    desktop: Subject | None = None
    """What a GPU of this machine did as the desktop baseline; None where there is none."""

    @classmethod
    def from_build(cls, resolved: Resolved, lab: Lab, reference: str = BASELINE_ID) -> Subject:
        """A build's, as it is to be measured in a lab."""
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
        """The build that the kits are of."""
        assert self.about is not None
        return self.about

    def answers_as_device(self, name: str) -> bool:
        """Whether the evaluations of a candidate are the device's own."""
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
        """Whether times there are a processor's own."""
        return self.lab.environment.timed

    @property
    def runnable(self) -> dict[str, KitRef]:
        """Kits that have not failed."""
        return {name: kit for name, kit in self.kits.items() if name not in self.failures}

    def raced(self, purpose: Purpose) -> dict[str, Profile]:
        """Profiles of one race by candidate, in whichever setting each ran there: of these races, every kit runs in one."""
        if purpose == "against":
            return self.against
        result = self.races.get(purpose)
        if result is None:
            return {}
        by_kit = {profile.subject: profile for profile in result.profiles.values()}
        return {name: by_kit[kit.digest] for name, kit in self.kits.items() if kit.digest in by_kit}

    def race(self, request: RaceRequest, note: str | None = None) -> RaceResult:
        """Race kits where they are observed. A kit that does not finish is out.

        ``note``: of a race for further figures, after which a kit that fails is not out; what is then noted, with ``{}`` for its
        candidate.
        """
        result = race(request, self.lab)
        failed = result.failed_of(request.kits)
        if note is not None:
            self.notes += [f"{note.format(name)}: {why}" for name, why in failed.items()]
        else:
            self.failures.update({name: Failed(ref="run-failed", what=why) for name, why in failed.items()})
        return result

    def batches_tried(self, kit: KitRef) -> dict[int, Profile]:
        """Images in a call to the one run of this kit with so many."""
        screens = self.batch_screens.items()
        return {batch: result.profiles[kit.entrant] for batch, result in screens if kit.entrant in result.profiles}

    def labels(self, split: Split) -> Any | None:
        """The true classes of a split, int64 (images,); None where nobody knows them."""
        import numpy as np

        if self.prepared is None or (self.about is not None and not self.about.data.labelled):
            return self.known_labels.get(split)
        return np.load(self.prepared / f"{split}.labels.npy", allow_pickle=False)

    def groups(self, split: Split) -> Any | None:
        """Which images of a split came together, int64 (images,); None where they are independent of each other."""
        return self.known_groups.get(split) if self.prepared is None else prepared_groups(self.prepared, split)

    def outcomes(self, name: str) -> dict[str, Outcome]:
        """Outcome of each step of one candidate, and of measuring it."""
        failure, steps = self.failures.get(name), self.steps.get(name, {})
        return dict(steps) if failure is None else {**steps, "measure": failure}

    def macs(self, candidate: Candidate) -> MacTable | None:
        """Of the graph that the candidate was made from, by whose names residency is joined; None where it is gone."""
        table = self.graphs.get(graph_of(candidate))
        return None if table is None else MacTable.model_validate_json(table.read_text(encoding="utf-8"))

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


def evaluated(kit: KitRef, pixels: PixelSet, lab: Lab, begin: Callable[[], None] | None = None) -> StoredProfile:
    """Return a kit's logits for these pixels. ``begin`` is called before they are computed, if they are not stored.

    Raises LogitsNotFinite: a logit is NaN or infinite.
    """
    stored = evaluate(kit, pixels, lab, begin)
    check_finite(kit.candidate.id, logits_of(stored))
    return stored
