"""ImageNet's 1,000 classes (ILSVRC2012) in the output order of published networks, and folders named after them.

``classes.tsv`` has a WordNet ID and a name on each line, in the order of the IDs, which is the output order of published networks
(timm's ``imagenet_synsets.txt``, Apache-2.0). The names are those that torchvision (BSD-3-Clause) publishes with its weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from edgecnn.data.class_names import joined
from edgecnn.errors.data import no_imagenet_class
from edgecnn.errors.wording import nearest

FILE = Path(__file__).parent / "classes.tsv"


@lru_cache(maxsize=1)
def imagenet_classes() -> tuple[str, ...]:
    """Return a unique name for each of the 1,000 outputs."""
    return tuple(name for _, name in _rows())


def imagenet_ids() -> tuple[str, ...]:
    """Return the WordNet ID of each of the 1,000 outputs."""
    return tuple(wnid for wnid, _ in _rows())


def imagenet_labels(folders: Sequence[str], root: Path) -> tuple[int, ...]:
    """Return the class of each folder, by its WordNet ID (n01440764) or its name.

    Spaces, ``_`` and ``-`` are equal. Case matters only for Cardigan, the dog, and cardigan.

    Raises NO_IMAGENET_CLASS: a folder's name is not an ImageNet class.
    """
    label_of = {folder: _label(folder) for folder in folders}
    for folder, label in label_of.items():
        if label is None:
            raise no_imagenet_class(root=root, folder=folder, nearest=nearest(joined(folder), imagenet_classes()))
    return tuple(label for folder in folders if (label := label_of[folder]) is not None)


def _label(folder: str) -> int | None:
    exact, caseless = _known()
    name = joined(folder)
    return exact.get(name, caseless.get(name.casefold()))


@lru_cache(maxsize=1)
def _known() -> tuple[Mapping[str, int], Mapping[str, int]]:
    exact = {text: label for label, row in enumerate(_rows()) for text in (row[0], joined(row[1]))}
    often = Counter(text.casefold() for text in exact)
    return exact, {text.casefold(): label for text, label in exact.items() if often[text.casefold()] == 1}


def _rows() -> list[tuple[str, str]]:
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return [(wnid, name) for wnid, _, name in (line.partition("\t") for line in lines)]
