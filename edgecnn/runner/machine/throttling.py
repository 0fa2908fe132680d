"""Whether the machine slowed itself down during a run: heat, low voltage or high current.

Flags for 'now' are read at the start and at the end. Counters and flags for 'since boot' count by their difference. The result
is None, not 'no', if none of these can be read.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from .procfs import ROOT, listed, read_count, read_text

PI_FLAGS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
"""Bits 0 to 3 of ``get_throttled``: now; bits 16 to 19: since boot. Source: raspberrypi.com, documentation of vcgencmd."""
SINCE_BOOT = 16
_SLOWING = re.compile(r"throttle|cpufreq|devfreq|processor|powerclamp|hot-surface", re.IGNORECASE)
"""Types of /sys/class/thermal/cooling_device* that cool by slowing down, unlike a fan."""


class Throttles(NamedTuple):
    """One reading: a Raspberry Pi's flags, counted events since boot, and the active cooling devices (None: unknown)."""

    flags: Optional[int]
    counters: Dict[str, int]
    cooling: Optional[Tuple[str, ...]]


def read_throttles(root: Path = ROOT) -> Throttles:
    """Take a reading."""
    return Throttles(_pi_flags(root), _counters(root), _active_cooling(root))


def throttled(now: Throttles, before: Optional[Throttles] = None) -> Optional[str]:
    """Return the causes of throttling between two readings, or at the moment of one; ``no``, or None if nothing can be read."""
    if now.flags is None and not now.counters and now.cooling is None:
        return None
    causes = _flag_causes(now, before) + _counter_causes(now, before)
    cooling = sorted({*(now.cooling or ()), *((before.cooling or ()) if before else ())})
    causes += ["cooling by {}".format(name) for name in cooling]
    return ", ".join(causes) or "no"


def _flag_causes(now: Throttles, before: Optional[Throttles]) -> List[str]:
    if now.flags is None:
        return []
    bits = now.flags
    if before is not None and before.flags is not None:
        newly = (now.flags & ~before.flags) >> SINCE_BOOT
        bits = now.flags | before.flags | newly
    return [name for bit, name in enumerate(PI_FLAGS) if bits >> bit & 1]


def _counter_causes(now: Throttles, before: Optional[Throttles]) -> List[str]:
    """Return the counted causes. A processor's cores and package count the same event, so the largest count is returned."""
    if before is None:
        return []
    most: Dict[str, int] = {}
    for name, count in now.counters.items():
        kind = name.partition(":")[0]
        grown = count - before.counters.get(name, count)  # a counter that fell was reset by hotplug
        most[kind] = max(most.get(kind, 0), grown)
    return [
        "{} ({} {})".format(kind, count, "time" if count == 1 else "times") for kind, count in sorted(most.items()) if count > 0
    ]


def _pi_flags(root: Path) -> Optional[int]:
    for path in listed(root / "sys/devices/platform", "*/*firmware/get_throttled"):
        text = read_text(path)
        if text:
            return _hexadecimal(text)
    reply = vcgencmd("get_throttled", root)
    return None if reply.text is None else _hexadecimal(reply.text.partition("=")[2])


def _hexadecimal(text: str) -> Optional[int]:
    try:
        return int(text.strip(), 16)
    except ValueError:
        return None


def _counters(root: Path) -> Dict[str, int]:
    """Return the counters: heat on Intel, over-current and low voltage on a Jetson (soctherm_oc)."""
    counters: Dict[str, int] = {}
    sources = (
        ("too hot", root / "sys/devices/system/cpu", "cpu[0-9]*/thermal_throttle/*_throttle_count"),
        ("over-current or low voltage", root / "sys/class/hwmon", "hwmon*/oc*_event_cnt"),
    )
    for kind, folder, pattern in sources:
        for path in listed(folder, pattern):
            count = read_count(path)
            if count is not None:
                counters["{}:{}".format(kind, path.relative_to(folder))] = count
    return counters


def _active_cooling(root: Path) -> Optional[Tuple[str, ...]]:
    states = []
    for folder in listed(root / "sys/class/thermal", "cooling_device*"):
        kind, state = read_text(folder / "type"), read_text(folder / "cur_state")
        if kind and state and _SLOWING.search(kind):
            states.append((kind, state))
    if not states:
        return None
    return tuple(sorted({kind for kind, state in states if state.isdigit() and int(state) > 0}))


_PLACES = ("usr/bin/vcgencmd", "opt/vc/bin/vcgencmd")
_TIMEOUT_S = 5.0


class Reply(NamedTuple):
    """The output of the command, or the reason why there is none."""

    text: Optional[str]
    why: Optional[str]


def vcgencmd(question: str, root: Path = ROOT) -> Reply:
    """Query a Raspberry Pi's firmware, such as for ``get_throttled``: on newer boards, no file has its readings.

    Args:
        question: the command's only argument.
        root: the folder of ``usr`` and ``opt``.
    """
    command = next((root / place for place in _PLACES if os.access(str(root / place), os.X_OK)), None)
    if command is None:
        return Reply(None, "vcgencmd is not installed: this is not a Raspberry Pi")
    try:
        process = subprocess.run(
            [str(command), question],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Reply(None, "vcgencmd {}: {}".format(question, error))
    text = process.stdout.decode("utf-8", "replace").strip()
    if process.returncode != 0 or not text or text.startswith("error="):
        return Reply(None, "vcgencmd {}: {}".format(question, " ".join(text.split()) or "no answer"))
    return Reply(text, None)
