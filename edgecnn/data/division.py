"""Divide ranked images into roles: each class by its shares, or whole groups, so that every role gets its share of each class."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from edgecnn.data import path_search
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.labels import (
    GROUP_PATTERN_INVALID,
    GROUP_PATTERN_TOO_SLOW,
    group_on_two_sides,
    groups_not_divisible,
    no_groups,
    too_few_groups,
)
from edgecnn.values.dataset import SPLIT_ROLES, Fold, Grouping, SplitRole

if TYPE_CHECKING:
    from edgecnn.data.roles import ListedImage


CALIBRATION_AT_MOST = 4
"""Calibration is at most a quarter of a class's training images."""
LIMIT_S = 20.0
"""100,000 paths take about 0.1 s."""
_GROUP: Final = "group "
"""Prefix of a unit that is a group. A unit without a group is named by its image's digest."""
_ORDERS: Final = 10
_NEAR: Final = 0.01
"""The search for an order stops at this mean deviation from the shares, over classes and roles."""
_REPORTED_FROM: Final = 0.02
_CLASS_REPORTED_FROM: Final = 0.1
"""Deviations from a share that are reported: over all images, and in one class."""


class Cut(NamedTuple):
    """Shares of a class for test and validation; 0 if the role has a separate folder."""

    test_share: float
    validation_share: float
    fold: Fold | None = None
    """Fold of cross-validation. Validation is removed, the rest is divided into equal parts, and this part is the test set."""

    def sizes(self, count: int) -> tuple[int, int]:
        """Return how many of ``count`` images are test and validation images."""
        validation = self._share_count(count, self.validation_share)
        if self.fold is None:
            test = self._share_count(count, self.test_share)
        else:
            begin, end = self.fold.part_of(max(0, count - validation))
            test = end - begin
        return (test, validation) if test + validation < count else (count, 0)

    def images_needed(self, count: int) -> int:
        """Return ``count``, or the next larger number that leaves two images: one for calibration, one for training."""
        while True:
            test, validation = self.sizes(count)
            if count - test - validation >= 2 and (self.fold is None or count - validation >= self.fold.of):
                return count
            count += 1

    @staticmethod
    def _share_count(count: int, share: float) -> int:
        return max(1, int(count * share + 0.5)) if share else 0


class Divided(NamedTuple):
    """Digests by role and class, and a note for each share that differs from the requested one."""

    roles: dict[SplitRole, list[list[str]]]
    off: tuple[str, ...] = ()


def divide_by_class(ranked: Sequence[Sequence[str]], cut: Cut, calibration_images: int, *, apart: bool) -> Divided:
    """Cut each class's ranking, from the top, into test, validation, calibration and training images.

    With folds, validation is cut first and is the same in all of them, so nothing is chosen on any fold's test images. ``apart``:
    nothing is trained, and the training images are test images.
    """
    if cut.fold is not None:
        return _fold_by_class(ranked, cut, calibration_images, cut.fold)
    sizes = [cut.sizes(len(digests)) for digests in ranked]
    calibration = proportional_counts(
        calibration_images, [len(digests) - sum(size) for digests, size in zip(ranked, sizes, strict=True)]
    )
    roles: dict[SplitRole, list[list[str]]] = {role: [] for role in SPLIT_ROLES}
    for digests, (test, validation), count in zip(ranked, sizes, calibration, strict=True):
        start = test + validation
        rest = list(digests[start + count :])
        roles["test"].append([*digests[:test], *(rest if apart else ())])
        roles["validation"].append(list(digests[test:start]))
        roles["calibration"].append(list(digests[start : start + count]))
        roles["train"].append([] if apart else rest)
    return Divided(roles)


def _fold_by_class(ranked: Sequence[Sequence[str]], cut: Cut, calibration_images: int, fold: Fold) -> Divided:
    validation = [digests[: cut.sizes(len(digests))[1]] for digests in ranked]
    left = [digests[len(taken) :] for digests, taken in zip(ranked, validation, strict=True)]
    parts = [fold.part_of(len(digests)) for digests in left]
    test = [digests[begin:end] for digests, (begin, end) in zip(left, parts, strict=True)]
    # Calibration is the next fold. With the first images in each fold, two networks would learn from the same ones.
    others = [[*digests[end:], *digests[:begin]] for digests, (begin, end) in zip(left, parts, strict=True)]
    judged: dict[SplitRole, list[list[str]]] = {"test": list(map(list, test)), "validation": list(map(list, validation))}
    return Divided({**judged, **split_calibration(others, calibration_images)})


def split_calibration(by_class: Sequence[Sequence[str]], images: int) -> dict[SplitRole, list[list[str]]]:
    """Divide each class into calibration (its first images, in proportion) and training (the rest)."""
    counts = proportional_counts(images, [len(digests) for digests in by_class])
    pairs = list(zip(by_class, counts, strict=True))
    return {
        "calibration": [list(digests[:count]) for digests, count in pairs],
        "train": [list(digests[count:]) for digests, count in pairs],
    }


def proportional_counts(images: int, counts: Sequence[int]) -> list[int]:
    """Divide ``images`` in proportion to ``counts`` by largest remainders; each gets at most its quarter, and at least one."""
    limits = [max(1, count // CALIBRATION_AT_MOST) for count in counts]
    total = sum(counts)
    exact = [images * count / total for count in counts]
    assigned = [min(int(quota), limit) for quota, limit in zip(exact, limits, strict=True)]
    by_remainder = sorted(range(len(counts)), key=lambda label: (int(exact[label]) - exact[label], label))
    for label in by_remainder:
        if sum(assigned) < min(images, sum(limits)) and assigned[label] < limits[label]:
            assigned[label] += 1
    return assigned


def groups_by_path(by: str, source: Path, paths: Sequence[str], column: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return the group of each path that has one.

    Args:
        by: a regular expression, or the name of ``column``.
        source: the name for errors.
        paths: of all files, relative to the data folder.
        column: each path's cell; None if the data has no such column.

    Raises:
        GroupPatternInvalid, GroupPatternTooSlow: the regular expression cannot be used.
        NoGroupFound: no path has a group.
    """
    pairs = column.items() if column is not None else zip(paths, _search_paths(by, paths), strict=True)
    groups = {path: group for path, group in pairs if group}
    if not groups and paths:
        raise no_groups(by=by, source=source, example=paths[0], column=column is not None)
    return groups


def _search_paths(pattern: str, paths: Sequence[str]) -> list[str | None]:
    program = [sys.executable, "-I", "-S", path_search.__file__]
    query = json.dumps({"pattern": pattern, "paths": paths})
    try:
        process = subprocess.run(program, input=query, capture_output=True, encoding="utf-8", check=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise GROUP_PATTERN_TOO_SLOW(pattern=pattern, paths=len(paths), limit_s=LIMIT_S) from error
    answer = json.loads(process.stdout)
    if "problem" in answer:
        raise GROUP_PATTERN_INVALID(pattern=pattern, because=answer["problem"])
    groups: list[str | None] = answer["found"]
    return groups


def grouping_of(images: Sequence[ListedImage], by: str, off: tuple[str, ...] = ()) -> Grouping:
    """Return the number of groups of these images, and the largest. ``off``: deviations of the drawn roles."""
    sizes = Counter(image.group for image in images if image.group is not None)
    largest, count = min(sizes.items(), key=lambda size: (-size[1], size[0]), default=("", 0))
    alone = len(images) - sizes.total()
    return Grouping(by=by, groups=len(sizes), largest=largest, largest_images=count, alone=alone, off=off)


def units_of(images: Sequence[ListedImage], root: Path) -> dict[str, str]:
    """Return the unit of each digest. All images of a unit get the same role.

    A unit is a group, several groups that contain the same bytes, or a single image without a group.

    Raises GroupOnTwoSides: a group is in two of the user's splits.
    """
    sides: dict[str, dict[str, str]] = defaultdict(dict)
    above: dict[str, str] = {}

    def top(name: str) -> str:
        while above.setdefault(name, name) != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for image in sorted(images):
        if image.group is not None:
            sides[image.group].setdefault(image.part, image.path)
            above[top(image.sha256)] = top(f"{_GROUP}{image.group}")
    if two := sorted(group for group, paths in sides.items() if len(paths) > 1):
        raise group_on_two_sides(root=root, group=two[0], paths=list(sides[two[0]].values()), others=len(two) - 1)
    return {image.sha256: top(image.sha256) for image in images}


class Strata(NamedTuple):
    """Images of each class in order, and the units that stay together."""

    root: Path
    names: Sequence[str]
    """Names of the classes. ``ranked`` may have one more entry, for images of classes that cannot fill every role."""
    ranked: Sequence[Sequence[str]]
    """Digests by class."""
    unit_of: Mapping[str, str]

    @property
    def bound(self) -> range:
        """The classes that every role needs; if all are too small, all classes pooled."""
        return range(len(self.names) or len(self.ranked))


def separate_roles(cut: Cut, *, apart: bool) -> tuple[SplitRole, ...]:
    """Return the roles that share no group with each other; ``train`` includes calibration.

    ``apart``: nothing is trained, and calibration images share no group with test images.
    """
    if apart:
        return ("validation", "calibration", "test")
    drawn: list[tuple[SplitRole, float]] = [("test", cut.test_share), ("validation", cut.validation_share)]
    return (*(role for role, share in drawn if share), "train")


def divide_by_group(strata: Strata, cut: Cut, calibration_images: int, seed: int, *, apart: bool) -> Divided:
    """Divide as ``divide_by_class`` does, with each unit in one role. Train and calibration count as one role.

    Raises:
        TooFewGroups: a class has fewer units than roles.
        GroupsNotDivisible: a class has enough units, but no order was found that puts every class into every role.
    """
    if cut.fold is not None:
        return _fold_by_group(strata, cut, calibration_images, seed, cut.fold)
    *drawn, rest = separate_roles(cut, apart=apart)
    sizes = [cut.sizes(len(digests)) for digests in strata.ranked]
    left = [len(digests) - sum(size) for digests, size in zip(strata.ranked, sizes, strict=True)]
    targets = {
        "test": [test for test, _ in sizes],
        "validation": [validation for _, validation in sizes],
        "calibration": [min(counts) for counts in zip(proportional_counts(calibration_images, left), left, strict=True)],
    }
    _require_enough(strata, (*drawn, rest))
    parts = _draw_roles(strata, (*drawn, rest), [targets[role] for role in drawn], seed)
    roles: dict[SplitRole, list[list[str]]] = dict(zip(drawn, parts, strict=False))
    off = tuple(
        deviation
        for role in drawn
        if role != "calibration"
        for deviation in _deviations(role, roles[role], targets[role], strata)
    )
    if apart:
        return Divided({**roles, "test": parts[-1], "train": [[] for _ in strata.ranked]}, off)
    return Divided({"test": [], "validation": [], **roles, **split_calibration(parts[-1], calibration_images)}, off)


def _fold_by_group(strata: Strata, cut: Cut, calibration_images: int, seed: int, fold: Fold) -> Divided:
    """Return one fold. All folds are always drawn together, so that they share no group."""
    names = ("validation", *(f"fold {number}" for number in range(1, fold.of + 1)))
    _require_enough(strata, names)
    validations = [cut.sizes(len(digests))[1] for digests in strata.ranked]
    left = [len(digests) - count for digests, count in zip(strata.ranked, validations, strict=True)]
    parts = [[fold.part_of(count, number) for count in left] for number in range(1, fold.of)]
    targets = [validations, *([end - begin for begin, end in part] for part in parts)]
    validation, *folds = _draw_roles(strata, names, targets, seed)
    test, tested = folds[fold.number - 1], [end - begin for begin, end in map(fold.part_of, left)]
    behind = [*folds[fold.number :], *folds[: fold.number - 1]]  # calibration is the next fold
    others = [[digest for part in behind for digest in part[place]] for place in range(len(strata.ranked))]
    return Divided(
        {"test": test, "validation": validation, **split_calibration(others, calibration_images)},
        (*_deviations("test", test, tested, strata), *_deviations("validation", validation, validations, strata)),
    )


def classes_short_of_groups(by_label: Sequence[Iterable[str]], unit_of: Mapping[str, str], cut: Cut, *, apart: bool) -> set[int]:
    """Return the classes with images but fewer units than separate roles."""
    needed = len(separate_roles(cut, apart=apart))
    return {label for label, digests in enumerate(by_label) if 0 < len({unit_of[digest] for digest in digests}) < needed}


def _require_enough(strata: Strata, roles: Sequence[str]) -> None:
    units_in = [{strata.unit_of[digest] for digest in ranked} for ranked in strata.ranked]
    if short := [place for place in strata.bound if len(units_in[place]) < len(roles)]:
        units, names = units_in[short[0]], [strata.names[place] for place in short if place < len(strata.names)]
        groups = sorted(unit.removeprefix(_GROUP) for unit in units if unit.startswith(_GROUP))
        raise too_few_groups(root=strata.root, names=names, groups=groups, alone=len(units) - len(groups), roles=roles)


class _Order:
    """One order of the units, in which roles are filled one after another."""

    def __init__(self, order: Sequence[str], members: Mapping[str, Mapping[int, int]], strata: Strata) -> None:
        self.role_of: dict[str, int] = {}
        self.cost = 0.0
        self._order, self._members, self._bound = order, members, strata.bound
        self._images = [len(digests) for digests in strata.ranked]
        self._left = list(self._images)
        self._units = Counter(place for inside in members.values() for place in inside)
        self._owed: list[int] = []
        self._later = 0

    def fill(self, role: int, targets: Sequence[int], later: int) -> bool:
        """Fill a role; return whether it has every class it needs. ``later``: the roles that follow, including the rest."""
        self._owed, self._later = list(targets), later
        for fitting in (True, False):
            for unit in self._order:
                if unit not in self.role_of and self._is_wanted(unit, fitting=fitting) and self._leaves_enough(unit):
                    self._take(unit, role)
        for place in self._bound:
            if self._owed[place] == targets[place]:
                having = [unit for unit in self._order if unit not in self.role_of and place in self._members[unit]]
                able = [unit for unit in having if self._leaves_enough(unit)]
                if not able:
                    return False
                self._take(max(able, key=self._gain), role)
        self.cost += sum(abs(missing) / max(1, images) for missing, images in zip(self._owed, self._images, strict=True))
        return True

    def _is_wanted(self, unit: str, *, fitting: bool) -> bool:
        fits = not fitting or all(count <= self._owed[place] for place, count in self._members[unit].items())
        return fits and self._gain(unit) > 0

    def _gain(self, unit: str) -> float:
        """Return how much a unit reduces the role's deviation from its shares."""
        owed = ((self._owed[place], count, self._images[place]) for place, count in self._members[unit].items())
        return sum((abs(missing) - abs(missing - count)) / images for missing, count, images in owed)

    def _leaves_enough(self, unit: str) -> bool:
        """Whether enough units remain: one of every class for each later role, and two images for the last."""
        inside = [(place, count) for place, count in self._members[unit].items() if place in self._bound]
        return all(self._units[place] > self._later and self._left[place] - count > self._later for place, count in inside)

    def _take(self, unit: str, role: int) -> None:
        self.role_of[unit] = role
        for place, count in self._members[unit].items():
            self._owed[place] -= count
            self._left[place] -= count
            self._units[place] -= 1


def _draw_roles(strata: Strata, roles: Sequence[str], targets: Sequence[Sequence[int]], seed: int) -> list[list[list[str]]]:
    """Return digests by role, the rest last, and by class in their original order."""
    digests: dict[str, list[str]] = defaultdict(list)
    members: dict[str, Counter[int]] = defaultdict(Counter)
    for place, ranked in enumerate(strata.ranked):
        for digest in ranked:
            digests[strata.unit_of[digest]].append(digest)
            members[strata.unit_of[digest]][place] += 1
    bytes_of = {unit: ":".join(sorted(inside)).encode("ascii") for unit, inside in digests.items()}
    best: _Order | None = None
    for number in range(_ORDERS):
        salt = f"{seed}:{number}:".encode("ascii")
        order = sorted(members, key=lambda unit: hashlib.sha256(salt + bytes_of[unit]).digest())
        tried = _Order(order, members, strata)
        filled = all(tried.fill(role, counts, len(targets) - role) for role, counts in enumerate(targets))
        if filled and (best is None or tried.cost < best.cost):
            best = tried
        if best is not None and best.cost <= _NEAR * len(targets) * len(strata.ranked):
            break
    if best is None:
        raise _not_divisible(strata, roles, members)
    role_of = best.role_of
    return [
        [[digest for digest in ranked if role_of.get(strata.unit_of[digest], len(targets)) == role] for ranked in strata.ranked]
        for role in range(len(targets) + 1)
    ]


def _not_divisible(strata: Strata, roles: Sequence[str], members: Mapping[str, Mapping[int, int]]) -> EdgecnnError:
    shares = [
        (count / len(strata.ranked[place]), unit, place)
        for unit, inside in members.items()
        for place, count in inside.items()
        if place < len(strata.names)
    ]
    share, unit, place = max(shares)
    name = strata.names[place]
    return groups_not_divisible(root=strata.root, roles=roles, group=unit.removeprefix(_GROUP), share=share, name=name)


def _deviations(role: SplitRole, digests: Sequence[Sequence[str]], targets: Sequence[int], strata: Strata) -> list[str]:
    """Describe where a role misses its share: over all images, and in the class that deviates most."""
    totals = [len(digests) for digests in strata.ranked]
    actual, target, images = sum(map(len, digests)), sum(targets), sum(totals)
    deviations = []
    if abs(actual - target) > _REPORTED_FROM * images:
        deviations.append(f"{role} has {actual / images:.0%} of the images, not {target / images:.0%}; groups stay together")
    shares_of_classes = [
        (len(digests[place]) / totals[place], targets[place] / totals[place], name) for place, name in enumerate(strata.names)
    ]
    share, wanted_share, name = max(shares_of_classes, key=lambda shares: abs(shares[0] - shares[1]), default=(0.0, 0.0, ""))
    if abs(share - wanted_share) > _CLASS_REPORTED_FROM:
        deviations.append(f"{role} has {share:.0%} of class {name!r}, not {wanted_share:.0%}")
    return deviations
