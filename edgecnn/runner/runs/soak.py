"""Inferences without a pause, window by window, with what the machine did in each: heat comes slowly, and with it a lower clock.

Between two windows the sensors are read, which takes milliseconds; nothing else interrupts.
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
"""What may explain why a window is slower than another."""
Timed = Callable[[int, int], List[int]]


def soak(timed: Timed, seconds: float, window_s: float, root: Path = ROOT) -> Dict[str, Any]:
    """Run for so long.

    Args:
        timed: nanoseconds of each call, of so many calls or as many as begin within so many nanoseconds.
        seconds: of all windows together; the last is shorter where they do not go in evenly, and left out below half a window.
        window_s: of each.
        root: where ``proc`` and ``sys`` are.

    Returns:
        ``samples_ns`` of all windows one after the other, and ``windows``: when each began, how long it took, how many samples
        are its own and what was observed in it.
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
