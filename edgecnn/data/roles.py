"""Assign each image a role by its bytes and the seed alone, so renaming, copying or reordering files changes nothing.

Within a class, images are ranked by a hash of seed and content. Roles without a separate folder are cut off the top in a fixed
order: test, validation, calibration; the rest is for training. No bytes are in two roles. ``division`` keeps images of one
group together, and gives every role its share of each label of multi-label images.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.data.class_names import IMAGENET, labels_by_name
from edgecnn.data.division import (
    CALIBRATION_AT_MOST,
    Cut,
    Strata,
    classes_short_of_groups,
    divide_by_class,
    divide_by_group,
    grouping_of,
    separate_roles,
    units_of,
)
from edgecnn.data.split_names import Part
from edgecnn.errors.data import NotInClassNames, Shortage, folds_beside_split, nothing_readable, too_few_images
from edgecnn.errors.labels import LABELS_NOT_DIVISIBLE, GroupsNotDivisible, label_too_rare, multi_label_not_fitting, unknown_label
from edgecnn.values.dataset import SPLIT_ROLES, UNLABELLED, Fold, Grouping, ImageEntry, SplitRole
from edgecnn.values.recipe import DataChoice

_PRECEDENCE: Final[Mapping[Part, int]] = {"test": 0, "validation": 1, "train": 2}
"""Order in which splits keep an image that is in several. The test set therefore contains all images of the user's folder."""
_CALIBRATION_SHARE = 1 / CALIBRATION_AT_MOST


class ListedImage(NamedTuple):
    """A usable image before it has a role."""

    path: str
    label: int
    part: Part
    sha256: str
    group: str | None = None
    """Group by ``data.group_by``."""
    labels: tuple[int, ...] | None = None
    """Labels of a multi-label image, instead of ``label``."""


class ExcludedFile(NamedTuple):
    """A file that is excluded, and why."""

    path: str
    label: int
    part: Part
    why: str

    @property
    def sentence(self) -> str:
        """The sentence in manifests and reports."""
        return f"{self.path}: {self.why}"


class Listed(NamedTuple):
    """The usable images of a data set, and the skipped files."""

    root: Path
    classes: Sequence[str]
    parts: Collection[Part]
    """Splits that have a folder, with or without images; only train if the root contains the classes."""
    images: Sequence[ListedImage]
    skipped: Sequence[ExcludedFile] = ()
    """Files that are not readable images."""

    @property
    def multi_label(self) -> bool:
        """Whether images have any number of labels."""
        return any(image.labels is not None for image in self.images[:1])


class Assigned(NamedTuple):
    """Images with roles. ``copies`` names excluded copies, with reasons."""

    images: tuple[ImageEntry, ...]
    copies: tuple[str, ...]
    own: Mapping[SplitRole, Part]
    """Roles that are a complete split; the others are cut from train."""
    thin: int = 0
    """Classes that cannot fill every role if nothing is trained. Their images are pooled to draw roles."""
    grouping: Grouping | None = None
    fold: Fold | None = None

    def sentence(self, parts: Mapping[Part, str], calibration_images: int) -> str:
        """Describe the folder of each role and the groups that stay together. ``calibration_images``: the requested number."""
        counts = images_by_role(self.images)
        named = {role: f"{parts[part]}/{'' if parts[part] == role else f' is {role}'}" for role, part in sorted(self.own.items())}
        pieces = [f"{name} ({counts[role]:,})" for role, name in named.items()]
        rest = ", ".join(f"{role} {counts[role]:,}" for role in reversed(SPLIT_ROLES) if role not in self.own)
        out_of = f"out of {parts['train']}/ by content" if "train" in parts else "by content, no split folders"
        if self.fold is not None:
            out_of = f"fold {self.fold.number} of {self.fold.of}, {out_of}"
        pieces.append(f"{out_of}: {rest}")
        if self.thin:
            few = "classes have too few images for every role, which are drawn from the images of these together"
            pieces.append(f"{self.thin:,} {few}")
        if counts["calibration"] < calibration_images:
            share = "a quarter of each class's training images" if self.grouping is None else "what whole groups leave"
            if any(image.labels is not None for image in self.images[:1]):
                share = "a quarter of the training images"
            pieces.append(f"calibration is {share}, not the {calibration_images:,} asked for")
        return "; ".join(pieces if self.grouping is None else [*pieces, self.grouping.sentence])


def images_by_role(images: Sequence[ImageEntry]) -> dict[SplitRole, int]:
    """Return the number of images of each role."""
    return {role: sum(image.role == role for image in images) for role in SPLIT_ROLES}


def assign_roles(listed: Listed, choice: DataChoice, fold: Fold | None = None) -> Assigned:
    """Assign one role to every image.

    ``fold``: a fold of cross-validation, which replaces ``choice.test_share``. Validation is the same in all folds. Planning
    refuses folds of multi-label images.

    Splits with folders keep their roles, and missing roles are cut from train. If there is a validation folder but no test
    folder, the validation folder becomes the test set, because reported figures need images that nothing was chosen on. Without
    split folders, all roles are cut from the same images. Shares apply to each class, rounded to the nearest image, and at least
    one. The images of a role are ordered so that every prefix holds the classes in their proportions. If ``choice.group_by`` is
    set, whole groups get one role (``division``), and shares are as close as groups allow.

    If nothing is trained (``choice.train`` is false), images without a role from a folder are test images, and classes need not
    fill every role. One image of each of a hundred classes is enough to check published weights.

    Raises:
        TooFewImages: classes cannot fill their roles.
        FoldsBesideSplit: the user's splits exist, and folds would take them apart.
        GroupOnTwoSides, TooFewGroups, GroupsNotDivisible: groups cannot be divided.
        LabelTooRare, LabelsNotDivisible: labels cannot fill their roles.
    """
    return _assign_label_roles(listed, choice) if listed.multi_label else _assign_class_roles(listed, choice, fold)


def _assign_class_roles(listed: Listed, choice: DataChoice, fold: Fold | None) -> Assigned:
    kept, copies = drop_copies(listed.images, listed.classes)
    own = own_roles(listed.parts)
    if fold is not None and own:
        raise folds_beside_split(root=listed.root, folds=fold.of, splits=sorted(set(own.values())))
    by_place: dict[tuple[Part, int], dict[str, list[ListedImage]]] = defaultdict(lambda: defaultdict(list))
    for image in kept:
        by_place[image.part, image.label][image.sha256].append(image)
    cut = Cut(0.0 if "test" in own else choice.test_share, 0.0 if "validation" in own else choice.validation_share, fold)
    units = None if choice.group_by is None else units_of(kept, listed.root)
    apart = not choice.train and "test" not in own
    short = _short_classes(listed, by_place, own, cut, copies)
    thin = _thin_classes(listed.classes, short) if not choice.train else set()
    together = [digest for label in sorted(thin) for digest in by_place["train", label]]
    if len(thin) < len(short) or len(thin) == len(listed.classes) and cut.images_needed(len(together)) > len(together):
        raise too_few_images(folder=listed.root, short=short)
    if units is not None and not choice.train:
        thin |= classes_short_of_groups(
            [by_place["train", label] for label in range(len(listed.classes))], units, cut, apart=apart
        )
        together = [digest for label in sorted(thin) for digest in by_place["train", label]]

    def ranked(part: Part, leaving: Collection[int] = ()) -> list[list[str]]:
        labels = [label for label in range(len(listed.classes)) if label not in leaving]
        return [ranked_by_content(by_place[part, label], choice.seed) for label in labels]

    of_train = [*ranked("train", thin), *([ranked_by_content(together, choice.seed)] if thin else [])]
    if units is None:
        roles, off = divide_by_class(of_train, cut, choice.calibration_images, apart=apart)
    else:
        names = [name for label, name in enumerate(listed.classes) if label not in thin]
        strata = Strata(listed.root, names, of_train, units)
        roles, off = divide_by_group(strata, cut, choice.calibration_images, choice.seed, apart=apart)
    roles |= {role: ranked(part) for role, part in own.items()}
    grouping = grouping_of(kept, choice.group_by, off) if choice.group_by is not None else None
    return Assigned(entries_of(roles, by_place, own), tuple(copy.sentence for copy in copies), own, len(thin), grouping, fold)


def entries_of(
    roles: Mapping[SplitRole, Sequence[Sequence[str]]],
    by_place: Mapping[tuple[Part, int], Mapping[str, Sequence[ListedImage]]],
    own: Mapping[SplitRole, Part],
) -> tuple[ImageEntry, ...]:
    """Return the images of the digests of each role and class, in the order of the role. ``by_place``: images by digest."""
    copies_of = {(part, digest): group for (part, _), groups in by_place.items() for digest, group in groups.items()}
    return tuple(
        ImageEntry(path=image.path, label=image.label, role=role, sha256=digest, labels=image.labels, group=image.group)
        for role in SPLIT_ROLES
        for digest in _interleave(roles[role])
        for image in sorted(copies_of[own.get(role, "train"), digest])
    )


def entirely_test(listed: Listed, seed: int = 0) -> tuple[ImageEntry, ...]:
    """Return every image in the role ``test``, in the order of that role; only the test split if there is one.

    A separate folder of a build's test images therefore keeps the order of that build.
    """
    kept, _ = drop_copies(listed.images, listed.classes)
    own = own_roles(listed.parts).get("test")
    groups: dict[int, dict[str, list[ListedImage]]] = defaultdict(lambda: defaultdict(list))
    for image in kept:
        if own in (None, image.part):
            groups[image.label][image.sha256].append(image)
    order = _interleave([ranked_by_content(groups[label], seed) for label in sorted(groups)])
    images_of = {digest: sorted(images) for inside in groups.values() for digest, images in inside.items()}
    return tuple(
        ImageEntry(path=image.path, label=image.label, role="test", sha256=digest, labels=image.labels, group=image.group)
        for digest in order
        for image in images_of[digest]
    )


def own_roles(parts: Collection[Part]) -> dict[SplitRole, Part]:
    """Return the roles that are a complete split of the user's."""
    if "test" in parts:
        return {"validation": "validation", "test": "test"} if "validation" in parts else {"test": "test"}
    return {"test": "validation"} if "validation" in parts else {}


def drop_copies(images: Sequence[ListedImage], classes: Sequence[str]) -> tuple[list[ListedImage], list[ExcludedFile]]:
    """Return the kept images and the dropped copies, which are in several splits or classes.

    Copies within one split and class are kept, because they get the same role and may be intended.
    """
    groups: dict[str, list[ListedImage]] = defaultdict(list)
    for image in images:
        groups[image.sha256].append(image)
    kept: list[ListedImage] = []
    copies: list[ExcludedFile] = []
    for group in groups.values():
        first = min(group, key=lambda image: (_PRECEDENCE[image.part], image.path))
        contradiction = next((image for image in group if labels_of(image) != labels_of(first)), None)
        for image in group:
            if contradiction is not None:
                other = contradiction if labels_of(image) == labels_of(first) else first
                why = _contradiction(image, other, classes)
            elif image.part != first.part:
                why = f"the same bytes as {first.path}"
            else:
                kept.append(image)
                continue
            copies.append(ExcludedFile(image.path, image.label, image.part, why))
    return kept, sorted(copies)


def labels_of(image: ListedImage) -> tuple[int, ...]:
    """Return the class of an image, or all of its labels."""
    return (image.label,) if image.labels is None else image.labels


def _contradiction(image: ListedImage, other: ListedImage, classes: Sequence[str]) -> str:
    """Describe the contradiction between two images with the same bytes."""
    if other.labels is not None:
        names = ", ".join(classes[label] for label in other.labels) or "none"
        return f"the same bytes as {other.path}, which has other labels ({names})"
    if image.path == other.path:
        return f"listed as {classes[image.label]} and as {classes[other.label]}"
    return f"the same bytes as {other.path}, which is another class ({classes[other.label]})"


def _short_classes(
    listed: Listed,
    by_place: Mapping[tuple[Part, int], Mapping[str, Sequence[ListedImage]]],
    own: Mapping[SplitRole, Part],
    cut: Cut,
    copies: Sequence[ExcludedFile],
) -> list[Shortage]:
    roles_of: dict[Part, list[SplitRole]] = {"train": [role for role in SPLIT_ROLES if role not in own]}
    roles_of |= {part: [role] for role, part in own.items()}
    copied, skipped = _excluded_by_class(copies), _excluded_by_class(listed.skipped)
    short = []
    for part, roles in roles_of.items():
        for label, name in enumerate(listed.classes):
            images = by_place.get((part, label), {})
            needed = cut.images_needed(len(images)) if part == "train" else 1
            if len(images) < needed:
                # Copies within a class are reported too, because they count once when roles are filled.
                groups = [sorted(group) for group in images.values()]
                doubles = [f"{other.path}: the same bytes as {first.path}" for first, *others in groups for other in others]
                uncounted = [*copied[part, label], *doubles]
                short.append(Shortage(name, len(images), needed, roles, copies=uncounted, skipped=skipped[part, label]))
    return short


def _thin_classes(classes: Sequence[str], short: Iterable[Shortage]) -> set[int]:
    """Return the classes that have images, but too few for every role."""
    named = {shortage.name for shortage in short if shortage.images and "calibration" in shortage.roles}
    return {label for label, name in enumerate(classes) if name in named}


def _excluded_by_class(excluded: Iterable[ExcludedFile]) -> Mapping[tuple[Part, int], list[str]]:
    sentences: dict[tuple[Part, int], list[str]] = defaultdict(list)
    for file in excluded:
        sentences[file.part, file.label].append(file.sentence)
    return sentences


def ranked_by_content(digests: Iterable[str], seed: int) -> list[str]:
    """Return the images in an order that depends only on bytes and seed."""
    return sorted(digests, key=lambda digest: hashlib.sha256(f"{seed}:{digest}".encode("ascii")).digest())


def _interleave(by_label: Sequence[Sequence[str]]) -> list[str]:
    placed = [
        ((place + 0.5) / len(digests), label, digest)
        for label, digests in enumerate(by_label)
        for place, digest in enumerate(digests)
    ]
    return [digest for _, _, digest in sorted(placed)]


def _assign_label_roles(listed: Listed, choice: DataChoice) -> Assigned:
    """Give every role its share of each label. An image counts in each of its labels; images without labels form a stratum."""
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
    strata = _label_strata(listed, of_train, units, cut, choice)
    for role in ("validation", "test"):
        if role in own:
            _require_labels(role, [images[0] for images in by_place[own[role], UNLABELLED].values()], listed, choice)
    digests_by_role, off = _divide_labels(strata, cut, choice, apart=apart)
    roles = {role: [ranked_by_content(digests, choice.seed)] for role, digests in digests_by_role.items()}
    roles |= {role: [ranked_by_content(by_place[part, UNLABELLED], choice.seed)] for role, part in own.items()}
    grouping = grouping_of(kept, choice.group_by, off) if choice.group_by is not None else None
    excluded = tuple(copy.sentence for copy in copies)
    return Assigned(entries_of(roles, by_place, own), excluded, own, grouping=grouping)


def _label_strata(
    listed: Listed, of_train: Mapping[str, tuple[int, ...]], units: Mapping[str, str] | None, cut: Cut, choice: DataChoice
) -> Strata:
    """Return the labels that every role needs, then rare labels if nothing is trained, then images without labels."""
    ranked = ranked_by_content(of_train, choice.seed)
    by_label = [[digest for digest in ranked if label in of_train[digest]] for label in range(len(listed.classes))]
    short = {label: (len(digests), cut.images_needed(len(digests))) for label, digests in enumerate(by_label)}
    short = {label: counts for label, counts in short.items() if counts[0] < counts[1]}
    if short and (choice.train or len(short) == len(by_label)):
        named = [(listed.classes[label], *counts) for label, counts in short.items()]
        raise label_too_rare(file=Path(choice.path), short=named, roles=separate_roles(cut, apart=False))
    bound = [label for label in range(len(by_label)) if label not in short]
    bare = [digest for digest in ranked if not of_train[digest]]
    loose = [*(by_label[label] for label in short if by_label[label]), *([bare] if bare else [])]
    names = [listed.classes[label] for label in bound]
    unit_of = {digest: digest for digest in of_train} if units is None else units
    return Strata(listed.root, names, [*(by_label[label] for label in bound), *loose], unit_of)


def _require_labels(role: SplitRole, images: Sequence[ListedImage], listed: Listed, choice: DataChoice) -> None:
    """Check the labels of a user's split. For training, ``validation`` needs every label, because it chooses the thresholds."""
    having = {label for image in images for label in image.labels or ()}
    short = [(name, 0, 1) for label, name in enumerate(listed.classes) if label not in having]
    if short and (not having or choice.train and role == "validation"):
        raise label_too_rare(file=Path(choice.path), short=short, roles=(role,), own=True)


def _divide_labels(
    strata: Strata, cut: Cut, choice: DataChoice, *, apart: bool
) -> tuple[dict[SplitRole, Collection[str]], tuple[str, ...]]:
    """Return digests by role. Training images are divided again, image by image, into calibration and the rest."""
    try:
        roles, off = divide_by_group(strata, cut, choice.calibration_images, choice.seed, apart=apart)
        divided: dict[SplitRole, Collection[str]] = {role: {digest for part in roles[role] for digest in part} for role in roles}
        if apart:
            return divided, off
        remaining = {*divided["calibration"], *divided["train"]}
        share = min(_CALIBRATION_SHARE, choice.calibration_images / len(remaining))
        ranked_remaining = [[digest for digest in ranked if digest in remaining] for ranked in strata.ranked]
        remaining_strata = Strata(strata.root, strata.names, ranked_remaining, {digest: digest for digest in remaining})
        drawn, _ = divide_by_group(remaining_strata, Cut(share, 0.0), 1, choice.seed, apart=False)
    except GroupsNotDivisible as error:
        if choice.group_by is not None:
            raise
        raise LABELS_NOT_DIVISIBLE(file=Path(choice.path), roles=separate_roles(cut, apart=apart)) from error
    calibration = {digest for part in drawn["test"] for digest in part}
    most = min(choice.calibration_images, max(1, int(len(remaining) * _CALIBRATION_SHARE)))
    order = ranked_by_content(remaining, choice.seed)
    first = [digest for digest in order if digest in calibration]
    taken = {*[*first, *(digest for digest in order if digest not in calibration)][:most]}
    return {**divided, "calibration": taken, "train": remaining - taken}, off


def labels_in_stated_order(
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
    reordered = [tuple(sorted(place[label] for label in image.labels or ())) for image in images]
    labelled = (image.model_copy(update={"labels": labels}) for image, labels in zip(images, reordered, strict=True))
    return tuple(labelled), tuple(names)
