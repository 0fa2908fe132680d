"""Stored predictions of two builds on the same images. ``Unavailable`` says why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgecnn.building.rows import answers_from, required_thresholds
from edgecnn.comparing.facts import Pairing
from edgecnn.comparing.pin import rebuild_command
from edgecnn.errors.wording import first_of, listed, shell_word
from edgecnn.judging.accuracy import NO_LABELS, Answers, accuracy
from edgecnn.judging.multi_label import multi_label_accuracy
from edgecnn.measure.evaluate import prepared_digests, prepared_groups
from edgecnn.results.origin import ancestor, kit_artifact, listed_images
from edgecnn.results.shipped import ShippedKit
from edgecnn.store.profiles import StoredProfile
from edgecnn.store.store import Store
from edgecnn.values.dataset import UNLABELLED
from edgecnn.values.figures import Accuracy, MultiLabelAccuracy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


REBUILT = "builds/rebuilt"
"""Output folder of a build that is rerun only to fill the store, so that it never overwrites a compared build."""


class Unavailable(Exception):
    """Why there are no paired predictions, as a sentence."""


@dataclass(frozen=True, eq=False)
class CommonImages:
    """Rows of two different test splits that show the same source images."""

    head: NDArray[np.int64]
    """Rows of HEAD's split, int64 (pairs,)."""
    base: NDArray[np.int64]
    """Rows of BASE's split with the same images in the same order, int64 (pairs,)."""
    base_labels: NDArray[Any]
    """Labels of BASE's whole split."""
    base_pixels: Path
    """``PairedAnswers.images`` for BASE."""
    groups: NDArray[Any] | None
    """Group of each pair, (pairs,), from HEAD, else from BASE."""
    only_head: tuple[str, ...] = ()
    """Classes that BASE does not have. None of the pairs shows one of them, unless images have several labels."""
    only_base: tuple[str, ...] = ()
    """Classes that HEAD does not have."""


@dataclass(frozen=True, eq=False)
class PairedAnswers:
    """Logits of both sides on the test split, with the labels."""

    head: Answers
    base: Answers
    labels: NDArray[Any]
    """HEAD's labels: int64 (images,), or multi-label uint8 (images, labels)."""
    names: tuple[str, ...]
    images: Path
    """``.npy`` of HEAD's test pixels, uint8 (images, *crop_px, 3). The file may be gone."""
    common: CommonImages | None = None
    """None if both sides were evaluated on the same pixels with the same classes, so that their rows match."""
    common_classes: tuple[str, ...] = ()
    """Names in the order of the logits of ``common_answers``: HEAD's classes, then those that only BASE has. Empty: ``names``."""

    @property
    def base_labels(self) -> NDArray[Any]:
        """The labels of BASE's split."""
        return self.labels if self.common is None else self.common.base_labels

    @property
    def base_images(self) -> Path:
        """The ``.npy`` of BASE's test pixels."""
        return self.images if self.common is None else self.common.base_pixels

    def common_answers(self) -> PairedAnswers:
        """Return the predictions on the images in both test splits, in one order, with HEAD's labels.

        Of multi-label builds, only the labels that both have remain.
        """
        if self.common is None:
            return self
        names, labels = self.common_classes or self.names, self.labels[self.common.head]
        head, base = (
            replace(
                answers,
                logits=_widened(answers.logits[rows], range(answers.logits.shape[1]), len(names)),
                pixels=self.head.pixels,
                groups=self.common.groups,
            )
            for answers, rows in ((self.head, self.common.head), (self.base, self.common.base))
        )
        if labels.ndim == 2:
            columns = self._common_columns()
            head, base = (replace(answers, logits=answers.logits[:, columns]) for answers in (head, base))
            names, labels = tuple(names[column] for column in columns), labels[:, columns]
        return replace(self, head=head, base=base, labels=labels, names=names, common=None)

    def _common_columns(self) -> list[int]:
        """Return the columns of multi-label images whose labels both sides have. HEAD's labels come first in every array."""
        assert self.common is not None
        return [column for column, name in enumerate(self.names) if name not in self.common.only_head]

    @property
    def pairing(self) -> Pairing | None:
        """The pairing of images; None if the splits are the same."""
        if self.common is None:
            return None
        head, base = self.labels[self.common.head], self.common.base_labels[self.common.base]
        if is_multi_label := head.ndim == 2:
            head, base = (labels[:, self._common_columns()] for labels in (head, base))
        differ = head != base
        return Pairing(
            images=len(differ),
            multi_label=is_multi_label,
            base_images=len(self.common.base_labels),
            head_images=len(self.labels),
            relabelled=int(differ.reshape(len(differ), -1).any(axis=1).sum()),
            only_head=self.common.only_head,
            only_base=self.common.only_base,
        )


@dataclass(frozen=True, eq=False)
class _Split:
    pixels: str
    labels: NDArray[Any]
    groups: NDArray[Any] | None
    images: Path
    sources: tuple[str, ...] | None
    """SHA-256 of each source image; None where the store no longer lists them."""

    def shows_the_same_as(self, other: _Split) -> bool:
        import numpy as np

        return self.pixels == other.pixels and np.array_equal(self.labels, other.labels)


def paired_answers(head: ShippedKit, base: ShippedKit, store: Store, names: tuple[str, str] = ("HEAD", "BASE")) -> PairedAnswers:
    """Return the newest stored predictions of both builds on the same images, from one machine if possible.

    Images are paired by their source files, so the builds may differ in resolution, preprocessing, corrected labels and added
    images. An image that is in only one test split is ignored, and so is an image of a class that only one build has. Each
    network still chooses among all of its own classes. Of multi-label builds, the labels that both have are compared.

    ``names``: names of ``head`` and ``base`` for readers.

    Raises:
        Unavailable: one side was not evaluated with this store, or no image of a common class is in both test splits.
        EdgecnnError: the store cannot be read.
    """
    ours, theirs = _test_split(head, store, names[0]), _test_split(base, store, names[1])
    if ours.labels.ndim != theirs.labels.ndim:
        raise Unavailable("one build is single-label, the other multi-label")
    classes = _Classes.of(head, base)
    if not classes.are_equal:
        if len(classes.only_head) == len(classes.head):
            raise Unavailable(f"the builds have no class in common: {classes.difference(names)}")
        theirs = replace(theirs, labels=classes.head_labels(theirs.labels))
    same = classes.are_equal and ours.shows_the_same_as(theirs)
    common = None if same else _common_images(ours, theirs, names, classes)
    if ours.labels.ndim == 1 and (ours.labels == UNLABELLED).any():
        raise Unavailable(f"accuracy cannot be compared: {NO_LABELS}")
    mine = _evaluations(head, store, ours.pixels, names[0])
    others = _evaluations(base, store, theirs.pixels, names[1])
    same_host = next(((a, b) for a in mine for b in others if a.profile.host == b.profile.host), (mine[0], others[0]))
    groups = (ours.groups, theirs.groups)
    if common is None:
        known = theirs.groups if ours.groups is None else ours.groups
        groups = (known, known)
    return PairedAnswers(
        head=_answers(head, same_host[0], groups[0]),
        base=classes.align_with_head(_answers(base, same_host[1], groups[1])),
        labels=ours.labels,
        names=classes.head,
        images=ours.images,
        common=common,
        common_classes=classes.all,
    )


class _Classes(NamedTuple):
    """The classes of both sides, by name, in the order of their logits."""

    head: tuple[str, ...]
    base: tuple[str, ...]

    @classmethod
    def of(cls, head: ShippedKit, base: ShippedKit) -> _Classes:
        return cls(*(tuple(str(name) for name in side.kit.manifest["labels"]) for side in (head, base)))

    @property
    def are_equal(self) -> bool:
        return self.head == self.base

    @property
    def only_head(self) -> tuple[str, ...]:
        return tuple(name for name in self.head if name not in self.base)

    @property
    def only_base(self) -> tuple[str, ...]:
        return tuple(name for name in self.base if name not in self.head)

    @property
    def all(self) -> tuple[str, ...]:
        """HEAD's classes, then those that only BASE has."""
        return (*self.head, *self.only_base)

    def difference(self, names: tuple[str, str]) -> str:
        """Return which classes only one of the two has, as a clause."""
        sides = ((names[0], self.only_head), (names[1], self.only_base))
        parts = [f"only {side} has {first_of([repr(name) for name in only], 3)}" for side, only in sides if only]
        return " and ".join(parts) or "they are in another order"

    def head_labels(self, base_labels: NDArray[Any]) -> NDArray[Any]:
        """Return BASE's labels as indices into ``all``, or with a column for each class of ``all``. Unlabelled images stay so."""
        import numpy as np

        indices = np.array([self.all.index(name) for name in self.base], np.int64)
        if base_labels.ndim == 2:
            labels = np.zeros((len(base_labels), len(self.all)), base_labels.dtype)
            labels[:, indices] = base_labels
            return labels
        return np.where(base_labels == UNLABELLED, UNLABELLED, indices[base_labels])

    def align_with_head(self, base: Answers) -> Answers:
        """Return BASE's predictions with a column for each class of ``all``."""
        if self.are_equal:
            return base
        columns = [self.all.index(name) for name in self.base]
        return replace(base, logits=_widened(base.logits, columns, len(self.all)))


_NEVER_CHOSEN = 40.0
"""Distance of the logit of a class that a network does not have below its smallest one: its probability is below 1e-17."""


def _widened(logits: NDArray[Any], columns: Sequence[int], count: int) -> NDArray[Any]:
    """Return logits (images, ``count``) with the given ones in ``columns``, and values that are never the largest elsewhere."""
    import numpy as np

    if count == logits.shape[1] and list(columns) == list(range(count)):
        return logits
    wider = np.repeat(logits.min(axis=1, keepdims=True) - _NEVER_CHOSEN, count, axis=1)
    wider[:, list(columns)] = logits
    return wider


def _common_images(ours: _Split, theirs: _Split, names: tuple[str, str], classes: _Classes) -> CommonImages:
    import numpy as np

    for split, name in ((ours, names[0]), (theirs, names[1])):
        if split.sources is None:
            differ = "hold other pixels" if ours.pixels != theirs.pixels else "label the same images differently"
            raise Unavailable(
                f"their test splits {differ}, and the store no longer lists the images of {name}: "
                f"build {name} again to pair them by source image"
            )
    row_in_base = _first_rows(theirs)
    is_multi_label = ours.labels.ndim == 2  # then an image may show classes that both have beside others
    alone = {classes.all.index(name) for name in (*classes.only_head, *classes.only_base) if not is_multi_label}
    pairs = [
        (row, row_in_base[source])
        for source, row in _first_rows(ours).items()
        if source in row_in_base and not (alone and {int(ours.labels[row]), int(theirs.labels[row_in_base[source]])} & alone)
    ]
    if not pairs:
        of = f" of a class that both have ({classes.difference(names)})" if alone else ""
        raise Unavailable(f"no image{of} is in both test splits: build {names[1]} again from the images of {names[0]}")
    rows = np.array(pairs, np.int64)
    if is_multi_label:
        columns = [column for column, name in enumerate(classes.head) if name not in classes.only_head]
        if not ours.labels[rows[:, 0]][:, columns].any():
            shared = listed([repr(classes.head[column]) for column in columns])
            raise Unavailable(f"no image that is in both test splits has a label that both builds have ({shared})")
    known = [split.groups[of_split] for split, of_split in ((ours, rows[:, 0]), (theirs, rows[:, 1])) if split.groups is not None]
    return CommonImages(
        head=rows[:, 0],
        base=rows[:, 1],
        base_labels=theirs.labels,
        base_pixels=theirs.images,
        groups=known[0] if known else None,
        only_head=classes.only_head,
        only_base=classes.only_base,
    )


def _first_rows(split: _Split) -> dict[str, int]:
    """Return the first row of each source image; copies of an image count once."""
    rows: dict[str, int] = {}
    for row, source in enumerate(split.sources or ()):
        rows.setdefault(source, row)
    return rows


def accuracy_of_side(
    answers: Answers, labels: NDArray[Any], names: Sequence[str], shipped: ShippedKit, base: Answers | None = None
) -> Accuracy | MultiLabelAccuracy:
    """Return the accuracy of one side's predictions, and its drop against ``base``.

    ``names``: of the classes, in the order of logits. Multi-label columns of another build are ignored. ``shipped``: this side.

    Raises EdgecnnError: see ``accuracy`` and ``multi_label_accuracy``.
    """
    if labels.ndim == 1:
        return accuracy(answers, labels, "test", base)
    required = required_thresholds(shipped.kit)
    columns = [column for column, name in enumerate(names) if name in required]
    own, other = (side and replace(side, logits=side.logits[:, columns]) for side in (answers, base))
    assert own is not None
    thresholds = {names[column]: required[names[column]] for column in columns}
    return multi_label_accuracy(own, labels[:, columns], thresholds, "test", other)


def _test_split(shipped: ShippedKit, store: Store, name: str) -> _Split:
    import numpy as np

    made = kit_artifact(store, shipped.kit.digest)
    prepared = None if made is None else ancestor(store, made, "prepare")
    if prepared is None:
        raise Unavailable(
            f"the store {store.root} does not hold the images that {name} was evaluated on: {_remedy(shipped, store, name)}"
        )
    listed = listed_images(store, prepared, "test")
    try:
        pixels = str(prepared_digests(prepared.folder)["test"])
        labels = np.load(prepared.folder / "test.labels.npy", allow_pickle=False)
        if listed is not None and len(listed) != len(labels):
            raise Unavailable(f"the list of images of {name} does not match its stored test split: build {name} again")
        return _Split(
            pixels=pixels,
            labels=labels,
            groups=prepared_groups(prepared.folder, "test"),
            images=prepared.folder / "test.pixels.npy",
            sources=None if listed is None else tuple(image.sha256 for image in listed),
        )
    except (OSError, ValueError, KeyError) as error:
        raise Unavailable(f"the stored images of {name} cannot be read: {error}") from error


def _remedy(shipped: ShippedKit, store: Store, name: str) -> str:
    here = f"EDGECNN_STORE={shell_word(store.root)}"
    if shipped.pin is not None and shipped.pin_folder is not None:
        return f"{here} {rebuild_command(shipped.pin, shipped.pin_folder)} restores it"
    return f"{here} edgecnn build RECIPE --out {REBUILT}, with the recipe of {name}, restores it"


def _evaluations(shipped: ShippedKit, store: Store, pixels: str, name: str) -> tuple[StoredProfile, ...]:
    stored_answers = store.profiles.of(shipped.evaluated_kit, "evaluation")
    matching = tuple(stored for stored in stored_answers if stored.profile.pixels == pixels)
    if not matching:
        absent = f"the store {store.root} holds no predictions of {name} on the test split"
        raise Unavailable(f"{absent}: {_remedy(shipped, store, name)}")
    return matching


def _answers(shipped: ShippedKit, stored: StoredProfile, groups: NDArray[Any] | None) -> Answers:
    name = shipped.kit.candidate.id
    try:
        return answers_from(stored, name, groups, attached=shipped.attached)
    except (OSError, ValueError) as error:
        raise Unavailable(f"the stored predictions of {name} cannot be read: {error}") from error
