"""How many numbers a network learned, told from the header of its weights file: torch is not imported, and no tensor is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import prod
from pathlib import Path

from edgecnn.values.arch import ArchSpec

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""How the names of what batch norms counted end, which is no parameter."""


def parameters_that_ship(spec: ArchSpec, file: Path) -> int:
    """Of a network with these weights, without the auxiliary heads that only helped it to learn.

    Args:
        spec: its row.
        file: safetensors, as training writes it.
    """
    return sum(
        prod(shape)
        for name, shape in _shapes(file).items()
        if not name.endswith(STATISTICS) and not name.startswith(spec.left_behind)
    )


def _shapes(file: Path) -> dict[str, Sequence[int]]:
    """https://huggingface.co/docs/safetensors: 8 bytes of length (little-endian), and that much JSON."""
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return {name: tensor["shape"] for name, tensor in header.items() if name != "__metadata__"}
