"""What TensorRT-RTX plans for the fp16 and INT8 forms: sizes, build seconds, and the precisions of multiply-adds and of bytes.

    python -m benchmarks.tensorrt_planned [NETWORK ...] [--capability 8.6] [--scales-after] [--work FOLDER]

The forms are those that ship, made by ``runtimes`` and built by the runner's own ``build-engine``, each in a fresh process.
Nothing is executed: no GPU is needed, and no accuracy is claimed. Weights are random and batch norms have seen pictures: what is
planned does not depend on what a network has learned.

``--scales-after`` builds INT8 once more in a form that does not ship: one scale for all weights of a layer, and each channel's
share of it multiplied on afterwards. The integers are the same; what changes is the type that a convolution is planned to write.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from edgecnn.graph.export import export_onnx
from edgecnn.graph.macs import mac_table
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.runner.engines.engine import BuildRequest, build_engines
from edgecnn.runner.machine.environment import available_cores, read_conditions
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runtimes import tensorrt_files
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.onnxruntime_files import logits_of
from edgecnn.runtimes.tensorrt import BACKEND, UNFUSED
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme
from edgecnn.values.layers import Residency
from edgecnn.values.preprocessing import Normalization

NETWORKS = ("mobilenet-v2", "mobilenet-v3-large", "efficientnet-b0", "efficientnet-lite0", "resnet-18", "resnet-50")
BUILDER = "tensorrt_rtx_bindings"
SIDE_PX = 224
CLASSES = 1000
PICTURES = 16
CENTRED = Normalization(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
FP16 = Candidate(id="fp16", runtime=Runtime.TENSORRT, precision=Precision.FP16, needs_engine=True)
INT8 = Candidate(
    id="int8",
    runtime=Runtime.TENSORRT,
    precision=Precision.INT8,
    method=Method.POST_TRAINING,
    scheme=Scheme(activation_dtype="int8", activation_symmetric=True, bias="float"),
    needs_engine=True,
)


@dataclass(frozen=True)
class Built:
    """One form of one network."""

    network: str
    form: str
    file_bytes: int
    engine_bytes: int
    seconds: float
    planned: Residency
    warnings: int

    def row(self) -> str:
        """A line of the table."""
        moved = f"{self.planned.moved_bytes / 1e6:.0f}" if self.planned.moved_bytes is not None else "–"
        layers = [layer for layer in self.planned.layers if layer.precision == "fp32"]
        return (
            f"| {self.network} | {self.form} | {self.file_bytes / 1e6:.1f} | {self.engine_bytes / 1e6:.1f} | {self.seconds:.1f} "
            f"| {_shares(self.planned.mac_share)} | {_shares(self.planned.byte_share or {})} "
            f"| {moved} | {len(layers)} of {len(self.planned.layers)} | {self.warnings} |"
        )


def pictures(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Coloured pictures with large and small structure, uint8 (count, SIDE_PX, SIDE_PX, 3)."""
    generator = np.random.default_rng(0)
    rough = np.kron(generator.integers(0, 256, (count, 7, 7, 3)), np.ones((1, SIDE_PX // 7, SIDE_PX // 7, 1)))
    return np.clip(rough + generator.normal(0, 25, rough.shape), 0, 255).astype(np.uint8)


def trunk(arch: str, folder: Path) -> Path:
    """The network's ONNX file, made where it is not there yet."""
    path = folder / f"{arch}.onnx"
    if path.is_file():
        return path
    torch.manual_seed(0)
    network = build_network(arch_named(arch), CLASSES).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    shown = Job(path, folder, FP16, CENTRED, pictures(PICTURES))
    with torch.no_grad():
        network(torch.from_numpy(np.concatenate(list(shown.feeds(PICTURES)))))
    export_onnx(network.eval(), ImageSize.square(SIDE_PX), path)
    return path


def scales_after(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which each convolution's weights have one scale, and its output is multiplied by each channel's share of it.

    The scale is the smallest channel's, so that the product before the multiplication is never beyond what it was.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    arrays = {tensor.name: tensor for tensor in made.graph.initializer}
    dequantized = {node.output[0]: node for node in made.graph.node if node.op_type == "DequantizeLinear"}
    nodes = []
    for node in made.graph.node:
        nodes.append(node)
        if node.op_type != "Conv" or node.input[1] not in dequantized:
            continue
        weights = dequantized[node.input[1]]
        scale = numpy_helper.to_array(arrays[weights.input[1]])
        one = scale.min().reshape(())
        share = (scale.astype(np.float32) / np.float32(one)).astype(scale.dtype).reshape(1, -1, 1, 1)
        zero = np.zeros((), np.int8)
        for name, array in (("one", one), ("zero", zero), ("share", share)):
            made.graph.initializer.append(numpy_helper.from_array(np.asarray(array), f"{node.name}/{name}"))
        del weights.input[1:]
        weights.input.extend([f"{node.name}/one", f"{node.name}/zero"])
        del weights.attribute[:]
        nodes += _afterwards(node, made, arrays)
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    del made.graph.value_info[:]
    return made


def _afterwards(node: onnx.NodeProto, made: onnx.ModelProto, arrays: dict[str, onnx.TensorProto]) -> list[onnx.NodeProto]:
    """The multiplication, and the bias that the convolution had."""
    wanted, bias = node.output[0], node.input[2] if len(node.input) > 2 else None
    node.output[0] = f"{node.name}/product"
    if bias is None:
        return [helper.make_node("Mul", [node.output[0], f"{node.name}/share"], [wanted], name=f"{node.name}/scaled")]
    del node.input[2:]
    array = numpy_helper.to_array(arrays[bias]).reshape(1, -1, 1, 1)
    made.graph.initializer.append(numpy_helper.from_array(array, f"{node.name}/bias"))
    return [
        helper.make_node("Mul", [node.output[0], f"{node.name}/share"], [f"{node.name}/rescaled"], name=f"{node.name}/scaled"),
        helper.make_node("Add", [f"{node.name}/rescaled", f"{node.name}/bias"], [wanted], name=f"{node.name}/biased"),
    ]


def built(network: str, form: str, model: Path, capability: str) -> Built:
    """Build one file as a kit's own command would, and read the plan back."""
    kit, out = model.parent / "kit", model.parent / "build"
    kit.mkdir(exist_ok=True)
    (kit / "model.onnx").write_bytes(model.read_bytes())
    described = {"name": network, "engine": {"builder": BUILDER, "onnx": "model.onnx"}, "model": {"batch_max": 64}}
    (kit / "kit.json").write_text(json.dumps(described))
    record = build_engines(kit, out, BuildRequest(BUILDER, (capability,)))
    engine = record["engines"][0]
    planned = BACKEND.read_planned(out / "build.log", mac_table(model))
    warned = sum(warning["times"] for warning in record["warnings"])
    return Built(network, form, model.stat().st_size, engine["bytes"], engine["seconds"], planned, warned)


def forms(arch: str, folder: Path, *, also_after: bool) -> list[tuple[str, Path]]:
    """The forms' files, made by the modules that make what ships."""
    source, shown = trunk(arch, folder), pictures(PICTURES)
    made = []
    for candidate, make in ((FP16, tensorrt_files.write_half), (INT8, tensorrt_files.quantize)):
        out = folder / f"{arch}--{candidate.id}"
        out.mkdir(exist_ok=True)
        if not (out / "model.onnx").is_file():
            make(Job(source, out, candidate, CENTRED, shown))
        made.append((candidate.id, out / "model.onnx"))
    if also_after:
        out = folder / f"{arch}--after"
        out.mkdir(exist_ok=True)
        ships = onnx.load(made[-1][1])
        onnx.save(scales_after(ships), out / "model.onnx")
        made.append(("int8, scales after", out / "model.onnx"))
        feed = Job(source, out, INT8, CENTRED, shown[:4])
        batch = np.concatenate(list(feed.feeds(4)))
        logits = logits_of(source, batch)
        away = [float(np.sqrt(np.mean((logits - logits_of(path, batch, UNFUSED)) ** 2)) / np.ptp(logits)) for _, path in made[1:]]
        print(
            f"{arch}: of the logits' spread from the float network: {away[0]:.4f} as it ships, {away[1]:.4f} so", file=sys.stderr
        )
    return made


def _shares(shares: object) -> str:
    assert isinstance(shares, dict)
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{100 * share:.1f} % {name}" for name, share in ordered if share >= 0.0005) or "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK")
    parser.add_argument("--capability", default="8.6", metavar="X.Y", help="the GPU to build for; none need be here")
    parser.add_argument("--scales-after", action="store_true", help="INT8 also with each channel's scale after the product")
    parser.add_argument("--work", type=Path, help="where files are kept from one call to the next")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.work or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        print(
            f"{datetime.now(UTC):%Y-%m-%d}, {read_conditions()['cpu']}, {available_cores()} cores, "
            f"tensorrt-rtx {version('tensorrt-rtx-cu13-bindings')}, Python {platform.python_version()}: for compute capability "
            f"{options.capability}, {SIDE_PX} px, batch 1 to 64, random weights.\n"
        )
        print(
            "| network | form | file MB | engine MB | build s | multiply-adds | bytes moved | MB moved | fp32 layers | warnings |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for arch in options.networks:
            for form, model in forms(arch, folder, also_after=options.scales_after):
                try:
                    print(built(arch, form, model, options.capability).row(), flush=True)
                except RunnerError as refused:
                    print(f"| {arch} | {form} | {refused} |", flush=True)


if __name__ == "__main__":
    main()
