"""Compute the logits of all images with the shipped kit, in chunks that a second call does not repeat."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple, Optional

import numpy as np

from .feeds import check_batch, feed_of, run_checked
from .files import make_folder, read_json, write_array, write_json
from .kit import Kit
from .machine.environment import read_environment
from .messages import RunnerError, Teller, note
from .packages import runtime_of
from .pixels import pixels_sha256
from .sessions import Session, open_session

SCHEMA = "edgecnn.evaluation/1"
REQUEST = "request.json"
RESULT = "evaluation.json"
DEFAULT_CHUNK = 256
DEFAULT_BATCH = 16


class Work(NamedTuple):
    """The images to evaluate: uint8 pixels (N, *crop_px, 3), images per file, and images per call."""

    pixels: Any
    chunk: int
    batch: int


def evaluate(kit: Kit, pixels_path: Path, out: Path, chunk: int = DEFAULT_CHUNK, batch: Optional[int] = None) -> Dict[str, Any]:
    """Write ``logits-00000.npy``… (float32, (at most ``chunk``, classes)) into ``out``, and ``evaluation.json`` last.

    Chunks of an earlier call for the same kit, pixels and conditions are kept. ``images_per_s`` covers conversion, inference and
    writing of this call's images, without opening the model; None if every chunk existed.

    Args:
        kit: the kit to run.
        pixels_path: ``.npy`` of uint8 (N, *crop_px, 3).
        out: created if absent.
        chunk: images per file.
        batch: images per call. The last call of a chunk repeats its last image to fill the batch.

    Raises:
        RunnerError: the kit was changed, the pixels do not fit it, or the folder has another evaluation.
    """
    kit.verify_files()
    kit.check_requirements()
    pixels = _read_pixels(kit, pixels_path)
    if batch is not None:
        check_batch(kit, batch)
    work = Work(pixels, chunk, batch or min(DEFAULT_BATCH, kit.manifest.model.batch_max))
    make_folder(out)
    environment = read_environment(runtime_of(kit.manifest.session.module))
    request = {
        "schema": SCHEMA,
        "images": len(work.pixels),
        "classes": kit.manifest.model.output.classes,
        "chunk": chunk,
        "batch": work.batch,
        "pixels_sha256": pixels_sha256(work.pixels),
        "kit": kit.sha256,
    }
    if _claim(out, request, environment["conditions"]) and (out / RESULT).is_file():
        return dict(read_json(out / RESULT))
    result = dict(request, environment=environment, **_compute_missing(kit, work, out))
    write_json(out / RESULT, result)
    return result


def chunk_file(out: Path, index: int) -> Path:
    """Return the file of a chunk's logits."""
    return out / "logits-{:05d}.npy".format(index)


def _compute_missing(kit: Kit, work: Work, out: Path) -> Dict[str, Any]:
    starts = range(0, len(work.pixels), work.chunk)
    todo = [start for start in starts if not chunk_file(out, start // work.chunk).is_file()]
    images = sum(min(work.chunk, len(work.pixels) - start) for start in todo)
    seconds = 0.0
    if todo:
        session = open_session(kit, batch=work.batch)
        teller = Teller("evaluate " + kit.manifest.name, len(work.pixels), "images")
        begin = time.perf_counter()
        try:
            done = len(work.pixels) - images
            for start in todo:
                logits = np.empty((min(work.chunk, len(work.pixels) - start), kit.manifest.model.output.classes), np.float32)
                for offset, part in _batches(kit, session, work, start):
                    logits[offset : offset + len(part)] = part
                    teller.step(done + offset + len(part))
                write_array(chunk_file(out, start // work.chunk), logits)
                done += len(logits)
        finally:
            session.close()
        seconds = time.perf_counter() - begin
    return {"seconds": seconds, "evaluated_now": images, "images_per_s": images / seconds if images else None}


def _batches(kit: Kit, session: Session, work: Work, start: int) -> Iterator[Any]:
    stop = min(start + work.chunk, len(work.pixels))
    for first in range(start, stop, work.batch):
        pixels = work.pixels[first : min(first + work.batch, stop)]
        count = len(pixels)
        if count < work.batch:
            pixels = np.concatenate([pixels, np.repeat(pixels[-1:], work.batch - count, axis=0)])
        yield first - start, run_checked(session, kit, feed_of(kit, pixels))[:count]


def _claim(out: Path, request: Dict[str, Any], conditions: Dict[str, str]) -> bool:
    """Return whether ``out`` belongs to this request already; otherwise claim it."""
    path, wanted = out / REQUEST, dict(request, conditions=conditions)
    previous = read_json(path) if path.is_file() else None
    if previous == wanted:
        return True
    if previous is not None:
        for name in sorted(request):
            if previous.get(name) != request[name]:
                difference = "its {} is {!r} instead of {!r}".format(name, previous.get(name), request[name])
                raise RunnerError(
                    "other-evaluation", "{}: holds another evaluation".format(out), difference, "pass an empty folder"
                )
        note("{}: the conditions of this machine changed, so the evaluation starts again".format(out))
    for stale in sorted(out.glob("logits-*.npy")) + [out / RESULT]:
        if stale.is_file():
            stale.unlink()
    write_json(path, wanted)
    return False


def _read_pixels(kit: Kit, path: Path) -> Any:
    try:
        pixels = np.load(str(path), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise RunnerError("unreadable-pixels", "{}: not an array of pixels".format(path), str(error)) from error
    shape = [*kit.manifest.recipe.crop_px, 3]
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or list(pixels.shape[1:]) != shape or not len(pixels):
        actual = "{} {}, expected uint8 {}".format(pixels.dtype, list(pixels.shape), ["N"] + shape)
        raise RunnerError("unfit-pixels", "{}: not pixels for this kit".format(path), actual)
    return pixels
