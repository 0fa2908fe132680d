"""``torchvision:NAME``: a published data set as a folder of PNG files, made once, from a local copy or after a download.

Pixels are those that torchvision gives, without loss; roles are torchvision's own splits, labels its own numbers. What is made
lies in the store like an unpacked zip, and is made again from the copy where ``store gc`` removed it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edgecnn.data.class_names import names_in
from edgecnn.data.formats.archive import kept_folder
from edgecnn.data.formats.idx import NAMES_FILE
from edgecnn.errors.data.formats import PUBLISHED_DATA_UNAVAILABLE, unknown_published_data
from edgecnn.errors.wording import first_line
from edgecnn.installed import require_packages
from edgecnn.store.disk import user_path
from edgecnn.values.stage import Progress

PREFIX: Final = "torchvision:"
COPIES_VARIABLE: Final = "EDGECNN_TORCHVISION"
"""The folder where torchvision finds copies and puts downloads; unset: ``torchvision`` in the store."""
_REVISION: Final = 2
"""Raised by hand when the same copy would be written otherwise: what was made before is then left to ``store gc``."""
_BOOLEAN: Final = {"train": {"train": True}, "test": {"train": False}}
_TWO: Final = {"train": {"split": "train"}, "test": {"split": "test"}}
_THREE: Final = {"train": {"split": "train"}, "validation": {"split": "val"}, "test": {"split": "test"}}
SETS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "CIFAR10": _BOOLEAN, "CIFAR100": _BOOLEAN, "MNIST": _BOOLEAN, "FashionMNIST": _BOOLEAN, "KMNIST": _BOOLEAN, "STL10": _TWO,
    "SVHN": _TWO, "GTSRB": _TWO, "Food101": _TWO, "DTD": _THREE, "Flowers102": _THREE,
    "OxfordIIITPet": {"train": {"split": "trainval"}, "test": {"split": "test"}},
}  # fmt: skip
"""Class of torchvision.datasets to what each of our splits is called there (torchvision 0.29)."""


def is_published(path: str) -> bool:
    """Whether a data path names a published set and no folder; ``./torchvision:x`` is a folder."""
    return path.startswith(PREFIX)


def published_folder(path: str, cache: Path, tell: Progress) -> Path:
    """The folder of such a set, in ``cache/archives``: as it was made before, or now.

    Raises:
        UNKNOWN_PUBLISHED_DATA: torchvision has no such set, or none of one class an image.
        MissingPackage: torchvision is not installed, and the folder is not there yet.
        PUBLISHED_DATA_UNAVAILABLE: no copy is here, and none could be downloaded.
        StoreFull, StoreUnusable: of the store.
    """
    name = path.removeprefix(PREFIX)
    if name not in SETS:
        raise unknown_published_data(name=name, known=tuple(SETS))
    return kept_folder(f"torchvision-{name}-{_REVISION}", cache, lambda fresh: _write(name, fresh, cache, tell), tell)


def published_order(folder: Path) -> tuple[str, ...] | None:
    """The classes of such a folder in the order of the set's labels; None where the set names none, and labels are numbers."""
    file = folder / NAMES_FILE
    return names_in(file) if file.is_file() else None


def _write(name: str, out: Path, cache: Path, tell: Progress) -> None:
    require_packages(("torchvision", "torch"), extra="train", needed_for=f"{PREFIX}{name}")
    copies = user_path(os.environ.get(COPIES_VARIABLE) or cache / "torchvision").absolute()
    for part, words in SETS[name].items():
        images = _opened(name, copies, words, tell)
        classes = [str(name_of_class).replace("/", "-") for name_of_class in getattr(images, "classes", ())]
        if classes:
            (out / NAMES_FILE).write_text("\n".join(classes), encoding="utf-8")
        for number in range(len(images)):
            image, label = images[number]
            place = out / part / (classes[label] if classes else f"{int(label)}")
            place.mkdir(parents=True, exist_ok=True)
            image.save(place / f"{number:06d}.png")
            tell.step(f"{PREFIX}{name}, {part}", number + 1, len(images), "images")


def _opened(name: str, copies: Path, words: Mapping[str, Any], tell: Progress) -> Any:
    from torchvision import datasets

    kind = getattr(datasets, name)
    try:
        return kind(copies, download=False, **words)
    except (RuntimeError, OSError, ModuleNotFoundError) as absent:
        if os.environ.get("EDGECNN_OFFLINE") == "1":
            raise PUBLISHED_DATA_UNAVAILABLE(name=name, copies=copies, because=f"{_words(absent)}; EDGECNN_OFFLINE=1") from absent
    tell.note(f"{PREFIX}{name}: no copy in {copies}; torchvision downloads it")
    try:
        return kind(copies, download=True, **words)
    except (RuntimeError, OSError, ModuleNotFoundError, ValueError) as error:
        raise PUBLISHED_DATA_UNAVAILABLE(name=name, copies=copies, because=_words(error)) from error


def _words(error: BaseException) -> str:
    return first_line(error)[:200].rstrip(".").partition(". You can use")[0]
