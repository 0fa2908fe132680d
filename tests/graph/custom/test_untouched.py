"""The untouched file is asked first: what makes its answers of more than the image is named, before anything is rewritten."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from edgecnn.errors.base import EdgecnnError
from edgecnn.graph.custom.trial import error_of, read_and_convert
from edgecnn.runner.pixel_recipe import ImageSize
from tests.graph.custom_files import SIDE, classifier, quantized
from tests.graph.torch_files import scripted

EVALUATION = "call model.eval() before torch.onnx.export"


def insert_before_last(model: onnx.ModelProto, *nodes: onnx.NodeProto) -> onnx.ModelProto:
    """The last layer reads what the last of these nodes makes of ``flat``."""
    for node in nodes:
        model.graph.node.insert(len(model.graph.node) - 1, node)
    model.graph.node[-1].input[0] = nodes[-1].output[0]
    return model


def normalizing_by_the_call() -> onnx.ModelProto:
    mean = helper.make_node("ReduceMean", ["flat"], ["mean"], axes=[0], keepdims=1)
    return insert_before_last(classifier(), mean, helper.make_node("Sub", ["flat", "mean"], ["centred"]))


def centred_a_little_by_the_call() -> onnx.ModelProto:
    """By a hundredth of the mean over the images of a call."""
    model = classifier()
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.01, np.float32), "little"))
    mean = helper.make_node("ReduceMean", ["flat"], ["mean"], axes=[0], keepdims=1)
    part = helper.make_node("Mul", ["mean", "little"], ["part"])
    return insert_before_last(model, mean, part, helper.make_node("Sub", ["flat", "part"], ["centred"]))


def drawing_at_random() -> onnx.ModelProto:
    draw = helper.make_node("RandomUniformLike", ["flat"], ["noise"], name="draw")
    return insert_before_last(classifier(), draw, helper.make_node("Add", ["flat", "noise"], ["noisy"]))


def dropping_out(*, training: bool = True) -> onnx.ModelProto:
    model = classifier()
    held = {"ratio": np.array(0.5, np.float32), "mode": np.array(training)}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in held.items())
    return insert_before_last(model, helper.make_node("Dropout", ["flat", "ratio", "mode"], ["left"], name="drop"))


def norm_in_training(*, told_by: str) -> onnx.ModelProto:
    model = classifier(batch_norm=True, opset=17 if told_by == "attribute" else 13)
    node = next(node for node in model.graph.node if node.op_type == "BatchNormalization")
    node.output.extend(["running_mean", "running_var"])
    if told_by == "attribute":
        node.attribute.append(helper.make_attribute("training_mode", 1))
    return model


def one_image_in_all_but_name() -> onnx.ModelProto:
    model = classifier(batch=1)
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return model


def answering_once_a_call() -> onnx.ModelProto:
    model = one_image_in_all_but_name()
    shape = next(tensor for tensor in model.graph.initializer if tensor.name == "shape")
    shape.CopyFrom(numpy_helper.from_array(np.array([-1, 3], np.int64), "shape"))
    model.graph.node.append(helper.make_node("ReduceMean", ["scores"], ["alone"], axes=[0], keepdims=1))
    model.graph.output[0].name = "alone"
    return model


def drawing_at_random_by_keras() -> onnx.ModelProto:
    model = drawing_at_random()
    model.producer_name = "tf2onnx"
    return model


REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "statistics of the call": (
        normalizing_by_the_call,
        f"its output for an image depends on the other images in the batch — {EVALUATION}, and do not compute over the batch "
        "axis",
    ),
    "a little of the call": (
        centred_a_little_by_the_call,
        f"its output for an image depends on the other images in the batch — {EVALUATION}, and do not compute over the batch "
        "axis",
    ),
    "a random operator": (
        drawing_at_random,
        f"its output for the same image differs from call to call (RandomUniformLike draw) — {EVALUATION}, and remove random "
        "operators",
    ),
    "a random operator of Keras": (
        drawing_at_random_by_keras,
        "its output for the same image differs from call to call (RandomUniformLike draw) — export it for inference: call the "
        "model with training=False, and export that model, and remove random operators",
    ),
    "dropout": (dropping_out, f"it was exported in training mode (Dropout drop) — {EVALUATION}"),
    "a norm": (
        partial(norm_in_training, told_by="attribute"),
        f"it was exported in training mode (BatchNormalization norm) — {EVALUATION}",
    ),
    "a norm of old opsets": (
        partial(norm_in_training, told_by="outputs"),
        f"it was exported in training mode (BatchNormalization norm) — {EVALUATION}",
    ),
    "one row whatever the images": (
        answering_once_a_call,
        "its batch axis is declared open, but it accepts only one image; with 3 its output for 3 images is 1×4 — export it "
        "with a batch axis that is dynamic throughout, or with a fixed batch of 1",
    ),
}


def test_a_file_of_a_newer_ir_version_is_read_as_one_of_the_trunk_s(tmp_path: Path) -> None:
    """``onnx`` 1.23 writes IR 14 by default, and ONNX Runtime 1.31 refuses it."""
    model, path = classifier(), tmp_path / "mine.onnx"
    model.ir_version = 10
    onnx.save(model, path)
    expected = read_and_convert(path).entry
    model.ir_version = 14
    onnx.save(model, path)
    assert read_and_convert(path).entry == expected


def fault_of(path: Path, **stated: Any) -> EdgecnnError | None:
    return error_of(path, partial(read_and_convert, path, **stated))


@pytest.mark.parametrize("name", REFUSED)
def test_what_an_answer_depends_on_besides_its_image_is_named(name: str, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    path = tmp_path / "mine.onnx"
    onnx.save(make(), path)
    fault = fault_of(path)
    assert fault is not None and fault.exit_code == 2
    assert fault.line() == f"edgecnn cannot build from {path}: {message} [custom-model-unusable]"


def test_a_batch_that_is_open_in_name_only_ends_with_the_runtimes_own_reason(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    onnx.save(one_image_in_all_but_name(), path)
    fault = fault_of(path)
    assert fault is not None and fault.because is not None
    assert fault.because.startswith("its batch axis is declared open, but it accepts only one image; with 3 ONNX Runtime")
    assert fault.because.endswith("Input shape:{3,3,1,1}, requested shape:{1,3}")


def test_what_only_looks_like_training_is_taken(tmp_path: Path) -> None:
    forms = {
        "dropout": dropping_out(training=False),
        "half": classifier(dtype="float16"),
        "bytes": classifier("bytes", dtype="uint8"),
        "four in a call": classifier(batch=4),
    }
    for name, model in forms.items():
        path = tmp_path / f"{name}.onnx"
        onnx.save(model, path)
        assert fault_of(path) is None, name
    assert fault_of(quantized(tmp_path, "QOperator")) is None


class Forgetful(nn.Module):
    """Drops out in evaluation mode too, as ``nn.functional.dropout`` does unless it is told not to."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x.flatten(1)[:, :4], training=True)


def test_a_program_of_torch_that_draws_at_random_is_refused_too(tmp_path: Path) -> None:
    path = scripted(Forgetful(), tmp_path / "mine.pt")
    fault = fault_of(path, form="TorchScript", resolution_px=ImageSize.square(SIDE))
    assert fault is not None and "its output for the same image differs from call to call" in fault.line()


def test_no_output_is_chosen_of_a_program_of_torch(tmp_path: Path) -> None:
    path = scripted(Forgetful(), tmp_path / "mine.pt")
    fault = fault_of(path, form="TorchScript", resolution_px=ImageSize.square(SIDE), output="logits")
    assert fault is not None and fault.line() == (
        f"edgecnn cannot build from {path}: model.output chooses among the outputs of an ONNX file, "
        "but this is a TorchScript file — "
        "remove model.output, and return only the class scores [custom-model-unusable]"
    )
