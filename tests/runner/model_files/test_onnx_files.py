"""An ONNX file names the files of its weights; the runner finds every name without the onnx package."""

from __future__ import annotations

from pathlib import Path
from random import Random

import onnx
import pytest
from google.protobuf.descriptor import Descriptor
from onnx import TensorProto, helper

from edgecnn.bundle.tensors import fault_of
from edgecnn.runner.failure import RunnerError
from edgecnn.runner.kit import Kit
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


def with_weights(place: str, location: str) -> onnx.ModelProto:
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
    assert fault(with_weights(place, location)) == f"weights of it would be read from '{location}', which is no file of its kit"


def test_weights_in_a_file_of_the_kit_are_no_fault() -> None:
    assert fault(with_weights("initializer", "w"), w=16) == ""
    assert fault(network()) == ""


@pytest.mark.parametrize("location", MEMORY)
def test_a_file_that_is_called_like_an_address_of_memory_is_none_of_the_kit(location: str) -> None:
    """Versions of ONNX Runtime that a kit allows answer with the numbers at that address."""
    model, sizes = with_weights("initializer", location), {location: 16}
    assert fault(model, **sizes) == f"weights of it would be read from '{location}', which is no file of its kit"
    assert fault_of("model.onnx", model.SerializeToString(), sizes) == (
        f"its tensor 'w' would be read from '{location}', which is no file of its kit"
    )


@pytest.mark.parametrize("runtime", ["onnxruntime_cpu", "openvino_cpu", "tensorrt_gpu", "wasm_browser", "webgpu_browser"])
def test_no_session_opens_such_a_model(copy_kit: CopyKit, runtime: str) -> None:
    kit = copy_kit()
    onnx.save(with_weights("initializer", "../x"), kit / "model.onnx")
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
    with pytest.raises(RunnerError, match="must not be opened"):
        open_session(Kit.open(kit))


def test_every_field_of_onnx_that_leads_to_a_tensor_is_followed() -> None:
    kinds = {"ModelProto": "model", "TrainingInfoProto": "training", "GraphProto": "graph", "NodeProto": "node"}
    kinds |= {"AttributeProto": "attribute", "SparseTensorProto": "sparse", "TensorProto": "tensor", "FunctionProto": "function"}

    def leads(message: Descriptor, seen: frozenset[str] = frozenset()) -> bool:
        inner = [field.message_type for field in message.fields if field.message_type and field.message_type.name not in seen]
        return message.name == "TensorProto" or any(leads(each, seen | {message.name}) for each in inner)

    for name, kind in kinds.items():
        fields = getattr(onnx, name).DESCRIPTOR.fields
        found = {field.number for field in fields if field.message_type and leads(field.message_type)}
        if name == "TensorProto":
            found = {field.number for field in fields if field.name == "external_data"}
        assert set(onnx_files._PATHS[kind]) == found, name


def test_changed_files_are_refused_or_read_and_never_end_otherwise() -> None:
    content, changed = with_weights("branch", "w").SerializeToString(), of_message(onnx.ModelProto)
    faults = {model_fault("model.onnx", changed(content, Random(number)), {"w": 16}) for number in range(500)}
    assert "" in faults and len(faults) > 3
    assert all("\n" not in each and len(each) < 300 for each in faults)
