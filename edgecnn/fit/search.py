"""The search over depth, width and resolution: many networks counted and predicted, none trained.

Two aims at once, by Optuna's NSGA-II (Deb and others, 2002): predicted latency down, a stand-in for accuracy up. The stand-in
is the number of doublings of the multiply-adds less what the three multipliers lie apart on the compound rule: within a family
accuracy grew with the one and fell with the other in the rule's paper (arXiv:1905.11946, figures 3 and 4). It only orders; how
well is in the report. The study lies in the store as an SQLite file, so that an interrupted search goes on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.backends.installed import require_packages
from edgecnn.errors.studies import ResolutionUnderStride, ScaleInvalid, ScaleLeavesNoChannel
from edgecnn.fit.choose import rising_front
from edgecnn.fit.predictor import Predictor
from edgecnn.models.compound import imbalance_of, scaled
from edgecnn.studies.cost import cost_of_network
from edgecnn.values.arch import ArchSpec
from edgecnn.values.fit import BudgetMetric, Member, Predicted
from edgecnn.values.latency_table import Probe
from edgecnn.values.scale import CompoundScale
from edgecnn.values.stage import Progress

if TYPE_CHECKING:
    import optuna

DEPTHS, WIDTHS, SIDES = (0.3, 1.8), (0.25, 1.8), (0.4, 1.6)
"""Multipliers that are looked at; of the resolution, of the one that the network would have."""
SIDE_STEP_PX = 16
APART_COSTS = 0.25
"""Doublings of the multiply-adds that a step of imbalance, squared, is worth."""
POPULATION, SEED = 32, 0
BYTES = {"int8": 1, "fp16": 2}
"""Of a weight in a candidate's file, by the end of its name; of any other 4: OpenVINO keeps bf16 in a file of float32."""


@dataclass(frozen=True)
class SearchSpace:
    """What is looked at, and by what it is priced."""

    spec: ArchSpec
    base_px: int
    classes: int
    predictors: Mapping[str, Predictor]
    """By candidate."""
    within: Mapping[BudgetMetric, float]

    def member(self, depth: float, width: float, side_px: int) -> Member | None:
        """The network of these multipliers; None where there is none."""
        scale = CompoundScale(depth=round(depth, 2), width=round(width, 2), resolution=side_px)
        try:
            spec, side_px = scaled(self.spec, scale, self.base_px)
        except (ScaleInvalid, ScaleLeavesNoChannel, ResolutionUnderStride):
            return None
        cost = cost_of_network(spec.model_copy(update={"classes": self.classes}), side_px)
        apart = imbalance_of(scale, self.base_px)
        found = Member(
            scale=scale.text(),
            resolution_px=side_px,
            parameters=cost.parameters,
            macs=cost.macs,
            standin=round(math.log2(cost.macs) - APART_COSTS * apart**2, 4),
        )
        return found.model_copy(update={"predicted": self._predicted(spec, found)})

    def _predicted(self, spec: ArchSpec, member: Member) -> tuple[Predicted, ...]:
        probe = Probe(arch=spec.name, resolution_px=member.resolution_px, classes=self.classes)
        found = []
        for candidate, predictor in self.predictors.items():
            if self._size_mib(member, candidate) > self.within.get("size_mib", math.inf):
                continue
            said = predictor.predict([probe])[0]
            found.append(Predicted(candidate=candidate, p50_ms=said.p50_ms, outside=said.outside))
        return tuple(sorted(found, key=lambda each: (bool(each.outside), each.p50_ms.estimate)))

    @staticmethod
    def _size_mib(member: Member, candidate: str) -> float:
        return member.parameters * BYTES.get(candidate.rpartition("-")[2], 4) / 2**20


def search_space(space: SearchSpace, trials: int, file: Path, tell: Progress) -> tuple[Member, ...]:
    """So many networks, each once, in the order of the search. ``file``: of the study, which is begun or gone on with.

    Raises MissingPackage: Optuna is not installed.
    """
    require_packages(("optuna",), extra="fit", needed_for="fit")
    study = _study(file)
    for done in range(len(_ended(study)), trials):  # counted once: each look at a study reads all of it
        tell.step("predict networks", done, trials, "networks")
        trial = study.ask()
        member = space.member(*_drawn(trial, space.base_px))
        if member is None or not member.predicted:
            study.tell(trial, state=_failed())
            continue
        trial.set_user_attr("member", member.model_dump(mode="json"))
        study.tell(trial, (math.log(member.predicted[0].p50_ms.estimate), member.standin))
    tell.step("predict networks", trials, trials, "networks")
    ended = _ended(study)[:trials]
    found = (Member.model_validate(each.user_attrs["member"]) for each in ended if "member" in each.user_attrs)
    distinct: dict[tuple[int, int, int], Member] = {}
    for each in found:
        distinct.setdefault((each.macs, each.parameters, each.resolution_px), each)
    return tuple(distinct.values())


def _drawn(trial: optuna.Trial, base_px: int) -> tuple[float, float, int]:
    steps = [max(2, round(share * base_px / SIDE_STEP_PX)) for share in SIDES]
    return (
        trial.suggest_float("depth", *DEPTHS, log=True),
        trial.suggest_float("width", *WIDTHS, log=True),
        SIDE_STEP_PX * trial.suggest_int("side", *steps),
    )


def _study(file: Path) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{file}", study_name="fit", directions=["minimize", "maximize"], load_if_exists=True
    )
    # begun anew with one seed, it would draw again what it drew before it was interrupted
    study.sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=SEED + len(study.trials))
    return study


def _ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """One that was interrupted is drawn anew."""
    return [each for each in study.trials if each.state.is_finished()]


def _failed() -> Any:
    import optuna

    return optuna.trial.TrialState.FAIL


def predicted_front(members: Iterable[Member]) -> tuple[Member, ...]:
    """Those that no other is predicted both faster than and better by the stand-in, the fastest first."""
    known = [each for each in members if each.best_predicted is not None]
    return rising_front(known, predicted_ms, lambda each: each.standin)


def predicted_ms(member: Member) -> float:
    """Of its fastest candidate; infinite where nothing says."""
    return member.best_predicted.p50_ms.estimate if member.best_predicted else math.inf


def guessed_ms(member: Member) -> float:
    """The same, of a network too that is unlike those of the table."""
    return member.predicted[0].p50_ms.estimate if member.predicted else math.inf


def spread_out(members: Iterable[Member], count: int) -> tuple[Member, ...]:
    """So many of them, the best by the stand-in first, each unlike those before it in shape: alike ones teach the same."""
    waiting = sorted(members, key=lambda each: -each.standin)
    taken: list[Member] = []
    while waiting and len(taken) < count:
        taken.append(waiting.pop(0))
        waiting = [each for each in waiting if all(_unlike(each, other) for other in taken)]
    return tuple(taken)


def _unlike(one: Member, other: Member) -> bool:
    first, second = (CompoundScale.from_text(each.scale) for each in (one, other))
    ratios = [
        (first.depth or 1) / (second.depth or 1),
        (first.width or 1) / (second.width or 1),
        one.resolution_px / other.resolution_px,
    ]
    return max(abs(math.log(ratio)) for ratio in ratios) > math.log(UNLIKE)


UNLIKE = 1.12
"""Times as deep, wide or fine, from which two networks are no longer alike."""
