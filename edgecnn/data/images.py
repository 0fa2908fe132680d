"""The images of a manifest by role, from a folder or the demo. Bytes that differ from the plan's are refused."""

from __future__ import annotations

import hashlib
import stat
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from pydantic import ValidationError

from edgecnn.data.decoders import decoders
from edgecnn.data.demo import DEMO_FILE, DEMO_PARTS
from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.data import DEMO_DAMAGED, IMAGE_CHANGED, IMAGE_GONE, MANIFEST_UNREADABLE, corrupt_images
from edgecnn.runner.causes import why_no_image
from edgecnn.runner.files import bounded_content, open_regular
from edgecnn.runner.pixel_recipe import ALL_LEVELS
from edgecnn.runner.pixels import (
    MAX_PIXELS,
    UNSUPPORTED_FORMAT,
    PixelRecipe,
    UnreadableImage,
    to_pixels,
)
from edgecnn.store.disk import refuse_known_cause
from edgecnn.values.base import Value, another_schema
from edgecnn.values.dataset import SPLIT_ROLES, DataManifest, ImageEntry, SplitRole

_DEMO_COUNT = sum(count for _, count in DEMO_PARTS)
_List = TypeVar("_List", bound=Value)
_DEMO_STARTS: Mapping[str, int] = {
    part: start for (part, _), start in zip(DEMO_PARTS, accumulate((count for _, count in DEMO_PARTS), initial=0), strict=False)
}
LARGEST_BYTES: Final = 1 << 31
"""No image within ``MAX_PIXELS`` is larger, at 8 bytes a pixel. Files are read completely, on every core at once."""


@cache
def demo_images() -> npt.NDArray[np.uint8]:
    """Return grey levels, uint8 (15000, 28, 28), in the order of ``DEMO_PARTS``.

    Raises DEMO_DAMAGED: the file is absent, truncated or different.
    """
    return _demo_array("images", (_DEMO_COUNT, 28, 28))


def demo_digests() -> Iterator[tuple[int, str]]:
    """Return the label of every image, and the SHA-256 of its 784 grey levels. Raises DEMO_DAMAGED: as ``demo_images``."""
    for label, image in zip(_demo_array("labels", (_DEMO_COUNT,)).tolist(), demo_images(), strict=True):
        yield label, hashlib.sha256(image.data).hexdigest()


def _demo_array(name: str, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    try:
        with np.load(DEMO_FILE, allow_pickle=False) as arrays:
            array: npt.NDArray[np.uint8] = arrays[name]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DEMO_DAMAGED(path=DEMO_FILE, because=str(error)) from error
    if array.shape != shape or array.dtype != np.uint8:
        raise DEMO_DAMAGED(path=DEMO_FILE, because=f"{name} is {array.dtype} {array.shape}")
    return array


class ImageSource(ABC):
    """Images with labels and roles. Reading is thread-safe."""

    def __init__(self, manifest: DataManifest) -> None:
        self.manifest = manifest

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.manifest.classes

    def entries(self, role: SplitRole) -> tuple[ImageEntry, ...]:
        """Return the images of one role, ordered so that every prefix holds the classes in their proportions."""
        return self._role_images[role]

    def training_entries(self) -> tuple[ImageEntry, ...]:
        """Return the images of the role ``train``, then those of ``calibration``, which train too and set the ranges of INT8."""
        return (*self.entries("train"), *self.entries("calibration"))

    def labels(self, entries: Sequence[ImageEntry]) -> npt.NDArray[Any]:
        """Return class indices int64 (N,), or for a multi-label data set uint8 (N, classes) with 1 for each label."""
        if not self.manifest.multi_label:
            return np.array([entry.label for entry in entries], np.int64)
        has = np.zeros((len(entries), len(self.classes)), np.uint8)
        for row, entry in enumerate(entries):
            has[row, list(entry.labels or ())] = 1
        return has

    def groups(self, entries: Sequence[ImageEntry]) -> npt.NDArray[np.int64] | None:
        """Return numbers (N,), equal for images of one group by ``data.group_by``; None if no image has a group."""
        if all(entry.group is None for entry in entries):
            return None
        names = [f"{row} alone" if entry.group is None else f"group {entry.group}" for row, entry in enumerate(entries)]
        return np.unique(names, return_inverse=True)[1].astype(np.int64)

    def label_text(self, entry: ImageEntry) -> str:
        """Return the name of the image's class, or the names of its labels."""
        shown = (entry.label,) if entry.labels is None else entry.labels
        return ", ".join(self.classes[label] for label in shown) or "no label"

    @cached_property
    def _role_images(self) -> dict[SplitRole, tuple[ImageEntry, ...]]:
        return {role: tuple(image for image in self.manifest.images if image.role == role) for role in SPLIT_ROLES}

    @abstractmethod
    def read(self, entry: ImageEntry, grey_window: tuple[int, int] = ALL_LEVELS) -> Image.Image:
        """Return one image as upright RGB at its own resolution, as ``runner.pixels.decode`` defines it.

        Raises:
            IMAGE_GONE: the file no longer exists or cannot be read.
            IMAGE_CHANGED: its bytes differ from the manifest's. WRONG_BYTES: the same, with a known cause.
            CorruptImages: it cannot be decoded completely.
        """

    def pixels(self, entry: ImageEntry, recipe: PixelRecipe) -> npt.NDArray[np.uint8]:
        """Return one image as a kit receives it: uint8 (*crop_px, 3).

        Raises IMAGE_GONE, IMAGE_CHANGED: as ``read``. CorruptImages: as ``read``, or the image is too narrow to resize.
        """
        try:
            return to_pixels(self.read(entry, recipe.grey_window), recipe)
        except UnreadableImage as error:
            raise self._corrupt_error(entry, error) from error

    def _corrupt_error(self, entry: ImageEntry, error: UnreadableImage) -> EdgecnnError:
        return corrupt_images(root=self.manifest.root, broken=[(entry.path, error.why)], checked=1)


class FolderImages(ImageSource):
    """Images in files."""

    def bytes_of(self, entry: ImageEntry) -> bytes:
        """Return a file's bytes, if they are those of the manifest. Raises IMAGE_GONE, IMAGE_CHANGED, WRONG_BYTES: see
        ``ImageSource.read``.
        """
        path = Path(self.manifest.root, entry.path)
        try:
            data = bounded_content(path, LARGEST_BYTES)
        except OSError as error:
            raise IMAGE_GONE(path=path, because=system_reason(error)) from error
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            refuse_known_cause(path, data)
            raise IMAGE_CHANGED(path=path)
        return data

    def read(self, entry: ImageEntry, grey_window: tuple[int, int] = ALL_LEVELS) -> Image.Image:
        """See ``ImageSource.read``."""
        data = self.bytes_of(entry)
        try:
            return decoders().rgb(data, grey_window)
        except UnreadableImage as error:
            raise self._corrupt_error(entry, error) from error

    def pixels(self, entry: ImageEntry, recipe: PixelRecipe) -> npt.NDArray[np.uint8]:
        """See ``ImageSource.pixels``."""
        data = self.bytes_of(entry)
        try:
            return decoders().pixels(data, recipe)
        except UnreadableImage as error:
            raise self._corrupt_error(entry, error) from error


class DemoImages(ImageSource):
    """The embedded images: grey levels, the same in all three channels."""

    def read(self, entry: ImageEntry, grey_window: tuple[int, int] = ALL_LEVELS) -> Image.Image:
        """See ``ImageSource.read``. Raises DEMO_DAMAGED: the demo's file differs from the plan's."""
        part, _, number = entry.path.partition("/")
        grey = demo_images()[_DEMO_STARTS[part] + int(number)]
        if hashlib.sha256(grey.data).hexdigest() != entry.sha256:
            raise DEMO_DAMAGED(path=DEMO_FILE, because=f"{entry.path} is another image")
        return Image.fromarray(np.repeat(grey[..., None], 3, axis=2))


def read_list(kind: type[_List], path: Path) -> _List:
    """Read a stored list of images. Raises MANIFEST_UNREADABLE: the file is absent, damaged or of another version."""
    try:
        content = path.read_bytes()
        return kind.model_validate_json(content)
    except OSError as error:
        raise MANIFEST_UNREADABLE(path=path, because=system_reason(error)) from error
    except ValidationError as error:
        raise MANIFEST_UNREADABLE(
            path=path, because=another_schema(content, kind.model_fields["schema_"].default) or f"{error.error_count()} faults"
        ) from error


def open_source(manifest_path: Path) -> ImageSource:
    """Open the images that a manifest lists. Raises MANIFEST_UNREADABLE: the file is absent, damaged or of another version."""
    manifest = read_list(DataManifest, manifest_path)
    return DemoImages(manifest) if manifest.origin == "demo" else FolderImages(manifest)


def problem_of(path: Path) -> tuple[str, bytes]:
    """Return why a file is not a usable image (empty if it is), and its bytes (only if it is).

    Pipes and devices are never opened, because reading them may block or never end.

    Raises OSError: the file cannot be opened or read.
    """
    facts = path.stat()
    if stat.S_ISDIR(facts.st_mode):
        return "a folder", b""
    if not stat.S_ISREG(facts.st_mode):
        return "a pipe, a socket or a device", b""
    if facts.st_size == 0:  # files of the kernel have this size too, and may block
        return "an empty file", b""
    if facts.st_size > LARGEST_BYTES:
        return "larger than 2 GiB", b""
    with open_regular(path) as file:
        data = file.read()
    if problem := _header_problem(path, data) or _end_problem(data):
        return problem, b""
    return "", data


def _header_problem(path: Path, data: bytes) -> str:
    try:
        width, height = decoders().size(data)
    except UnidentifiedImageError:
        return why_no_image(path, UNSUPPORTED_FORMAT)
    except UnreadableImage as error:
        return why_no_image(path, f"a damaged header ({error.why})")
    return f"more than {MAX_PIXELS:,} pixels" if width * height > MAX_PIXELS else ""


def _end_problem(data: bytes) -> str:
    """Check the end of a file. Pillow refuses a JPEG without its end marker, and nearly every PNG without its end chunk."""
    if data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9", _scan_start(data)) < 0:
        return "is cut off"
    if data.startswith(b"\x89PNG") and data.rfind(b"IEND") < 0:
        return "is cut off"
    return ""


def _scan_start(data: bytes) -> int:
    """Return where a JPEG's image data begin (ITU T.81, B.1.1); earlier segments may contain thumbnails with end markers."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        at += 2 + length
        if marker == 0xDA:  # start of scan
            break
    return at
