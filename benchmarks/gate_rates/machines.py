"""Verdicts and choices on the machines that people have: a busy neighbour, a drift, two paces.

The simulated machine has two processors. A neighbour is a program that keeps one of them busy for minutes and then pauses. A kit
with one thread moves to the other processor and loses little. A kit with two threads shares one of the processors, and its other
thread waits for the slower one, so it loses almost half of its time.

Each row draws races, lets the functions that the reports use judge them after the rounds at which a command looks, and counts
wrong answers, UNSURE and rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import ndtri

from edgecnn.judging.choice import contest_of
from edgecnn.judging.ratio import PairedRace, judge_ratio, look
from edgecnn.judging.regret import ENOUGH, LOOKS
from edgecnn.judging.stopping import looks
from edgecnn.values.profile import Environment, Profile, Run, RunWaiting
from edgecnn.values.verdict import Fidelity, Verdict
from tests.judging.made import CONDITIONS, a_gate

Random = np.random.Generator
Reals = np.ndarray
BOUND = 1.03
GATE = a_gate("latency_ratio", BOUND)
SPREAD = 0.03
"""Spread of the medians of a kit's processes on a quiet machine."""
SAMPLES = 20
CYCLE = 24
"""Runs from one beginning of the neighbour's work to the next."""
ALONE_LOST, SHARED_LOST = (0.01, 0.01), (0.45, 0.04)
"""Mean and spread of the share of its time that a kit of one thread and a kit of two threads wait next to the neighbour."""


@dataclass(frozen=True)
class Kit:
    """A kit whose process takes ``ms`` in the middle, on a quiet machine."""

    ms: float
    threads: int = 2
    follows: float = 0.0
    """Part of its deviation that a process shares with the process before."""
    slow: float = 0.0
    """Share of processes that are at a second pace, ``SLOWER`` times as slow."""


SLOWER = 1.2


@dataclass(frozen=True)
class Drawn:
    """Runs of one kit: medians in ms, the share of the time that was lost, and the other work in percent."""

    ms: Reals
    lost: Reals
    others: Reals


def neighbour(random: Random, runs: int, share: float) -> Reals:
    """Return for each run whether the neighbour works, in stretches."""
    if not share:
        return np.zeros(runs, bool)
    begins, ends = 1 / (CYCLE * (1 - share)), 1 / (CYCLE * share)
    on, states = random.random() < share, []
    for draw in random.random(runs):
        states.append(on)
        on = draw >= ends if on else draw < begins
    return np.array(states)


def drawn(random: Random, kit: Kit, busy: Reals) -> Drawn:
    """Draw one run for each entry of ``busy``."""
    deviates = random.normal(size=len(busy))
    for at in range(1, len(busy)):
        deviates[at] = kit.follows * deviates[at - 1] + math.sqrt(1 - kit.follows**2) * deviates[at]
    slow = random.random(len(busy)) < kit.slow
    middle = kit.ms * math.exp(-SPREAD * float(ndtri(0.5 / (1 - kit.slow))))  # the slower pace is far beyond the median
    mean, spread = ALONE_LOST if kit.threads == 1 else SHARED_LOST
    lost = np.where(busy, np.clip(random.normal(mean, spread, len(busy)), 0.0, 0.9), 0.0)
    caches = np.where(busy, random.normal(0.01, 0.01, len(busy)), 0.0)
    ms = middle * np.where(slow, SLOWER, 1.0) * np.exp(SPREAD * deviates + caches) / (1 - lost)
    others = np.where(busy, 50.0 if kit.threads == 1 else 27.0, 1.0)
    return Drawn(ms, lost, others)


def profile(kit: Kit, runs: Drawn, rounds: range, race: str) -> Profile:
    """Return these rounds of a kit as the profile of one race."""
    made = []
    for number in rounds:
        wall_ns = round(runs.ms[number] * 1e6) * SAMPLES
        waited_ns = round(wall_ns * runs.lost[number])
        waiting = RunWaiting(
            wall_ns=wall_ns,
            ran_ns=wall_ns * kit.threads - waited_ns,
            waited_ns=waited_ns,
            switched=round(waited_ns / 3e6),
            others_ns=round(wall_ns * 2 * runs.others[number] / 100),
        )
        made.append(
            Run.model_construct(
                round=number, position=0, load_ns=1, first_ns=1, warmup_ns=(), samples_ns=(wall_ns // SAMPLES,) * SAMPLES,
                started_at="2026-11-20T09:00:00+00:00", threads=kit.threads, waiting=waiting,
            )
        )  # fmt: skip
    others = f"{np.median(runs.others[rounds.start : rounds.stop]):.1f}"
    return Profile.model_construct(
        what="race", subject="kit", device="cpu", host="here", fidelity=Fidelity.MEASURED, race=race, purpose="against",
        environment=Environment(conditions=CONDITIONS, observed={"others_percent": others}),
        observed_at="2026-11-20T09:00:00+00:00", runs=tuple(made), knobs={},
    )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What one simulated command said."""

    wrong: bool
    unsure: bool
    rounds: int
    regret: float = math.nan
    """Of a choice: the share by which the shipped kit is slower than the best."""


def compared(random: Random, head: Kit, base: Kit, share: float, wrong: Verdict) -> Outcome:
    """Race two builds as ``judge --against`` does."""
    planned = looks()
    busy = neighbour(random, 2 * planned[-1], share)
    first, second = drawn(random, head, busy[::2]), drawn(random, base, busy[1::2])
    races, done = list[PairedRace](), 0
    for upto in planned:
        block = range(done, upto)
        races.append(
            PairedRace.model_construct(
                base=profile(base, second, block, f"race-{done}"), head=profile(head, first, block, f"race-{done}")
            )
        )
        done = upto
        interim = look(races, GATE, planned, "here")
        if interim.decided:
            break
    verdict = judge_ratio(GATE, interim.finding, "x").verdict
    return Outcome(verdict is wrong, verdict is Verdict.UNSURE, done)


def chosen(random: Random, kits: tuple[Kit, ...], share: float) -> Outcome:
    """Choose among kits as the first race of a build does. ``wrong``: a final choice that is at least 2 % too slow."""
    busy = neighbour(random, len(kits) * LOOKS[-1], share)
    runs = {str(at): drawn(random, kit, busy[at :: len(kits)]) for at, kit in enumerate(kits)}
    rounds, racing = dict.fromkeys(runs, 0), frozenset(runs)
    for end in LOOKS:
        rounds |= dict.fromkeys(racing, end)
        profiles = {name: profile(kits[int(name)], runs[name], range(count), "race") for name, count in rounds.items()}
        racing = contest_of("latency", profiles, "here").still_racing(ENOUGH)
        if not racing:
            break
    contest = contest_of("latency", profiles, "here")
    standing = contest.lead
    best = min(kit.ms for kit in kits)
    behind = kits[int(standing.name)].ms / best - 1
    settled = contest.is_final(standing)
    return Outcome(settled and behind > 0.02, not settled, sum(rounds.values()), behind if settled else 0.0)


@dataclass(frozen=True)
class Row:
    """A claim, the machine, and the rate that the command states."""

    claim: str
    machine: str
    stated: float
    draw: Callable[[Random], Outcome]
    draws: int = 60


def cases() -> list[Row]:
    """In the order of the table."""
    return [*_neighbour_cases(), *_quiet_cases(), *_drift_cases(), *_choice_cases()]


def _comparison(what: str, head: Kit, base: Kit, wrong: Verdict, share: float = 0.0) -> Row:
    """A row of ``judge --against``. ``wrong``: the wrong verdict. ``share``: part of the time that the neighbour works."""
    where = f"{what}; neighbour {100 * share:.0f} % of the time" if share else what
    return Row(wrong.value, where, 0.01, partial(compared, head=head, base=base, share=share, wrong=wrong))


def _one(ms: float) -> Kit:
    return Kit(ms, threads=1)


def _neighbour_cases() -> list[Row]:
    rows = []
    for slower in (1.08, 1.2):
        what = f"HEAD 1 thread and {100 * (slower - 1):.0f} % slower, BASE 2 threads"
        rows.append(_comparison(what, _one(slower), Kit(1.0), Verdict.PASS, 0.8))
    for share in (0.5, 0.8):
        rows.append(_comparison("HEAD 2 threads, BASE 1 thread, equal", Kit(1.0), _one(1.0), Verdict.FAIL, share))
    for share in (0.5, 0.8):
        rows.append(_comparison("both 2 threads, on the bound", Kit(BOUND), Kit(1.0), Verdict.PASS, share))
        rows.append(_comparison("both 2 threads, on the bound", Kit(BOUND), Kit(1.0), Verdict.FAIL, share))
        rows.append(_comparison("both 2 threads, HEAD 15 % slower", Kit(1.15), Kit(1.0), Verdict.PASS, share))
    return rows


def _quiet_cases() -> list[Row]:
    on_bound = [
        _comparison("both 2 threads, on the bound, quiet", Kit(BOUND), Kit(1.0), wrong) for wrong in (Verdict.PASS, Verdict.FAIL)
    ]
    known = ((0.97, Verdict.FAIL), (1.0, Verdict.FAIL), (1.08, Verdict.PASS))
    return on_bound + [_comparison(f"HEAD {ratio:g} × BASE, quiet", Kit(ratio), Kit(1.0), wrong) for ratio, wrong in known]


def _drift_cases() -> list[Row]:
    rows = []
    for follows in (0.5, 0.7, 0.9):
        what = f"HEAD on the bound with its own drift, autocorrelation {follows:g}"
        head = Kit(BOUND, follows=follows)
        rows += [_comparison(what, head, Kit(1.0), wrong) for wrong in (Verdict.PASS, Verdict.FAIL)]
    for slow in (0.15, 0.3):
        what = f"has {100 * slow:.0f} % of processes 20 % slower, middle ratio on the bound"
        rows.append(_comparison(f"HEAD {what}", Kit(BOUND, slow=slow), Kit(1.0), Verdict.FAIL))
        rows.append(_comparison(f"BASE {what}", Kit(BOUND), Kit(1.0, slow=slow), Verdict.PASS))
    return rows


def _choice_cases() -> list[Row]:
    pair = (Kit(1.0), _one(1.2))
    rows = []
    for share in (0.0, 0.4, 0.9):
        what = f"two kits 1 : 1.2, 2 threads and 1 thread; neighbour {100 * share:.0f} % of the time"
        rows.append(Row("choice", what, 0.005, partial(chosen, kits=pair, share=share)))
    close = tuple(Kit(1.0 + 0.08 * (at % 2), follows=0.8) for at in range(8))
    what = "eight kits, 0 or 8 % slower, each with its own drift 0.8"
    return [*rows, Row("choice", what, 0.005, partial(chosen, kits=close, share=0.0))]


COLUMNS = ("claim", "machine", "stated", "wrong", "unsure or provisional", "rounds", "mean regret")


def row(case: Row, draws: int | None = None, seed: int = 11) -> str:
    """Return one row of the table."""
    random = np.random.default_rng(seed)
    outcomes = [case.draw(random) for _ in range(draws or case.draws)]
    wrong, unsure, rounds, regret = (
        float(np.mean([getattr(outcome, name) for outcome in outcomes])) for name in ("wrong", "unsure", "rounds", "regret")
    )
    shown = "–" if math.isnan(regret) else f"{100 * regret:.2f} %"
    cells = (
        case.claim,
        case.machine,
        f"{100 * case.stated:g} %",
        f"{100 * wrong:.1f} %",
        f"{100 * unsure:.0f} %",
        f"{rounds:.0f}",
        shown,
    )
    return f"| {' | '.join(cells)} |"
