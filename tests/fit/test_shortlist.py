"""What is timed and trained, and in which order, where machine and trainings are played."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import NOTHING_PREDICTED_INSIDE, UNLIKE_TABLE, NothingTimed
from edgecnn.fit import shortlist
from edgecnn.fit.timing import Timed
from edgecnn.render.progress import Quiet
from edgecnn.values.fit import Member, Predicted, Trained
from edgecnn.values.training import Form
from edgecnn.values.verdict import Interval


def about(value: float, spread: float = 0.02) -> Interval:
    return Interval(estimate=value, low=value * (1 - spread), high=value * (1 + spread), confidence=0.9)


def member(width: float, ms: float, extrapolated: tuple[str, ...] = ()) -> Member:
    said = Predicted(candidate="openvino-int8", p50_ms=about(ms), extrapolated=extrapolated)
    return Member(
        name=f"depth=1,width={width:g},resolution=64",
        scale=f"depth=1,width={width:g},resolution=64",
        resolution_px=64,
        parameters=1000,
        macs=1000,
        standin=ms,
        predicted=(said,),
    )


def fitting(
    members: Sequence[Member],
    budget_ms: float,
    *,
    attached: bool = True,
    trainings: int = 5,
    stated: Mapping[str, float] | None = None,
) -> Any:
    """``stated``: the budgets as the user words them; None: the latency in milliseconds."""
    times = dict[str, Interval]()
    return SimpleNamespace(
        request=SimpleNamespace(
            family="resnet",
            choice=SimpleNamespace(within=stated or {"p50_ms": budget_ms}),
            within={"p50_ms": budget_ms},
            device=SimpleNamespace(name="cpu"),
        ),
        trainings_of_members=trainings - 2,
        searched=tuple(members),
        budget_ms=budget_ms,
        attached=attached,
        members={},
        times=times,
        out_of_time=False,
        untimed={},
        add_untrained_ms=lambda each: each.model_copy(update={"untrained_ms": times.get(each.name)}),
        builder=SimpleNamespace(starts_from_first=lambda each: bool(each.form.suffix)),
        first=member(1.0, 9.0),
        prices=SimpleNamespace(used=SimpleNamespace(file="cpu.json")),
        place=SimpleNamespace(tell=Quiet()),
    )


LADDER = [member(0.25 * 1.25**step, 1.0 * 1.25**step) for step in range(14)]
"""From 1 ms to 18 ms, by prediction."""


@pytest.mark.parametrize("off", [0.7, 1.0, 1.6])
def test_what_is_trained_was_timed_inside_however_far_predictions_were_off(off: float, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[list[str]]()

    def timed(_: Any, members: Sequence[Member]) -> Timed:
        asked.append([each.name for each in members])
        return Timed({each.name: about(off * each.predicted[0].p50_ms.estimate) for each in members}, {})

    monkeypatch.setattr(shortlist, "_time_members", timed)
    taken = shortlist.shortlist(fitting(LADDER, 5.0, trainings=4))
    assert len(taken) == 4
    assert all(each.untrained_ms is not None and each.untrained_ms.estimate <= 0.97 * 5.0 for each in taken)
    most = max(each.predicted[0].p50_ms.estimate * off for each in LADDER if each.predicted[0].p50_ms.estimate * off <= 0.97 * 5)
    assert taken[0].untrained_ms is not None and taken[0].untrained_ms.estimate == pytest.approx(most)
    middle = [each.predicted[0].p50_ms.estimate for each in LADDER if each.name in asked[-1]]
    assert min(middle) > 1.0 or len(asked) == 1, "the last batch is as much smaller as predictions were off, and no more"
    assert len({scale for batch in asked for scale in batch}) == sum(map(len, asked)), "nothing is timed twice"


def learned(each: Member, top1: float) -> Member:
    trained = Trained(epochs=4, whole=False, taught=True, validation_top1=top1, seconds=1.0)
    return each.model_copy(update={"trained": (trained,)})


def test_the_next_training_is_where_those_before_it_came_out_well_and_inside_by_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    as_predicted(monkeypatch)
    under_way = fitting(LADDER, 5.0)
    small, large = LADDER[0], LADDER[6]
    up = shortlist.next_promising(under_way, [learned(small, 0.5), learned(large, 0.7)], 0)
    down = shortlist.next_promising(under_way, [learned(small, 0.7), learned(large, 0.5)], 0)
    assert up is not None and down is not None
    assert up.untrained_ms is not None and 3.0 < up.untrained_ms.estimate <= 0.97 * 5.0
    assert down.standin < 2.0


def pruned(share: float, top1: float | None = None) -> Member:
    found = member(1.0, 4.0 * (1 - share)).model_copy(update={"name": f"pruned {share}", "form": Form(pruned=share)})
    return found if top1 is None else learned(found, top1)


def test_scaled_and_pruned_members_take_turns_and_those_that_failed_count(monkeypatch: pytest.MonkeyPatch) -> None:
    as_predicted(monkeypatch)
    under_way = fitting([*LADDER, *(pruned(each) for each in (0.3, 0.45, 0.6))], 5.0)
    failed = LADDER[2].model_copy(update={"failed": "no weights"})
    known = [learned(LADDER[0], 0.5), failed, pruned(0.3, 0.9)]
    kinds = [shortlist.next_promising(under_way, known, turn) for turn in range(3)]
    assert [bool(each and each.form.suffix) for each in kinds] == [False, True, False]
    assert all(each and each.name != failed.name for each in kinds)


def test_where_no_training_came_to_anything_the_standin_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    as_predicted(monkeypatch)
    found = shortlist.next_promising(fitting(LADDER, 5.0), [LADDER[2].model_copy(update={"failed": "no weights"})], 0)
    assert found is not None and found.untrained_ms is not None and found.untrained_ms.estimate > 4.0


def test_a_machine_at_half_its_pace_is_named_beside_what_it_found_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = {each.name: about(2 * each.predicted[0].p50_ms.estimate) for each in LADDER}
    monkeypatch.setattr(
        shortlist, "_time_members", lambda _, members: Timed({each.name: slow[each.name] for each in members}, {}, 2.0)
    )
    with pytest.raises(EdgecnnError, check=NOTHING_PREDICTED_INSIDE.made) as caught:
        shortlist.shortlist(fitting(LADDER, 1.5))
    assert caught.value.because.endswith("at 2 ms; this machine is 2.0× slower than when its latency table was measured")
    assert caught.value.ref == "nothing-predicted-inside"


def test_a_size_alone_needs_no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortlist, "_time_members", lambda *_: pytest.fail("no latency is bounded"))
    found = shortlist.next_promising(fitting(LADDER, math.inf), [learned(LADDER[0], 0.5), learned(LADDER[4], 0.7)], 0)
    assert found is not None and found.untrained_ms is None


def test_nothing_is_trained_next_that_a_clock_found_outside_or_that_was_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortlist, "_time_members", lambda _, members: Timed({each.name: about(9.0) for each in members}, {}))
    under_way = fitting(LADDER[:4], 5.0)
    assert shortlist.next_promising(under_way, [learned(LADDER[0], 0.5)], 0) is None
    without = fitting(LADDER[:4], 5.0, attached=False)
    without.members = {each.name: each for each in LADDER[1:4]}
    assert shortlist.next_promising(without, [learned(LADDER[0], 0.5)], 0) is None


def test_a_network_unlike_the_table_is_timed_and_its_guess_prunes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    strange = member(3.0, 4.0, extrapolated=("move_count",))
    monkeypatch.setattr(
        shortlist, "_time_members", lambda _, members: Timed({each.name: about(each.standin) for each in members}, {})
    )
    taken = shortlist.shortlist(fitting([member(0.5, 2.0), strange], 5.0))
    assert taken[0].scale == strange.name


def test_without_the_device_predictions_alone_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortlist, "_time_members", lambda *_: pytest.fail("there is nothing to time on"))
    taken = shortlist.shortlist(fitting(LADDER, 5.0, attached=False))
    assert max(each.predicted[0].p50_ms.estimate for each in taken) <= 0.97 * 5.0


@pytest.mark.parametrize("attached", [True, False])
def test_a_budget_below_everything_ends_before_anything_is_trained(attached: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    as_predicted(monkeypatch)
    nearest = rf"the closest network is depth=1,width=0\.25,resolution=64, at {'' if attached else '▲ '}1 ms"
    with pytest.raises(EdgecnnError, match=nearest, check=NOTHING_PREDICTED_INSIDE.made):
        shortlist.shortlist(fitting(LADDER, 0.5, attached=attached))


@pytest.mark.parametrize("attached", [True, False])
@pytest.mark.parametrize(("ms", "budget", "nearest"), [(8.0, 200, "125"), (0.8, 2000, "1250")])
def test_a_budget_in_images_per_second_is_refused_in_that_unit(
    ms: float, budget: int, nearest: str, attached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_predicted(monkeypatch)
    under_way = fitting([member(1.0, ms)], 1000 / budget, attached=attached, stated={"images_per_s": float(budget)})
    with pytest.raises(EdgecnnError, match=f"to meet images_per_s ≥ {budget}", check=NOTHING_PREDICTED_INSIDE.made) as caught:
        shortlist.shortlist(under_way)
    assert caught.value.because.endswith(f"at {'' if attached else '▲ '}{nearest} images/s")


def test_a_prediction_alone_rules_nothing_out_where_there_is_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        shortlist, "_time_members", lambda _, members: Timed({each.name: about(0.4 * each.standin) for each in members}, {})
    )
    taken = shortlist.shortlist(fitting(LADDER, 0.9))
    assert taken[0].untrained_ms is not None
    assert 0.7 < taken[0].untrained_ms.estimate <= 0.97 * 0.9


def test_what_larger_ones_were_off_by_rules_no_smaller_one_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that are timed take eight times as long as predicted, and small ones what was predicted."""
    ladder = [member(0.25 * 1.13**step, 1.13**step) for step in range(16)]

    def timed(_: Any, members: Sequence[Member]) -> Timed:
        return Timed({each.name: about(each.standin * (8 if each.standin > 2.3 else 1)) for each in members}, {})

    monkeypatch.setattr(shortlist, "_time_members", timed)
    taken = shortlist.shortlist(fitting(ladder, 6.0))
    assert taken and all(each.standin < 2.3 for each in taken)


def as_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that agrees with every prediction."""
    monkeypatch.setattr(
        shortlist, "_time_members", lambda _, members: Timed({each.name: about(each.standin) for each in members}, {})
    )


def test_where_the_table_has_nothing_like_any_of_them_that_is_said_and_no_nearest() -> None:
    strange = [member(width, 1.0, extrapolated=("shuffle_count", "total_mmac")) for width in (0.5, 1.0)]
    with pytest.raises(EdgecnnError, check=UNLIKE_TABLE.made):
        shortlist.shortlist(fitting(strange, 5.0, attached=False))
    with pytest.raises(EdgecnnError, check=UNLIKE_TABLE.made):
        shortlist.members_along_front(fitting(strange, 5.0))


def test_what_lies_between_its_room_and_the_budget_is_outside_for_a_clock_and_for_a_prediction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    as_predicted(monkeypatch)
    for attached, word in ((True, "measured"), (False, "predicted")):
        with pytest.raises(EdgecnnError, match=f"is {word} to meet", check=NOTHING_PREDICTED_INSIDE.made):
            shortlist.shortlist(fitting([member(1.0, 4.95)], 5.0, attached=attached))


def test_networks_that_cannot_be_made_or_run_are_no_budget_that_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortlist, "_time_members", lambda _, members: Timed({}, {each.name: "no disk" for each in members}))
    with pytest.raises(NothingTimed, match="no disk"):
        shortlist.shortlist(fitting(LADDER, 5.0))


@pytest.mark.parametrize(("trainings", "places"), [(3, [7]), (4, [0, 6, 13]), (5, [0, 2, 4, 6, 9, 11, 13]), (9, list(range(14)))])
def test_more_trainings_decide_among_more_of_the_front_and_always_with_both_of_its_ends(
    trainings: int, places: list[int]
) -> None:
    assert shortlist.members_along_front(fitting(LADDER, 99.0, trainings=trainings)) == tuple(LADDER[each] for each in places)
