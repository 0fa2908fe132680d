"""Why figures are missing, each reason once with all the names that it holds for: what is absent must not fill a page."""

from __future__ import annotations

from collections.abc import Mapping


def grouped(reasons: Mapping[str, str]) -> tuple[str, ...]:
    """Name to reason → one line a reason."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return tuple(f"{', '.join(whose)}: {reason}" for reason, whose in names.items())


def for_all(reasons: Mapping[str, str]) -> str:
    """One sentence on what nobody has: the reason alone where it is everybody's."""
    different = set(reasons.values())
    return different.pop() if len(different) == 1 else "; ".join(grouped(reasons))
