"""When a stored observation may speak for this machine: only where every condition known on both sides agrees."""

from __future__ import annotations

from edgecnn.values.profile import CONDITIONS_THAT_MUST_MATCH, Environment

_OF_A_RUNTIME = ("runtime", "runtime_version")
"""Known only inside a run; the kit's digest already binds the runtime, and its version is compared separately."""


def same_conditions(stored: Environment, present: Environment) -> bool:
    """True when nothing that must match differs."""
    return first_difference(stored, present) is None


def first_difference(stored: Environment, present: Environment) -> str | None:
    """One line that names the first differing condition and both values, or None."""
    for name in CONDITIONS_THAT_MUST_MATCH:
        ours = present.conditions.get(name)
        theirs = stored.conditions.get(name)
        if name in _OF_A_RUNTIME and (ours is None or theirs is None):
            continue
        if ours != theirs:
            return f"{name}: then {theirs or 'unknown'}, now {ours or 'unknown'}"
    return None
