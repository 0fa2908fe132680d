"""What short trainings make likely of members that had none."""

from __future__ import annotations

import pytest

from edgecnn.fit.shortlist import promised_top1
from edgecnn.values.fit import Member, Trained
from edgecnn.values.training import AS_IT_IS, Form


def member(depth: float = 1.0, width: float = 1.0, side_px: int = 64, top1: float | None = None, form: Form = AS_IT_IS) -> Member:
    trained = [] if top1 is None else [Trained(epochs=4, whole=False, taught=True, validation_top1=top1, seconds=1.0)]
    scale = f"depth={depth:g},width={width:g},resolution={side_px}"
    return Member(
        name=scale, scale=scale, form=form, resolution_px=side_px, parameters=1, macs=1, standin=1.0, trained=tuple(trained)
    )


COARSE_IS_GOOD = [
    member(0.5, 0.5, 64, 0.60),
    member(1.0, 0.35, 64, 0.58),
    member(0.5, 0.65, 32, 0.70),
    member(0.5, 0.4, 48, 0.65),
]


def test_neighbours_of_what_came_out_well_are_likelier_than_those_of_what_did_not() -> None:
    near_good, near_bad = promised_top1(COARSE_IS_GOOD, [member(0.45, 0.7, 32), member(1.0, 0.4, 64)])
    assert near_good > near_bad + 0.05


def test_of_two_as_good_the_less_known_comes_first() -> None:
    flat = [
        each.model_copy(update={"trained": (each.trained[0].model_copy(update={"validation_top1": 0.6}),)})
        for each in COARSE_IS_GOOD
    ]
    known, unknown = promised_top1(flat, [member(0.5, 0.52, 64), member(0.5, 0.5, 64, form=Form(activation="relu6"))])
    assert unknown > known == pytest.approx(0.6, abs=0.02)


def test_a_pruned_network_is_as_wide_as_what_is_left() -> None:
    half, pruned = promised_top1(COARSE_IS_GOOD, [member(1.0, 0.5, 48), member(1.0, 1.0, 48, form=Form(pruned=0.5))])
    assert pruned == pytest.approx(half)
