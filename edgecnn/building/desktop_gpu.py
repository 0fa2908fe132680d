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
from edgecnn.measure.race import RaceRequest, race
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.artifact import Failed
from edgecnn.values.profile import Profile

HOW = "eager torch, fp32 with TF32 off, one image a call, copies to and from the GPU inside"


@dataclass(frozen=True)
class Played:
    """What became of the part. Where ``failure`` is set nothing else is known to be complete."""

    gpu: DesktopGpu
    evaluation: StoredProfile | None = None
    race: Profile | None = None
    failure: str | None = None


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
    if gpu is None:
        return None
    made = execution.artifacts.get(f"package:{gpu.candidate.id}")
    if made is None:
        return Played(gpu=gpu, failure=_why_not_made(execution, gpu))
    kit = KitRef.of(gpu.candidate, made)
    there = replace(lab, device=gpu.device, machine=f"{gpu.model}, {lab.machine}")
    try:
        evaluation = evaluate(kit, pixels, there)
        check_finite(gpu.candidate.id, logits_of(evaluation))
        choice = resolved.recipe.race
        request = RaceRequest(
            kits=(kit,),
            purpose="baseline",
            rounds=choice.rounds,
            samples=choice.samples,
            max_age_h=0.0 if anew else choice.max_age_h,
        )
        result = race(request, there)
    except EdgecnnError as error:
        lab.tell.note(f"{gpu.model} cannot play the baseline: {error.line()}")
        return Played(gpu=gpu, failure=error.line())
    if kit.digest in result.failed:
        return Played(gpu=gpu, evaluation=evaluation, failure=result.failed[kit.digest])
    return Played(gpu=gpu, evaluation=evaluation, race=result.profiles[kit.digest])


def _why_not_made(execution: Execution, gpu: DesktopGpu) -> str:
    outcomes = (execution.outcomes.get(f"{kind}:{gpu.candidate.id}") for kind in ("program", "package"))
    return next((outcome.what for outcome in outcomes if isinstance(outcome, Failed)), "its kit was not made")
