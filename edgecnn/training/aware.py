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

from edgecnn.graph.checks import INTEGER_TOLERANCE, ExportCheck, compare_logits, onnx_logits, spread_images
from edgecnn.graph.export import export_onnx, torch_logits
from edgecnn.graph.macs import mac_table
from edgecnn.graph.onnx_file import save_model
from edgecnn.graph.quantization_nodes import absorb_clamps, quantize_biases, unshare_constants
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runtimes.job import calibration_pixels, require_finite
from edgecnn.training.beginning import TrainingInputs, material_for
from edgecnn.training.checkpoint import finish, is_finished, resume_folder
from edgecnn.training.loop import PhaseResult, best_file, run_phase
from edgecnn.training.losses import divergence, load_teacher
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
    """Write ``model.onnx``, ``macs.json``, ``golden_logits.npy`` and ``aware.json``, and delete ``resume/``.

    Raises BATCH_TOO_LARGE, TRAINING_DIVERGED, NOTHING_TO_TRAIN_ON, CLASSES_DIFFER, CALIBRATION_SET_TOO_SMALL,
    CALIBRATION_NOT_FINITE, WRONG_OPSET, ExportDisagrees, MacsUnknown: see ``AwareStage.make``.
    """
    if is_finished(out, FACTS):
        return
    resume = resume_folder(out)
    with repeatable(settings.threads):
        teacher = load_teacher(settings.arch, settings.classes, settings.preprocessing.pixels.crop_px, inputs.weights)
        material = material_for(settings, inputs, resume, tell)._replace(teacher=teacher)
        network = _calibrated(teacher, settings, inputs.pixels)
        training = _AwareTraining(settings, inputs, material, teacher)
        before = training.validation_figures(network)
        result = training.learn(network)
        check = training.export(network, out)
        facts = {**training.facts(result, check), "before": before, "after": training.validation_figures(network)}
    finish(out, FACTS, json.dumps(facts, indent=1, sort_keys=True) + "\n")


def _calibrated(teacher: nn.Module, settings: AwareSettings, prepared: Path) -> ExportedModule:
    pixels = calibration_pixels(prepared, settings.images)
    normalization = settings.preprocessing.normalization
    for number, feed in enumerate(_feeds(pixels, normalization)):
        require_finite(torch_logits(teacher, feed), len(pixels), number * _CALIBRATION_BATCH)
    network = with_rounding(teacher, settings.scheme, settings.preprocessing.pixels.crop_px)
    calibrate(network, _feeds(pixels, normalization))
    return network


def _feeds(pixels: npt.NDArray[np.uint8], normalization: Normalization) -> Iterator[npt.NDArray[Any]]:
    for start in range(0, len(pixels), _CALIBRATION_BATCH):
        yield normalization.feed(pixels[start : start + _CALIBRATION_BATCH])


class _AwareTraining:
    """One quantization-aware training: its settings, material and teacher."""

    def __init__(self, settings: AwareSettings, inputs: TrainingInputs, material: Material, teacher: nn.Module) -> None:
        self.settings, self.inputs, self.material, self.teacher = settings, inputs, material, teacher
        shown = spread_images(np.load(inputs.pixels / "validation.pixels.npy", mmap_mode="r"), CHECK_IMAGES)
        self.shown = settings.preprocessing.normalization.feed(shown)
        self.wanted = torch_logits(teacher, self.shown)

    def learn(self, network: ExportedModule) -> PhaseResult:
        """Train ``network``, and load the weights of its best epoch on ``validation``."""
        reporting = {"told_as": "train with INT8 rounding", "rate_setting": "quantize.aware_learning_rate"}
        phase = Phase.distilled(self.settings, self.settings.epochs, name="aware", frozen_statistics=True, **reporting)
        with within_memory(network, phase, len(self.material.decoded), on="cpu"):
            result = run_phase(network, nn.Module(), phase, self.material)
        network.load_state_dict(load_file(best_file(self.material.folder, phase.name)))
        return result

    def export(self, network: ExportedModule, out: Path) -> ExportCheck:
        """Write the files, and return the comparison of the shipped file with the network."""
        resolution_px = self.settings.preprocessing.pixels.crop_px
        path = out / "model.onnx"
        model = export_onnx(with_integer_weights(network, resolution_px), resolution_px, path, self.settings.opset)
        unshare_constants(model.graph)
        if not rounds_inputs_alone(self.settings.scheme):  # with float outputs, clamps and float biases stay
            absorb_clamps(model)
            quantize_biases(model)
        save_model(model, path)
        check = compare_logits(torch_logits(network, self.shown), onnx_logits(path, self.shown), INTEGER_TOLERANCE)
        (out / "macs.json").write_text(mac_table(path).model_dump_json(indent=1) + "\n", encoding="utf-8")
        golden = np.load(self.inputs.pixels / "golden" / "pixels.npy")
        answers = torch_logits(network, self.settings.preprocessing.normalization.feed(golden))
        np.save(out / "golden_logits.npy", answers)
        return check

    def validation_figures(self, network: ExportedModule) -> dict[str, float]:
        """Return the accuracy on ``validation`` (0…1), and the divergence from the float network in nats for each image."""
        apart = divergence(*(torch.from_numpy(logits) for logits in (torch_logits(network, self.shown), self.wanted)))
        return {"validation_top1": self.material.validation.top1(network), "divergence_from_float": float(apart)}

    def facts(self, result: PhaseResult, check: ExportCheck) -> dict[str, Any]:
        """Return ``aware.json`` without the entries ``before`` and ``after``."""
        return {
            "start": "post-training ranges: the smallest and largest value of each activation",
            "learns_from": "the float network's answers",
            "calibration_images": self.settings.images,
            "scheme": self.settings.scheme.model_dump(mode="json"),
            "float_validation_top1": self.material.validation.top1(self.teacher),
            "epochs": [facts.model_dump(mode="json") for facts in result.epochs],
            "export": check.model_dump(mode="json"),
        }


class ExportedModule(nn.Module):
    """A torch.export graph as a module. Exported graphs raise an error in ``train`` and ``eval``, since they have one mode."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.inner = graph

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float, normalized → (N, classes) float logits."""
        logits: Tensor = self.inner(image)
        return logits

    def train(self, mode: bool = True) -> Self:
        """Set the mode of this module only."""
        self.training = mode
        return self


def with_rounding(network: nn.Module, scheme: Scheme, resolution_px: ImageSize) -> ExportedModule:
    """Return a copy of the network with folded batch norms, and rounding where ``Placement`` says.

    Batch norms are folded with their final statistics. Otherwise they would stay in the exported file, where INT8 took 8.8 ms
    instead of 2.5 ms (EfficientNet-Lite0).
    """
    example = torch.zeros(2, 3, *resolution_px)  # a batch of one would be exported as a constant
    program = torch.export.export(
        _contiguous_copy(network).eval(), (example,), dynamic_shapes=({0: Dim("batch", min=1)},), strict=False
    )
    # torchao's preparation for post-training quantization folds batch norms; its preparation for training would keep them.
    # ``Placement`` rounds by fake quantization, which passes gradients. Preparation freezes the biases of folded batch norms,
    # so gradients are enabled again.
    return ExportedModule(prepare_pt2e(program.module(check_guards=False), Placement(scheme)).requires_grad_(True))


def calibrate(network: ExportedModule, feeds: Iterable[npt.NDArray[np.float32]]) -> None:
    """Set the ranges of activations in place to their smallest and largest values, as in post-training calibration.

    Ranges of weights follow the weights during training. ``network``: from ``with_rounding``. ``feeds``: float32 (N, 3, H, W).
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


def with_integer_weights(network: ExportedModule, resolution_px: ImageSize) -> ExportedModule:
    """Return the network with integer weights, and quantizing operators in place of rounding, for export."""
    with torch.no_grad():
        network(torch.zeros(1, 3, *resolution_px))  # update the ranges of weights
        return ExportedModule(convert_pt2e(_contiguous_copy(network.inner)))


def _contiguous_copy(network: nn.Module) -> nn.Module:
    """Return a contiguous copy, because the exporter turns channels-last tensors into a Gather after each mean."""
    return copy.deepcopy(network).to(memory_format=torch.contiguous_format)


_ATEN = torch.ops.aten
_MULTIPLIES = (_ATEN.conv2d.default, _ATEN.linear.default)
_JOINS = (_ATEN.add.Tensor, _ATEN.add_.Tensor, _ATEN.mul.Tensor, _ATEN.mul_.Tensor)
_CLAMPS = (_ATEN.relu.default, _ATEN.relu_.default, _ATEN.hardtanh.default, _ATEN.hardtanh_.default, _ATEN.relu6.default)
"""Activations that runtimes omit, because rounding to unsigned numbers clamps in the same way."""
_PADS = (_ATEN.pad.default, _ATEN.constant_pad_nd.default)
"""Rounded before and not after, because the exporter folds a zero padding into the convolution that follows directly."""
_KEY = "quantization_annotation"


class WeightRange(PerChannelMinMaxObserver):  # type: ignore[misc]
    """The current range of each output channel's weights. torchao's own observer keeps the extremes of all steps.

    It accepts weights that are not finite; the loss is then not finite either, and training stops.
    """

    def forward(self, weights: Tensor) -> Tensor:
        """Record the extremes of each channel, the first axis."""
        low, high = torch.aminmax(weights.detach().flatten(1), dim=1)
        self.min_val.resize_(low.shape).copy_(low)
        self.max_val.resize_(high.shape).copy_(high)
        return weights

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """Return the scale float32 (channels,) and the zero point int64 (channels,), which is 0."""
        scale = torch.maximum(torch.maximum(-self.min_val, self.max_val) / self.quant_max, self.eps)
        return scale, torch.zeros_like(scale, dtype=torch.int64)


class Placement(Quantizer):  # type: ignore[misc]
    """Tell torchao which edges and outputs of a torch.export graph are rounded, and how."""

    def __init__(self, scheme: Scheme) -> None:
        self._inputs_alone = rounds_inputs_alone(scheme)
        self._activation = _activation_spec(scheme)
        self._weight = _weight_spec(scheme)

    def annotate(self, model: GraphModule) -> GraphModule:
        """Annotate every node of the graph."""
        for node in model.graph.nodes:
            if self._inputs_alone:
                if node.target in _MULTIPLIES:
                    self._mark(node, {node.args[1]: self._weight})
                    # Round the output that the layer reads, so that other readers, such as a residual's sum, get it rounded too.
                    self._mark((_padding_before(node) or node).args[0], {}, self._activation)
            elif node.target in _MULTIPLIES:
                source = _padding_before(node)
                self._mark(node, {node.args[1]: self._weight, **({node.args[0]: self._activation} if source is None else {})})
                if source is not None:
                    self._mark(source, {source.args[0]: self._activation})
                self._mark_output(node)
            elif node.target in _JOINS and all(_is_activation(argument) for argument in node.args[:2]):
                self._mark(node, dict.fromkeys(node.args[:2], self._activation))
                self._mark_output(node)
        return model

    def validate(self, model: GraphModule) -> None:
        """Accept every network."""

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
    """Return whether only the inputs of layers are rounded: a float bias requires a float sum, an int32 bias an integer sum."""
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


def _padding_before(node: Node) -> Node | None:
    """Return the padding whose only reader is this layer, or None."""
    source = node.args[0]
    return source if isinstance(source, Node) and source.target in _PADS and len(source.users) == 1 else None


def _is_activation(value: Any) -> bool:
    example = value.meta.get("val") if isinstance(value, Node) and value.op != "get_attr" else None
    return isinstance(example, Tensor) and example.is_floating_point()
