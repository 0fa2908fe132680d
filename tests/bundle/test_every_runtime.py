"""A bundle may carry kits of every runtime that ships, and each kind of model is looked into before it is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.bundle.contents import tensor_fault
from edgecnn.runtimes.registry import backend_for
from edgecnn.values.candidate import Runtime
from tests.bundle.sealed import verified, with_kit
from tests.bundle.test_opening import refusal
from tests.runner.kits import rewrite_manifest
from tests.runner.model_files.test_tflite import changed, litert_kit, reading
from tests.runner.model_files.tflite_files import sum_network, tflite_file

FILES = {
    Runtime.ONNXRUNTIME: ("model.onnx",),
    Runtime.OPENVINO: ("model.xml", "model.bin"),
    Runtime.TENSORRT: ("model.onnx",),
    Runtime.NCNN: ("model.param", "model.bin"),
    Runtime.LITERT: ("model.tflite",),
    Runtime.WASM: ("model.onnx",),
    Runtime.WEBGPU: ("model.onnx",),
}
WHOLE = """7767517
3 3
Input in0 0 1 in0
Convolution conv_0 1 1 in0 1 0=10 1=3 5=1 6=270
{layer} 1 1 1 out0
"""
CONTENT = {
    ".tflite": tflite_file(sum_network()),
    ".param": WHOLE.format(layer="InnerProduct last_1").encode(),
    ".xml": b'<?xml version="1.0"?><net><layers/></net>',
    ".bin": bytes(1080),
}


def turned_into(kit: Path, runtime: Runtime) -> None:
    """The kit's model is another runtime's, as far as anybody sees who does not run it."""
    entry, *beside = FILES[runtime]
    model = (kit / "model.onnx").read_bytes()
    (kit / "model.onnx").unlink()
    for name in (entry, *beside):
        (kit / name).write_bytes(CONTENT.get(Path(name).suffix, model))

    def described(facts: dict[str, dict[str, object]]) -> None:
        facts["session"] = {"module": backend_for(runtime).session_module, "options": {}}
        facts["model"].update(entry=entry, files=[entry, *beside])

    rewrite_manifest(kit, described)


@pytest.mark.parametrize("runtime", [each for each in Runtime if each.ships])
def test_a_bundle_with_a_kit_of_any_runtime_is_whole(bundle: Path, runtime: Runtime) -> None:
    assert verified(with_kit(bundle, lambda kit: turned_into(kit, runtime))).contents.unchecked == ()


@pytest.mark.parametrize(
    "content, because",
    [
        (b"GIF89a" + bytes(20), "it is not a TensorFlow Lite model"),
        *(
            (changed(reading(file)), f"it reads weights from another file, '{file}'")
            for file in ("/etc/passwd", "../x", "bundle.json")
        ),
    ],
)
def test_a_bundle_with_a_model_of_litert_that_must_not_be_opened_is_not_whole(bundle: Path, content: bytes, because: str) -> None:
    assert "[bundle-model-refused]" in refusal(with_kit(bundle, lambda kit: litert_kit(kit, content) and None))


@pytest.mark.parametrize(
    "content, because",
    [
        (WHOLE.format(layer="InnerProduct last_1"), ""),
        (WHOLE.format(layer="InnerProduct last_1").replace("7767517", "7767518"), "it is not an ncnn network"),
        (WHOLE.format(layer="InnerProduct last_1").replace("3 3", "2000000000 3"), "it is not an ncnn network"),
        ("7767517", "it is not an ncnn network"),
        ("", "it is not an ncnn network"),
        ("\xff", "it is not an ncnn network"),
        (
            WHOLE.format(layer="InnerProduct last_1").replace("6=270", "6=2000000000"),
            "layer Convolution would take 2,000,000,000 numbers, and the weights file has 1,080 bytes",
        ),
        (
            "7767517\n1 1\nMemoryData grow 0 1 out0 0=60000 1=60000\n",
            "layer MemoryData would take 3,600,000,000 numbers, and the weights file has 1,080 bytes",
        ),
    ],
)
def test_a_network_of_ncnn_that_asks_for_more_than_it_has_is_not_opened(content: str, because: str) -> None:
    assert tensor_fault("model.param", content.encode("latin-1"), {"model.bin": 1080}) == because
