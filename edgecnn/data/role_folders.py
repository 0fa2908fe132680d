"""Write the roles that a build draws as folders: train/, validation/ and test/.

A build of these folders draws the same roles again, image by image, because each class is cut at the same ranks.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import edgecnn
from edgecnn.data.files import parse_stamp
from edgecnn.data.formats.registry import has_folder, is_list
from edgecnn.data.images import FolderImages
from edgecnn.data.layout import root_of
from edgecnn.data.manifest import Files, list_files, summarize
from edgecnn.data.split_names import is_unlabelled
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import NOT_OVERWRITTEN, OUTPUT_INSIDE_DATA, OUTPUT_UNWRITABLE
from edgecnn.errors.data import DEMO_HAS_NO_FOLDER, TABLE_NOT_DIVIDED, class_not_a_folder
from edgecnn.runner.causes import is_skipped
from edgecnn.values.dataset import DataDivision, DataManifest, SplitRole
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Progress

FOLDERS: Final[Mapping[SplitRole, Literal["train", "validation", "test"]]] = {
    "train": "train",
    "calibration": "train",
    "validation": "validation",
    "test": "test",
}


def check_out(out: Path, root: Path) -> None:
    """Check the output folder before any work.

    Raises:
        OUTPUT_INSIDE_DATA: it would become a class of the data.
        NOT_OVERWRITTEN: it exists and is not an empty folder.
        OUTPUT_UNWRITABLE: its parent folder does not exist.
    """
    if out.absolute().resolve().is_relative_to(root.resolve()):
        raise OUTPUT_INSIDE_DATA(path=out, root=root)
    if not out.absolute().parent.is_dir():
        raise OUTPUT_UNWRITABLE(path=out, because="its parent folder does not exist")
    try:
        if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
            raise NOT_OVERWRITTEN(path=out, because="it is not an empty folder")
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error


def write_role_folders(choice: DataChoice, out: Path, cache: Path, tell: Progress, *, link: bool = False) -> DataDivision:
    """Write every image that a build would use under ``out``, completely or not at all.

    Args:
        choice: a folder or a zip of one, and the shares and seed of the roles.
        out: a new or an empty folder.
        cache: the store's root.
        tell: receives progress.
        link: create hard links instead of copies.

    Raises:
        EdgecnnError: an error of ``errors.data`` or ``errors.outputs``; existing files are unchanged.
    """
    root = root_of(choice.path)
    if not has_folder(choice.path):
        raise DEMO_HAS_NO_FOLDER()
    if is_list(root):
        raise TABLE_NOT_DIVIDED(file=root)
    check_out(out, root)
    files = list_files(choice, cache, tell)
    if files.layout.labels is not None:
        raise TABLE_NOT_DIVIDED(file=root)
    summary = summarize(choice, cache, tell)
    manifest = DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes())
    targets = _targets(manifest, files, folders_are_classes=choice.folders == "classes")
    try:
        fresh = Path(tempfile.mkdtemp(prefix=f".{out.name[:40]}.", dir=out.absolute().parent))
        try:
            _write_images(fresh, manifest, targets, link=link, tell=tell)
            fresh.chmod(0o755)
            fresh.replace(out)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error
    images = Counter(FOLDERS[image.role] for image in manifest.images)
    return DataDivision(
        version=edgecnn.__version__,
        root=summary.root,
        out=str(out),
        seed=choice.seed,
        content=summary.content,
        images={name: images[name] for name in ("train", "validation", "test")},
        roles=summary.counts,
        roles_from=summary.splits_from,
        linked=link,
        skipped=summary.skipped,
        copies=summary.copies,
        links_out=summary.links_out,
    )


def _targets(manifest: DataManifest, files: Files, *, folders_are_classes: bool) -> dict[str, str]:
    """Return each image's target: its class folder, and below it the original path."""
    layout, inside = files.layout, dict[str, str]()
    for name in layout.classes if manifest.classes else ():
        if because := _class_name_fault(name, folders_are_classes=folders_are_classes):
            raise class_not_a_folder(root=files.source, name=name, because=because)
    for folder, stamps in zip(layout.folders, files.stamps, strict=True):
        name = layout.classes[folder.label] if manifest.classes else ""
        outer = "" if layout.parts else folder.path.rpartition("/")[0]
        for stamp in stamps:
            path = parse_stamp(folder.path, stamp).path
            inside[path] = "/".join(filter(None, (name, outer, path.removeprefix(f"{folder.path}/"))))
    return {image.path: f"{FOLDERS[image.role]}/{inside[image.path]}" for image in manifest.images}


def _class_name_fault(name: str, *, folders_are_classes: bool) -> str:
    """Return why a build would not read this folder name as a class; empty if it would."""
    if not name or "/" in name or "\\" in name:
        return "it holds a slash" if name else "it is empty"
    if is_skipped(name):
        return "a build skips folders of that name"
    return "" if folders_are_classes or not is_unlabelled(name) else "a build reads such a folder as images without labels"


def _write_images(fresh: Path, manifest: DataManifest, targets: Mapping[str, str], *, link: bool, tell: Progress) -> None:
    images = FolderImages(manifest)
    for done, image in enumerate(manifest.images, start=1):
        target = fresh / targets[image.path]
        target.parent.mkdir(parents=True, exist_ok=True)
        data = images.bytes_of(image)
        if link:
            os.link(Path(manifest.root, image.path).resolve(), target)
        else:
            target.write_bytes(data)
        tell.step("writing images", done, len(manifest.images), "images")
