"""Which candidates quantization-aware training gives, from which training each, and why there are none where it cannot be had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgecnn.backends.installed import installed_version
from edgecnn.building.surgery import SURGERY
from edgecnn.values.artifact import Unavailable
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import Recipe

AWARE = "aware"
"""The rung of quantization-aware training, and the step whose file the CPU runtimes share."""
AWARE_FLOAT_BIAS = "aware-float-bias"
"""The step of a training of its own, for runtimes of another scheme: a network learns the roundings that it will get."""
TRUNK = "export"
"""The step whose ONNX every candidate is made from that learned nothing anew."""
KINDS = {AWARE_FLOAT_BIAS: AWARE}
"""The kind of a step that is not named after its kind."""
PACKAGE = "torchao"
_SHARED = Scheme(activation_dtype="uint8", activation_symmetric=False)
"""ONNX Runtime's. OpenVINO computes it as well as its own symmetric activations, in which ONNX Runtime is slower than fp32."""
_SCHEMES: Mapping[Runtime, Scheme] = {
    Runtime.ONNXRUNTIME: _SHARED,
    Runtime.OPENVINO: _SHARED,
    Runtime.TENSORRT: Scheme(activation_dtype="int8", activation_symmetric=True, bias="float"),
}


def aware_candidates(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """One beside each post-training INT8 candidate: those of the CPU runtimes from one training, TensorRT's from its own."""
    return tuple(
        candidate.model_copy(
            update={
                "id": f"{candidate.id}-aware",
                "method": Method.AWARE_TRAINING,
                "scheme": _SCHEMES[candidate.runtime].model_copy(
                    update={"reduced_range": candidate.scheme is not None and candidate.scheme.reduced_range}
                ),
            }
        )
        for candidate in candidates
        if candidate.runtime in _SCHEMES
        and not candidate.builder_flags
        and (candidate.precision, candidate.method) == (Precision.INT8, Method.POST_TRAINING)
    )


def graph_of(candidate: Candidate) -> str:
    """The step whose ONNX a candidate is made from, and whose table counts its multiply-adds under its layers' names."""
    if candidate.surgery is not None:
        return SURGERY
    if candidate.method is not Method.AWARE_TRAINING:
        return TRUNK
    return AWARE_FLOAT_BIAS if candidate.scheme is not None and candidate.scheme.bias == "float" else AWARE


def why_unavailable(recipe: Recipe, data: DataSummary) -> Unavailable | None:
    """Why no network can be trained with rounding here, or None where one can."""
    if recipe.model.onnx is not None:
        why = "a model that was brought is a graph, and rounding is learned by a network of the catalogue"
        return Unavailable(why=why, command="edgecnn list archs")
    if data.counts["train"] == 0 and recipe.synthesis.cutouts is None:
        return Unavailable(why="there is no image to train on", command=f"edgecnn data inspect {data.root}")
    if installed_version(PACKAGE) is None:
        return Unavailable(why=f"{PACKAGE} is not installed", command='pip install "edgecnn[aware]"')
    return None
