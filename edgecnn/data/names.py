"""Class names that look like slips: the same word in other letters, or with a letter more."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Final

from edgecnn.values.inspection import NameSlip

_SHORTEST_PLURAL: Final = 4
_SHORTEST_MISSPELT: Final = 7
"""Shorter words are often one letter apart and mean it: shirt, skirt."""


def name_slips(names: Sequence[str]) -> tuple[NameSlip, ...]:
    """Pairs of names that differ in nothing but case, blanks, punctuation or encoding; or by an ``s``; or by one letter.

    Numbers are never slips of each other: class 1 is not class 11. Compares each name with its kin, not with every other.
    """
    slips: dict[tuple[str, str], str] = {}
    for kin, why in (
        (_bare, "but for case, blanks or punctuation they are the same"),
        (_singular, "but for an s they are the same"),
    ):
        for alike in _by(kin, names):
            for pair in combinations(alike, 2):
                slips.setdefault(pair, why)
    for pair in _a_letter_apart(names):
        slips.setdefault(pair, "a letter tells them apart")
    return tuple(NameSlip(one=one, other=other, why=why) for (one, other), why in slips.items())


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def _singular(name: str) -> str:
    bare = _bare(name)
    return bare[:-1] if len(bare) >= _SHORTEST_PLURAL and bare.endswith("s") else bare


def _by(kin: Callable[[str], str], names: Sequence[str]) -> list[list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if bare := kin(name):
            groups[bare].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _a_letter_apart(names: Sequence[str]) -> list[tuple[str, str]]:
    """One letter added, lost, changed, or two neighbours exchanged (Damerau, CACM 1964); digits have to agree."""
    holes: dict[str, list[int]] = defaultdict(list)
    bare = [_bare(name) for name in names]
    for number, word in enumerate(bare):
        if len(word) >= _SHORTEST_MISSPELT and not word.isdigit():
            for hole in {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}:
                holes[hole].append(number)
    pairs = {pair for sharing in holes.values() for pair in combinations(sharing, 2)}
    return [(names[one], names[other]) for one, other in sorted(pairs) if _slipped(bare[one], bare[other])]


def _slipped(one: str, other: str) -> bool:
    if re.findall(r"[0-9]+", one) != re.findall(r"[0-9]+", other):
        return False
    if len(one) == len(other):
        differ = [at for at, (here, there) in enumerate(zip(one, other, strict=True)) if here != there]
        swapped = len(differ) == 2 and one[differ[0]] == other[differ[1]] and one[differ[1]] == other[differ[0]]
        return len(differ) == 1 or (swapped and differ[1] == differ[0] + 1)
    short, long = sorted((one, other), key=len)
    return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))
