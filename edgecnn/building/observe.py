"""Asks every kit what it answers, how fast it is and what really ran: the part of a build that touches a Host.

Accuracy comes first, on ``choose`` and on ``report``; then, only where this machine is the device, the race: a short look at all
(``screening``), the finalists interleaved, and a last race of the winner against fp32, since the winner of a selection flatters
itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgecnn.building.desktop_gpu import DesktopRequest, DesktopRun, play
from edgecnn.building.execute import Execution
from edgecnn.building.screening import SCREEN_MAX_S, SCREEN_ROUNDS, SCREEN_SAMPLES, screened_ms
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.board import BoardError
from edgecnn.errors.gates import LogitsNotFinite
from edgecnn.judging.accuracy import check_finite
from edgecnn.judging.stopping import rule_of
from edgecnn.measure.energy import energy_request, metered
from edgecnn.measure.evaluate import PixelSet, evaluate, logits_of
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.nonfinite import blamed_layer
from edgecnn.measure.race import RaceResult, race
from edgecnn.measure.race_request import RUN_MAX_S, RUN_PATIENT_S, RaceRequest
from edgecnn.measure.residency import residency
from edgecnn.planning.request import ExtraRuns
from edgecnn.planning.variants import graph_of
from edgecnn.stages.compile import KIT, PLANNED
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.artifact import Failed
from edgecnn.values.candidate import ENGINE, Candidate
from edgecnn.values.knobs import KnobRace
from edgecnn.values.layers import MacTable, Residency
from edgecnn.values.profile import Profile, Purpose

Split = Literal["choose", "report"]
SPLITS: tuple[Split, ...] = ("choose", "report")


@dataclass
class Observations:
    """Everything that was seen, by candidate. What is absent was not measured, and ``failures`` says where it was tried."""

    kits: dict[str, KitRef] = field(default_factory=dict)
    """What ships, in the setting that it ships in once that was raced."""
    answering: dict[str, KitRef] = field(default_factory=dict)
    """What answered: the same kit, or its emulated twin."""
    evaluations: dict[tuple[str, Split], StoredProfile] = field(default_factory=dict)
    residency: dict[str, Residency] = field(default_factory=dict)
    screen_ms: dict[str, float] = field(default_factory=dict)
    """What screening saw: orders the field, and is told in reasons, never as a figure."""
    knobs: KnobRace | None = None
    """What the chosen kit's settings did; None where they were not raced."""
    desktop: DesktopRun | None = None
    """What a GPU of this machine did; None where there is none."""
    races: dict[Purpose, RaceResult] = field(default_factory=dict)
    batch_screens: dict[int, RaceResult] = field(default_factory=dict)
    """Images in a call to the screening run of that many."""
    throughput: list[RaceResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What could not be read and is not needed: a candidate is not out for it."""
    failures: dict[str, Failed] = field(default_factory=dict)

    def raced(self, purpose: Purpose) -> dict[str, Profile]:
        """Profiles of one race by candidate, in whichever setting each ran there: of these races, every kit runs in one."""
        result = self.races.get(purpose)
        if result is None:
            return {}
        found = {profile.subject: profile for profile in result.profiles.values()}
        return {name: found[kit.digest] for name, kit in self.kits.items() if kit.digest in found}


@dataclass(frozen=True)
class RaceManner:
    """How races of one call are run."""

    anew: bool = False
    """Whether a stored one may not serve."""
    patient: bool = False
    """A gate needs p90 or p99, however slow a run is."""
    until: float | None = None
    """Of the race for the reported figures: how well p50 is to be known, as a share of it."""


class Observer:
    """Measures the kits of one execution."""

    def __init__(self, execution: Execution, lab: Lab, home: Lab | None = None) -> None:
        """``home`` is this machine, whose GPU is the baseline's, where ``lab`` is another."""
        self.execution, self.lab, self._home = execution, lab, home or lab
        self.seen = Observations()

    def _macs(self, candidate: Candidate) -> MacTable:
        """Of the graph that the candidate was made from: residency is joined by its names."""
        made = self.execution.artifacts[graph_of(candidate)]
        return MacTable.model_validate_json((made.folder / "macs.json").read_text())

    def collect_kits(self, candidates: Iterable[Candidate]) -> None:
        """Find each candidate's kit, with its engine where one was built for this lab, and the kit that answers for it here."""
        for candidate in candidates:
            made = self.execution.artifacts.get(f"package:{candidate.id}")
            if made is None:
                continue
            twin = self.execution.artifacts.get(f"package-twin:{candidate.id}")
            engine = self.execution.artifacts.get(f"{ENGINE}:{candidate.id}")
            kit = KitRef.of(candidate, made) if engine is None else KitRef.at(engine.folder / KIT)
            self.seen.kits[candidate.id] = kit
            if engine is not None or not candidate.needs_engine:
                self.seen.answering[candidate.id] = kit
            elif twin is not None:
                self.seen.answering[candidate.id] = KitRef.of(candidate, twin)
            unbuilt = self.execution.outcomes.get(f"{ENGINE}:{candidate.id}")
            if isinstance(unbuilt, Failed):  # a stand-in's figures are none of the device's
                self.seen.failures.setdefault(candidate.id, unbuilt)

    def evaluate_all(self, pixels: Mapping[Split, PixelSet]) -> None:
        """Logits of every kit on these splits, where it has not answered yet; a kit that fails is out, with its own words."""
        for name, kit in list(self.seen.answering.items()):
            for split, shown in pixels.items():
                if name in self.seen.failures or (name, split) in self.seen.evaluations:
                    continue
                try:
                    self.seen.evaluations[name, split] = self._answers(name, kit, shown)
                except BoardError:
                    raise
                except EdgecnnError as error:
                    self.fail(name, error)

    def _answers(self, name: str, kit: KitRef, pixels: PixelSet) -> StoredProfile:
        stored = evaluate(kit, pixels, self.lab)
        try:
            check_finite(name, logits_of(stored))
        except LogitsNotFinite as error:
            raise error.located(pixels.split, blamed_layer(kit, pixels.file, error.image)) from error
        return stored

    def read_residency(self, names: Sequence[str] | None = None) -> None:
        """What really ran; for engines, what their builder planned. Of these candidates, or of all."""
        for name, kit in list(self.seen.kits.items()):
            if names is not None and name not in names:
                continue
            if kit.candidate.needs_engine and not self._runs_its_engine(name):
                continue
            try:
                stored = residency(kit, self._macs(kit.candidate), self.lab)
                if stored.profile.residency is not None:
                    self.seen.residency[name] = stored.profile.residency
            except BoardError:
                raise
            except EdgecnnError as error:
                self.seen.notes.append(f"residency of {name} could not be read: {error.line()}")

    def _runs_its_engine(self, name: str) -> bool:
        """Whether a candidate's engine runs in this lab; what its builder planned, where that is known, holds until it does."""
        engine = self.execution.artifacts.get(f"{ENGINE}:{name}")
        compiled = engine or self.execution.artifacts.get(f"compile:{name}")
        if compiled is not None and (compiled.folder / PLANNED).is_file():
            self.seen.residency[name] = Residency.model_validate_json((compiled.folder / PLANNED).read_text())
        return engine is not None and name not in self.seen.failures

    def play_baseline(self, pixels: PixelSet, extent: ExtraRuns, *, anew: bool = False) -> None:
        """Let a GPU of this machine take its part, where there is one."""
        self.seen.desktop = play(self.execution, self._home, DesktopRequest(pixels=pixels, extent=extent, anew=anew))

    def race(self, names: Iterable[str], purpose: Purpose, how: RaceManner) -> None:
        """Race these candidates' kits; whoever does not finish is out."""
        names = tuple(names)
        if not names:
            return
        request = self._request(tuple(self.seen.kits[name] for name in names), purpose, how)
        result = race(request, self.lab)
        self.seen.races[purpose] = result
        for kit in request.kits:
            if kit.entrant in result.failed:
                self.seen.failures[kit.candidate.id] = Failed(ref="run-failed", what=result.failed[kit.entrant])
        if purpose == "screen":
            for name, profile in self.seen.raced("screen").items():
                if (ms := screened_ms(profile)) is not None:
                    self.seen.screen_ms[name] = ms

    def _request(self, kits: tuple[KitRef, ...], purpose: Purpose, how: RaceManner) -> RaceRequest:
        recipe = self.execution.plan.resolved.recipe
        max_age_h = 0.0 if how.anew else recipe.race.max_age_h
        if purpose == "screen":
            return RaceRequest(
                kits=kits,
                purpose=purpose,
                # Where the objective is another, its own race orders the field, and this one says only who runs.
                rounds=SCREEN_ROUNDS if recipe.choice.objective == "latency" else 1,
                samples=min(recipe.race.samples, SCREEN_SAMPLES),
                max_s=SCREEN_MAX_S,
                max_age_h=max_age_h,
            )
        until = rule_of(how.until) if how.until is not None and purpose == "report" else None
        return RaceRequest(
            kits=kits,
            purpose=purpose,
            rounds=until.looks[-1] if until else recipe.race.rounds,
            samples=recipe.race.samples,
            max_s=RUN_PATIENT_S if how.patient else RUN_MAX_S,
            max_age_h=max_age_h,
            until=until,
        )

    def energy(self, names: Iterable[str], *, anew: bool = False, log: Path | None = None) -> None:
        """Measure the energy of these candidates' kits, where a meter can be read; a kit that fails here is not out for it.

        Args:
            names: candidates whose kits have raced.
            anew: whether a stored measurement may not serve.
            log: an external meter's log.
        """
        kits = [self.seen.kits[name] for name in names]
        watched = [kit for kit in kits if metered(kit, self.lab.environment, log)]
        if not watched:
            return
        choice = self.execution.plan.resolved.recipe.race
        max_age_h = 0.0 if anew else choice.max_age_h
        request = energy_request(watched, rounds=choice.rounds, max_age_h=max_age_h, log=log)
        each = f"{request.rounds} runs that wait for {request.max_s:g} s and work for {request.max_s:g}"
        self.lab.tell.note(f"energy of {', '.join(kit.candidate.id for kit in watched)}: {each}")
        result = race(request, self.lab)
        self.seen.races["energy"] = result
        self.seen.notes += [
            f"energy of {kit.candidate.id} could not be measured: {result.failed[kit.entrant]}"
            for kit in watched
            if kit.entrant in result.failed
        ]

    def fail(self, name: str, error: EdgecnnError) -> None:
        """A candidate is out, in the failure's own words."""
        self.seen.failures[name] = Failed(ref=error.ref, what=error.line(), hint=error.hint)
        self.lab.tell.note(f"{name} failed: {error.line()}")


def pixel_sets(execution: Execution) -> dict[Split, PixelSet]:
    """The two evaluated splits of the prepare artifact."""
    counts = execution.plan.resolved.data.counts
    folder = execution.artifacts["prepare"].folder
    return {split: PixelSet.prepared(folder, split, counts[split]) for split in SPLITS}
