"""Which candidates quantization-aware training gives, and why there are none where it cannot be had here."""

from __future__ import annotations

from collections.abc import Iterable

from edgecnn.backends.installed import installed_version
from edgecnn.values.artifact import Unavailable
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import Recipe

AWARE = "aware"
"""The step and the rung of quantization-aware training; the candidates of the rung share the one step."""
PACKAGE = "torchao"
_RUNTIMES = (Runtime.ONNXRUNTIME, Runtime.OPENVINO)


def aware_candidates(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """One beside each post-training INT8 candidate of the CPU runtimes, all in ONNX Runtime's scheme, from one training.

    OpenVINO computes unsigned asymmetric activations as well as its own symmetric ones, ONNX Runtime symmetric ones slower than
    fp32.
    """
    return tuple(
        candidate.model_copy(
            update={
                "id": f"{candidate.id}-aware",
                "method": Method.AWARE_TRAINING,
                "scheme": Scheme(
                    activation_dtype="uint8",
                    activation_symmetric=False,
                    reduced_range=candidate.scheme is not None and candidate.scheme.reduced_range,
                ),
            }
        )
        for candidate in candidates
        if candidate.runtime in _RUNTIMES and (candidate.precision, candidate.method) == (Precision.INT8, Method.POST_TRAINING)
    )


def graph_of(candidate: Candidate) -> str:
    """The step whose ONNX a candidate is made from, and whose table counts its multiply-adds under its layers' names."""
    return AWARE if candidate.method is Method.AWARE_TRAINING else "export"


def why_unavailable(recipe: Recipe, data: DataSummary) -> Unavailable | None:
    """Why no network can be trained with rounding here, or None where one can."""
    if recipe.model.onnx is not None:
        why = "a model that was brought is a graph, and rounding is learned by a network of the catalogue"
        return Unavailable(why=why, command="edgecnn list archs")
    if data.counts["train"] == 0:
        return Unavailable(why="there is no image to train on", command=f"edgecnn data inspect {data.root}")
    if installed_version(PACKAGE) is None:
        return Unavailable(why=f"{PACKAGE} is not installed", command='pip install "edgecnn[aware]"')
    return None
