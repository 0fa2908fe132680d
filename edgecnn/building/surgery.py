"""Which candidates surgery gives, and why there are none where it cannot be had here."""

from __future__ import annotations

from collections.abc import Iterable

from edgecnn.errors.surgery import NothingToReplace
from edgecnn.models.catalogue import all_archs
from edgecnn.models.parts import SILU, SQUEEZE_EXCITE, Parts, parts_of
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Unavailable
from edgecnn.values.candidate import Candidate, Method
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import Recipe
from edgecnn.values.surgery import Surgery

SURGERY = "surgery"
"""The step and the rung of surgery; the candidates of the rung share the one step."""
_METHODS = (Method.FLOAT, Method.POST_TRAINING)


def surgery_of(recipe: Recipe) -> Surgery | None:
    """What is asked for; None where the network stays as it is."""
    asked = recipe.surgery
    if (asked.activation, asked.squeeze_excite) == ("keep", "keep"):
        return None
    return Surgery(activation=asked.activation, squeeze_excite=asked.squeeze_excite, epochs=asked.epochs)


def surgery_candidates(candidates: Iterable[Candidate], recipe: Recipe) -> tuple[Candidate, ...]:
    """One beside each float and post-training INT8 candidate that the target may ship, all of one changed network."""
    done = surgery_of(recipe)
    if done is None:
        return ()
    return tuple(
        candidate.model_copy(update={"id": f"{candidate.id}-{done.suffix}", "surgery": done})
        for candidate in candidates
        if candidate.method in _METHODS and recipe.target.runtime in (None, candidate.runtime)
    )


def why_unavailable(recipe: Recipe, data: DataSummary) -> Unavailable | None:
    """Why no network can be changed here, or None where one can."""
    if recipe.model.onnx is not None:
        why = "a model that was brought is a graph, and layers are exchanged in a network of the catalogue"
        return Unavailable(why=why, command="edgecnn list archs")
    if data.counts["train"] == 0 and recipe.synthesis.cutouts is None:
        why = "there is no image to train on, and a changed network has to learn again"
        return Unavailable(why=why, command=f"edgecnn data inspect {data.root}")
    return None


def require_something_to_replace(recipe: Recipe, arch: ArchSpec) -> None:
    """Refuse what the network does not have, before any time is spent.

    Args:
        recipe: as asked.
        arch: a network of the catalogue.

    Raises:
        NothingToReplace: it has no SiLU, or no squeeze-excite; says what it has.
    """
    asked, has = recipe.surgery, parts_of(arch.family)
    if asked.activation != "keep" and not _holds(has, SILU):
        raise _nothing_to_replace(arch, f"activation={asked.activation}", SILU)
    if asked.squeeze_excite != "keep" and not _holds(has, SQUEEZE_EXCITE):
        raise _nothing_to_replace(arch, f"squeeze_excite={asked.squeeze_excite}", SQUEEZE_EXCITE)


# ---------------------------------------------------------------------------------------------------------------------


def _holds(parts: Parts, part: str) -> bool:
    return parts.squeeze_excite if part == SQUEEZE_EXCITE else part in parts.activations


def _nothing_to_replace(arch: ArchSpec, setting: str, lacks: str) -> NothingToReplace:
    fitting = tuple(each.name for each in all_archs() if _holds(parts_of(each.family), lacks))
    return NothingToReplace(arch=arch.name, setting=setting, lacks=lacks, has=parts_of(arch.family).worded, fitting=fitting)
