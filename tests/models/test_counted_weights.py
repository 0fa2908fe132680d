"""What a weights file counts is what the network has that ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network, parameter_count
from edgecnn.models.weights_file import parameters_that_ship
from edgecnn.training.checkpoint import write_tensors


@pytest.mark.parametrize("name", ["mobilenet-v3-small", "lenet-5", "mobilenet-v2-d1.2-w0.5"])
@pytest.mark.parametrize("classes", [7, 1000])
def test_the_header_counts_as_the_network_does(tmp_path: Path, name: str, classes: int) -> None:
    network = build_network(arch_named(name), classes, seed=0)
    write_tensors(network.state_dict(), tmp_path / "weights.safetensors")
    assert parameters_that_ship(arch_named(name), tmp_path / "weights.safetensors") == parameter_count(network)


def test_heads_that_only_help_to_learn_are_not_counted(tmp_path: Path) -> None:
    spec = arch_named("googlenet")
    write_tensors(build_network(spec, spec.classes, seed=0).state_dict(), tmp_path / "weights.safetensors")
    assert parameters_that_ship(spec, tmp_path / "weights.safetensors") == spec.parameters
