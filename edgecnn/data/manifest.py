"""Turn a folder or the demo into a list of images with roles, and recall that list if the folder is unchanged.

The list is stored by its content and its root. Stages use the content alone as key, so a moved folder causes no rebuild.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from edgecnn.data.class_names import IMAGENET, imagenet_classes, imagenet_labels, labels_by_name, stated_names
from edgecnn.data.demo import DEMO, DEMO_CLASSES, DEMO_FILE, DEMO_PARTS
from edgecnn.data.division import groups_by_path
from edgecnn.data.files import (
    Fact,
    ListingProgress,
    OutwardLinks,
    Stamped,
    digest_of_stamps,
    index_file_for,
    is_fresh,
    now_ns,
    parse_stamp,
    pillow_version,
    read_facts,
    read_json,
    write_json,
    write_text,
)
from edgecnn.data.formats.registry import Reading, data_files, has_folder, is_on_disk
from edgecnn.data.layout import Layout
from edgecnn.data.roles import (
    Assigned,
    ExcludedFile,
    Listed,
    ListedImage,
    assign_roles,
    images_by_role,
    labels_in_stated_order,
)
from edgecnn.errors.base import system_reason
from edgecnn.errors.data import DEMO_DAMAGED, nothing_readable
from edgecnn.errors.wording import file_fault
from edgecnn.store.disk import sha256_of
from edgecnn.values.dataset import SPLIT_ROLES, UNLABELLED, DataManifest, DataSummary, Fold, RoleSummary, SplitRole
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Progress, digest_of

_REVISION: Final = 7
"""Raise this number when the same files get other roles, or a summary gets more fields. Older summaries are then replaced."""
_NEW_KEYS: Final = ("group_by", "folders", "path_column", "label_column", "label_separator", "path_suffix", "image_root")


def summarize(choice: DataChoice, cache: Path, tell: Progress, fold: Fold | None = None) -> DataSummary:
    """List the images of a choice, assign roles, and store the list in ``cache/manifests``.

    Files are read once. The stored summary is returned while the path and stamp of every file are unchanged. Another seed or
    other names give another ``content`` for the same bytes.

    Args:
        choice: a folder, also of IDX files, a CSV or Parquet file, a zip, ``torchvision:NAME``,
            or ``demo`` for the embedded images (``./demo`` is a folder of that name).
        cache: the store's root.
        tell: receives progress when files are read for the first time, or a listing takes longer than a second.
        fold: of cross-validation; None: roles by the shares of ``choice``.

    Raises:
        EdgecnnError: an error of ``errors.data``, if the folder cannot be used; StoreFull or StoreUnusable for the cache.
    """
    if not has_folder(choice.path):
        return _summarize_demo(choice, cache, tell, fold)
    files = list_files(choice, cache, tell)
    files.layout.require_trainable(files.source, is_training=choice.train)
    state = files.state(choice.classes)
    root = str(files.source) if is_on_disk(choice.path) else choice.path  # errors would otherwise name a folder of the store
    summary_file = _summary_file(cache, choice, root, fold)
    if (stored := _stored_summary(summary_file, state, tell)) is not None:
        return stored
    listed, is_lasting = read_files(files, cache, tell)
    summary = _summarize_folder(choice, files.layout, listed, cache, fold)
    summary = summary.model_copy(update={"root": root, "links_out": files.layout.links_out})
    if is_lasting:
        _store_summary(summary_file, state, summary)
    return summary


class Files(NamedTuple):
    """The files of a data path before any is read: a stamp for each, by class folder."""

    layout: Layout
    stamps: Sequence[Sequence[str]]
    source: Path
    """The folder or the file of the data path."""
    group_by: str | None = None
    """The value of ``data.group_by``."""

    def with_contents(self, cache: Path, tell: Progress) -> Files:
        """Return the files with digests instead of stamps, so that ``state`` ignores dates and permissions. Reads new files."""
        folders = zip(self.layout.folders, self.stamps, strict=True)
        files = [[parse_stamp(folder.path, stamp) for stamp in inside] for folder, inside in folders]
        every = [file for inside in files for file in inside]
        facts = read_facts(self.layout.root, every, index_file_for(cache, self.source), tell)
        contents = {path: f"{path}/{fact.sha256}/{fact.problem}" for path, fact in facts.items()}
        return self._replace(stamps=[[contents[file.path] for file in inside] for inside in files])

    def state(self, classes: str | None) -> str:
        """Return a digest that changes if a file, label, group, split or class name changes.

        ``classes``: as ``data.classes``. Raises CLASS_NAMES_UNUSABLE: see ``stated_names``.
        """
        layout = self.layout
        folders = [f"{folder.part}/{folder.label}/{folder.path}" for folder in layout.folders]
        tables = [table for table in (layout.groups, layout.labels) if table is not None]
        cells = [[json.dumps(cell) for cell in sorted(table.items())] for table in tables]
        names, unused = stated_names(classes, layout.classes) or (), [layout.unused, str(layout.links_out)]
        return digest_of_stamps([folders, layout.classes, unused, [pillow_version()], names, *self.stamps, *cells])


def list_files(choice: DataChoice, cache: Path, tell: Progress) -> Files:
    """List a data set's files; a zip is unpacked into the cache first.

    ``choice``: a folder, a list, a zip or ``torchvision:NAME``. Without labels, all files under the folder form one pool,
    whatever its sub-folders are called. ``cache``: the store's root.

    Raises EdgecnnError: an error of ``errors.data``, if the path cannot be used.
    """
    progress = ListingProgress(tell, OutwardLinks(refuse=choice.links == "refuse"))
    source, layout, stamps = data_files(Reading(choice, cache, progress, tell))
    progress.finish()
    layout = layout._replace(skipped_images=progress.skipped_under(layout.root), links_out=progress.links.images)
    return Files(layout, stamps, source, choice.group_by)


def read_files(listing: Files, cache: Path, tell: Progress) -> tuple[Listed, bool]:
    """Read every new file. Also return whether the result stays valid as long as the files are unchanged.

    Raises:
        NothingReadable: none of the files is a readable image.
        GroupPatternInvalid, GroupPatternTooSlow, NoGroupFound: ``group_by`` is unusable; raised before files are read.
    """
    layout, began_ns = listing.layout, now_ns()
    files = [
        [parse_stamp(folder.path, stamp) for stamp in inside]
        for folder, inside in zip(layout.folders, listing.stamps, strict=True)
    ]
    every = [file for inside in files for file in inside]
    by = listing.group_by
    groups = {} if by is None else groups_by_path(by, listing.source, [file.path for file in every], layout.groups)
    facts = read_facts(layout.root, every, index_file_for(cache, listing.source), tell)
    is_lasting = all(fact.lasting for fact in facts.values()) and not any(is_fresh(file, began_ns) for file in every)
    listed = _usable_files(layout, files, facts)
    labels = layout.labels or {}
    images = [image._replace(group=groups.get(image.path), labels=labels.get(image.path)) for image in listed.images]
    return listed._replace(images=images), is_lasting


def _usable_files(layout: Layout, files: Sequence[Sequence[Stamped]], facts: Mapping[str, Fact]) -> Listed:
    images: list[ListedImage] = []
    skipped: list[ExcludedFile] = []
    for folder, inside in zip(layout.folders, files, strict=True):
        for file in inside:
            fact = facts[file.path]
            if fact.problem:
                shown = file.path.encode("utf-8", "backslashreplace").decode("utf-8")
                skipped.append(ExcludedFile(shown, folder.label, folder.part, fact.problem))
            else:
                images.append(ListedImage(file.path, folder.label, folder.part, fact.sha256))
    skipped.sort()
    if skipped and not images:
        is_one_reason = len({file.why for file in skipped}) == 1
        raise nothing_readable(
            folder=layout.root, skipped=[file_fault(file.path, file.why) for file in skipped], is_one_reason=is_one_reason
        )
    return Listed(layout.root, layout.classes, {folder.part for folder in layout.folders}, images, skipped)


def _summarize_folder(choice: DataChoice, layout: Layout, listed: Listed, cache: Path, fold: Fold | None) -> DataSummary:
    assigned, names = assign_roles(listed, choice, fold), stated_names(choice.classes, layout.classes)
    labelled, images = choice.labels is not False, assigned.images
    classes = layout.classes if labelled else ()
    if listed.multi_label and choice.classes is not None:
        images, classes = labels_in_stated_order(images, layout.classes, names, choice)
    if not labelled:
        images = tuple(image.model_copy(update={"label": UNLABELLED}) for image in images)
    elif not listed.multi_label and (choice.classes == IMAGENET or names is not None):
        if names is None:
            labels, classes = imagenet_labels(layout.classes, layout.root), imagenet_classes()
        else:
            labels, classes = labels_by_name(layout.classes, names, layout.root, str(choice.classes)), tuple(names)
        images = tuple(image.model_copy(update={"label": labels[image.label]}) for image in images)
    manifest = DataManifest(
        origin="folder",
        root=str(layout.root),
        classes=classes,
        images=images,
        skipped=tuple(file.sentence for file in listed.skipped),
        copies=assigned.copies,
    )
    splits_from = assigned.sentence(layout.parts, choice.calibration_images)
    if not labelled:
        splits_from = f"without labels; {splits_from}"
    if layout.unused:
        splits_from += f"; not used: {layout.unused}"
    return store_manifest(manifest, splits_from, cache, assigned)


def _summarize_demo(choice: DataChoice, cache: Path, tell: Progress, fold: Fold | None) -> DataSummary:
    try:
        state = sha256_of(DEMO_FILE)
    except OSError as error:
        raise DEMO_DAMAGED(path=DEMO_FILE, because=system_reason(error)) from error
    summary_file = _summary_file(cache, choice, DEMO, fold)
    if (stored := _stored_summary(summary_file, state, tell)) is not None:
        return stored
    from edgecnn.data.images import demo_digests  # needs numpy, which a cached build need not import

    parts = {part: part for part, _ in DEMO_PARTS}
    paths = [(part, f"{part}/{number:05d}") for part, count in DEMO_PARTS for number in range(count)]
    by = choice.group_by
    groups = {} if by is None else groups_by_path(by, Path(DEMO), [path for _, path in paths], None)
    images = zip(paths, demo_digests(), strict=True)
    listed = [ListedImage(path, label, part, sha256, groups.get(path)) for (part, path), (label, sha256) in images]
    assigned = assign_roles(Listed(Path(DEMO), DEMO_CLASSES, tuple(parts), listed), choice, fold)
    manifest = DataManifest(origin="demo", root=DEMO, classes=DEMO_CLASSES, images=assigned.images, copies=assigned.copies)
    summary = store_manifest(manifest, assigned.sentence(parts, choice.calibration_images), cache, assigned)
    _store_summary(summary_file, state, summary)
    return summary


def store_manifest(manifest: DataManifest, splits_from: str, cache: Path, assigned: Assigned | None = None) -> DataSummary:
    """Store a list of images by content and root, and return its summary. Raises StoreFull, StoreUnusable: of the cache."""
    content = manifest.content
    # Two folders with the same content must not share file paths.
    root_digest = hashlib.sha256(manifest.root.encode("utf-8")).hexdigest()[:12]
    path = cache / "manifests" / f"{content}-{root_digest}.json"
    write_text(path, manifest.model_dump_json())
    return DataSummary(
        origin=manifest.origin,
        root=manifest.root,
        content=content,
        manifest_path=str(path),
        classes=manifest.classes,
        counts=images_by_role(manifest.images),
        roles={role: _role_summary(manifest, role) for role in SPLIT_ROLES},
        skipped=manifest.skipped,
        copies=manifest.copies,
        splits_from=splits_from,
        grouping=assigned.grouping if assigned else None,
        own_roles=tuple(sorted(assigned.own)) if assigned else (),
        multi_label=manifest.multi_label,
    )


def _role_summary(manifest: DataManifest, role: SplitRole) -> RoleSummary:
    images = [image for image in manifest.images if image.role == role]
    counts = Counter(label for image in images for label in ((image.label,) if image.labels is None else image.labels))
    rows = sorted(f"{image.sha256} {image.shown}" for image in images)
    return RoleSummary(content=digest_of(rows), by_class=tuple(counts[label] for label in range(len(manifest.classes))))


def _summary_file(cache: Path, choice: DataChoice, root: str, fold: Fold | None) -> Path:
    # Absent keys are omitted, so that lists stored before these keys existed keep their names.
    unset = {name for name in _NEW_KEYS if getattr(choice, name) is None}
    options: dict[str, Any] = choice.model_dump(mode="json", exclude={"path"} | unset)
    if fold is not None:
        options["fold"] = fold.model_dump(mode="json")
    return cache / "manifests" / "summaries" / f"{digest_of({'root': root, 'asked': options, 'revision': _REVISION})}.json"


def _store_summary(path: Path, state: str, summary: DataSummary) -> None:
    kept = {"state": state, "manifest_sha256": sha256_of(Path(summary.manifest_path)), "summary": summary.model_dump(mode="json")}
    write_json(path, kept)


def _stored_summary(path: Path, state: str, tell: Progress) -> DataSummary | None:
    kept = read_json(path)
    if not isinstance(kept, dict) or kept.get("state") != state:
        return None
    try:
        summary = DataSummary.model_validate(kept["summary"])
        manifest = Path(summary.manifest_path)
        if manifest.is_file() and sha256_of(manifest) == kept["manifest_sha256"]:
            return summary
    except (KeyError, ValidationError):
        return None  # written by another version of the code
    tell.note(f"{manifest} was removed or damaged; edgecnn writes it again")
    return None
