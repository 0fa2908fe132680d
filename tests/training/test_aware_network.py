"""Where networks of other shapes are rounded: residual sums, squeeze-excite products, paddings and clamps."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edgecnn.graph.export import export_onnx
from edgecnn.graph.quantization_nodes import absorb_clamps
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runtimes.onnxruntime_files import float_layers
from edgecnn.training.aware import WeightRange, calibrate, with_integer_weights, with_rounding
from tests.graph.trunks import RESOLUTION_PX, feed_of, network, pictures
from tests.runtimes.made import UNSIGNED


def made(float_network: nn.Module, folder: Path) -> onnx.ModelProto:
    learned = with_rounding(float_network, UNSIGNED, ImageSize.square(RESOLUTION_PX))
    calibrate(learned, [feed_of(pictures(8))])
    model = export_onnx(
        with_integer_weights(learned, ImageSize.square(RESOLUTION_PX)), ImageSize.square(RESOLUTION_PX), folder / "model.onnx"
    )
    absorb_clamps(model)
    return model


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def test_a_residual_networks_sums_are_of_integers_too(tmp_path: Path) -> None:
    model = made(network("resnet18"), tmp_path)
    assert float_layers(model) == []
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    sums = [node for node in model.graph.node if node.op_type == "Add"]
    assert len(sums) == 8
    assert {makers[name] for node in sums for name in node.input} == {"DequantizeLinear"}
    assert {"Relu", "BatchNormalization"} & kinds(model).keys() == set()


def test_what_is_calibrated_answers_nearly_as_the_float_network() -> None:
    learned = with_rounding(network("resnet18"), UNSIGNED, ImageSize.square(RESOLUTION_PX))
    calibrate(learned, [feed_of(pictures(8))])
    shown = torch.from_numpy(feed_of(pictures(16, seed=3)))
    with torch.no_grad():
        wanted, found = network("resnet18")(shown).numpy(), learned(shown).numpy()
    assert 0 < np.abs(found - wanted).max() < 0.15 * np.ptp(wanted)


def test_gradients_reach_every_weight_and_the_float_network_stays_as_it_was() -> None:
    before = {name: tensor.clone() for name, tensor in network("resnet18").state_dict().items()}
    learned = with_rounding(network("resnet18"), UNSIGNED, ImageSize.square(RESOLUTION_PX))
    calibrate(learned, [feed_of(pictures(4))])
    learned(torch.from_numpy(feed_of(pictures(4)))).square().mean().backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in learned.parameters()]
    assert len(gradients) == 2 * 21  # a weight and a bias of each convolution and of the last layer
    assert all(gradient is not None and bool(gradient.any()) for gradient in gradients)
    with torch.no_grad():
        for parameter in learned.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(before[name], tensor) for name, tensor in network("resnet18").state_dict().items())


@pytest.mark.slow  # three exports of large graphs
@pytest.mark.parametrize("arch", ["efficientnet-lite0", "efficientnet-b0", "mobilenet-v2"])
def test_paddings_products_and_clamps_leave_no_layer_in_float(arch: str, tmp_path: Path) -> None:
    model = made(build_network(arch_named(arch), 10), tmp_path)
    assert float_layers(model) == []
    assert {"Pad", "Clip", "Relu", "BatchNormalization"} & kinds(model).keys() == set()


def test_the_range_of_weights_is_that_of_the_weights_now() -> None:
    observer = WeightRange(dtype=torch.int8, qscheme=torch.per_channel_symmetric, quant_min=-127, quant_max=127)
    observer(torch.tensor([[-254.0, 1.0], [0.0, 0.0]]))
    observer(torch.tensor([[1.0, -2.54], [0.0, 0.0]]))
    scale, zero = observer.calculate_qparams()
    assert scale[0].item() == pytest.approx(0.02)
    assert 0 < scale[1].item() < 1e-6
    assert zero.tolist() == [0, 0]
