"""Put every typed reason into one sentence, so that report.md, the page and ``edgecnn explain`` agree."""

from __future__ import annotations

from functools import singledispatch

from edgecnn.errors.wording import images_in, listed, short_number
from edgecnn.judging.metrics import reciprocal_of_p50
from edgecnn.values.base import Value
from edgecnn.values.forecast import MARK
from edgecnn.values.reason import (
    Alike,
    Differs,
    FewerImages,
    Larger,
    Loses,
    MoreEnergy,
    NotClimbed,
    NotMeasured,
    NotSupported,
    OutOfTime,
    Outside,
    Provisional,
    Reason,
    Slower,
    Taken,
    TooLarge,
)
from edgecnn.values.recipe import Objective
from edgecnn.values.verdict import Interval

_CHOOSING = "in the first race"
"""Shown next to every figure of that race, because reported figures are from a later one."""


def worded(reason: Reason, name: str) -> str:
    """Return one sentence with the deciding figures, without a full stop; ``name``: the candidate of the reason."""
    return _sentence(reason, name)


def why_chosen(reason: Taken | Provisional, name: str) -> str:
    """Return why this candidate is used, for the first sentence of the report."""
    return _why_taken(reason, name) if isinstance(reason, Taken) else _why_used(reason, name)


def ratio_words(ratio: Interval, objective: Objective = "latency") -> str:
    """Return ``1.12 × the speed [1.09, 1.18] at 98.4 %``, or ``1.12 × the speed`` for an estimate without an interval.

    For energy, the ratio is inverted, so that it is the share of the reference's energy.
    """
    if objective == "energy":
        ratio = ratio.inverse
    of = {"throughput": "the images per second", "energy": "the energy"}.get(objective, "the speed")
    if not ratio.confidence:
        return f"{ratio.estimate:.2f} × {of}"
    return f"{ratio.estimate:.2f} × {of} [{ratio.low:.2f}, {ratio.high:.2f}] at {100 * ratio.confidence:.1f} %"


def run_settings_words(ours: str | None, theirs: str | None) -> str:
    """Return ``, with 2 threads``, or the settings of both sides if they differ; empty if ours are unknown."""
    if ours is None:
        return ""
    return f", with {ours}" if theirs in (None, ours) else f", with {ours} versus {theirs}"


@singledispatch
def _sentence(reason: Value, name: str) -> str:
    raise TypeError(f"nothing says {type(reason).__name__} in words")


@_sentence.register
def _taken(reason: Taken, name: str) -> str:
    return f"chosen: {_why_taken(reason, name)}"


def _why_taken(reason: Taken, name: str) -> str:
    budget = f"within the budget of {reason.budget_pp:g} pp"
    if reason.by == "fallback":
        return f"no candidate is shown to stay {budget} on validation, so fp32 ships"
    if reason.by == "original":
        return f"the model file came quantized, so {name} is the only candidate"
    if reason.by == "smallest":
        return f"{name} is the smallest candidate {budget}: {reason.mib or 0.0:.2f} MiB"
    kept = {"precision": "has the higher precision", "network": "is the unchanged network"}.get(reason.by)
    first = "has the best estimate" if kept is None else f"is within 1 % of {reason.ahead}, {kept} and is"
    return f"{name} {first} {budget}{_figure(reason)} {_CHOOSING}{_how_sure(reason)}{_claim(reason)}"


def _how_sure(reason: Taken) -> str:
    if reason.regret is None or reason.rounds is None:
        return ""
    return f" (expected regret {100 * reason.regret:.1f} % after {reason.rounds} rounds)"


def _claim(reason: Taken) -> str:
    if reason.ratio is None:
        return ""
    if reason.disturbed is not None:
        ran = f"{ratio_words(reason.ratio.alone)} in the final race"
        return f"; not shown to be faster than {reason.against}, because {reason.disturbed}; measured: {ran}"
    shown = (
        "shown to be faster than"
        if reason.ratio.low > 1
        else "shown to be slower than"
        if reason.ratio.high < 1
        else "not shown to be faster than"
    )
    return f"; {shown} {reason.against}: {ratio_words(reason.ratio)} in the final race"


def _figure(reason: Taken) -> str:
    """Return the throughput or energy of the first race. Latency is omitted, because reports show the p50 of the final race."""
    if reason.objective == "throughput":
        return f", at {reason.images_per_s or 0.0:,.1f} images a second with batch {reason.batch or 1}"
    return f", at {reason.energy_mj or 0.0:.2f} mJ per image" if reason.objective == "energy" else ""


@_sentence.register
def _provisional(reason: Provisional, name: str) -> str:
    if reason.part == "used":
        return f"chosen provisionally: {_why_used(reason, name)}"
    if reason.part == "reference":
        return "in the bundle: every drop is measured against it"
    if reason.part == "fallback":
        return "in the bundle: it is the fp32 fallback of this target"
    return "in the bundle: it is within the budget, and a race on the device may choose it"


def _why_used(reason: Provisional, name: str) -> str:
    last = f"; last {listed(reason.late)}, whose accuracy may differ on the device" if reason.late else ""
    predicted = reason.predicted
    if predicted is not None and name in predicted.p50_ms:
        p50 = predicted.p50_ms[name]
        among = "of all" if predicted.whole else f"of the {len(predicted.p50_ms)} with a forecast"
        among = "the only candidate with a forecast" if len(predicted.p50_ms) == 1 else f"the fastest {among}"
        speed = f"{p50.estimate:.3g} ms [{p50.low:.3g}, {p50.high:.3g}], {short_number(reciprocal_of_p50(p50.estimate))} images/s"
        order = f"{MARK} {speed} predicted, {among}"
    elif reason.dated is None:
        order = f"it comes first in the default order (fp16, INT8, other{last}), which is not a speed estimate"
    else:
        where = f"the measurements of {reason.dated.observed_on} ({listed(reason.dated.networks)}; {reason.dated.machine})"
        order = f"it is the fastest in {where}{last}"
    return f"{reason.missing}, so {name} is used until a race on the device decides: {order}"


@_sentence.register
def _slower(reason: Slower, name: str) -> str:
    figures = f"{reason.ms:.2f} ms versus {reason.against_ms:.2f} ms for {reason.against}"
    return f"estimated to be slower {_CHOOSING}: {figures}{_paired(reason, 'latency')}"


@_sentence.register
def _fewer_images(reason: FewerImages, name: str) -> str:
    ours = f"{reason.images_per_s:,.1f} with batch {reason.batch}"
    theirs = f"{reason.against_images_per_s:,.1f} for {reason.against} with batch {reason.against_batch}"
    return f"estimated to run fewer images a second {_CHOOSING}: {ours} versus {theirs}{_paired(reason, 'throughput')}"


@_sentence.register
def _more_energy(reason: MoreEnergy, name: str) -> str:
    figures = f"{reason.energy_mj:.2f} mJ per image versus {reason.against_energy_mj:.2f} mJ for {reason.against}"
    return f"estimated to use more energy {_CHOOSING}: {figures}, measured by {reason.meter}{_paired(reason, 'energy')}"


def _paired(reason: Slower | FewerImages | MoreEnergy, objective: Objective) -> str:
    """Return the ratio, if there is one, with the machine and the settings."""
    where = f"on {reason.machine}{run_settings_words(reason.run_settings, reason.against_run_settings)}"
    if reason.ratio is None:
        return f", without paired runs, {where}"
    return f", {ratio_words(reason.ratio, objective)} {where}"


@_sentence.register
def _larger(reason: Larger, name: str) -> str:
    return f"larger: {reason.mib:.2f} MiB versus {reason.against_mib:.2f} MiB for {reason.against}"


@_sentence.register
def _alike(reason: Alike, name: str) -> str:
    kept = {"precision": "has the higher precision", "network": "is the unchanged network"}[reason.kept]
    return f"within 1 % of {reason.against}, which {kept}: {ratio_words(reason.ratio, reason.objective)} {_CHOOSING}"


@_sentence.register
def _loses(reason: Loses, name: str) -> str:
    drop = reason.drop_pp
    over = f"exceeds the budget on {reason.split} by {drop.estimate - reason.bound_pp:.2f} pp"
    images = images_in(reason.images, reason.groups)
    interval = f"[{drop.low:.2f}, {drop.high:.2f}] (interval at {100 * drop.confidence:.4g} %, {images})"
    return f"{over}: the drop is {drop.estimate:.2f} pp {interval}; the budget is {reason.bound_pp:g} pp"


@_sentence.register
def _differs(reason: Differs, name: str) -> str:
    share = reason.same
    images = images_in(reason.images, reason.groups)
    interval = f"[{100 * share.low:.1f}, {100 * share.high:.1f}] at {100 * share.confidence:.4g} % of {images}"
    over = f"exceeds the budget on {reason.split}: it agrees with fp32 on {100 * share.estimate:.1f} % {interval}"
    return f"{over}; without labels, a budget of {reason.bound_pp:g} pp requires {100 - reason.bound_pp:g} %"


@_sentence.register
def _too_large(reason: TooLarge, name: str) -> str:
    return f"too large: {reason.mib:.2f} MiB, the limit is {reason.bound_mib:g} MiB"


@_sentence.register
def _outside(reason: Outside, name: str) -> str:
    return f"reference only: the target does not ask for {reason.runtime.value}"


@_sentence.register
def _not_supported(reason: NotSupported, name: str) -> str:
    return f"not supported: {reason.why}"


@_sentence.register
def _not_climbed(reason: NotClimbed, name: str) -> str:
    return f"not tried: {reason.why}"


@_sentence.register
def _out_of_time(reason: OutOfTime, name: str) -> str:
    spent = f"not tried: out of time ({reason.spent_s:.0f} s spent, the budget is {reason.budget_s:.0f} s)"
    return f"{spent}; to continue: {reason.command}" if reason.command else spent


_WITHOUT = {
    "kit": "no kit was made",
    "validation": "not evaluated on validation, so it is not shown to be within the budget",
    "size": "within the budget, but its size is unknown",
    "race": "within the budget, but not in the first race",
    "measure": "measurement failed",
}


@_sentence.register
def _not_measured(reason: NotMeasured, name: str) -> str:
    begins = _WITHOUT[reason.step]
    if reason.why is None:
        return begins
    if reason.step == "race":
        return f"{begins} ({reason.why})"
    stage = f"{reason.stage} {reason.outcome}: " if reason.stage else ""
    mends = f"; {reason.command}" if reason.outcome == "unavailable" and reason.command else ""
    return f"{begins}: {stage}{reason.why}{mends}"
