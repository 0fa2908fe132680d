"""Whether every network of the catalogue is written whole for LiteRT, and answers as in ONNX Runtime.

    python -m benchmarks.litert_coverage PHOTOGRAPHS [NAME ...]

Each network gets random weights, batch norms that have seen the photographs, and 64 px or the least that it takes: neither
changes which operators it has. ``litert_coverage.json`` keeps a row for each network, and docs/reference/litert-operators.md
is made from that. ``timm:NAME`` is a network of timm.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from PIL import Image

from edgecnn.graph.export import export_onnx
from edgecnn.graph.onnx_file import load_model
from edgecnn.models.catalogue import all_archs, arch_named
from edgecnn.models.networks import build_network
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runtimes.litert_writer.conversion import RULES
from edgecnn.runtimes.litert_writer.preparation import prepare
from edgecnn.runtimes.litert_writer.writer import LayerWithoutForm, litert_model
from edgecnn.runtimes.onnxruntime_files import logits_of as trunk_logits_of
from edgecnn.values.arch import ArchSpec

RECORD = Path(__file__).with_name("litert_coverage.json")
CLASSES, PHOTOGRAPHS, SIDE_PX = 10, 8, 64


def trunk(spec: ArchSpec, feed: npt.NDArray[np.float32], path: Path) -> None:
    """Export a network with random weights that tells these photographs apart."""
    network, size = build_network(spec, CLASSES), ImageSize(*feed.shape[2:])
    torch.manual_seed(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
            if isinstance(module, torch.nn.Linear):
                torch.nn.init.normal_(module.weight, std=0.1)
        network.train()(torch.from_numpy(feed))
    if spec.origin == "timm":
        from edgecnn.models.families.from_timm import merge_for_shipping

        network = merge_for_shipping(network.eval(), size)
    export_onnx(network, size, path)


def litert_logits(content: bytes, feed: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Answer images one by one."""
    from ai_edge_litert.interpreter import Interpreter

    opened = Interpreter(model_content=content, num_threads=2)
    opened.allocate_tensors()
    entry, end = opened.get_input_details()[0]["index"], opened.get_output_details()[0]["index"]
    logits = []
    for image in feed:
        opened.set_tensor(entry, np.ascontiguousarray(image[None].transpose(0, 2, 3, 1)))
        opened.invoke()
        logits.append(opened.get_tensor(end)[0])
    return np.stack(logits)


def row(spec: ArchSpec, photographs: list[Path], folder: Path) -> dict[str, Any]:
    """The network's operators, the seconds of its conversion, and the largest difference as a share of the logits' spread."""
    side = max(spec.least_px, min(SIDE_PX, spec.resolution_px.short_px))
    images = [np.asarray(Image.open(path).convert("RGB").resize((side, side)), np.float32) for path in photographs]
    feed = np.ascontiguousarray(((np.stack(images) / 255 - 0.45) / 0.225).transpose(0, 3, 1, 2), np.float32)
    file = folder / "model.onnx"
    trunk(spec, feed, file)
    operators = sorted({node.op_type for node in prepare(load_model(file), RULES).model.graph.node})
    record = {"date": datetime.now(UTC).date().isoformat(), "side_px": side, "operators": operators}
    model, began = onnx.load(file), time.perf_counter()
    try:
        content = litert_model(model)
    except LayerWithoutForm as error:
        return {**record, "missing": f"{error.node.op} (layer {error.node.name}): {error.why}"}
    seconds = time.perf_counter() - began
    expected = trunk_logits_of(file, feed)
    apart = float(np.abs(litert_logits(content, feed) - expected).max() / np.ptp(expected))
    return {**record, "seconds": round(seconds, 2), "difference": rounded_up(apart, 2)}


def rounded_up(value: float, digits: int) -> float:
    """The smallest number of so many digits that is not below a value."""
    exact = Decimal(repr(value))
    return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - digits + 1), ROUND_CEILING))


def write(record: dict[str, Any]) -> None:
    """Write the record, a line for each network."""
    lines = [f"{json.dumps(name)}: {json.dumps(fact)}" for name, fact in sorted(record.items())]
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main() -> None:
    """Add or renew the rows of these networks, of the whole catalogue where none is named."""
    files = Path(sys.argv[1]).rglob("*") if len(sys.argv) > 1 else ()
    photographs = sorted(path for path in files if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not photographs:
        raise SystemExit(__doc__)
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    for name in sys.argv[2:] or [spec.name for spec in all_archs()]:
        with tempfile.TemporaryDirectory() as folder:
            record[name] = row(arch_named(name), photographs[:PHOTOGRAPHS], Path(folder))
        print(name, {key: value for key, value in record[name].items() if key != "operators"}, flush=True)
        write(record)


if __name__ == "__main__":
    main()
