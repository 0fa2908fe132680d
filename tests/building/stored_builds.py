"""A store with one finished build in it, made of small real artifacts and profiles: what a page is gathered from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edgecnn.data.manifest import store_manifest
from edgecnn.judging.intervals import wilson
from edgecnn.store.store import Store
from edgecnn.training.history import History
from edgecnn.values.artifact import Artifact, FoundInput
from edgecnn.values.dataset import DataManifest, ImageEntry
from edgecnn.values.figures import Accuracy
from edgecnn.values.profile import Profile
from edgecnn.values.report import BuildReport
from edgecnn.values.stage import Progress, Role, Stage, digest_of
from edgecnn.values.verdict import Fidelity
from tests.building.scenes import HERE, a_choice, a_race_profile, a_report
from tests.judging.made import a_latency, an_interval, facts
from tests.store.toys import obtain

IMAGES, PX = 40, 12
CLASSES = ("bag", "boot", "shirt")
PIXELS = "5" * 64
WHEN = "2026-11-20T09:00:00+00:00"
HISTORY = '{"phases": [], "best": null, "stopped": "all epochs done", "initial": {}}'


class _Made(Stage):
    """A stage that writes what its settings say."""

    revision: ClassVar[int] = 1
    texts: Mapping[str, str]

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        for name, text in self.texts.items():
            (out / name).write_text(text)


class Prepare(_Made):
    kind: ClassVar[str] = "prepare"

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        super().make(input_paths, out, tell)
        np.save(out / "test.labels.npy", labels())
        np.save(out / "test.pixels.npy", pixels())


class Train(_Made):
    kind: ClassVar[str] = "train"


class Export(_Made):
    kind: ClassVar[str] = "export"


class Quantize(_Made):
    kind: ClassVar[str] = "quantize"


class Package(_Made):
    kind: ClassVar[str] = "package"
    candidate: Mapping[str, str]
    name: str


def labels() -> np.ndarray:
    return np.arange(IMAGES, dtype=np.int64) % len(CLASSES)


def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (IMAGES, PX, PX, 3), dtype=np.uint8)


def answers(wrong: int) -> np.ndarray:
    """Logits of which the first ``wrong`` say the next class, ever less surely."""
    logits = np.eye(len(CLASSES), dtype=np.float32)[labels()] * 3
    for image in range(wrong):
        logits[image] = np.roll(logits[image], 1) * (1 - image / 100)
    return logits


def manifest(name: str, resolution_px: int = PX, classes: tuple[str, ...] = CLASSES) -> dict[str, Any]:
    """What of a kit's manifest tells networks apart."""
    return {"name": name, "labels": list(classes), "preprocessing": {"pixels": {"crop_px": resolution_px}}}


class StoredBuild:
    """fp32 and int8, from images to kits, with answers and a race. ``classes`` and ``history`` are as the artifacts have them.

    ``first_source``: the test images are ``source-N.png`` from this number on, as the store lists them; None: it lists none.
    """

    def __init__(
        self,
        folder: Path,
        classes: tuple[str, ...] = CLASSES,
        history: str = HISTORY,
        *,
        first_source: int | None = None,
        pixels: str = PIXELS,
    ) -> None:
        self.folder, self.store = folder, Store.open(folder / "store")
        texts = {"labels.json": json.dumps(list(classes)), "pixels.json": json.dumps({"test": pixels})}
        images = {} if first_source is None else {"images": self._listed(first_source)}
        self.resolution_px = PX if pixels == PIXELS else 2 * PX
        stage = Prepare(texts=texts, inputs={role: found.key for role, found in images.items()})
        self.prepared = obtain(self.store, stage, inputs=images)[0]
        self.trained = self._made(
            Train(texts={"history.json": history}, inputs={"pixels": self.prepared.key}), pixels=self.prepared
        )
        self.kits = {name: self._kit(name) for name in ("onnxruntime-fp32", "onnxruntime-int8")}
        self.report = self._report()

    def _listed(self, first: int) -> FoundInput:
        rows = [
            ImageEntry(path=f"source-{first + row}.png", label=int(label), role="test", sha256=digest_of(first + row))
            for row, label in enumerate(labels())
        ]
        summary = store_manifest(
            DataManifest(origin="folder", root="/photos", classes=CLASSES, images=tuple(rows)), "", self.store.root
        )
        return FoundInput(path=Path(summary.manifest_path), key=summary.content, content=summary.content)

    def _made(self, stage: Stage, **inputs: Artifact) -> Artifact:
        return obtain(self.store, stage, inputs={role: each.stage_input for role, each in inputs.items()})[0]

    def _kit(self, name: str) -> Artifact:
        inputs = {"weights": self.trained, "pixels": self.prepared}
        exported = self._made(
            Export(texts={"model.onnx": "net"}, inputs={role: each.key for role, each in inputs.items()}), **inputs
        )
        models = {"model": exported, "pixels": self.prepared}
        quantized = self._made(Quantize(texts={"model.onnx": name}, inputs={role: a.key for role, a in models.items()}), **models)
        parts = {"model": quantized, "pixels": self.prepared}
        return self._made(
            Package(
                texts={"kit.json": json.dumps(manifest(name, self.resolution_px))},
                inputs={role: each.key for role, each in parts.items()},
                candidate={"id": name},
                name=f"resnet-18--{name}",
            ),
            **parts,
        )

    def another_kit(self, name: str, told: dict[str, Any]) -> str:
        """Package the same candidate under another manifest; its digest."""
        made = self._made(
            Package(texts={"kit.json": json.dumps(told)}, inputs={}, candidate={"id": name}, name=f"resnet-18--{name}")
        )
        return made.record.files["kit.json"].sha256

    def digest(self, name: str) -> str:
        return self.kits[name].record.files["kit.json"].sha256

    def answered(self, name: str, wrong: int, *, pixels: str = PIXELS, observed_at: str = WHEN, host: str = "here") -> None:
        """File logits of a kit."""
        file = self.folder / "logits.npy"
        np.save(file, answers(wrong))
        profile = Profile(
            what="evaluation", subject=self.digest(name), device="cpu", host=host, environment=HERE, fidelity=Fidelity.MEASURED,
            observed_at=observed_at, pixels=pixels, images=IMAGES, logits_file="logits.npy",
        )  # fmt: skip
        self.store.profiles.add(profile, {"logits.npy": file})

    def raced(self, name: str, ms: float, **changes: Any) -> None:
        """File a race profile of a kit."""
        self.store.profiles.add(a_race_profile(self.digest(name), ms, **{"purpose": "report", **changes}))

    def accuracy(self, wrong: int) -> Accuracy:
        top1 = wilson(IMAGES - wrong, IMAGES)
        assert top1 is not None
        return Accuracy(
            split="test", images=IMAGES, top1=top1, drop_pp=None, discordant=None, fidelity=Fidelity.MEASURED,
            machine="a machine", pixels=PIXELS,
        )  # fmt: skip

    def _report(self) -> BuildReport:
        rows = tuple(
            facts(
                name,
                is_baseline=name.endswith("fp32"),
                chosen=name.endswith("int8"),
                kit=self.digest(name),
                test=self.accuracy(wrong),
                latency=a_latency(an_interval(1.0), observed_at=WHEN),
            )
            for name, wrong in (("onnxruntime-fp32", 4), ("onnxruntime-int8", 6))
        )
        return a_report(candidates=rows, choice=a_choice("onnxruntime-int8"))


def history_of(text: str) -> History:
    return History.model_validate_json(text)
