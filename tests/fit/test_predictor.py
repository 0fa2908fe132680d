"""Predictions against tables whose truth is known: every time is a formula of what the network counts."""

from __future__ import annotations

import math
import random

import pytest

from edgecnn.fit.predictor import LEAST_TIMED, Predictor, count_cost
from edgecnn.fit.timing import pool
from edgecnn.graph.layer_features import Layer
from edgecnn.models.catalogue import BLOCKS
from edgecnn.values.fit import OtherLayers, Probe, TimedProbe, TracedLayers

FAMILIES = ("mobilenet-v2", "mobilenet-v3", "resnet")


@pytest.fixture(scope="module")
def probes() -> tuple[Probe, ...]:
    return pool(44, FAMILIES)


def formula_ms(probe: Probe) -> float:
    counted = count_cost(probe).features
    dense = counted.get("pointwise_padded", 0) + 1.5 * counted.get("spatial_padded", 0)
    layers = sum(counted.get(f"{kind}_count", 0) for kind in ("pointwise", "spatial", "depthwise", "dense"))
    return 0.05 + 0.01 * dense + 0.3 * counted.get("depthwise_melem", 0) + 0.003 * layers


def timed(probes: tuple[Probe, ...], noise: float) -> list[TimedProbe]:
    draw = random.Random(3)
    return [
        TimedProbe(
            probe=each,
            macs=count_cost(each).macs,
            medians_ms=tuple(formula_ms(each) * math.exp(draw.gauss(0, noise)) for _ in range(3)),
        )
        for each in probes
    ]


@pytest.mark.slow  # networks by the hundred
def test_what_counts_decides_is_predicted_within_a_few_percent_and_the_interval_holds_it(probes: tuple[Probe, ...]) -> None:
    known, others = probes[:30], probes[30:]
    found = Predictor(timed(known, 0.02)).predict(others)
    off = [abs(each.p50_ms.estimate / formula_ms(probe) - 1) for each, probe in zip(found, others, strict=True)]
    held = [each.p50_ms.low <= formula_ms(probe) <= each.p50_ms.high for each, probe in zip(found, others, strict=True)]
    assert sorted(off)[len(off) // 2] < 0.03
    assert sum(held) >= 0.8 * len(held)


@pytest.mark.slow
def test_a_noisier_table_gives_wider_intervals(probes: tuple[Probe, ...]) -> None:
    def width(noise: float) -> float:
        found = Predictor(timed(probes[:30], noise)).predict(probes[30:])
        return sum(math.log(each.p50_ms.high / each.p50_ms.low) for each in found)

    assert width(0.1) > 1.5 * width(0.01)


def test_a_network_unlike_any_of_the_table_is_said_to_be_so(probes: tuple[Probe, ...]) -> None:
    predictor = Predictor(timed(probes[:30], 0.02))
    huge = Probe(arch="resnet-152", resolution_px=512, classes=10)
    dense = Probe(arch="shufflenet-v2-x1.0", resolution_px=96, classes=10)
    assert "total_mmac" in predictor.predict([huge])[0].extrapolated
    assert any(name.startswith("shuffle") for name in predictor.predict([dense])[0].extrapolated)
    assert predictor.predict([probes[2]])[0].extrapolated == ()


def test_too_few_networks_predict_nothing(probes: tuple[Probe, ...]) -> None:
    with pytest.raises(ValueError, match=f"{LEAST_TIMED - 1} networks were timed, a prediction needs {LEAST_TIMED}"):
        Predictor(timed(probes[: LEAST_TIMED - 1], 0.02))


def layer_us(layer: Layer) -> float:
    """Small windows are fast, and layers of few positions slow: nothing that sums of a network tell."""
    slow = {"depthwise": 6.0, "grouped": 4.0}.get(layer.kind, 2.0 if layer.window in (1, 9) else 3.0)
    return 1.0 + slow * (1 + 20 / layer.positions) * layer.macs / 1e6 + layer.weights / 1e5


def traced(probe: Probe, draw: random.Random) -> TimedProbe:
    """Tracing makes every layer 2 us slower; what is fused takes none, and a call 15."""
    counted = count_cost(probe)
    us = [layer_us(layer) * math.exp(draw.gauss(0, 0.1)) for layer in counted.layers]
    pools = int(sum(counted.features.get(f"{kind}_count", 0) for kind in ("pool", "mean", "mul")))
    others = {"Pool": OtherLayers(count=pools, us=pools * (4.0 + 2.0))} if pools else {}
    whole_ms = (sum(us) + 4.0 * pools + 15.0) / 1000
    layers = TracedLayers(multiplying_us=tuple(each + 2.0 for each in us), others=others)
    return TimedProbe(
        probe=probe,
        macs=counted.macs,
        medians_ms=tuple(whole_ms * math.exp(draw.gauss(0, 0.01)) for _ in range(2)),
        traced=layers,
    )


@pytest.mark.slow
def test_a_family_that_the_table_does_not_hold_is_predicted_by_its_layers() -> None:
    draw = random.Random(1)
    known = [traced(probe, draw) for probe in pool(24, (BLOCKS,))]
    others = [traced(probe, draw) for probe in pool(12, ("resnet", "mobilenet-v2"))]

    def off(table: list[TimedProbe]) -> list[float]:
        found = Predictor(table).predict([each.probe for each in others])
        held = [said.p50_ms.low <= each.least_ms <= said.p50_ms.high for said, each in zip(found, others, strict=True)]
        assert sum(held) >= 9, "predictions of each other, and not of what they were learned from, say how wide an interval is"
        return sorted(abs(said.p50_ms.estimate / each.least_ms - 1) for said, each in zip(found, others, strict=True))

    layer_times, by_sums = off(known), off([each.model_copy(update={"traced": None}) for each in known])
    assert layer_times[6] < 0.12
    assert layer_times[6] < 0.7 * by_sums[6]


def test_a_trace_of_another_number_of_layers_counts_as_none() -> None:
    draw = random.Random(1)
    known = [traced(probe, draw) for probe in pool(14, (BLOCKS,))]
    cut = [each.model_copy(update={"traced": TracedLayers(multiplying_us=(1.0,), others={})}) for each in known]
    bare = [each.model_copy(update={"traced": None}) for each in known]
    probe = known[0].probe
    assert Predictor(cut).predict([probe]) == Predictor(bare).predict([probe])
