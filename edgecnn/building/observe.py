"""Measure the kits of a subject: predictions, latency and residency. Only this part of a build uses a host.

Accuracy comes first, on validation and test. If this machine is the device, the first race follows; kits that can no
longer win leave it early (``judging.runs.regret``). A last race gives the figures of the winner, fp32 and the best other
precision, because the winner's figures in a selection are too good.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from edgecnn.building.execute import Execution
from edgecnn.building.extra_runs import ExtraRunner
from edgecnn.building.pace import LATENCY_PART, Pace, evaluation_part
from edgecnn.building.rows import answer_of, map_drop, thresholds_of
from edgecnn.errors.gates import LogitsNotFinite
from edgecnn.judging.predictions.accuracy import accuracy, agreement, answered_right
from edgecnn.judging.runs.regret import ENOUGH, LOOKS
from edgecnn.measure.energy import energy_request, metered
from edgecnn.measure.evaluate import PixelSet, blamed_layer
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race_request import RaceOptions, RaceRequest
from edgecnn.measure.residency import residency
from edgecnn.measure.runnable import has_engine, tried
from edgecnn.measure.subject import SPLITS, Split, Subject, evaluated
from edgecnn.stages.engine import KIT, PLANNED
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.artifact import Artifact, Failed
from edgecnn.values.candidate import ENGINE, Candidate, Method, Rung, graph_of, reference_of
from edgecnn.values.layers import Residency
from edgecnn.values.profile import Choosing, ExtraRuns, Purpose

CHOICE_SAMPLES, CHOICE_MAX_S = 300, 2.0
"""For each process of a first race. Samples of one process are correlated, so more processes tell more."""
CHOICE_BUDGET_S = 300.0
"""Such a race begins no round after this time: enough for 24 rounds of five kits that take 2.5 s each."""


def add_made(subject: Subject, execution: Execution, candidates: Iterable[Candidate]) -> None:
    """Add the results of an execution for these candidates: kits and engines, kits to evaluate, outcomes of steps, and images."""
    artifacts, outcomes = execution.artifacts, execution.outcomes
    subject.listed = {candidate.id: candidate for candidate in execution.candidates}
    if "prepare" in artifacts:
        subject.prepared = artifacts["prepare"].folder
    for candidate in candidates:
        name, graph = candidate.id, graph_of(candidate)
        steps = {step.id.partition(":")[0]: outcomes.get(step.id) for step in execution.plan.branch_of(name)}
        subject.steps[name] = {kind: outcome for kind, outcome in steps.items() if outcome is not None}
        if graph in artifacts:
            subject.graphs[graph] = artifacts[graph].folder / "macs.json"
        if (quantized := artifacts.get(f"quantize:{name}")) is not None:
            subject.layers_kept_float[name] = _kept_float(candidate, quantized)
        if (package := artifacts.get(f"package:{name}")) is None:
            continue
        twin, engine = artifacts.get(f"package-twin:{name}"), artifacts.get(f"{ENGINE}:{name}")
        kit = subject.kits[name] = KitRef.of(candidate, package) if engine is None else KitRef.at(engine.folder / KIT)
        if engine is not None or not candidate.needs_engine:
            subject.answering[name] = kit
        elif twin is not None:
            subject.answering[name] = KitRef.of(candidate, twin)
        compiled = engine or artifacts.get(f"compile:{name}")
        if compiled is not None and (compiled.folder / PLANNED).is_file():
            subject.planned[name] = compiled.folder / PLANNED
        if isinstance(unbuilt := outcomes.get(f"{ENGINE}:{name}"), Failed):  # its twin's figures are not the device's
            subject.failures.setdefault(name, unbuilt)


def _kept_float(candidate: Candidate, quantized: Artifact) -> tuple[str, ...]:
    """Layers that quantizing kept in float: those of the ranking for mixed precision, then attention."""
    if candidate.method not in (Method.MIXED, Method.POST_TRAINING):
        return ()
    written = json.loads((quantized.folder / "quantize.json").read_text(encoding="utf-8"))
    return tuple(dict.fromkeys((*written.get("kept_float", ()), *written.get("attention", ()))))


def pixel_sets(execution: Execution) -> dict[Split, PixelSet]:
    """The evaluated splits of a build's prepared images."""
    counts, folder = execution.plan.resolved.data.counts, execution.artifacts["prepare"].folder
    return {split: PixelSet.prepared(folder, split, counts[split]) for split in SPLITS}


class Observer:
    """Measures the kits of a subject."""

    def __init__(self, subject: Subject, pace: Pace | None = None, fold: str = "") -> None:
        self.subject, self.pace, self.fold = subject, pace, fold

    def drops(self, rung: Rung, pixels: PixelSet) -> dict[str, float]:
        """Candidate to its estimated drop on the validation images, in percentage points, without candidates that failed.

        Without labels it is the share of predictions that differ from fp32. Predictions are stored, so a cached build climbs by
        the same figures at once.
        """
        subject = self.subject
        self.evaluate_all({"validation": pixels})
        reference = reference_of(subject.candidates)
        baseline = answer_of(subject, reference, "validation")
        if baseline is None:
            return {}
        labels = subject.labels("validation")
        drops = {}
        for name in (candidate.id for candidate in rung.candidates if candidate.id != reference):
            if (answers := answer_of(subject, name, "validation")) is None:
                continue
            if labels is None:
                drops[name] = agreement(answers, "validation", baseline, thresholds_of(subject.answering[name])).differing_pp
            elif labels.ndim == 2:
                drops[name] = map_drop(answers, labels, subject.answering[name], baseline)
            elif (drop := accuracy(answers, labels, "validation", baseline).drop_pp) is not None:
                drops[name] = drop.estimate
        return drops

    def evaluate_all(self, pixels: Mapping[Split, PixelSet]) -> None:
        """Evaluate every kit on these splits, unless it was evaluated already. A kit that fails is out."""
        for name, kit in list(self.subject.answering.items()):
            for split, shown in pixels.items():
                if name in self.subject.failures or (name, split) in self.subject.evaluations:
                    continue
                begun = list[str]()
                stored = tried(partial(self._evaluated, kit, shown, begun))
                if isinstance(stored, Failed):
                    self.subject.fail(name, stored)
                    continue
                self.subject.evaluations[name, split] = stored
                if begun:
                    self._tell_top1(name, split)

    def _evaluated(self, kit: KitRef, pixels: PixelSet, begun: list[str]) -> StoredProfile:
        """Evaluate a kit, and name the part of the build in ``begun`` if its logits were not stored."""

        def begin() -> None:
            begun.append(evaluation_part(kit.candidate.id, pixels.split, self.fold))
            if self.pace is not None:
                self.pace.begin(begun[0], pixels.images)

        try:
            return evaluated(kit, pixels, self.subject.lab, begin)
        except LogitsNotFinite as error:
            raise error.located(pixels.split, blamed_layer(kit, pixels.file, error.fields["image"])) from error

    def _tell_top1(self, name: str, split: Split) -> None:
        answers, labels = answer_of(self.subject, name, split), self.subject.labels(split)
        if answers is None or labels is None or labels.ndim > 1:
            return
        top1 = answered_right(answers, labels).mean()
        self.subject.lab.tell.note(f"{self.fold}{name} on {split}: top-1 {100 * top1:.1f} %")

    def read_residency(self, names: Sequence[str] | None = None) -> None:
        """Read the residency of kits; of engines that did not run, their builder's plan. ``names``: None for all kits."""
        for name, kit in list(self.subject.kits.items()):
            if names is not None and name not in names:
                continue
            if kit.candidate.needs_engine and not self._runs_its_engine(name):
                continue
            macs = self.subject.macs(kit.candidate)
            assert macs is not None
            stored = tried(partial(residency, kit, macs, self.subject.lab))
            if isinstance(stored, Failed):
                self.subject.notes.append(f"residency of {name} could not be read: {stored.what}")
            elif stored.profile.residency is not None:
                self.subject.residency[name] = stored.profile.residency

    def _runs_its_engine(self, name: str) -> bool:
        """Whether a candidate's engine runs in this lab. Until it does, its builder's plan gives the residency."""
        if (planned := self.subject.planned.get(name)) is not None:
            self.subject.residency[name] = Residency.model_validate_json(planned.read_text(encoding="utf-8"))
        return has_engine(self.subject.kits[name]) and name not in self.subject.failures

    def race(self, names: Iterable[str], purpose: Purpose, how: RaceOptions, **settings: Any) -> None:
        """Race the kits of these candidates. A kit that does not finish is out."""
        subject, kits = self.subject, [self.subject.kits[name] for name in names]
        if not kits:
            return
        if purpose == "select" and self.pace is not None and self.pace.started:
            self.pace.begin(LATENCY_PART)
        subject.races[purpose] = subject.race(self._request(kits, purpose, how, **settings))

    def time_all(self, inside: Iterable[str], how: RaceOptions) -> None:
        """Time every evaluated candidate, and those that may be chosen until one is known to win.

        ``inside``: candidates that may be chosen by latency. For another objective, each candidate only runs the first rounds.
        """
        subject = self.subject
        names = [name for name in subject.answering if name not in subject.failures]
        contenders = [subject.kits[name] for name in inside if name in names] if subject.objective == "latency" else []
        self.race(names, "select", how, choosing=choosing(contenders))

    def _request(self, kits: Sequence[KitRef], purpose: Purpose, how: RaceOptions, **changes: Any) -> RaceRequest:
        choice = self.subject.race_choice
        if purpose == "report":
            return RaceRequest.reported(choice, kits, how)
        settings: dict[str, Any] = {"max_s": how.max_s, **changes}
        if purpose == "select":
            settings |= {"rounds": LOOKS[-1], "samples": min(choice.samples, CHOICE_SAMPLES), "max_s": CHOICE_MAX_S}
        return RaceRequest.of(choice, kits, purpose, anew=how.anew, **settings)

    def report(self, names: Sequence[str], how: RaceOptions, extra_runs: ExtraRuns, *, energy: bool = True) -> None:
        """Final raceed figures, then measure energy and the extra runs."""
        self.race(names, "report", how)
        if energy:
            self.energy(names, how)
        kits = tuple(self.subject.kits[name] for name in names)
        ExtraRunner(self.subject, kits, self.subject.race_choice, anew=how.anew).measure(extra_runs)

    def energy(self, names: Iterable[str], how: RaceOptions) -> None:
        """Measure the energy of these kits, if a meter can be read. A kit that fails here is not out."""
        subject = self.subject
        kits = [subject.kits[name] for name in names]
        watched = [kit for kit in kits if metered(kit, subject.lab.environment, how.meter)]
        if not watched:
            return
        request = energy_request(subject.race_choice, watched, how)
        schedule = f"{request.rounds} runs that wait for {request.max_s:g} s and work for {request.max_s:g}"
        subject.lab.tell.note(f"energy of {', '.join(kit.candidate.id for kit in watched)}: {schedule}")
        subject.races["energy"] = subject.race(request, "energy of {} could not be measured")


def choosing(contenders: Iterable[KitRef]) -> Choosing:
    """The rule that ends a first race among these kits."""
    entrants = tuple(sorted(kit.entrant for kit in contenders))
    return Choosing(looks=LOOKS, regret=ENOUGH, contenders=entrants, budget_s=CHOICE_BUDGET_S)
