"""Findings on JetPack with its TensorRT and CUDA, and on what this user may touch: accelerators and counters of energy."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from edgecnn.devices.check.needs import Needs
from edgecnn.devices.check.python import installed
from edgecnn.values.board import BoardFacts, Finding, Weight
from edgecnn.values.candidate import Runtime

_RELEASES = {"R32": "JetPack 4", "R34": "JetPack 5", "R35": "JetPack 5", "R36": "JetPack 6", "R38": "JetPack 7"}
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
    elif not _fits(version, wanted):
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


def _fits(version: str, wanted: str) -> bool:
    try:
        return SpecifierSet(wanted).contains(Version(version.partition(".nv")[0]), prereleases=True)
    except InvalidVersion:
        return False


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
