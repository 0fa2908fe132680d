"""What two builds answered to the same images, read out of the store; whatever is not there becomes a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.building.rows import answers_from, required_thresholds
from edgecnn.comparing.pin import rebuild_command
from edgecnn.errors.wording import shell_word
from edgecnn.judging.predictions.accuracy import NO_LABELS, Answers, accuracy
from edgecnn.judging.predictions.multi_label import multi_label_accuracy
from edgecnn.measure.evaluate import prepared_digests, prepared_groups
from edgecnn.results.lineage import ancestor, kit_artifact
from edgecnn.results.shipped import ShippedKit
from edgecnn.store.profiles import StoredProfile
from edgecnn.store.store import Store
from edgecnn.values.dataset import UNLABELLED
from edgecnn.values.figures import Accuracy, MultiLabelAccuracy

if TYPE_CHECKING:
    from numpy.typing import NDArray


REBUILT = "builds/rebuilt"
"""Where a build that is named only to fill the store goes: never over one that is compared."""


class Unavailable(Exception):
    """Why there are no paired answers, as a sentence."""


@dataclass(frozen=True, eq=False)
class PairedAnswers:
    """Both sides' logits of the test split, with what is right."""

    head: Answers
    base: Answers
    labels: NDArray[Any]
    """int64 (images,), or of a multi-label data set uint8 (images, labels)."""
    names: tuple[str, ...]
    images: Path
    """``.npy`` of what HEAD's kit was shown, uint8 (images, *crop_px, 3); it need not be there any more."""


@dataclass(frozen=True, eq=False)
class _Split:
    pixels: str
    labels: NDArray[Any]
    groups: NDArray[Any] | None
    images: Path


def paired_answers(
    head: ShippedKit, base: ShippedKit, store: Store, names: tuple[str, str] = ("HEAD", "BASE"), *, resized: bool = False
) -> PairedAnswers:
    """The newest stored answers of both to the same pixels, of one machine where there are such.

    ``names``: what the reader knows ``head`` and ``base`` by. ``resized``: both are known to be of the same images,
    which each was shown at a resolution of its own.

    Raises:
        Unavailable: one side was not evaluated with this store, or the images, labels or classes are not the same.
        EdgecnnError: the store cannot be read.
    """
    ours, theirs = _test_split(head, store, names[0]), _test_split(base, store, names[1])
    if ours.pixels != theirs.pixels and not resized:
        raise Unavailable(f"their test splits hold other pixels ({ours.pixels[:12]} and {theirs.pixels[:12]})")
    if ours.labels.shape != theirs.labels.shape or (ours.labels != theirs.labels).any():
        raise Unavailable("their test splits label the same pixels otherwise")
    if ours.labels.ndim == 1 and (ours.labels == UNLABELLED).any():
        raise Unavailable(f"no accuracy can be compared: {NO_LABELS}")
    classes = head.kit.manifest["labels"]
    if classes != base.kit.manifest["labels"]:
        raise Unavailable("their classes are not the same, or not in the same order")
    mine = _evaluations(head, store, ours.pixels, names[0])
    others = _evaluations(base, store, theirs.pixels, names[1])
    groups = theirs.groups if ours.groups is None else ours.groups
    alike = next(((a, b) for a in mine for b in others if a.profile.host == b.profile.host), (mine[0], others[0]))
    return PairedAnswers(
        head=_answers(head, alike[0], groups),
        base=_answers(base, alike[1], groups),
        labels=ours.labels,
        names=tuple(str(name) for name in classes),
        images=ours.images,
    )


def judged(answers: Answers, found: PairedAnswers, of: ShippedKit, base: Answers | None = None) -> Accuracy | MultiLabelAccuracy:
    """What one side's answers come to, against ``base`` where that is given; ``of``: the kit that gave them.

    Raises EdgecnnError: of ``accuracy`` and ``multi_label_accuracy``.
    """
    if found.labels.ndim == 1:
        return accuracy(answers, found.labels, "test", base)
    return multi_label_accuracy(answers, found.labels, required_thresholds(of.kit), "test", base)


def _test_split(shipped: ShippedKit, store: Store, what: str) -> _Split:
    import numpy as np

    made = kit_artifact(store, shipped.kit.digest)
    prepared = None if made is None else ancestor(store, made, "prepare")
    if prepared is None:
        raise Unavailable(
            f"the store {store.root} does not hold what {what}'s kit was made from: {_remedy(shipped, store, what)}"
        )
    try:
        pixels = str(prepared_digests(prepared.folder)["test"])
        return _Split(
            pixels=pixels,
            labels=np.load(prepared.folder / "test.labels.npy", allow_pickle=False),
            groups=prepared_groups(prepared.folder, "test"),
            images=prepared.folder / "test.pixels.npy",
        )
    except (OSError, ValueError, KeyError) as error:
        raise Unavailable(f"{what}'s stored images cannot be read: {error}") from error


def _remedy(shipped: ShippedKit, store: Store, what: str) -> str:
    here = f"EDGECNN_STORE={shell_word(store.root)}"
    if shipped.pin is not None and shipped.pin_folder is not None:
        return f"{here} {rebuild_command(shipped.pin, shipped.pin_folder)} puts it there"
    return f"{here} edgecnn build RECIPE --out {REBUILT}, with {what}'s recipe, puts it there"


def _evaluations(shipped: ShippedKit, store: Store, pixels: str, what: str) -> tuple[StoredProfile, ...]:
    stored_answers = store.profiles.of(shipped.evaluated_kit, "evaluation")
    found = tuple(stored for stored in stored_answers if stored.profile.pixels == pixels)
    if not found:
        absent = f"the store {store.root} holds no answers of {what}'s kit to the test split"
        raise Unavailable(f"{absent}: {_remedy(shipped, store, what)}")
    return found


def _answers(shipped: ShippedKit, stored: StoredProfile, groups: NDArray[Any] | None) -> Answers:
    name = shipped.kit.candidate.id
    try:
        return answers_from(stored, name, groups, attached=shipped.attached)
    except (OSError, ValueError) as error:
        raise Unavailable(f"stored answers of {name} cannot be read: {error}") from error
