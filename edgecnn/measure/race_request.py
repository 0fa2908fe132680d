"""The request of a race (kits, rounds, time), its schedule, and its execution on a host.

Each block has its own folder, so an interrupted race resumes with the block in which it stopped.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.hosts.protocol import Schedule, Task
from edgecnn.hosts.wire import usable
from edgecnn.judging.choice import contest_of_runs
from edgecnn.judging.gates import EffectiveGates, RunsNeeded
from edgecnn.judging.stopping import half_width, rule_of, well_known
from edgecnn.measure.kits import KitRef, entrant_of
from edgecnn.measure.lab import Lab, joined_environment
from edgecnn.measure.run_file import require_as_scheduled, run_of
from edgecnn.store.disk import write_text_atomically
from edgecnn.values.base import Value
from edgecnn.values.profile import Choosing, Purpose, Run, Until
from edgecnn.values.recipe import RaceChoice, Raced
from edgecnn.values.stage import digest_of

WARMUP_S = 0.3
RUN_MAX_S = 5.0
"""Time of the samples of one process. A slow network gets fewer samples, and then has no p99, so that a race takes no hour."""
RUN_PATIENT_S = 60.0
"""Time of the samples if a gate needs p99: a thousand samples of a network that takes 60 ms."""
RUN_OVERHEAD_S = 60.0
"""Time of a process in addition to its samples: imports, loading, hashing its kit."""
COMPILE_OVERHEAD_S = 600.0
"""This time if a process first compiles its network for a GPU, which takes minutes unless torch has cached it."""
THROUGHPUT_S = 5.0
"""Time of the samples of one process with large batches, even if that is only a few calls."""
BATCH_SCREEN_S = 1.0
"""Length of the single screening run of each batch size."""
SOAK_WINDOW_S = 10.0
"""Window of a sustained run: long enough for a median of a slow network, short compared with the minutes of heating."""


@dataclass(frozen=True)
class RaceOptions:
    """Options of all races of one call."""

    anew: bool = False
    """Whether to ignore stored races."""
    runs: RunsNeeded = RunsNeeded()
    """Least runs of the final race and of the energy race."""
    until: float | None = None
    """Required precision of p50 in the final race, as a share of p50."""
    meter: Path | None = None
    """Log of an external meter."""

    @classmethod
    def of(cls, gates: EffectiveGates, until: float | None, meter: Path | None) -> RaceOptions:
        """Return the options that the gates of a call need."""
        return cls(anew=gates.races_again, runs=gates.runs, until=until, meter=meter)

    @property
    def max_s(self) -> float:
        """Time limit of one process of a latency race."""
        return RUN_PATIENT_S if self.runs.tails else RUN_MAX_S


class RaceRequest(Value):
    """The kits, the number of rounds and the purpose of a race."""

    kits: tuple[KitRef, ...]
    purpose: Purpose
    rounds: int
    samples: int
    max_s: float = RUN_MAX_S
    max_age_h: float
    meter_log: Path | None = None
    """Log of an external meter, for an energy race."""
    batches: Mapping[str, int] = {}
    """Batch size by entrant; other entrants run one image at a time."""
    together: bool = False
    """Whether the kits of a round open their models together and are timed in turn, as for torch, which opens them slowly."""
    until: Until | None = None
    """Rounds are added until every p50 has this precision; ``rounds`` is then the limit."""
    choosing: Choosing | None = None
    """Rounds are added until the choice is decided; ``rounds`` is then the limit."""

    @classmethod
    def of(cls, choice: RaceChoice, kits: Iterable[KitRef], purpose: Purpose, *, anew: bool, **overrides: Any) -> RaceRequest:
        """Return a race with the settings of a recipe's ``[race]``; ``anew``: whether to ignore stored races.

        ``overrides``: fields that replace these settings.
        """
        usual: dict[str, Any] = {
            "rounds": choice.rounds,
            "samples": choice.samples,
            "max_age_h": 0.0 if anew else choice.max_age_h,
        }
        return cls(kits=tuple(kits), purpose=purpose, **{**usual, **overrides})

    @classmethod
    def reported(cls, choice: RaceChoice, kits: Iterable[KitRef], how: RaceOptions) -> RaceRequest:
        """Return the final race, with as many rounds as the recipe, the gates or ``until`` require."""
        until = None if how.until is None else rule_of(how.until)
        rounds = max(choice.rounds, how.runs.latency) if until is None else until.looks[-1]
        return cls.of(choice, kits, "report", anew=how.anew, rounds=rounds, until=until, max_s=how.max_s)

    @property
    def question(self) -> dict[str, Any]:
        """The settings that two races must share for a stored one to be used, without the store's location."""
        kits = sorted(kit.entrant for kit in self.kits)
        question: dict[str, Any] = self.model_dump(include={"purpose", "rounds", "samples", "max_s"})
        question.update(warmup_s=WARMUP_S, kits=kits)
        if self.batches:
            question["batches"] = dict(sorted(self.batches.items()))
        if self.together:
            question["together"] = True
        if self.until is not None:
            question["until"] = self.until.model_dump()
        if self.choosing is not None:
            question["choosing"] = self.choosing.model_dump()
        return question if self.meter_log is None else {**question, "external_meter": True}

    @property
    def identity(self) -> str:
        """The digest of ``question``, which all races with these kits and settings share."""
        return digest_of(self.question)[:16]

    @property
    def title(self) -> str:
        """The title in progress lines."""
        return TITLES[self.purpose]

    @property
    def timeout_s(self) -> float:
        """Time after which a process counts as hung."""
        overhead_s = COMPILE_OVERHEAD_S if any(kit.compiles for kit in self.kits) else RUN_OVERHEAD_S
        stretches = 2 if _OF_PURPOSE.get(self.purpose, {}).get("energy") else 1
        return stretches * self.max_s + overhead_s


_OF_PURPOSE: Mapping[Purpose, Mapping[str, Any]] = {
    "energy": {"energy": True},
    "select-energy": {"energy": True},
    "end-to-end": {"end_to_end": True},
    "soak": {"window_s": SOAK_WINDOW_S},
}
"""Optional fields of an item: kits packaged before these fields existed still run in races without them."""

CHOOSING: Mapping[Purpose, Raced] = {"select": "latency", "select-throughput": "throughput", "select-energy": "energy"}
"""First races, and the objective of each."""

TITLES: Mapping[Purpose, str] = {
    "screen": "screening race",
    "select": "first race",
    "select-throughput": "first race (throughput)",
    "select-energy": "first race (energy)",
    "knobs": "race of runtime settings",
    "report": "final race",
    "energy": "energy race",
    "baseline": "race of the baseline GPU",
    "against": "race for the comparison",
    "trial": "trial that sets the length of runs",
    "batches": "search for the fastest batch size",
    "throughput": "throughput race",
    "end-to-end": "end-to-end race",
    "soak": "soak",
    "table": "timing of networks for the latency table",
    "evidence": "race for the evidence",
}


def items_of(request: RaceRequest, racing: Collection[str] | None = None) -> list[dict[str, Any]]:
    """Return the items of the schedule, in a seeded random order inside each round.

    A random order makes the signed-rank interval of a ratio exact. In a first race, every second round reverses the order of the
    previous round, so that no kit runs early more often.

    ``racing``: remaining entrants; None: all.
    """
    items, order = [], list[KitRef]()
    draw = random.Random(request.identity)
    kits = sorted(request.kits, key=lambda kit: kit.entrant)
    timing: dict[str, Any] = {"samples": request.samples, "warmup_s": WARMUP_S, "max_s": request.max_s, "trace": False}
    timing.update(_OF_PURPOSE.get(request.purpose, {}), **({"together": True} if request.together else {}))
    for number in range(request.rounds):
        order = order[::-1] if request.choosing is not None and number % 2 else draw.sample(kits, len(kits))
        for position, kit in enumerate(order):
            if racing is not None and kit.entrant not in racing:
                continue
            batch = request.batches.get(kit.entrant, 1)
            of_kit = {"knobs": kit.knobs.options, **({"batch": batch} if batch > 1 else {})}
            items.append({"kit": str(kit.folder), "round": number, "position": position, **timing, **of_kit})
    return items


Item = dict[str, Any]


def whole_schedule(request: RaceRequest) -> Schedule:
    """Return everything that may run, as the runner reads it. An interrupted race resumes only if its schedule is the same."""
    return Schedule(tuple(items_of(request)), request.timeout_s)


def run_schedule(request: RaceRequest, lab: Lab, work: Path) -> None:
    """Let the host run the request, and write run files to ``work`` or to folders in it."""
    rule = request.until or request.choosing
    if rule is None:
        _bench(request, whole_schedule(request), lab, work)
        return
    began, begin, racing = time.monotonic(), 0, frozenset(kit.entrant for kit in request.kits)
    for end in rule.looks:
        block = work / f"rounds-{begin:04d}"
        block.mkdir(exist_ok=True)
        racing = _block_entrants(block.with_suffix(".json"), racing)
        items = [item for item in items_of(request, racing) if begin <= item["round"] < end]
        _bench(request, Schedule(tuple(items), request.timeout_s), lab, block)
        begin = end
        # A check ignores the runs of an interrupted block.
        finished = [run for run in run_files(work) if run["round"] < end]
        if isinstance(rule, Until):
            racing = frozenset() if _enough(request, rule, lab, finished, end) else racing
        elif end < rule.looks[-1] and time.monotonic() - began < rule.budget_s:
            racing = _still_racing(request, rule, lab, finished)
        else:
            return
        if not racing:
            return


def _block_entrants(file: Path, racing: frozenset[str]) -> frozenset[str]:
    """Return the entrants that a block started with, because after resuming, a failed run may succeed."""
    if not file.exists():
        write_text_atomically(file, json.dumps(sorted(racing)))
    return frozenset(json.loads(file.read_text(encoding="utf-8")))


def run_files(work: Path) -> list[dict[str, Any]]:
    """Return every run that was written, in request order, each checked against its schedule."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(work.rglob("run-*.json"))]


def empty_folder(work: Path) -> None:
    """Empty a folder whose content is no longer valid; the host then starts with an empty folder too."""
    for path in work.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _bench(request: RaceRequest, schedule: Schedule, lab: Lab, folder: Path) -> None:
    made_here = all(kit.made_here for kit in request.kits)
    task = Task(request.kits[0].folder, "bench", out=folder, schedule=schedule, made_here=made_here)
    lab.host.run(task, lease_s=2 * request.timeout_s, tell=lab.doing(request.title).tell)
    with usable(lab.board, request.title):
        require_as_scheduled(schedule, folder)


def _entrant_runs(request: RaceRequest, runs: Iterable[Mapping[str, Any]]) -> dict[str, list[Run]]:
    """Return the runs of each kit that has not failed."""
    by_entrant: dict[str, list[Mapping[str, Any]]] = {kit.entrant: [] for kit in request.kits}
    for run in runs:
        by_entrant.setdefault(entrant_of(run["kit"], run["knobs"]), []).append(run)
    return {name: [run_of(run) for run in mine] for name, mine in by_entrant.items() if not any("error" in run for run in mine)}


def _still_racing(request: RaceRequest, rule: Choosing, lab: Lab, runs: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the entrants that run another block; none if the choice is decided."""
    mine = {name: contender_runs for name, contender_runs in _entrant_runs(request, runs).items() if name in rule.contenders}
    environment = joined_environment([run for run in runs if "environment" in run])
    contest = contest_of_runs(CHOOSING[request.purpose], mine, [environment])
    racing = contest.still_racing(rule.regret)
    if not racing:
        return racing
    lead, other_work = contest.lead, contest.disturbed
    names = {kit.entrant: kit.candidate.id for kit in request.kits}
    on = ", ".join(sorted(names[entrant] for entrant in racing - {lead.name}))
    rounds = len(contest.costs[lead.name])
    standing = f"{names[lead.name]} is ahead after {rounds} rounds (expected regret {100 * lead.regret:.1f} %)"
    lab.tell.note(f"{standing}{f', but {other_work}' if other_work else ''}; the race continues with {on}")
    return racing


def _enough(request: RaceRequest, until: Until, lab: Lab, runs: Iterable[Mapping[str, Any]], rounds: int) -> bool:
    """Whether the p50 of every kit is known as precisely as required; a failed kit needs no more runs."""
    by_entrant = _entrant_runs(request, runs)
    known = {kit.candidate.id: by_entrant[kit.entrant] for kit in request.kits if kit.entrant in by_entrant}
    wide = {name: half_width(mine, until) for name, mine in known.items() if not well_known(mine, until)}
    if wide and rounds < until.looks[-1]:
        widths = ", ".join(
            f"{name} to ± {'?' if width is None else format(100 * width, '.1f')} %" for name, width in wide.items()
        )
        lab.tell.note(
            f"after {rounds} rounds p50 is known: {widths}; the target is ± {100 * until.half_width:g} %, so the race continues"
        )
    return not wide
