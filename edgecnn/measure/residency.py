"""Residency: the precision in which a kit's layers run, read from one traced process by the backend of its runtime.

A traced run is slower. Reports use its times only as shares, never as latency; latency tables subtract the cost of tracing.
"""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.hosts.program import runner_failed
from edgecnn.hosts.protocol import Schedule, Task
from edgecnn.hosts.wire import usable
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab, same_conditions
from edgecnn.measure.race_request import empty_folder
from edgecnn.measure.run_file import read_run, require_as_scheduled
from edgecnn.runner.runs.items import trace_name
from edgecnn.runtimes.protocol import Backend
from edgecnn.runtimes.registry import backend_for
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.layers import MacTable, Residency
from edgecnn.values.profile import Environment, Profile

TRACED_SAMPLES = 50
RUN_TIMEOUT_S = 120.0


def residency(kit: KitRef, macs: MacTable, lab: Lab) -> StoredProfile:
    """Return the stored residency of this kit on this machine, or trace it now.

    Raises RunnerFailed: the traced run failed.
    """
    stored = stored_residency(kit, lab)
    return lab.store.profiles.add(traced_residency(kit, macs, lab), {}) if stored is None else stored


def stored_residency(kit: KitRef, lab: Lab) -> StoredProfile | None:
    """Return the newest residency of this kit with these knobs under this machine's conditions, if there is one."""
    knobs, present = kit.knobs.options, lab.environment_of(kit)
    entries = (entry for entry in lab.store.profiles.of(kit.digest, "residency") if entry.profile.knobs == knobs)
    return next((entry for entry in entries if same_conditions(entry.profile.environment, present)), None)


def traced_residency(kit: KitRef, macs: MacTable, lab: Lab) -> Profile:
    """Trace one process of this kit now, without storing the result. If ``macs`` has no layers, only times are known.

    Raises RunnerFailed: the traced run failed.
    """
    item = {
        "kit": str(kit.folder),
        "round": 0,
        "position": 0,
        "samples": TRACED_SAMPLES,
        "warmup_s": 0.1,
        "knobs": kit.knobs.options,
        "trace": True,
    }
    with lab.store.workspace("trace", f"{kit.digest[:32]}{lab.lane}", lab.tell) as work:
        if (work / "run-00000.json").exists():  # left by a trace that could not be read, perhaps of another runtime
            empty_folder(work)
        schedule = Schedule((item,), RUN_TIMEOUT_S)
        task = Task(kit.folder, "bench", out=work, schedule=schedule, made_here=kit.made_here)
        lab.host.run(task, lease_s=2 * RUN_TIMEOUT_S, tell=lab.doing(f"trace {kit.candidate.id}").tell)
        with usable(lab.board, "trace"):
            require_as_scheduled(schedule, work)
            run = read_run(work / "run-00000.json")
            if "error" in run:
                raise runner_failed(run["error"])
        traced = _read_trace(backend_for(kit.candidate.runtime), work / trace_name(0), macs)
        environment = Environment.model_validate(run["environment"])
        return lab.profile(kit, environment, what="residency", knobs=kit.knobs.options, residency=traced)


def _read_trace(backend: Backend, trace: Path, macs: MacTable) -> Residency:
    try:
        return backend.read_residency(trace, macs)
    except EdgecnnError:
        raise
    except Exception as error:  # noqa: BLE001 - the content is untrusted, and its format depends on the runtime
        raise TRACE_UNREADABLE(path=trace, why=f"{type(error).__name__}: {error}") from error
