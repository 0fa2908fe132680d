"""How many images of a class each role gets, and which part of the class's ranking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgecnn.values.dataset import SPLIT_ROLES, Fold, SplitRole

CALIBRATION_AT_MOST = 4
"""Calibration is at most a quarter of a class's training images."""


class Cut(NamedTuple):
    """The shares of a class for test and validation; 0 if the role has its own folder."""

    test_share: float
    validation_share: float
    fold: Fold | None = None
    """For cross-validation: validation is removed, the rest is divided into equal parts, and this part is the test set."""

    def sizes(self, count: int) -> tuple[int, int]:
        """Return how many of ``count`` images are test and validation images."""
        validation = self._share_count(count, self.validation_share)
        if self.fold is None:
            test = self._share_count(count, self.test_share)
        else:
            begin, end = self.fold.part_of(max(0, count - validation))
            test = end - begin
        return (test, validation) if test + validation < count else (count, 0)

    def enough(self, count: int) -> int:
        """Return ``count``, or the next larger number that leaves two images: one for calibration, one for training."""
        return next(number for number in range(count, count + 1_000_000) if self._is_enough(number))

    def _is_enough(self, number: int) -> bool:
        test, validation = self.sizes(number)
        return number - test - validation >= 2 and (self.fold is None or number - validation >= self.fold.of)

    @staticmethod
    def _share_count(count: int, share: float) -> int:
        return max(1, int(count * share + 0.5)) if share else 0


class Divided(NamedTuple):
    """Digests by role and class, and a note for each share that differs from the requested one."""

    roles: dict[SplitRole, list[list[str]]]
    off: tuple[str, ...] = ()


def divided(ranked: Sequence[Sequence[str]], cut: Cut, calibration_images: int, *, apart: bool) -> Divided:
    """Cut each class's ranking, from the top, into test, validation, calibration and training images.

    With folds, validation is cut first and is the same in all of them, so nothing is chosen on any fold's test images. ``apart``:
    nothing is trained, and the training images are test images.
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
    # Calibration is the next fold. With the first images in each fold, two networks would learn from the same ones.
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
