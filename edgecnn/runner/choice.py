"""Read ``choice.json`` of the bundle around a kit: the chosen kit, each kit's knobs, the build's gates, and what it learned.

A kit alone, and a bundle of an earlier version, have none of these facts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from .files import read_json
from .kit import Kit
from .messages import RunnerError

CHOICE = "choice.json"
CHOICE_SCHEMA = "edgecnn.choice/1"
CHOICE_BYTES_MAX = 16 << 20
"""The largest ``choice.json`` that is read. One with a thousand kits has a tenth of this size."""


class StatedGate(NamedTuple):
    """A bound of the build. ``side`` is max or min; ``runs`` is the number of runs with which edgecnn judges it, 0 if any."""

    metric: str
    side: str
    bound: float
    runs: int


class Unlearned(NamedTuple):
    """A network that is not shown to have learned: its accuracy, and that of guessing, both 0 to 1."""

    metric: str
    """top1 or map."""
    accuracy: float
    chance: float


def read_choice(bundle: Path) -> Optional[Dict[str, Any]]:
    """Return ``choice.json`` of a bundle's folder; None if there is none, or if it has another schema.

    Raises:
        RunnerError: unreadable-file.
    """
    path = bundle / CHOICE
    if not path.is_file():
        return None
    choice = read_json(path, CHOICE_BYTES_MAX)
    is_known = isinstance(choice, dict) and choice.get("schema") == CHOICE_SCHEMA and isinstance(choice.get("kits"), dict)
    return choice if is_known else None


def chosen_knobs(kit: Kit) -> Dict[str, str]:
    """Return this kit's knobs in the bundle around it; none if there is no bundle.

    Raises:
        RunnerError: unreadable-file or bad-knobs.
    """
    return knobs_of(_entry_around(kit), kit.folder.parent.parent / CHOICE)


def unlearned_around(kit: Kit) -> Optional[Unlearned]:
    """Return the accuracy of this kit if the bundle around it records that its network is not shown to have learned, else None.

    Raises:
        RunnerError: unreadable-file.
    """
    return unlearned_in(_entry_around(kit))


def _entry_around(kit: Kit) -> Mapping[str, Any]:
    bundle = kit.folder.parent.parent
    for entry in ((read_choice(bundle) or {}).get("kits") or {}).values():
        is_kit = isinstance(entry, dict) and entry.get("sha256") == kit.sha256
        if is_kit and (bundle / str(entry.get("folder"))).resolve() == kit.folder:
            return entry  # type: ignore[no-any-return]
    return {}


def knobs_of(entry: Mapping[str, Any], path: Path) -> Dict[str, str]:
    """Return the knobs of a kit in ``choice.json``; an old bundle has none.

    Raises:
        RunnerError: bad-knobs.
    """
    knobs = entry.get("knobs", {})
    if not isinstance(knobs, dict) or not all(isinstance(text, str) for text in knobs.values()):
        raise RunnerError("bad-knobs", "{}: knobs must hold texts only".format(path))
    return dict(knobs)


def unlearned_in(entry: Mapping[str, Any]) -> Optional[Unlearned]:
    """Return the section ``unlearned`` of a kit in ``choice.json``; None if it is absent or not valid."""
    facts = entry.get("unlearned")
    if not isinstance(facts, dict) or facts.get("metric") not in ("top1", "map"):
        return None
    numbers = [facts.get(name) for name in ("accuracy", "chance")]
    if not all(isinstance(number, float) and 0 <= number <= 1 for number in numbers):
        return None
    return Unlearned(str(facts["metric"]), float(facts["accuracy"]), float(facts["chance"]))


def gates_in(choice: Mapping[str, Any]) -> List[StatedGate]:
    """Return the gates of a ``choice.json``, without those that are not valid."""
    gates = []  # type: List[StatedGate]
    entries = choice.get("gates")
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or entry.get("side") not in ("max", "min") or not isinstance(entry.get("metric"), str):
            continue
        bound, runs = entry.get("bound"), entry.get("runs", 0)
        if isinstance(bound, (int, float)) and isinstance(runs, int):
            gates.append(StatedGate(entry["metric"], str(entry["side"]), float(bound), runs))
    return gates


def built_for(choice: Mapping[str, Any]) -> Dict[str, str]:
    """Return how the device of a ``choice.json`` identifies itself: ``architecture``, ``model_contains``, ``model_is``."""
    facts = choice.get("built_for")
    names = ("architecture", "model_contains", "model_is")
    return {name: facts[name] for name in names if isinstance(facts.get(name), str)} if isinstance(facts, dict) else {}
