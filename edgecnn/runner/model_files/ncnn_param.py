"""The checks of ncnn's ``.param`` file: a line for each layer, with the numbers by which it reads its weights."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, List, Mapping

_MAGIC = "7767517"
"""The first line of a network in text (ncnn, docs/developer-guide/param-and-model-file-structure.md)."""


def param_fault(name: str, content: Any, sizes: Mapping[str, int]) -> str:
    """Return what is wrong with a model, or nothing; see ``model_fault``."""
    weights = sizes.get(PurePosixPath(name).with_suffix(".bin").name, 0)
    try:
        magic, said, *layers = bytes(content).decode("ascii").splitlines()
        counts = [int(word) for word in said.split()]
    except ValueError:
        magic, counts, layers = "", [], []
    words = [line.split() for line in layers]
    if (
        magic.strip() != _MAGIC
        or len(counts) != 2
        or not 0 < counts[0] <= len(words)
        or not 0 < counts[1] <= sum(map(len, words))
    ):
        return "it is no network of ncnn"
    for kind, *rest in filter(None, words):
        numbers = [int(value) for key, _, value in (word.partition("=") for word in rest) if key.isdigit() and value.isdigit()]
        most = max([_product(numbers)] if kind == "MemoryData" else numbers, default=0)
        if most > 8 * weights:  # no weight takes less than a bit
            return "a layer {} of it would take {:,} numbers, and its weights have {:,} bytes".format(
                ascii(kind)[:100], most, weights
            )
    return ""


def _product(numbers: List[int]) -> int:
    product = 1
    for number in numbers:
        product *= number
    return product
