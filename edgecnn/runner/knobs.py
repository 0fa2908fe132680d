"""Knobs: session options that change the speed of a kit and not its logits, in addition to the kit's own options.

They are not part of the kit. A schedule states them for a run; the default is the ``choice.json`` of the bundle around the kit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping

from .failure import RunnerError
from .files import read_json
from .session_options import check_options
from .sessions import load_runtime

if TYPE_CHECKING:
    from .kit import Kit

CHOICE = "choice.json"
CHOICE_SCHEMA = "edgecnn.choice/1"


def check_knobs(kit: Kit, knobs: Mapping[str, str]) -> None:
    """Refuse options that are not knobs of the kit's session.

    A runtime may silently accept a misspelt option. Options that change logits belong to the kit.

    Raises:
        RunnerError: unknown-knob; the errors of ``check_options`` and ``load_runtime``.
    """
    if not knobs:
        return
    names = load_runtime(kit).KNOBS
    unknown = sorted(set(knobs) - set(names))
    if unknown:
        module = kit.manifest.session.module
        why = "its knobs are {}".format(", ".join(names)) if names else "it has none"
        raise RunnerError("unknown-knob", "{!r} is not a knob of {}".format(unknown[0], module), why)
    check_options(kit.manifest.session.module, knobs)


def chosen_knobs(kit: Kit) -> Dict[str, str]:
    """Return this kit's knobs in the ``choice.json`` of the bundle around it; none if there is no bundle.

    Raises:
        RunnerError: unreadable-file or bad-knobs.
    """
    folder = kit.folder.parent.parent
    path = folder / CHOICE
    if not path.is_file():
        return {}
    choice = read_json(path)
    if not isinstance(choice, dict) or choice.get("schema") != CHOICE_SCHEMA or not isinstance(choice.get("kits"), dict):
        return {}
    mine = [entry for entry in choice["kits"].values() if _is_of(entry, kit, folder)]
    return knobs_of(mine[0], path) if mine else {}


def knobs_of(entry: Mapping[str, Any], path: Path) -> Dict[str, str]:
    """Return the knobs of a kit in ``choice.json``; an old bundle has none.

    Raises:
        RunnerError: bad-knobs.
    """
    knobs = entry.get("knobs", {})
    if not isinstance(knobs, dict) or not all(isinstance(text, str) for text in knobs.values()):
        raise RunnerError("bad-knobs", "{}: knobs must hold texts only".format(path))
    return dict(knobs)


def parse_knobs(texts: Any) -> Dict[str, str]:
    """Parse ``NAME=VALUE`` words into options.

    Raises:
        RunnerError: bad-knobs.
    """
    knobs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise RunnerError("bad-knobs", "--knob {!r} is not NAME=VALUE".format(text))
        knobs[name] = value
    return knobs


def _is_of(entry: Any, kit: Kit, folder: Path) -> bool:
    return (
        isinstance(entry, dict)
        and entry.get("sha256") == kit.sha256
        and (folder / str(entry.get("folder"))).resolve() == kit.folder
    )
