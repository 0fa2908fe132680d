"""The fresh process in which LoadGen runs a kit: ``pilot``, or one ``run``. Its messages are the runner's.

The process is not part of the kit, so boards need no LoadGen. It opens and times the kit's model with the runner's own session.
Golden images are decoded and normalized before timing starts, as MLPerf's rules allow and as in our own races. If a query has
more images than a call, copying them into batches is timed.

``python -m edgecnn.measure.loadgen.worker``.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import queue
import statistics
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgecnn.measure.loadgen.facts import LoadSettings, PilotBatch, Scenario
from edgecnn.runner.choice import chosen_knobs
from edgecnn.runner.feeds import check_feed, feed_of
from edgecnn.runner.golden import golden_pixels
from edgecnn.runner.kit import Kit
from edgecnn.runner.machine.sensors import observe, read_baseline
from edgecnn.runner.messages import RunnerError, say
from edgecnn.runner.runs.parent import hold_lease
from edgecnn.runner.sessions import Session, check_knobs, load_runtime, open_session, timed_calls

_NS = 1_000_000
"""Nanoseconds in a millisecond."""


class Samples:
    """Inputs for the session, made from the kit's golden images."""

    def __init__(self, kit: Kit) -> None:
        feed = feed_of(kit, golden_pixels(kit))
        self._name, self._images = next(iter(feed.items()))
        self._single = [{self._name: self._images[index : index + 1]} for index in range(len(self._images))]

    def __len__(self) -> int:
        return len(self._images)

    def feed(self, indices: Sequence[int], batch: int) -> dict[str, Any]:
        """Return an input of exactly ``batch`` images; if fewer remain, the last image is repeated."""
        if batch == 1:
            return self._single[indices[0]]
        return {self._name: self._images[[*indices, *[indices[-1]] * (batch - len(indices))]]}


class System:
    """Runs LoadGen's queries in one session, ``batch`` images a call."""

    def __init__(self, session: Session, samples: Samples, batch: int, library: Any) -> None:
        self._session, self._samples, self._batch, self._library = session, samples, batch, library

    def answer(self, query: Sequence[Any]) -> None:
        """Compute a query on LoadGen's thread, and report the images of each call when they are done."""
        for start in range(0, len(query), self._batch):
            part = query[start : start + self._batch]
            self._session.run(self._samples.feed([sample.index for sample in part], self._batch))
            self._done([sample.id for sample in part])

    @contextmanager
    def queued(self) -> Iterator[Any]:
        """Accept Server's queries into a queue, which a separate thread computes one image after another."""
        queries: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()

        def work() -> None:
            try:
                while (sample := queries.get()) is not None:
                    self._session.run(self._samples.feed([sample[1]], 1))
                    self._done([sample[0]])
            except BaseException:  # noqa: BLE001 - otherwise, LoadGen would wait for this query indefinitely
                traceback.print_exc()
                os._exit(1)

        def take(query: Sequence[Any]) -> None:
            for sample in query:
                queries.put((sample.id, sample.index))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield take
        finally:
            queries.put(None)
            thread.join()

    def _done(self, numbers: Sequence[int]) -> None:
        answer = self._library.QuerySampleResponse
        self._library.QuerySamplesComplete([answer(number, 0, 0) for number in numbers])


def start_test(library: Any, system: System, samples: Samples, settings: LoadSettings, logs: str) -> None:
    """Run LoadGen to its end, with its logs in an existing folder."""
    count = len(samples)
    options, log_options = _test_settings(library, settings), _log_settings(library, logs)
    images = library.ConstructQSL(count, count, lambda _: None, lambda _: None)  # all samples are already in memory
    try:
        if settings.scenario is Scenario.SERVER:
            with system.queued() as take:
                _run(library, take, images, options, log_options)
        else:
            _run(library, system.answer, images, options, log_options)
    finally:
        library.DestroyQSL(images)


def _run(library: Any, take: Any, images: Any, options: Any, log_options: Any) -> None:
    system = library.ConstructSUT(take, lambda: None)
    try:
        library.StartTestWithLogSettings(system, images, options, log_options, "")
    finally:
        library.DestroySUT(system)


def _test_settings(library: Any, settings: LoadSettings) -> Any:
    options = library.TestSettings()
    options.scenario = getattr(library.TestScenario, settings.scenario.value)
    options.mode = library.TestMode.PerformanceOnly
    options.min_duration_ms = settings.min_duration_ms
    options.min_query_count = settings.min_query_count
    if settings.scenario is Scenario.SINGLE_STREAM and settings.expected_latency_ms is not None:
        options.single_stream_expected_latency_ns = settings.expected_latency_ms * _NS
    if settings.scenario is Scenario.MULTI_STREAM and settings.expected_latency_ms is not None:
        options.multi_stream_expected_latency_ns = settings.expected_latency_ms * _NS
    if settings.expected_qps is not None:
        options.offline_expected_qps = settings.expected_qps
    if settings.target_qps is not None and settings.target_latency_ms is not None:
        options.server_target_qps = settings.target_qps
        options.server_target_latency_ns = int(settings.target_latency_ms * _NS)
    return options


def _log_settings(library: Any, logs: str) -> Any:
    output = library.LogOutputSettings()
    output.outdir = logs
    output.copy_summary_to_stdout = False
    settings = library.LogSettings()
    settings.log_output = output
    settings.enable_trace = False
    return settings


PILOT_BATCHES = (1, 8, 32)
"""One image, a MultiStream query, and a typical efficient batch on a CPU."""
WARMUP_NS = 300_000_000
PILOT_NS = 700_000_000
"""Duration of the timed calls of each batch size."""
_MANY = sys.maxsize


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pilot or LoadGen, and return the exit code: 0 if the last line has ``"ok": true``."""
    parser = argparse.ArgumentParser(prog="loadgen")
    parser.add_argument("--lease-s", type=float, required=True)
    parser.add_argument("--kit", type=Path, required=True)
    parser.add_argument("--settings", help="of a run, as JSON; without them it is the pilot")
    parser.add_argument("--logs", help="folder of a run's logs")
    options = parser.parse_args(arguments)
    hold_lease(options.lease_s)
    try:
        kit = Kit.open(options.kit)
        kit.verify_files()
        kit.check_requirements()
        load_runtime(kit)
        check_knobs(kit, chosen_knobs(kit))
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


def _warm(kit: Kit, samples: Samples, batch: int) -> Session:
    session = open_session(kit, chosen_knobs(kit), batch=batch)
    feed = samples.feed([0], batch)
    check_feed(session.inputs(), feed)
    timed_calls(session.run, [feed], _MANY, WARMUP_NS)
    return session


if __name__ == "__main__":
    sys.exit(main())
