"""Measures every kit that a bundle carries, on the device itself: what settles a provisional choice begins here."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Dict, List

from .engine import build_engines
from .failure import RunnerError
from .files import make_folder, read_json, write_json
from .items import SCHEMA
from .kit import Kit
from .say import progress
from .schedule import bench

CHOICE = "choice.json"
CHOICE_SCHEMA = "edgecnn.choice/1"
ENGINES = "build"
_TIMEOUT_S = 300.0
_MAX_S = 20.0


def measure(bundle: Path, out: Path, rounds: int, samples: int) -> Dict[str, Any]:
    """Build the engines that are missing, then race the carried kits against each other.

    Args:
        bundle: folder of ``choice.json``.
        out: folder of the runs; what an interrupted call finished there is kept.
        rounds: processes of each kit, interleaved, in an order drawn anew each round.
        samples: timed inferences of each process.

    Raises:
        RunnerError: no-bundle, or what building and racing refuse.
    """
    kits = _kits(bundle)
    for kit in kits:
        if kit.manifest.engine is not None and not (kit.folder / ENGINES / "engine.plan").is_file():
            kit.verify_files()
            build_engines(kit.folder, kit.folder / ENGINES, tell=progress)
    make_folder(out)
    asked = out / "asked.json"
    write_json(asked, {"schema": SCHEMA, "timeout_s": _TIMEOUT_S, "items": _items(kits, rounds, samples)})
    return dict(bench(asked, out), out=str(out))


def _kits(bundle: Path) -> List[Kit]:
    path = bundle / CHOICE
    if not path.is_file():
        raise RunnerError("no-bundle", "{}: no bundle here".format(bundle), "there is no {}".format(CHOICE))
    choice = read_json(path)
    if choice.get("schema") != CHOICE_SCHEMA or not choice.get("kits"):
        raise RunnerError("no-bundle", "{}: names no kits".format(path), "its schema is not {}".format(CHOICE_SCHEMA))
    return [_inside(bundle, str(each["folder"])) for _, each in sorted(choice["kits"].items())]


def _inside(bundle: Path, name: str) -> Kit:
    folder = (bundle / name).resolve()
    if bundle.resolve() not in folder.parents:
        raise RunnerError("outside-the-bundle", "{}: names {!r}, which leaves the bundle".format(bundle / CHOICE, name))
    return Kit.open(folder)


def _items(kits: List[Kit], rounds: int, samples: int) -> List[Dict[str, Any]]:
    items = []  # type: List[Dict[str, Any]]
    draw = random.Random(",".join(kit.sha256 for kit in kits))
    for number in range(rounds):
        for position, kit in enumerate(draw.sample(kits, len(kits))):
            place = {"kit": str(kit.folder), "round": number, "position": position}
            items.append(dict(place, samples=samples, max_s=_MAX_S))
    return items
