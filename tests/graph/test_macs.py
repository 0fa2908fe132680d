from pathlib import Path

import onnx
import pytest
import torch
import torchvision
from onnx import TensorProto, helper

from edgecnn.errors.graph import MacsUnknown
from edgecnn.graph.export import export_onnx
from edgecnn.graph.macs import mac_table, shapes_at_batch_one
from edgecnn.runner.pixel_recipe import ImageSize
from tests.graph.trunks import trunk


def one_node(
    op: str, image: list[int | str], weight: list[int], output: list[int | str] | None = None, **attributes: object
) -> onnx.ModelProto:
    node = helper.make_node(op, ["image", "weight"], ["logits"], name="only", **attributes)
    tensor = helper.make_tensor("weight", TensorProto.FLOAT, weight, [0.0] * int(torch.Size(weight).numel()))
    graph = helper.make_graph(
        [node],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, output)],
        [tensor],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


@pytest.mark.parametrize(
    ("model", "macs"),
    [
        pytest.param(one_node("Conv", ["batch", 3, 10, 10], [8, 3, 3, 3]), 8 * 8 * 8 * 3 * 9, id="conv"),
        pytest.param(one_node("Conv", ["batch", 6, 10, 10], [6, 1, 3, 3], group=6), 6 * 8 * 8 * 9, id="depthwise"),
        pytest.param(one_node("Conv", ["batch", 6, 10, 10], [4, 3, 1, 1], group=2), 4 * 10 * 10 * 3, id="grouped"),
        pytest.param(one_node("Conv", ["batch", 3, 10, 10], [8, 3, 3, 3], dilations=[2, 2]), 8 * 6 * 6 * 3 * 9, id="dilated"),
        pytest.param(
            one_node("Conv", ["batch", 3, 11, 11], [8, 3, 3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), 8 * 6 * 6 * 27, id="strided"
        ),
        pytest.param(
            one_node("ConvTranspose", ["batch", 4, 5, 5], [4, 2, 2, 2], strides=[2, 2]), 5 * 5 * 4 * 2 * 4, id="transposed"
        ),
        pytest.param(one_node("Gemm", ["batch", 12], [12, 5]), 12 * 5, id="gemm"),
        pytest.param(one_node("Gemm", ["batch", 12], [5, 12], transB=1), 12 * 5, id="gemm transposed"),
        pytest.param(one_node("MatMul", ["batch", 7, 12], [12, 5]), 7 * 12 * 5, id="matmul"),
    ],
)
def test_multiply_adds_are_those_counted_by_hand(model: onnx.ModelProto, macs: int) -> None:
    rows = mac_table(model).layers
    assert [(row.name, row.macs) for row in rows] == [("only", macs)]


@pytest.mark.slow  # exports a network; what is counted without a file stands in test_layer_cost
def test_the_count_is_torchvisions(tmp_path: Path) -> None:
    check_against_torchvision("MobileNet_V2", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("published", ["ResNet18", "EfficientNet_B0", "ResNet50"])
def test_the_count_is_torchvisions_for_other_networks(published: str, tmp_path: Path) -> None:
    check_against_torchvision(published, tmp_path)


def check_against_torchvision(published: str, tmp_path: Path) -> None:
    """``_ops`` beside the published weights are multiply-adds in units of 10^9 at 224 px."""
    weights = getattr(torchvision.models, f"{published}_Weights").IMAGENET1K_V1
    export_onnx(torchvision.models.get_model(published.lower(), weights=None), ImageSize.square(224), tmp_path / "model.onnx")
    table = mac_table(tmp_path / "model.onnx")
    assert table.resolution_px == ImageSize.square(224)
    assert table.total / 1e9 == pytest.approx(weights.meta["_ops"], rel=0.01)


def test_a_layer_also_answers_to_the_activation_that_alone_follows_it() -> None:
    first = mac_table(trunk("resnet18")).layers[0]
    assert first.outputs[1:] == ("relu",)


def test_the_batch_does_not_multiply_the_count() -> None:
    model = onnx.load(trunk("resnet18"))
    table = mac_table(model)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 32
    assert mac_table(model) == table


def test_a_layer_of_unknown_shape_is_refused_by_name() -> None:
    with pytest.raises(MacsUnknown) as caught:
        mac_table(one_node("Conv", ["batch", 3, "height", "width"], [8, 3, 3, 3]))
    assert caught.value.line() == (
        "the multiply-adds of Conv only cannot be counted: "
        "shape inference at batch 1 does not give the shape of 'image' [macs-unknown]"
    )


def test_what_constants_alone_make_is_made_once_and_not_for_each_image() -> None:
    model = one_node("Conv", ["batch", 3, 10, 10], [8, 3, 3, 3])
    constant = helper.make_tensor("table", TensorProto.FLOAT, [1, 3, 10, 10], [0.0] * 300)
    model.graph.initializer.append(constant)
    model.graph.node.append(helper.make_node("Conv", ["table", "weight"], ["positions"], name="of constants"))
    assert [row.name for row in mac_table(model).layers] == ["only"]


def test_shapes_are_inferred_without_the_numbers_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """They took most of the time of a conversion, and 2 GB of them do not pass through shape inference."""
    model, sizes = one_node("Conv", ["batch", 64, 10, 10], [64, 64, 3, 3]), []
    infer = onnx.shape_inference.infer_shapes

    def measured(inferred: onnx.ModelProto, **options: bool) -> onnx.ModelProto:
        sizes.append(inferred.ByteSize())
        return infer(inferred, **options)

    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", measured)
    assert shapes_at_batch_one(model)["logits"] == [1, 64, 8, 8]
    assert (model.ByteSize() > 147_000, max(sizes) < 1_000) == (True, True)
