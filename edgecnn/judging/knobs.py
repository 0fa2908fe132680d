"""Choose the settings (knobs) of a kit: the default, unless another setting was measured to be faster.

All settings of one race are compared with the same default, each at the confidence of latency ratios. With three settings that
are all equal to it, one race in forty chooses one. That is harmless, because the reported figure comes from another race, and the
result states no confidence level.

If other programs are busy, no setting is chosen. A thread that waits for a core delays all others, so few threads win on a busy
machine though they may lose on the same machine when idle. On two cores with nine tenths used by other programs, one thread was
1.6 times as fast as two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edgecnn.judging.runs.latency import disturbed, medians_by_round, paired_ratio, too_few_samples, worst_of
from edgecnn.values.candidate import Knobs, KnobTrial
from edgecnn.values.profile import Profile


class Raced(NamedTuple):
    """One setting, with its runs or the reason why there are none."""

    knobs: Knobs
    profile: Profile | None
    failed: str | None = None


def judge_knobs(
    default: Profile, settings: Sequence[Raced], unusable: Mapping[Knobs, str] | None = None
) -> tuple[KnobTrial, ...]:
    """Compare every setting with the default; the fastest one that was measured faster is chosen, if there is one.

    Args:
        default: the kit's runs without settings, of the same race.
        settings: the others, in the order of the report.
        unusable: settings that must not be chosen, however fast, and why.

    Raises:
        RACES_DIFFER, CONDITIONS_DIFFER, ROUND_TWICE: the runs are not from one race on one machine in one state.
    """
    refused = unusable or {}
    trials = [_trial(default, setting, refused.get(setting.knobs)) for setting in settings]
    faster = [trial for trial in trials if trial.outcome == "faster"]
    best = max(faster, key=lambda trial: trial.ratio.estimate if trial.ratio else 0.0, default=None)
    return tuple(trial.model_copy(update={"outcome": "taken"}) if trial is best else trial for trial in trials)


def taken(trials: Sequence[KnobTrial]) -> Knobs:
    """Return the settings that the kit uses."""
    return next((trial.knobs for trial in trials if trial.outcome == "taken"), Knobs())


def _trial(default: Profile, setting: Raced, refused: str | None) -> KnobTrial:
    if setting.profile is None:
        return KnobTrial(knobs=setting.knobs, ratio=None, outcome="unusable", why=setting.failed or "it did not run")
    ratio = paired_ratio(default, setting.profile)
    if refused is not None:
        return KnobTrial(knobs=setting.knobs, ratio=ratio, outcome="unusable", why=refused)
    if ratio is None:
        why = too_few_samples((*default.runs, *setting.profile.runs)) or _too_few_rounds(default, setting.profile)
        return KnobTrial(knobs=setting.knobs, ratio=None, outcome="not-shown", why=why)
    if ratio.low <= 1:
        return KnobTrial(knobs=setting.knobs, ratio=ratio, outcome="not-shown")
    busy = disturbed(worst_of([default.environment, setting.profile.environment]))
    return KnobTrial(knobs=setting.knobs, ratio=ratio, outcome="disturbed" if busy else "faster", why=busy)


def _too_few_rounds(default: Profile, other: Profile) -> str:
    rounds = medians_by_round(default).keys() & medians_by_round(other).keys()
    return f"{len(rounds)} paired rounds are too few for an interval"
