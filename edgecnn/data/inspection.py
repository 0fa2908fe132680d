"""Inspect a folder of images as a build would use it, and report findings with numbers, the most serious first.

Classes, usable files and roles come from the functions that a build calls. Unlike a build, inspection decodes every image.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

import edgecnn
from edgecnn.data.decoders import decoders
from edgecnn.data.division import grouping_of
from edgecnn.data.files import parse_stamp, process_on_every_core, skipped_phrases
from edgecnn.data.fingerprints import Fingerprint, class_marks, near_groups
from edgecnn.data.formats.registry import is_on_disk
from edgecnn.data.images import LARGEST_BYTES
from edgecnn.data.layout import Layout
from edgecnn.data.manifest import list_files, read_files
from edgecnn.data.roles import ExcludedFile, Listed, ListedImage, assign_roles, labels_of
from edgecnn.errors.base import system_reason
from edgecnn.errors.data import TooFewImages, nothing_readable
from edgecnn.errors.labels import GroupOnTwoSides, GroupsNotDivisible, LabelsNotDivisible, LabelTooRare, TooFewGroups
from edgecnn.errors.wording import counted, first_of, plural
from edgecnn.runner.files import bounded_content
from edgecnn.runner.pixel_recipe import ALL_LEVELS
from edgecnn.runner.pixels import UnreadableImage
from edgecnn.values.dataset import (
    SPLIT_ROLES,
    Alike,
    ClassCount,
    DataInspection,
    FileProblem,
    Finding,
    Grouping,
    NameSlip,
    SplitRole,
    Spread,
)
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Progress

_UNBALANCED: Final = 3.0
"""Imbalance from which accuracy over all images hides the smallest class, unlike balanced accuracy. A convention."""
_NAMED: Final = 5
_SHORTEST_PLURAL: Final = 4
_NUMBER: Final = re.compile(r"[-+]?[0-9]+(?:[.,][0-9]+)*")
"""A number, whose sign and points are not punctuation: -1 is not 1, and 1.5 is not 15."""
_SHORTEST_MISSPELT: Final = 7
"""Shortest word that may be misspelt. Shorter words are often one letter apart on purpose: shirt, skirt."""


def findings_of(facts: DataInspection) -> tuple[Finding, ...]:
    """Return the findings, the most serious first."""
    findings = [
        *(() if facts.roles else [_finding("roles", f"no build is possible: {facts.roles_from}", serious=True)]),
        *_alike_findings(facts),
        *_copy_findings(facts),
        *_file_findings(facts),
        *_class_findings(facts),
        *_mark_findings(facts),
        *_pixel_findings(facts),
    ]
    return tuple(sorted(findings, key=lambda finding: not finding.serious))


def _finding(kind: str, sentence: str, *, serious: bool = False) -> Finding:
    return Finding.model_validate({"kind": kind, "serious": serious, "sentence": sentence})


def _alike_findings(facts: DataInspection) -> Iterator[Finding]:
    def groups_that(kind: str, groups: list[Alike], do: str, *, serious: bool = False) -> Iterator[Finding]:
        if groups:
            done = do.format(are=plural(len(groups), "is", "are"))
            yield _finding(
                kind, f"{counted(len(groups), 'group')} of images that look alike{done} ({_examples(groups)})", serious=serious
            )

    shared = [group for group in facts.near if len(group.roles) > 1]
    leaks = [group for group in shared if "test" in group.roles]
    chosen = [group for group in shared if "validation" in group.roles and group not in leaks]
    leaked = " {are} in test and in another role, so test figures are too optimistic"
    late = " {are} in validation and in training: training may stop too late, but test figures are not affected"
    yield from groups_that("leak", leaks, leaked, serious=True)
    yield from groups_that("leak", chosen, late)
    near_two = [group for group in facts.near if len(group.classes) > 1]
    yield from groups_that("contradiction", near_two, " {are} in several classes; a build uses all of them", serious=True)
    alike = [group for group in facts.near if group not in leaks and group not in chosen and len(group.classes) == 1]
    yield from groups_that("alike", alike, " {are} in one class and one role, where duplicates are harmless")


def _copy_findings(facts: DataInspection) -> Iterator[Finding]:
    two = [group for group in facts.copies if len(group.classes) > 1]
    if two:
        # A file in a list may have two classes.
        named = [f"{' = '.join(dict.fromkeys(group.paths[:3]))} as {' and '.join(group.classes[:3])}" for group in two]
        images = counted(len(two), "identical image")
        sentence = f"{images} in more than one class; a build skips every copy ({first_of(named, 2)})"
        yield _finding("contradiction", sentence, serious=True)
    copies = [group for group in facts.copies if len(group.classes) == 1]
    if copies:
        files = counted(sum(len(group.paths) - 1 for group in copies), "file has", "files have")
        yield _finding(
            "copies",
            f"{files} the same bytes as another file of the class. A build gives all copies the same role. If copies are in"
            f" two split folders, a build keeps the one in validation or test ({_examples(copies)})",
        )


def _file_findings(facts: DataInspection) -> Iterator[Finding]:
    if facts.unreadable:
        named = first_of([f"{problem.path}: {problem.why}" for problem in facts.unreadable], _NAMED)
        yield _finding("unreadable", f"{counted(len(facts.unreadable), 'file')} cannot be used ({named})", serious=True)
    if facts.ignored:
        names = ", ".join(f"{name}/" for name in facts.ignored)
        yield _finding("ignored", f"ignored, because neither a class folder nor a split folder: {names}")
    if facts.links_out is not None:
        use = "a build uses them unless you pass --set data.links=refuse"
        yield _finding("links-out", f"{facts.links_out.sentence}; {use}")
    of_tools = [skipped for skipped in facts.skipped_images if skipped.why == "left by a tool"]
    unlisted = [skipped for skipped in facts.skipped_images if skipped.why == "not in the list"]
    others = [skipped for skipped in facts.skipped_images if skipped not in (*of_tools, *unlisted)]
    for skipped, do in ((others, "rename or move them"), (unlisted, "list them")):
        if skipped:
            named = first_of(list(skipped_phrases(skipped)), _NAMED)
            yield _finding("skipped", f"a build skips {named}: {do} if they belong to the data", serious=True)
    if of_tools:
        yield _finding("skipped", f"a build skips {first_of(list(skipped_phrases(of_tools)), _NAMED)}")


def _class_findings(facts: DataInspection) -> Iterator[Finding]:
    for slip in facts.name_slips:
        yield _finding("names", f"classes {slip.one!r} and {slip.other!r}: {slip.why}; are they the same class?", serious=True)
    joined = next((counts.name for counts in facts.classes if "|" in counts.name or ";" in counts.name), None)
    if joined is not None:
        several = "to give an image several labels, use a list with a column labels"
        yield _finding("names", f"class {joined!r} looks like several labels; {several}")
    if facts.multi_label and (meant := _comma_label([counts.name for counts in facts.classes])) is not None:
        several = "a comma is part of a name, so separate labels with | or ;"
        yield _finding("names", f"{meant!r} counts as one label: {several}", serious=True)
    filled = [counts for counts in facts.classes if counts.images]
    if facts.imbalance >= _UNBALANCED:
        most, least = max(filled, key=lambda counts: counts.images), min(filled, key=lambda counts: counts.images)
        yield _finding(
            "imbalance",
            f"{most.name!r} has {facts.imbalance:.1f} times the images of {least.name!r} ({most.images:,} and {least.images:,}):"
            " look at macro_f1 and each class, not only at top-1; train.balance gives all classes the same weight",
        )


def _comma_label(names: Sequence[str]) -> str | None:
    """Return the first label that looks like several, separated by commas."""
    joined, known_names = [name for name in names if "," in name], set(names)
    if 2 * len(joined) > len(names):
        return joined[0]
    return next((name for name in joined if any(part.strip() in known_names for part in name.split(","))), None)


def _mark_findings(facts: DataInspection) -> Iterator[Finding]:
    for kind in ("mode", "format", "size"):
        named = [
            f"all {mark.images:,} images of {mark.name!r} have {kind} {mark.value}, and {mark.others:,} of the"
            f" {mark.of_others:,} other images do"
            for mark in facts.class_marks
            if mark.kind == kind
        ]
        if named:
            learned = f"a network may learn the {kind} instead of what the images show"
            yield _finding("marked-class", f"{first_of(named, _NAMED)}: {learned}", serious=True)


def _pixel_findings(facts: DataInspection) -> Iterator[Finding]:
    if facts.one_pixel:
        have = counted(len(facts.one_pixel), "image has", "images have")
        yield _finding("one-pixel", f"{have} a side of 1 pixel ({first_of(facts.one_pixel, _NAMED)})", serious=True)
    if facts.cut_off:
        end = counted(len(facts.cut_off), "JPEG file ends", "JPEG files end")
        named = first_of(facts.cut_off, _NAMED)
        yield _finding("cut-off", f"{end} in plain grey, as files do that were cut off and repaired ({named})", serious=True)
    turned = sum(count for orientation, count in facts.orientations.items() if orientation != "1")
    wide = sum(count for mode, count in facts.modes.items() if mode.startswith("I"))
    for count, kind, sentence in (
        (turned, "stored-turned", "rotated by EXIF; a build rotates them upright"),
        (facts.animated, "animated", "animated or of several pages; a build uses the first frame or page"),
        (facts.transparent, "transparent", "partly transparent; a build uses a white background"),
        (wide, "wide-pixels", f"16-bit; {_grey_scaling(facts.grey_levels or ALL_LEVELS)}"),
    ):
        if count:
            yield _finding(kind, f"{counted(count, 'image is', 'images are')} {sentence}")
    grey = sum(count for mode, count in facts.modes.items() if mode in ("1", "L", "LA", "I;16", "I;16B", "I"))
    if 0 < grey < facts.images:
        yield _finding(
            "mixed-modes",
            f"{grey:,} of {facts.images:,} images are grey, the others are in colour; a network can learn this difference",
        )


def window_of(levels: tuple[int, int]) -> tuple[int, int]:
    """Return the ``preprocessing.grey_window`` for these levels of 16-bit grey: from 0 to the top of their bit range."""
    return 0, 2 ** max(levels[1].bit_length(), 1) - 1


def _grey_scaling(levels: tuple[int, int]) -> str:
    low, high = window_of(levels)
    if levels[1] == 0 or (low, high) == ALL_LEVELS:
        return "a build scales 0 to 65,535 to 8 bits; preprocessing.grey_window sets another range"
    used = f"they use only {levels[0]:,} to {levels[1]:,}, so they become nearly black"
    return f"a build scales 0 to 65,535 to 8 bits, but {used}; set preprocessing.grey_window = [{low}, {high}]"


def _examples(groups: list[Alike]) -> str:
    return first_of([" = ".join(group.paths[:3]) for group in groups], 2)


def name_slips(names: Sequence[str]) -> tuple[NameSlip, ...]:
    """Return pairs of names that differ only in case, blanks, punctuation or encoding, by an ``s``, or by one letter.

    Numbers are never slips of each other: class 1 is not class 11. Only similar names are compared.
    """
    slips: dict[tuple[str, str], str] = {}
    for key, why in (
        (_bare_name, "they differ only in case, blanks or punctuation"),
        (_singular, "they differ only by an s"),
    ):
        for alike in _groups_by(key, names):
            for pair in combinations(alike, 2):
                slips.setdefault(pair, why)
    for pair in _pairs_a_letter_apart(names):
        slips.setdefault(pair, "they differ by one letter")
    return tuple(NameSlip(one=one, other=other, why=why) for (one, other), why in slips.items())


def _bare_name(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold()
    return text if _NUMBER.fullmatch(text) else re.sub(r"[\W_]+", "", text)


def _singular(name: str) -> str:
    bare = _bare_name(name)
    return bare[:-1] if len(bare) >= _SHORTEST_PLURAL and bare.endswith("s") else bare


def _groups_by(key: Callable[[str], str], names: Sequence[str]) -> list[list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if text := key(name):
            groups[text].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _pairs_a_letter_apart(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of names that differ by one letter: added, removed, changed, or swapped with its neighbour (Damerau 1964).

    Digits must be equal.
    """
    holes: dict[str, list[int]] = defaultdict(list)
    bare = [_bare_name(name) for name in names]
    for number, word in enumerate(bare):
        if len(word) >= _SHORTEST_MISSPELT and not word.isdigit():
            for hole in {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}:
                holes[hole].append(number)
    pairs = {pair for sharing in holes.values() for pair in combinations(sharing, 2)}
    return [(names[one], names[other]) for one, other in sorted(pairs) if _differ_by_one_letter(bare[one], bare[other])]


def _differ_by_one_letter(one: str, other: str) -> bool:
    if re.findall(r"[0-9]+", one) != re.findall(r"[0-9]+", other):
        return False
    if len(one) == len(other):
        differ = [at for at, (here, there) in enumerate(zip(one, other, strict=True)) if here != there]
        swapped = len(differ) == 2 and one[differ[0]] == other[differ[1]] and one[differ[1]] == other[differ[0]]
        return len(differ) == 1 or (swapped and differ[1] == differ[0] + 1)
    short, long = sorted((one, other), key=len)
    return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))


class Inspected(NamedTuple):
    """Facts with findings, and the images for a contact sheet."""

    facts: DataInspection
    listed: Listed


def inspect(choice: DataChoice, cache: Path, tell: Progress) -> Inspected:
    """Inspect the images of a choice.

    Args:
        choice: a folder, and the shares and seed by which a build would draw roles.
        cache: the store's root. A later build reuses the facts read here.
        tell: receives progress.

    Raises:
        EdgecnnError: an error of ``errors.data``, if there is nothing to inspect. Too few images is not an error.
    """
    began = time.monotonic()
    files = list_files(choice, cache, tell)
    files.layout.require_trainable(files.source, is_training=choice.train)
    listed, _ = read_files(files, cache, tell)
    fingerprints, broken = _fingerprint_images(listed, tell)
    usable = listed._replace(
        images=[image for image in listed.images if image.path in fingerprints], skipped=sorted([*listed.skipped, *broken])
    )
    if not usable.images:
        raise nothing_readable(folder=listed.root, skipped=[skipped.sentence for skipped in usable.skipped])
    roles, roles_from, grouping = _assign_roles(usable, files.layout, choice)
    facts = DataInspection(
        root=str(files.source) if is_on_disk(choice.path) else choice.path,
        roles_from=roles_from,
        grouping=grouping,
        multi_label=usable.multi_label,
        bytes=sum(max(0, parse_stamp("", stamp).bytes) for inside in files.stamps for stamp in inside),
        ignored=files.layout.ignored,
        skipped_images=files.layout.skipped_images,
        links_out=files.layout.links_out,
        findings=(),
        seconds=0.0,
        **_inspection_facts(usable, fingerprints, roles, tell),
    )
    seconds = round(time.monotonic() - began, 3)
    return Inspected(facts.model_copy(update={"findings": findings_of(facts), "seconds": seconds}), usable)


def _fingerprint_images(listed: Listed, tell: Progress) -> tuple[dict[str, Fingerprint], list[ExcludedFile]]:
    fingerprints: dict[str, Fingerprint] = {}
    broken: list[ExcludedFile] = []

    def fingerprint(image: ListedImage) -> Fingerprint | str:
        try:
            return decoders().fingerprint(bounded_content(listed.root / image.path, LARGEST_BYTES))
        except UnreadableImage as error:
            return error.why
        except OSError as error:
            return system_reason(error)

    def take(image: ListedImage, result: Fingerprint | str) -> None:
        if isinstance(result, str):
            broken.append(ExcludedFile(image.path, image.label, image.part, result))
        else:
            fingerprints[image.path] = result

    process_on_every_core(listed.images, fingerprint, take, "looking at images", tell)
    return fingerprints, broken


def _assign_roles(
    listed: Listed, layout: Layout, choice: DataChoice
) -> tuple[Mapping[str, SplitRole] | None, str, Grouping | None]:
    """Return each path's role, the build's sentence about roles, and the groups that stay together.

    If a build could not draw roles, return none and the reason.
    """
    try:
        assigned = assign_roles(listed, choice)
    except (TooFewImages, LabelTooRare, LabelsNotDivisible, GroupOnTwoSides, TooFewGroups, GroupsNotDivisible) as error:
        return None, error.line(), None if choice.group_by is None else grouping_of(listed.images, choice.group_by)
    roles = {image.path: image.role for image in assigned.images}
    return roles, assigned.sentence(layout.parts, choice.calibration_images), assigned.grouping


def _inspection_facts(
    listed: Listed, fingerprints: Mapping[str, Fingerprint], roles: Mapping[str, SplitRole] | None, tell: Progress
) -> dict[str, Any]:
    images = listed.images
    classes = _class_counts(listed)
    by_digest: dict[str, list[ListedImage]] = defaultdict(list)
    for image in images:
        by_digest[image.sha256].append(image)
    distinct = list(by_digest.values())
    near = near_groups(np.stack([fingerprints[group[0].path].small for group in distinct]), tell)
    counts = [counts_of_class.images for counts_of_class in classes if counts_of_class.images]
    role_counts = Counter(roles.values()) if roles is not None else None

    def alike(group: Sequence[ListedImage]) -> Alike:
        return Alike(
            paths=tuple(image.path for image in group),
            classes=tuple(dict.fromkeys(", ".join(listed.classes[label] for label in labels_of(image)) for image in group)),
            roles=tuple(role for role in SPLIT_ROLES if role in {(roles or {}).get(image.path) for image in group}),
        )

    return {
        "version": edgecnn.__version__,
        "images": len(images),
        "classes": classes,
        "roles": None if role_counts is None else {role: role_counts[role] for role in SPLIT_ROLES},
        "unreadable": tuple(FileProblem(path=skipped.path, why=skipped.why) for skipped in listed.skipped),
        "copies": tuple(alike(group) for group in distinct if len(group) > 1),
        "near": tuple(alike([image for number in group for image in distinct[number]]) for group in near),
        "imbalance": round(max(counts) / min(counts), 2),
        "name_slips": name_slips(listed.classes),
        "class_marks": class_marks([(labels_of(image), fingerprints[image.path]) for image in images], listed.classes),
        "cut_off": tuple(image.path for image in images if fingerprints[image.path].cut_off),
        "one_pixel": tuple(image.path for image in images if 1 in _sides(fingerprints[image.path])),
        **_facts_of_files([fingerprints[image.path] for image in images]),
    }


def _facts_of_files(fingerprints: Sequence[Fingerprint]) -> dict[str, Any]:
    levels = [fingerprint.levels for fingerprint in fingerprints if fingerprint.levels is not None]
    return {
        "short_side_px": _spread([min(_sides(fingerprint)) for fingerprint in fingerprints]),
        "long_side_px": _spread([max(_sides(fingerprint)) for fingerprint in fingerprints]),
        "formats": dict(Counter(fingerprint.kind for fingerprint in fingerprints).most_common()),
        "modes": dict(Counter(fingerprint.mode for fingerprint in fingerprints).most_common()),
        "orientations": {
            str(key): count for key, count in sorted(Counter(fingerprint.orientation for fingerprint in fingerprints).items())
        },
        "grey_levels": (min(low for low, _ in levels), max(high for _, high in levels)) if levels else None,
        "transparent": sum(fingerprint.transparent for fingerprint in fingerprints),
        "animated": sum(fingerprint.animated for fingerprint in fingerprints),
    }


def _sides(fingerprint: Fingerprint) -> tuple[int, int]:
    return fingerprint.width_px, fingerprint.height_px


def _class_counts(listed: Listed) -> tuple[ClassCount, ...]:
    images = Counter((label, image.part) for image in listed.images for label in labels_of(image))
    unreadable = Counter(skipped.label for skipped in listed.skipped)
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
