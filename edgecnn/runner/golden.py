"""Check that a kit works on this machine: its files, golden pixels, feed and logits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional

import numpy as np

from .choice import chosen_knobs
from .feeds import feed_of, run_checked
from .kit import Kit
from .messages import RunnerError
from .pixels import UnreadableImage, decode, pixels_sha256, to_pixels
from .sessions import Session, check_knobs, open_session

_PILLOW_HINT = "this machine's Pillow gives other pixels than the one that made the kit; install the version that the kit needs"
REPEATS_WITHIN = 0.01
"""Largest difference of a second call, as a share of the golden logits' spread: some GPU kernels add in a changing order."""


def selftest(kit: Kit, knobs: Optional[Mapping[str, str]] = None) -> Dict[str, Any]:
    """Check files, requirements, golden pixels, golden feed and golden logits, in this order.

    Args:
        kit: the kit to test.
        knobs: the session's knobs; None: those in the ``choice.json`` of the bundle around the kit.

    Raises:
        RunnerError: the first failed check.
    """
    total = kit.verify_files()
    packages = kit.check_requirements()
    pixels = golden_pixels(kit)
    levels = check_photo(kit)
    check_golden_feed(kit, pixels)
    knobs = chosen_knobs(kit) if knobs is None else knobs
    check_knobs(kit, knobs)
    session = open_session(kit, knobs, batch=1)
    try:
        logits = check_logits(kit, session, pixels)
    finally:
        session.close()
    return {
        "kit": kit.sha256,
        "files": len(kit.manifest.files),
        "bytes": total,
        "packages": packages,
        "golden_pictures": len(pixels),
        "photo_levels": levels,
        "logits_difference": logits.difference,
        "logits_allowed": logits.allowed,
        "knobs": dict(knobs),
    }


class LogitsCheck(NamedTuple):
    """The largest difference from the golden logits, and the largest allowed."""

    difference: float
    allowed: float


def golden_pixels(kit: Kit) -> Any:
    """Return the golden PNGs as pixels, uint8 (images, *crop_px, 3).

    Raises:
        RunnerError: golden-pixels-differ, if the pixels of an image are not exactly the kit's.
    """
    stack = []
    for picture in kit.manifest.golden.png:
        pixels = _pixels_of(kit, picture.file)
        digest = pixels_sha256(pixels)
        if digest != picture.pixels_sha256:
            why = "SHA-256 of its pixels is {}…, expected {}…".format(digest[:12], picture.pixels_sha256[:12])
            what = "{}: does not become the golden pixels".format(picture.file)
            raise RunnerError("golden-pixels-differ", what, why, _PILLOW_HINT)
        stack.append(pixels)
    return np.stack(stack)


def check_photo(kit: Kit) -> int:
    """Decode the golden JPEG; return the largest difference from its golden pixels, in levels.

    Raises:
        RunnerError: golden-photo-differs, if the difference exceeds the kit's limit.
    """
    photo = kit.manifest.golden.jpeg
    if photo is None:
        return 0
    what = "{}: does not become the golden pixels".format(photo.file)
    expected = np.asarray(decode(kit.path(photo.pixels))).astype(np.int16)
    actual = _pixels_of(kit, photo.file).astype(np.int16)
    if actual.shape != expected.shape:
        why = "{} pixels, expected {}".format(list(actual.shape), list(expected.shape))
        raise RunnerError("golden-photo-differs", what, why, _PILLOW_HINT)
    levels = int(np.abs(actual - expected).max())
    if levels > photo.max_levels:
        why = "a pixel differs by {} levels, allowed are {}".format(levels, photo.max_levels)
        raise RunnerError("golden-photo-differs", what, why, _PILLOW_HINT)
    return levels


def feed_sha256(feed: Any) -> str:
    """Return SHA-256 of a feed's bytes in C order. Element-wise float32 arithmetic gives the same bytes on every machine."""
    return hashlib.sha256(np.ascontiguousarray(feed).tobytes()).hexdigest()


def check_golden_feed(kit: Kit, pixels: Any) -> None:
    """Compare the feed of the golden pixels with the feed on the machine that made the kit.

    Raises:
        RunnerError: golden-feed-differs.
    """
    digest = feed_sha256(feed_of(kit, pixels)[kit.manifest.model.input.name])
    if digest != kit.manifest.golden.feed_sha256:
        why = "SHA-256 of the feed is {}…, expected {}…".format(digest[:12], kit.manifest.golden.feed_sha256[:12])
        hint = "channels, layout or normalization differ from the kit's; package the kit again"
        raise RunnerError("golden-feed-differs", "the golden pixels give another feed", why, hint)


def check_logits(kit: Kit, session: Session, pixels: Any) -> LogitsCheck:
    """Compare the session's logits of golden pixels with the golden logits.

    Args:
        kit: names the golden logits and their tolerance.
        session: opened for a batch of 1, or of any size.
        pixels: uint8 (images, *crop_px, 3), in the order of the golden logits.

    Raises:
        RunnerError: golden-logits-differ; answers-vary, if a second call on the same image gives other logits.
    """
    golden = kit.manifest.golden
    expected = np.load(str(kit.path(golden.logits)), allow_pickle=False)
    feeds = [feed_of(kit, pixels[index : index + 1]) for index in range(len(pixels))]
    actual = np.concatenate([run_checked(session, kit, feed) for feed in feeds])
    if expected.shape != actual.shape:
        why = "it holds {}, this kit gives {}".format(list(expected.shape), list(actual.shape))
        raise RunnerError("golden-logits-differ", "{}: does not fit the kit".format(golden.logits), why, "package the kit again")
    difference = float(np.abs(actual - expected).max())
    allowed = float(golden.logits_tolerance * (expected.max() - expected.min()))
    if not difference <= allowed:  # so that NaN fails
        why = "they differ by up to {:.4g}, allowed are {:.4g}".format(difference, allowed)
        hint = "the runtime gives other logits here than where the kit was made; check the runtime's version"
        raise RunnerError("golden-logits-differ", "the model does not give the golden logits", why, hint)
    again = float(np.abs(run_checked(session, kit, feeds[0]) - actual[:1]).max())
    if not again <= REPEATS_WITHIN * (expected.max() - expected.min()):
        why = "two calls on the same image differ by up to {:.4g}".format(again)
        hint = "export the network in evaluation mode, without dropout or other random layers"
        raise RunnerError("answers-vary", "the model gives different outputs for the same image", why, hint)
    return LogitsCheck(difference, allowed)


def write_golden(kit: Kit, out: Path) -> Dict[str, Any]:
    """Write the feed of the first golden image and its golden logits as plain numbers into ``out``, to test another program.

    The feed has the type of the kit's input, the logits are float32; both are in C order.

    Raises:
        RunnerError: golden-pixels-differ.
    """
    name = kit.manifest.model.input.name
    feed = np.ascontiguousarray(feed_of(kit, golden_pixels(kit)[:1])[name])
    answers = np.load(str(kit.path(kit.manifest.golden.logits)), allow_pickle=False)
    out.mkdir(parents=True, exist_ok=True)
    feed.tofile(str(out / "golden-input.bin"))
    answers[:1].tofile(str(out / "golden-answer.bin"))
    allowed = kit.manifest.golden.logits_tolerance * (answers.max() - answers.min())
    return {"input": name, "shape": list(feed.shape), "dtype": str(feed.dtype), "allowed_difference": float(allowed)}


def _pixels_of(kit: Kit, name: str) -> Any:
    try:
        return to_pixels(decode(kit.path(name)), kit.manifest.recipe)
    except (UnreadableImage, OSError) as error:
        raise RunnerError("golden-pixels-differ", "{}: cannot be decoded here".format(name), str(error), _PILLOW_HINT) from error
