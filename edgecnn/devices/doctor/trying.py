"""Tries each part that is installed, each in a process of its own: one that crashes or hangs is a finding, not the end.

Some libraries leave files of their own among the temporary ones (torch a cache folder, ONNX Runtime the id of a session), so
each process is given a folder that goes when it ends.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgecnn.backends.ncnn import FP32 as NCNN_FP32
from edgecnn.backends.onnxruntime_web import is_unpacked
from edgecnn.backends.openvino import PRECISION_HINT
from edgecnn.backends.tensorrt import LEAST_VERSION
from edgecnn.devices.doctor.facts import Part, State
from edgecnn.devices.doctor.parts import PARTS, PartRow, addition_of, no_wheel, packages_of, version_of
from edgecnn.devices.doctor.tiny_kit import make_tiny_kit
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts.process import RunnerFailed
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.program import Program, package_environment, run_program
from edgecnn.hosts.protocol import Task
from edgecnn.models.catalogue import all_archs
from edgecnn.models.weights import package_file
from edgecnn.store.disk import sha256_of
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.model_file import EngineSpec, SessionSpec
from edgecnn.values.stage import Progress

LEASE_S = 120.0
"""A part that says nothing for so long is taken to hang: the slowest took 8 s on two cores, and a cold disk takes longer."""
AHEAD_FOR = "8.6"
"""The compute capability that the ahead-of-time builder is tried for: one that every build aims at."""
_SESSIONS = {
    "onnxruntime": SessionSpec(module="onnxruntime_cpu"),
    "openvino": SessionSpec(module="openvino_cpu", options={PRECISION_HINT: "f32"}),
    "tensorrt": SessionSpec(module="tensorrt_gpu"),
    "ncnn": SessionSpec(module="ncnn_cpu", options=NCNN_FP32),
    "litert": SessionSpec(module="litert_cpu"),
    "wasm": SessionSpec(module="wasm_browser"),
    "webgpu": SessionSpec(module="webgpu_browser"),
}


@dataclass
class Trials:
    """What is tried, and what the trials said beside their verdicts."""

    tell: Progress
    gpu_models: tuple[str, ...]
    lease_s: float = LEASE_S
    torch_gpus: list[Mapping[str, Any]] = field(default_factory=list)
    """``model`` and ``why`` (None where a training step ran) of each GPU that torch found."""

    def parts(self) -> tuple[Part, ...]:
        """Every part, in the order of ``PARTS``."""
        return tuple(self._part(row) for row in PARTS)

    def _part(self, row: PartRow) -> Part:
        version = version_of(row.lead)
        state, found, seconds = State.ABSENT, _why_absent(row), None
        if version is not None:
            self.tell.note(f"trying {row.name}")
            began = time.monotonic()
            state, found = self._tried(row)
            seconds = None if state is State.UNTRIED else round(time.monotonic() - began, 3)
        return Part(
            name=row.name,
            kind=row.kind,
            version=version,
            state=state,
            found=found,
            seconds=seconds,
            packages=packages_of(row.name),
            addition=addition_of(row),
        )

    def _tried(self, row: PartRow) -> tuple[State, str]:
        trials: dict[str, Callable[[], tuple[State, str]]] = {
            "onnxruntime": lambda: self._selftest("onnxruntime"),
            "openvino": lambda: self._selftest("openvino"),
            "ncnn": lambda: self._selftest("ncnn"),
            "litert": lambda: self._selftest("litert"),
            "wasm": lambda: self._browser(Runtime.WASM),
            "webgpu": lambda: self._browser(Runtime.WEBGPU),
            "tensorrt": self._tensorrt,
            "tensorrt-rtx": self._ahead_of_time,
            "offline-weights": _weights_there,
        }
        try:
            return trials.get(row.name, lambda: self._imported(row.name))()
        except EdgecnnError as error:
            return State.BROKEN, error.line()

    def _selftest(self, runtime: str) -> tuple[State, str]:
        with tempfile.TemporaryDirectory(prefix="edgecnn-doctor-") as place:
            kit = _kit(runtime, Path(place), self.tell)
            said = LocalHost(Path(place)).run(Task(kit, "selftest"), lease_s=self.lease_s, tell=self.tell)["selftest"]
        return State.WORKS, _ran(said)

    def _browser(self, runtime: Runtime) -> tuple[State, str]:
        """Without a download: that is a build's."""
        if not is_unpacked(runtime):
            return (
                State.UNTRIED,
                "installed; the first build for a browser downloads ONNX Runtime Web, which is tried from then on",
            )
        try:
            return self._selftest(runtime)
        except RunnerFailed as error:
            if not error.missing:
                raise
            return State.UNTRIED, f"installed; {error.what}: {error.because}"

    def _tensorrt(self) -> tuple[State, str]:
        """Build for this machine's GPU, then run; without a GPU the full package can do neither."""
        if not self.gpu_models:
            return State.UNTRIED, "installed; it builds and runs on a machine with an NVIDIA GPU alone, and none is listed here"
        with tempfile.TemporaryDirectory(prefix="edgecnn-doctor-") as place:
            kit = _kit("tensorrt", Path(place), self.tell)
            LocalHost(Path(place)).run(Task(kit, "build-engine", out=kit / "build"), lease_s=self.lease_s, tell=self.tell)
            said = LocalHost(Path(place)).run(Task(kit, "selftest"), lease_s=self.lease_s, tell=self.tell)["selftest"]
        return State.WORKS, f"built an engine, and {_ran(said)}"

    def _ahead_of_time(self) -> tuple[State, str]:
        with tempfile.TemporaryDirectory(prefix="edgecnn-doctor-") as place:
            kit = _kit("tensorrt", Path(place), self.tell)
            words = ("--package", "tensorrt_rtx_bindings", "--capability", AHEAD_FOR)
            task = Task(kit, "build-engine", words, out=kit / "build")
            made = LocalHost(Path(place)).run(task, lease_s=self.lease_s, tell=self.tell)["engine"]["engines"][0]
        built = f"parsed the tiny network and built its engine for compute capability {AHEAD_FOR} ({made['bytes']:,} bytes)"
        return State.WORKS, f"{built}; no engine was executed, which takes the GPU"

    def _imported(self, part: str) -> tuple[State, str]:
        """The part's own trial: see ``trials``."""
        words = (sys.executable, "-P", "-m", "edgecnn.devices.doctor.trials", part, "--lease-s", str(self.lease_s))
        with tempfile.TemporaryDirectory(prefix="edgecnn-doctor-") as place:
            program = Program(words, (f"doctor: {part}",), Path(place), {**package_environment(), "TMPDIR": place})
            said = run_program(program, lease_s=self.lease_s, tell=self.tell)
        self.torch_gpus += said.get("gpus", ())
        return State.WORKS, str(said["found"])


def _why_absent(row: PartRow) -> str:
    return no_wheel(row) or f"{row.lead} is not installed"


def _ran(said: Mapping[str, Any]) -> str:
    off = f"{said['logits_difference']:.2g}, allowed are {said['logits_allowed']:.2g}"
    return f"ran the tiny network; its answers are off by {off}"


def _kit(runtime: str, place: Path, tell: Progress) -> Path:
    needs_engine = runtime == "tensorrt"
    candidate = Candidate(
        id=f"tiny-{runtime}-fp32", runtime=Runtime(runtime), precision=Precision.FP32, needs_engine=needs_engine
    )
    engine = EngineSpec(builder="tensorrt", onnx="model.onnx", min_version=LEAST_VERSION) if needs_engine else None
    return make_tiny_kit(candidate, _SESSIONS[runtime], place, engine)


def _weights_there() -> tuple[State, str]:
    """The files inside the packages, against the digests of the catalogue."""
    rows = [spec.weights for spec in all_archs() if spec.weights is not None and spec.weights.origin == "package"]
    found = {weights.name: (package_file(weights), weights.sha256_prefix) for weights in rows}
    wrong = [name for name, (path, prefix) in found.items() if path is None or not sha256_of(path).startswith(prefix or "")]
    if wrong:
        return State.BROKEN, f"absent, or other bytes than the catalogue names: {', '.join(wrong)}"
    return State.WORKS, f"{len(found)} files with the digests that the catalogue names"
