"""What a machine did beside the runs of one race, over all of them: one hot or busy run must neither hide nor speak for all.

Shares are medians over runs, since figures are too; heat is the worst that was seen; throttling is said with the share of runs
in which it happened. What no run could read stays absent, and so does throttling where a run could not tell.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from edgecnn.values.profile import Environment

MEDIANS = {"others_percent": 1, "steal_percent": 2}
"""Observation to the digits that it is written with."""
WORST = {"temperature_c": 1}
_COUNTED = re.compile(r" \(\d+ times?\)$")


def joined_environment(runs: Sequence[Mapping[str, Any]]) -> Environment:
    """The first run's environment, with what was observed over all of them.

    Args:
        runs: run files as they were read, at least one, whose conditions agree.
    """
    first = Environment.model_validate(runs[0]["environment"])
    observed = [run["environment"]["observed"] for run in runs]
    over_all = {
        **_joined(observed, MEDIANS, statistics.median),
        **_joined(observed, WORST, max),
        **_throttled([each.get("throttled") for each in observed]),
    }
    kept = {name: value for name, value in first.observed.items() if name not in ("throttled", "throttled_percent")}
    return first.model_copy(update={"observed": {**kept, **over_all}})


def _joined(observed: Sequence[Mapping[str, str]], digits: Mapping[str, int], how: Any) -> dict[str, str]:
    seen = {name: [float(each[name]) for each in observed if name in each] for name in digits}
    return {name: f"{how(values):.{digits[name]}f}" for name, values in seen.items() if values}


def _throttled(said: Sequence[str | None]) -> dict[str, str]:
    known = [each for each in said if each is not None]
    if not said or len(known) < len(said):
        return {}
    causes = dict.fromkeys(_COUNTED.sub("", cause) for each in known if each != "no" for cause in each.split(", "))
    share = sum(each != "no" for each in known) / len(known)
    return {"throttled": ", ".join(causes) or "no", "throttled_percent": f"{100 * share:.0f}"}
