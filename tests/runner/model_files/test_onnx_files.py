"""An ONNX file names the files of its weights; the runner finds every name without the onnx package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import onnx
import pytest
from google.protobuf.descriptor import Descriptor
from onnx import TensorProto, helper

from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.model_files import model_fault, onnx_files
from edgecnn.runner.sessions import open_session
from tests.fuzz.mutations import of_message
from tests.runner.conftest import CopyKit
from tests.runner.kits import network, rewrite_manifest

MEMORY = ("*/_ORT_MEM_ADDR_/*", "*/_ORT_NATIVE_ENDIAN_MEM_ADDR_/*")
OUTSIDE = ("/etc/passwd", "../x", "", "kit.json", *MEMORY)


def apart(location: str) -> TensorProto:
    tensor = TensorProto(name="w", dims=[4], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def weights_elsewhere(place: str, location: str) -> onnx.ModelProto:
    """A model that reads weights in one of the places where ONNX allows a tensor."""
    model, tensor = network(), apart(location)
    inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=tensor)], "inner", [], [])
    sparse = helper.make_sparse_tensor(tensor, helper.make_tensor("", TensorProto.INT64, [1], [0]), [9])
    if place == "initializer":
        model.graph.initializer.append(tensor)
    elif place == "attribute":
        model.graph.node.append(inner.node[0])
    elif place == "branch":
        model.graph.node.append(helper.make_node("If", ["no"], ["c"], then_branch=inner, else_branch=inner))
    elif place == "sparse":
        model.graph.sparse_initializer.append(sparse)
    elif place == "function":
        model.functions.add(name="f", domain="d").node.append(inner.node[0])
    else:
        model.training_info.add().algorithm.CopyFrom(inner)
    return model


def fault(model: onnx.ModelProto, **sizes: int) -> str:
    return model_fault("model.onnx", model.SerializeToString(), {"model.onnx": 9, **sizes})


@pytest.mark.parametrize("location", OUTSIDE)
@pytest.mark.parametrize("place", ["initializer", "attribute", "branch", "sparse", "function", "training"])
def test_weights_outside_the_kit_are_found_wherever_the_model_has_them(place: str, location: str) -> None:
    assert fault(weights_elsewhere(place, location)) == f"its weights are in '{location}', which is not a file of the kit"


def test_weights_in_a_file_of_the_kit_are_no_fault() -> None:
    assert fault(weights_elsewhere("initializer", "w"), w=16) == ""
    assert fault(network()) == ""


@pytest.mark.parametrize("location", MEMORY)
def test_a_file_that_is_called_like_an_address_of_memory_is_none_of_the_kit(location: str) -> None:
    """Versions of ONNX Runtime that a kit allows answer with the numbers at that address."""
    model, sizes = weights_elsewhere("initializer", location), {location: 16}
    assert fault(model, **sizes) == f"its weights are in '{location}', which is not a file of the kit"


@pytest.mark.parametrize("runtime", ["onnxruntime_cpu", "openvino_cpu", "tensorrt_gpu", "wasm_browser", "webgpu_browser"])
def test_no_session_opens_such_a_model(copy_kit: CopyKit, runtime: str) -> None:
    kit = copy_kit()
    onnx.save(weights_elsewhere("initializer", "../x"), kit / "model.onnx")
    rewrite_manifest(kit, lambda facts: facts.update(session={"module": runtime, "options": {}}))
    with pytest.raises(RunnerError) as caught:
        open_session(Kit.open(kit))
    assert caught.value.ref == "model-refused"


@pytest.mark.parametrize("name", ["model", "model.ONNX", "model.pb"])
def test_neither_does_it_open_a_file_that_is_not_checked(copy_kit: CopyKit, name: str) -> None:
    """OpenVINO goes by what is in a file."""
    kit: Path = copy_kit()
    (kit / "model.onnx").rename(kit / name)
    rewrite_manifest(kit, lambda facts: facts["model"].update(entry=name, files=[name]))
    with pytest.raises(RunnerError, match="the model file was refused"):
        open_session(Kit.open(kit))


EXTERNAL_DATA = 13 << 3 | 2
"""The key of a tensor's external data."""


@pytest.mark.parametrize(
    "key, because",
    [
        (b"\xea\x80\x80\x80\x10", "a field has the number 536870925"),
        (b"\xea\x80\x80\x80\x70", "a field has the number 3758096397"),
        (b"\xea\x80\x80\x80\x00", "a number is not in its shortest form"),
        (b"\xea\x00", "a number is not in its shortest form"),
        (b"\xea" + 8 * b"\x80" + b"\x02", "a number is not in its shortest form"),
        (b"\xea" + 9 * b"\x80" + b"\x01", "a number has more than ten bytes"),
        (b"\x6b", "a field has the wire type 3"),
        (b"\x6c", "a field has the wire type 4"),
        (b"\x6e", "a field has the wire type 6"),
    ],
)
def test_a_field_that_readers_understand_differently_is_refused(key: bytes, because: str) -> None:
    content = weights_elsewhere("initializer", "/etc/passwd").SerializeToString()
    hidden = respelled(
        content, "model", lambda kind, number: key if (kind, number) == ("tensor", EXTERNAL_DATA) else varint(number)
    )
    assert model_fault("model.onnx", hidden, {}) == f"it is not an ONNX model: {because}"


def test_a_negative_number_of_ten_bytes_is_no_fault() -> None:
    model = network()
    model.model_version = -1
    assert fault(model) == ""


def respelled(content: bytes, kind: str, spell: Callable[[str, int], bytes]) -> bytes:
    """The same message, with the keys of its fields as ``spell`` writes them for a kind of message."""
    written, at = b"", 0
    while at < len(content):
        key, begin = varint_at(content, at)
        at = begin
        if key & 7 == 2:
            length, at = varint_at(content, at)
            inner, at = content[at : at + length], at + length
            lead = onnx_files._PATHS[kind].get(key >> 3)
            inner = inner if lead is None else respelled(inner, lead, spell)
            value = varint(len(inner)) + inner
        else:
            at = {0: varint_at(content, at)[1], 1: at + 8, 5: at + 4}[key & 7]
            value = content[begin:at]
        written += spell(kind, key) + value
    return written


def spelled_otherwise(content: bytes, draw: Random) -> bytes:
    """The same message, with keys of other fields, keys of more than 32 bits and keys that are longer than they need to be."""

    def spell(kind: str, key: int) -> bytes:
        leads_outside = kind == "entry" or (kind, key) == ("tensor", EXTERNAL_DATA)
        if draw.random() > (0.15 if leads_outside else 0.001):
            return varint(key)
        padded, wider = varint(key | 1 << 28)[:-1] + b"\0", varint(key | 1 << draw.choice((32, 33, 34)))
        unknown = varint(key | 1 << draw.choice((10, 20)))
        return draw.choice((padded, wider, unknown, unknown, unknown))

    return respelled(content, "model", spell)


def varint(number: int) -> bytes:
    rest = number >> 7
    return bytes([number & 127 | 128]) + varint(rest) if rest else bytes([number])


def varint_at(content: bytes, at: int) -> tuple[int, int]:
    length = next(length for length in range(1, 11) if content[at + length - 1] < 128)
    return sum((content[at + place] & 127) << 7 * place for place in range(length)), at + length


def test_onnxruntime_opens_no_other_file_for_a_model_without_a_fault(tmp_path: Path) -> None:
    """The file does not exist, so that ONNX Runtime's error names it where it looks for it."""
    onnxruntime = pytest.importorskip("onnxruntime")
    path, passed, refused = tmp_path / "model.onnx", 0, 0

    def looked_for(content: bytes) -> bool:
        path.write_bytes(content)
        try:
            onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no common base
            return "unlisted" in str(error)
        return False

    model = weights_elsewhere("initializer", "unlisted")
    model.graph.node.append(helper.make_node("Identity", ["w"], ["y"]))
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [4]))
    content = model.SerializeToString()
    assert looked_for(content)
    for number in range(150):
        change = of_message(onnx.ModelProto) if number % 3 == 0 else spelled_otherwise
        other = change(content, Random(number))
        if model_fault("model.onnx", other, {"model.onnx": len(other)}) == "":
            passed += 1
            assert not looked_for(other), number
        else:
            refused += looked_for(other)
    assert passed > 5 and refused > 5


def test_a_file_of_endless_fields_is_refused_without_reading_them_all() -> None:
    assert model_fault("model.onnx", b"\x08\x01" * 2_000_000, {}) == (
        "it is not an ONNX model: it has more fields than any image classifier"
    )


def test_every_field_of_onnx_that_leads_to_a_tensor_is_followed() -> None:
    kinds = {"ModelProto": "model", "TrainingInfoProto": "training", "GraphProto": "graph", "NodeProto": "node"}
    kinds |= {"AttributeProto": "attribute", "SparseTensorProto": "sparse", "TensorProto": "tensor", "FunctionProto": "function"}

    def leads(message: Descriptor, names: frozenset[str] = frozenset()) -> bool:
        inner = [field.message_type for field in message.fields if field.message_type and field.message_type.name not in names]
        return message.name == "TensorProto" or any(leads(child, names | {message.name}) for child in inner)

    for name, kind in kinds.items():
        fields = getattr(onnx, name).DESCRIPTOR.fields
        numbers = {field.number for field in fields if field.message_type and leads(field.message_type)}
        if name == "TensorProto":
            numbers = {field.number for field in fields if field.name == "external_data"}
        assert set(onnx_files._PATHS[kind]) == numbers, name


def test_changed_files_are_refused_or_read_and_never_end_otherwise() -> None:
    content, changed = weights_elsewhere("branch", "w").SerializeToString(), of_message(onnx.ModelProto)
    faults = {model_fault("model.onnx", changed(content, Random(number)), {"w": 16}) for number in range(500)}
    assert "" in faults and len(faults) > 3
    assert all("\n" not in line and len(line) < 300 for line in faults)
