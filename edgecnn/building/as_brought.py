"""A file that came quantized: one candidate, which is packaged and measured as it is, and why there are no others."""

from __future__ import annotations

from edgecnn.building.plan import AS_BROUGHT_ID
from edgecnn.errors.brought import QuantizedElsewhere
from edgecnn.values.artifact import Unavailable
from edgecnn.values.brought import BroughtModel
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime
from edgecnn.values.device import Device
from edgecnn.values.recipe import Recipe

AS_BROUGHT = Candidate(id=AS_BROUGHT_ID, runtime=Runtime.ONNXRUNTIME, precision=Precision.INT8, method=Method.BROUGHT)
"""In ONNX Runtime alone: what its file holds was made for one runtime's kernels, and of these its form is known."""


def as_brought(
    model: BroughtModel, candidates: tuple[Candidate, ...], unavailable: dict[str, Unavailable], recipe: Recipe, device: Device
) -> tuple[tuple[Candidate, ...], dict[str, Unavailable]]:
    """The candidates of a brought model, and those that cannot be had of it: the same as given, of one in float.

    Raises:
        QuantizedElsewhere: it came quantized, and the target runs something else than ONNX Runtime.
    """
    form = model.entry.quantized
    if form is None:
        return candidates, unavailable
    facts = device.runtimes.get(Runtime.ONNXRUNTIME)
    asked = recipe.target.runtime
    if asked not in (None, Runtime.ONNXRUNTIME) or facts is None or (asked is None and not facts.offered):
        raise QuantizedElsewhere(path=model.path, form=form, device=device.name, has=facts is not None)
    lacking = Unavailable(
        why=f"the file came quantized ({form}), and its float network is not in it",
        command="--model with the float network that it was made from",
    )
    return (AS_BROUGHT,), {**unavailable, **{candidate.id: lacking for candidate in candidates}}
