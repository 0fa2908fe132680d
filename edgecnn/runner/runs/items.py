"""A schedule of runs as values. The process that starts the workers and each worker read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from ..files import read_json, sha256_of
from ..manifest import MANIFEST
from ..messages import RunnerError

SCHEMA = "edgecnn.schedule/1"
RUN_SCHEMA = "edgecnn.run/1"
_DEFAULTS = {
    "warmup_s": 0.3,
    "max_s": None,
    "knobs": {},
    "trace": False,
    "energy": False,
    "batch": 1,
    "end_to_end": False,
    "window_s": None,
    "together": False,
}  # type: Dict[str, Any]
_FIELDS = ("kit", "round", "position", "samples") + tuple(_DEFAULTS)


class Item(NamedTuple):
    """One process run.

    ``samples`` inferences are timed, or as many as begin within ``max_s`` seconds (None: half of the time-out), so that a
    slow network on a slow board gives fewer samples rather than none. ``round`` and ``position`` are copied to the run file.
    With ``energy`` nothing is timed: energy is measured over ``max_s`` seconds of inferences, and ``samples`` is not used.
    ``batch`` images go into each timed call. With ``end_to_end`` a call begins with the golden JPEG's file. With ``window_s`` the
    run is a soak of ``max_s`` seconds in windows of this length, and ``samples`` is not used. Consecutive items of a round that
    are ``together`` open their models at the same time, and are timed one after another.
    """

    kit: Path
    round: int
    position: int
    samples: int
    warmup_s: float
    max_s: Optional[float]
    knobs: Dict[str, str]
    trace: bool
    energy: bool
    batch: int
    end_to_end: bool
    window_s: Optional[float]
    together: bool = False


class Schedule(NamedTuple):
    """Items in the order of their runs. A process that takes longer than ``timeout_s`` seconds is killed."""

    timeout_s: float
    items: List[Item]


def read_schedule(path: Path) -> Schedule:
    """Read and check a schedule file.

    Raises:
        RunnerError: unreadable-file or bad-schedule, naming the field.
    """
    value = read_json(path)
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise _bad_schedule(path, "schema is not {!r}".format(SCHEMA))
    unknown = sorted(set(value) - {"schema", "timeout_s", "items"})
    if unknown:
        raise _bad_schedule(path, "{} is not a field of a schedule".format(unknown[0]))
    timeout_s, items = value.get("timeout_s"), value.get("items")
    if not _is_positive(timeout_s):
        raise _bad_schedule(path, "timeout_s is {!r}, not a number above 0".format(timeout_s))
    if not isinstance(items, list) or not items:
        raise _bad_schedule(path, "items is not a list, or is empty")
    return Schedule(float(timeout_s or 0), [_parse_item(path, index, item) for index, item in enumerate(items)])


def run_header(item: Item) -> Dict[str, Any]:
    """Return the fields of a run file that are known before the run; ``kit`` is None without a ``kit.json``."""
    manifest = item.kit / MANIFEST
    return {
        "schema": RUN_SCHEMA,
        "kit": sha256_of(manifest) if manifest.is_file() else None,
        "folder": str(item.kit),
        "round": item.round,
        "position": item.position,
        "knobs": item.knobs,
    }


def run_file(out: Path, index: int) -> Path:
    """Return the run file of the item at ``index``."""
    return out / "run-{:05d}.json".format(index)


def trace_name(index: int) -> str:
    """Return the name of the folder of an item's trace."""
    return "trace-{:05d}".format(index)


def _parse_item(path: Path, index: int, value: Any) -> Item:
    where = "items[{}]".format(index)
    if not isinstance(value, dict):
        raise _bad_schedule(path, "{} is not an object".format(where))
    unknown = sorted(set(value) - set(_FIELDS))
    if unknown:
        raise _bad_schedule(path, "{}.{} is not a field of an item".format(where, unknown[0]))
    fields = dict(_DEFAULTS, **value)
    _check_numbers(path, where, fields)
    if not isinstance(fields.get("kit"), str) or not Path(fields["kit"]).is_absolute():
        raise _bad_schedule(path, "{}.kit is {!r}, not an absolute path".format(where, fields.get("kit")))
    knobs = fields["knobs"]
    if not isinstance(knobs, dict) or not all(isinstance(knob, str) for knob in knobs.values()):
        raise _bad_schedule(path, "{}.knobs must hold texts only".format(where))
    flags = {name: bool(fields[name]) for name in ("trace", "energy", "end_to_end", "together")}
    return Item(**dict(fields, kit=Path(fields["kit"]), **flags))


def _check_numbers(path: Path, where: str, fields: Dict[str, Any]) -> None:
    for name in ("round", "position", "samples", "batch"):
        least = 1 if name in ("samples", "batch") else 0
        if not isinstance(fields.get(name), int) or isinstance(fields[name], bool) or fields[name] < least:
            raise _bad_schedule(path, "{}.{} is {!r}".format(where, name, fields.get(name)))
    if fields["warmup_s"] != 0 and not _is_positive(fields["warmup_s"]):
        raise _bad_schedule(path, "{}.warmup_s is {!r}".format(where, fields["warmup_s"]))
    for name in ("max_s", "window_s"):
        if fields[name] is not None and not _is_positive(fields[name]):
            raise _bad_schedule(path, "{}.{} is {!r}".format(where, name, fields[name]))
    if sum((fields["batch"] > 1, bool(fields["end_to_end"]), fields["window_s"] is not None, bool(fields["energy"]))) > 1:
        raise _bad_schedule(path, "{} combines two of batch, end_to_end, window_s and energy".format(where))


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")


def _bad_schedule(path: Path, why: str) -> RunnerError:
    return RunnerError("bad-schedule", "{}: {}".format(path, why))
