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
from edgecnn.errors.data.multi_label import thresholds_of_another_model
from edgecnn.errors.graph import NOTHING_LEFT_TO_QUANTIZE
from edgecnn.errors.hosts.process import RunnerFailed
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
    """``model.onnx`` → the candidate's files, ``model.json``, ``golden_logits.npy`` and ``quantize.json``.

    Inputs: ``model`` (export; aware for a quantization-aware candidate) and ``pixels`` (prepare).
    """

    kind: ClassVar[str] = "quantize"
    revision: ClassVar[int] = 9

    candidate: Candidate
    images: NonNegativeInt
    """Calibration images. A candidate that takes no ranges from them (float, quantized before, and with learned ranges for every
    tensor) reads none: its number is 0 whatever was asked, so that another one is no miss."""
    normalization: Normalization

    def model_post_init(self, _context: Any) -> None:
        """A candidate that takes no ranges from images reads none."""
        if self.candidate.precision.is_float or not way_to(self.candidate).calibrates:
            object.__setattr__(self, "images", 0)

    @property
    def tools(self) -> tuple[str, ...]:
        """What the candidate's runtime and method run."""
        return packages_for(self.candidate)

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the candidate.

        Raises:
            MissingPackage: the runtime or its quantizer is not installed.
            PACKAGE_UNIMPORTABLE: one of these is broken.
            CALIBRATION_SET_TOO_SMALL: fewer calibration images than ``images``.
            CALIBRATION_NOT_FINITE: the network's answers to calibration images hold NaN or infinity.
            CALIBRATION_RANGE_NOT_FINITE: a tensor inside the network holds NaN or infinity on calibration images.
            HALF_OVERFLOW: a tensor is beyond fp16's range, and the runtime cannot keep the layers around it in fp32.
            OUTPUTS_DIFFER: a float network answers otherwise than the trunk.
            ALREADY_QUANTIZED: the trunk already holds quantization nodes.
            GOLDEN_NOT_TELLING: every golden image gets the same answer.
            NOTHING_LEFT_TO_QUANTIZE: more layers are to stay in float than there are.
            LAYER_NOT_FOUND: the runtime's model does not name a layer that is to stay in float.
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
    """The same with the most damaging layers left in float. Inputs: also ``ranking`` (rank).

    A kind of its own it is not: what follows takes either. The setting is a rule, so that the key is known before the ranking is.
    """

    kept_float: PositiveInt
    """So many layers stay in float, the first of the ranking."""

    def _request(self, input_paths: Mapping[Role, Path], kept: tuple[RankedLayer, ...] = ()) -> CandidateRequest:
        ranking = Ranking.model_validate_json((input_paths["ranking"] / RANKING_FILE_NAME).read_text(encoding="utf-8"))
        if self.kept_float >= len(ranking.layers):
            raise NOTHING_LEFT_TO_QUANTIZE(candidate=self.candidate.id, kept=self.kept_float, layers=len(ranking.layers))
        return super()._request(input_paths, ranking.layers[: self.kept_float])


class RankStage(Stage, RankSettings):
    """``model.onnx`` → ``ranking.json``. Inputs: ``model`` (export) and ``pixels`` (prepare).

    Damage is measured with ONNX Runtime's INT8 whichever runtime is to ship: which tensors are too wide for 8 bits is a matter of
    the network, and so one ranking serves all.
    """

    kind: ClassVar[str] = "rank"
    revision: ClassVar[int] = 3

    @property
    def tools(self) -> tuple[str, ...]:
        """What quantizes and what runs."""
        return ("onnx", "onnxruntime")

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the ranking.

        Raises:
            MissingPackage: ONNX Runtime is not installed.
            CALIBRATION_SET_TOO_SMALL: fewer calibration images than ``images``.
            CALIBRATION_NOT_FINITE: the network's answers to calibration images hold NaN or infinity.
            ALREADY_QUANTIZED: the trunk already holds quantization nodes.
        """
        require_packages(self.tools, extra="onnxruntime", needed_for="ranking layers")
        from edgecnn.runtimes.ranking import rank_layers

        rank_layers(self, input_paths["model"] / "model.onnx", input_paths["pixels"], out, tell)


KIT_SCHEMA = "edgecnn.kit/1"


def runner_source() -> Path:
    """The folder of the runner that is copied into kits."""
    return Path(next(iter(edgecnn.runner.__path__)))


def runner_digest() -> str:
    """SHA-256 over the runner's files: a kit with another runner is another kit."""
    whole = hashlib.sha256()
    for path in _runner_files(runner_source()):
        whole.update(path.relative_to(runner_source()).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def _runner_files(folder: Path) -> list[Path]:
    """Its source, and the pages of kits for browsers, which lie at the top of those and in no others."""
    return sorted((*folder.rglob("*.py"), *folder.glob("browser/web/*")))


class PackageStage(Stage):
    """Model, preprocessing, labels, golden inputs and runner, under one manifest.

    Inputs: ``model`` (quantize), ``pixels`` (prepare), of multi-label images ``thresholds`` (export), and for a twin ``kit``: the
    device kit that it stands for.
    """

    kind: ClassVar[str] = "package"
    revision: ClassVar[int] = 2

    name: str
    candidate: Candidate
    preprocessing: Preprocessing
    variant: Literal["device", "twin"] = "device"
    """twin: an engine's model with activations rounded to fp16, run by a CPU runtime to emulate the engine's accuracy."""
    runner_sha256: str
    """``runner_digest()`` at resolve time: the runner's own bytes are part of what a kit is."""

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the kit, and test it.

        Raises:
            RUNNER_SOURCE_CHANGED, THRESHOLDS_OF_ANOTHER_MODEL: see ``write``.
            SELF_TEST_FAILED: the kit does not give its golden answers, or its runner ends without a result.
        """
        self.write(input_paths, out)
        if json.loads((out / "kit.json").read_text(encoding="utf-8"))["engine"] is None:
            self._test(out, tell)

    def write(self, input_paths: Mapping[Role, Path], out: Path) -> None:
        """Write the kit without testing it; ``kit.json`` last.

        Raises:
            RUNNER_SOURCE_CHANGED: the runner is not the one that was planned with.
            THRESHOLDS_OF_ANOTHER_MODEL: they are not one for each label of the images.
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
            "stands_for": self._stands_for(input_paths),
            "engine": described.get("engine"),
            "files": _file_facts(out),
        }
        (out / "kit.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def _test(self, kit: Path, tell: Progress) -> None:
        """A machine that lacks the kit's runtime, browser or GPU cannot test it, which says nothing of the kit."""
        try:
            LocalHost().run(Task(kit, "selftest"), lease_s=SELF_TEST_LEASE_S, tell=tell)
        except OF_THE_DISK:
            raise
        except EdgecnnError as error:
            if not (isinstance(error, RunnerFailed) and error.missing):
                raise self_test_failed(candidate=self.candidate.id, failure=error) from error

    def _labels(self, input_paths: Mapping[Role, Path]) -> list[str]:
        """Names of the classes; of images without labels nobody named any, so that they are numbered."""
        named: list[str] = json.loads((input_paths["pixels"] / "labels.json").read_text(encoding="utf-8"))
        if named:
            return named
        classes = np.load(input_paths["model"] / "golden_logits.npy", allow_pickle=False).shape[1]
        return [f"class {number}" for number in range(classes)]

    def _activation(self, input_paths: Mapping[Role, Path]) -> dict[str, Any]:
        """Nothing of a network that names one class an image, whose activation is softmax."""
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

    def _stands_for(self, input_paths: Mapping[Role, Path]) -> dict[str, str] | None:
        if self.variant == "device":
            return None
        kit = hashlib.sha256((input_paths["kit"] / "kit.json").read_bytes()).hexdigest()
        why = "accuracy is emulated on a twin that rounds to fp16 in fp32 kernels, since the engine is built on the device"
        return {"kit": kit, "why": why}


def _file_facts(folder: Path) -> dict[str, dict[str, object]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in files
    }
