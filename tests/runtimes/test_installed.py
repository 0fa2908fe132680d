import subprocess
import sys

import pytest

from edgecnn import installed
from edgecnn.errors.base import ExitCode
from edgecnn.errors.weights import MissingPackage
from edgecnn.installed import installed_version, lacking, require_packages


def test_a_missing_package_names_the_pip_line_that_brings_it() -> None:
    with pytest.raises(MissingPackage) as caught:
        require_packages(["numpy", "no-such-distribution"], extra="openvino", needed_for="openvino-int8")
    assert caught.value.line() == (
        "openvino-int8 needs the package no-such-distribution, which is not installed — "
        'pip install "edgecnn[openvino]" [missing-package]'
    )
    assert caught.value.exit_code is ExitCode.MISSING


def test_installed_packages_pass() -> None:
    require_packages(["numpy", "pillow"], extra="train", needed_for="anything")
    assert installed_version("no-such-distribution") is None


def test_a_package_without_a_wheel_is_one_reason_without_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "installed_version", lambda _: None)
    assert lacking(("no-such-distribution",), "litert") == (
        "no-such-distribution is not installed",
        'pip install "edgecnn[litert]"',
    )
    monkeypatch.setattr(installed, "why_no_wheel", lambda name: f"{name} has no wheel for Linux on armv7l")
    assert lacking(("ai-edge-litert", "litert-quantizer"), "litert") == ("ai-edge-litert has no wheel for Linux on armv7l", None)
    with pytest.raises(MissingPackage) as caught:
        require_packages(("ai-edge-litert",), extra="litert", needed_for="litert-fp32")
    assert caught.value.line() == (
        "litert-fp32 needs the package ai-edge-litert, which is not installed: "
        "ai-edge-litert has no wheel for Linux on armv7l [missing-package]"
    )


def test_asking_every_backend_imports_no_runtime() -> None:
    code = (
        "import sys; from edgecnn.runtimes.registry import every_backend; every_backend();"
        "import edgecnn.stages.trunk, edgecnn.stages.candidate;"
        "print([m for m in ('torch', 'onnx', 'onnxruntime', 'openvino', 'nncf', 'tensorrt') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_openvino_is_imported_without_its_telemetry() -> None:
    code = (
        "import sys; from edgecnn.runtimes.openvino import import_openvino; import_openvino();"
        "print([m for m, loaded in sys.modules.items() if m.startswith('openvino_telemetry') and loaded])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
