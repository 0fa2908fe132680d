"""Asks every kit what it answers, how fast it is and what really ran: the part of a build that touches a Host.

Accuracy comes first, on validation and on test; then, only where this machine is the device, the race for the choice, which those
leave that cannot matter any more (``judging.runs.regret``), and a last one for the figures of the winner, fp32 and the best other
precision, since the winner of a selection flatters itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgecnn.building.extra_runs import ExtraRunner
from edgecnn.building.observed import ObservedBuild, Split, evaluated, pixel_sets
from edgecnn.building.rows import answer_of, map_drop, thresholds_of
from edgecnn.building.runnable import tried
from edgecnn.errors.gates import LogitsNotFinite
from edgecnn.judging.gates import RunsNeeded
from edgecnn.judging.predictions.accuracy import accuracy, agreement
from edgecnn.judging.runs.regret import ENOUGH, LOOKS
from edgecnn.judging.runs.stopping import rule_of
from edgecnn.measure.energy import energy_request, metered
from edgecnn.measure.evaluate import PixelSet, blamed_layer
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race_request import RaceRequest, run_max_s
from edgecnn.measure.residency import residency
from edgecnn.planning.request import ExtraRuns
from edgecnn.stages.compile import KIT, PLANNED
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.artifact import Failed
from edgecnn.values.candidate import ENGINE, Candidate, Rung, graph_of, reference_of
from edgecnn.values.layers import MacTable, Residency
from edgecnn.values.profile import Choosing, Purpose

CHOICE_SAMPLES, CHOICE_MAX_S = 300, 2.0
"""Of a process of a race for the choice: more processes tell more than longer ones, since what one computes hangs together."""
CHOICE_BUDGET_S = 300.0
"""After which such a race begins no more rounds: 24 of five kits that take 2.5 s each, with what a process takes to begin."""


@dataclass(frozen=True)
class RaceOptions:
    """How races of one call are run."""

    anew: bool = False
    """Whether a stored one may not serve."""
    runs: RunsNeeded = RunsNeeded()
    """Of the race for the reported figures and of that of energy, at least."""
    until: float | None = None
    """Of the race for the reported figures: how well p50 is to be known, as a share of it."""
    meter: Path | None = None
    """An external meter's log."""

    @property
    def max_s(self) -> float:
        """Of one process."""
        return run_max_s(self.runs)


class Observer:
    """Measures the kits of one build."""

    def __init__(self, seen: ObservedBuild) -> None:
        self.seen = seen

    def _macs(self, candidate: Candidate) -> MacTable:
        """Of the graph that the candidate was made from: residency is joined by its names."""
        made = self.seen.execution.artifacts[graph_of(candidate)]
        return MacTable.model_validate_json((made.folder / "macs.json").read_text(encoding="utf-8"))

    def drops(self, rung: Rung) -> dict[str, float]:
        """Candidate to its estimated drop on the validation images, in percentage points, told as soon as it is built.

        Absent of what did not answer. Without labels it is the share of other answers than fp32's. Answers are filed as every
        evaluation is, so that a build that finds everything stored climbs by the same figures in no time.
        """
        seen = self.seen
        self.collect_kits(rung.candidates)
        self.evaluate_all({"validation": pixel_sets(seen.execution)["validation"]})
        reference = reference_of(seen.candidates)
        baseline = answer_of(seen, reference, "validation")
        if baseline is None:
            return {}
        labels = seen.labels("validation")
        drops = {}
        for name in (candidate.id for candidate in rung.candidates if candidate.id != reference):
            if (answers := answer_of(seen, name, "validation")) is None:
                continue
            if labels is None:
                drops[name] = agreement(answers, "validation", baseline, thresholds_of(seen.answering[name])).differing_pp
            elif labels.ndim == 2:
                drops[name] = map_drop(answers, labels, seen.answering[name], baseline)
            elif (drop := accuracy(answers, labels, "validation", baseline).drop_pp) is not None:
                drops[name] = drop.estimate
        return drops

    def collect_kits(self, candidates: Iterable[Candidate]) -> None:
        """Find each candidate's kit, with its engine where one was built for this lab, and the kit that answers for it here."""
        for candidate in candidates:
            made = self.seen.execution.artifacts.get(f"package:{candidate.id}")
            if made is None:
                continue
            twin = self.seen.execution.artifacts.get(f"package-twin:{candidate.id}")
            engine = self.seen.execution.artifacts.get(f"{ENGINE}:{candidate.id}")
            kit = KitRef.of(candidate, made) if engine is None else KitRef.at(engine.folder / KIT)
            self.seen.kits[candidate.id] = kit
            if engine is not None or not candidate.needs_engine:
                self.seen.answering[candidate.id] = kit
            elif twin is not None:
                self.seen.answering[candidate.id] = KitRef.of(candidate, twin)
            unbuilt = self.seen.execution.outcomes.get(f"{ENGINE}:{candidate.id}")
            if isinstance(unbuilt, Failed):  # a stand-in's figures are none of the device's
                self.seen.failures.setdefault(candidate.id, unbuilt)

    def evaluate_all(self, pixels: Mapping[Split, PixelSet]) -> None:
        """Logits of every kit on these splits, where it has not answered yet; a kit that fails is out, with its own words."""
        for name, kit in list(self.seen.answering.items()):
            for split, shown in pixels.items():
                if name in self.seen.failures or (name, split) in self.seen.evaluations:
                    continue
                stored = tried(partial(_located, kit, shown, self.seen.lab))
                if isinstance(stored, Failed):
                    self.seen.fail(name, stored)
                else:
                    self.seen.evaluations[name, split] = stored

    def read_residency(self, names: Sequence[str] | None = None) -> None:
        """What really ran; for engines, what their builder planned. Of these candidates, or of all."""
        for name, kit in list(self.seen.kits.items()):
            if names is not None and name not in names:
                continue
            if kit.candidate.needs_engine and not self._runs_its_engine(name):
                continue
            stored = tried(partial(residency, kit, self._macs(kit.candidate), self.seen.lab))
            if isinstance(stored, Failed):
                self.seen.notes.append(f"residency of {name} could not be read: {stored.what}")
            elif stored.profile.residency is not None:
                self.seen.residency[name] = stored.profile.residency

    def _runs_its_engine(self, name: str) -> bool:
        """Whether a candidate's engine runs in this lab; what its builder planned, where that is known, holds until it does."""
        engine = self.seen.execution.artifacts.get(f"{ENGINE}:{name}")
        compiled = engine or self.seen.execution.artifacts.get(f"compile:{name}")
        if compiled is not None and (compiled.folder / PLANNED).is_file():
            self.seen.residency[name] = Residency.model_validate_json((compiled.folder / PLANNED).read_text(encoding="utf-8"))
        return engine is not None and name not in self.seen.failures

    def race(self, names: Iterable[str], purpose: Purpose, how: RaceOptions, **asked: Any) -> None:
        """Race these candidates' kits; whoever does not finish is out."""
        seen, kits = self.seen, [self.seen.kits[name] for name in names]
        if not kits:
            return
        result = seen.races[purpose] = seen.race(self._request(kits, purpose, how, **asked))
        seen.failures.update({name: Failed(ref="run-failed", what=why) for name, why in result.failed_of(kits).items()})

    def time_all(self, inside: Iterable[str], how: RaceOptions) -> None:
        """Time every candidate that answers; those of them that may be chosen, until it is known which.

        ``inside``: who may be chosen by latency; where the objective is another, nobody, and each has its first rounds alone.
        """
        seen = self.seen
        names = [name for name in seen.answering if name not in seen.failures]
        contenders = [seen.kits[name] for name in inside if name in names] if seen.objective == "latency" else []
        self.race(names, "select", how, choosing=choosing(contenders))

    def _request(self, kits: Sequence[KitRef], purpose: Purpose, how: RaceOptions, **changes: Any) -> RaceRequest:
        recipe = self.seen.execution.plan.resolved.recipe
        asked: dict[str, Any] = {"max_s": how.max_s, **changes}
        if purpose == "select":
            asked |= {"rounds": LOOKS[-1], "samples": min(recipe.race.samples, CHOICE_SAMPLES), "max_s": CHOICE_MAX_S}
        elif how.until is not None and purpose == "report":
            until = rule_of(how.until)
            asked |= {"rounds": until.looks[-1], "until": until}
        elif purpose == "report":
            asked["rounds"] = max(recipe.race.rounds, how.runs.latency)
        return RaceRequest.of(recipe.race, kits, purpose, anew=how.anew, **asked)

    def report(self, names: Sequence[str], how: RaceOptions, extra_runs: ExtraRuns, *, energy: bool = True) -> None:
        """Race for the reported figures, then measure energy, and what was asked for beyond."""
        self.race(names, "report", how)
        if energy:
            self.energy(names, how)
        kits = tuple(self.seen.kits[name] for name in names)
        ExtraRunner(self.seen, kits, self.seen.execution.plan.resolved.recipe.race, anew=how.anew).measure(extra_runs)

    def energy(self, names: Iterable[str], how: RaceOptions) -> None:
        """Measure the energy of these candidates' kits, where a meter can be read; a kit that fails here is not out for it."""
        seen = self.seen
        kits = [seen.kits[name] for name in names]
        watched = [kit for kit in kits if metered(kit, seen.lab.environment, how.meter)]
        if not watched:
            return
        choice = seen.execution.plan.resolved.recipe.race
        max_age_h = 0.0 if how.anew else choice.max_age_h
        rounds = max(choice.rounds, how.runs.energy)
        request = energy_request(watched, rounds=rounds, max_age_h=max_age_h, log=how.meter)
        each = f"{request.rounds} runs that wait for {request.max_s:g} s and work for {request.max_s:g}"
        seen.lab.tell.note(f"energy of {', '.join(kit.candidate.id for kit in watched)}: {each}")
        seen.races["energy"] = seen.race(request, "energy of {} could not be measured")


def choosing(contenders: Iterable[KitRef]) -> Choosing:
    """The rule by which a race among these ends."""
    entrants = tuple(sorted(kit.entrant for kit in contenders))
    return Choosing(looks=LOOKS, regret=ENOUGH, contenders=entrants, budget_s=CHOICE_BUDGET_S)


def _located(kit: KitRef, pixels: PixelSet, lab: Lab) -> StoredProfile:
    try:
        return evaluated(kit, pixels, lab)
    except LogitsNotFinite as error:
        raise error.located(pixels.split, blamed_layer(kit, pixels.file, error.fields["image"])) from error
