"""A bundle may carry kits of every runtime that ships, and each kind of model is looked into before it is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.runtimes.registry import backend_for
from edgecnn.values.candidate import Runtime
from tests.bundle.sealed import verified, with_kit
from tests.runner.kits import rewrite_manifest

FILES = {
    Runtime.ONNXRUNTIME: ("model.onnx",),
    Runtime.OPENVINO: ("model.xml", "model.bin"),
    Runtime.TENSORRT: ("model.onnx",),
    Runtime.NCNN: ("model.param", "model.bin"),
    Runtime.LITERT: ("model.tflite",),
    Runtime.WASM: ("model.onnx",),
    Runtime.WEBGPU: ("model.onnx",),
}
CONTENT = {
    ".tflite": b"a network",
    ".param": b"a network",
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
    assert verified(with_kit(bundle, lambda kit: turned_into(kit, runtime))).contents.kits
