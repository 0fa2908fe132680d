"""Whether runs could use every processor: what others took of all of them then says what they took of those of the kit."""

from __future__ import annotations

import re

from edgecnn.values.profile import Environment

_LIST = re.compile(r"\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*")
"""As the kernel writes one, such as ``0-3,8`` (man 7 cpuset, "List format")."""


def had_whole_machine(environment: Environment) -> bool:
    """False too where it is not known. A system that has no affinity keeps no program from a processor by it."""
    limit, affinity = (environment.conditions.get(name) for name in ("cpu_limit", "affinity"))
    if limit not in (None, "none"):
        return False
    return affinity is None or _covers(affinity, environment.observed.get("processors_online", ""))


def _covers(allowed: str, online: str) -> bool:
    if not (_LIST.fullmatch(allowed) and _LIST.fullmatch(online)):
        return False
    return _processors(online) <= _processors(allowed)


def _processors(written: str) -> set[int]:
    ranges = [each.partition("-") for each in written.split(",")]
    return {at for first, _, last in ranges for at in range(int(first), int(last or first) + 1)}
