"""Inferences without a pause, in windows with sensor readings: heat builds up slowly and lowers clocks.

Only the sensor readings between windows interrupt, for milliseconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

from ..machine.procfs import ROOT
from ..machine.sensors import observe, opening

OBSERVED = (
    "throttled",
    "temperature_c",
    "frequency_mhz",
    "gpu_frequency_mhz",
    "emc_frequency_mhz",
    "others_percent",
    "steal_percent",
)
"""Readings that may explain a slower window."""
Timed = Callable[[int, int], List[int]]


def soak(timed: Timed, seconds: float, window_s: float, root: Path = ROOT) -> Dict[str, Any]:
    """Run windows of inferences.

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
        before, began = opening(root), time.monotonic()
        times = timed(sys.maxsize, int(min(left_s, window_s) * 1e9))
        took = time.monotonic() - began
        readings = observe(root, since=before)
        observed = {name: readings[name] for name in OBSERVED if name in readings}
        windows.append({"began_s": began - start, "seconds": took, "samples": len(times), "observed": observed})
        samples += times
        left_s = seconds - (time.monotonic() - start)
    return {"samples_ns": samples, "windows": windows}
