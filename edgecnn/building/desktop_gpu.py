"""A real GPU of this machine plays the desktop-GPU baseline: it answers the report split, and it races by itself.

By itself, because nothing is chosen between it and the device's candidates: its figures stand beside theirs, with its own name.
The reference and its variants race together, so that their ratios are paired. A variant that cannot run is a fact of the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgecnn.building.execute import Execution
from edgecnn.building.extra_runs import ExtraRunner
from edgecnn.errors.base import EdgecnnError
from edgecnn.judging.accuracy import check_finite
from edgecnn.measure.evaluate import PixelSet, evaluate, logits_of
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import RaceResult, file_failure, race, stored_race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.planning.request import ExtraRuns
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.artifact import Blocked, Failed
from edgecnn.values.profile import Profile, Purpose
from edgecnn.values.resolved import DesktopGpu


@dataclass(frozen=True)
class DesktopRequest:
    """What is asked of a GPU that plays."""

    pixels: PixelSet
    """The report split."""
    extent: ExtraRuns = ExtraRuns()
    """Of which it takes the batches: how long it can go on and how it decodes are questions about the edge."""
    anew: bool = False
    """Race even where a stored race is fresh."""


@dataclass
class DesktopRun:
    """What became of the part: of the reference both an evaluation and a race, or a failure; of each variant the same."""

    gpu: DesktopGpu
    failure: str | None = None
    """Why the reference could not play; then nothing stands beside it either."""
    kits: dict[str, KitRef] = field(default_factory=dict)
    evaluations: dict[str, StoredProfile] = field(default_factory=dict)
    race: RaceResult | None = None
    failures: dict[str, str] = field(default_factory=dict)
    """Variant to why it has no figures."""
    batch_screens: dict[int, RaceResult] = field(default_factory=dict)
    throughput: list[RaceResult] = field(default_factory=list)
    asked: ExtraRuns = ExtraRuns()
    """Batches that were asked for."""
    races: dict[Purpose, RaceResult] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def profiles(self) -> Mapping[str, Profile]:
        """Of the race, by candidate; without those that did not finish."""
        if self.race is None:
            return {}
        found = self.race.profiles
        return {name: found[kit.digest] for name, kit in self.kits.items() if kit.digest in found}

    @property
    def profile(self) -> Profile | None:
        """The reference's."""
        return self.profiles.get(self.gpu.candidate.id)


def play(execution: Execution, lab: Lab, part: DesktopRequest) -> DesktopRun | None:
    """Ask the GPU, or None where this machine has none. Its failure is a fact of the report, and no reason to stop.

    Args:
        execution: whose plan holds the program and its kits.
        lab: of this machine; profiles are filed under the GPU's own name.
        part: what is asked.
    """
    gpu = execution.plan.resolved.desktop_gpu
    if gpu is None or gpu.unusable is not None:
        return None if gpu is None else DesktopRun(gpu=gpu, failure=gpu.unusable)
    stage = _DesktopRunner(execution, replace(lab, device=gpu.device, machine=f"{gpu.model}, {lab.machine}"), part)
    played = DesktopRun(gpu=gpu, failures=dict(gpu.unavailable))
    played.failure = stage.answered(played, gpu.candidate.id)
    if played.failure is not None:
        return played
    for variant in gpu.variants:
        if (why := stage.answered(played, variant.id)) is not None:
            played.failures[variant.id] = why
    stage.raced(played)
    return played


class _DesktopRunner:
    """Where the GPU plays: whose kits, which lab, what is asked."""

    def __init__(self, execution: Execution, lab: Lab, part: DesktopRequest) -> None:
        self.execution, self.lab, self.part = execution, lab, part
        self.choice = execution.plan.resolved.recipe.race

    def answered(self, played: DesktopRun, name: str) -> str | None:
        """Evaluate one kit and keep it; why not, where it could not.

        A failure is filed as a race is, so that a cached build does not start a process only to fail again.
        """
        gpu = played.gpu
        made = self.execution.artifacts.get(f"package:{name}")
        if made is None:
            return self._why_not_made(name)
        candidate = next(each for each in (gpu.candidate, *gpu.variants) if each.id == name)
        kit = KitRef.of(candidate, made)
        alone = self._request(kit)
        stored = stored_race(alone, self.lab)
        if stored is not None and stored.failed:
            return stored.failed[kit.digest]
        try:
            evaluation = evaluate(kit, self.part.pixels, self.lab)
            check_finite(name, logits_of(evaluation))
        except EdgecnnError as error:
            self.lab.tell.note(f"{gpu.model} cannot play the desktop baseline with {name}: {error.line()}")
            file_failure(alone, self.lab, error.line())
            return error.line()
        played.kits[name], played.evaluations[name] = kit, evaluation
        return None

    def raced(self, played: DesktopRun) -> None:
        """Race those that answered, and with more images a call where that was asked for."""
        kits, reference = played.kits, played.gpu.candidate.id
        try:
            played.race = race(self._request(*kits.values()), self.lab)
        except EdgecnnError as error:
            self.lab.tell.note(f"{played.gpu.model} cannot play the desktop baseline: {error.line()}")
            played.failure = error.line()
            return
        failed = {name: played.race.failed[kit.digest] for name, kit in kits.items() if kit.digest in played.race.failed}
        played.failure = failed.pop(reference, None)
        played.failures.update(failed)
        if played.failure is not None:
            return
        played.asked = ExtraRuns(batches=self.part.extent.batches, best_batch=self.part.extent.best_batch)
        fit = tuple(kit for name, kit in kits.items() if name not in failed)
        ExtraRunner(played, fit, self.lab, self.choice, anew=self.part.anew).measure(played.asked)

    def _request(self, *kits: KitRef) -> RaceRequest:
        return RaceRequest(
            kits=kits,
            purpose="baseline",
            rounds=self.choice.rounds,
            samples=self.choice.samples,
            max_age_h=0.0 if self.part.anew else self.choice.max_age_h,
        )

    def _why_not_made(self, name: str) -> str:
        outcomes = [self.execution.outcomes.get(f"{kind}:{name}") for kind in ("program", "variant", "package")]
        said = next((outcome.what for outcome in outcomes if isinstance(outcome, Failed)), None)
        blocked = next((f"{outcome.by} failed" for outcome in outcomes if isinstance(outcome, Blocked)), None)
        return said or blocked or "its kit was not made"
