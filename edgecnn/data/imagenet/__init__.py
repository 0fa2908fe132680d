"""ImageNet's 1,000 classes (ILSVRC2012) in the order in which published networks answer, and folders called after them.

``classes.tsv`` holds a WordNet id and a name a line. The ids are in their own order, which is that of the answers, as timm's
``imagenet_synsets.txt`` (Apache-2.0) has them; the names are those that torchvision (BSD-3-Clause) publishes with its weights.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from edgecnn.errors.data import NoImagenetClass

FILE = Path(__file__).parent / "classes.tsv"


@lru_cache(maxsize=1)
def imagenet_classes() -> tuple[str, ...]:
    """A name for each of the 1,000 answers; no two are the same."""
    return tuple(name for _, name in _rows())


def imagenet_labels(folders: Sequence[str], root: Path) -> tuple[int, ...]:
    """The class of each folder, by its WordNet id (n01440764) or its name; case, spaces, ``_`` and ``-`` make no difference.

    Raises:
        NoImagenetClass: a folder is called after none of them.
    """
    known = _known()
    for folder in folders:
        if _plain(folder) not in known:
            near = difflib.get_close_matches(_plain(folder), known, n=1)
            raise NoImagenetClass(root=root, folder=folder, nearest=imagenet_classes()[known[near[0]]] if near else None)
    return tuple(known[_plain(folder)] for folder in folders)


@lru_cache(maxsize=1)
def _known() -> Mapping[str, int]:
    return {text: label for label, row in enumerate(_rows()) for text in (row[0], _plain(row[1]))}


def _rows() -> list[tuple[str, str]]:
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return [(wnid, name) for wnid, _, name in (line.partition("\t") for line in lines)]


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
