"""Run one item in one process, the unit of statistics: samples of the same process are correlated.

Only the runtime's call is timed: the feed is ready, garbage collection is off, and samples stay in memory until the last one.
Energy is measured in a separate run that times nothing.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import sys
import time
from datetime import datetime, timezone
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ..classifier import golden_photo, run_on_file
from ..feeds import check_batch, check_feed, feed_of
from ..files import make_folder, write_json
from ..golden import golden_pixels
from ..kit import Kit
from ..machine.environment import read_conditions
from ..machine.memory import MemoryWatch
from ..machine.nvml import LIBRARIES
from ..machine.procfs import ROOT
from ..machine.sensors import observe, read_baseline
from ..machine.waiting import WaitingWatch
from ..messages import RunnerError
from ..meters.kinds import open_meters
from ..meters.meter import MeterAbsent, Spent
from ..model_files import check_model
from ..packages import runs_on_gpu, runtime_of
from ..sessions import check_knobs, load_runtime, open_session, timed_calls
from .items import Item, read_schedule, run_file, run_header, trace_name
from .parent import TURN_OPTION, ColdStart, Turn, hold_lease

LIBRARY = 64
"""Prepared images for timed calls in turn, as in LoadGen: a single image would stay in the processor's caches."""
EVENTS, EVENTS_S = 200, 1.0
"""Calls and seconds of the second series, which a GPU's clock times."""
WINDOW_S = 4.0
"""Length of each of the two intervals of an energy run."""
_SETTLE_S = 0.5
"""The wait before idle power is measured, in which processors and threads go to sleep."""
OBSERVED = (
    "throttled",
    "temperature_c",
    "frequency_mhz",
    "gpu_frequency_mhz",
    "emc_frequency_mhz",
    "others_percent",
    "steal_percent",
)
"""Readings that may explain a slower window of a soak."""


def run_item(item: Item, timeout_s: float, trace_folder: Optional[Path] = None, turn: Optional[Turn] = None) -> Dict[str, Any]:
    """Open the kit's model for the item's batch, and time it or measure its energy; return the run file's measured fields.

    Args:
        item: the run.
        timeout_s: the limit of the process, which bounds the timing if the item does not.
        trace_folder: an existing folder for the runtime's profile.
        turn: waited for after the model is open, if other processes open their models too.

    Raises:
        RunnerError: the errors of the kit and the runtime.
    """
    start = ColdStart()
    kit = _open_kit(item)
    module = kit.manifest.session.module
    on_gpu = runs_on_gpu(module)
    check_batch(kit, item.batch)
    pixels = golden_pixels(kit)
    feed = feed_of(kit, pixels[-1 - np.arange(item.batch) % len(pixels)])
    with start.excluded():
        conditions, baseline = read_conditions(runtime_of(module)), read_baseline()
        energy = EnergyRun(on_gpu, item.max_s or WINDOW_S) if item.energy else None
        if energy is not None:
            energy.idle()
        memory = MemoryWatch(on_gpu)
        started_at = datetime.now(timezone.utc).isoformat()
    begin = time.perf_counter_ns()
    session = open_session(kit, item.knobs, batch=item.batch, trace_folder=trace_folder)
    load_ns = time.perf_counter_ns() - begin  # type: Optional[int]
    try:
        check_feed(session.inputs(), feed)
        if turn is not None:
            turn.wait()
            # Other processes opened models meanwhile, so load time and cold start are not reported, and readings start again.
            load_ns, start, baseline = None, ColdStart({}), read_baseline()
        work, picture = _work_of(kit, session, feed, item)
        (first_ns,) = work.timed(work.inputs, 1, 0)
        process_ns = start.elapsed_ns()
        warmup_s = item.warmup_s and max(item.warmup_s, session.least_warmup_s)
        warmup_ns = work.timed(work.inputs, sys.maxsize, int(warmup_s * 1e9)) if warmup_s else []
        memory_facts = memory.facts() if session.elsewhere is None else {"absent": session.elsewhere}
        if not item.end_to_end:
            work = work._replace(inputs=library(kit, pixels, item.batch))  # after the memory was read, which it must not raise
        if energy is None:
            measured = _time_samples(work, item, item.max_s or timeout_s / 2, session.elsewhere)
        else:
            following = cycle(work.inputs).__next__
            energy.work(lambda: work.call(following()))
            measured = {"samples_ns": [], "energy": energy.facts()}
        if on_gpu and not (item.energy or item.end_to_end or item.window_s is not None):
            measured["events"] = timed_by_events(session, feed)
        logits = session.run(feed)[kit.manifest.model.output.name]
        conditions.update(session.conditions)
        observed = observe(since=baseline)  # before the session closes
    finally:
        session.close()
    return dict(
        measured,
        environment={"conditions": conditions, "observed": observed},
        started_at=started_at,
        load_ns=load_ns,
        first_ns=first_ns,
        process_ns=process_ns,
        warmup_ns=warmup_ns,
        memory=memory_facts,
        batch=item.batch,
        picture=picture,
        threads=session.threads,
        output_sha256=hashlib.sha256(np.ascontiguousarray(logits).tobytes()).hexdigest(),
    )


def _open_kit(item: Item) -> Kit:
    """Open and verify the item's kit, import its runtime, and check the item's knobs."""
    kit = Kit.open(item.kit)
    kit.verify_files()
    kit.check_requirements()
    check_model(kit)  # here, so that it does not count as load time
    load_runtime(kit)
    check_knobs(kit, item.knobs)
    return kit


class Work(NamedTuple):
    """The call, its inputs in turn, and ``timed``, which makes timed calls like ``timed_calls``."""

    call: Callable[[Any], Any]
    timed: Callable[[Sequence[Any], int, int], List[int]]
    inputs: Sequence[Any]


def library(kit: Kit, pixels: Any, batch: int) -> List[Dict[str, Any]]:
    """Return ``LIBRARY`` feeds of ``batch`` images: golden images, uint8 (images, H, W, 3), each rolled differently."""
    count, size = LIBRARY + batch - 1, pixels.shape[1] * pixels.shape[2]
    turns = -(-count // len(pixels))
    rows = pixels.reshape(len(pixels), size, 3)
    rolled = [np.roll(rows[index % len(rows)], index // len(rows) * size // turns, axis=0) for index in range(count)]
    ((name, values),) = feed_of(kit, np.stack(rolled).reshape(count, *pixels.shape[1:])).items()
    return [{name: values[start : start + batch]} for start in range(LIBRARY)]


def _work_of(kit: Kit, session: Any, feed: Any, item: Item) -> Tuple[Work, Optional[str]]:
    """Return the work to time, and the description of the decoded image, if any."""
    if session.elsewhere is not None and (item.end_to_end or item.energy):
        subject = "end-to-end latency" if item.end_to_end else "energy"
        raise RunnerError("not-measured", "{} is not measured".format(subject), session.elsewhere)
    if not item.end_to_end:
        return Work(session.run, session.timed, [feed]), None
    path, description = golden_photo(kit)
    call = partial(run_on_file, kit, session)
    return Work(call, partial(timed_calls, call), [path]), description


def _time_samples(work: Work, item: Item, max_s: float, elsewhere: Optional[str]) -> Dict[str, Any]:
    """Time the samples. ``elsewhere``: why another process than this one computes; its waiting is then unknown."""
    gc.collect()
    gc.disable()
    watch = WaitingWatch()
    try:
        if item.window_s is not None:
            measured = soak(partial(work.timed, work.inputs), max_s, item.window_s)
        else:
            measured = {"samples_ns": work.timed(work.inputs, item.samples, int(max_s * 1e9))}
    finally:
        gc.enable()
    return dict(measured, waiting=watch.facts() if elsewhere is None else {"absent": elsewhere})


def timed_by_events(session: Any, feed: Any) -> Dict[str, Any]:
    """Time a second series of calls between two events of the GPU. It is separate, since events take time themselves."""
    if session.no_events is not None:
        return {"absent": session.no_events}
    samples = []  # type: List[int]
    stop = time.perf_counter_ns() + int(EVENTS_S * 1e9)
    while len(samples) < EVENTS and time.perf_counter_ns() < stop:
        samples.append(session.event_ns(feed))
    return {"samples_ns": samples}


def soak(timed: Callable[[int, int], List[int]], seconds: float, window_s: float, root: Path = ROOT) -> Dict[str, Any]:
    """Run inferences without a pause, in windows: heat builds up slowly and lowers clocks.

    Only the sensor readings between windows interrupt, for milliseconds.

    Args:
        timed: takes a number of calls and a limit in nanoseconds; returns the nanoseconds of each call.
        seconds: the length of all windows. The last may be shorter, and is omitted below half a window.
        window_s: the length of a window.
        root: the folder of ``proc`` and ``sys``.

    Returns:
        ``samples_ns`` of all windows in order, and ``windows``: the start, the length, the number of samples and the readings of
        each.
    """
    samples: List[int] = []
    windows: List[Dict[str, Any]] = []
    start = time.monotonic()
    left_s = seconds
    while left_s >= window_s / 2:
        baseline, began = read_baseline(root), time.monotonic()
        times = timed(sys.maxsize, int(min(left_s, window_s) * 1e9))
        took = time.monotonic() - began
        readings = observe(root, since=baseline)
        observed = {name: readings[name] for name in OBSERVED if name in readings}
        windows.append({"began_s": began - start, "seconds": took, "samples": len(times), "observed": observed})
        samples += times
        left_s = seconds - (time.monotonic() - start)
    return {"samples_ns": samples, "windows": windows}


class EnergyRun:
    """Energy of inferences over a fixed interval: ``idle`` before the model is opened, ``work`` after it is warm, then ``facts``.

    Idle power is measured in the same process and over the same time, with the runtime imported and no model open. The energy
    above it is the cost of inference on a machine that runs anyway. Both are kept with their times, so that an external meter's
    log can be added later.
    """

    def __init__(self, gpu: bool, window_s: float, root: Path = ROOT, libraries: Iterable[str] = LIBRARIES) -> None:
        """Open the meters.

        Args:
            gpu: whether the model runs on an NVIDIA GPU.
            window_s: length of each of the two intervals.
            root: the folder of ``sys``, ``proc`` and ``usr``.
            libraries: names of NVIDIA's management library.
        """
        self._window_s = window_s
        self._meters = open_meters(gpu, root, libraries)
        self._absent: Dict[str, str] = dict(self._meters.absent)
        self._intervals: Dict[str, Dict[str, Any]] = {}
        self._spent: Dict[str, Dict[str, Spent]] = {}
        self._images = 0

    def idle(self) -> None:
        """Measure the energy of the idle machine."""
        time.sleep(min(_SETTLE_S, self._window_s))
        self._measure("idle", lambda: time.sleep(self._window_s))

    def work(self, call: Callable[[], Any]) -> None:
        """Measure the energy of repeated calls until the interval ends. No call is timed: a meter's thread would disturb it."""

        def repeat() -> None:
            stop = time.monotonic() + self._window_s
            while self._images == 0 or time.monotonic() < stop:
                call()
                self._images += 1

        self._measure("work", repeat)

    def facts(self) -> Dict[str, Any]:
        """Return the run file's ``energy``: images, both intervals, a reading of each meter, and why other meters have none."""
        self._meters.close()
        meters = [meter for meter in self._meters.opened if all(meter.name in self._spent[name] for name in ("idle", "work"))]
        readings: List[Dict[str, Any]] = []
        for meter in meters:
            idle, work = self._spent["idle"][meter.name], self._spent["work"][meter.name]
            spent = {"idle_j": idle.joules, "idle_s": idle.seconds, "work_j": work.joules, "work_s": work.seconds}
            readings.append(dict(spent, meter=meter.name, covers=meter.covers))
        return dict(self._intervals, images=self._images, readings=readings, absent=self._absent)

    def _measure(self, name: str, do: Callable[[], Any]) -> None:
        started = []
        for meter in self._meters.opened:
            try:
                meter.start()
                started.append(meter)
            except MeterAbsent as absent:
                self._absent[meter.name] = absent.sentence
        began_unix_ns, began_s = time.time_ns(), time.monotonic()
        do()
        seconds, clock_s = time.monotonic() - began_s, (time.time_ns() - began_unix_ns) / 1e9
        self._spent[name] = {}
        for meter in started:
            try:
                self._spent[name][meter.name] = meter.stop()
            except MeterAbsent as absent:
                self._absent[meter.name] = absent.sentence
        self._intervals[name] = {"began_unix_ns": began_unix_ns, "seconds": seconds, "clock_s": clock_s}


def main(arguments: Optional[List[str]] = None) -> int:
    """Run one item of a schedule and write its run file; return 1 if the file holds an error."""
    parser = argparse.ArgumentParser(prog="runner.runs.worker")
    parser.add_argument("--schedule", type=Path, required=True)
    parser.add_argument("--index", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(TURN_OPTION, action="store_true", help="wait for it once the model is open")
    options = parser.parse_args(arguments)
    schedule = read_schedule(options.schedule)
    hold_lease(schedule.timeout_s)
    item = schedule.items[options.index]
    trace = trace_name(options.index) if item.trace else None
    run = dict(run_header(item), trace=trace)
    turn = Turn(run_file(options.out, options.index)) if options.turn else None
    try:
        if trace is not None:
            make_folder(options.out / trace)
        run.update(run_item(item, schedule.timeout_s, options.out / trace if trace else None, turn))
    except RunnerError as error:
        run.update(error=error.facts())
    write_json(run_file(options.out, options.index), run)
    return 1 if "error" in run else 0


if __name__ == "__main__":
    sys.exit(main())
