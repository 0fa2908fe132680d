"""Which version of a runtime a board's Python can install: wheels of newer ones are not made for old Pythons.

Read off the wheels' names on the package index, November 2026: https://pypi.org/project/onnxruntime/#files,
https://pypi.org/project/openvino/#files, https://pypi.org/project/ai-edge-litert/#files. TensorRT is no matter of wheels: on a
Jetson it belongs to JetPack.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from packaging.specifiers import SpecifierSet

from edgecnn.values.candidate import Runtime

PythonVersion = tuple[int, int]
Glibc = tuple[int, int]


class Series(NamedTuple):
    """Pythons from ``first`` to ``last``, and the newest version with a wheel for them; None: newer ones are still made."""

    first: PythonVersion
    last: PythonVersion
    newest: str | None


_SERIES: Mapping[Runtime, tuple[Series, ...]] = {
    Runtime.ONNXRUNTIME: (Series((3, 8), (3, 9), "1.19.2"), Series((3, 10), (3, 10), "1.23.2"), Series((3, 11), (3, 14), None)),
    Runtime.OPENVINO: (Series((3, 8), (3, 8), "2024.4.0"), Series((3, 9), (3, 9), "2025.3.0"), Series((3, 10), (3, 14), None)),
    Runtime.LITERT: (Series((3, 10), (3, 14), None),),
}
_GLIBC: Mapping[tuple[Runtime, str], Glibc] = {
    (Runtime.ONNXRUNTIME, "x86_64"): (2, 27),
    (Runtime.ONNXRUNTIME, "aarch64"): (2, 27),
    (Runtime.OPENVINO, "x86_64"): (2, 28),
    (Runtime.OPENVINO, "aarch64"): (2, 35),
    (Runtime.LITERT, "x86_64"): (2, 27),
    (Runtime.LITERT, "aarch64"): (2, 27),
}
"""The oldest C library that the wheels name; onnxruntime above 1.23 names 2.28."""


def series_for(runtime: Runtime, python: PythonVersion) -> Series | None:
    """What this Python can have; None where no wheel is for it, or wheels say nothing of this runtime."""
    return next((each for each in _SERIES.get(runtime, ()) if each.first <= python <= each.last), None)


def oldest_glibc(runtime: Runtime, machine: str) -> Glibc | None:
    """The C library that the wheels need on this machine; None where there are none for it."""
    return _GLIBC.get((runtime, machine))


def pythons_with_wheels(runtime: Runtime, wanted: str) -> tuple[PythonVersion, PythonVersion] | None:
    """The first and last Python for which a version in the wanted range has wheels; None where wheels say nothing."""
    fitting = [each for each in _SERIES.get(runtime, ()) if each.newest is None or SpecifierSet(wanted).contains(each.newest)]
    return (fitting[0].first, fitting[-1].last) if fitting else None


def for_old_pythons(runtime: Runtime, wanted: str) -> str | None:
    """One sentence on what old Pythons get of a runtime in the wanted range; None where wheels say nothing of it."""
    series = _SERIES.get(runtime, ())
    fitting = [each for each in series if each.newest is None or SpecifierSet(wanted).contains(each.newest)]
    if not fitting:
        return None
    old = [f"{_pythons(each)} takes {runtime.value} {each.newest}" for each in fitting if each.newest is not None]
    newest = f"Python {_version(fitting[-1].first)} or newer takes any later one"
    if not old:
        return f"{runtime.value} {wanted} needs Python {_version(fitting[0].first)} or newer."
    return f"{', '.join(old)}, the last with wheels for it; {newest}."


def _pythons(series: Series) -> str:
    first, last = _version(series.first), _version(series.last)
    return f"Python {first}" if first == last else f"Python {first} or {last}"


def _version(version: PythonVersion) -> str:
    return ".".join(map(str, version))
