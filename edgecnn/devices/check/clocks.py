"""Findings on what makes a figure another machine's: clocks that move, a power mode, throttling, too little voltage."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgecnn.values.board import BoardFacts, Finding, Weight

_RANGE = re.compile(r"\b(cpu|gpu) ([^;]*?) MHz")
_HOT_C = 80.0
"""A Raspberry Pi begins to slow down at 80 °C, a Jetson not far above:
https://www.raspberrypi.com/documentation/computers/raspberry-pi.html#frequency-management-and-thermal-control"""
_SUPPLY = "use the supply that its maker names (Raspberry Pi 5: 27 W, 5 V 5 A) and a short cable"
_COOLING = "cool it: a fan or a heat sink, and a pause before measuring"
_FULL_POWER = ("MAXN", "MAXN_SUPER")


def clock_findings(facts: BoardFacts) -> Iterator[Finding]:
    """What of clocks and power distorts a measurement."""
    yield from _governor(facts)
    yield from _held(facts)
    yield from _power_mode(facts)
    yield from _throttled(facts)
    if facts.temperature_c is not None and facts.temperature_c >= _HOT_C:
        what = f"its hottest sensor says {facts.temperature_c:g} °C before anything ran"
        yield Finding(ref="hot", weight=Weight.DISTORTS, what=what, remedy=_COOLING)


def _governor(facts: BoardFacts) -> Iterator[Finding]:
    if facts.governor is None or facts.governor == "performance" or facts.is_jetson:
        return
    what = f"the governor is {facts.governor}: clocks rise only under load, and the first answers come late"
    remedy = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor (until the next boot)"
    yield Finding(ref="governor", weight=Weight.DISTORTS, what=what, remedy=remedy)


def _held(facts: BoardFacts) -> Iterator[Finding]:
    """``jetson_clocks`` sets every lower limit to the upper one."""
    if not facts.is_jetson or facts.clocks is None:
        return
    moving = [name for name, ranges in _RANGE.findall(facts.clocks) if any(_moves(each) for each in ranges.split())]
    if moving:
        what = f"the clocks of {' and '.join(moving)} may move ({facts.clocks})"
        remedy = "sudo jetson_clocks (until the next boot; `sudo jetson_clocks --store` first, to go back)"
        yield Finding(ref="clocks-move", weight=Weight.DISTORTS, what=what, remedy=remedy)


def _moves(range_: str) -> bool:
    low, _, high = range_.partition("-")
    return low != high


def _power_mode(facts: BoardFacts) -> Iterator[Finding]:
    if facts.is_jetson:
        if facts.power_mode is None:
            what = "its power mode cannot be read, and a figure belongs to one"
            yield Finding(ref="power-mode-unknown", weight=Weight.DISTORTS, what=what, remedy="sudo nvpmodel -q")
        elif facts.power_mode_name not in _FULL_POWER:
            name = facts.power_mode_name or facts.power_mode
            what = f"the power mode is {name}: figures belong to it, and are never joined with another mode's"
            remedy = "`sudo nvpmodel -q --verbose` lists the modes, `sudo nvpmodel -m NUMBER` sets one"
            yield Finding(ref="power-mode", weight=Weight.NOTES, what=what, remedy=remedy)
    elif facts.power_mode is not None and ("no_turbo:1" in facts.power_mode or "low-power" in facts.power_mode):
        what = f"it is told to save power ({facts.power_mode})"
        remedy = "powerprofilesctl set performance, or echo 0 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"
        yield Finding(ref="power-saved", weight=Weight.DISTORTS, what=what, remedy=remedy)


def _throttled(facts: BoardFacts) -> Iterator[Finding]:
    if facts.throttled not in (None, "no"):
        remedy = _SUPPLY if "voltage" in str(facts.throttled) else _COOLING
        what = f"it slows itself down now: {facts.throttled}"
        yield Finding(ref="throttled", weight=Weight.DISTORTS, what=what, remedy=remedy)
    elif facts.throttled_since_boot:
        since = ", ".join(facts.throttled_since_boot)
        remedy = _SUPPLY if "under-voltage" in facts.throttled_since_boot else _COOLING
        yield Finding(
            ref="throttled-before", weight=Weight.NOTES, what=f"it slowed itself down since boot: {since}", remedy=remedy
        )
