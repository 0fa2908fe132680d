"""The networks of a space: what a form changes of what is counted, and of what stands in for accuracy."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edgecnn.fit.search import FORM_COSTS, SearchSpace
from edgecnn.models.catalogue import arch_named
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.studies.cost import cost_of_network
from edgecnn.values.fit import Member
from edgecnn.values.training import Form


def space(arch: str) -> SearchSpace:
    return SearchSpace(arch_named(arch), ImageSize.square(64), 10, {}, {})


def made(of: SearchSpace, *place: Any) -> Member:
    member = of.member(*place)
    assert member is not None
    return member


@pytest.mark.parametrize("arch", ["mobilenet-v2", "efficientnet-b0", "resnet-18"])
def test_what_is_counted_is_what_edgecnn_cost_counts(arch: str) -> None:
    member = made(space(arch), 1.0, 1.0, 96)
    cost = cost_of_network(arch_named(arch).model_copy(update={"classes": 10}), ImageSize.square(96))
    assert (member.macs, member.parameters) == (cost.macs, cost.parameters)
    assert member.name == member.scale == "depth=1,width=1,resolution=96"


def test_a_pruned_network_is_named_so_and_counted_as_what_is_left() -> None:
    whole, pruned = made(space("mobilenet-v2"), 1.0, 1.0, 64), made(space("mobilenet-v2"), 1.0, 1.0, 64, Form(pruned=0.5))
    assert pruned.name == "depth=1,width=1,resolution=64 pruned-0.5"
    assert 0.15 < pruned.macs / whole.macs < 0.4
    assert 0.15 < pruned.parameters / whole.parameters < 0.4
    narrow = made(space("mobilenet-v2"), 1.0, 0.5, 64)
    assert pruned.standin - math.log2(pruned.macs) == pytest.approx(narrow.standin - math.log2(narrow.macs), abs=1e-3)


def test_what_surgery_takes_away_counts_against_the_stand_in() -> None:
    of = space("efficientnet-b0")
    whole, bare = made(of, 1.0, 1.0, 64), made(of, 1.0, 1.0, 64, Form(activation="relu6", squeeze_excite="remove"))
    assert whole.standin - bare.standin == pytest.approx(math.log2(whole.macs / bare.macs) + 2 * FORM_COSTS, abs=1e-3)


def test_only_what_a_family_has_is_changed() -> None:
    assert space("efficientnet-b0").activations == ("keep", "relu6", "hard-swish")
    assert space("mobilenet-v3-large").activations == ("keep",)
    assert space("mobilenet-v3-large").squeeze_excites == ("keep", "remove")
    assert space("resnet-18").squeeze_excites == ("keep",)


def test_where_no_network_is_left_there_is_no_member() -> None:
    assert space("mobilenet-v2").member(1.0, 0.01, 64) is None
    assert space("mobilenet-v2").member(1.0, 1.0, 16) is None
