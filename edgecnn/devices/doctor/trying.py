"""Try each part of this installation in a separate process, with a tiny kit."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgecnn.data.prepared import write_golden
from edgecnn.devices.doctor.facts import Part, State
from edgecnn.devices.doctor.parts import PARTS, PartRow, addition_of, no_wheel, packages_of, version_of
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.program import Program, package_environment, run_program
from edgecnn.hosts.protocol import Task
from edgecnn.models.catalogue import all_archs
from edgecnn.models.weights import package_file
from edgecnn.runtimes.onnxruntime_web import is_unpacked
from edgecnn.runtimes.protocol import Backend
from edgecnn.runtimes.registry import backend_for
from edgecnn.runtimes.tensorrt import LEAST_VERSION
from edgecnn.stages.candidate import PackageStage, runner_digest
from edgecnn.store.disk import sha256_of
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.model_file import (
    LOGITS_TOLERANCE,
    MODEL_FILE_NAME,
    EngineSpec,
    ModelFile,
    ModelOutput,
    ModelRequirements,
    ModelSpec,
    SessionSpec,
)
from edgecnn.values.preprocessing import Normalization, PixelRecipe, Preprocessing
from edgecnn.values.stage import Progress, Role

if TYPE_CHECKING:
    import numpy.typing as npt


SIDE_PX: Final = 32
PREPROCESSING = Preprocessing(
    pixels=PixelRecipe(resize_px=SIDE_PX, crop_px=SIDE_PX, interpolation="bilinear"),
    normalization=Normalization(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
)


def make_tiny_kit(candidate: Candidate, out: Path) -> Path:
    """Make a kit in ``out / "kit"`` whose golden logits are computed without a runtime. ``out``: an existing empty folder."""
    model, pixels, kit = (out / name for name in ("model", "pixels", "kit"))
    for folder in (model, pixels, kit):
        folder.mkdir()
    write_golden((), PREPROCESSING.pixels.runner_recipe(), pixels)
    (pixels / "labels.json").write_text(json.dumps([f"class {number}" for number in range(CLASSES)]), encoding="utf-8")
    backend = backend_for(candidate.runtime)
    if backend.reads_onnx:
        shutil.copyfile(FILE, model / "model.onnx")
        (model / MODEL_FILE_NAME).write_text(_model_file(candidate, backend).to_json(), encoding="utf-8")
    else:  # which tries the converter too
        backend.convert(FILE, candidate, model)
    golden = np.load(pixels / "golden" / "pixels.npy", allow_pickle=False)
    np.save(model / "golden_logits.npy", answers(PREPROCESSING.normalization.feed(golden)))
    stage = PackageStage(
        inputs={}, name=candidate.id, candidate=candidate, preprocessing=PREPROCESSING, runner_sha256=runner_digest()
    )
    stage.write({Role("model"): model, Role("pixels"): pixels}, kit)  # doctor runs the self-test
    return kit


def _model_file(candidate: Candidate, backend: Backend) -> ModelFile:
    """Return the description of the model. It requires no version, because an old runtime that computes correctly works."""
    builder = backend.builder
    return ModelFile(
        session=SessionSpec(module=backend.session_module, options=candidate.session_options),
        model=ModelSpec(entry="model.onnx", files=("model.onnx",), output=ModelOutput(classes=CLASSES)),
        requirements=ModelRequirements(packages={}),
        logits_tolerance=LOGITS_TOLERANCE[candidate.precision],
        engine=None if builder is None else EngineSpec(builder=builder, onnx="model.onnx", min_version=LEAST_VERSION),
    )


FILE: Final = Path(__file__).with_name("tiny.onnx")
CLASSES: Final = 4
STRIDE: Final = 2
_CHANNELS = 8


def weights() -> dict[str, npt.NDArray[np.float32]]:
    """Return the weights by their names in the file, float32: multiples of 1/16 between -0.5 and 0.5, by a formula."""
    shapes = {
        "conv.weight": (_CHANNELS, 3, 3, 3),
        "conv.bias": (_CHANNELS,),
        "depthwise.weight": (_CHANNELS, 1, 3, 3),
        "depthwise.bias": (_CHANNELS,),
        "head.weight": (CLASSES, _CHANNELS),
        "head.bias": (CLASSES,),
    }
    arrays = {}
    for seed, (name, shape) in enumerate(shapes.items(), start=3):
        numbers = np.arange(np.prod(shape), dtype=np.int64)
        values = (((numbers + seed) ** 2 * 7 + numbers * seed) % 17 - 8) / 16
        arrays[name] = values.astype(np.float32).reshape(shape)
    return arrays


def answers(feed: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Compute the expected logits in float64.

    ``feed``: float32 (N, 3, SIDE_PX, SIDE_PX). Returns float32 (N, CLASSES).
    """
    parameters = {name: array.astype(np.float64) for name, array in weights().items()}
    convolved = np.einsum("nchwij,ocij->nohw", _windows(feed), parameters["conv.weight"])
    first = np.maximum(convolved + parameters["conv.bias"][:, None, None], 0)
    filtered = np.einsum("nchwij,cij->nchw", _windows(first), parameters["depthwise.weight"][:, 0])
    second = np.maximum(filtered + parameters["depthwise.bias"][:, None, None], 0)
    logits: npt.NDArray[np.float64] = second.mean(axis=(2, 3)) @ parameters["head.weight"].T + parameters["head.bias"]
    return logits.astype(np.float32)


def _windows(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return 3 × 3 windows of the images with a zero border of one pixel, (N, C, H, W, 3, 3)."""
    padded = np.pad(images.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::STRIDE, ::STRIDE]


LEASE_S = 120.0
"""A part hangs if it prints nothing for this time, seconds. The slowest part took 8 s on two cores; a cold disk takes longer."""
AHEAD_FOR = "8.6"
"""Compute capability for which the ahead-of-time builder is tried; every build supports it."""


@dataclass
class Trials:
    """Tries all parts, and collects the facts that trials return in addition to a state."""

    tell: Progress
    gpu_models: tuple[str, ...]
    lease_s: float = LEASE_S
    torch_gpus: list[Mapping[str, Any]] = field(default_factory=list)
    """``model`` and ``why`` (None if a training step ran) of each GPU that torch found."""

    def parts(self) -> tuple[Part, ...]:
        """Try every part, in the order of ``PARTS``."""
        return tuple(self._part(row) for row in PARTS)

    def _part(self, row: PartRow) -> Part:
        version = version_of(row.lead)
        state, finding, seconds = State.ABSENT, no_wheel(row) or f"{row.lead} is not installed", None
        if version is not None:
            self.tell.note(f"trying {row.name}")
            began = time.monotonic()
            state, finding = self._tried(row)
            seconds = None if state is State.UNTRIED else round(time.monotonic() - began, 3)
        return Part(
            name=row.name,
            kind=row.kind,
            version=version,
            state=state,
            found=finding,
            seconds=seconds,
            packages=packages_of(row.name),
            addition=addition_of(row),
        )

    def _tried(self, row: PartRow) -> tuple[State, str]:
        try:
            if row.kind == "builder":
                return self._build_ahead_of_time()
            if row.kind == "extra":
                return _check_packaged_weights() if row.name == "offline-weights" else self._run_trial(row.name)
            runtime = Runtime(row.name)
            if backend_for(runtime).builder is not None:
                return self._build_and_run_engine(runtime)
            return self._browser_selftest(runtime) if runtime.runs_in_browser else self._selftest(runtime)
        except EdgecnnError as error:
            return State.BROKEN, error.line()

    def _selftest(self, runtime: Runtime) -> tuple[State, str]:
        with tempfile.TemporaryDirectory(prefix="edgecnn-doctor-") as place:
            kit = _tiny_kit(runtime, Path(place))
            result = LocalHost(Path(place)).run(Task(kit, "selftest", made_here=True), lease_s=self.lease_s, tell=self.tell)[
                "selftest"
            ]
        return State.WORKS, _run_sentence(result)

    def _browser_selftest(self, runtime: Runtime) -> tuple[State, str]:
        """Try a browser runtime. Nothing is downloaded; only a build does that."""
        if not is_unpacked(runtime):
            return (
                State.UNTRIED,
                "installed; the first build for a browser downloads ONNX Runtime Web, which doctor then tries",
            )
        try:
            return self._selftest(runtime)
        except RunnerFailed as error:
            if not error.missing:
                raise
            return State.UNTRIED, f"installed; {error.what}: {error.because}"

    def _build_and_run_engine(self, runtime: Runtime) -> tuple[State, str]:
        """Build an engine for this machine's GPU and run it, if there is a GPU."""
        if not self.gpu_models:
            return State.UNTRIED, "installed, but it needs an NVIDIA GPU, and the driver lists none"
        with tempfile.TemporaryDirectory(prefix="edgecnn-doctor-") as place:
            kit = _tiny_kit(runtime, Path(place))
            LocalHost(Path(place)).run(
                Task(kit, "build-engine", out=kit / "build", made_here=True), lease_s=self.lease_s, tell=self.tell
            )
            result = LocalHost(Path(place)).run(Task(kit, "selftest", made_here=True), lease_s=self.lease_s, tell=self.tell)[
                "selftest"
            ]
        return State.WORKS, f"built an engine and {_run_sentence(result)}"

    def _build_ahead_of_time(self) -> tuple[State, str]:
        with tempfile.TemporaryDirectory(prefix="edgecnn-doctor-") as place:
            kit = _tiny_kit(Runtime.TENSORRT, Path(place))
            words = ("--package", "tensorrt_rtx_bindings", "--capability", AHEAD_FOR)
            task = Task(kit, "build-engine", words, out=kit / "build", made_here=True)
            engine = LocalHost(Path(place)).run(task, lease_s=self.lease_s, tell=self.tell)["engine"]["engines"][0]
        built = f"parsed the tiny network and built its engine for compute capability {AHEAD_FOR} ({engine['bytes']:,} bytes)"
        return State.WORKS, f"{built}; the engine was not run, since that needs the GPU"

    def _run_trial(self, part: str) -> tuple[State, str]:
        """Run the part's function of ``trials`` in a separate process."""
        words = (sys.executable, "-P", "-m", "edgecnn.devices.doctor.trials", part, "--lease-s", str(self.lease_s))
        with tempfile.TemporaryDirectory(prefix="edgecnn-doctor-") as place:
            program = Program(words, (f"doctor: {part}",), Path(place), {**package_environment(), "TMPDIR": place})
            result = run_program(program, lease_s=self.lease_s, tell=self.tell)
        self.torch_gpus += result.get("gpus", ())
        return State.WORKS, str(result["found"])


def _run_sentence(result: Mapping[str, Any]) -> str:
    off = f"{result['logits_difference']:.2g} (allowed: {result['logits_allowed']:.2g})"
    return f"ran the tiny network; its logits differ by {off}"


def _tiny_kit(runtime: Runtime, place: Path) -> Path:
    backend = backend_for(runtime)
    candidate = Candidate(
        id=f"tiny-{runtime.value}-fp32",
        runtime=runtime,
        precision=Precision.FP32,
        session_options=backend.fp32_options,
        needs_engine=backend.builder is not None,
    )
    return make_tiny_kit(candidate, place)


def _check_packaged_weights() -> tuple[State, str]:
    """Compare the weight files inside packages with the digests of the catalogue."""
    rows = [spec.weights for spec in all_archs() if spec.weights is not None and spec.weights.origin == "package"]
    files = {weights.name: (package_file(weights), weights.sha256_prefix) for weights in rows}
    wrong = [name for name, (path, prefix) in files.items() if path is None or not sha256_of(path).startswith(prefix or "")]
    if wrong:
        return State.BROKEN, f"absent, or different from the catalogue: {', '.join(wrong)}"
    return State.WORKS, f"{len(files)} files match the digests of the catalogue"
