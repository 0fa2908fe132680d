"""Which members are trained and how far, where trainings are played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.fit import run
from edgecnn.fit.members import Course
from edgecnn.render.progress import Quiet
from edgecnn.values.fit import Member, Trained
from edgecnn.values.recipe import FitChoice
from edgecnn.values.training import AS_IT_IS, Form
from tests.fit.test_shortlist import LADDER, about


class Broke(EdgecnnError):
    """Of a member that cannot be trained."""


class Played:
    """Trains to the accuracy that a member's name is given; ``broken``: what fails."""

    def __init__(self, top1: Mapping[str, float], broken: tuple[str, ...] = ()) -> None:
        self.top1, self.broken, self.did = top1, broken, list[tuple[str, bool]]()

    def train(self, member: Member, course: Course) -> Trained:
        self.did.append((member.name, course.short))
        if member.name in self.broken:
            raise Broke(what=f"{member.name} has no weights", because="it was played", hint="nothing")
        top1 = self.top1.get(member.name, 0.5)
        return Trained(epochs=1, whole=not course.short, taught=True, validation_top1=top1, seconds=1.0)

    def build(self, member: Member, course: Course) -> Member:
        return member.model_copy(update={"build": member.name, "validation_top1": about(self.top1.get(member.name, 0.5), 0.01)})

    def folder(self, member: Member, course: Course) -> Path:
        return Path(member.name)

    def course(self, member: Member, teacher: Path | None, *, short: bool = False) -> Course:
        return Course(short=short, teacher=teacher)

    def starts_from_first(self, member: Member) -> bool:
        return bool(member.form.suffix)


class Under:
    """A search of which the time is over after so many looks at the clock."""

    def __init__(self, builder: Played, looks: int, **choice: Any) -> None:
        self.request = SimpleNamespace(choice=FitChoice(family="resnet", **choice))
        self.builder, self.looks, self.left_out = builder, looks, 0
        self.place, self.first = SimpleNamespace(tell=Quiet()), named("first")
        self.members, self.searched = dict[str, Member](), tuple[Member, ...]()
        self.attached = False

    @property
    def trainings_of_members(self) -> int:
        return self.request.choice.trainings - 2  # type: ignore[no-any-return]

    @property
    def out_of_time(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def note_skipped_trainings(self, trainings: int) -> None:
        self.left_out = trainings


def named(name: str, form: Form = AS_IT_IS) -> Member:
    return Member(name=name, scale="depth=1", form=form, resolution_px=64, parameters=1, macs=1, standin=1.0)


def fitting(builder: Played, *, looks: int = 1000, **choice: Any) -> Any:
    return Under(builder, looks, **choice)


def whole(builder: Played) -> list[str]:
    return [name for name, short in builder.did if not short]


def test_the_better_ones_after_a_short_training_are_trained_whole() -> None:
    builder = Played({"a": 0.6, "b": 0.8, "c": 0.7, "d": 0.5})
    run.train_best(fitting(builder, trainings=4), [named(each) for each in "abcd"])
    assert whole(builder) == ["first", "b", "c"]


def test_a_member_that_fails_is_kept_with_its_reason_and_the_next_takes_its_place() -> None:
    builder = Played({"a": 0.6, "b": 0.8}, broken=("b",))
    under_way = fitting(builder, trainings=3)
    run.train_best(under_way, [named("a"), named("b")])
    assert whole(builder) == ["first", "a"]
    assert under_way.members["b"].failed == "b has no weights"


def test_a_reference_that_fails_ends_the_search() -> None:
    with pytest.raises(EdgecnnError, match="first has no weights"):
        run.train_best(fitting(Played({}, broken=("first",))), [named("a")])


def test_what_begins_with_learned_weights_and_what_does_not_take_turns() -> None:
    builder = Played({"p": 0.9, "q": 0.85, "a": 0.6, "b": 0.5})
    pruned = [named(each, Form(pruned=0.3)) for each in "pq"]
    run.train_best(fitting(builder, trainings=5), [*pruned, named("a"), named("b")])
    assert whole(builder) == ["first", "p", "a", "q"]


def following(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[list[str]]:
    """What trainings make promising, one after the other; with what was known each time."""
    waiting, known = iter(names), list[list[str]]()

    def likely(_: Any, looked_at: Sequence[Member], turn: int) -> Member | None:
        assert turn == len(known)
        known.append([each.name for each in looked_at])
        return next((named(each) for each in waiting), None)

    monkeypatch.setattr(run, "next_promising", likely)
    return known


def test_after_the_shortlist_each_short_training_says_which_is_next(monkeypatch: pytest.MonkeyPatch) -> None:
    known = following(monkeypatch, "c", "d", "e", "f", "g")
    builder = Played({"a": 0.6, "b": 0.5, "c": 0.7, "d": 0.9}, broken=("c",))
    run.train_best(fitting(builder, trainings=4), [named("a"), named("b")])
    assert known == [["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d"], ["a", "b", "c", "d", "e"]], (
        "no more than six are looked at"
    )
    assert whole(builder) == ["first", "d", "a"]


def test_where_the_shortlist_was_short_as_many_are_trained_whole_as_were_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    following(monkeypatch, "b", "c")
    builder = Played({"a": 0.6, "b": 0.7, "c": 0.5})
    run.train_best(fitting(builder, trainings=5), [named("a")])
    assert whole(builder) == ["first", "b", "a", "c"]


@pytest.mark.parametrize(("looks", "built", "left_out"), [(0, ["first", "a"], 2), (5, ["first", "a", "b"], 1), (9, 3, 0)])
def test_where_the_time_is_over_one_member_is_built_still_and_the_others_are_counted(
    looks: int, built: list[str] | int, left_out: int
) -> None:
    builder = Played({})
    under_way = fitting(builder, looks=looks, trainings=5)
    run.train_best(under_way, [named("a"), named("b"), named("c")])
    assert whole(builder) == (built if isinstance(built, list) else ["first", "a", "b", "c"])
    assert under_way.left_out == left_out


def test_where_not_one_can_be_trained_it_is_said_why() -> None:
    with pytest.raises(EdgecnnError, match="b has no weights"):
        run.train_best(fitting(Played({}, broken=("a", "b"))), [named("a"), named("b")])


def test_a_member_that_fails_says_nothing_of_those_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(_: Any, each: Member, __: Any) -> Member:
        place = LADDER.index(each)
        order.append(place)
        failed = {"failed": "no weights"} if place == 3 else {"validation_top1": about(0.9, 0.01)}
        return each.model_copy(update=failed)

    order = list[int]()
    monkeypatch.setattr(run, "build_first", lambda _: None)
    monkeypatch.setattr(run, "train_and_build", trained)
    run.bisect_front(fitting(Played({}), accuracy_top1=0.55), LADDER[:7])
    assert order == [3, 2, 0]


def test_the_fastest_that_is_accurate_enough_is_found_by_halving(monkeypatch: pytest.MonkeyPatch) -> None:
    order = list[float]()

    def trained(_: Any, each: Member, __: Any) -> Member:
        order.append(each.standin)
        return each.model_copy(update={"validation_top1": about(0.5 + 0.02 * LADDER.index(each), 0.01)})

    monkeypatch.setattr(run, "build_first", lambda _: None)
    monkeypatch.setattr(run, "train_and_build", trained)
    run.bisect_front(fitting(Played({}), accuracy_top1=0.55), LADDER[:7])
    tried = [next(place for place, each in enumerate(LADDER) if each.standin == at) for at in order]
    assert tried == [3, 1, 2]  # 56 % is shown to reach 55 % from below; 52 % is not, nor is 54 %
