"""Operators whose meaning changed between opsets, or that only ONNX Runtime accepts, keep what the file computes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.errors.devices import CONVERTER_FAILED
from edgecnn.errors.graph import NOTHING_QUANTIZED, OUTPUTS_SHAPED_OTHERWISE
from edgecnn.graph.checks import distance, onnx_logits
from edgecnn.graph.custom.onnx_entry import read_entry
from edgecnn.graph.custom.torchscript import read_script
from edgecnn.graph.onnx_file import opset_of
from edgecnn.models.foreign_files import foreign_form
from edgecnn.planning.stated_preprocessing import stated_for
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runtimes.candidate import CandidateRequest, make_candidate
from edgecnn.runtimes.checks import check_converted
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.registry import backend_for
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.model_file import ModelFile
from tests.graph.custom.test_batch import prepared
from tests.graph.custom_files import SIDE, classifier, feeding_named, pictures
from tests.graph.custom_trunks import trunk_of
from tests.runtimes.made import CANDIDATES, Quiet


def with_step(op: str, reads: list[str], held: dict[str, np.ndarray], opset: int, **attributes: object) -> onnx.ModelProto:
    """The classifier with one more node between its convolution and its ReLU."""
    model = classifier("half", opset=opset)
    place = next(place for place, node in enumerate(model.graph.node) if node.op_type == "Relu")
    relu = model.graph.node[place]
    step = helper.make_node(op, [relu.input[0], *reads], ["stepped"], name="step", **attributes)
    relu.input[0] = "stepped"
    model.graph.node.insert(place, step)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in held.items())
    return model


SIZES = {"factors": np.array([1, 1, 1.5, 1.5], np.float32)}


@pytest.mark.parametrize(
    ("op", "opset", "mode"), [("Resize", 10, "linear"), ("Upsample", 9, "linear"), ("Resize", 10, "nearest")]
)
def test_an_old_enlargement_keeps_its_coordinates(op: str, opset: int, mode: str, tmp_path: Path) -> None:
    onnx.save(with_step(op, ["factors"], SIZES, opset, mode=mode), tmp_path / "mine.onnx")
    trunk = trunk_of(tmp_path / "mine.onnx")
    node = next(node for node in trunk.graph.node if node.op_type == "Resize")
    stated = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    assert (stated["coordinate_transformation_mode"], stated["nearest_mode"]) == (b"asymmetric", b"floor")


def test_groups_of_opset_21_are_normalized_in_opset_20(tmp_path: Path) -> None:
    held = {"g": np.array([0.1, 0.02, 0.05], np.float32), "b": np.array([0.1, 0.2, -0.3], np.float32)}
    onnx.save(with_step("GroupNormalization", ["g", "b"], held, 21, num_groups=3), tmp_path / "mine.onnx")
    trunk = trunk_of(tmp_path / "mine.onnx")
    assert opset_of(trunk) == 20 and "GroupNormalization" not in {node.op_type for node in trunk.graph.node}


LITERT = Candidate(id="litert-fp32", runtime=Runtime.LITERT, precision=Precision.FP32)
PADS = {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), "value": np.array([0.5], np.float32)}


def test_a_pad_by_a_list_of_one_number_reaches_every_runtime(tmp_path: Path) -> None:
    onnx.save(with_step("Pad", ["pads", "value"], PADS, 17), tmp_path / "mine.onnx")
    trunk_of(tmp_path / "mine.onnx")
    for candidate in (CANDIDATES["openvino-fp32"], LITERT):
        (out := tmp_path / candidate.id).mkdir()
        backend_for(candidate.runtime).convert(tmp_path / "trunk.onnx", candidate, out)


def test_a_pad_that_wraps_is_converted_or_named(tmp_path: Path) -> None:
    onnx.save(with_step("Pad", ["pads"], {"pads": PADS["pads"]}, 19, mode="wrap"), tmp_path / "mine.onnx")
    trunk_of(tmp_path / "mine.onnx")
    with pytest.raises(EdgecnnError, check=CONVERTER_FAILED.made):
        backend_for(Runtime.OPENVINO).convert(tmp_path / "trunk.onnx", CANDIDATES["openvino-fp32"], tmp_path)
    backend_for(Runtime.LITERT).convert(tmp_path / "trunk.onnx", LITERT, tmp_path)
    model, feed = ModelFile.model_validate_json((tmp_path / "model.json").read_text()), feeding_named("half").normalization.feed
    pixels, _ = pictures(4)
    ours = backend_for(Runtime.LITERT).logits(tmp_path, model, feed(pixels, model.model.input.dtype, model.model.input.layout))
    np.testing.assert_allclose(ours, onnx_logits(tmp_path / "trunk.onnx", feed(pixels)), atol=1e-3)


def test_outputs_of_another_shape_are_named_before_they_are_compared(tmp_path: Path) -> None:
    onnx.save(classifier("half"), tmp_path / "mine.onnx")
    trunk_of(tmp_path / "mine.onnx")
    normalization = feeding_named("half").normalization
    job = Job(tmp_path / "trunk.onnx", tmp_path, CANDIDATES["onnxruntime-fp32"], normalization, pictures(4)[0])
    with pytest.raises(EdgecnnError, check=OUTPUTS_SHAPED_OTHERWISE.made) as refused:
        check_converted(job, "pnnx", lambda feed: np.zeros((len(feed), 5), np.float32))
    assert (refused.value.fields["found"], refused.value.fields["wanted"]) == ([4, 5], [4, 4])
    assert distance(np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32)) == np.inf


def test_a_program_for_a_gpu_is_told_from_an_unknown_size(tmp_path: Path) -> None:
    class OnGpu(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.mean((2, 3)) + torch.zeros(3, device=torch.device("cuda:0"))

    torch.jit.save(torch.jit.script(OnGpu()), tmp_path / "mine.pt")
    with pytest.raises(CustomModelUnusable, match="cuda:0"):
        read_script(tmp_path / "mine.pt", ImageSize.square(SIDE))


@pytest.mark.parametrize(
    ("name", "head", "what"),
    [
        ("mine.pte", b"\x30\0\0\0ET12\0\0", "an ExecuTorch program"),
        ("mine.hef", b"\x01HEF\0\0\0\x02", "a Hailo executable (HEF)"),
        ("mine.mnn", b"\x20\0\0\0\0\0\x1a\0", "an MNN model"),
        ("mine.dlc", b"\xd5\x0a\x02\0\0\0", "a Qualcomm DLC model"),
    ],
)
def test_formats_of_other_runtimes_are_named(name: str, head: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(head + bytes(100))
    form = foreign_form(tmp_path / name)
    assert form is not None and form.what == what


def test_an_image_processor_inside_a_processor_is_read_and_antialias_noted(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"")
    inner = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": True, "size": {"height": 32, "width": 32}}
    (tmp_path / "processor_config.json").write_text(
        json.dumps({"processor_class": "X", "image_processor": {**inner, "antialias": False}})
    )
    stated = stated_for(tmp_path / "mine.onnx")
    assert stated is not None and stated.choice.like == "half" and len(stated.notes) == 1


def test_an_int8_file_without_an_int8_layer_is_refused(tmp_path: Path) -> None:
    """All products are in a branch, which quantizers leave as it is."""
    model = classifier("half")
    body = helper.make_graph(
        list(model.graph.node), "branch", [], [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 4])]
    )
    condition = helper.make_node("Greater", ["largest", "never"], ["is_large"], name="greater")
    largest = helper.make_node("ReduceMax", ["planes"], ["largest"], name="largest", keepdims=0)
    choice = helper.make_node("If", ["is_large"], ["chosen"], name="if", then_branch=body, else_branch=body)
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1e9), "never"))
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.extend([largest, condition, choice])
    model.graph.output.append(helper.make_tensor_value_info("chosen", TensorProto.FLOAT, ["n", 4]))
    model.graph.input[0].name = "planes"
    model.ir_version = 10
    onnx.save(model, tmp_path / "branch.onnx")
    pixels, normalization = prepared(tmp_path / "pixels"), feeding_named("half").normalization
    (out := tmp_path / "out").mkdir()
    with pytest.raises(EdgecnnError, check=NOTHING_QUANTIZED.made):
        make_candidate(
            CandidateRequest(tmp_path / "branch.onnx", pixels, CANDIDATES["onnxruntime-int8"], 20, normalization), out, Quiet()
        )


def test_hints_follow_the_domain_and_the_producer(tmp_path: Path) -> None:
    hints = {}
    for domain, op in (
        ("ai.onnx.contrib", "DecodeImage"),
        ("ai.onnx.ml", "TreeEnsembleClassifier"),
        ("com.microsoft", "FusedConv"),
    ):
        model = with_step(op, [], {}, 17, domain=domain)
        with pytest.raises(CustomModelUnusable) as refused:
            read_entry(model, tmp_path / "mine.onnx")
        hints[domain] = refused.value.hint
    assert len(set(hints.values())) == 3
    norm = classifier("half", batch_norm=True)
    next(node for node in norm.graph.node if node.op_type == "BatchNormalization").attribute.append(
        helper.make_attribute("training_mode", 1)
    )
    for producer in ("pytorch", "tf2onnx", "PaddlePaddle"):
        norm.producer_name = producer
        with pytest.raises(CustomModelUnusable) as refused:
            read_entry(norm, tmp_path / "mine.onnx")
        hints[producer] = refused.value.hint
    assert len({hints["pytorch"], hints["tf2onnx"], hints["PaddlePaddle"]}) == 3


def test_a_size_of_zero_is_refused(tmp_path: Path) -> None:
    model = classifier("half")
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 0
    with pytest.raises(CustomModelUnusable, match="a size of 0"):
        read_entry(model, tmp_path / "mine.onnx", ImageSize.square(SIDE))
