from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn.fit.predictor import Prediction, count_cost
from edgecnn.fit.search import (
    NEAR,
    SearchSpace,
    biggest_saving,
    guessed_ms,
    identity_of,
    predicted_front,
    search_space,
    spread_out,
)
from edgecnn.models.catalogue import arch_named
from edgecnn.render.progress import Quiet
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.fit import Member, Probe
from edgecnn.values.scale import CompoundScale
from edgecnn.values.verdict import Interval


class ByMacs:
    """A device on which a million multiply-adds take so many ms."""

    def __init__(self, price_ms: float, outside: tuple[str, ...] = ()) -> None:
        self.price_ms, self.outside = price_ms, outside

    def predict(self, probes: Sequence[Probe]) -> tuple[Prediction, ...]:
        found = []
        for probe in probes:
            ms = self.price_ms * sum(each for name, each in count_cost(probe).features.items() if name.endswith("_mmac"))
            found.append(Prediction(Interval(estimate=ms, low=0.9 * ms, high=1.1 * ms, confidence=0.9), 0.05, self.outside))
        return tuple(found)


def space(**within: float) -> SearchSpace:
    priced = {"onnxruntime-fp32": ByMacs(0.02), "onnxruntime-int8": ByMacs(0.01)}
    return SearchSpace(arch_named("mobilenet-v3-small"), ImageSize.square(64), 10, priced, within)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Member, ...]:
    return search_space(space(), 40, tmp_path_factory.mktemp("study") / "study.db", Quiet())


@pytest.mark.slow  # a search, twice
def test_an_interrupted_search_keeps_what_it_has_and_draws_others(tmp_path: Path) -> None:
    first = search_space(space(), 20, tmp_path / "study.db", Quiet())
    assert search_space(space(), 20, tmp_path / "study.db", Quiet()) == first
    whole = search_space(space(), 40, tmp_path / "study.db", Quiet())
    assert whole[: len(first)] == first
    assert len(whole) > 1.2 * len(first)


def test_it_begins_with_the_smallest_that_may_be(found: tuple[Member, ...]) -> None:
    assert found[0].scale == "depth=0.3,width=0.25,resolution=32"
    assert found[0].macs == min(each.macs for each in found)
    assert found[1].form.pruned == 0.6


def test_every_network_stands_once_with_its_fastest_candidate_first(found: tuple[Member, ...]) -> None:
    assert len({identity_of(each) for each in found}) == len(found)
    assert {each.best_predicted.candidate for each in found if each.best_predicted} == {"onnxruntime-int8"}


def test_a_candidate_whose_weights_alone_are_over_the_size_is_none(tmp_path: Path) -> None:
    small = search_space(space(size_mib=1.0), 20, tmp_path / "study.db", Quiet())
    for each in small:
        assert all(said.candidate == "onnxruntime-int8" or each.parameters * 4 <= 2**20 for said in each.predicted)
        assert each.parameters <= 2**20


@pytest.mark.slow  # builds and times many networks
def test_near_a_budget_more_networks_are_looked_at(tmp_path: Path) -> None:
    """A budget that few networks of all are inside leaves a search little to train, unless it draws there."""

    def share_near(found: Sequence[Member], budget_ms: float) -> float:
        return sum(guessed_ms(each) <= NEAR * budget_ms for each in found) / len(found)

    anywhere = search_space(space(), 160, tmp_path / "anywhere.db", Quiet())
    budget_ms = 3 * guessed_ms(anywhere[0])
    near = search_space(space(p50_ms=budget_ms), 160, tmp_path / "near.db", Quiet())
    assert share_near(near, budget_ms) > 2 * share_near(anywhere, budget_ms)


def test_the_predicted_front_rises_in_both(found: tuple[Member, ...]) -> None:
    front = predicted_front(found)
    for one, next_one in zip(front, front[1:], strict=False):
        assert one.predicted[0].p50_ms.estimate <= next_one.predicted[0].p50_ms.estimate
        assert one.standin < next_one.standin


def test_what_a_prediction_says_nothing_of_is_on_no_front() -> None:
    unlike = SearchSpace(arch_named("mobilenet-v3-small"), ImageSize.square(64), 10, {"a": ByMacs(0.01, ("total_mmac",))}, {})  # type: ignore[dict-item]
    member = unlike.member(1.0, 1.0, 64)
    assert member is not None
    assert member.best_predicted is None
    assert predicted_front([member]) == ()


def test_members_that_are_taken_are_unlike_each_other_and_the_best_is_among_them(found: tuple[Member, ...]) -> None:
    taken = spread_out(found, 5, ImageSize.square(64))
    assert taken[0] == max(found, key=lambda each: each.standin)
    shapes = [(CompoundScale.from_text(each.scale), each) for each in taken]
    for index, (one, each) in enumerate(shapes):
        for other, before in shapes[:index]:
            if (each.form.squeeze_excite, bool(each.form.pruned)) != (before.form.squeeze_excite, bool(before.form.pruned)):
                continue
            widths = [(scale.width or 1) * (1 - of.form.pruned) for scale, of in ((one, each), (other, before))]
            sides = each.resolution_px.short_px / before.resolution_px.short_px
            ratios = [(one.depth or 1) / (other.depth or 1), widths[0] / widths[1], sides]
            assert max(max(ratio, 1 / ratio) for ratio in ratios) > 1.12


def test_every_way_to_be_smaller_is_among_those_that_are_taken(found: tuple[Member, ...]) -> None:
    ways = {biggest_saving(each, ImageSize.square(64)) for each in found}
    assert len(ways) > 3
    assert {biggest_saving(each, ImageSize.square(64)) for each in spread_out(found, len(ways), ImageSize.square(64))} == ways


def test_pretrained_weights_are_of_one_depth_and_width(tmp_path: Path) -> None:
    members = search_space(replace(space(), pretrained=True), 20, tmp_path / "study.db", Quiet())
    assert all(each.scale.startswith("depth=1,width=1,") for each in members)
    assert any(each.form.pruned for each in members)


def test_about_half_of_what_is_drawn_is_pruned_and_that_is_not_scaled_too(found: tuple[Member, ...]) -> None:
    pruned = [each for each in found if each.form.pruned]
    assert 0.2 * len(found) < len(pruned) < 0.8 * len(found)
    assert all(each.scale.startswith("depth=1,width=1,") for each in pruned)
    assert {each.form.squeeze_excite for each in found} == {"keep", "remove"}
    assert {each.form.activation for each in found} == {"keep"}, "it has no SiLU"
