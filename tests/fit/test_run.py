"""What is timed and trained, and in which order, where machine and trainings are played."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn.errors.fit import NothingPredictedInside
from edgecnn.fit import run
from edgecnn.values.fit import Member, Predicted
from edgecnn.values.recipe import FitChoice
from edgecnn.values.verdict import Interval


def about(value: float, spread: float = 0.02) -> Interval:
    return Interval(estimate=value, low=value * (1 - spread), high=value * (1 + spread), confidence=0.9)


def member(width: float, ms: float, outside: tuple[str, ...] = ()) -> Member:
    said = Predicted(candidate="openvino-int8", p50_ms=about(ms), outside=outside)
    return Member(
        name=f"depth=1,width={width:g},resolution=64",
        scale=f"depth=1,width={width:g},resolution=64",
        resolution_px=64,
        parameters=1000,
        macs=1000,
        standin=ms,
        predicted=(said,),
    )


def fitting(members: Sequence[Member], budget_ms: float, *, attached: bool = True, **choice: Any) -> Any:
    return SimpleNamespace(
        asked=SimpleNamespace(choice=FitChoice(family="resnet", **choice), family="resnet", within={"p50_ms": budget_ms}),
        searched=tuple(members),
        budget_ms=budget_ms,
        attached=attached,
        members={},
        first=member(1.0, 9.0),
    )


LADDER = [member(0.25 * 1.25**step, 1.0 * 1.25**step) for step in range(14)]
"""From 1 ms to 18 ms, by prediction."""


@pytest.mark.parametrize("off", [1.0, 1.6])
def test_what_is_trained_was_timed_inside_however_far_predictions_were_off(off: float, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[list[str]]()

    def timed(_: Any, members: Sequence[Member]) -> dict[str, Interval]:
        asked.append([each.name for each in members])
        return {each.name: about(off * each.predicted[0].p50_ms.estimate) for each in members}

    monkeypatch.setattr(run, "_timed", timed)
    taken = run._worth_training(fitting(LADDER, 5.0, trainings=4))
    assert len(taken) == 4
    assert all(each.untrained_ms is not None and each.untrained_ms.estimate <= 0.97 * 5.0 for each in taken)
    most = max(each.predicted[0].p50_ms.estimate * off for each in LADDER if each.predicted[0].p50_ms.estimate * off <= 0.97 * 5)
    assert taken[0].untrained_ms is not None and taken[0].untrained_ms.estimate == pytest.approx(most)
    assert len({scale for batch in asked for scale in batch}) == sum(map(len, asked)), "nothing is timed twice"


def test_a_network_unlike_the_table_is_timed_and_its_guess_prunes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    strange = member(3.0, 4.0, outside=("move_count",))
    monkeypatch.setattr(run, "_timed", lambda _, members: {each.name: about(each.standin) for each in members})
    taken = run._worth_training(fitting([member(0.5, 2.0), strange], 5.0))
    assert taken[0].scale == strange.name


def test_without_the_device_predictions_alone_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_timed", lambda *_: pytest.fail("there is nothing to time on"))
    taken = run._worth_training(fitting(LADDER, 5.0, attached=False))
    assert max(each.predicted[0].p50_ms.estimate for each in taken) <= 0.97 * 5.0


def test_a_budget_below_everything_predicted_ends_before_anything_is_trained() -> None:
    nearest = r"the nearest of those searched is depth=1,width=0\.25,resolution=64, at 1 ms"
    with pytest.raises(NothingPredictedInside, match=nearest):
        run._worth_training(fitting(LADDER, 0.5))
