"""Which heads go with what else a recipe asks: those that are fitted on frozen features want them frozen."""

from __future__ import annotations

from edgecnn.errors.training import HeadNotFitting
from edgecnn.models.defaults import Mode
from edgecnn.values.recipe import Recipe


def require_fitting_head(asked: Recipe, mode: Mode, weights: str) -> None:
    """Refuse a contradiction before any time is spent.

    Raises:
        HeadNotFitting: names what the head does not go with.
    """
    head, transfer = asked.train.head, asked.train.transfer
    if head == "linear":
        return
    if asked.train.balance != "none":
        because = "each image counts once in what is fitted"
        raise HeadNotFitting(head=head, beside=f"train.balance={asked.train.balance}", because=because)
    if mode == "scratch":
        raise HeadNotFitting(head=head, beside="random weights", because=f"their features tell nothing apart: {weights}")
    if transfer not in (None, "head"):
        because = "it is fitted on frozen features, so that nothing else learns"
        raise HeadNotFitting(head=head, beside=f"--transfer {transfer}", because=because)
    learned = asked.quantize.aware or (asked.surgery.activation, asked.surgery.squeeze_excite) != ("keep", "keep")
    if head == "knn" and learned:
        because = "votes of neighbours give no gradient to learn from"
        raise HeadNotFitting(head=head, beside="quantize.aware" if asked.quantize.aware else "[surgery]", because=because)
