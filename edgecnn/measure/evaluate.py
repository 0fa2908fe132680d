"""Measure accuracy with the kit's own runner in a fresh process, and store the logits.

Results are written in chunks, so an interrupted evaluation resumes. A stored evaluation of the same kit on the same pixels is
reused if the conditions agree, because logits do not age. A remote host receives and keeps the pixels in parts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.gates import LogitsNotFinite
from edgecnn.errors.hosts import AnswerUnusable
from edgecnn.errors.measuring import PIXELS_CHANGED
from edgecnn.hosts.protocol import Task
from edgecnn.hosts.wire import Message, Unusable, parse_json, usable, validate
from edgecnn.judging.accuracy import check_finite
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab, same_conditions
from edgecnn.measure.race_request import empty_folder
from edgecnn.runner.feeds import feed_of
from edgecnn.runner.kit import Kit
from edgecnn.runner.pixels import pixels_sha256
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.base import Value
from edgecnn.values.profile import Environment
from edgecnn.values.verdict import Fidelity

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


LOGITS = "logits.npy"
LEASE_S = 600.0
"""Silence after which an evaluation is stopped; one chunk of images takes seconds."""


class PixelSet(Value):
    """Pixels of one split in a prepare artifact."""

    split: Literal["validation", "test"]
    file: Path
    sha256: str
    images: int

    @classmethod
    def prepared(cls, folder: Path, split: Literal["validation", "test"], images: int) -> PixelSet:
        """Return a split's pixels in the folder of a prepare artifact."""
        file = folder / f"{split}.pixels.npy"
        return cls(split=split, file=file, sha256=prepared_digests(folder)[split], images=images)


def prepared_digests(folder: Path) -> Mapping[str, str]:
    """Return the SHA-256 of each role's pixels in a prepare artifact; OSError or ValueError if it cannot be read."""
    digests: Mapping[str, str] = json.loads((folder / "pixels.json").read_text(encoding="utf-8"))
    return digests


def prepared_groups(folder: Path, split: str) -> npt.NDArray[np.int64] | None:
    """Return the group of each image of a prepare artifact's role, (images,); None if images are independent.

    Raises OSError, ValueError: it cannot be read.
    """
    import numpy as np

    file = folder / f"{split}.groups.npy"
    groups: npt.NDArray[np.int64] | None = np.load(file, allow_pickle=False) if file.exists() else None
    return groups


def evaluate(kit: KitRef, pixels: PixelSet, lab: Lab, begin: Callable[[], None] | None = None) -> StoredProfile:
    """Return the stored evaluation of a kit on these pixels, or make one.

    ``begin`` is called before a new evaluation; without ``begin``, a note is printed.

    Raises RunnerFailed: the kit refused, with its reason.
    """
    stored = stored_evaluation(kit, pixels, lab)
    if stored is not None:
        return stored
    if begin is None:
        lab.tell.note(f"evaluate {kit.candidate.id} on {pixels.split}: {pixels.images} images")
    else:
        begin()
    with lab.store.workspace("evaluation", f"{kit.digest[:32]}-{pixels.sha256[:32]}{lab.lane}", lab.tell) as work:
        stored = stored_evaluation(kit, pixels, lab)  # another process may have finished while this one waited
        if stored is not None:
            return stored
        facts = _run_evaluation(kit, pixels, lab.doing(f"evaluate {kit.candidate.id} on {pixels.split}"), work)
        if facts.pixels_sha256 != pixels.sha256:
            raise PIXELS_CHANGED(file=pixels.file, split=pixels.split)
        try:
            with usable(lab.board, "evaluate"):
                logits = _join_logits(sorted(work.rglob("logits-*.npy")), pixels.images, work / LOGITS)
        except AnswerUnusable:
            empty_folder(work)  # a process that resumes from these files would fail again
            raise
        environment = facts.environment
        about = {"what": "evaluation", "pixels": pixels.sha256, "images": pixels.images, "logits_file": LOGITS}
        fidelity = Fidelity.EMULATED if kit.stands_for else environment.fidelity
        profile = lab.profile(kit, environment, fidelity=fidelity, **about)
        return lab.store.profiles.add(profile, {LOGITS: logits})


def stored_evaluation(kit: KitRef, pixels: PixelSet, lab: Lab) -> StoredProfile | None:
    """Return the newest evaluation of this kit on these pixels under this machine's conditions, if there is one."""
    for stored in lab.store.profiles.of(kit.digest, "evaluation"):
        if stored.profile.pixels == pixels.sha256 and same_conditions(stored.profile.environment, lab.environment_of(kit)):
            return stored
    return None


def logits_of(stored: StoredProfile) -> npt.NDArray[np.float32]:
    """Return the logits of a stored evaluation, float32 (images, classes), memory-mapped and read-only."""
    import numpy as np

    path = stored.file(stored.profile.logits_file or LOGITS)
    logits: npt.NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    return logits


def _run_evaluation(kit: KitRef, pixels: PixelSet, lab: Lab, work: Path) -> Evaluation:
    if lab.host.part_bytes is not None and pixels.file.stat().st_size > lab.host.part_bytes:
        return evaluate_in_parts(kit, pixels.file, lab, work, LEASE_S)
    task = Task(kit.folder, "evaluate", inputs={"--pixels": pixels.file}, out=work, made_here=kit.made_here)
    lab.host.run(task, lease_s=LEASE_S, tell=lab.tell)
    return _evaluation(work, lab)


class Evaluation(Message):
    """Content of a runner's ``evaluation.json``."""

    environment: Environment
    pixels_sha256: str


def _evaluation(folder: Path, lab: Lab) -> Evaluation:
    with usable(lab.board, "evaluate"):
        try:
            return validate(Evaluation, parse_json((folder / "evaluation.json").read_bytes()))
        except OSError as error:
            raise Unusable("it left no evaluation.json") from error


def _join_logits(chunks: Sequence[Path], images: int, target: Path) -> Path:
    """Write all logits to one file. Raises Unusable: they are not float32 (images, classes)."""
    import numpy as np

    try:
        arrays = [np.load(chunk, mmap_mode="r", allow_pickle=False) for chunk in chunks]
    except Exception as error:  # noqa: BLE001 - numpy does not document what reading a damaged header raises
        raise Unusable(f"logits that are not an array: {error}") from error
    shapes = {array.shape[1:] for array in arrays}
    readable = (array for array in arrays if array.ndim == 2 and array.dtype == np.float32)  # noqa: PLR2004 - (images, classes)
    rows = sum(len(array) for array in readable)
    if rows != images or len(shapes) != 1:
        raise Unusable(f"float32 logits of {rows:,} images instead of {images:,}")
    np.save(target, np.concatenate(arrays))
    return target


_PASSES = 2
"""Attempts if the machine's settings change between two parts."""


def evaluate_in_parts(kit: KitRef, file: Path, lab: Lab, work: Path, lease_s: float) -> Evaluation:
    """Evaluate pixels in parts that the host accepts, and return the description of the whole evaluation.

    Args:
        kit: the kit.
        file: ``.npy`` of uint8 pixels (N, *crop_px, 3).
        lab: a lab whose host accepts ``part_bytes`` at a time.
        work: folder that receives ``part-00000`` and so on, with the logits in chunks.
        lease_s: silence after which the host stops a part.
    """
    import numpy as np

    pixels: npt.NDArray[np.uint8] = np.load(file, mmap_mode="r", allow_pickle=False)
    step = max(1, (lab.host.part_bytes or 0) // max(1, pixels[0].nbytes))
    starts = range(0, len(pixels), step)
    evaluations: list[Evaluation] = []
    for _ in range(_PASSES):
        evaluations = []
        for number, start in enumerate(starts):
            out = work / f"part-{number:05d}"
            evaluations.append(_evaluate_part(kit, pixels[start : start + step], lab, out, lease_s))
        if all(same_conditions(part.environment, evaluations[-1].environment) for part in evaluations):
            break
    return Evaluation(environment=evaluations[-1].environment, pixels_sha256=pixels_sha256(pixels))


def _evaluate_part(kit: KitRef, pixels: npt.NDArray[np.uint8], lab: Lab, out: Path, lease_s: float) -> Evaluation:
    """Evaluate a part of the pixels, whose file exists only while it is sent."""
    import numpy as np

    out.mkdir(exist_ok=True)
    file = out.with_name(f"{out.name}.npy")
    np.save(file, pixels)
    try:
        task = Task(kit.folder, "evaluate", inputs={"--pixels": file}, out=out, made_here=kit.made_here)
        lab.host.run(task, lease_s=lease_s, tell=lab.tell)
    finally:
        file.unlink()
    return _evaluation(out, lab)


def nonfinite(kit: KitRef, logits: npt.NDArray[np.float32], split: str, pixels: Path) -> EdgecnnError | None:
    """Return the error of logits that are NaN or infinite, with the layer that causes them; None if all are finite.

    ``logits``: (images, classes). ``pixels``: as in ``blamed_layer``.
    """
    try:
        check_finite(kit.candidate.id, logits)
    except LogitsNotFinite as error:
        return error.located(split, blamed_layer(kit, pixels, error.fields["image"]))
    return None


TRACEABLE = "onnxruntime"
"""The only runtime that can show every layer's output, because its model file is ONNX."""


def blamed_layer(kit: KitRef, pixels: Path, image: int) -> str:
    """Return a sentence that names the first layer with NaN or infinity, or says why no layer can be named.

    ``pixels``: ``.npy`` of uint8 (N, *crop_px, 3), the input. ``image``: index of the image, from 0.
    """
    if not kit.made_here:
        return "the layer is unknown: the network of a kit from elsewhere is run only in a sandbox"
    if kit.runtime != TRACEABLE:
        return f"the layer is unknown: {kit.runtime} does not show the outputs of its layers"
    try:
        layer = _first_bad(kit, pixels, image)
    except Exception as error:  # noqa: BLE001 - the explanation is optional; the failure itself is reported anyway
        return f"the layer is unknown: {type(error).__name__} when looking layer by layer"
    return layer or "no single, unfused layer produces it"


def _first_bad(kit: KitRef, pixels: Path, image: int) -> str | None:
    import numpy as np

    from edgecnn.graph.checks import first_nonfinite

    opened = Kit.open(kit.folder)
    shown = np.load(pixels, mmap_mode="r", allow_pickle=False)[image : image + 1]
    model = opened.manifest.model
    feed = feed_of(opened, np.ascontiguousarray(shown))[model.input.name]
    layer = first_nonfinite(opened.path(model.entry), feed, opened.manifest.session.options)
    return None if layer is None else str(layer)
