"""Knobs: session options that change how fast a kit runs and not what it answers, set beside those that the kit is packed with.

They are no part of the kit. A schedule names them for a run; else those hold that the bundle around the kit was chosen with.
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
    """Refuse what the kit's session does not count among its knobs.

    A runtime may take a misspelt option in silence, and some of its options change answers: those are the kit's to set.

    Raises:
        RunnerError: unknown-knob, or what ``check_options`` and loading the runtime refuse.
    """
    if not knobs:
        return
    known = load_runtime(kit).KNOBS
    unknown = sorted(set(knobs) - set(known))
    if unknown:
        module = kit.manifest.session.module
        why = "its knobs are {}".format(", ".join(known)) if known else "it has none"
        raise RunnerError("unknown-knob", "{!r} is no knob of {}".format(unknown[0], module), why)
    check_options(kit.manifest.session.module, knobs)


def chosen_knobs(kit: Kit) -> Dict[str, str]:
    """What the bundle around the kit says that this very kit runs with; nothing where it lies in no bundle.

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
    """The knobs of one kit that ``choice.json`` lists; a bundle from before there were any has none.

    Raises:
        RunnerError: bad-knobs.
    """
    knobs = entry.get("knobs", {})
    if not isinstance(knobs, dict) or not all(isinstance(text, str) for text in knobs.values()):
        raise RunnerError("bad-knobs", "{}: knobs must hold texts only".format(path))
    return dict(knobs)


def parse_knobs(texts: Any) -> Dict[str, str]:
    """``NAME=VALUE`` words as options.

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
