from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import (
    NETWORK_NOT_EXPORTED,
    ROUNDING_DECIDES,
    WRONG_OPSET,
    ExportDisagrees,
)
from edgecnn.graph.checks import compare_logits, onnx_logits
from edgecnn.graph.export import TrunkRequest, export_onnx, fixed_threads, make_trunk, torch_logits
from edgecnn.runner.pixel_recipe import ImageSize
from tests.graph.trunks import NORMALIZATION, RESOLUTION_PX, feed_of, network, pictures, prepared, trunk
from tests.runtimes.made import Quiet


class Small(nn.Module):
    """A convolution, a batch norm, dropout and a head: exported in a second."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.head = nn.Sequential(nn.Dropout(0.9), nn.Linear(8, 5))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(image).mean(dim=(2, 3)))


def small() -> Small:
    torch.manual_seed(1)
    made = Small()
    with torch.no_grad():
        made.train()(torch.rand(8, 3, 16, 16))
    return made


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "model.onnx"
    export_onnx(small(), ImageSize.square(16), path)
    return path


def test_input_output_opset_and_batch_are_those_that_kits_promise() -> None:
    model = onnx.load(trunk("resnet18"))
    assert [value.name for value in model.graph.input] == ["image"]
    assert [value.name for value in model.graph.output] == ["logits"]
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 20)]
    session = onnxruntime.InferenceSession(trunk("resnet18"))
    for batch in (1, 2, 64):
        feed = np.zeros((batch, 3, RESOLUTION_PX, RESOLUTION_PX), np.float32)
        assert session.run(None, {"image": feed})[0].shape == (batch, 10)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_batch_norms_are_folded_and_nodes_have_names_of_their_own(name: str) -> None:
    nodes = onnx.load(trunk(name)).graph.node
    assert "BatchNormalization" not in {node.op_type for node in nodes}
    assert len({node.name for node in nodes}) == len(nodes)


def test_dropout_is_off_although_the_network_came_in_training_mode(exported: Path) -> None:
    network = small().train()
    feed = np.random.default_rng(0).random((3, 3, 16, 16), np.float32)
    compare_logits(torch_logits(network, feed), onnx_logits(exported, feed))
    assert "Dropout" not in {node.op_type for node in onnx.load(exported).graph.node}


def test_an_export_to_another_folder_is_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    export_onnx(small(), ImageSize.square(16), tmp_path / "other.onnx")
    assert (tmp_path / "other.onnx").read_bytes() == exported.read_bytes()


def test_an_opset_that_the_exporter_cannot_reach_is_an_error_not_another_opset(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=WRONG_OPSET.made) as caught:
        export_onnx(small(), ImageSize.square(16), tmp_path / "model.onnx", opset=17)
    assert caught.value.ref == "wrong-opset"
    assert not (tmp_path / "model.onnx").exists()


class Branching(torch.nn.Module):
    """What its answer depends on is known only when it runs."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        means = images.mean(dim=(2, 3))
        return means if means.sum() > 0 else -means


def test_a_network_that_torch_cannot_trace_is_an_error_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        EdgecnnError, match="torch cannot export this network to ONNX: ", check=NETWORK_NOT_EXPORTED.made
    ) as caught:
        export_onnx(Branching(), ImageSize.square(16), tmp_path / "model.onnx")
    assert "\n" not in caught.value.line() and not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_graph_and_network_agree_on_pictures(name: str) -> None:
    feed = feed_of(pictures(17))
    check = compare_logits(torch_logits(network(name), feed), onnx_logits(trunk(name), feed))
    assert (check.images, check.top1_agreement) == (17, 1.0)


def test_a_graph_with_one_weight_changed_is_refused(tmp_path: Path, exported: Path) -> None:
    model = onnx.load(exported)
    weight = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    changed = onnx.numpy_helper.to_array(weight).copy()
    changed[0] *= -1
    weight.CopyFrom(onnx.numpy_helper.from_array(changed, weight.name))
    onnx.save(model, tmp_path / "changed.onnx")
    feed = np.random.default_rng(0).random((9, 3, 16, 16), np.float32)
    with pytest.raises(ExportDisagrees):
        compare_logits(torch_logits(small(), feed), onnx_logits(tmp_path / "changed.onnx", feed))


def test_the_disagreement_says_how_large_it_is_and_on_how_many_images() -> None:
    ours = np.array([[0.0, 10.0], [10.0, 0.0]], np.float32)
    theirs = np.array([[0.0, 10.0], [0.5, 1.0]], np.float32)
    with pytest.raises(ExportDisagrees) as caught:
        compare_logits(ours, theirs)
    assert caught.value.ref == "export-disagrees"


def test_a_network_that_diverged_is_refused_before_anything_is_built_on_it(tmp_path: Path) -> None:
    broken = small()
    with torch.no_grad():
        broken.head[1].bias[3] = float("nan")
    request = TrunkRequest(
        pixels=prepared(), resolution_px=ImageSize.square(RESOLUTION_PX), normalization=NORMALIZATION, opset=20
    )
    with pytest.raises(ExportDisagrees):
        make_trunk(broken, request, tmp_path, Quiet())


class OnTheLastBits(nn.Module):
    """Says of each channel what remains of its mean when all that fp32 knows of it is taken away."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.sin(images.mean((2, 3)) * 1e9)


def test_a_network_that_disagrees_with_itself_is_named_and_not_its_graph(tmp_path: Path) -> None:
    request = TrunkRequest(
        pixels=prepared(), resolution_px=ImageSize.square(RESOLUTION_PX), normalization=NORMALIZATION, opset=20
    )
    with pytest.raises(EdgecnnError, check=ROUNDING_DECIDES.made):
        make_trunk(OnTheLastBits(), request, tmp_path, Quiet())


def test_a_nan_is_a_disagreement() -> None:
    ours = np.array([[0.0, 1.0]], np.float32)
    with pytest.raises(ExportDisagrees):
        compare_logits(ours, np.array([[0.0, np.nan]], np.float32))


def test_answers_are_computed_by_as_many_threads_whatever_the_process_may_use() -> None:
    """Golden logits are bytes of an export, and sums are split among threads."""
    feed, computed, before = (
        np.random.default_rng(0).standard_normal((5, 3, 64, 64)).astype(np.float32),
        [],
        torch.get_num_threads(),
    )
    for threads in (1, 3):
        torch.set_num_threads(threads)
        with fixed_threads():
            computed.append(torch.get_num_threads())
        computed.append(torch_logits(small(), feed).tobytes())
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert computed[:2] == computed[2:]
