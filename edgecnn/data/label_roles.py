"""Assign roles to multi-label images. Every role gets its share of each label, by the division that keeps groups together.

An image is a unit that counts in each of its labels; images without labels form a separate stratum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from edgecnn.data.class_names import IMAGENET, labels_by_name
from edgecnn.data.group_roles import Strata, divided_by_group, grouping_of, roles_apart, units_of
from edgecnn.data.shares import CALIBRATION_AT_MOST, Cut
from edgecnn.data.split_names import Part
from edgecnn.data.splits import (
    Assigned,
    Listed,
    ListedImage,
    assign_roles,
    drop_copies,
    entries_of,
    own_roles,
    ranked_by_content,
)
from edgecnn.errors.data import NotInClassNames, nothing_readable
from edgecnn.errors.labels import (
    LABELS_NOT_DIVISIBLE,
    GroupsNotDivisible,
    label_too_rare,
    multi_label_not_fitting,
    unknown_label,
)
from edgecnn.values.dataset import UNLABELLED, Fold, ImageEntry, SplitRole
from edgecnn.values.recipe import DataChoice

_CALIBRATION_SHARE = 1 / CALIBRATION_AT_MOST


def roles_of(listed: Listed, choice: DataChoice, fold: Fold | None = None) -> Assigned:
    """Return ``assign_roles`` for single-label or multi-label data. ``fold``: single-label only; planning refuses others.

    Raises EdgecnnError: as ``assign_roles``; LabelTooRare, LabelsNotDivisible: of multi-label images.
    """
    return _assign(listed, choice) if listed.multi_label else assign_roles(listed, choice, fold)


def _assign(listed: Listed, choice: DataChoice) -> Assigned:
    kept, copies = drop_copies(listed.images, listed.classes)
    if not kept:
        raise nothing_readable(folder=listed.root, skipped=[copy.sentence for copy in copies])
    own = own_roles(listed.parts)
    by_place: dict[tuple[Part, int], dict[str, list[ListedImage]]] = defaultdict(lambda: defaultdict(list))
    for image in kept:
        by_place[image.part, UNLABELLED][image.sha256].append(image)
    cut = Cut(0.0 if "test" in own else choice.test_share, 0.0 if "validation" in own else choice.validation_share)
    apart = not choice.train and "test" not in own
    units = None if choice.group_by is None else units_of(kept, listed.root)
    of_train = {digest: images[0].labels or () for digest, images in by_place["train", UNLABELLED].items()}
    strata = _strata(listed, of_train, units, cut, choice)
    for role in ("validation", "test"):
        if role in own:
            _require_labels(role, [images[0] for images in by_place[own[role], UNLABELLED].values()], listed, choice)
    digests_by_role, off = _divided(strata, cut, choice, apart=apart)
    roles = {role: [ranked_by_content(digests, choice.seed)] for role, digests in digests_by_role.items()}
    roles |= {role: [ranked_by_content(by_place[part, UNLABELLED], choice.seed)] for role, part in own.items()}
    grouping = grouping_of(kept, choice.group_by, off) if choice.group_by is not None else None
    excluded = tuple(copy.sentence for copy in copies)
    return Assigned(entries_of(roles, by_place, own), excluded, own, grouping=grouping)


def _strata(
    listed: Listed, of_train: Mapping[str, tuple[int, ...]], units: Mapping[str, str] | None, cut: Cut, choice: DataChoice
) -> Strata:
    """Return labels that every role needs, then rare ones if nothing is trained, then images without labels."""
    ranked = ranked_by_content(of_train, choice.seed)
    by_label = [[digest for digest in ranked if label in of_train[digest]] for label in range(len(listed.classes))]
    short = {label: (len(digests), cut.enough(len(digests))) for label, digests in enumerate(by_label)}
    short = {label: counts for label, counts in short.items() if counts[0] < counts[1]}
    if short and (choice.train or len(short) == len(by_label)):
        named = [(listed.classes[label], *counts) for label, counts in short.items()]
        raise label_too_rare(file=Path(choice.path), short=named, roles=roles_apart(cut, apart=False))
    bound = [label for label in range(len(by_label)) if label not in short]
    bare = [digest for digest in ranked if not of_train[digest]]
    loose = [*(by_label[label] for label in short if by_label[label]), *([bare] if bare else [])]
    names = [listed.classes[label] for label in bound]
    unit_of = {digest: digest for digest in of_train} if units is None else units
    return Strata(listed.root, names, [*(by_label[label] for label in bound), *loose], unit_of)


def _require_labels(role: SplitRole, images: Sequence[ListedImage], listed: Listed, choice: DataChoice) -> None:
    """Check the user's own splits. To train, ``validation`` needs an image of each label, since thresholds are chosen there."""
    having = {label for image in images for label in image.labels or ()}
    short = [(name, 0, 1) for label, name in enumerate(listed.classes) if label not in having]
    if short and (not having or choice.train and role == "validation"):
        raise label_too_rare(file=Path(choice.path), short=short, roles=(role,), own=True)


def _divided(
    strata: Strata, cut: Cut, choice: DataChoice, *, apart: bool
) -> tuple[dict[SplitRole, Collection[str]], tuple[str, ...]]:
    """Return digests by role. Training images are divided again, image by image, into calibration and the rest."""
    try:
        roles, off = divided_by_group(strata, cut, choice.calibration_images, choice.seed, apart=apart)
        divided: dict[SplitRole, Collection[str]] = {role: {digest for part in roles[role] for digest in part} for role in roles}
        if apart:
            return divided, off
        remaining = {*divided["calibration"], *divided["train"]}
        share = min(_CALIBRATION_SHARE, choice.calibration_images / len(remaining))
        ranked_remaining = [[digest for digest in ranked if digest in remaining] for ranked in strata.ranked]
        remaining_strata = Strata(strata.root, strata.names, ranked_remaining, {digest: digest for digest in remaining})
        drawn, _ = divided_by_group(remaining_strata, Cut(share, 0.0), 1, choice.seed, apart=False)
    except GroupsNotDivisible as error:
        if choice.group_by is not None:
            raise
        raise LABELS_NOT_DIVISIBLE(file=Path(choice.path), roles=roles_apart(cut, apart=apart)) from error
    calibration = {digest for part in drawn["test"] for digest in part}
    most = min(choice.calibration_images, max(1, int(len(remaining) * _CALIBRATION_SHARE)))
    order = ranked_by_content(remaining, choice.seed)
    first = [digest for digest in order if digest in calibration]
    taken = {*[*first, *(digest for digest in order if digest not in calibration)][:most]}
    return {**divided, "calibration": taken, "train": remaining - taken}, off


def labels_known(
    images: Sequence[ImageEntry], listed: Sequence[str], names: Sequence[str] | None, choice: DataChoice
) -> tuple[tuple[ImageEntry, ...], tuple[str, ...]]:
    """Return the images with labels in the order of ``data.classes``, and that order.

    ``names``: in that order; None if ``data.classes`` states none. ``listed``: the labels of the list, in its order.

    Raises:
        UNKNOWN_LABEL: a label of the list is not in the file.
        FOLDERS_OF_ONE_CLASS: two labels match the same name.
        MultiLabelNotFitting: ``data.classes`` is not a file.
    """
    if names is None:
        if choice.classes == IMAGENET:
            raise multi_label_not_fitting(
                setting=f"data.classes={IMAGENET}", because="an image of ImageNet has one of its classes"
            )
        return tuple(images), tuple(listed)
    try:
        place = labels_by_name(listed, names, Path(choice.path), str(choice.classes))
    except NotInClassNames as error:
        raise unknown_label(
            file=Path(choice.path), name=error.fields["folder"], known=names, known_by=str(choice.classes)
        ) from error
    moved = [tuple(sorted(place[label] for label in image.labels or ())) for image in images]
    labelled = (image.model_copy(update={"labels": labels}) for image, labels in zip(images, moved, strict=True))
    return tuple(labelled), tuple(names)
