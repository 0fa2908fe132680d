"""From a candidate's runtime and method to the module that makes it: a new method is one module and one row.

A module named here has ``quantize(job: Job) -> dict[str, Any]`` (see ``quantization/job.py``), which writes the model's files and
``model.json`` and returns facts for ``quantize.json``. A float candidate without a row is made by its backend's ``convert``, and
so is one whose network was rounded while it was trained, where the runtime reads that training's file as it is, or that came so.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.backends.registry import backend_for
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime


@dataclass(frozen=True)
class Way:
    """How a candidate is made: the module, or None for the backend's own conversion, and what it runs beyond the backend."""

    module: str | None
    packages: tuple[str, ...] = ()
    calibrates: bool = False
    """Whether it takes ranges from calibration images."""


_WAYS: dict[tuple[Runtime, Method] | tuple[Runtime, Method, Precision], Way] = {
    (Runtime.ONNXRUNTIME, Method.FLOAT, Precision.FP16): Way("edgecnn.quantization.onnxruntime_half", ("onnxconverter-common",)),
    (Runtime.ONNXRUNTIME, Method.POST_TRAINING): Way("edgecnn.quantization.onnxruntime", calibrates=True),
    (Runtime.ONNXRUNTIME, Method.AWARE_TRAINING): Way(None),
    (Runtime.ONNXRUNTIME, Method.ORIGINAL): Way(None),
    (Runtime.OPENVINO, Method.AWARE_TRAINING): Way(None),
    (Runtime.OPENVINO, Method.POST_TRAINING): Way("edgecnn.quantization.openvino", ("nncf",), calibrates=True),
    (Runtime.ONNXRUNTIME, Method.MIXED): Way("edgecnn.quantization.onnxruntime", calibrates=True),
    (Runtime.OPENVINO, Method.MIXED): Way("edgecnn.quantization.openvino", ("nncf",), calibrates=True),
    (Runtime.LITERT, Method.FLOAT): Way("edgecnn.quantization.litert"),
    (Runtime.LITERT, Method.POST_TRAINING): Way("edgecnn.quantization.litert", calibrates=True),
    (Runtime.LITERT, Method.MIXED): Way("edgecnn.quantization.litert", calibrates=True),
    (Runtime.LITERT, Method.AWARE_TRAINING): Way("edgecnn.quantization.litert", calibrates=True),
    (Runtime.WASM, Method.POST_TRAINING): Way("edgecnn.quantization.wasm", calibrates=True),
    (Runtime.TENSORRT, Method.FLOAT): Way("edgecnn.quantization.float16", ("onnxconverter-common",)),
    (Runtime.TENSORRT, Method.POST_TRAINING): Way("edgecnn.quantization.tensorrt", ("onnxconverter-common",), calibrates=True),
    (Runtime.TENSORRT, Method.AWARE_TRAINING): Way("edgecnn.quantization.tensorrt", ("onnxconverter-common",)),
    (Runtime.TENSORRT, Method.MIXED): Way("edgecnn.quantization.tensorrt", ("onnxconverter-common",), calibrates=True),
}
"""A row of one precision goes before that of all."""
_WEAK = Way("edgecnn.quantization.tensorrt_weak", calibrates=True)
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
        raise LookupError(
            f"no module of quantization makes {candidate.id}: add a row for {candidate.runtime}, {candidate.method}"
        )
    return found


def packages_for(candidate: Candidate) -> tuple[str, ...]:
    """Distributions that make it: its runtime's, those of its way, and ONNX Runtime, in which the trunk is run to compare."""
    return tuple(sorted({*backend_for(candidate.runtime).packages, *way_to(candidate).packages, "onnxruntime"}))
