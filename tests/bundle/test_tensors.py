"""Models that name weights outside their kit, and arrays of an impossible shape, are refused before they are opened."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgecnn.bundle.contents import tensor_fault
from tests.bundle.sealed import KIT_FOLDER, verified, with_kit
from tests.bundle.test_opening import refusal
from tests.runner.model_files.test_onnx_files import EXTERNAL_DATA, respelled, varint, weights_elsewhere

MODEL = f"{KIT_FOLDER}/model.onnx"


def edited(change: Callable[[onnx.ModelProto], object]) -> Callable[[Path], None]:
    def edit(kit: Path) -> None:
        model = onnx.load(kit / "model.onnx")
        change(model)
        (kit / "model.onnx").write_bytes(model.SerializeToString())

    return edit


def external(**said: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in said.items():
            tensor.external_data.add(key=key, value=value)

    return change


@pytest.mark.parametrize(
    "change, because",
    [
        (external(location="/etc/passwd"), "its weights are in '/etc/passwd', which is not a file of the kit"),
        (external(location="../../secret"), "its weights are in '../../secret', which is not a file of the kit"),
        (external(location="kit.json"), "its weights are in 'kit.json', which is not a file of the kit"),
    ],
)
def test_a_model_that_says_what_cannot_be_is_not_opened(
    bundle: Path, change: Callable[[onnx.ModelProto], object], because: str
) -> None:
    assert "[bundle-model-refused]" in refusal(with_kit(bundle, edited(change)))


def test_weights_in_a_file_of_the_kit_are_no_fault(bundle: Path) -> None:
    def apart(kit: Path) -> None:
        onnx.save(
            onnx.load(kit / "model.onnx"), kit / "model.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
        )

    assert verified(with_kit(bundle, apart)).contents.kits


def test_a_model_that_is_none_is_refused(bundle: Path) -> None:
    said = refusal(with_kit(bundle, lambda kit: (kit / "model.onnx").write_bytes(b"\xff" * 99) and None))
    assert "[bundle-model-refused]" in said


def test_a_bundle_whose_model_hides_the_name_of_another_file_is_refused(bundle: Path) -> None:
    hidden = b"\xea\x80\x80\x80\x10"
    content = weights_elsewhere("initializer", "/etc/passwd").SerializeToString()
    external = ("tensor", EXTERNAL_DATA)
    content = respelled(content, "model", lambda kind, key: hidden if (kind, key) == external else varint(key))
    line = refusal(with_kit(bundle, lambda kit: (kit / "model.onnx").write_bytes(content) and None))
    assert "[bundle-model-refused]" in line
    assert line.endswith("[bundle-model-refused]")


def array_file(header: str) -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content, because",
    [
        (
            array_file("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 4)}"),
            "it has the shape [99999999999, 4], and 0 bytes",
        ),
        (array_file("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"), "it holds Python objects, which may run code"),
        (b"pickle", "it is not a NumPy array ("),
    ],
)
def test_an_array_that_says_what_cannot_be_is_not_opened(bundle: Path, content: bytes, because: str) -> None:
    said = refusal(with_kit(bundle, lambda kit: (kit / "golden" / "logits.npy").write_bytes(content) and None))
    assert "[bundle-model-refused]" in said


def test_an_array_of_a_later_format_is_read(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.zeros((2, 3), np.float32), version=(2, 0))
    assert tensor_fault("x.npy", stream.getvalue(), {}) == ""
