"""Pixels go to a host far away in parts: what arrived is held there, and a link that was cut costs no more than one part.

A part is an evaluation of its own, of the same kit in the same folder's sub-folder, so that it is resumed by chunk as any other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.hosts.task import Task
from edgecnn.measure.conditions import same_conditions
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.runner.pixels import pixels_sha256
from edgecnn.values.profile import Environment

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_PASSES = 2
"""The machine may be set otherwise between two parts; whoever sets it again and again is not waited for."""


def evaluated_in_parts(kit: KitRef, file: Path, lab: Lab, work: Path, lease_s: float) -> dict[str, Any]:
    """Evaluate each part, and say of them together what ``evaluation.json`` says of one.

    Args:
        kit: what answers.
        file: ``.npy`` of uint8 pixels (N, crop_px, crop_px, 3).
        lab: whose host takes ``part_bytes`` at a time.
        work: gets a folder ``part-00000`` and so on, with the logits in chunks.
        lease_s: of one part.
    """
    import numpy as np

    pixels: npt.NDArray[np.uint8] = np.load(file, mmap_mode="r", allow_pickle=False)
    each = max(1, (lab.host.part_bytes or 0) // max(1, pixels[0].nbytes))
    starts = range(0, len(pixels), each)
    said: list[dict[str, Any]] = []
    for _ in range(_PASSES):
        said = []
        for number, start in enumerate(starts):
            out = work / f"part-{number:05d}"
            said.append(_part(kit, pixels[start : start + each], lab, out, lease_s))
        environments = [Environment.model_validate(part["environment"]) for part in said]
        if all(same_conditions(one, environments[-1]) for one in environments):
            break
    return {"environment": said[-1]["environment"], "pixels_sha256": pixels_sha256(pixels)}


def _part(kit: KitRef, pixels: npt.NDArray[np.uint8], lab: Lab, out: Path, lease_s: float) -> dict[str, Any]:
    """The array lies here only while it is sent: it is a copy of what the store has."""
    import numpy as np

    out.mkdir(exist_ok=True)
    file = out.with_name(f"{out.name}.npy")
    np.save(file, pixels)
    try:
        lab.host.run(Task(kit.folder, "evaluate", given={"--pixels": file}, out=out), lease_s=lease_s, tell=lab.tell)
    finally:
        file.unlink()
    found: dict[str, Any] = json.loads((out / "evaluation.json").read_text())
    return found
