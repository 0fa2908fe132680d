from __future__ import annotations

from types import SimpleNamespace

import pytest
from packaging.specifiers import SpecifierSet

from edgecnn import installed
from edgecnn.devices.files import load_devices
from edgecnn.installed import why_no_wheel
from edgecnn.runtimes.registry import backend_for, oldest_glibc, pythons_with_wheels, series_for
from edgecnn.values.candidate import Runtime
from tests.house.source_tree import ROOT

ONNXRUNTIME = backend_for(Runtime.ONNXRUNTIME).runtime_packages["onnxruntime"]
OPENVINO = backend_for(Runtime.OPENVINO).runtime_packages["openvino"]


def test_old_pythons_take_old_runtimes() -> None:
    python_3_8, python_3_12 = series_for(Runtime.ONNXRUNTIME, (3, 8)), series_for(Runtime.ONNXRUNTIME, (3, 12))
    assert python_3_8 is not None and python_3_8.newest == "1.19.2"
    assert python_3_12 is not None and python_3_12.newest is None
    assert series_for(Runtime.ONNXRUNTIME, (3, 7)) is series_for(Runtime.TENSORRT, (3, 10)) is None


def test_a_runtime_in_the_wanted_range_bounds_the_pythons() -> None:
    assert pythons_with_wheels(Runtime.ONNXRUNTIME, ONNXRUNTIME) == ((3, 8), (3, 14))
    assert pythons_with_wheels(Runtime.OPENVINO, OPENVINO) == ((3, 10), (3, 14))
    assert pythons_with_wheels(Runtime.TENSORRT, "") is None


@pytest.mark.parametrize(
    ("system", "machine", "python", "why"),
    [
        ("Linux", "aarch64", (3, 14), None),
        ("Linux", "armv7l", (3, 11), "ai-edge-litert has no wheel for Linux on armv7l"),
        ("Darwin", "x86_64", (3, 12), "ai-edge-litert has no wheel for Darwin on x86_64"),
        ("Linux", "x86_64", (3, 15), "ai-edge-litert has no wheel for Python 3.15"),
    ],
)
def test_a_machine_without_a_wheel_is_named(
    system: str, machine: str, python: tuple[int, int], why: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed.platform, "system", lambda: system)
    monkeypatch.setattr(installed.platform, "machine", lambda: machine)
    monkeypatch.setattr(installed, "sys", SimpleNamespace(version_info=(*python, 0)))
    assert why_no_wheel("ai-edge-litert") == why
    assert why_no_wheel("numpy") is None


def test_ncnns_wheels_bound_the_python_and_the_c_library() -> None:
    assert pythons_with_wheels(Runtime.NCNN, backend_for(Runtime.NCNN).runtime_packages["ncnn"]) == ((3, 9), (3, 15))
    oldest = series_for(Runtime.NCNN, (3, 8))
    assert oldest is not None and oldest.newest == "1.0.20260526"
    assert [oldest_glibc(Runtime.NCNN, machine) for machine in ("x86_64", "armv7l")] == [(2, 24), (2, 31)]


@pytest.mark.parametrize("page", ["README.md", "docs/howto/use-a-bundle.md", "docs/howto/use-litert.md"])
def test_pages_say_the_first_python_that_a_kit_needs(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    firsts = {}
    for runtime in (Runtime.NCNN, Runtime.LITERT, Runtime.OPENVINO):
        pythons = pythons_with_wheels(runtime, next(iter(backend_for(runtime).runtime_packages.values())))
        assert pythons is not None
        firsts[runtime] = ".".join(map(str, pythons[0]))
    if page.endswith("use-litert.md"):
        assert f"the kit needs Python {firsts[Runtime.LITERT]} or newer" in text
    else:
        ncnn, litert = firsts[Runtime.NCNN], firsts[Runtime.LITERT]
        assert firsts[Runtime.OPENVINO] == litert
        assert f"({ncnn} for ncnn, {litert} for LiteRT and OpenVINO)" in text


def test_no_device_names_an_older_python_than_the_wheels() -> None:
    for device in load_devices().values():
        for runtime in (Runtime.NCNN, Runtime.LITERT):
            if (facts := device.runtimes.get(runtime)) is not None:
                first = pythons_with_wheels(runtime, facts.versions)
                assert first is not None and not SpecifierSet(facts.python).contains(f"{first[0][0]}.{first[0][1] - 1}"), (
                    device.name
                )


def test_openvinos_wheels_for_arm_need_a_newer_c_library() -> None:
    assert oldest_glibc(Runtime.OPENVINO, "aarch64") == (2, 35)
    assert oldest_glibc(Runtime.ONNXRUNTIME, "riscv64") is None
