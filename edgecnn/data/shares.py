"""How many images of a class go to each role, and which of its ranking these are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgecnn.values.dataset import SPLIT_ROLES, Fold, SplitRole

CALIBRATION_AT_MOST = 4
"""Calibration takes at most a quarter of what a class has to train on: a small folder would otherwise train on nothing."""


class Cut(NamedTuple):
    """How many of a class's images go to test and to validation, where these have no folder of their own (a share of 0)."""

    test_share: float
    validation_share: float
    fold: Fold | None = None
    """Of cross-validation: what validation leaves is divided into parts of one size, of which this one is test."""

    def sizes(self, count: int) -> tuple[int, int]:
        """Of ``count`` images: those of test and of validation."""
        validation = self._share_count(count, self.validation_share)
        if self.fold is None:
            test = self._share_count(count, self.test_share)
        else:
            begin, end = self.fold.part_of(max(0, count - validation))
            test = end - begin
        return (test, validation) if test + validation < count else (count, 0)

    def enough(self, count: int) -> int:
        """``count``, or the next number above it that leaves two images: one for calibration, one for training."""
        return next(number for number in range(count, count + 1_000_000) if self._is_enough(number))

    def _is_enough(self, number: int) -> bool:
        test, validation = self.sizes(number)
        return number - test - validation >= 2 and (self.fold is None or number - validation >= self.fold.of)

    @staticmethod
    def _share_count(count: int, share: float) -> int:
        return max(1, int(count * share + 0.5)) if share else 0


class Divided(NamedTuple):
    """Digests by role and class, and a clause for each share that has become another than was asked for."""

    roles: dict[SplitRole, list[list[str]]]
    off: tuple[str, ...] = ()


def divided(ranked: Sequence[Sequence[str]], cut: Cut, calibration_images: int, *, apart: bool) -> Divided:
    """Each class's ranking cut off the top, into test, validation, calibration and what trains.

    Of a fold, validation is cut off first and is the same in all of them: nothing is chosen on what any of them tests.
    ``apart``: nothing is trained, and what would have trained is tested on.
    """
    if cut.fold is not None:
        return _one_fold(ranked, cut, calibration_images, cut.fold)
    sizes = [cut.sizes(len(digests)) for digests in ranked]
    calibration = proportional(
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


def _one_fold(ranked: Sequence[Sequence[str]], cut: Cut, calibration_images: int, fold: Fold) -> Divided:
    validation = [digests[: cut.sizes(len(digests))[1]] for digests in ranked]
    left = [digests[len(taken) :] for digests, taken in zip(ranked, validation, strict=True)]
    parts = [fold.part_of(len(digests)) for digests in left]
    test = [digests[begin:end] for digests, (begin, end) in zip(left, parts, strict=True)]
    # Calibration is the fold behind this one: were it the first images in each, two networks would learn from the same ones.
    others = [[*digests[end:], *digests[:begin]] for digests, (begin, end) in zip(left, parts, strict=True)]
    judged: dict[SplitRole, list[list[str]]] = {"test": list(map(list, test)), "validation": list(map(list, validation))}
    return Divided({**judged, **calibrated(others, calibration_images)})


def calibrated(by_class: Sequence[Sequence[str]], images: int) -> dict[SplitRole, list[list[str]]]:
    """Divide each class into calibration (its first images, in proportion) and training (the rest)."""
    counts = proportional(images, [len(digests) for digests in by_class])
    pairs = list(zip(by_class, counts, strict=True))
    return {
        "calibration": [list(digests[:count]) for digests, count in pairs],
        "train": [list(digests[count:]) for digests, count in pairs],
    }


def proportional(images: int, counts: Sequence[int]) -> list[int]:
    """``images`` divided in proportion to ``counts`` by largest remainders, each at most its quarter (and at least one)."""
    limits = [max(1, count // CALIBRATION_AT_MOST) for count in counts]
    total = sum(counts)
    exact = [images * count / total for count in counts]
    assigned = [min(int(quota), limit) for quota, limit in zip(exact, limits, strict=True)]
    by_remainder = sorted(range(len(counts)), key=lambda label: (int(exact[label]) - exact[label], label))
    for label in by_remainder:
        if sum(assigned) < min(images, sum(limits)) and assigned[label] < limits[label]:
            assigned[label] += 1
    return assigned
