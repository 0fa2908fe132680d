"""Classify images with a kit: in programs that embed it, from many files, and end to end for timing.

Every expected error is a ``RunnerError`` with ``ref``, ``what``, ``because`` and ``hint``. Its text is one line with the file,
the cause and the fix.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
from PIL import Image

from .choice import chosen_knobs
from .feeds import feed_of, run_checked
from .files import cause_of_missing
from .kit import Kit
from .messages import RunnerError as RunnerError  # programs import it from here
from .pixels import UnreadableImage, decode, decode_opened, open_picture, to_pixels
from .sessions import Session, check_knobs, open_session

_PROGRESS_AFTER_S = 2.0
UNREADABLE_FIX = "pass images in a supported format, such as JPEG or PNG"


class Classifier:
    """An opened kit. Any number of threads may call ``predict``; one of them computes at a time.

    Args:
        folder: the kit's folder. Its files are compared with ``kit.json`` first.
        knobs: the session's knobs; None: those in the ``choice.json`` of the bundle around the kit.

    Raises:
        RunnerError: no-kit, bad-manifest, kit-file-missing, kit-file-changed, kit-file-link or kit-file-unlisted, if the folder
            is not a complete kit; wrong-machine, wrong-python, missing-package or wrong-package-version, if this machine lacks
            something; runtime-refused-model, engine-not-built and others of the runtime.
    """

    def __init__(self, folder: Union[str, Path], knobs: Optional[Mapping[str, str]] = None) -> None:
        self.kit = Kit.open(Path(folder))
        self.kit.verify_files()
        self.kit.check_requirements()
        self.knobs: Dict[str, str] = dict(chosen_knobs(self.kit) if knobs is None else knobs)
        check_knobs(self.kit, self.knobs)
        self._session = open_session(self.kit, self.knobs, batch=1)
        self._lock = threading.Lock()

    @property
    def sha256(self) -> str:
        """SHA-256 of the kit's ``kit.json``, which lists every other file with its own."""
        return self.kit.sha256

    @property
    def labels(self) -> Tuple[str, ...]:
        """All classes, in the order of the model's output."""
        return self.kit.manifest.labels

    @property
    def thresholds(self) -> Optional[Tuple[float, ...]]:
        """Thresholds of a multi-label network, in the order of ``labels``; None for a network with one class per image."""
        return self.kit.manifest.thresholds

    def predict(self, image: Any) -> List[Tuple[str, float]]:
        """Return labels with softmax probabilities, most probable first.

        A multi-label network returns every label whose probability reaches its threshold, which may be none.

        Args:
            image: a path or an open binary file, a PIL image, or uint8 RGB pixels (H, W, 3) of any size. A PIL image that was
                opened from a file gives the same result as its path, with its EXIF orientation applied.

        Raises:
            RunnerError: unreadable-image.
        """
        return self.classify(self.pixels(image))

    def pixels(self, image: Any) -> Any:
        """Return an image as the model's pixels, uint8 RGB (*crop_px, 3): the first half of ``predict``.

        Args:
            image: see ``predict``.

        Raises:
            RunnerError: unreadable-image.
        """
        try:
            return to_pixels(_decoded(image, self.kit.manifest.recipe.grey_window), self.kit.manifest.recipe)
        except UnreadableImage as error:  # too narrow to be resized
            raise _unreadable(image, error) from error

    def classify(self, pixels: Any) -> List[Tuple[str, float]]:
        """Return labels with probabilities, most probable first: the second half of ``predict``.

        Args:
            pixels: the result of ``pixels``.
        """
        feed = feed_of(self.kit, pixels[None])
        with self._lock:
            logits = run_checked(self._session, self.kit, feed)[0].astype(np.float64)
        shares = probabilities(logits, self.thresholds is not None)
        bounds = self.thresholds or (0.0,) * len(shares)
        ranked = np.argsort(-shares, kind="stable")
        return [(self.labels[index], float(shares[index])) for index in ranked if shares[index] >= bounds[index]]

    def close(self) -> None:
        """Release the model."""
        self._session.close()


def probabilities(logits: Any, several: bool) -> Any:
    """Return the softmax of logits, float64 (classes,); for several labels, the logistic function of each logit."""
    if several:
        return 1.0 / (1.0 + np.exp(-np.clip(logits, -700.0, 700.0)))
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


def _decoded(image: Any, grey_window: Tuple[int, int]) -> Any:
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            actual = "{} {}".format(image.dtype, list(image.shape))
            raise RunnerError("unreadable-image", "an array must be uint8 RGB pixels (H, W, 3)", actual)
        return Image.fromarray(image)
    try:
        return decode_opened(image, grey_window) if isinstance(image, Image.Image) else decode(image, grey_window)
    except (UnreadableImage, OSError) as error:
        raise _unreadable(image, error) from error


def _unreadable(image: Any, error: Exception) -> RunnerError:
    because = cause_of_missing(error) or str(error)
    return RunnerError("unreadable-image", "{}: cannot be read as an image".format(image), because, UNREADABLE_FIX)


def predict_files(classifier: Classifier, files: Sequence[Any], top: int, tell: Callable[[int], None]) -> Dict[str, Any]:
    """Return the most probable labels of every image; for a multi-label network, all labels that reach their thresholds.

    Args:
        classifier: opened.
        files: paths.
        top: the number of labels; not used for a multi-label network.
        tell: called with the number of classified images, once the call has taken two seconds.

    Returns:
        ``predictions``, a list of ``file`` and ``labels`` (``label``, ``probability``, most probable first), and ``unreadable``,
        a list of ``file`` and ``because``.
    """
    predictions: List[Dict[str, Any]] = []
    unreadable: List[Dict[str, str]] = []
    began = time.monotonic()
    for count, file in enumerate(files, start=1):
        try:
            labels = classifier.predict(file)[: top if classifier.thresholds is None else None]
        except RunnerError as error:
            if error.ref != "unreadable-image":
                raise
            unreadable.append({"file": str(file), "because": error.because or error.what})
        else:
            predictions.append({"file": str(file), "labels": [{"label": name, "probability": share} for name, share in labels]})
        if time.monotonic() - began >= _PROGRESS_AFTER_S:
            tell(count)
    return {"predictions": predictions, "unreadable": unreadable}


def run_on_file(kit: Kit, session: Session, path: Path) -> Mapping[str, Any]:
    """Read, decode, resize, crop, normalize and classify an image, like ``Classifier.predict``; return arrays by output name."""
    recipe = kit.manifest.recipe
    return session.run(feed_of(kit, to_pixels(decode(path, recipe.grey_window), recipe)[None]))


def golden_photo(kit: Kit) -> Tuple[Path, str]:
    """Return the kit's JPEG and its description, such as ``JPEG of 640 x 480 pixels and 81,204 bytes``.

    Raises:
        RunnerError: no-golden-photo.
    """
    photo = kit.manifest.golden.jpeg
    if photo is None:
        raise RunnerError("no-golden-photo", "{}: has no JPEG to decode".format(kit.manifest.name), hint="package it again")
    path = kit.path(photo.file)
    with open_picture(path) as image:
        width, height = image.size
    return path, "JPEG of {} x {} pixels and {:,} bytes".format(width, height, path.stat().st_size)
