"""What two builds answered to the same images, read out of the store; whatever is not there becomes a sentence."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.comparing.pin import rebuild_command
from edgecnn.judging.accuracy import NO_LABELS, Answers
from edgecnn.measure.evaluate import logits_of, prepared_digests
from edgecnn.results.lineage import ancestor, kit_artifact
from edgecnn.results.shipped import Side
from edgecnn.store.profiles import StoredProfile
from edgecnn.store.store import Store
from edgecnn.values.dataset import UNLABELLED
from edgecnn.values.verdict import Fidelity

if TYPE_CHECKING:
    from numpy.typing import NDArray


REBUILT = "builds/rebuilt"
"""Where a build that is named only to fill the store goes: never over one that is compared."""


class Unavailable(Exception):
    """Why there are no paired answers, as a sentence."""


@dataclass(frozen=True, eq=False)
class PairedAnswers:
    """Both sides' logits of the report split, with what is right."""

    head: Answers
    base: Answers
    labels: NDArray[Any]
    """int64 (images,)"""
    names: tuple[str, ...]
    images: Path
    """``.npy`` of what HEAD's kit was shown, uint8 (images, crop_px, crop_px, 3); it need not be there any more."""


@dataclass(frozen=True, eq=False)
class _Split:
    pixels: str
    labels: NDArray[Any]
    images: Path


def paired_answers(head: Side, base: Side, store: Store, names: tuple[str, str] = ("HEAD", "BASE")) -> PairedAnswers:
    """The newest stored answers of both to the same pixels, of one machine where there are such.

    Args:
        head: judged.
        base: what it is held against.
        store: where their answers lie.
        names: what the reader knows ``head`` and ``base`` by.

    Raises:
        Unavailable: one side was not evaluated with this store, or the images, labels or classes are not the same.
        EdgecnnError: the store cannot be read.
    """
    ours, theirs = _report_split(head, store, names[0]), _report_split(base, store, names[1])
    if ours.pixels != theirs.pixels:
        raise Unavailable(f"their report splits hold other pixels ({ours.pixels[:12]} and {theirs.pixels[:12]})")
    if len(ours.labels) != len(theirs.labels) or (ours.labels != theirs.labels).any():
        raise Unavailable("their report splits label the same pixels otherwise")
    if (ours.labels == UNLABELLED).any():
        raise Unavailable(f"no accuracy can be compared: {NO_LABELS}")
    classes = head.kit.manifest["labels"]
    if classes != base.kit.manifest["labels"]:
        raise Unavailable("their classes are not the same, or not in the same order")
    mine = _evaluations(head, store, ours.pixels, names[0])
    others = _evaluations(base, store, ours.pixels, names[1])
    alike = next(((a, b) for a in mine for b in others if a.profile.host == b.profile.host), (mine[0], others[0]))
    return PairedAnswers(
        head=_answers(head, alike[0]),
        base=_answers(base, alike[1]),
        labels=ours.labels,
        names=tuple(str(name) for name in classes),
        images=ours.images,
    )


# ---------------------------------------------------------------------------------------------------------------------


def _report_split(side: Side, store: Store, what: str) -> _Split:
    import numpy as np

    made = kit_artifact(store, side.kit.digest)
    prepared = None if made is None else ancestor(store, made, "prepare")
    if prepared is None:
        raise Unavailable(f"the store {store.root} does not hold what {what}'s kit was made from: {_remedy(side, store, what)}")
    try:
        pixels = str(prepared_digests(prepared.folder)["report"])
        return _Split(
            pixels=pixels,
            labels=np.load(prepared.folder / "report.labels.npy", allow_pickle=False),
            images=prepared.folder / "report.pixels.npy",
        )
    except (OSError, ValueError, KeyError) as error:
        raise Unavailable(f"{what}'s stored images cannot be read: {error}") from error


def _remedy(side: Side, store: Store, what: str) -> str:
    here = f"EDGECNN_STORE={shlex.quote(str(store.root))}"
    if side.pin is not None and side.pin_folder is not None:
        return f"{here} {rebuild_command(side.pin, side.pin_folder)} puts it there"
    return f"{here} edgecnn build RECIPE --out {REBUILT}, with {what}'s recipe, puts it there"


def _evaluations(side: Side, store: Store, pixels: str, what: str) -> tuple[StoredProfile, ...]:
    stored_answers = store.profiles.of(side.evaluated_kit, "evaluation")
    found = tuple(stored for stored in stored_answers if stored.profile.pixels == pixels)
    if not found:
        absent = f"the store {store.root} holds no answers of {what}'s kit to the report split"
        raise Unavailable(f"{absent}: {_remedy(side, store, what)}")
    return found


def _answers(side: Side, stored: StoredProfile) -> Answers:
    try:
        logits = logits_of(stored)
    except (OSError, ValueError) as error:
        raise Unavailable(f"stored answers of {side.kit.candidate.id} cannot be read: {error}") from error
    return Answers(
        candidate=side.kit.candidate.id,
        logits=logits,
        pixels=stored.profile.pixels or "",
        machine=stored.profile.host,
        fidelity=stored.profile.fidelity if side.attached else Fidelity.EMULATED,
    )
