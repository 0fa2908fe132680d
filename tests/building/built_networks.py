"""Folders of finished builds whose network is planted: a trunk and pixels in a store, a report and a plan beside each other."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray
from PIL import Image

from edgecnn.graph.macs import mac_table
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import pixels_sha256
from edgecnn.store.disk import sha256_of
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.dataset import DataManifest, ImageEntry
from edgecnn.values.preprocessing import Normalization, PixelRecipe, Preprocessing
from edgecnn.values.stage import Key, Progress, Role, Stage
from tests.building.resolutions import resolved, summary
from tests.building.scenes import a_report
from tests.graph.planted import planted, spotted
from tests.store.toys import obtain

COLOURS = ("red", "green", "blue")
PLAIN = Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
PIXELS = PixelRecipe(resize_px=16, crop_px=16, interpolation="bicubic")


class _Copied(Stage):
    """A stage whose result lies ready in a folder."""

    revision: ClassVar[int] = 1
    ready: str

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        shutil.copytree(self.ready, out, dirs_exist_ok=True)


class Prepare(_Copied):
    kind: ClassVar[str] = "prepare"


class Export(_Copied):
    kind: ClassVar[str] = "export"


class Adopt(_Copied):
    kind: ClassVar[str] = "adopt"


def spots(each: int = 2) -> tuple[list[NDArray[np.uint8]], list[int]]:
    """Pictures of one spot of each colour, and their labels."""
    labels = [number % 3 for number in range(3 * each)]
    return [spotted(label, (2 + number % 12, 13 - number % 12)) for number, label in enumerate(labels)], labels


class BuiltNetworks:
    """A store, photographs and the builds made of both."""

    def __init__(self, folder: Path, pictures: Sequence[NDArray[np.uint8]] | None = None, labels: Sequence[int] = ()) -> None:
        self.folder, self.store = folder, Store.open(folder / "store")
        shown, self.labels = (list(pictures), list(labels)) if pictures is not None else spots()
        self.photos = folder / "photos"
        for number, (picture, label) in enumerate(zip(shown, self.labels, strict=True)):
            (self.photos / COLOURS[label]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(self.photos / self._file(number))
        self.pixels = np.stack([picture[:16, :16] for picture in shown])
        self.manifest = folder / "manifest.json"
        self.manifest.write_text(self._manifest().model_dump_json(by_alias=True))

    def build(self, name: str, model: onnx.ModelProto | None = None, **changes: Any) -> Path:
        """The folder of a finished build; ``changes``: its preprocessing, ``classes``, ``content``, ``recipe``, ``trunk``."""
        classes = changes.get("classes", COLOURS)
        prepared, trunk = (
            self._prepared(classes),
            self._trunk(planted() if model is None else model, changes.get("trunk", Export)),
        )
        keys = {"prepare": prepared.key, "export": trunk.key}
        preprocessing = Preprocessing(pixels=changes.get("pixels", PIXELS), normalization=changes.get("normalization", PLAIN))
        data = summary().model_copy(
            update={"origin": "folder", "root": str(self.photos), "classes": classes, "manifest_path": str(self.manifest)}
        )
        if "content" in changes:
            data = data.model_copy(update={"content": Key(changes["content"])})
        found = resolved(preprocessing=preprocessing, data=data)
        if "recipe" in changes:
            found = found.model_copy(update={"recipe": changes["recipe"]})
        out = self.folder / name
        out.mkdir()
        report = a_report(keys=keys)
        build = report.build.model_copy(
            update={"name": name, "arch": name, "parameters": 141, "resolution_px": ImageSize.square(16)}
        )
        (out / "report.json").write_text(report.model_copy(update={"build": build}).model_dump_json(by_alias=True))
        steps = [{"id": step, "key": key} for step, key in keys.items()]
        (out / "plan.json").write_text(json.dumps({"resolved": found.model_dump(mode="json", by_alias=True), "steps": steps}))
        return out

    def _file(self, number: int) -> str:
        return f"{COLOURS[self.labels[number]]}/{number}.png"

    def _manifest(self) -> DataManifest:
        images = [
            ImageEntry(path=self._file(n), label=label, role=role, sha256=sha256_of(self.photos / self._file(n)))
            for n, label in enumerate(self.labels)
            for role in ("validation", "test")
        ]
        return DataManifest(origin="folder", root=str(self.photos), classes=COLOURS, images=tuple(images))

    def _prepared(self, classes: Sequence[str]) -> Artifact:
        ready = Path(tempfile.mkdtemp(dir=self.folder))
        for role in ("validation", "test"):
            np.save(ready / f"{role}.pixels.npy", self.pixels)
            np.save(ready / f"{role}.labels.npy", np.array(self.labels, np.int64))
        (ready / "pixels.json").write_text(json.dumps({"validation": pixels_sha256(self.pixels)}))
        (ready / "labels.json").write_text(json.dumps(list(classes)))
        return obtain(self.store, Prepare(ready=str(ready)), inputs={})[0]

    def _trunk(self, model: onnx.ModelProto, made_by: type[_Copied]) -> Artifact:
        ready = Path(tempfile.mkdtemp(dir=self.folder))
        onnx.save(model, ready / "model.onnx")
        (ready / "macs.json").write_text(mac_table(model).model_dump_json())
        return obtain(self.store, made_by(ready=str(ready)), inputs={})[0]
