"""Quantization-aware training: a network learns with its INT8 rounding, and is exported with integer weights.

Training starts with the ranges of post-training calibration. The weights then learn to reproduce the logits of the float
network in spite of the rounding. The exported file is checked against the trained network.

The network is rounded at the same places as by post-training quantization: at both inputs of every convolution and linear
layer. For the CPU runtimes, the output of a layer is rounded too, after a fused ReLU, as are sums and products of two
activations. ONNX Runtime has no integer convolution with a float output, so such a layer would run in float. TensorRT fuses
operators into the preceding convolution, and a quantizer between them would prevent that, so nothing else is rounded for it.
The logits are never rounded.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.export import Dim
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.fake_quantize import FakeQuantize
from torchao.quantization.pt2e.observer import MinMaxObserver, PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, Quantizer

from edgecnn.graph.checks import INTEGER_TOLERANCE, ExportCheck, compare_logits, onnx_logits, spread
from edgecnn.graph.export import export_onnx, torch_logits
from edgecnn.graph.macs import mac_table
from edgecnn.graph.onnx_file import save_model
from edgecnn.graph.passes.qdq import absorb_clamps, quantize_biases
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runtimes.job import calibration_pixels, require_finite
from edgecnn.training.beginning import TrainingInputs, material_for
from edgecnn.training.checkpoint import begin, finish, is_made
from edgecnn.training.loop import PhaseResult, best_file, run_phase
from edgecnn.training.losses import divergence, teacher_of
from edgecnn.training.material import Material
from edgecnn.training.memory import within_memory
from edgecnn.training.process import repeatable
from edgecnn.training.schedule import Phase
from edgecnn.training.settings import AwareSettings
from edgecnn.values.candidate import Scheme
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.stage import Progress

FACTS = "aware.json"
CHECK_IMAGES = 128
_CALIBRATION_BATCH = 16


def make_aware(settings: AwareSettings, inputs: TrainingInputs, out: Path, tell: Progress) -> None:
    """Write ``model.onnx``, ``macs.json``, ``golden_logits.npy`` and ``aware.json``; ``resume/`` is gone afterwards.

    Raises BATCH_TOO_LARGE, TRAINING_DIVERGED, NOTHING_TO_TRAIN_ON, ClassesDiffer, CALIBRATION_SET_TOO_SMALL,
    CALIBRATION_NOT_FINITE,
    WRONG_OPSET, ExportDisagrees, MacsUnknown: see ``AwareStage.make``.
    """
    if is_made(out, FACTS):
        return
    resume = begin(out)
    with repeatable(settings.threads):
        teacher = teacher_of(settings.arch, settings.classes, settings.preprocessing.pixels.crop_px, inputs.weights)
        material = material_for(settings, inputs, resume, tell)._replace(teacher=teacher)
        network = _calibrated(teacher, settings, inputs.pixels)
        course = _Course(settings, inputs, material, teacher)
        before = course.standing(network)
        result = course.learn(network)
        check = course.export(network, out)
        facts = {**course.facts(result, check), "before": before, "after": course.standing(network)}
    finish(out, FACTS, json.dumps(facts, indent=1, sort_keys=True) + "\n")


def _calibrated(teacher: nn.Module, settings: AwareSettings, prepared: Path) -> Exported:
    pixels = calibration_pixels(prepared, settings.images)
    normalization = settings.preprocessing.normalization
    for number, feed in enumerate(_feeds(pixels, normalization)):
        require_finite(torch_logits(teacher, feed), len(pixels), number * _CALIBRATION_BATCH)
    network = rounded(teacher, settings.scheme, settings.preprocessing.pixels.crop_px)
    calibrate(network, _feeds(pixels, normalization))
    return network


def _feeds(pixels: npt.NDArray[np.uint8], normalization: Normalization) -> Iterator[npt.NDArray[Any]]:
    for start in range(0, len(pixels), _CALIBRATION_BATCH):
        yield normalization.feed(pixels[start : start + _CALIBRATION_BATCH])


class _Course:
    """One training: what it learns from, is judged by, and writes."""

    def __init__(self, settings: AwareSettings, inputs: TrainingInputs, material: Material, teacher: nn.Module) -> None:
        self.settings, self.inputs, self.material, self.teacher = settings, inputs, material, teacher
        shown = spread(np.load(inputs.pixels / "validation.pixels.npy", mmap_mode="r"), CHECK_IMAGES)
        self.shown = settings.preprocessing.normalization.feed(shown)
        self.wanted = torch_logits(teacher, self.shown)

    def learn(self, network: Exported) -> PhaseResult:
        """Train ``network`` and leave it with the weights of its best epoch on ``validation``."""
        reporting = {"told_as": "train with INT8 rounding", "rate_setting": "quantize.aware_learning_rate"}
        phase = Phase.taught(self.settings, self.settings.epochs, name="aware", frozen_statistics=True, **reporting)
        with within_memory(network, phase, len(self.material.decoded), on="cpu"):
            result = run_phase(network, nn.Module(), phase, self.material)
        network.load_state_dict(load_file(best_file(self.material.folder, phase.name)))
        return result

    def export(self, network: Exported, out: Path) -> ExportCheck:
        """Write the files and hold the one that ships against the network."""
        resolution_px = self.settings.preprocessing.pixels.crop_px
        path = out / "model.onnx"
        model = export_onnx(integers(network, resolution_px), resolution_px, path, self.settings.opset)
        if not rounds_inputs_alone(self.settings.scheme):  # else what clamps stays, and so do biases
            absorb_clamps(model)
            quantize_biases(model)
        save_model(model, path)
        check = compare_logits(torch_logits(network, self.shown), onnx_logits(path, self.shown), INTEGER_TOLERANCE)
        (out / "macs.json").write_text(mac_table(path).model_dump_json(indent=1) + "\n", encoding="utf-8")
        golden = np.load(self.inputs.pixels / "golden" / "pixels.npy")
        answers = torch_logits(network, self.settings.preprocessing.normalization.feed(golden))
        np.save(out / "golden_logits.npy", answers)
        return check

    def standing(self, network: Exported) -> dict[str, float]:
        """Accuracy on ``validation`` (0…1), and the divergence from the float network's answers in nats an image."""
        apart = divergence(*(torch.from_numpy(logits) for logits in (torch_logits(network, self.shown), self.wanted)))
        return {"validation_top1": self.material.validation.top1(network), "divergence_from_float": float(apart)}

    def facts(self, result: PhaseResult, check: ExportCheck) -> dict[str, Any]:
        """``aware.json`` but for the standings."""
        return {
            "start": "post-training ranges: the smallest and largest value of each activation",
            "learns_from": "the float network's answers",
            "calibration_images": self.settings.images,
            "scheme": self.settings.scheme.model_dump(mode="json"),
            "float_validation_top1": self.material.validation.top1(self.teacher),
            "epochs": [facts.model_dump(mode="json") for facts in result.epochs],
            "export": check.model_dump(mode="json"),
        }


class Exported(nn.Module):
    """A graph of torch.export as a module among others: such graphs refuse to be told of modes, of which they have only one."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.inner = graph

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float, normalized → (N, classes) float logits."""
        logits: Tensor = self.inner(image)
        return logits

    def train(self, mode: bool = True) -> Self:
        """Remember the mode and tell nobody."""
        self.training = mode
        return self


def rounded(network: nn.Module, scheme: Scheme, resolution_px: ImageSize) -> Exported:
    """The network with its batch norms folded and a rounding at every place of ``Placement``; ``network`` stays as it is.

    Batch norms are folded with the statistics that they end training with: left beside the convolutions they would stay in the
    exported file, where INT8 ran at 8.8 in place of 2.5 ms (EfficientNet-Lite0).
    """
    example = torch.zeros(2, 3, *resolution_px)  # a batch of one would be taken for a constant
    program = torch.export.export(_plain(network).eval(), (example,), dynamic_shapes=({0: Dim("batch", min=1)},), strict=False)
    # torchao's preparation for post-training folds batch norms, the one for training would keep them; the roundings of
    # ``Placement`` let gradients through either way.
    # It also fixes the biases that batch norms leave behind, which have to learn as the weights do.
    return Exported(prepare_pt2e(program.module(check_guards=False), Placement(scheme)).requires_grad_(True))


def calibrate(network: Exported, feeds: Iterable[npt.NDArray[np.float32]]) -> None:
    """Fix the ranges of activations to the smallest and largest value seen, as post-training calibration does.

    Ranges of weights follow the weights as long as they change.

    ``network``: of ``rounded``; changed in place. ``feeds``: images, float32 (N, 3, H, W).
    """
    roundings = [module for module in network.modules() if isinstance(module, FakeQuantize)]
    for rounding in roundings:
        rounding.disable_fake_quant()
    with torch.no_grad():
        for feed in feeds:
            network(torch.from_numpy(feed))
    for rounding in roundings:
        rounding.enable_fake_quant()
        if not rounding.is_per_channel:
            rounding.disable_observer()


def integers(network: Exported, resolution_px: ImageSize) -> Exported:
    """The same network with integer weights and quantizing operators in place of roundings, to be exported."""
    with torch.no_grad():
        network(torch.zeros(1, 3, *resolution_px))  # ranges of weights are those of the last weights seen
        return Exported(convert_pt2e(_plain(network.inner)))


def _plain(network: nn.Module) -> nn.Module:
    """A copy in the usual memory order: from the channels-last one of training the exporter makes a Gather after each mean."""
    return copy.deepcopy(network).to(memory_format=torch.contiguous_format)


_ATEN = torch.ops.aten
_MULTIPLIES = (_ATEN.conv2d.default, _ATEN.linear.default)
_JOINS = (_ATEN.add.Tensor, _ATEN.add_.Tensor, _ATEN.mul.Tensor, _ATEN.mul_.Tensor)
_CLAMPS = (_ATEN.relu.default, _ATEN.relu_.default, _ATEN.hardtanh.default, _ATEN.hardtanh_.default, _ATEN.relu6.default)
"""Activations that the runtimes leave out, because the rounding to unsigned numbers clamps as they do."""
_PADS = (_ATEN.pad.default, _ATEN.constant_pad_nd.default)
"""Rounded before and not after: the exporter folds a padding with zeros into the convolution that follows at once."""
_KEY = "quantization_annotation"


class WeightRange(PerChannelMinMaxObserver):  # type: ignore[misc]
    """The range of each output channel's weights as they are now; torchao's own would keep the extremes of all steps.

    It asserts nothing: weights that are no numbers make a loss that is none, which training stops at.
    """

    def forward(self, weights: Tensor) -> Tensor:
        """Take the extremes of each channel, the first axis."""
        low, high = torch.aminmax(weights.detach().flatten(1), dim=1)
        self.min_val.resize_(low.shape).copy_(low)
        self.max_val.resize_(high.shape).copy_(high)
        return weights

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """Scale float32 (channels,) and zero point int64 (channels,), which is 0."""
        scale = torch.maximum(torch.maximum(-self.min_val, self.max_val) / self.quant_max, self.eps)
        return scale, torch.zeros_like(scale, dtype=torch.int64)


class Placement(Quantizer):  # type: ignore[misc]
    """Marks a graph of torch.export for torchao."""

    def __init__(self, scheme: Scheme) -> None:
        self._inputs_alone = rounds_inputs_alone(scheme)
        self._activation = _activation_spec(scheme)
        self._weight = _weight_spec(scheme)

    def annotate(self, model: GraphModule) -> GraphModule:
        """Say of each edge and output how it is rounded."""
        for node in model.graph.nodes:
            if self._inputs_alone:
                self._mark_inputs(node)
            elif node.target in _MULTIPLIES:
                source = _unpadded(node)
                self._mark(node, {node.args[1]: self._weight, **({node.args[0]: self._activation} if source is None else {})})
                if source is not None:
                    self._mark(source, {source.args[0]: self._activation})
                self._mark_output(node)
            elif node.target in _JOINS and all(_is_activation(argument) for argument in node.args[:2]):
                self._mark(node, dict.fromkeys(node.args[:2], self._activation))
                self._mark_output(node)
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing to say: every network is rounded where it can be."""

    def _mark_inputs(self, node: Node) -> None:
        """Round what a layer reads where it is made: whatever else reads it, such as a residual's sum, gets the same integers."""
        if node.target in _MULTIPLIES:
            self._mark(node, {node.args[1]: self._weight})
            padding = _unpadded(node)
            self._mark((padding or node).args[0], {}, self._activation)

    def _mark_output(self, node: Node) -> None:
        only = next(iter(node.users)) if len(node.users) == 1 else None
        if only is not None and only.op == "output":
            return
        self._mark(only if only is not None and only.target in _CLAMPS else node, {}, self._activation)

    @staticmethod
    def _mark(node: Any, inputs: dict[Any, Any], output: Any = None) -> None:
        annotation = node.meta.setdefault(_KEY, QuantizationAnnotation(_annotated=True))
        annotation.input_qspec_map.update(inputs)
        annotation.output_qspec = output or annotation.output_qspec


def rounds_inputs_alone(scheme: Scheme) -> bool:
    """True where layers read integers and make floats: a float bias is added to a float, an int32 one to the sum of products."""
    return scheme.bias == "float"


def _activation_spec(scheme: Scheme) -> QuantizationSpec:
    unsigned = scheme.activation_dtype == "uint8"
    return QuantizationSpec(
        dtype=torch.uint8 if unsigned else torch.int8,
        observer_or_fake_quant_ctr=FakeQuantize.with_args(observer=MinMaxObserver),
        quant_min=0 if unsigned else -127,
        quant_max=255 if unsigned else 127,
        qscheme=torch.per_tensor_symmetric if scheme.activation_symmetric else torch.per_tensor_affine,
    )


def _weight_spec(scheme: Scheme) -> QuantizationSpec:
    largest = 63 if scheme.reduced_range else 127
    return QuantizationSpec(
        dtype=torch.int8,
        observer_or_fake_quant_ctr=FakeQuantize.with_args(observer=WeightRange),
        quant_min=-largest,
        quant_max=largest,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
    )


def _unpadded(node: Node) -> Node | None:
    """The padding that a layer reads from, where it does and nothing else reads it."""
    source = node.args[0]
    return source if isinstance(source, Node) and source.target in _PADS and len(source.users) == 1 else None


def _is_activation(value: Any) -> bool:
    example = value.meta.get("val") if isinstance(value, Node) and value.op != "get_attr" else None
    return isinstance(example, Tensor) and example.is_floating_point()
