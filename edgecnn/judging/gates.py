"""Gates: the gates of a call (``EffectiveGates``), the bounds that they come from, and how each is judged.

A misspelt metric, a NaN or a bound on the wrong side is refused before any work, because a gate that can never fail is worse than
no gate. The whole interval passes or fails; an interval with the bound inside is UNSURE, and an unmeasured figure is MISSING.
Accuracy gates are non-inferiority tests at one-sided 95 %; the gate on the worst class covers all classes. Latency gates use
measured figures only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from edgecnn.errors.base import ExitCode
from edgecnn.errors.gates import (
    BOUND_MISSING,
    BOUND_OF_TWO_BUILDS,
    BOUND_ON_WRONG_SIDE,
    BOUND_OUT_OF_RANGE,
    BOUND_TWICE,
    LOGITS_NOT_FINITE,
    METRIC_NOT_COMPARED,
    unknown_metric,
)
from edgecnn.errors.wording import bound_text
from edgecnn.judging.dependence import RUNS_TO_TELL
from edgecnn.judging.disturbance import slowdown_limit_text
from edgecnn.judging.findings import OF_ONE_CLASS, OF_SEVERAL, Finding, images_to_settle
from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, Worth, wilson
from edgecnn.judging.latency import TAILS, runs_needed
from edgecnn.judging.metrics import (
    ANY_METRIC,
    COMPARED,
    LATENCY_RATIO,
    METRICS,
    Source,
    bound_in_p50,
    exactly,
    finding_of,
    reciprocal_of_p50,
)
from edgecnn.judging.resolution import enough_images, groups_among, images_for_proportion, images_needed
from edgecnn.judging.stopping import OF_A_BUILD, OF_A_COMPARISON, rounds_to_settle, what_helps
from edgecnn.values.artifact import Failed
from edgecnn.values.base import Value
from edgecnn.values.figures import Accuracy
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import IMAGES_PER_S, Fidelity, Gate, GateOrigin, GateResult, Interval, ReplacedBound, Verdict

DEFAULT_DROP_PP = 1.0
"""The accuracy budget, and the bound of the default gate."""

DEFAULT_LATENCY_RATIO = 1.03
"""Default bound of a comparison: smaller differences are lost in the effects of memory layout and linking."""

DEFAULT_RATIO_GATE = Gate(metric=LATENCY_RATIO, side="max", bound=DEFAULT_LATENCY_RATIO, required="always")

StoredRace = Literal["fresh-enough", "unless-gated", "never"]
"""Whether a call uses a stored race. fresh-enough: if the race is younger than ``max_age_h``. unless-gated: likewise, but not in
CI or if a gate is on latency or energy. never: races run again."""
Freshness = Literal["fresh-enough", "raced-now", "this-job"]
"""fresh-enough: a stored race younger than ``max_age_h`` is used. raced-now: races run, and a stored race is used only if none
can run. this-job: no race of another job is used."""

Side = Literal["max", "min"]
_SIDE_OF: Mapping[str, Side] = {"lower": "max", "higher": "min"}
_LARGEST = {"share": 1.0, "pp": 100.0}
"""Upper limits of units: a share is written as 0.95, not 95."""
_ON_THE_DEVICE_ALONE: tuple[Source, ...] = ("latency", "memory", "energy")
"""Sources of figures that need a run on the device itself."""


def bounds_of(choice: GateChoice) -> list[tuple[Side, str, float]]:
    """Return side, metric and bound of every stated bound, those of ``max`` first."""
    largest: list[tuple[Side, str, float]] = [("max", name, bound) for name, bound in choice.max.items()]
    return largest + [("min", name, bound) for name, bound in choice.min.items()]


def parse_bounds(
    largest: Sequence[str], smallest: Sequence[str], *, require_measured: bool = False, compared: bool = False
) -> GateChoice:
    """Return the bounds of a command line, from the texts after ``--max`` and ``--min``.

    ``compared``: whether the command compares two builds.

    Raises:
        BOUND_MISSING: a text is not ``name=number``.
        BOUND_TWICE: two different bounds of one metric.
        UNKNOWN_METRIC, METRIC_NOT_COMPARED, BOUND_OF_TWO_BUILDS, BOUND_OUT_OF_RANGE, BOUND_ON_WRONG_SIDE: see ``check_bounds``.
    """
    choice = GateChoice(max=_parse_side("max", largest), min=_parse_side("min", smallest), require_measured=require_measured)
    check_bounds(choice, stated_by="command line", compared=compared)
    return choice


def bound_of(gate: Gate) -> str:
    """Return ``drop_pp ≤ 1``, in the unit in which it was stated."""
    return bound_text(*gate.stated)


def bound_option(side: Side, metric: str, bound: float) -> tuple[str, str]:
    """Return a bound as an option of a command: ``("--max", "p50_ms=5")``."""
    return f"--{side}", f"{metric}={repr(bound).removesuffix('.0')}"


def bound_parts(choice: GateChoice) -> tuple[tuple[str, ...], ...]:
    """Return the bounds as options of a command."""
    return (
        *(bound_option(*bound) for bound in bounds_of(choice)),
        *((("--require-measured",),) if choice.require_measured else ()),
    )


def check_bounds(choice: GateChoice, *, stated_by: Literal["recipe", "command line"] = "recipe", compared: bool = False) -> None:
    """Refuse bounds that cannot be judged.

    Raises:
        UNKNOWN_METRIC: with the nearest known name.
        METRIC_NOT_COMPARED: ``compared``, and the metric does not apply to two builds.
        BOUND_OF_TWO_BUILDS: not ``compared``, and the metric is a ratio.
        BOUND_OUT_OF_RANGE: NaN, infinity, a negative number, or a share above 1.
        BOUND_ON_WRONG_SIDE: ``max`` of a metric that should be large, or ``min`` of one that should be small.
        BOUND_TWICE: images a second contradict the bound of p50.
    """
    for side, name, bound in bounds_of(choice):
        _check_name(_where(side, stated_by), name, bound, compared)
        _check_bound(_where(side, stated_by), side, name, bound)
    stated, meant = choice.max.get("p50_ms"), bound_in_p50(choice).max.get("p50_ms")
    if stated is not None and meant is not None and not math.isclose(stated, meant):
        raise BOUND_TWICE(where=_where("min", stated_by), metric=f"p50_ms (by {IMAGES_PER_S})", first=stated, second=meant)


class StatedBounds(NamedTuple):
    """The bounds of one call by origin. For one metric, a later origin replaces an earlier one."""

    recipe: GateChoice
    build: GateChoice = GateChoice()
    """Bounds from the command line that wrote the report of a finished build; see ``bounds_kept_in``."""
    command_line: GateChoice = GateChoice()

    @property
    def require_measured(self) -> bool:
        """Whether any of them requires every figure."""
        return any(choice.require_measured for choice in self)

    def gates(self, may_be_missing: Collection[Source] = ()) -> tuple[Gate, ...]:
        """Return one gate for each metric. Figures from ``may_be_missing`` are required only when they were measured.

        Raises as ``check_bounds`` does.
        """
        origins: tuple[GateOrigin, ...] = ("recipe", "build", "command line")
        gates = dict[str, Gate]()
        for stated_by, choice in zip(origins, self, strict=True):
            check_bounds(choice, stated_by="recipe" if stated_by == "recipe" else "command line")
            for gate in _gates_in(choice, stated_by):
                before = gates.get(gate.metric)
                is_changed = before is not None and before.stated != gate.stated
                replaced = ReplacedBound(**before.stated._asdict(), stated_by=before.stated_by) if before and is_changed else None
                required = "when-measured" if METRICS[gate.metric].source in may_be_missing else "always"
                gates[gate.metric] = gate.model_copy(update={"required": required, "replaces": replaced})
        return tuple(sorted(gates.values(), key=lambda gate: (gate.side, gate.metric)))


def _gates_in(choice: GateChoice, stated_by: GateOrigin) -> list[Gate]:
    """Return a required gate for each bound, in the metrics that are judged."""
    rate = choice.min.get(IMAGES_PER_S)
    return [
        Gate(
            metric=name,
            side=side,
            bound=bound,
            images_per_s=rate if name == "p50_ms" else None,
            required="always",
            stated_by=stated_by,
        )
        for side, name, bound in bounds_of(bound_in_p50(choice))
    ]


def bounds_kept_in(report: BuildReport) -> GateChoice:
    """Return the bounds that command lines added to a finished build, so that later calls judge them too."""
    sides: dict[Side, dict[str, float]] = {"max": {}, "min": {}}
    for result in report.gates:
        if result.gate.stated_by in ("build", "command line"):
            side, metric, bound = result.gate.stated
            sides[side][metric] = bound
    return GateChoice(**sides, require_measured=report.require_measured)


def no_longer_stated(earlier: GateChoice, gates: Sequence[Gate], *, require_measured: bool) -> GateChoice:
    """Return the bounds of an earlier command line that neither the present command line nor an equal bound replaces.

    ``gates`` and ``require_measured`` are those of the present call.
    """
    present = {gate.metric: gate for gate in gates}
    sides: dict[Side, dict[str, float]] = {"max": {}, "min": {}}

    def is_kept(gate: Gate) -> bool:
        now = present.get(gate.metric)
        return now is not None and (now.stated_by == "command line" or now.bound == gate.bound)

    for gate in StatedBounds(GateChoice(), earlier).gates():
        if not is_kept(gate):
            side, metric, bound = gate.stated
            sides[side][metric] = bound
    return GateChoice(**sides, require_measured=earlier.require_measured and not require_measured)


def gates_for(stated: StatedBounds, call: Circumstances) -> tuple[Gate, ...]:
    """Return the gates of one call: all stated bounds, or the default gate if there are none.

    The default gate is advisory: a drop of at most 1 pp, in mAP for multi-label images; without labels, fp32's prediction for at
    least 99 % of the images. Stated gates are required ``always``. Only gates on latency, memory and energy of a device that may
    not be attached are required ``when-measured``, unless ``require_measured``.
    """
    may_be_missing = _ON_THE_DEVICE_ALONE if not call.device_usually_attached and not stated.require_measured else ()
    if gates := stated.gates(may_be_missing):
        return gates
    if not call.labelled:
        return (Gate(metric="agreement", side="min", bound=1 - DEFAULT_DROP_PP / 100, required="advisory"),)
    lost = "map_drop_pp" if call.multi_label else "drop_pp"
    return (Gate(metric=lost, side="max", bound=DEFAULT_DROP_PP, required="advisory"),)


def comparison_gates(choice: GateChoice, *, always_ratio: bool = False) -> tuple[Gate, ...]:
    """Return the gates of a comparison, ``latency_ratio`` first. Without stated bounds, it is the only one. All are required.

    ``parse_bounds`` has checked the bounds. ``always_ratio``: whether the default gate on the ratio is added to other bounds.
    """
    gates = _gates_in(choice, "command line")
    if not gates or (always_ratio and LATENCY_RATIO not in choice.max):
        gates.append(DEFAULT_RATIO_GATE)
    return tuple(sorted(gates, key=lambda gate: (gate.metric != LATENCY_RATIO, gate.side, gate.metric)))


def _parse_side(side: Side, texts: Sequence[str]) -> dict[str, float]:
    where, bounds = f"--{side}", dict[str, float]()
    for text in texts:
        name, _, number = (part.strip() for part in text.partition("="))
        try:
            bound = float(number)
        except ValueError:
            raise BOUND_MISSING(where=where, text=text, example=_bound_meant(name, number, side)) from None
        if bounds.setdefault(name, bound) != bound and not math.isnan(bound):
            raise BOUND_TWICE(where=where, metric=name, first=bounds[name], second=bound)
    return bounds


def _bound_meant(name: str, number: str, side: Side) -> str:
    """Return the bound that a number with a unit means, or an example."""
    amount = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%|[A-Za-zµ]+(?:/s)?)", number)
    metric = METRICS.get(name)
    if amount is None or metric is None:
        return "name=number, such as " + ("p99_ms=20" if side == "max" else "int8_mac_share=0.95")
    if amount[2] == "%" and metric.unit == "share":
        return f"a share of 1: {name}={float(amount[1]) / 100:g}"
    units = ("%", "pp") if metric.unit == "pp" else (_UNIT_OF.get(name, metric.unit),)
    if amount[2].casefold() in [unit.casefold() for unit in units]:
        return f"the number without the unit: {name}={amount[1]}"
    return f"the number in {_UNIT_OF.get(name, metric.unit)} and without the unit, as in {name}=20"


_UNIT_OF = {IMAGES_PER_S: "images/s"}


def _where(side: Side, stated_by: str) -> str:
    return f"--{side}" if stated_by == "command line" else f"[gates] {side}"


_MEANT: Mapping[str, str] = {
    **dict.fromkeys(("latency", "latency_ms", "ms", "time", "time_ms"), "p50_ms (the median) or p99_ms"),
    **dict.fromkeys(("accuracy", "acc"), "top1"),
    **dict.fromkeys(("memory", "memory_mib", "ram"), "peak_memory_mib"),
}
"""Common names to the metrics that they mean."""
_PER_SECOND = ("fps", "images_per_second", "throughput")


def _check_name(where: str, name: str, bound: float, compared: bool) -> None:
    if compared and name in METRICS and name not in COMPARED:
        raise METRIC_NOT_COMPARED(where=where, name=name, known=tuple(COMPARED))
    if not compared and name == LATENCY_RATIO:
        raise BOUND_OF_TWO_BUILDS(where=where, name=name)
    known = (*(COMPARED if compared else METRICS), IMAGES_PER_S)
    if name not in known:
        meant = _MEANT.get(name)
        if name in _PER_SECOND and 0 < bound < math.inf:
            meant = f"--min {IMAGES_PER_S}={bound:g} (one image at a time: p50_ms at most {reciprocal_of_p50(bound):.4g})"
        raise unknown_metric(where=where, name=name, known=known, meant=meant)


def _check_bound(where: str, side: Side, name: str, bound: float) -> None:
    better, largest = "higher", math.inf
    if name != IMAGES_PER_S:
        metric = ANY_METRIC[name]
        better, largest = metric.better, _LARGEST.get(metric.unit, math.inf)
    elif not 0 < bound < math.inf or math.isinf(reciprocal_of_p50(bound)):
        raise BOUND_OUT_OF_RANGE(where=where, metric=name, bound=bound, allowed="a finite number above 0, as 1000 / it")
    if not math.isfinite(bound) or not 0 <= bound <= largest:
        allowed = "a finite number of at least 0" if math.isinf(largest) else f"between 0 and {largest:g}"
        raise BOUND_OUT_OF_RANGE(where=where, metric=name, bound=bound, allowed=allowed)
    right = _SIDE_OF[better]
    if side != right:
        way = f"--{right} {name}={bound:g}" if where.startswith("--") else f"{name} under [gates] {right}"
        raise BOUND_ON_WRONG_SIDE(where=where, metric=name, better=better, right_way=way)


def judge(gate: Gate, facts: CandidateFacts, spelled: str = OF_A_BUILD, *, learned: bool = True) -> GateResult:
    """Judge one gate for one candidate.

    ``spelled``: how to request more rounds. ``learned``: if False, no number of images is advised, because none would help.
    """
    finding = _not_finite_finding(gate.metric, facts) or finding_of(gate.metric, facts)
    verdict = _verdict(gate, finding)
    unsure = verdict is Verdict.UNSURE
    settles = unsure and learned and finding.unseen is None and _is_open_by_figure(gate, finding)
    images = _images_to_settle(gate, facts) if settles else None
    advice = _Advice(
        images=images,
        groups=None if images is None else groups_among(images, facts.test or facts.multi_label or facts.agreement),
        rounds=_rounds_to_settle(gate, finding) if unsure else None,
        spelled=spelled,
    )
    return GateResult(
        gate=gate,
        candidate=facts.candidate.id,
        verdict=verdict,
        figure=finding.figure,
        fidelity=finding.fidelity,
        reason=_reason(gate, finding, verdict, advice),
        images_to_settle=None if finding.never_met else advice.images,
        rounds_to_settle=advice.rounds,
        largest_of=finding.largest_of,
        kit_failed=facts.broken is not None,
    )


def _is_open_by_figure(gate: Gate, finding: Finding) -> bool:
    """Whether the interval itself leaves a gate open, and not only the fact that the figure can never meet a bound."""
    if finding.never_met is None or finding.figure is None:
        return finding.never_met is None
    return finding.figure.high > gate.bound if gate.side == "max" else finding.figure.low < gate.bound


def judge_identical(gate: Gate, facts: CandidateFacts, *, several_labels: bool) -> GateResult | None:
    """Judge a gate on a difference between HEAD and BASE, which ship the same files; None for a figure of HEAD alone.

    ``several_labels``: whether the network is multi-label. A metric of the other kind of labels has no value by definition.
    """
    value = COMPARED[gate.metric].identical
    if value is None or gate.metric in (OF_ONE_CLASS if several_labels else OF_SEVERAL):
        return None
    finding = Finding(figure=exactly(value), fidelity=Fidelity.DEFINED, note="by definition: HEAD and BASE are the same files")
    verdict = _verdict(gate, finding)
    reason = _reason(gate, finding, verdict, _Advice(images=None, groups=None, rounds=None, spelled=""))
    about = {"gate": gate, "candidate": facts.candidate.id, "figure": finding.figure, "fidelity": finding.fidelity}
    return GateResult(verdict=verdict, reason=reason, **about)


class RunsNeeded(NamedTuple):
    """Runs that gates need."""

    latency: int = 0
    """Minimum of the latency race, enough to show whether runs depend on each other."""
    energy: int = 0
    """Minimum of the energy race."""
    tails: bool = False
    """Whether a gate is on a percentile above the median, so that each run needs many samples even if the network is slow."""


def runs_for(gates: Sequence[Gate]) -> RunsNeeded:
    """Return the runs that these gates need; 0 for a race whose intervals no gate uses."""
    metrics = {gate.metric for gate in gates}
    latency = runs_needed() if metrics & TAILS.keys() else RUNS_TO_TELL if "p50_ms" in metrics else 0
    return RunsNeeded(latency=latency, energy=RUNS_TO_TELL if "energy_mj" in metrics else 0, tails=bool(metrics & TAILS.keys()))


class Circumstances(NamedTuple):
    """Circumstances that affect the gates of a call, in addition to its bounds."""

    device_usually_attached: bool = True
    labelled: bool = True
    multi_label: bool = False
    stored_race: StoredRace = "fresh-enough"
    in_ci: bool = False
    """Whether a CI job makes the call; a race of another job does not describe its machine."""
    more_rounds: str = OF_A_BUILD
    """How to request more rounds."""


class EffectiveGates(Value):
    """Gates of one call, computed once, and their requirements on races and on the choice."""

    gates: tuple[Gate, ...]
    require_measured: bool = False
    """Whether the recipe or the command line requires every figure."""
    labelled: bool = True
    freshness: Freshness = "fresh-enough"
    more_rounds: str = OF_A_BUILD
    """How to request more rounds if a gate is UNSURE."""
    dropped: GateChoice = GateChoice()
    """Bounds of the earlier report in the same folder that this build does not judge."""

    @classmethod
    def of(cls, stated: StatedBounds, call: Circumstances) -> EffectiveGates:
        """Return the gates that follow from these bounds under these circumstances. Raises as ``check_bounds`` does."""
        gates = gates_for(stated, call)
        return cls(
            gates=gates,
            require_measured=stated.require_measured,
            labelled=call.labelled,
            freshness=_freshness(gates, call),
            more_rounds=call.more_rounds,
        )

    @classmethod
    def comparing(cls, bounds: GateChoice, more_rounds: str = OF_A_COMPARISON, *, always_ratio: bool = False) -> EffectiveGates:
        """Return the gates of a comparison of two builds, which run in this job. See ``comparison_gates``."""
        gates = comparison_gates(bounds, always_ratio=always_ratio)
        return cls(gates=gates, freshness="this-job", more_rounds=more_rounds)

    @property
    def races_again(self) -> bool:
        """Whether a race runs again if possible, instead of using a stored one."""
        return self.freshness != "fresh-enough"

    @property
    def sources(self) -> frozenset[str]:
        """Sources of the gated metrics: ``latency``, ``energy``, ``accuracy`` …"""
        return _sources(self.gates)

    @property
    def runs(self) -> RunsNeeded:
        """The runs that the races need to decide every gate."""
        return runs_for(self.gates)

    @property
    def budget_pp(self) -> float:
        """The accuracy budget of the choice: the bound of the gate on the drop of accuracy or mAP, else 1 pp.

        Without labels, it is the share of differing predictions that a gate on agreement allows, because no drop can be larger.
        """
        agreed = next((gate.bound for gate in self.gates if gate.metric == "agreement"), None)
        if not self.labelled and agreed is not None:
            return round(100 * (1 - agreed), 6)
        return next((gate.bound for gate in self.gates if gate.metric in ("drop_pp", "map_drop_pp")), DEFAULT_DROP_PP)

    @property
    def most_mib(self) -> float | None:
        """The bound on the shipped size; None if there is none."""
        return next((gate.bound for gate in self.gates if (gate.metric, gate.side) == ("size_mib", "max")), None)


def _sources(gates: Sequence[Gate]) -> frozenset[str]:
    return frozenset(ANY_METRIC[gate.metric].source for gate in gates)


def _freshness(gates: Sequence[Gate], call: Circumstances) -> Freshness:
    if call.stored_race == "fresh-enough":
        return "fresh-enough"
    if call.in_ci:
        return "this-job"
    is_gated = bool(_sources(gates) & {"latency", "energy"})
    return "raced-now" if call.stored_race == "never" or is_gated else "fresh-enough"


def verdict_of(facts: CandidateFacts, results: Sequence[GateResult]) -> Verdict:
    """Return the verdict of one candidate: that of its gates, or FAIL if its outputs are not finite."""
    return Verdict.FAIL if _no_numbers(facts) is not None else overall(results)


def _no_numbers(facts: CandidateFacts) -> str | None:
    measured = facts.outcomes.get("measure")
    return measured.what if isinstance(measured, Failed) and measured.ref == LOGITS_NOT_FINITE.ref else None


def _not_finite_finding(metric: str, facts: CandidateFacts) -> Finding | None:
    """Return the finding of an accuracy whose outputs are NaN or infinite: it was measured, but has no value."""
    why = _no_numbers(facts) if METRICS[metric].source == "accuracy" else None
    if why is None:
        return None
    fidelity = Fidelity.MEASURED if facts.evaluated_kit in (None, facts.kit) else Fidelity.EMULATED
    return Finding(figure=None, fidelity=fidelity, absent=Verdict.FAIL, note=why)


def _verdict(gate: Gate, finding: Finding) -> Verdict:
    if finding.absent is not None:
        return finding.absent
    if finding.too_few is not None:
        return Verdict.UNSURE
    low, high = (0.0, 0.0) if finding.figure is None else (finding.figure.low, finding.figure.high)
    if gate.side == "max":
        times = 1 if finding.disturbed is None else finding.slowed_at_most or math.inf
        if low > gate.bound * times:
            return Verdict.FAIL
        return Verdict.PASS if high <= gate.bound and finding.never_met is None else Verdict.UNSURE
    if high < gate.bound:
        return Verdict.FAIL
    return Verdict.PASS if low >= gate.bound and finding.never_met is None else Verdict.UNSURE


def _images_to_settle(gate: Gate, facts: CandidateFacts) -> int | None:
    """Return how many new images would decide the gate, judged alone (``images_needed``).

    None over folds, because more images do not make the networks of the folds more alike.
    """
    if facts.test is not None and facts.test.folds is not None:
        return None
    if facts.agreement is not None and gate.metric == "agreement":
        agreed = facts.agreement
        worth = Worth(agreed.effect, agreed.independent or math.inf)
        return _images_for_share(gate.bound, agreed.same.estimate, agreed.images, worth)
    if facts.multi_label is not None:
        return images_to_settle(gate.metric, gate.bound, facts.multi_label)
    test = facts.test
    if test is None or test.images < 1 or METRICS[gate.metric].source != "accuracy":
        return None
    if gate.metric == "drop_pp":
        return _images_for_drop(gate.bound, test)
    # None for a figure that is not a plain share of images: the worst class needs more images of that class, and macro-F1 more
    # images of small classes.
    shares: dict[str, Interval | None] = {"top1": test.top1}
    if test.quality is not None:
        shares |= {"top5": test.quality.top5, "agreement": test.quality.agreement}
    if (share := shares.get(gate.metric)) is None:
        return None
    return _images_for_share(gate.bound, share.estimate, test.images, Worth(test.top1_effect, test.independent_at_most))


def _images_for_drop(bound: float, test: Accuracy) -> int | None:
    if test.lost is None or test.gained is None:
        return None
    worth = Worth(test.drop_effect, test.independent_at_most)
    independent, drop_pp = worth.independent_to_fail(test.images), 100 * (test.lost - test.gained) / test.images
    disagreement = wilson((test.lost + test.gained) / test.images * independent, independent, NON_INFERIORITY_CONFIDENCE)
    needed = None if disagreement is None else images_needed(bound, disagreement.high, drop_pp)
    return None if needed is None else worth.images_for(needed, test.images, to_pass=drop_pp < bound)


def _images_for_share(bound: float, share: float, images: int, worth: Worth) -> int | None:
    independent = worth.independent_to_fail(images)
    known = wilson(share * independent, independent, NON_INFERIORITY_CONFIDENCE)
    needed = None if known is None else images_for_proportion(bound, share, widest=known)
    return None if needed is None else worth.images_for(needed, images, to_pass=share > bound)


def _rounds_to_settle(gate: Gate, finding: Finding) -> int | None:
    """Return how many rounds would settle the gate; None if other work matters, which more rounds do not reduce."""
    if finding.too_few is not None:
        return max(runs_for([gate]))
    if finding.figure is None or not finding.rounds or finding.disturbed or finding.dependent:
        return None
    return rounds_to_settle(gate.bound, finding.figure, finding.rounds)


class _Advice(NamedTuple):
    images: int | None
    groups: int | None
    rounds: int | None
    spelled: str
    """How to request more rounds."""


def _reason(gate: Gate, finding: Finding, verdict: Verdict, advice: _Advice) -> str:
    if finding.figure is None:
        return finding.note
    bound = bound_of(gate)
    says = {
        Verdict.PASS: f"meets {bound}",
        Verdict.FAIL: f"breaks {bound}",
        Verdict.UNSURE: f"leaves {bound} open",
        Verdict.MISSING: f"is not compared with {bound}",
    }[verdict]
    note = f" ({finding.note})" if finding.note else ""
    advice_text = enough_images(advice.images, advice.groups) if advice.images else ""
    more = advice_text and f"; {advice_text}"
    if verdict is Verdict.UNSURE and finding.rounds:
        more = f": {what_helps(advice.rounds, advice.spelled)}"
    if verdict is Verdict.UNSURE and finding.too_few and advice.rounds:
        more = f": {finding.too_few}; {advice.rounds} rounds would ({advice.spelled.format(advice.rounds)})"
    elif verdict is Verdict.UNSURE and finding.never_met:
        more = f": {finding.never_met}" + (f", with more images than here; {advice_text}" if advice.images else "")
    elif verdict is Verdict.UNSURE and finding.unseen:
        more = "; test images with these labels would help"
    elif verdict is Verdict.UNSURE and finding.disturbed:
        more = f": {finding.disturbed}; an idle, cool machine with a good power supply would settle it"
    if verdict is Verdict.FAIL and finding.disturbed and finding.slowed_at_most:
        more = f": {finding.disturbed}, {slowdown_limit_text(finding.slowed_at_most)}"
    return f"{_shown(gate, finding.figure)}{note} {says}{more}"


def _shown(gate: Gate, figure: Interval) -> str:
    row = ANY_METRIC[gate.metric]
    name, suffix = row.words, f" {row.signs}"
    scale, digits = (100.0, 1) if row.unit == "share" else (1.0, 2)
    low, centre, high = (scale * value for value in (figure.low, figure.estimate, figure.high))
    if gate.images_per_s is not None:
        name, suffix, digits = "speed", " images/s", 1
        low, centre, high = (reciprocal_of_p50(value) for value in (high, centre, low))
    if figure.low == figure.high:
        return f"{name} {centre:.{digits}f}{suffix}"
    ends = f"{name} {centre:.{digits}f}{suffix} [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{ends} at {100 * figure.confidence:.4g} %" if figure.confidence else ends


def overall(results: Sequence[GateResult]) -> Verdict:
    """Return one verdict for one candidate, in the order of the exit codes: missing, FAIL, UNSURE, PASS.

    A MISSING that does not count (``when-measured``, ``advisory``) decides only if nothing else was judged. A failed kit never
    passes: its figures are MISSING, unless a gate fails it.
    """
    verdicts = {result.verdict for result in results}
    if any(_counts_as_missing(result, require_measured=False) for result in results) or _failed_unjudged(results):
        return Verdict.MISSING
    return next((word for word in (Verdict.FAIL, Verdict.UNSURE, Verdict.PASS) if word in verdicts), Verdict.MISSING)


def exit_code_of(results: Sequence[GateResult], *, require_measured: bool = False) -> ExitCode:
    """Return the exit code of these results: missing before FAIL before UNSURE before pass.

    An advisory UNSURE is shown and does not count. MISSING counts if the gate is required ``always`` or the kit failed, and
    always with ``require_measured``. Without any result, or with a failed kit and no failed gate, the code is MISSING.
    """
    if not results or _failed_unjudged(results):
        return ExitCode.MISSING
    if any(_counts_as_missing(result, require_measured=require_measured) for result in results):
        return ExitCode.MISSING
    if any(result.verdict is Verdict.FAIL for result in results):
        return ExitCode.GATE_FAILED
    if any(result.verdict is Verdict.UNSURE and result.gate.required != "advisory" for result in results):
        return ExitCode.UNSURE
    return ExitCode.OK


def _failed_unjudged(results: Sequence[GateResult]) -> bool:
    return any(result.kit_failed for result in results) and all(result.verdict is not Verdict.FAIL for result in results)


def _counts_as_missing(result: GateResult, *, require_measured: bool) -> bool:
    return result.verdict is Verdict.MISSING and (require_measured or result.kit_failed or result.gate.required == "always")
