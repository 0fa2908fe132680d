"""Look through a folder of images as a build would use it, and further: what is the same, what looks alike, what is odd.

The classes, the files that count and the roles are those of a build, from the same functions. Beyond what a build does, every
picture is decoded, so that nothing is left to be found when time has been spent.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import edgecnn
from edgecnn.data.class_marks import class_marks
from edgecnn.data.demo import DEMO
from edgecnn.data.findings import findings_of, name_slips
from edgecnn.data.formats.registry import is_on_disk
from edgecnn.data.group_roles import grouping_of
from edgecnn.data.headers import LARGEST_BYTES
from edgecnn.data.index import parse
from edgecnn.data.label_roles import roles_of
from edgecnn.data.layout import Layout
from edgecnn.data.manifest import list_files, read_files
from edgecnn.data.near_duplicates import Fingerprint, fingerprint_of, near_groups
from edgecnn.data.parallel import on_every_core
from edgecnn.data.splits import Found, LeftOut, Listed, shows
from edgecnn.errors.base import system_reason
from edgecnn.errors.data.folder import NothingReadable, TooFewImages
from edgecnn.errors.data.formats import DemoHasNoFolder
from edgecnn.errors.data.groups import GroupOnTwoSides, GroupsNotDivisible, TooFewGroups
from edgecnn.errors.data.multi_label import LabelsNotDivisible, LabelTooRare
from edgecnn.runner.files import bounded_content
from edgecnn.runner.pixels import UnreadableImage
from edgecnn.values.data.dataset import SPLIT_ROLES, Alike, ClassCount, DataInspection, FileProblem, Grouping, SplitRole, Spread
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Progress


class Inspected(NamedTuple):
    """The facts, and what a contact sheet is drawn from."""

    facts: DataInspection
    listed: Listed


def inspect(choice: DataChoice, cache: Path, tell: Progress) -> Inspected:
    """Look through the images of a choice.

    Args:
        choice: a folder, and the shares and seed by which a build would draw roles.
        cache: the store's root: what is read is known to a later build.
        tell: shown progress.

    Raises:
        EdgecnnError: one of ``errors.data``, where there is nothing to look at. Too few images for a build are no such reason.
    """
    began = time.monotonic()
    if choice.path == DEMO:
        raise DemoHasNoFolder
    files = list_files(choice, cache, tell)
    files.layout.require_trainable(files.source, asked=choice.train)
    listed, _ = read_files(files, cache, tell)
    fingerprints, broken = _fingerprints(listed, tell)
    usable = listed._replace(
        found=[image for image in listed.found if image.path in fingerprints], skipped=sorted([*listed.skipped, *broken])
    )
    if not usable.found:
        raise NothingReadable(folder=listed.root, skipped=[each.sentence for each in usable.skipped])
    roles, roles_from, grouping = _roles(usable, files.layout, choice)
    facts = DataInspection(
        root=str(files.source) if is_on_disk(choice.path) else choice.path,
        roles_from=roles_from,
        grouping=grouping,
        multi_label=usable.multi_label,
        bytes=sum(max(0, parse("", stamp).bytes) for inside in files.stamps for stamp in inside),
        ignored=files.layout.ignored,
        skipped_images=files.layout.skipped_images,
        findings=(),
        seconds=0.0,
        **_facts(usable, fingerprints, roles, tell),
    )
    seconds = round(time.monotonic() - began, 3)
    return Inspected(facts.model_copy(update={"findings": findings_of(facts), "seconds": seconds}), usable)


def _fingerprints(listed: Listed, tell: Progress) -> tuple[dict[str, Fingerprint], list[LeftOut]]:
    fingerprints: dict[str, Fingerprint] = {}
    broken: list[LeftOut] = []

    def fingerprint(image: Found) -> Fingerprint | str:
        try:
            return fingerprint_of(bounded_content(listed.root / image.path, LARGEST_BYTES))
        except UnreadableImage as error:
            return error.why
        except OSError as error:
            return system_reason(error)

    def take(image: Found, result: Fingerprint | str) -> None:
        if isinstance(result, str):
            broken.append(LeftOut(image.path, image.label, image.part, result))
        else:
            fingerprints[image.path] = result

    on_every_core(listed.found, fingerprint, take, "looking at images", tell)
    return fingerprints, broken


def _roles(listed: Listed, layout: Layout, choice: DataChoice) -> tuple[Mapping[str, SplitRole] | None, str, Grouping | None]:
    """Each path's role as a build would draw it, the sentence that a build says of it, and the groups that it would keep whole.

    No role, and why, where a build could not draw any.
    """
    try:
        assigned = roles_of(listed, choice)
    except (TooFewImages, LabelTooRare, LabelsNotDivisible, GroupOnTwoSides, TooFewGroups, GroupsNotDivisible) as error:
        return None, error.line(), None if choice.group_by is None else grouping_of(listed.found, choice.group_by)
    roles = {image.path: image.role for image in assigned.images}
    return roles, assigned.sentence(layout.parts, choice.calibration_images), assigned.grouping


def _facts(
    listed: Listed, fingerprints: Mapping[str, Fingerprint], roles: Mapping[str, SplitRole] | None, tell: Progress
) -> dict[str, Any]:
    images = listed.found
    classes = _classes(listed)
    by_digest: dict[str, list[Found]] = defaultdict(list)
    for image in images:
        by_digest[image.sha256].append(image)
    distinct = list(by_digest.values())
    near = near_groups(np.stack([fingerprints[group[0].path].small for group in distinct]), tell)
    counts = [each.images for each in classes if each.images]
    role_counts = Counter(roles.values()) if roles is not None else None

    def alike(group: Sequence[Found]) -> Alike:
        return Alike(
            paths=tuple(image.path for image in group),
            classes=tuple(dict.fromkeys(", ".join(listed.classes[label] for label in shows(image)) for image in group)),
            roles=tuple(role for role in SPLIT_ROLES if role in {(roles or {}).get(image.path) for image in group}),
        )

    return {
        "version": edgecnn.__version__,
        "images": len(images),
        "classes": classes,
        "roles": None if role_counts is None else {role: role_counts[role] for role in SPLIT_ROLES},
        "unreadable": tuple(FileProblem(path=each.path, why=each.why) for each in listed.skipped),
        "copies": tuple(alike(group) for group in distinct if len(group) > 1),
        "near": tuple(alike([image for number in group for image in distinct[number]]) for group in near),
        "imbalance": round(max(counts) / min(counts), 2),
        "name_slips": name_slips(listed.classes),
        "class_marks": class_marks([(shows(image), fingerprints[image.path]) for image in images], listed.classes),
        "one_pixel": tuple(image.path for image in images if 1 in _sides(fingerprints[image.path])),
        **_stored([fingerprints[image.path] for image in images]),
    }


def _stored(seen: Sequence[Fingerprint]) -> dict[str, Any]:
    return {
        "short_side_px": _spread([min(_sides(fingerprint)) for fingerprint in seen]),
        "long_side_px": _spread([max(_sides(fingerprint)) for fingerprint in seen]),
        "formats": dict(Counter(fingerprint.kind for fingerprint in seen).most_common()),
        "modes": dict(Counter(fingerprint.mode for fingerprint in seen).most_common()),
        "orientations": {
            str(key): count for key, count in sorted(Counter(fingerprint.orientation for fingerprint in seen).items())
        },
        "grey_levels": _extent([fingerprint.levels for fingerprint in seen if fingerprint.levels is not None]),
        "transparent": sum(fingerprint.transparent for fingerprint in seen),
        "animated": sum(fingerprint.animated for fingerprint in seen),
    }


def _sides(fingerprint: Fingerprint) -> tuple[int, int]:
    return fingerprint.width_px, fingerprint.height_px


def _extent(levels: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    return (min(low for low, _ in levels), max(high for _, high in levels)) if levels else None


def _classes(listed: Listed) -> tuple[ClassCount, ...]:
    images = Counter((label, image.part) for image in listed.found for label in shows(image))
    unreadable = Counter(each.label for each in listed.skipped)
    return tuple(
        ClassCount(
            name=name,
            images=sum(count for (at, _), count in images.items() if at == label),
            by_split={part: images[label, part] for part in ("train", "validation", "test") if part in listed.parts},
            unreadable=unreadable[label],
        )
        for label, name in enumerate(listed.classes)
    )


def _spread(sides: Sequence[int]) -> Spread:
    low, p5, median, p95, high = (int(value) for value in np.percentile(sides, [0, 5, 50, 95, 100], method="nearest"))
    return Spread(min=low, p5=p5, median=median, p95=p95, max=high)
