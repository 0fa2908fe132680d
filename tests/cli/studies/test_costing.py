from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from jsonschema import Draft202012Validator
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from edgecnn.cli.main import app
from edgecnn.graph.macs import mac_table
from edgecnn.graph.onnx_cost import cost_of_file
from edgecnn.models.catalogue import arch_named
from edgecnn.studies.cost import cost_of
from tests.house.schemas import FOLDER
from tests.models.smallest import each_with_the_others_slow


def edgecnn(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.stdout, done.stderr


def checked(schema: str, text: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(text)
    Draft202012Validator(json.loads((FOLDER / f"{schema}.json").read_text("utf-8"))).validate(document)
    return document


def test_a_scaled_network_is_costed_without_building_it() -> None:
    code, out, _ = edgecnn("study", "cost", "mobilenet-v3-small", "--scale", "width=0.5,resolution=96", "--json")
    document = checked("cost", out)
    assert code == 0
    assert (document["network"], document["resolution_px"]) == ("mobilenet-v3-small-d1-w0.5", 96)
    assert document["scale"] == "width=0.5,resolution=96"


def test_a_rectangle_costs_what_it_has_of_pixels() -> None:
    square = checked("cost", edgecnn("study", "cost", "mobilenet-v2", "--resolution", "96", "--json")[1])
    wide = checked("cost", edgecnn("study", "cost", "mobilenet-v2", "--resolution", "96x192", "--json")[1])
    assert wide["resolution_px"] == "96x192" and wide["parameters"] == square["parameters"]
    assert 1.9 < wide["macs"] / square["macs"] < 2.0  # type: ignore[operator]


def test_the_totals_and_the_arithmetic_of_a_layer_are_said() -> None:
    out = edgecnn("study", "cost", "mobilenet-v3-small")[1]
    assert "mobilenet-v3-small at 224 px: 2,542,856 parameters, 56,510,400 multiply-adds" in out
    assert edgecnn("study", "cost", "mobilenet-v3-small", "--explain", "features.0.0")[1].splitlines() == [
        "features.0.0 (Conv)",
        "multiply-adds: 16 × 112 × 112 outputs of 3 × 3 × 3 products each = 5,419,008",
        "parameters: 16 × 3 × 3 × 3 weights + 32 of the batch norm behind them = 464",
        "output: 16 × 112 × 112 of 4 bytes = 802,816 bytes",
        "receptive field: 1 + (3 − 1) × 1 px a step = 3 px",
    ]


@pytest.mark.parametrize("name", each_with_the_others_slow(("lenet-5", "googlenet", "resnet-18", "mobilenet-v3-small")))
def test_totals_are_those_of_the_list_and_of_the_rows(name: str) -> None:
    """Auxiliary heads are in neither, and a network has the classes that it was published with."""
    cost, row = cost_of(name), arch_named(name)
    assert (cost.parameters, cost.macs) == (row.parameters, row.macs)
    assert cost.parameters == sum(layer.parameters for layer in cost.layers)
    assert cost.activation_peak in {layer.name for layer in cost.layers}


def file_of(folder: Path, op: str) -> Path:
    more = {"equation": "nchw,oc->nohw"} if op == "Einsum" else {}
    node = helper.make_node(op, ["image", "weight"], ["logits"], name="only", **more)
    shape = [4, 3] if op == "Einsum" else [4, 3, 1, 1]
    graph = helper.make_graph(
        [node],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [helper.make_tensor("weight", TensorProto.FLOAT, shape, [0.0] * 12)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), folder / "a.onnx")
    return folder / "a.onnx"


def separable(folder: Path) -> Path:
    """3 × 3 of 5 filters on 6 px of 3 channels, in two steps and in one: the case that textbooks count."""
    nodes = [
        helper.make_node("Conv", ["image", "each"], ["between"], name="depthwise", group=3),
        helper.make_node("Conv", ["between", "across"], ["apart"], name="pointwise"),
        helper.make_node("Conv", ["image", "both"], ["logits"], name="whole"),
    ]
    sizes = {"each": [3, 1, 3, 3], "across": [5, 3, 1, 1], "both": [5, 3, 3, 3]}
    weights = [numpy_helper.from_array(np.ones(size, np.float32), name) for name, size in sizes.items()]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 6, 6])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 5, 4, 4]) for name in ("apart", "logits")]
    model = helper.make_model(helper.make_graph(nodes, "net", [image], outputs, weights))
    onnx.save(model, folder / "a.onnx")
    return folder / "a.onnx"


@pytest.mark.parametrize(
    ("layer", "arithmetic"),
    [
        ("whole", "5 × 4 × 4 outputs of 3 × 3 × 3 products each = 2,160"),
        ("depthwise", "3 × 4 × 4 outputs of 1 × 3 × 3 products each = 432"),
        ("pointwise", "5 × 4 × 4 outputs of 3 × 1 × 1 products each = 240"),
    ],
)
def test_the_textbook_s_separable_convolution_is_explained(layer: str, arithmetic: str, tmp_path: Path) -> None:
    lines = edgecnn("study", "cost", str(separable(tmp_path)), "--explain", layer)[1].splitlines()
    assert lines[:2] == [f"{layer} (Conv)", f"multiply-adds: {arithmetic}"]


def test_a_fully_connected_layer_is_explained() -> None:
    assert edgecnn("study", "cost", "lenet-5", "--explain", "f6")[1].splitlines() == [
        "f6 (Gemm)",
        "multiply-adds: 1 × 84 outputs of 120 products each = 10,080",
        "parameters: 84 × 120 weights + 84 biases = 10,164",
        "output: 84 of 4 bytes = 336 bytes",
        "receptive field: the whole image",
    ]


def test_the_layer_at_which_most_is_held_is_the_listed_one_beside_it() -> None:
    cost = cost_of("lenet-5")
    held = {layer.name: layer.live_bytes for layer in cost.layers}
    assert cost.activation_peak == max(held, key=held.__getitem__) == "c3.parts.0"
    assert held["c3.parts.0"] < cost.activation_bytes, "between layers c3's inputs are gathered"


def test_a_file_is_costed_and_what_nobody_counts_is_said(tmp_path: Path) -> None:
    assert "a.onnx at 8 px: 12 parameters, 768 multiply-adds" in edgecnn("study", "cost", str(file_of(tmp_path, "Conv")))[1]
    assert "not counted: 1 × Einsum" in edgecnn("study", "cost", str(file_of(tmp_path, "Einsum")))[1]


def test_a_file_in_integers_costs_what_residency_counts(tmp_path: Path) -> None:
    def constant(name: str, values: Any, kind: type = np.float32) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, kind), name)

    constants = [
        constant("scale", 0.1), constant("zero", 0, np.uint8), constant("weight", np.ones((8, 3, 3, 3)), np.uint8),
        constant("bias", np.zeros(8), np.int32),
    ]  # fmt: skip
    operands = ["image", "scale", "zero", "weight", "scale", "zero", "scale", "zero", "bias"]
    node = helper.make_node("QLinearConv", operands, ["logits"], name="only", strides=[2, 2])
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 3, 11, 11])
    logits = helper.make_tensor_value_info("logits", TensorProto.UINT8, None)
    model = helper.make_model(
        helper.make_graph([node], "net", [image], [logits], constants), opset_imports=[helper.make_opsetid("", 20)]
    )
    onnx.save(model, tmp_path / "a.onnx")
    cost = cost_of_file(tmp_path / "a.onnx")
    assert cost.macs == mac_table(model).total == 8 * 5 * 5 * 27
    assert [(layer.parameters, layer.receptive_field_px) for layer in cost.layers] == [(8 * 27 + 8, 3)]
    assert cost.not_counted == {}


def test_bad_input_is_one_line_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.onnx")
    model = onnx.load(file_of(tmp_path, "Conv"))
    model.graph.node[0].domain = "nobody's"
    onnx.save(model, tmp_path / "foreign.onnx")
    for words, ref in (
        (("study", "cost", str(tmp_path / "foreign.onnx")), "custom-model-unusable"),
        (("study", "cost", "resnet18"), "unknown-arch"),
        (("study", "cost", str(tmp_path / "absent.onnx")), "custom-file-missing"),
        (("study", "cost", str(tmp_path / "pipe.onnx")), "custom-file-missing"),
        (("study", "cost", str(tmp_path / "empty.onnx")), "not-an-onnx-model"),
        (("study", "cost", str(tmp_path / "empty.onnx"), "--scale", "phi=1"), "scale-of-a-file"),
        (("study", "cost", "resnet-18", "--scale", "width=0"), "scale-invalid"),
        (("study", "cost", "resnet-18", "--scale", "resolution=16"), "resolution-under-stride"),
        (("study", "cost", "resnet-18", "--explain", "x"), "unknown-layer"),
        (("study", "cost", "resnet-18", "--resolution", "4y"), "usage"),
        (("study", "cost", "resnet-18", "--resolution", "9000"), "resolution-too-large"),
        (("study", "cost", str(tmp_path / "empty.onnx"), "--resolution", "64"), "resolution-of-a-file"),
        (("study", "scale", "--arch", "resnet-18", "--within", "mac=1"), "budget-unknown"),
        (("study", "scale", "--arch", "resnet-18", "--within", "macs=1G", "--plot", "frontier.jpg"), "plot-form-unknown"),
        (("plan", "--onnx", "a.onnx", "--data", "x", "--scale", "phi=1"), "scale-of-a-file"),
        (("plan", "--set", "model.scale=phi=x"), "overrides-invalid"),
    ):
        code, _, err = edgecnn(*words)
        assert (code, len(err.strip().splitlines())) == (2, 1), (words, err)
        assert f"[{ref}]" in err, (words, err)


def test_a_search_is_one_document_of_its_schema_and_is_drawn(tmp_path: Path) -> None:
    plot = tmp_path / "frontier.svg"
    code, out, _ = edgecnn("study", "scale", "--arch", "mobilenet-v3-small", "--within", "macs=8M", "--plot", str(plot), "--json")
    assert code == 0
    assert "mobilenet-v3-small inside macs ≤ 8,000,000" in plot.read_text("utf-8")
    assert checked("scale-search", out)["arch"] == "mobilenet-v3-small"
