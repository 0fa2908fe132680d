"""Which kit is meant by a folder: a kit itself, or the one that a finished build uses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from edgecnn.errors.host import RunnerFailed
from edgecnn.errors.loadgen import CandidateNotCarried, NothingToLoad
from edgecnn.runner.bundle import kit_inside
from edgecnn.runner.failure import RunnerError
from edgecnn.runner.kit import Kit
from edgecnn.runner.manifest import MANIFEST

_BUNDLE = "bundle"
_CHOICE = "choice.json"


def kit_meant(folder: Path, candidate: str | None = None) -> Kit:
    """The kit in a folder, or of a build or bundle the chosen candidate's, unless another one is named.

    Raises:
        NothingToLoad: it is none of these, or its bundle uses no kit.
        CandidateNotCarried: the bundle has no kit of that name.
        RunnerFailed: the kit cannot be read; in the runner's words.
    """
    if (folder / MANIFEST).is_file():
        return _opened(lambda: Kit.open(folder))
    bundle = folder / _BUNDLE if (folder / _BUNDLE / _CHOICE).is_file() else folder
    path = bundle / _CHOICE
    try:
        chosen = json.loads(path.read_text(encoding="utf-8"))
        kits = {str(name): str(facts["folder"]) for name, facts in chosen["kits"].items()}
        name = candidate or chosen["choice"]["candidate"]
    except FileNotFoundError as error:
        raise NothingToLoad(folder=folder, because=f"it holds no {MANIFEST} and no {_BUNDLE}/{_CHOICE}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NothingToLoad(folder=folder, because=f"{path} cannot be read: {error}") from error
    if name is None:
        raise NothingToLoad(folder=folder, because=f"{path} names no chosen candidate")
    if name not in kits:
        raise CandidateNotCarried(folder=folder, name=name, carried=sorted(kits))
    return _opened(lambda: kit_inside(bundle, kits[name]))


def _opened(open_kit: Callable[[], Kit]) -> Kit:
    try:
        return open_kit()
    except RunnerError as error:
        raise RunnerFailed(**error.facts()) from error
