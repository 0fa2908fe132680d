from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import EXTERNAL_DATA_OUTSIDE, NOT_AN_ONNX_MODEL
from edgecnn.graph.onnx_file import load_model, opset_of, save_model


def small_model() -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.ones((4, 3), np.float32), "weight")
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["image", "weight"], ["a"], transB=1), helper.make_node("Relu", ["a"], ["logits"])],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 4])],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def add_traces(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    for message in (model, model.graph, model.graph.node[0], model.graph.input[0], model.graph.initializer[0]):
        message.metadata_props.add(key="stack_trace", value=f"{where}/model.py, line 3")
        message.doc_string = where
    return model


def test_where_a_model_was_exported_leaves_no_trace_in_its_bytes(tmp_path: Path) -> None:
    for folder in ("/home/a", "/home/b"):
        save_model(add_traces(small_model(), folder), tmp_path / f"{folder[-1]}.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert b"/home" not in (tmp_path / "a.onnx").read_bytes()


def test_traces_inside_subgraphs_are_removed_too(tmp_path: Path) -> None:
    inner = helper.make_graph(
        [helper.make_node("Identity", ["logits_"], ["b"], doc_string="/home/a")],
        "branch",
        [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 4])],
    )
    model = small_model()
    model.graph.node[1].output[0] = "logits_"
    condition = numpy_helper.from_array(np.array(True), "condition")
    model.graph.initializer.append(condition)
    model.graph.node.append(helper.make_node("If", ["condition"], ["logits"], then_branch=inner, else_branch=inner))
    save_model(model, tmp_path / "a.onnx")
    assert b"/home" not in (tmp_path / "a.onnx").read_bytes()


def test_the_given_model_is_left_as_it_was(tmp_path: Path) -> None:
    model = add_traces(small_model(), "/home/a")
    before = model.SerializeToString(deterministic=True)
    save_model(model, tmp_path / "a.onnx")
    assert model.SerializeToString(deterministic=True) == before


def test_ir_10_is_written_whatever_onnx_would_write(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path / "a.onnx")
    assert onnx.load(tmp_path / "a.onnx").ir_version == 10


def test_nodes_without_a_name_or_with_one_twice_are_named(tmp_path: Path) -> None:
    model = small_model()
    model.graph.node[0].name = model.graph.node[1].name = "node"
    save_model(model, tmp_path / "twice.onnx")
    save_model(small_model(), tmp_path / "none.onnx")
    assert [node.name for node in onnx.load(tmp_path / "twice.onnx").graph.node] == ["node", "Relu_1"]
    assert [node.name for node in onnx.load(tmp_path / "none.onnx").graph.node] == ["Gemm_0", "Relu_1"]


def external(tmp_path: Path, location: str) -> Path:
    model = small_model()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path = tmp_path / "inside" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(model.SerializeToString())
    (tmp_path / "inside" / "weights.bin").write_bytes(np.full((4, 3), 2, np.float32).tobytes())
    (tmp_path / "outside.bin").write_bytes(b"\0" * 48)
    return path


def test_weights_beside_the_model_are_read_into_it(tmp_path: Path) -> None:
    model = load_model(external(tmp_path, "weights.bin"))
    assert numpy_helper.to_array(model.graph.initializer[0]).sum() == 24


@pytest.mark.parametrize("location", ["../outside.bin", "/etc/hostname", "", "link.bin"])
def test_weights_outside_the_models_folder_are_refused(tmp_path: Path, location: str) -> None:
    path = external(tmp_path, location)
    (path.parent / "link.bin").symlink_to(tmp_path / "outside.bin")
    with pytest.raises(EdgecnnError, check=EXTERNAL_DATA_OUTSIDE.made) as caught:
        load_model(path)
    assert caught.value.ref == "external-data-outside"


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08\x0a"])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(EdgecnnError, check=NOT_AN_ONNX_MODEL.made):
        load_model(path)


def test_an_empty_file_is_said_to_hold_no_graph(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    with pytest.raises(EdgecnnError, check=NOT_AN_ONNX_MODEL.made) as caught:
        load_model(tmp_path / "model.onnx")
    assert (caught.value.ref, caught.value.fields["why"]) == ("not-an-onnx-model", "it contains no graph with an output")


def test_the_opset_is_that_of_onnxs_own_operators() -> None:
    model = small_model()
    model.opset_import.insert(0, helper.make_opsetid("com.microsoft", 1))
    assert opset_of(model) == 20
