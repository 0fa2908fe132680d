"""What ncnn offers, what its converter may do wrong, and what its trace says."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import onnx
import pytest

from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.devices import CONVERTER_FAILED, LAYER_NOT_CONVERTED
from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.runtimes import ncnn
from edgecnn.runtimes.ncnn import BACKEND, residency_of
from edgecnn.values.candidate import Candidate, Precision, Unsupported
from edgecnn.values.layers import LayerMacs, MacTable
from tests.runner.kits import CLASSES, SIDE, network

FP32 = next(offer for offer in BACKEND.supports(device_named("cpu")) if isinstance(offer, Candidate))
WHOLE = """7767517
3 3
Input in0 0 1 in0
Convolution conv_0 1 1 in0 1 0=10 1=3
{kind} last_1 1 1 1 out0
"""


def test_fp16_is_for_processors_that_multiply_it_with_every_format_named() -> None:
    there = {offer.id: offer for offer in BACKEND.supports(device_named("raspberry-pi-5")) if isinstance(offer, Candidate)}
    assert {name for name, on in there["ncnn-fp16"].session_options.items() if on == "1"} == {
        "use_fp16_arithmetic", "use_fp16_packed", "use_fp16_storage",
    }  # fmt: skip
    assert there["ncnn-fp16"].session_options.keys() == FP32.session_options.keys()
    refused = {
        offer.precision: offer.why for offer in BACKEND.supports(device_named("raspberry-pi-4")) if isinstance(offer, Unsupported)
    }
    assert "Cortex-A72" in refused[Precision.FP16] and "no half-precision arithmetic" in refused[Precision.FP16]


def test_only_fp32_is_supported_elsewhere_and_the_rest_has_a_reason() -> None:
    supported = BACKEND.supports(device_named("cpu"))
    assert [offer.id for offer in supported if isinstance(offer, Candidate)] == ["ncnn-fp32"]
    assert FP32.session_options == {
        "use_bf16_packed": "0",
        "use_bf16_storage": "0",
        "use_fp16_arithmetic": "0",
        "use_fp16_packed": "0",
        "use_fp16_storage": "0",
    }
    refused = {offer.precision: offer.why for offer in supported if isinstance(offer, Unsupported)}
    assert refused.keys() == {Precision.FP16, Precision.BF16, Precision.INT8}
    assert refused[Precision.INT8] == "its wheels lack the calibration tools ncnn2table and ncnn2int8"


@pytest.fixture
def converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program that converts; it is the test's to write."""
    program = tmp_path / "pnnx"
    monkeypatch.setattr(ncnn, "pnnx_program", lambda: program)
    return program


@pytest.fixture
def trunk(tmp_path: Path) -> Path:
    path = tmp_path / "trunk.onnx"
    onnx.save(network(), path)
    return path


def says(program: Path, code: str) -> None:
    program.write_text(f"#!{sys.executable}\n{code}\n")
    program.chmod(0o755)


def test_a_converter_that_crashes_fails_this_candidate_with_its_last_words(converter: Path, trunk: Path, tmp_path: Path) -> None:
    says(converter, "import os, signal\nprint('pass_ncnn', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(EdgecnnError, check=CONVERTER_FAILED.made) as caught:
        BACKEND.convert(trunk, FP32, tmp_path)
    assert caught.value.because == "signal SIGKILL; its last output: pass_ncnn"
    assert not (tmp_path / "model.json").exists()


def test_a_converter_that_leaves_nothing_is_no_success(converter: Path, trunk: Path, tmp_path: Path) -> None:
    says(converter, "print('unsupported file')")
    with pytest.raises(EdgecnnError, check=CONVERTER_FAILED.made) as caught:
        BACKEND.convert(trunk, FP32, tmp_path)
    assert caught.value.because == "unsupported file"


def test_a_layer_that_ncnn_lacks_is_named_before_a_device_refuses_it(converter: Path, trunk: Path, tmp_path: Path) -> None:
    text = WHOLE.format(kind="aten::erf")
    says(converter, f"open('model.param', 'w').write({text!r})\nopen('model.bin', 'w').write('x')")
    with pytest.raises(EdgecnnError, check=LAYER_NOT_CONVERTED.made) as caught:
        BACKEND.convert(trunk, FP32, tmp_path)
    fields = caught.value.fields
    assert (fields["layer"], fields["name"], fields["candidate"]) == ("aten::erf", "last_1", "ncnn-fp32")


def test_a_model_says_its_classes_its_ends_and_what_it_is_fed(converter: Path, trunk: Path, tmp_path: Path) -> None:
    text = WHOLE.format(kind="Noop")
    says(
        converter,
        f"import sys\nassert 'inputshape=[1,3,{SIDE},{SIDE}]f32' in sys.argv and 'fp16=0' in sys.argv\n"
        f"open('model.param', 'w').write({text!r})\nopen('model.bin', 'w').write('x')",
    )
    BACKEND.convert(trunk, FP32, tmp_path)
    document = json.loads((tmp_path / "model.json").read_text())
    assert (document["model"]["input"]["name"], document["model"]["output"]) == ("in0", {"name": "out0", "classes": CLASSES})
    assert document["model"]["files"] == ["model.bin", "model.param"]
    assert document["requirements"]["packages"] == {"ncnn": ">=1.0.20261020,<2"}


MACS = MacTable(
    resolution_px=8,
    layers=(
        LayerMacs(name="stem", op="Conv", macs=27 * 8 * 64, outputs=("a",)),
        LayerMacs(name="head", op="Gemm", macs=80, outputs=("b",)),
    ),
)


def port(*shape: int, bits: int = 32) -> dict[str, Any]:
    return {"bits": bits, "shape": list(shape)}


def trace(folder: Path, **conv: Any) -> Path:
    layers = [
        {"name": "in0", "type": "Input", "time_us": 1.0, "inputs": [], "outputs": [port(3, 8, 8)], "settings": {}},
        {
            "name": "conv_0", "type": "Convolution", "time_us": 30.0, "inputs": [port(3, 8, 8)], "outputs": [port(8, 8, 8)],
            "settings": {"0": "8", "5": "1", "6": "216"}, **conv,
        },
        {"name": "flat", "type": "Reshape", "time_us": 0.0, "inputs": [port(8)], "outputs": [port(8)], "settings": {}},
        {
            "name": "linear_0", "type": "InnerProduct", "time_us": 10.0, "inputs": [port(8)], "outputs": [port(10)],
            "settings": {"0": "10", "1": "1", "2": "80"},
        },
    ]  # fmt: skip
    (folder / "layers.json").write_text(json.dumps(layers))
    return folder


def test_layers_of_floats_multiply_in_fp32_and_their_bytes_are_counted(tmp_path: Path) -> None:
    residency = residency_of(trace(tmp_path), MACS)
    assert residency.mac_share == {"fp32": 1.0}
    assert residency.time_share == {"fp32": 1.0}
    assert [(layer.name, layer.onnx_nodes) for layer in residency.layers if layer.macs] == [
        ("conv_0", ("stem",)),
        ("linear_0", ("head",)),
    ]
    assert residency.moved_bytes == 4 * (3 * 64 + 8 * 64 + 216 + 8) + 4 * (8 + 10 + 80 + 10)


HALVES = {"outputs": [port(8, 8, 8, bits=16)]}


def test_a_layer_that_writes_halves_where_they_are_computed_in_multiplies_in_fp16(tmp_path: Path) -> None:
    residency = residency_of(trace(tmp_path, **HALVES, sixteen_bits="fp16"), MACS)
    assert residency.mac_share == {"fp16": pytest.approx(27 * 8 * 64 / MACS.total), "fp32": pytest.approx(80 / MACS.total)}
    assert residency.moved_bytes == 4 * 3 * 64 + 2 * (8 * 64 + 216 + 8) + 4 * (8 + 10 + 80 + 10)


SCALED = {"settings": {"0": "8", "6": "216", "8": "2"}}


@pytest.mark.parametrize("conv", [HALVES, SCALED], ids=["16 bits", "INT8 scales"])
def test_of_a_layer_that_does_not_say_so_nothing_is_claimed(tmp_path: Path, conv: dict[str, Any]) -> None:
    residency = residency_of(trace(tmp_path, **conv), MACS)
    assert residency.mac_share["unknown"] == pytest.approx(27 * 8 * 64 / MACS.total)
    assert residency.byte_share is None and "conv_0" in (residency.bytes_absent or "")


def test_a_layer_with_other_multiply_adds_joins_none(tmp_path: Path) -> None:
    residency = residency_of(trace(tmp_path, outputs=[port(8, 4, 4)]), MACS)
    assert residency.mac_share["unknown"] == pytest.approx(27 * 8 * 64 / MACS.total)


def test_a_trace_without_layers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "layers.json").write_text("[]")
    with pytest.raises(EdgecnnError, check=TRACE_UNREADABLE.made):
        residency_of(tmp_path, MACS)


@pytest.mark.parametrize(
    ("on", "numbers"),
    [
        (("use_fp16_storage", "use_fp16_arithmetic"), "fp16"),
        (("use_fp16_storage",), None),
        (("use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"), None),
        ((), None),
    ],
)
def test_16_bits_are_fp16_where_that_is_stored_and_computed_in_and_nothing_else_is(
    on: tuple[str, ...], numbers: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ncnn", ModuleType("ncnn"))
    monkeypatch.delitem(sys.modules, "edgecnn.runner.sessions.ncnn_cpu", raising=False)
    session = import_module("edgecnn.runner.sessions.ncnn_cpu")
    monkeypatch.delitem(sys.modules, "edgecnn.runner.sessions.ncnn_cpu")
    switches = ("use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")
    assert session._sixteen_bits(SimpleNamespace(**{name: name in on for name in switches})) == numbers
