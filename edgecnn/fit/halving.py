"""Which members are trained, and how far: many a little, the better ones whole, for as long as there is time.

Successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943) with one halving: a short training shows most of what a whole
one would, and those before it say which member has the next one. What surgery makes of the first network's weights is ranked
for itself, since it begins where the others end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts.board import BoardError
from edgecnn.fit.members import Course
from edgecnn.fit.shortlist import looks_of, next_likely, parted
from edgecnn.fit.state import Fitting
from edgecnn.values.fit import Member


def build_first(fitting: Fitting) -> Path | None:
    """The family's first, trained whole and built; its folder, where it teaches. Raises EdgecnnError: there is no reference."""
    builder, tell = fitting.builder, fitting.place.tell
    first = fitting.first
    tell.note(f"{first.name}: trained and built first, as {'the teacher' if fitting.asked.choice.teacher else 'the reference'}")
    fitting.members[first.name] = _whole(fitting, first, Course())
    return builder.folder(first, Course()) if fitting.asked.choice.teacher else None


def train_best(fitting: Fitting, waiting: Sequence[Member]) -> None:
    """The family's first whole, as the teacher; the others a little, and the best of them whole. One is built in any case.

    Raises EdgecnnError: none of them could be trained; that of the last.
    """
    teacher = build_first(fitting)
    learned = _a_little(fitting, waiting, teacher) or list(waiting[:1])
    wanted, built = min(max(len(waiting), len(learned)), max(1, fitting.trainings_of_members)), 0
    for member in in_turn(learned, fitting):
        if built == wanted or (built and fitting.out_of_time):
            break
        built += build_whole(fitting, member, teacher).failed is None
    fitting.leave_out(wanted - built)


def _a_little(fitting: Fitting, shortlisted: Sequence[Member], teacher: Path | None) -> list[Member]:
    """Those of which a short training came to something."""
    builder, tell, failed = fitting.builder, fitting.place.tell, None
    looked_at, (_, most) = list[Member](), looks_of(fitting.trainings_of_members)
    for number, member in enumerate(islice(_worth_a_look(fitting, shortlisted, looked_at), most)):
        tell.note(f"{member.name}: a short training, {number + 1} of at most {most}")
        made, broke = _noted(fitting, member, partial(_once, fitting, member, builder.course(member, teacher, short=True)))
        failed = broke or failed
        looked_at.append(made)
    learned = [each for each in looked_at if each.failed is None]
    if failed is not None and not learned:
        raise failed
    return learned


def _worth_a_look(fitting: Fitting, shortlisted: Sequence[Member], looked_at: Sequence[Member]) -> Iterator[Member]:
    """The shortlist, then one by one what trainings make promising, while there is time. ``looked_at`` grows meanwhile."""
    for member in shortlisted:
        if not fitting.out_of_time:
            yield member
    for turn in count():
        likely = None if fitting.out_of_time else next_likely(fitting, looked_at, turn)
        if likely is None or fitting.out_of_time:
            return
        yield likely


def _once(fitting: Fitting, member: Member, course: Course) -> Member:
    return member.model_copy(update={"trained": (*member.trained, fitting.builder.train(member, course))})


def train_along(fitting: Fitting, front: Sequence[Member]) -> None:
    """For the fastest that is accurate enough: halve the predicted front, on which accuracy is taken to rise with latency."""
    waiting, teacher = list(front), build_first(fitting)
    low, high = 0, len(waiting) - 1
    while low <= high:
        if fitting.out_of_time and high - low + 1 < len(waiting):
            fitting.leave_out((high - low + 1).bit_length())
            break
        middle = (low + high) // 2
        built = build_whole(fitting, waiting[middle], teacher)
        if built.failed is not None:  # which says nothing of the others
            del waiting[middle]
            high -= 1
            continue
        reached = built.validation_top1 is not None and built.validation_top1.low >= (fitting.asked.choice.accuracy_top1 or 0)
        low, high = (low, middle - 1) if reached else (middle + 1, high)


def build_whole(fitting: Fitting, member: Member, teacher: Path | None) -> Member:
    """Train and build it; what fails is told and kept with its reason."""
    fitting.place.tell.note(f"{member.name}: trained whole and built")
    return _noted(fitting, member, partial(_whole, fitting, member, fitting.builder.course(member, teacher)))[0]


def _whole(fitting: Fitting, member: Member, course: Course) -> Member:
    trained = _once(fitting, member, course).trained
    return fitting.builder.build(member, course).model_copy(update={"trained": trained})


def _noted(fitting: Fitting, member: Member, work: Callable[[], Member]) -> tuple[Member, EdgecnnError | None]:
    """What the work makes of a member, or the member with why it made nothing; the search keeps either. Raises BoardError."""
    made, broke = member, None
    try:
        made = work()
    except BoardError:
        raise
    except EdgecnnError as error:
        fitting.place.tell.note(f"{member.name} failed: {error.what}")
        made, broke = member.model_copy(update={"failed": error.what}), error
    fitting.members[member.name] = made
    return made, broke


def in_turn(members: Sequence[Member], fitting: Fitting) -> list[Member]:
    """The best of each kind, then the second best of each, by what a short training came to; without one, as they are."""
    ranked = []
    for kind in parted(members, fitting.builder.begins_as_first):
        ranked += [(place, _behind(each), each) for place, each in enumerate(sorted(kind, key=_behind))]
    return [each for _, _, each in sorted(ranked, key=lambda row: row[:2])]


def _behind(member: Member) -> float:
    """The less, the better a training came out."""
    return -member.trained[0].validation_top1 if member.trained else 0.0
