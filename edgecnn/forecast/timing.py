"""Time networks with ncnn on this computer, in about a second each, with zero weights, which take as long as trained ones.

Reference networks from the public tables are timed too, to compare this computer with the boards.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from edgecnn.forecast.networks import Subject, subject_of_arch
from edgecnn.forecast.structure import Column, TimesHere, column_of_subject
from edgecnn.installed import installed_version, resource_folder
from edgecnn.values.candidate import Candidate, Precision, Runtime

REFERENCES = (
    "mobilenet-v1", "mobilenet-v2", "mobilenet-v3-large", "shufflenet-v2-x1.0", "mnasnet-1.0", "efficientnet-b0",
    "googlenet", "resnet-18", "resnet-50",
)  # fmt: skip
"""Networks of the public tables that are timed here as well."""
SECONDS = 0.25
"""Seconds for one network with one number of threads; the shortest call counts, as in the tables."""
LEAST_CALLS = 3
LIMIT_S = 30.0
"""Limit for all calls of one network with one number of threads; a slower network is not timed."""
PUBLISHED_LIKE = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_packing_layout", "use_winograd_convolution")
"""Options that are on, as in the measurement of the public table."""


def can_time() -> bool:
    """Whether ncnn is installed."""
    return installed_version("ncnn") is not None


class TimesTaken(NamedTuple):
    """Times that were measured on this computer."""

    runs: TimesHere = ()
    """One run for each number of threads, of the requested networks and the references."""
    timed: tuple[str, ...] = ()
    not_timed: Mapping[str, str] = {}
    """Network to the reason why it was not timed."""


NOT_TIMED = TimesTaken()


def times_here(subjects: Sequence[Subject], tell: Callable[[int, int], None]) -> TimesTaken:
    """Time these networks and the references, with each number of threads.

    A run with several threads is dropped if the references take longer in it than on one. ``tell``: receives the number of timed
    networks, and the total.
    """
    if not can_time():
        return TimesTaken(not_timed={subject.name: "ncnn is not installed" for subject in subjects})
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    runs: dict[int, dict[Column, float]] = {count: {} for count in sorted({1, min(4, cores)})}
    timed, reasons = set(), dict[str, str]()
    with tempfile.TemporaryDirectory(prefix="edgecnn-forecast-") as folder:
        wanted = tuple(dict.fromkeys((*(subject_of_arch(name) for name in REFERENCES), *subjects)))
        for done, subject in enumerate(wanted):
            tell(done, len(wanted))
            param, column = param_of(subject, Path(folder)), column_of_subject(subject)
            if isinstance(param, str):
                reasons[subject.name] = param
                continue
            for count in tuple(runs):
                ms = _shortest_ms(param, subject, count)
                if ms is None:
                    reasons[subject.name] = f"ncnn {installed_version('ncnn')} cannot read or run {param.name}"
                    break
                runs[count][column] = ms
                timed.add(subject.name)
    references = {column_of_subject(subject_of_arch(name)) for name in REFERENCES}
    for count, run in tuple(runs.items()):
        relative = [run[column] / runs[1][column] for column in references & run.keys()]
        if relative and median(relative) > 1:  # on a busy computer threads wait for each other
            del runs[count]
    return TimesTaken(
        runs=tuple(run for run in runs.values() if run),
        timed=tuple(subject.name for subject in subjects if subject.name in timed),
        not_timed={subject.name: reasons[subject.name] for subject in subjects if subject.name not in timed},
    )


def param_of(subject: Subject, work: Path) -> Path | str:
    """Return the network in ncnn's format without weights, shipped for the catalogue or converted for a file.

    If there is none, return the reason.
    """
    if subject.arch is not None:
        shipped = resource_folder("baselines") / "public" / "networks" / f"{subject.arch}.param"
        return shipped if shipped.is_file() else "edgecnn ships no file of it to time"
    if subject.file is None:
        return "it has no file to time"
    if installed_version("pnnx") is None:
        return "pnnx, which converts it for ncnn, is not installed"
    from edgecnn.errors.devices import ConverterFailed, LayerNotConverted
    from edgecnn.runtimes.ncnn import FP32, PARAM, convert_trunk

    candidate = Candidate(id="ncnn-fp32", runtime=Runtime.NCNN, precision=Precision.FP32, session_options=FP32)
    try:
        convert_trunk(subject.file, candidate, work)
    except (ConverterFailed, LayerNotConverted, OSError, IndexError) as error:
        return f"it cannot be converted for ncnn: {error}"
    return work / PARAM


def _shortest_ms(param: Path, subject: Subject, threads: int) -> float | None:
    """Return the shortest time of one image; None if ncnn cannot read or run the network.

    A user's network runs in a separate process, because it may crash or exceed the limit.
    """
    size = subject.resolution_px
    if subject.file is None:
        return _shortest_ms_here(param, size.width_px, size.height_px, threads, SECONDS)
    arguments = map(str, (param, size.width_px, size.height_px, threads, SECONDS))
    command = [sys.executable, "-P", "-m", "edgecnn.forecast.timing", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(  # noqa: S603 - this module
            command, capture_output=True, encoding="utf-8", timeout=LIMIT_S, check=False, env=environment
        )
        return float(done.stdout.split()[-1]) if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, OSError, ValueError, IndexError):
        return None


def _shortest_ms_here(param: Path, width_px: int, height_px: int, threads: int, seconds: float) -> float | None:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    for name in PUBLISHED_LIKE:
        setattr(net.opt, name, True)
    if net.load_param(str(param)) or net.load_model(ncnn.DataReaderFromEmpty()):
        return None
    image = ncnn.Mat(width_px, height_px, 3)
    image.fill(0.5)
    clock = time.process_time if threads == 1 else time.perf_counter  # a busy computer interrupts the process
    if _seconds(net, image, clock) is None:  # the first call allocates memory
        return None
    shortest, calls, end = float("inf"), 0, time.perf_counter() + seconds
    while calls < LEAST_CALLS or time.perf_counter() < end:
        shortest, calls = min(shortest, _seconds(net, image, clock) or shortest), calls + 1
    return 1e3 * shortest


def _seconds(net: Any, image: Any, clock: Callable[[], float]) -> float | None:
    run = net.create_extractor()
    began = clock()
    run.input("in0", image)
    failed, _ = run.extract("out0")
    return None if failed else clock() - began


def main(words: Sequence[str]) -> int:
    """Print the shortest time in ms; exit with 1 if there is none."""
    param, width_px, height_px, threads, seconds = words
    ms = _shortest_ms_here(Path(param), int(width_px), int(height_px), int(threads), float(seconds))
    sys.stdout.write("" if ms is None else f"{ms}\n")
    return int(ms is None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
