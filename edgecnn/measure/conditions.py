"""When a stored observation may speak for this machine: only where every condition that must match agrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecnn.values.profile import CONDITIONS_THAT_MUST_MATCH, Environment


def same_conditions(stored: Environment, present: Environment) -> bool:
    """True when nothing that must match differs."""
    return first_difference(stored, present) is None


def first_difference(stored: Environment, present: Environment) -> str | None:
    """One line that names the first differing condition and both values, or None. What neither could read does not differ."""
    for name in CONDITIONS_THAT_MUST_MATCH:
        ours = present.conditions.get(name)
        theirs = stored.conditions.get(name)
        if ours != theirs:
            return f"{name}: then {theirs or 'unknown'}, now {ours or 'unknown'}"
    return None


def changed_between(runs: Sequence[Mapping[str, Any]]) -> str | None:
    """The first condition in which a run file differs from the first one; None where one machine in one state ran them all."""
    environments = [Environment.model_validate(run["environment"]) for run in runs]
    changes = (first_difference(environments[0], each) for each in environments[1:])
    return next((change for change in changes if change is not None), None)
