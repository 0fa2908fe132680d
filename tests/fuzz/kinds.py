"""The kinds of files that come from elsewhere: right ones to begin with, how they are changed, and what reads them here."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow
import pyarrow.parquet
import torch
from PIL import Image
from safetensors.torch import save_file

from edgecnn.data.manifest import summarize
from edgecnn.devices.files import load_device_file, load_devices
from edgecnn.devices.leases import ListedBoards
from edgecnn.graph.custom.form import form_of
from edgecnn.graph.custom.trial import error_of, read_and_convert
from edgecnn.graph.onnx_cost import cost_of_file
from edgecnn.installed import resource_folder
from edgecnn.models.networks import read_state
from edgecnn.planning.recipe import load_pipelines, load_recipe
from edgecnn.render.progress import Quiet
from edgecnn.results.explain import explain
from edgecnn.results.folder import REPORT, read_report
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import FORMATS, decode
from edgecnn.sweeps.file import cells_of, read_sweep
from edgecnn.values.recipe import DataChoice
from tests.building.explained import raced_report
from tests.data.folders import fill
from tests.data.formats.test_idx import header
from tests.fuzz.board_kinds import BOARDS
from tests.fuzz.bundle_kinds import BUNDLES
from tests.fuzz.kind import Kind
from tests.fuzz.mutations import of_bytes, of_entry, of_json, of_message, of_zip
from tests.fuzz.stored_kinds import STORED
from tests.graph.custom_files import SIDE, classifier, grey_model
from tests.graph.torch_files import Classifier, exported, scripted

SIZE = ImageSize.square(SIDE)


def _onnx_seeds(_: Path) -> Sequence[bytes]:
    made = (
        classifier(softmax=True),
        classifier("half", layout="NHWC", opset=11, batch=4),
        classifier(batch_norm=True),
        grey_model(),
    )
    return [model.SerializeToString() for model in made]


def _tried(path: Path) -> object:
    return _without_fault(path, partial(read_and_convert, path, form_of(path), SIZE, None))


def _without_fault(path: Path, go_through: Callable[[], object]) -> object:
    fault = error_of(path, go_through)
    if fault is not None:
        raise fault
    return None


def _counted(path: Path) -> object:
    return _without_fault(path, partial(cost_of_file, path))


def _torch_seeds(make: Callable[..., Path], folder: Path) -> Sequence[bytes]:
    return [make(Classifier(), folder / "seed.pt").read_bytes()]


def _weights_seeds(folder: Path) -> Sequence[bytes]:
    tensors = {"a.weight": torch.zeros(4, 3), "a.bias": torch.ones(4)}
    save_file(tensors, folder / "w.safetensors")
    torch.save(tensors, folder / "w.pth")
    torch.save(tensors, folder / "old.pth", _use_new_zipfile_serialization=False)
    return [(folder / name).read_bytes() for name in ("w.safetensors", "w.pth", "old.pth")]


def _report_seeds(_: Path) -> Sequence[bytes]:
    return [raced_report().model_dump_json(by_alias=True).encode()]


def _shipped(folder: str, loaded: Callable[[], Any]) -> Callable[[Path], Sequence[bytes]]:
    return lambda _: [(resource_folder(folder) / f"{name}.toml").read_bytes() for name in loaded()]


_SWEEP = b"""[set]
train.epochs = 3
[grid]
model.arch = ["lenet-5", "resnet-18"]
target.device = ["cpu", "raspberry-pi-5:litert"]
[[build]]
name = "longer"
model.arch = "resnet-18"
train.epochs = 10
[hosts]
raspberry-pi-5 = "pi@board"
"""
_BOARDS = b"""[[board]]
name = "one"
host = "pi@board-1"
device = "raspberry-pi-5"
tags = ["a", "b"]
"""


def _table_seeds(kind: str, folder: Path) -> Sequence[bytes]:
    rows = [(f"{label}/{number:03}.png", label) for label in ("cat", "dog") for number in range(4)]
    if kind == "csv":
        one, several = ("\n".join((header, *map(",".join, rows))) for header in ("path,label", "path,labels"))
        return [one.encode(), several.encode()]
    paths, labels = zip(*rows, strict=True)
    seeds = []
    for columns in ({"path": paths, "label": labels}, {"path": paths, "labels": [[label, "animal"] for label in labels]}):
        stream = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), stream)
        seeds.append(stream.getvalue())
    return seeds


def _listed(path: Path) -> object:
    if not (path.parent / "cat").exists():
        fill(path.parent, {"cat": 4, "dog": 4})
    return _summarized(path)


def _summarized(path: Path) -> object:
    cache = Path.cwd() / "store"
    shutil.rmtree(cache, ignore_errors=True)
    return summarize(DataChoice(path=str(path)), cache, Quiet())


def _zip_seeds(folder: Path) -> Sequence[bytes]:
    fill(folder / "photos", {"cat": 4, "dog": 4})
    return [Path(shutil.make_archive(str(folder / "photos"), "zip", folder / "photos")).read_bytes()]


def _idx_seeds(_: Path) -> Sequence[bytes]:
    return [header(8, 28, 28) + np.random.default_rng(0).bytes(8 * 784)]


def _idx(path: Path) -> object:
    (path.parent / "train-labels-idx1-ubyte").write_bytes(header(8) + bytes((0, 1)) * 4)
    return _summarized(path.parent)


def _image_seeds(_: Path) -> Sequence[bytes]:
    Image.init()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 17, 3), dtype=np.uint8))
    made = []
    for kind in (name for name in FORMATS if name in Image.SAVE):
        stream = io.BytesIO()
        picture.save(stream, kind)
        made.append(stream.getvalue())
    return made


def _report(path: Path) -> object:
    return explain(read_report(path.parent))


KINDS: dict[str, Kind] = {
    "onnx": Kind("mine.onnx", _onnx_seeds, of_message(onnx.ModelProto), _tried),
    "onnx, counted": Kind("mine.onnx", _onnx_seeds, of_message(onnx.ModelProto), _counted),
    "torch.export": Kind("mine.pt2", partial(_torch_seeds, exported), of_zip(of_entry), _tried),
    "torchscript": Kind("mine.pt", partial(_torch_seeds, scripted), of_zip(of_entry), _tried),
    "weights": Kind("mine.pth", _weights_seeds, of_bytes, read_state),
    **BUNDLES,
    **BOARDS,
    **STORED,
    "report.json": Kind(REPORT, _report_seeds, of_json, _report),
    "recipe": Kind("mine.toml", _shipped("pipelines", load_pipelines), of_bytes, load_recipe),
    "device": Kind("board.toml", _shipped("devices", load_devices), of_bytes, load_device_file),
    "sweep": Kind("sweep.toml", lambda _: [_SWEEP], of_bytes, lambda path: cells_of(read_sweep(path))),
    "boards": Kind("boards.toml", lambda _: [_BOARDS], of_bytes, ListedBoards.read),
    "csv": Kind("list.csv", partial(_table_seeds, "csv"), of_bytes, _listed),
    "parquet": Kind("list.parquet", partial(_table_seeds, "parquet"), of_bytes, _listed),
    "zip of photographs": Kind("photos.zip", _zip_seeds, of_zip(of_bytes), _summarized),
    "idx": Kind("train-images-idx3-ubyte", _idx_seeds, of_bytes, _idx),
    "image": Kind("mine.png", _image_seeds, of_bytes, decode),
}
