"""What a board says, and the run files that it leaves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from edgecnn.hosts.ssh.board import ANSWERS, Refusal
from edgecnn.hosts.wire import Failure, Line, parse_json, usable, validate
from edgecnn.measure.run_file import read_run
from edgecnn.runner.runs.items import Item
from tests.fuzz.kind import Kind
from tests.fuzz.mutations import of_json
from tests.measure.labs import FakeHost, a_kit

_SUM = "a" * 64
_SAID = (
    {"ok": True, "python": [3, 13, 5], "folder": "/home/pi/.edgecnn", "free_bytes": 10**10},
    {"ok": True, "missing": [_SUM], "free_bytes": 10**10},
    {"ok": True, "path": "/home/pi/.edgecnn/kits/1"},
    {"ok": True, "files": {"run-00000.json": {"sha256": _SUM, "bytes": 4096, "age_s": 1.5}}},
    {"ok": True, "put": 1, "held": True, "removed": "three kits"},
    {
        "ok": False,
        "error": {"ref": "board-busy", "what": "in use", "because": "ann", "owner": "ann", "since_s": 4.0, "missing": False},
    },
    {"progress": {"what": "runs", "done": 3, "total": 9, "unit": "runs"}},
    {"note": "the clock speed changed"},
)


def _answer_seeds(_: Path) -> Sequence[bytes]:
    return [json.dumps(each).encode() for each in _SAID]


def _heard(path: Path) -> object:
    """As a line, and as the answer to every request: one of them is it."""
    content = path.read_bytes()
    with usable("pi@board", "answering"):
        Line.of(content)
        value = parse_json(content)
        if isinstance(value, dict) and value.get("ok") is True:
            return [validate(kind, value) for kind in ANSWERS.values() if set(kind.model_fields) <= set(value)]
        error = value.get("error") if isinstance(value, dict) else value
        return None if error is None else (validate(Failure, error), validate(Refusal, error))


def _run_seeds(folder: Path) -> Sequence[bytes]:
    kit = a_kit(folder, "one")
    host, made = FakeHost(), []
    for number in range(2):
        item = Item(kit.folder, 0, number, 5, 0.0, None, {}, False, False, 1, number == 1, None)
        host.ran.append(number)
        host._run_one(number, item, folder)
        made.append((folder / f"run-{number:05}.json").read_bytes())
    return made


def _read(path: Path) -> object:
    with usable("pi@board", "running"):
        return read_run(path)


BOARDS: dict[str, Kind] = {
    "board answers": Kind("answer.json", _answer_seeds, of_json, _heard),
    "run file": Kind("run-00000.json", _run_seeds, of_json, _read),
}
