"""Measure the kits of a subject: predictions, latency, residency, energy and the extra runs.

Only this part of a build uses a host. Accuracy comes first, on validation and test. If this machine is the device, the first
race follows; kits that can no longer win leave it early (``judging.regret``). A last race gives the figures of the winner,
fp32 and the best other precision, because the winner's figures in a selection are too good.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from edgecnn.building.execute import Execution, RungDrops, StageContext, execute_candidates
from edgecnn.building.pace import LATENCY_PART, Pace, evaluation_part, fold_prefix
from edgecnn.building.rows import answer_of, map_drop, thresholds_of
from edgecnn.errors.gates import LogitsNotFinite
from edgecnn.errors.measuring import no_meter_for_objective
from edgecnn.judging.accuracy import accuracy, agreement, answered_right
from edgecnn.judging.choice import Contest, KnobRuns, contest_of, judge_knobs, taken_knobs
from edgecnn.judging.judgement import is_at_chance
from edgecnn.judging.regret import ENOUGH, LOOKS
from edgecnn.judging.resources import batches_up_to, best_batch, screened_rates
from edgecnn.measure.evaluate import PixelSet, blamed_layer
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab, has_engine, tried, why_test_fails
from edgecnn.measure.race import SAMPLES, RaceResult, energy_request, has_meter, no_meter, race, stored_race
from edgecnn.measure.race_request import BATCH_SCREEN_S, CHOOSING, THROUGHPUT_S, RaceOptions, RaceRequest
from edgecnn.measure.residency import residency
from edgecnn.measure.subject import SPLITS, Split, Subject, evaluate_finite
from edgecnn.planning.plan import Plan
from edgecnn.runner.meters.kinds import can_watch
from edgecnn.runtimes.registry import backend_for
from edgecnn.stages.engine import KIT, PLANNED
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.artifact import Artifact, Blocked, Failed
from edgecnn.values.candidate import ENGINE, Candidate, KnobRace, Knobs, KnobTrial, Method, Rung, graph_of, reference_of
from edgecnn.values.layers import Residency
from edgecnn.values.profile import Choosing, Environment, ExtraRuns, Purpose
from edgecnn.values.recipe import Objective, RaceChoice

CHOICE_SAMPLES, CHOICE_MAX_S = 300, 2.0
"""Samples and seconds of each process in a first race. Samples of one process are correlated, so more processes tell more."""
CHOICE_BUDGET_S = 300.0
"""A first race begins no round after this time, which is enough for 24 rounds of five kits that take 2.5 s each."""


def add_execution_results(subject: Subject, execution: Execution, candidates: Iterable[Candidate]) -> None:
    """Add the results of these candidates to the subject: kits, engines, kits to evaluate, outcomes of steps, and images."""
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
        kit = subject.kits[name] = (
            KitRef.of(candidate, package) if engine is None else KitRef.at(engine.folder / KIT, made_here=True)
        )
        if engine is not None or not candidate.needs_engine:
            subject.answering[name] = kit
        elif twin is not None:
            subject.answering[name] = KitRef.of(candidate, twin)
        compiled = engine or artifacts.get(f"compile:{name}")
        if compiled is not None and (compiled.folder / PLANNED).is_file():
            subject.planned[name] = compiled.folder / PLANNED
        if isinstance(unbuilt := outcomes.get(f"{ENGINE}:{name}"), Failed):  # the twin's figures would not be the device's
            subject.failures.setdefault(name, unbuilt)


def _kept_float(candidate: Candidate, quantized: Artifact) -> tuple[str, ...]:
    """Return the layers that stayed in float: those of the ranking for mixed precision, then attention."""
    if candidate.method not in (Method.MIXED, Method.POST_TRAINING):
        return ()
    written = json.loads((quantized.folder / "quantize.json").read_text(encoding="utf-8"))
    return tuple(dict.fromkeys((*written.get("kept_float", ()), *written.get("attention", ()))))


def pixel_sets(execution: Execution) -> dict[Split, PixelSet]:
    """Return the prepared images of the evaluated splits."""
    counts, folder = execution.plan.resolved.data.counts, execution.artifacts["prepare"].folder
    return {split: PixelSet.prepared(folder, split, counts[split]) for split in SPLITS}


class Observer:
    """Measures the kits of a subject. ``fold``: prefix of the names of parts, for a fold whose network does not ship."""

    def __init__(self, subject: Subject, pace: Pace | None = None, fold: str = "") -> None:
        self.subject, self.pace, self.fold = subject, pace, fold

    def validation_drops(self, rung: Rung, pixels: PixelSet) -> RungDrops:
        """Return each candidate's estimated drop on the validation images, without failed candidates, and the reference's level.

        Without labels, the drop is the share of predictions that differ from fp32. Predictions are stored, so a cached build
        climbs by the same figures at once.
        """
        subject = self.subject
        self.evaluate_all({"validation": pixels})
        reference = reference_of(subject.candidates)
        baseline = answer_of(subject, reference, "validation")
        if baseline is None:
            return RungDrops({})
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
        return RungDrops(drops, labels is not None and is_at_chance(baseline, labels))

    def evaluate_all(self, pixels: Mapping[Split, PixelSet]) -> None:
        """Evaluate every kit on these splits, unless it was evaluated already. A kit that fails is not measured further."""
        for name, kit in list(self.subject.answering.items()):
            for split, shown in pixels.items():
                if name in self.subject.failures or (name, split) in self.subject.evaluations:
                    continue
                begun = list[str]()
                stored = tried(partial(self._evaluate, kit, shown, begun))
                if isinstance(stored, Failed):
                    self.subject.fail(name, stored)
                    continue
                self.subject.evaluations[name, split] = stored
                if begun:
                    self._tell_top1(name, split)

    def _evaluate(self, kit: KitRef, pixels: PixelSet, begun: list[str]) -> StoredProfile:
        """Evaluate a kit. Append the part of the build to ``begun`` if the logits were not stored."""

        def begin() -> None:
            begun.append(evaluation_part(kit.candidate.id, pixels.split, self.fold))
            if self.pace is not None:
                self.pace.begin(begun[0], pixels.images)

        try:
            return evaluate_finite(kit, pixels, self.subject.lab, begin)
        except LogitsNotFinite as error:
            raise error.located(pixels.split, blamed_layer(kit, pixels.file, error.fields["image"])) from error

    def _tell_top1(self, name: str, split: Split) -> None:
        answers, labels = answer_of(self.subject, name, split), self.subject.labels(split)
        if answers is None or labels is None or labels.ndim > 1:
            return
        top1 = answered_right(answers, labels).mean()
        self.subject.lab.tell.note(f"{self.fold}{name} on {split}: top-1 {100 * top1:.1f} %")

    def read_residency(self, names: Sequence[str] | None = None) -> None:
        """Read the residency of kits. For an engine that did not run here, its builder's plan gives the residency.

        ``names``: candidates; None: all kits.
        """
        subject = self.subject
        for name, kit in list(subject.kits.items()):
            if names is not None and name not in names:
                continue
            if kit.candidate.needs_engine:
                if (planned := subject.planned.get(name)) is not None:
                    subject.residency[name] = Residency.model_validate_json(planned.read_text(encoding="utf-8"))
                if name in subject.failures or not has_engine(kit):
                    continue
            macs = subject.macs(kit.candidate)
            assert macs is not None
            stored = tried(partial(residency, kit, macs, subject.lab))
            if isinstance(stored, Failed):
                subject.notes.append(f"residency of {name} could not be read: {stored.what}")
            elif stored.profile.residency is not None:
                subject.residency[name] = stored.profile.residency

    def race(self, names: Iterable[str], purpose: Purpose, how: RaceOptions, **settings: Any) -> None:
        """Race the kits of these candidates. A kit that does not finish is not measured further."""
        subject, kits = self.subject, [self.subject.kits[name] for name in names]
        if not kits:
            return
        if purpose == "select" and self.pace is not None and self.pace.started:
            self.pace.begin(LATENCY_PART)
        subject.races[purpose] = subject.race(self._request(kits, purpose, how, **settings))

    def time_all(self, inside: Iterable[str], how: RaceOptions) -> None:
        """Time every evaluated candidate. Those that may be chosen run until one of them is known to win.

        ``inside``: candidates that may be chosen. If latency is not the objective, every candidate only runs the first rounds.
        """
        subject = self.subject
        names = [name for name in subject.answering if name not in subject.failures]
        contenders = [subject.kits[name] for name in inside if name in names] if subject.objective == "latency" else []
        self.race(names, "select", how, choosing=early_stop(contenders))

    def _request(self, kits: Sequence[KitRef], purpose: Purpose, how: RaceOptions, **changes: Any) -> RaceRequest:
        choice = self.subject.race_choice
        if purpose == "report":
            return RaceRequest.reported(choice, kits, how)
        settings: dict[str, Any] = {"max_s": how.max_s, **changes}
        if purpose == "select":
            settings |= {"rounds": LOOKS[-1], "samples": min(choice.samples, CHOICE_SAMPLES), "max_s": CHOICE_MAX_S}
        return RaceRequest.of(choice, kits, purpose, anew=how.anew, **settings)

    def report(self, names: Sequence[str], how: RaceOptions, extra_runs: ExtraRuns, *, energy: bool = True) -> None:
        """Race for the reported figures, then measure energy and the extra runs."""
        self.race(names, "report", how)
        if energy:
            self.energy(names, how)
        kits = tuple(self.subject.kits[name] for name in names)
        ExtraRunner(self.subject, kits, self.subject.race_choice, anew=how.anew).measure(extra_runs)

    def energy(self, names: Iterable[str], how: RaceOptions) -> None:
        """Measure the energy of these kits, if a meter can be read. A kit that fails here can still be chosen."""
        subject = self.subject
        kits = [subject.kits[name] for name in names]
        watched = [kit for kit in kits if has_meter(kit, subject.lab.environment, how.meter)]
        if not watched:
            return
        request = energy_request(subject.race_choice, watched, how)
        schedule = f"{request.rounds} runs that wait for {request.max_s:g} s and work for {request.max_s:g}"
        subject.lab.tell.note(f"energy of {', '.join(kit.candidate.id for kit in watched)}: {schedule}")
        subject.races["energy"] = subject.race(request, "energy of {} could not be measured")


def early_stop(contenders: Iterable[KitRef]) -> Choosing:
    """Return the rule that ends a first race as soon as one of these kits is known to win."""
    entrants = tuple(sorted(kit.entrant for kit in contenders))
    return Choosing(looks=LOOKS, regret=ENOUGH, contenders=entrants, budget_s=CHOICE_BUDGET_S)


class ExtraRunner:
    """Measures throughput at batch sizes, latency from an image file on, and a soak of minutes without a pause.

    Only candidates with reported figures have extra runs. A kit that fails here can still be chosen.
    """

    def __init__(self, subject: Subject, kits: tuple[KitRef, ...], choice: RaceChoice, *, anew: bool) -> None:
        self.subject, self.kits, self.choice, self.anew = subject, kits, choice, anew

    def measure(self, extra_runs: ExtraRuns) -> None:
        """Measure all requested extra runs, and add the results to the subject."""
        self.subject.extra_runs = extra_runs
        if not self.kits:
            return
        if extra_runs.best_batch:
            self.screen()
        if extra_runs.throughput:
            self._throughput(extra_runs)
        if extra_runs.end_to_end:
            self.subject.races["end-to-end"] = self._race("end-to-end")
        if extra_runs.soak_s is not None:
            self.subject.lab.tell.note(f"soak: {extra_runs.soak_s:g} s without a pause, one process a kit")
            self.subject.races["soak"] = self._race("soak", rounds=1, max_s=extra_runs.soak_s)

    def screen(self) -> None:
        """Run each batch size that every kit accepts once."""
        for batch in batches_up_to(min(kit.batch_max for kit in self.kits)) if self.kits else ():
            result = self._race("batches", rounds=1, max_s=BATCH_SCREEN_S, batches=self._all(batch))
            self.subject.batch_screens[batch] = result

    def best_of(self, kit: KitRef) -> int | None:
        """Return the batch size with the highest throughput in the screening runs."""
        return best_batch(screened_rates(self.subject.batches_tried(kit)))

    def _throughput(self, extra_runs: ExtraRuns) -> None:
        """Race at every stated batch size, and once at each kit's best batch size."""
        races = [self._all(batch) for batch in extra_runs.batches]
        if extra_runs.best_batch:
            best = {kit.entrant: batch for kit in self.kits if (batch := self.best_of(kit)) is not None}
            races += [best] if best else []
        for number, batches in enumerate(races):
            if batches not in races[:number]:
                self.subject.throughput.append(self._race("throughput", max_s=THROUGHPUT_S, batches=batches))

    def _all(self, batch: int) -> dict[str, int]:
        return dict.fromkeys((kit.entrant for kit in self.kits), batch)

    def _race(self, purpose: Purpose, **settings: Any) -> RaceResult:
        """Race the kits that ``batches`` names, or all kits without ``batches``."""
        batches = settings.get("batches")
        kits = [kit for kit in self.kits if batches is None or kit.entrant in batches]
        request = RaceRequest.of(self.choice, kits, purpose, anew=self.anew, **settings)
        return self.subject.race(request, purpose + " of {} could not be measured")


def require_meter(
    environment: Environment, candidates: Iterable[Candidate], log: Path | None, option: str = "--objective energy"
) -> None:
    """Refuse an option on energy before any race, if no meter can read the energy of a candidate.

    Raises NO_METER_FOR_OBJECTIVE, which names the meters to use.
    """
    meters = environment.observed.get("energy_meters", "").split()
    if log is None and not any(can_watch(meters, candidate.needs_engine) for candidate in candidates):
        raise no_meter_for_objective(because=no_meter(environment), setting=option)


def race_for_choice(observer: Observer, inside: Sequence[str], objective: Objective, how: RaceOptions) -> None:
    """Run the first race by throughput or energy. A kit that fails leaves the race, with a note.

    ``inside``: candidates inside the accuracy budget; the others cannot be chosen.
    """
    ran = {
        name: kit for name, kit in observer.subject.kits.items() if name in inside and name in observer.subject.raced("select")
    }
    if objective == "throughput":
        _race_by_throughput(observer.subject, ran, how)
    elif objective == "energy":
        _race_by_energy(observer.subject, ran, how)


def result_to_choose_by(subject: Subject) -> Contest | None:
    """Return the result of the first race; None without a race, or if size is the objective."""
    purpose = next((name for name, objective in CHOOSING.items() if objective == subject.objective), None)
    if purpose is None or purpose not in subject.races:
        return None
    return contest_of(CHOOSING[purpose], subject.raced(purpose), subject.lab.machine)


def _race_by_throughput(subject: Subject, kits: Mapping[str, KitRef], how: RaceOptions) -> None:
    choice = subject.race_choice
    screens = Subject(lab=subject.lab)  # kept apart from the reported figures: more candidates, and one run each
    runner = ExtraRunner(screens, tuple(kits.values()), choice, anew=how.anew)
    runner.screen()
    best = {kit.entrant: batch for kit in kits.values() if (batch := runner.best_of(kit)) is not None}
    subject.notes += list(dict.fromkeys(screens.notes))
    racing = [kit for kit in kits.values() if kit.entrant in best]
    if racing:
        settings = {"rounds": LOOKS[-1], "max_s": THROUGHPUT_S, "batches": best, "choosing": early_stop(racing)}
        request = RaceRequest.of(choice, racing, "select-throughput", anew=how.anew, **settings)
        subject.races["select-throughput"] = subject.race(request, "select-throughput race of {} failed")


def _race_by_energy(subject: Subject, ran: Mapping[str, KitRef], how: RaceOptions) -> None:
    """Race by energy. An external meter's log is joined to the runs after the race, so such a race cannot end early."""
    choice, lab = subject.race_choice, subject.lab
    kits = [kit for kit in ran.values() if has_meter(kit, lab.environment, how.meter)]
    if not kits:
        return
    lab.tell.note(f"energy of {', '.join(kit.candidate.id for kit in kits)}, to choose by")
    request = energy_request(choice, kits, how, "select-energy")
    if how.meter is None:
        request = request.model_copy(update={"rounds": LOOKS[-1], "choosing": early_stop(kits)})
    subject.races["select-energy"] = subject.race(request, "select-energy race of {} failed")


def race_knobs(observer: Observer, name: str, how: RaceOptions) -> None:
    """Race the runtime settings of one candidate's kit. Later races and the bundle use the winning setting.

    All settings run interleaved in one race, so that each is compared with the default at nearly the same time.
    """
    subject, lab = observer.subject, observer.subject.lab
    kit, device = subject.kits[name], subject.resolved.device
    if (cores := lab.environment.conditions.get("cores")) is not None:  # affinity and control groups may allow fewer
        device = device.model_copy(update={"processor": device.processor.model_copy(update={"cores": int(cores)})})
    settings = backend_for(kit.candidate.runtime).knobs(device, kit.candidate)
    if len(settings) < 2:  # noqa: PLR2004 - the default alone
        return
    kits = [kit.with_knobs(knobs) for knobs in settings]
    samples = min(subject.race_choice.samples, SAMPLES)  # fewer than for figures, because a ratio of medians needs no p99
    request = RaceRequest.of(subject.race_choice, kits, "knobs", anew=how.anew, samples=samples, max_s=how.max_s)
    if stored_race(request, lab) is None:
        alternatives = ", or ".join(knobs.words for knobs in settings if knobs != Knobs())
        lab.tell.note(f"race {name} with its default knobs against itself with {alternatives}")
    result = race(request, lab)
    if kit.entrant not in result.profiles:
        subject.notes.append(
            f"the knobs of {name} could not be raced: {result.failed.get(kit.entrant, 'its default did not run')}"
        )
        return
    trials = _knob_trials(kit, settings, result, lab)
    won = taken_knobs(trials)
    subject.kits[name] = kit.with_knobs(won)
    subject.knobs = KnobRace(candidate=name, knobs=won, trials=trials, observed_at=result.observed_at, reused=result.reused)
    if won != Knobs():
        observer.read_residency((name,))


def _knob_trials(kit: KitRef, settings: Sequence[Knobs], result: RaceResult, lab: Lab) -> tuple[KnobTrial, ...]:
    """Judge the settings. A winner must pass the kit's self-test; otherwise the next fastest is judged."""
    default = result.profiles[kit.entrant]
    raced = [
        KnobRuns(knobs, result.profiles.get(entrant), result.failed.get(entrant))
        for knobs in settings
        if (entrant := kit.with_knobs(knobs).entrant) != kit.entrant
    ]
    unusable: dict[Knobs, str] = {}
    while True:
        trials = judge_knobs(default, raced, unusable)
        won = taken_knobs(trials)
        words = tuple(word for option, text in won.options.items() for word in ("--knob", f"{option}={text}"))
        if won == Knobs() or (failed := why_test_fails(kit, lab, words)) is None:
            return trials
        unusable[won] = failed.what


def observe_folds(observer: Observer, plans: Sequence[Plan], context: StageContext) -> None:
    """Train the networks of the other folds, make the same candidates, and evaluate them on the test images of their folds.

    A candidate that fails in any fold is not measured further. ``plans``: of the other folds. Raises as ``execute`` does.
    """
    subject = observer.subject
    answering = [row for row in subject.candidates if row.id in subject.answering and row.id not in subject.failures]
    for number, plan in enumerate(plans, 2):
        subject.lab.tell.note(
            f"fold {number} of {len(plans) + 1}: another network, tested on {plan.resolved.data.counts['test']:,} images"
        )
        name = fold_prefix(number)
        execution = execute_candidates(Execution(plan=plan), replace(context, fold=name), answering)
        fold = Subject.from_build(plan.resolved, subject.lab, subject.reference)
        add_execution_results(fold, execution, answering)
        Observer(fold, context.pace, name).evaluate_all({"test": pixel_sets(execution)["test"]})
        subject.folds.append(fold)
        for candidate in answering:
            if (candidate.id, "test") not in fold.evaluations and candidate.id not in subject.failures:
                subject.fail(candidate.id, _failure_in_fold(candidate, fold, number))


def _failure_in_fold(candidate: Candidate, fold: Subject, number: int) -> Failed:
    failed = next((outcome for outcome in fold.outcomes(candidate.id).values() if isinstance(outcome, Failed)), None)
    if failed is not None:
        return failed.model_copy(update={"what": f"fold {number}: {failed.what}"})
    blocked = next((outcome.by for outcome in fold.outcomes(candidate.id).values() if isinstance(outcome, Blocked)), "its branch")
    return Failed(ref="fold-failed", what=f"fold {number}: {blocked} has no result")
