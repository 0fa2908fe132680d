from __future__ import annotations

import pytest

from edgecnn.fit.predictor import count_cost
from edgecnn.fit.timing import MOST_MMACS, pool
from edgecnn.models.catalogue import BLOCKS, arch_named, timed_arch
from edgecnn.values.fit import Probe


def test_the_kinds_together_count_the_multiply_adds_of_the_catalogue() -> None:
    spec = arch_named("mobilenet-v2")
    counted = count_cost(Probe(arch=spec.name, resolution_px=224, classes=1000)).features
    assert sum(each for name, each in counted.items() if name.endswith("_mmac")) * 1e6 == pytest.approx(spec.macs)
    assert counted["depthwise_count"] == 17
    assert counted["spatial_count"] == 1  # the first convolution
    assert counted["dense_count"] == 1
    assert counted["fused_clipped_count"] == 35


def test_idle_lanes_are_counted_of_narrow_layers_alone() -> None:
    narrow = count_cost(Probe(arch="mobilenet-v2-d1-w0.25", resolution_px=64, classes=10)).features
    wide = count_cost(Probe(arch="resnet-18", resolution_px=64, classes=10)).features
    assert narrow["pointwise_padded"] > 1.2 * narrow["pointwise_mmac"]
    assert wide["pointwise_padded"] == wide["pointwise_mmac"]


@pytest.mark.parametrize("arch", ["blocks-3", "shufflenet-v2-x1.0", "shufflenet-v1-x1.0", "resnext-50-32x4d", "efficientnet-b0"])
def test_every_layer_reads_the_channels_that_its_groups_sum(arch: str) -> None:
    layers = count_cost(Probe(arch=arch, resolution_px=64, classes=10)).layers
    assert all(each.channels == each.summed * each.groups for each in layers)
    split = [each for each in layers if each.kind == "depthwise"]
    assert all(each.moved >= 2 * each.made * each.positions for each in split), "both what it reads and what it writes"


def test_of_two_branches_that_are_summed_one_takes_the_sum_into_its_pass() -> None:
    layers = count_cost(Probe(arch="resnet-18", resolution_px=64, classes=10)).layers
    assert sum(each.adds for each in layers) == 8
    assert [each.behind for each in layers[:4]] == ["clipped"] * 4


def test_a_norm_that_follows_no_layer_and_what_is_behind_it_count_for_themselves() -> None:
    dense = count_cost(Probe(arch="densenet-121", resolution_px=64, classes=10)).features
    assert (dense["norm_count"], dense["clipped_count"], dense["fused_clipped_count"]) == (62, 62, 59)
    residual = count_cost(Probe(arch="resnet-18", resolution_px=64, classes=10)).features
    assert "norm_count" not in residual
    assert (residual["fused_add_count"], residual["fused_clipped_count"]) == (8, 17)


@pytest.mark.slow
def test_a_pool_is_the_same_every_time_of_every_family_and_never_too_large() -> None:
    drawn = pool(24)
    assert drawn == pool(24)
    assert len(set(drawn)) == 24
    families = [timed_arch(each.arch).family for each in drawn]
    assert 9 <= families.count(BLOCKS) <= 13
    assert {"efficientnet", "mobilenet-v2", "mobilenet-v3", "resnet", "densenet", "shufflenet-v2"} <= set(families)
    most = max(sum(each for name, each in count_cost(probe).features.items() if name.endswith("_mmac")) for probe in drawn)
    assert most <= MOST_MMACS
