"""Models and arrays that say of their tensors what cannot be: refused before a runtime or NumPy asks for memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgecnn.bundle import contents
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


def attribute(tensor: onnx.TensorProto) -> Callable[[onnx.ModelProto], None]:
    """A tensor inside a branch of an If, where a glance at the initializers does not see it."""
    inner = helper.make_graph([helper.make_node("Constant", [], ["x"], value=tensor)], "branch", [], [])
    node = helper.make_node("If", ["no"], ["x"], then_branch=inner, else_branch=inner)
    return lambda model: model.graph.node.append(node)


def filled(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("vast", TensorProto.INT64, [2], [1 << 20, 1 << 20]))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["vast"], ["v"], name="grow"))


def filled_by_a_constant(**value: Any) -> Callable[[onnx.ModelProto], None]:
    """Its tensor has no name, or another one than what the node puts out."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node("Constant", [], ["vast"], **value))
        model.graph.node.append(helper.make_node("ConstantOfShape", ["vast"], ["v"], name="grow"))

    return change


def sparse(shape: list[int], *, inside: bool = False) -> Callable[[onnx.ModelProto], None]:
    """One number and one place in it, and a shape for all that lies between."""
    values = helper.make_tensor("thin", TensorProto.FLOAT, [1], [1.0])
    tensor = helper.make_sparse_tensor(values, helper.make_tensor("", TensorProto.INT64, [1], [0]), shape)
    node = helper.make_node("Constant", [], ["dense"], sparse_value=tensor)
    return lambda model: model.graph.node.append(node) if inside else model.graph.sparse_initializer.append(tensor)


SHAPE = helper.make_tensor("", TensorProto.INT64, [2], [1 << 20, 1 << 20])
FOUR_BITS = TensorProto(name="q", dims=[5], data_type=TensorProto.INT4, raw_data=b"ab")
HUGE = TensorProto(name="big", dims=[1 << 20, 1 << 20], data_type=TensorProto.FLOAT)


@pytest.mark.parametrize(
    "change, because",
    [
        (external(location="/etc/passwd"), "its tensor 'w0' is in '/etc/passwd', which is not a file of the kit"),
        (external(location="../../secret"), "its tensor 'w0' is in '../../secret', which is not a file of the kit"),
        (external(), "its tensor 'w0' is in '', which is not a file of the kit"),
        (external(location="kit.json"), "its tensor 'w0' is in 'kit.json', which is not a file of the kit"),
        (
            external(location="golden/card.png", offset="0", length=str(1 << 40)),
            "its tensor 'w0' is outside the 227 bytes of golden/card.png",
        ),
        (
            external(location="golden/card.png", offset="-1"),
            "its tensor 'w0' is outside the 227 bytes of golden/card.png",
        ),
        (lambda model: model.graph.initializer.append(HUGE), "its tensor 'big' would take 4,398,046,511,104 bytes"),
        (
            lambda model: model.graph.initializer[0].dims.__setitem__(0, -1),
            "its tensor 'w0' has the shape [-1, 3, 3, 3]",
        ),
        (
            lambda model: model.graph.initializer[0].dims.__setitem__(0, 9),
            "its tensor 'w0' would take 972 bytes, and has 864",
        ),
        (
            lambda model: model.graph.initializer.append(TensorProto(name="n", dims=[9], data_type=1, float_data=[1.0])),
            "its tensor 'n' has the shape [9], and 1 numbers",
        ),
        (
            lambda model: setattr(model.graph.initializer[0], "data_type", 99),
            "its tensor 'w0' is of the unknown type 99",
        ),
        (attribute(HUGE), "its tensor 'big' would take 4,398,046,511,104 bytes"),
        (
            filled_by_a_constant(value=SHAPE),
            "its ConstantOfShape 'grow' would make a tensor of the shape [1048576, 1048576]",
        ),
        (
            filled_by_a_constant(value_ints=[1 << 20, 1 << 20]),
            "its ConstantOfShape 'grow' would make a tensor of the shape [1048576, 1048576]",
        ),
        (
            filled_by_a_constant(value_int=1 << 40),
            "its ConstantOfShape 'grow' would make a tensor of the shape [1099511627776]",
        ),
        (sparse([1 << 20, 1 << 20]), "its sparse tensor 'thin' would take 4,398,046,511,104 bytes"),
        (sparse([1 << 20, 1 << 20], inside=True), "its sparse tensor 'thin' would take 4,398,046,511,104 bytes"),
        (sparse([-1]), "its sparse tensor 'thin' has the shape [-1]"),
        (lambda model: model.graph.initializer.append(FOUR_BITS), "its tensor 'q' would take 3 bytes, and has 2"),
        (
            lambda model: model.graph.initializer.append(TensorProto(name="n", dims=[4], data_type=7, float_data=[1, 2, 3, 4])),
            "its tensor 'n' has the shape [4], and 0 numbers",
        ),
        (filled, "its ConstantOfShape 'grow' would make a tensor of the shape [1048576, 1048576]"),
    ],
)
def test_a_model_that_says_what_cannot_be_is_not_opened(
    bundle: Path, change: Callable[[onnx.ModelProto], object], because: str
) -> None:
    assert "[bundle-model-refused]" in refusal(with_kit(bundle, edited(change)))


@pytest.mark.parametrize("data_type", [TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1])
@pytest.mark.parametrize("raw", [True, False])
def test_an_odd_number_of_packed_elements_is_no_fault(bundle: Path, data_type: int, raw: bool) -> None:
    tensor = helper.make_tensor("q", data_type, [5], b"abc" if raw else [1, 2, 1, 2, 1], raw=raw)
    assert verified(with_kit(bundle, edited(lambda model: model.graph.initializer.append(tensor)))).contents.kits


def test_weights_in_a_file_of_the_kit_are_no_fault(bundle: Path) -> None:
    def apart(kit: Path) -> None:
        onnx.save(
            onnx.load(kit / "model.onnx"), kit / "model.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
        )

    assert verified(with_kit(bundle, apart)).contents.unchecked == ()


def test_a_model_that_is_none_is_refused(bundle: Path) -> None:
    said = refusal(with_kit(bundle, lambda kit: (kit / "model.onnx").write_bytes(b"\xff" * 99) and None))
    assert "[bundle-model-refused]" in said


def test_without_onnx_the_command_warns_that_tensor_sizes_were_not_checked(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "installed_version", lambda _: None)
    assert verified(bundle).facts.warnings[:1] == (f"tensor sizes of {MODEL} were not checked: pip install onnx",)


def test_without_onnx_a_model_that_reads_another_file_is_refused_all_the_same(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "installed_version", lambda _: None)
    said = refusal(with_kit(bundle, edited(external(location="/etc/passwd"))))
    assert "its weights are in '/etc/passwd', which is not a file of the kit" in said


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


def ir(**data: str) -> bytes:
    said = " ".join(f'{key}="{value}"' for key, value in data.items())
    return f'<?xml version="1.0"?><net><layers><layer type="Const"><data {said}/></layer></layers></net>'.encode()


@pytest.mark.parametrize(
    "content, because",
    [
        (ir(element_type="f32", shape="2, 3", offset="0", size="24"), ""),
        (
            ir(element_type="f32", shape="2, 3", offset="80", size="24"),
            "a constant of the shape [2, 3] is outside the 100 bytes of the weights file",
        ),
        (
            ir(element_type="f32", shape="1048576, 1048576", offset="0", size="24"),
            "a constant of the shape [1048576, 1048576] is outside the 100 bytes of the weights file",
        ),
        *(
            (
                ir(element_type=kind, shape="50", offset="0", size="8"),
                "a constant of the shape [50] is outside the 100 bytes of the weights file",
            )
            for kind in ("i8", "u8", "boolean", "i4")
        ),
        (ir(element_type="u4", shape="5", offset="0", size="3"), ""),
        (
            ir(element_type="f32", shape="", offset="-8", size="4"),
            "a constant has invalid attributes: \"{'element_type': 'f32', 'shape': '', 'offset': '-8', 'size': '4'}\"",
        ),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><net/>', "it declares entities, which can grow beyond all bounds"),
        ("<!DOCTYPE x><net/>".encode("utf-16"), "it declares entities, which can grow beyond all bounds"),
    ],
)
def test_an_openvino_model_is_held_against_its_weights(content: bytes, because: str) -> None:
    assert tensor_fault("model.xml", content, {"model.xml": len(content), "model.bin": 100}).replace('"', "") == because.replace(
        '"', ""
    )


def test_a_real_openvino_model_has_no_fault(whole: Path) -> None:
    openvino = pytest.importorskip("openvino")
    folder = whole.parent / "ir"
    openvino.save_model(openvino.convert_model(whole / MODEL), folder / "model.xml", compress_to_fp16=False)
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert sizes["model.bin"] > 800
    assert tensor_fault("model.xml", (folder / "model.xml").read_bytes(), sizes) == ""
    assert "is outside the 100 bytes" in tensor_fault("model.xml", (folder / "model.xml").read_bytes(), {"model.bin": 100})


def test_an_array_of_a_later_format_is_read(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.zeros((2, 3), np.float32), version=(2, 0))
    assert tensor_fault("x.npy", stream.getvalue(), {}) == ""
