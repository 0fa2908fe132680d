"""A real GPU of this machine plays the desktop-GPU baseline: it answers the report split, and it races alone.

Alone, because nothing is chosen between it and the device's candidates: its figure stands beside theirs, with its own name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgecnn.building.execute import Execution
from edgecnn.building.resolved import DesktopGpu
from edgecnn.errors.base import EdgecnnError
from edgecnn.judging.accuracy import check_finite
from edgecnn.measure.evaluate import PixelSet, evaluate, logits_of
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import RaceResult, file_failure, race, stored_race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.artifact import Failed
from edgecnn.values.profile import Profile

HOW = "eager torch, fp32 with TF32 off, one image a call, copies to and from the GPU inside"


@dataclass(frozen=True)
class Played:
    """What became of the part: both an evaluation and a race, or a failure."""

    gpu: DesktopGpu
    evaluation: StoredProfile | None = None
    race: RaceResult | None = None
    failure: str | None = None

    @property
    def profile(self) -> Profile | None:
        """The race's profile."""
        return next(iter(self.race.profiles.values()), None) if self.race is not None else None


def play(execution: Execution, lab: Lab, pixels: PixelSet, *, anew: bool = False) -> Played | None:
    """Ask the GPU, or None where this machine has none. Its failure is a fact of the report, and no reason to stop.

    Args:
        execution: whose plan holds the program and its kit.
        lab: of this machine; profiles are filed under the GPU's own name.
        pixels: the report split.
        anew: race even where a stored race is fresh.
    """
    resolved = execution.plan.resolved
    gpu = resolved.desktop_gpu
    if gpu is None or gpu.unusable is not None:
        return None if gpu is None else Played(gpu=gpu, failure=gpu.unusable)
    made = execution.artifacts.get(f"package:{gpu.candidate.id}")
    if made is None:
        return Played(gpu=gpu, failure=_why_not_made(execution, gpu))
    choice = resolved.recipe.race
    request = RaceRequest(
        kits=(KitRef.of(gpu.candidate, made),),
        purpose="baseline",
        rounds=choice.rounds,
        samples=choice.samples,
        max_age_h=0.0 if anew else choice.max_age_h,
    )
    there = replace(lab, device=gpu.device, machine=f"{gpu.model}, {lab.machine}")
    return _played(gpu, request, there, pixels)


def _played(gpu: DesktopGpu, request: RaceRequest, lab: Lab, pixels: PixelSet) -> Played:
    """A failure is filed as a race is, so that a cached build does not start a process only to fail again."""
    stored = stored_race(request, lab)
    if stored is not None and stored.failed:
        return Played(gpu=gpu, failure=next(iter(stored.failed.values())))
    try:
        evaluation = evaluate(request.kits[0], pixels, lab)
        check_finite(gpu.candidate.id, logits_of(evaluation))
        result = race(request, lab)
    except EdgecnnError as error:
        lab.tell.note(f"{gpu.model} cannot play the desktop baseline: {error.line()}")
        file_failure(request, lab, error.line())
        return Played(gpu=gpu, failure=error.line())
    if result.failed:
        return Played(gpu=gpu, failure=next(iter(result.failed.values())))
    return Played(gpu=gpu, evaluation=evaluation, race=result)


def _why_not_made(execution: Execution, gpu: DesktopGpu) -> str:
    outcomes = (execution.outcomes.get(f"{kind}:{gpu.candidate.id}") for kind in ("program", "package"))
    return next((outcome.what for outcome in outcomes if isinstance(outcome, Failed)), "its kit was not made")
