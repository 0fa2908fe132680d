"""Every typed reason in one sentence: the table of report.md, the page and ``edgecnn explain`` say the same because of this."""

from __future__ import annotations

from functools import singledispatch

from edgecnn.judging.noise import what_helps
from edgecnn.values.base import Value
from edgecnn.values.reason import (
    Larger,
    Loses,
    NotClimbed,
    NotMeasured,
    NotShownFaster,
    NotSupported,
    Outside,
    Provisional,
    Reason,
    Slower,
    Taken,
)
from edgecnn.values.verdict import Interval


def worded(reason: Reason, name: str) -> str:
    """One sentence with the figures that decided, without a full stop.

    Args:
        reason: why it stands where it does.
        name: the candidate, or whatever else the reason is about.
    """
    return _sentence(reason, name)


def why_chosen(reason: Taken | Provisional, name: str) -> str:
    """The same of what is used, as the report's first sentence has it."""
    return _why_taken(reason, name) if isinstance(reason, Taken) else _why_used(reason, name)


def speed_words(ratio: Interval) -> str:
    """``1.12 × the speed [1.09, 1.18] at 98.4 %``."""
    return f"{ratio.estimate:.2f} × the speed [{ratio.low:.2f}, {ratio.high:.2f}] at {100 * ratio.confidence:.1f} %"


# ---------------------------------------------------------------------------------------------------------------------


@singledispatch
def _sentence(reason: Value, name: str) -> str:
    raise TypeError(f"nothing says {type(reason).__name__} in words")


@_sentence.register
def _taken(reason: Taken, name: str) -> str:
    return f"chosen: {_why_taken(reason, name)}"


def _why_taken(reason: Taken, name: str) -> str:
    budget = f"inside the budget of {reason.budget_pp:g} pp"
    if reason.by == "fallback":
        return f"no candidate is known to stay {budget} on choose, so fp32 ships"
    if reason.by == "smallest":
        return f"{name} is the smallest {budget}, at {reason.mib or 0.0:.2f} MiB"
    at = f"at {reason.ms or 0.0:.2f} ms when chosen"
    if reason.by == "nothing-shown-faster":
        return f"nothing of lower precision {budget} was shown to be faster than {name}, {at}"
    against = f", {speed_words(reason.ratio)} of {reason.against}" if reason.ratio is not None else ""
    return f"{name} is the fastest {budget}, {at}{against}"


@_sentence.register
def _provisional(reason: Provisional, name: str) -> str:
    if reason.part == "used":
        return f"chosen for now: {_why_used(reason, name)}"
    if reason.part == "reference":
        return "carried: what every other candidate is held against"
    return "carried: inside the budget, and a race on the device may choose it"


def _why_used(reason: Provisional, name: str) -> str:
    order = "an order (fp16, INT8, other), not a prediction"
    return f"{reason.missing}, so {name} is used until a race settles it: {order}"


@_sentence.register
def _slower(reason: Slower, name: str) -> str:
    times = f"slower: {reason.ms:.2f} ms against {reason.against_ms:.2f} of {reason.against}"
    if reason.ratio is None:
        return f"{times}, without paired runs, on {reason.machine}"
    doubt = "" if reason.ratio.high < 1 else ", which leaves open whether it is"
    return f"{times}, {speed_words(reason.ratio)} on {reason.machine}{doubt}"


@_sentence.register
def _larger(reason: Larger, name: str) -> str:
    return f"larger: {reason.mib:.2f} MiB against {reason.against_mib:.2f} of {reason.against}"


@_sentence.register
def _not_shown_faster(reason: NotShownFaster, name: str) -> str:
    begins = f"not shown faster than {reason.against}"
    if reason.ratio is None:
        return f"{begins}: they have no paired runs"
    said = f"{begins}: {speed_words(reason.ratio)}"
    if reason.smallest_ratio is None:
        return said
    could = f"this race could have shown {reason.smallest_ratio:.2f} × and no less"
    return f"{said}; UNSURE, since {could}: {what_helps(reason.rounds_to_settle)}"


@_sentence.register
def _loses(reason: Loses, name: str) -> str:
    drop = reason.drop_pp
    over = f"over the budget on {reason.split} by {drop.estimate - reason.bound_pp:.2f} pp"
    interval = f"[{drop.low:.2f}, {drop.high:.2f}] at {100 * drop.confidence:.4g} % of {reason.images:,} images"
    return f"{over}: a drop of {drop.estimate:.2f} against {reason.bound_pp:g}, {interval}"


@_sentence.register
def _outside(reason: Outside, name: str) -> str:
    return f"a reference: {reason.runtime.value} is not what the target asks for"


@_sentence.register
def _not_supported(reason: NotSupported, name: str) -> str:
    return f"not supported: {reason.why}"


@_sentence.register
def _not_climbed(reason: NotClimbed, name: str) -> str:
    return f"not climbed: {reason.why}"


_WITHOUT = {
    "kit": "no kit was made",
    "choose": "not evaluated on choose, so nothing says that it is inside the budget",
    "size": "inside the budget, but not weighed",
    "race": "inside the budget, but not in the last race",
    "measure": "measuring it failed",
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
