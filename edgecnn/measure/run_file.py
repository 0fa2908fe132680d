"""Read a run file from a near or remote runner, and check that it is valid, possible and as requested."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.errors.base import system_reason
from edgecnn.hosts.protocol import Schedule
from edgecnn.hosts.wire import Count, Message, Unusable, Words, parse_json, validate
from edgecnn.runner.files import JSON_BYTES_MAX, bounded_content, sha256_of
from edgecnn.runner.manifest import MANIFEST
from edgecnn.runner.runs.items import RUN_SCHEMA, run_file
from edgecnn.values.base import utc_moment
from edgecnn.values.profile import Environment, Run, RunEnergy

_NS_PER_S = 10**9
_NOT_ABOVE_0 = "a time is not above 0: the clock stepped, or the file was edited"


class FailedRun(Message):
    """Failure of a run, which then has no times."""

    what: Words


class RunFile(Message):
    """Content of a run file; a failed run has an error and no environment."""

    kit: str | None = None
    round: Count
    position: Count
    knobs: Mapping[str, str] = {}
    error: FailedRun | None = None
    environment: Environment | None = None


def _document_of(path: Path) -> dict[str, Any]:
    """Return the JSON of a run file. Raises Unusable: it cannot be read, or has another schema."""
    try:
        run = parse_json(bounded_content(path, JSON_BYTES_MAX))
    except (OSError, Unusable) as error:
        raise Unusable(f"{path.name} cannot be read: {system_reason(error)}") from error
    if not isinstance(run, dict) or run.get("schema") != RUN_SCHEMA:
        raise Unusable(f"{path.name} is not {RUN_SCHEMA}")
    return run


def read_run(path: Path) -> dict[str, Any]:
    """Return the content of a run file, after checking types and values. Raises Unusable: it is invalid, with the reason."""
    run = {"kit": None, "knobs": {}, **_document_of(path)}
    if run.get("error") is None:
        run.pop("error", None)
    try:
        file = validate(RunFile, run)
        if file.error is None:
            if file.environment is None:
                raise Unusable("environment: Field required")
            measured = validate(Run, {name: run[name] for name in Run.model_fields if name in run})
            utc_moment(measured.started_at)
            if (why := impossible(measured)) is not None:
                raise Unusable(why)
    except (Unusable, ValueError) as error:
        raise Unusable(f"{path.name}: {error}") from error
    return run


def run_of(facts: Mapping[str, Any]) -> Run:
    """Return a run file as a run. Fields that an older runner did not write are absent."""
    return Run(**{name: facts[name] for name in Run.model_fields if name in facts})


def impossible(run: Run) -> str | None:
    """Return why no real run can have such values; None if it can."""
    start = tuple(duration_ns for duration_ns in (run.load_ns, run.process_ns) if duration_ns is not None)
    events = () if run.events is None else run.events.samples_ns
    if any(time <= 0 for time in (*start, run.first_ns, *run.warmup_ns, *run.samples_ns, *events)):
        return _NOT_ABOVE_0
    memory = run.memory
    if memory is not None and any(mib is not None and mib < 0 for mib in (memory.baseline_mib, memory.peak_mib, memory.gpu_mib)):
        return "memory is below 0"
    waiting = run.waiting
    if waiting is not None and any(
        ns is not None and ns < 0 for ns in (waiting.wall_ns, waiting.ran_ns, waiting.waited_ns, waiting.others_ns)
    ):
        return "a time of waiting is below 0"
    if run.windows and sum(window.samples for window in run.windows) != len(run.samples_ns):
        return "its windows do not match its samples"
    return None if run.energy is None else _impossible_energy(run.energy)


def _impossible_energy(energy: RunEnergy) -> str | None:
    seconds = (
        energy.idle.seconds,
        energy.work.seconds,
        *(s for reading in energy.readings for s in (reading.idle_s, reading.work_s)),
    )
    if energy.images < 1 or min(seconds) <= 0:
        return "energy without images or without time"
    return "energy is below 0" if any(min(reading.idle_j, reading.work_j) < 0 for reading in energy.readings) else None


def require_as_scheduled(schedule: Schedule, folder: Path) -> None:
    """Check every run in a folder of results against its scheduled item; an item may have no run.

    Raises Unusable: a run has no item, belongs to another kit, round or setting, or has more samples than time allows.
    """
    items = {run_file(folder, index): item for index, item in enumerate(schedule.items)}
    digests = {kit: sha256_of(kit / MANIFEST) for kit in schedule.kits}
    for path in sorted(folder.rglob("run-*.json")):
        if path not in items:
            raise Unusable(f"{path.relative_to(folder)} was not asked for")
        run = read_run(path)
        why = _deviation(run, items[path], digests[Path(items[path]["kit"])], schedule.timeout_s)
        if why is not None:
            raise Unusable(f"{path.name}: {why}")


def _deviation(run: Mapping[str, Any], item: Mapping[str, Any], kit: str, timeout_s: float) -> str | None:
    for name, expected in (("kit", kit), *((name, item.get(name, {})) for name in ("round", "position", "knobs"))):
        if run.get(name, {}) != expected:
            return f"its {name} is {run.get(name)} instead of {expected}"
    if "error" in run:
        return None
    count, batch = len(run["samples_ns"]), item.get("batch", 1)
    most = 0 if item.get("energy") else count if item.get("window_s") else item["samples"]
    if count > most or (most and not count) or run.get("batch", 1) != batch:
        return f"{count:,} samples of {run.get('batch', 1)} images instead of {most:,} of {batch}"
    if sum((*run["warmup_ns"], *run["samples_ns"])) > 2 * timeout_s * _NS_PER_S:
        return f"its samples take longer than its time limit of {timeout_s:g} s"
    return None
