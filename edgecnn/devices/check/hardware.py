"""Findings on accelerators and their software, on what this user may touch, and on clocks and power that distort a figure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgecnn.devices.check.needs import Needs, fits, installed
from edgecnn.values.board import BoardFacts, Finding, Weight
from edgecnn.values.candidate import Runtime

_RELEASES = {
    "R32": "JetPack 4",
    "R34": "JetPack 5",
    "R35": "JetPack 5",
    "R36": "JetPack 6",
    "R38": "JetPack 7",
    "R39": "JetPack 7",
}
"""https://developer.nvidia.com/embedded/jetpack-archive"""
_TENSORRT_APT = "sudo apt-get install nvidia-jetpack, then run kits with the system's own python3"


def accelerator_findings(facts: BoardFacts, needs: Needs) -> Iterator[Finding]:
    """What of GPU, its software and permissions stands in the way."""
    if Runtime.TENSORRT in needs.runtimes:
        yield from _tensorrt(facts, needs.runtimes[Runtime.TENSORRT])
    yield from _nodes(facts)
    yield from _meters(facts)


def _tensorrt(facts: BoardFacts, wanted: str) -> Iterator[Finding]:
    version = installed(facts, Runtime.TENSORRT)
    if version is None:
        yield _no_tensorrt(facts, wanted)
    elif not fits(version, wanted):
        what = f"its TensorRT is {version}{_of_jetpack(facts)}, and kits need {wanted}"
        remedy = "flash a JetPack that has it, or build for this one: `edgecnn devices add NAME` writes what is here"
        yield Finding(ref="tensorrt-version", weight=Weight.STOPS, what=what, remedy=remedy if facts.is_jetson else None)
    if facts.is_jetson and facts.cuda is None:
        what = "no CUDA is in /usr/local/cuda, and TensorRT needs its libcudart"
        yield Finding(ref="cuda-missing", weight=Weight.STOPS, what=what, remedy="sudo apt-get install nvidia-jetpack")


def _no_tensorrt(facts: BoardFacts, wanted: str) -> Finding:
    if not facts.is_jetson:
        return Finding(
            ref="tensorrt-missing", weight=Weight.STOPS, what="TensorRT is missing", remedy=f"pip install 'tensorrt{wanted}'"
        )
    if facts.python.in_environment:
        what = (
            "this Python does not see TensorRT: JetPack installs it for the system's Python, and a virtual environment hides it"
        )
        remedy = "--python /usr/bin/python3, or make the environment with --system-site-packages"
        return Finding(ref="tensorrt-hidden", weight=Weight.STOPS, what=what, remedy=remedy)
    what = f"TensorRT is missing{_of_jetpack(facts)}: the system was flashed without its libraries"
    return Finding(ref="tensorrt-missing", weight=Weight.STOPS, what=what, remedy=_TENSORRT_APT)


def _of_jetpack(facts: BoardFacts) -> str:
    if facts.jetpack is not None:
        return f" (JetPack {facts.jetpack})"
    release = (facts.l4t or "").partition(" ")[0]
    return f" ({_RELEASES[release]})" if release in _RELEASES else ""


def _nodes(facts: BoardFacts) -> Iterator[Finding]:
    closed = sorted(name for name, usable in facts.nodes.items() if not usable)
    if closed:
        what = f"this user may not use /{', /'.join(closed)}, so that a GPU or NPU stays idle"
        remedy = "sudo usermod -aG render,video $USER, then log in again"
        yield Finding(ref="accelerator-closed", weight=Weight.NOTES, what=what, remedy=remedy)


def _meters(facts: BoardFacts) -> Iterator[Finding]:
    powercap = [name for name in facts.refused_meters if name.startswith("sys/class/powercap") and name.endswith("energy_uj")]
    rails = [name for name in facts.refused_meters if "ina3221" in name]
    if powercap:
        what = "the processor counts its energy, and this user may not read it: energy stays unmeasured"
        remedy = "sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj (lasts until the next boot)"
        yield Finding(ref="energy-closed", weight=Weight.NOTES, what=what, remedy=remedy)
    if rails:
        what = "the module's supply rails may not be read by this user: energy stays unmeasured"
        remedy = f"sudo chmod a+r /{rails[0].rpartition('/')[0]}/* (lasts until the next boot)"
        yield Finding(ref="rails-closed", weight=Weight.NOTES, what=what, remedy=remedy)


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
    found = [(name, [each.partition("-") for each in ranges.split()]) for name, ranges in _RANGE.findall(facts.clocks)]
    moving = [name for name, ranges in found if any(low != high for low, _, high in ranges)]
    if moving:
        what = f"the clocks of {' and '.join(moving)} may move ({facts.clocks})"
        remedy = "sudo jetson_clocks (until the next boot; `sudo jetson_clocks --store` first, to go back)"
        yield Finding(ref="clocks-move", weight=Weight.DISTORTS, what=what, remedy=remedy)


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
