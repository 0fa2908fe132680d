"""From a runtime's name to its module, and from a candidate to what makes it.

A maker is a function ``(job: Job) -> dict[str, Any]`` that writes the model's files and ``model.json`` and returns facts for
``quantize.json``. A float candidate without a row is made by its backend's ``convert``, and so is one whose network was rounded
while it was trained, where the runtime reads that training's file as it is, or that came so.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, cast

from edgecnn.runner.runtimes import distribution_of
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.protocol import Backend
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Unsupported
from edgecnn.values.device import Device, Processor
from edgecnn.values.profile import Environment


def backend_for(runtime: Runtime) -> Backend:
    """The backend of a runtime: ``BACKEND`` of the module of that name."""
    return cast(Backend, import_module(f"edgecnn.runtimes.{runtime.value}").BACKEND)


def versions_taken(runtime: Runtime) -> str:
    """What kits of a runtime need of it: a range of versions."""
    return backend_for(runtime).runtime_packages[distribution_of(runtime)]


def saturates_on(candidate: Candidate, answering: Environment) -> Literal["device", "answering machine"] | None:
    """Return where sums of 8-bit products saturate, of the device that a candidate is for and the machine that answered for it.

    None where they saturate on both or on neither, or where nothing is recorded of the answering processor. The candidate itself
    says which device it is for: the planner gives it weights of 7 bits, which never saturate, unless the device adds exactly. A
    file that came quantized keeps its weights of 8 bits.
    """
    if not {"isa", "architecture"} & {*answering.conditions, *answering.observed}:
        return None  # nothing is known of that processor
    backend = backend_for(candidate.runtime)
    isa, read = tuple((answering.conditions.get("isa") or "").split()), answering.observed.get("architecture")
    architecture: Literal["aarch64", "any"] = "aarch64" if read == "aarch64" else "any"
    worst = Processor(architecture="any", model="", source="a device whose sums saturate")
    there = backend.sums_saturate(candidate, worst.model_copy(update={"architecture": architecture, "isa": isa}))
    device = candidate.method is Method.ORIGINAL and backend.sums_saturate(candidate, worst)
    if device == there:
        return None
    return "device" if device else "answering machine"


def offers(runtime: Runtime, device: Device) -> tuple[Candidate | Unsupported, ...]:
    """What a runtime's backend supports on a device, but for the precisions that the device's file rules out."""
    facts = device.runtimes.get(runtime)
    if facts is None:
        return ()
    supported = backend_for(runtime).supports(device)
    return tuple(
        Unsupported(runtime=runtime, precision=entry.precision, why=why)
        if isinstance(entry, Candidate) and (why := facts.rules_out(entry.precision)) is not None
        else entry
        for entry in supported
    )


def all_backends() -> tuple[Backend, ...]:
    """One backend for each runtime that ships, in the order of ``Runtime``."""
    return tuple(backend_for(runtime) for runtime in Runtime if runtime.ships)


@dataclass(frozen=True)
class Way:
    """How a candidate is made: a maker, or None for the backend's own conversion, and what it runs beyond the backend."""

    module: str | None
    """Of this room."""
    packages: tuple[str, ...] = ()
    calibrates: bool = False
    """Whether it takes ranges from calibration images."""
    function: str = "quantize"

    def quantize(self, job: Job) -> dict[str, Any]:
        """Call the maker."""
        made: dict[str, Any] = getattr(import_module(f"edgecnn.runtimes.{self.module}"), self.function)(job)
        return made


_HALF = ("onnxconverter-common",)
_WAYS: dict[tuple[Runtime, Method] | tuple[Runtime, Method, Precision], Way] = {
    (Runtime.ONNXRUNTIME, Method.FLOAT, Precision.FP16): Way("onnxruntime_files", _HALF, function="write_half"),
    (Runtime.ONNXRUNTIME, Method.POST_TRAINING): Way("onnxruntime_files", calibrates=True),
    (Runtime.ONNXRUNTIME, Method.AWARE_TRAINING): Way(None),
    (Runtime.ONNXRUNTIME, Method.ORIGINAL): Way(None),
    (Runtime.OPENVINO, Method.AWARE_TRAINING): Way(None),
    (Runtime.OPENVINO, Method.POST_TRAINING): Way("openvino_files", ("nncf",), calibrates=True),
    (Runtime.ONNXRUNTIME, Method.MIXED): Way("onnxruntime_files", calibrates=True),
    (Runtime.OPENVINO, Method.MIXED): Way("openvino_files", ("nncf",), calibrates=True),
    (Runtime.LITERT, Method.FLOAT): Way("litert_files"),
    (Runtime.LITERT, Method.POST_TRAINING): Way("litert_files", calibrates=True),
    (Runtime.LITERT, Method.MIXED): Way("litert_files", calibrates=True),
    (Runtime.LITERT, Method.AWARE_TRAINING): Way("litert_files", calibrates=True),
    (Runtime.WASM, Method.POST_TRAINING): Way("wasm", calibrates=True),
    (Runtime.TENSORRT, Method.FLOAT): Way("tensorrt_files", _HALF, function="write_half"),
    (Runtime.TENSORRT, Method.POST_TRAINING): Way("tensorrt_files", _HALF, calibrates=True),
    (Runtime.TENSORRT, Method.AWARE_TRAINING): Way("tensorrt_files", _HALF),
    (Runtime.TENSORRT, Method.MIXED): Way("tensorrt_files", _HALF, calibrates=True),
}
"""A row of one precision goes before that of all."""
_WEAK = Way("tensorrt_files", calibrates=True, function="write_weakly_typed")
"""Of every candidate whose network is weakly typed, float ones included."""


def keeps_layers(runtime: Runtime) -> bool:
    """True where single layers of a runtime's INT8 can be left in float."""
    return (runtime, Method.MIXED) in _WAYS


def way_to(candidate: Candidate) -> Way:
    """The row of a candidate's runtime and method, or of these in its precision."""
    if candidate.builder_flags:
        return _WEAK
    made = candidate.runtime, candidate.method
    found = _WAYS.get((*made, candidate.precision)) or _WAYS.get(made)
    if found is None and candidate.precision.is_float:
        return Way(None)
    if found is None:
        raise LookupError(f"no maker of {candidate.id}: add a row for {candidate.runtime}, {candidate.method}")
    return found


def packages_for(candidate: Candidate) -> tuple[str, ...]:
    """Distributions that make it: its runtime's, those of its way, and ONNX Runtime, in which the trunk is run to compare."""
    return tuple(sorted({*backend_for(candidate.runtime).packages, *way_to(candidate).packages, "onnxruntime"}))
