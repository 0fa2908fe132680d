"""The fresh process in which LoadGen runs a kit: ``pilot``, or one ``run``. Its messages are the runner's.

It is not part of the kit, which needs no LoadGen on a board. It opens and times the kit's model by the runner's own session.
``python -m edgecnn.measure.loadgen.worker``.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.measure.loadgen.facts import LoadSettings, PilotBatch
from edgecnn.measure.loadgen.system import Samples, System, start_test
from edgecnn.runner.feeds import check_feed
from edgecnn.runner.kit import Kit
from edgecnn.runner.machine.sensors import observe, read_baseline
from edgecnn.runner.messages import RunnerError, say
from edgecnn.runner.runs.parent import hold_lease
from edgecnn.runner.session_options import chosen_knobs
from edgecnn.runner.sessions import Session, check_knobs, load_runtime, open_session, timed_calls

PILOT_BATCHES = (1, 8, 32)
"""One image, a MultiStream query, and a typical efficient batch on a CPU."""
WARMUP_NS = 300_000_000
PILOT_NS = 700_000_000
"""Calls of each batch size."""
_MANY = sys.maxsize


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is requested; 0 if the last line has ``"ok": true``."""
    parser = argparse.ArgumentParser(prog="loadgen")
    parser.add_argument("--lease-s", type=float, required=True)
    parser.add_argument("--kit", type=Path, required=True)
    parser.add_argument("--settings", help="of a run, as JSON; without them it is the pilot")
    parser.add_argument("--logs", help="folder of a run's logs")
    options = parser.parse_args(arguments)
    hold_lease(options.lease_s)
    try:
        kit = _checked(options.kit)
        result = pilot(kit) if options.settings is None else run(kit, json.loads(options.settings), options.logs)
    except RunnerError as error:
        say({"ok": False, "error": error.facts()})
        return 1
    say({**result, "ok": True})
    return 0


def pilot(kit: Kit) -> dict[str, Any]:
    """Return the time of calls by batch size, and the number of images."""
    samples = Samples(kit)
    sizes = []
    for batch in (size for size in PILOT_BATCHES if size <= kit.manifest.model.batch_max):
        session = _warm(kit, samples, batch)
        try:
            times = timed_calls(session.run, [samples.feed([0], batch)], _MANY, PILOT_NS)
        finally:
            session.close()
        p50, fastest = statistics.median(times) / 1e6, min(times) / 1e6
        sizes.append(PilotBatch(batch=batch, calls=len(times), p50_ms=p50, fastest_ms=fastest).model_dump())
    return {"pilot": sizes, "images": len(samples)}


def run(kit: Kit, settings: Mapping[str, Any], logs: str) -> dict[str, Any]:
    """Run LoadGen once on a separate session, which is warmed up first."""
    import mlperf_loadgen as library

    load, samples = LoadSettings.model_validate(settings), Samples(kit)
    session = _warm(kit, samples, load.batch)
    before = read_baseline()
    gc.collect()
    gc.disable()
    try:
        start_test(library, System(session, samples, load.batch, library), samples, load, logs)
    finally:
        gc.enable()
        session.close()
    return {"observed": observe(since=before)}


def _checked(folder: Path) -> Kit:
    kit = Kit.open(folder)
    kit.verify_files()
    kit.check_requirements()
    load_runtime(kit)
    check_knobs(kit, chosen_knobs(kit))
    return kit


def _warm(kit: Kit, samples: Samples, batch: int) -> Session:
    session = open_session(kit, chosen_knobs(kit), batch=batch)
    feed = samples.feed([0], batch)
    check_feed(session.inputs(), feed)
    timed_calls(session.run, [feed], _MANY, WARMUP_NS)
    return session


if __name__ == "__main__":
    sys.exit(main())
