"""``torchvision:NAME``: a published data set as a folder of PNG files, made once from a local copy or a download.

PNG keeps torchvision's pixels unchanged; roles are torchvision's own splits, and labels its own numbers. The files are stored
like an unpacked zip. If ``store gc`` deletes them, they are made again from the copy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edgecnn.data.class_names import names_in
from edgecnn.data.formats.archive import cached_folder
from edgecnn.data.formats.idx import NAMES_FILE
from edgecnn.errors.data import PUBLISHED_DATA_UNAVAILABLE, unknown_published_data
from edgecnn.errors.wording import first_line
from edgecnn.installed import is_offline, require_packages
from edgecnn.store.disk import user_path
from edgecnn.values.stage import Progress

PREFIX: Final = "torchvision:"
COPIES_VARIABLE: Final = "EDGECNN_TORCHVISION"
"""The folder in which torchvision finds copies and stores downloads; unset: ``torchvision`` in the store."""
_REVISION: Final = 2
"""Raise by hand when the same copy would be written differently. Earlier files are then left to ``store gc``."""
_BOOLEAN: Final = {"train": {"train": True}, "test": {"train": False}}
_TWO: Final = {"train": {"split": "train"}, "test": {"split": "test"}}
_THREE: Final = {"train": {"split": "train"}, "validation": {"split": "val"}, "test": {"split": "test"}}
SETS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "CIFAR10": _BOOLEAN, "CIFAR100": _BOOLEAN, "MNIST": _BOOLEAN, "FashionMNIST": _BOOLEAN, "KMNIST": _BOOLEAN, "STL10": _TWO,
    "SVHN": _TWO, "GTSRB": _TWO, "Food101": _TWO, "DTD": _THREE, "Flowers102": _THREE,
    "OxfordIIITPet": {"train": {"split": "trainval"}, "test": {"split": "test"}},
}  # fmt: skip
"""Class of torchvision.datasets to its names for our splits (torchvision 0.29)."""


def is_published(path: str) -> bool:
    """Whether a data path names a published set. ``./torchvision:x`` is a folder."""
    return path.startswith(PREFIX)


def published_folder(path: str, cache: Path, tell: Progress) -> Path:
    """Return the folder of a published set in ``cache/archives``, made on first use.

    Raises:
        UNKNOWN_PUBLISHED_DATA: torchvision has no such set with one class an image.
        MissingPackage: torchvision is not installed, and the folder does not exist yet.
        PUBLISHED_DATA_UNAVAILABLE: there is no copy, and the download failed.
        StoreFull, StoreUnusable: the store cannot be written.
    """
    name = path.removeprefix(PREFIX)
    if name not in SETS:
        raise unknown_published_data(name=name, known=tuple(SETS))
    return cached_folder(f"torchvision-{name}-{_REVISION}", cache, lambda fresh: _write_images(name, fresh, cache, tell), tell)


def published_order(folder: Path) -> tuple[str, ...] | None:
    """Return the classes of a published set in label order; None if labels are plain numbers."""
    file = folder / NAMES_FILE
    return names_in(file) if file.is_file() else None


def _write_images(name: str, out: Path, cache: Path, tell: Progress) -> None:
    require_packages(("torchvision", "torch"), extra="train", needed_for=f"{PREFIX}{name}")
    copies = user_path(os.environ.get(COPIES_VARIABLE) or cache / "torchvision").absolute()
    for part, words in SETS[name].items():
        images = _open_set(name, copies, words, tell)
        classes = [str(name_of_class).replace("/", "-") for name_of_class in getattr(images, "classes", ())]
        if classes:
            (out / NAMES_FILE).write_text("\n".join(classes), encoding="utf-8")
        for number in range(len(images)):
            image, label = images[number]
            folder = out / part / (classes[label] if classes else f"{int(label)}")
            folder.mkdir(parents=True, exist_ok=True)
            image.save(folder / f"{number:06d}.png")
            tell.step(f"{PREFIX}{name}, {part}", number + 1, len(images), "images")


def _open_set(name: str, copies: Path, words: Mapping[str, Any], tell: Progress) -> Any:
    from torchvision import datasets

    kind = getattr(datasets, name)
    try:
        return kind(copies, download=False, **words)
    except (RuntimeError, OSError, ModuleNotFoundError) as absent:
        if is_offline():
            raise PUBLISHED_DATA_UNAVAILABLE(
                name=name, copies=copies, because=f"{_reason(absent)}; EDGECNN_OFFLINE is on"
            ) from absent
    tell.note(f"{PREFIX}{name}: no copy in {copies}; torchvision downloads it")
    try:
        return kind(copies, download=True, **words)
    except (RuntimeError, OSError, ModuleNotFoundError, ValueError) as error:
        raise PUBLISHED_DATA_UNAVAILABLE(name=name, copies=copies, because=_reason(error)) from error


def _reason(error: BaseException) -> str:
    return first_line(error)[:200].rstrip(".").partition(". You can use")[0]
