from __future__ import annotations

import pytest

from edgecnn.graph.float_nodes import float_with
from edgecnn.graph.macs import tensors_of_layers
from tests.graph.strands import relu_strand, swish_strand


def test_a_layer_s_tensors_are_what_it_reads_and_what_it_makes_through_activations_that_fuse() -> None:
    assert tensors_of_layers(relu_strand()) == {
        "a": {"image", "a.out", "ra.out"},
        "b": {"ra.out", "b.out", "rb.out"},
        "c": {"rb.out", "c.out"},
    }


def test_an_activation_of_two_nodes_is_no_part_of_the_layer() -> None:
    assert tensors_of_layers(swish_strand())["a"] == {"image", "a.out"}


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ({"a"}, ["a", "ra"]),
        ({"b"}, ["b", "rb"]),
        ({"a", "b"}, ["a", "ra", "b", "rb"]),
        ({"c"}, ["c"]),
    ],
    ids=lambda names: "+".join(sorted(names)),
)
def test_activations_go_with_the_layers_whose_tensors_nobody_else_quantizes(kept: set[str], expected: list[str]) -> None:
    assert float_with(relu_strand(), kept) == expected


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ({"a"}, ["a", "sa", "ma"]),
        ({"a", "b"}, ["a", "sa", "ma", "b", "sb", "mb", "sum"]),
        ({"c"}, ["sum", "c"]),
    ],
    ids=lambda names: "+".join(sorted(names)),
)
def test_what_would_round_a_freed_tensor_stays_in_float_too(kept: set[str], expected: list[str]) -> None:
    assert float_with(swish_strand(), kept) == expected
