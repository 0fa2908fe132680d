"""The stages that make a candidate: rank orders layers by INT8 damage, quantize writes the model files, package makes the kit.

The kit is what ships, including the runner's source. The digest of the manifest therefore identifies the code and the bytes
that a figure belongs to. A kit is finished when it passes its self-test, run by the runner inside it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

import edgecnn.runner
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import RUNNER_SOURCE_CHANGED, self_test_failed
from edgecnn.errors.graph import NOTHING_LEFT_TO_QUANTIZE
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.errors.labels import thresholds_of_another_model
from edgecnn.errors.store import OF_THE_DISK
from edgecnn.errors.weights import PACKAGE_UNIMPORTABLE
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import SELF_TEST_LEASE_S, Task
from edgecnn.installed import require_packages
from edgecnn.runner.golden import feed_sha256
from edgecnn.runtimes.job import RankSettings
from edgecnn.runtimes.registry import backend_for, packages_for, way_to
from edgecnn.values.candidate import Candidate
from edgecnn.values.layers import RANKING_FILE_NAME, RankedLayer, Ranking
from edgecnn.values.model_file import THRESHOLDS
from edgecnn.values.preprocessing import Normalization, Preprocessing
from edgecnn.values.stage import Progress, Role, Stage

if TYPE_CHECKING:
    from edgecnn.runtimes.candidate import CandidateRequest


class QuantizeStage(Stage):
    """Convert the trunk to a candidate's model files, for float candidates too, and record its logits.

    Inputs: ``model`` (export; aware for a quantization-aware candidate) and ``pixels`` (prepare). Files: the candidate's files,
    ``model.json``, ``golden_logits.npy`` and ``quantize.json``. The tables of ``runtimes`` select the code by candidate.
    """

    kind: ClassVar[str] = "quantize"
    revision: ClassVar[int] = 11

    candidate: Candidate
    images: NonNegativeInt
    """Number of calibration images. It is set to 0 for a candidate that needs none (float, already quantized, or with learned
    ranges for all tensors), so that the requested number does not change its key."""
    normalization: Normalization

    def model_post_init(self, _context: Any) -> None:
        """Set ``images`` to 0 for a candidate that needs no calibration."""
        if self.candidate.precision.is_float or not way_to(self.candidate).calibrates:
            object.__setattr__(self, "images", 0)

    @property
    def tools(self) -> tuple[str, ...]:
        """Packages of the candidate's runtime and method."""
        return packages_for(self.candidate)

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the candidate.

        Raises:
            MissingPackage: the runtime or its quantizer is not installed.
            PACKAGE_UNIMPORTABLE: one of these packages cannot be imported.
            CALIBRATION_SET_TOO_SMALL: fewer calibration images than ``images``.
            CALIBRATION_NOT_FINITE: the network's logits of calibration images contain NaN or infinity.
            CALIBRATION_RANGE_NOT_FINITE: a tensor inside the network contains NaN or infinity for calibration images.
            HALF_OVERFLOW: a tensor exceeds fp16's range, and the runtime cannot keep the layers around it in fp32.
            OUTPUTS_DIFFER: a float candidate gives other logits than the trunk.
            ALREADY_QUANTIZED: the trunk already contains quantization nodes.
            GOLDEN_NOT_TELLING: all golden images get the same logits.
            NOTHING_LEFT_TO_QUANTIZE: at least as many layers should stay in float as the network has.
            LAYER_NOT_FOUND: the runtime's model has no layer of a name that should stay in float.
        """
        backend = backend_for(self.candidate.runtime)
        require_packages(self.tools, extra=backend.extra, needed_for=self.candidate.id)
        try:
            from edgecnn.runtimes.candidate import make_candidate

            make_candidate(self._request(input_paths), out, tell)
        except ImportError as error:
            package, because = error.name or ", ".join(self.tools), " ".join(str(error).split())
            raise PACKAGE_UNIMPORTABLE(
                package=package, extra=backend.extra, needed_for=self.candidate.id, because=because
            ) from error

    def _request(self, input_paths: Mapping[Role, Path], kept: tuple[RankedLayer, ...] = ()) -> CandidateRequest:
        from edgecnn.runtimes.candidate import CandidateRequest

        return CandidateRequest(
            onnx=input_paths["model"] / "model.onnx",
            pixels=input_paths["pixels"],
            candidate=self.candidate,
            images=self.images,
            normalization=self.normalization,
            kept=kept,
        )


class MixedStage(QuantizeStage):
    """Quantize, but keep the layers with the most INT8 damage in float. It has the additional input ``ranking`` (rank).

    Its kind is ``quantize``, because later stages accept both. The setting is a number, so the key is known before the ranking.
    """

    kept_float: PositiveInt
    """Number of layers to keep in float, from the start of the ranking."""

    def _request(self, input_paths: Mapping[Role, Path], kept: tuple[RankedLayer, ...] = ()) -> CandidateRequest:
        ranking = Ranking.model_validate_json((input_paths["ranking"] / RANKING_FILE_NAME).read_text(encoding="utf-8"))
        if self.kept_float >= len(ranking.layers):
            raise NOTHING_LEFT_TO_QUANTIZE(candidate=self.candidate.id, kept=self.kept_float, layers=len(ranking.layers))
        return super()._request(input_paths, ranking.layers[: self.kept_float])


class RankStage(Stage, RankSettings):
    """Rank layers by the damage of quantizing each alone to INT8, and write ``ranking.json``.

    Inputs: ``model`` (export) and ``pixels`` (prepare). One ranking, measured with ONNX Runtime, serves all runtimes, because the
    network determines which tensors have too wide a range for 8 bits.
    """

    kind: ClassVar[str] = "rank"
    revision: ClassVar[int] = 4

    @property
    def tools(self) -> tuple[str, ...]:
        """The quantizer and the runtime."""
        return ("onnx", "onnxruntime")

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the ranking.

        Raises:
            MissingPackage: ONNX Runtime is not installed.
            CALIBRATION_SET_TOO_SMALL: fewer calibration images than ``images``.
            CALIBRATION_NOT_FINITE: the network's logits of calibration images contain NaN or infinity.
            ALREADY_QUANTIZED: the trunk already contains quantization nodes.
        """
        require_packages(self.tools, extra="onnxruntime", needed_for="ranking layers")
        from edgecnn.runtimes.ranking import rank_layers

        rank_layers(self, input_paths["model"] / "model.onnx", input_paths["pixels"], out, tell)


KIT_SCHEMA = "edgecnn.kit/1"


def runner_source() -> Path:
    """Return the folder of the runner that is copied into kits."""
    return Path(next(iter(edgecnn.runner.__path__)))


def runner_digest() -> str:
    """Return the SHA-256 over the runner's files, which is part of the key of a kit."""
    whole = hashlib.sha256()
    for path in _runner_files(runner_source()):
        whole.update(path.relative_to(runner_source()).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def _runner_files(folder: Path) -> list[Path]:
    """Return the runner's source, and the pages that only kits for browsers contain."""
    return sorted((*folder.rglob("*.py"), *folder.glob("browser/web/*")))


class PackageStage(Stage):
    """Make a kit: model, preprocessing, labels, golden inputs and runner, with one manifest.

    Inputs: ``model`` (quantize), ``pixels`` (prepare), ``thresholds`` (export) for multi-label images, and for a twin ``kit``,
    the device kit that it emulates.
    """

    kind: ClassVar[str] = "package"
    revision: ClassVar[int] = 2

    name: str
    candidate: Candidate
    preprocessing: Preprocessing
    variant: Literal["device", "twin"] = "device"
    """twin: a model with activations rounded to fp16, which a CPU runtime runs to emulate an engine's accuracy."""
    runner_sha256: str
    """``runner_digest()`` at resolve time."""

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the kit, and test it.

        Raises:
            RUNNER_SOURCE_CHANGED, THRESHOLDS_OF_ANOTHER_MODEL: see ``write``.
            SELF_TEST_FAILED: the kit does not give its golden logits, or its runner exits without a result.
        """
        self.write(input_paths, out)
        if json.loads((out / "kit.json").read_text(encoding="utf-8"))["engine"] is None:
            self._test(out, tell)

    def write(self, input_paths: Mapping[Role, Path], out: Path) -> None:
        """Write the kit without testing it; ``kit.json`` last.

        Raises:
            RUNNER_SOURCE_CHANGED: the runner changed since planning.
            THRESHOLDS_OF_ANOTHER_MODEL: the thresholds are not for the labels of the images.
        """
        if runner_digest() != self.runner_sha256:
            raise RUNNER_SOURCE_CHANGED(folder=runner_source())
        model = input_paths["model"] / "twin" if self.variant == "twin" else input_paths["model"]
        described = json.loads((model / "model.json").read_text(encoding="utf-8"))
        for name in (*described["model"]["files"], *described.get("beside", ())):
            shutil.copyfile(model / name, out / name)
        golden = self._copy_golden(input_paths, out, described)
        self._copy_runner(out)
        manifest = {
            "schema": KIT_SCHEMA,
            "name": self.name,
            "candidate": self.candidate.model_dump(mode="json"),
            "session": described["session"],
            "model": described["model"],
            "preprocessing": self.preprocessing.model_dump(mode="json"),
            "labels": self._labels(input_paths),
            **self._activation(input_paths),
            "golden": golden,
            "requirements": {"python": ">=3.8", **described["requirements"]},
            "stands_for": None if self.variant == "device" else _emulated_kit(input_paths["kit"]),
            "engine": described.get("engine"),
            "files": _file_facts(out),
        }
        (out / "kit.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def _test(self, kit: Path, tell: Progress) -> None:
        """Run the kit's self-test, unless this machine lacks its runtime, browser or GPU."""
        try:
            LocalHost().run(Task(kit, "selftest", made_here=True), lease_s=SELF_TEST_LEASE_S, tell=tell)
        except OF_THE_DISK:
            raise
        except EdgecnnError as error:
            if not (isinstance(error, RunnerFailed) and error.missing):
                raise self_test_failed(candidate=self.candidate.id, failure=error) from error

    def _labels(self, input_paths: Mapping[Role, Path]) -> list[str]:
        """Return the class names. Without labelled images, classes are numbered."""
        named: list[str] = json.loads((input_paths["pixels"] / "labels.json").read_text(encoding="utf-8"))
        if named:
            return named
        classes = np.load(input_paths["model"] / "golden_logits.npy", allow_pickle=False).shape[1]
        return [f"class {number}" for number in range(classes)]

    def _activation(self, input_paths: Mapping[Role, Path]) -> dict[str, Any]:
        """Return the activation for multi-label images. For single-label images, the manifest omits it (softmax)."""
        if "thresholds" not in input_paths:
            return {}
        file, labels = input_paths["thresholds"] / THRESHOLDS, self._labels(input_paths)
        thresholds: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
        if list(thresholds) != labels:
            raise thresholds_of_another_model(file=file, names=tuple(thresholds), labels=labels)
        return {"activation": "sigmoid", "thresholds": thresholds}

    def _copy_golden(self, input_paths: Mapping[Role, Path], out: Path, model: Mapping[str, Any]) -> dict[str, Any]:
        source = input_paths["pixels"] / "golden"
        described: dict[str, Any] = json.loads((source / "golden.json").read_text(encoding="utf-8"))
        (out / "golden").mkdir()
        names = [entry["file"] for entry in described["png"]] + [described["jpeg"]["file"], described["jpeg"]["pixels"]]
        for name in names:
            shutil.copyfile(input_paths["pixels"] / name, out / name)
        shutil.copyfile(input_paths["model"] / "golden_logits.npy", out / "golden" / "logits.npy")
        wants, normalization = model["model"]["input"], self.preprocessing.normalization
        pixels = np.load(source / "pixels.npy", allow_pickle=False)
        feed = normalization.feed(pixels, wants["dtype"], wants["layout"])
        answers = {"logits": "golden/logits.npy", "logits_tolerance": model["logits_tolerance"]}
        return {**described, **answers, "feed_sha256": feed_sha256(feed)}

    def _copy_runner(self, out: Path) -> None:
        source = runner_source()
        for path in _runner_files(source):
            if path.suffix != ".py":
                if self.candidate.runtime.runs_in_browser:
                    shutil.copyfile(path, out / path.name)
                continue
            target = out / "runner" / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _emulated_kit(kit: Path) -> dict[str, str]:
    digest = hashlib.sha256((kit / "kit.json").read_bytes()).hexdigest()
    why = "accuracy is emulated on a twin that rounds to fp16 in fp32 kernels, since the engine is built on the device"
    return {"kit": digest, "why": why}


def _file_facts(folder: Path) -> dict[str, dict[str, object]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in files
    }
