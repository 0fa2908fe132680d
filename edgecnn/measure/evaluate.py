"""Accuracy is asked of the kit, by its own runner in a fresh process, and filed as logits.

Chunks are files: what an interrupted evaluation finished is not run again, and a stored evaluation of the same kit on the
same pixels serves as long as the conditions agree, since logits do not age.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgecnn.errors.measuring import PixelsChanged
from edgecnn.hosts.task import Task
from edgecnn.measure.conditions import same_conditions
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.parts import evaluated_in_parts
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.base import Value
from edgecnn.values.profile import Environment, Profile
from edgecnn.values.verdict import Fidelity

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LOGITS = "logits.npy"
LEASE_S = 600.0
"""Silence for so long ends an evaluation: one chunk of images takes seconds."""


class PixelSet(Value):
    """One split's pixels in a prepare artifact."""

    split: Literal["choose", "report"]
    file: Path
    sha256: str
    images: int

    @classmethod
    def prepared(cls, folder: Path, split: Literal["choose", "report"], images: int) -> PixelSet:
        """That of a split in the folder of a prepare artifact."""
        file = folder / f"{split}.pixels.npy"
        return cls(split=split, file=file, sha256=prepared_digests(folder)[split], images=images)


def prepared_digests(folder: Path) -> Mapping[str, str]:
    """SHA-256 of each role's pixels, as a prepare artifact says; an OSError or a ValueError where it cannot be read."""
    digests: Mapping[str, str] = json.loads((folder / "pixels.json").read_text())
    return digests


def evaluate(kit: KitRef, pixels: PixelSet, lab: Lab) -> StoredProfile:
    """The stored evaluation of a kit on these pixels, made now where there is none.

    Raises:
        RunnerFailed: the kit refused, with its own words.
    """
    stored = stored_evaluation(kit, pixels, lab)
    if stored is not None:
        return stored
    lab.tell.note(f"evaluate {kit.candidate.id} on {pixels.split}: {pixels.images} images")
    with lab.store.workspace("evaluation", f"{kit.digest[:32]}-{pixels.sha256[:32]}{lab.lane}", lab.tell) as work:
        stored = stored_evaluation(kit, pixels, lab)  # another process may have finished while this one waited
        if stored is not None:
            return stored
        facts = _asked(kit, pixels, lab, work)
        if facts["pixels_sha256"] != pixels.sha256:
            raise PixelsChanged(file=pixels.file, split=pixels.split)
        environment = Environment.model_validate(facts["environment"])
        profile = Profile(
            what="evaluation",
            subject=kit.digest,
            device=lab.device,
            host=lab.machine,
            environment=environment,
            fidelity=Fidelity.EMULATED if kit.stands_for else environment.fidelity,
            observed_at=datetime.now(UTC).isoformat(timespec="seconds"),
            pixels=pixels.sha256,
            images=pixels.images,
            logits_file=LOGITS,
        )
        return lab.store.profiles.add(profile, {LOGITS: _joined(sorted(work.rglob("logits-*.npy")), work / LOGITS)})


def stored_evaluation(kit: KitRef, pixels: PixelSet, lab: Lab) -> StoredProfile | None:
    """The newest evaluation of this kit on these pixels whose conditions are this machine's, if there is one."""
    for stored in lab.store.profiles.of(kit.digest, "evaluation"):
        if stored.profile.pixels == pixels.sha256 and same_conditions(stored.profile.environment, lab.environment_of(kit)):
            return stored
    return None


def logits_of(stored: StoredProfile) -> npt.NDArray[np.float32]:
    """The answers of a stored evaluation, float32 (images, classes), mapped from its file and read only."""
    import numpy as np

    path = stored.file(stored.profile.logits_file or LOGITS)
    logits: npt.NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    return logits


def _asked(kit: KitRef, pixels: PixelSet, lab: Lab, work: Path) -> dict[str, Any]:
    if lab.host.part_bytes is not None and pixels.file.stat().st_size > lab.host.part_bytes:
        return evaluated_in_parts(kit, pixels.file, lab, work, LEASE_S)
    lab.host.run(Task(kit.folder, "evaluate", given={"--pixels": pixels.file}, out=work), lease_s=LEASE_S, tell=lab.tell)
    facts: dict[str, Any] = json.loads((work / "evaluation.json").read_text())
    return facts


def _joined(chunks: Sequence[Path], target: Path) -> Path:
    import numpy as np

    np.save(target, np.concatenate([np.load(chunk, allow_pickle=False) for chunk in chunks]).astype(np.float32, copy=False))
    return target
