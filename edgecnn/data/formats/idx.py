"""IDX files, as used by MNIST and similar data sets: one array of images and one of labels, converted to PNG files once in the
store.

The format is that of LeCun's page (http://yann.lecun.com/exdb/mnist/): two zero bytes, the type of a value (8: a byte), the
number of dimensions, each size as a big-endian 32-bit number, then the values. The sizes in a header are checked against the
file's own size and its partner file before any image is written.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple, cast

from edgecnn.data.class_names import names_in
from edgecnn.data.files import stamp_of
from edgecnn.data.formats.archive import ALLOWED_BYTES, FILES_MAX, RATIO_MAX, cached_folder
from edgecnn.data.layout import ClassFolder, Layout
from edgecnn.data.split_names import Part
from edgecnn.errors.base import system_reason
from edgecnn.errors.data import CLASS_NAMES_UNUSABLE, IDX_INCOMPLETE, IDX_UNUSABLE, ONE_CLASS
from edgecnn.runner.files import open_regular
from edgecnn.store.disk import refuse_known_cause
from edgecnn.values.stage import Progress

NAMES_FILE: Final = "classes.txt"
"""Optional file next to the IDX files: line 1 names label 0, line 2 label 1, and so on."""
_PARTS: Final[Mapping[Part, tuple[str, ...]]] = {"train": ("train",), "test": ("t10k", "test")}
"""Part of the data set to the prefix of its files: t10k for MNIST, test for similar sets."""
_ENDS: Final = {"images": "idx3-ubyte", "labels": "idx1-ubyte"}
_DIMENSIONS: Final = {"images": 3, "labels": 1}
_BYTE: Final = 8
_DAMAGED: Final = (OSError, EOFError, zlib.error)
"""Exceptions of opening, reading and inflating; gzip.BadGzipFile is an OSError."""


class Pair(NamedTuple):
    """The image and label files of one part."""

    images: Path
    labels: Path


def is_idx(folder: Path) -> bool:
    """Whether a data path is a folder with IDX image files."""
    return any(_existing_file(folder, start, "images") for starts in _PARTS.values() for start in starts)


def pairs_in(folder: Path) -> dict[Part, Pair]:
    """Return the files of each part.

    Raises IDX_INCOMPLETE: images or labels are missing, or a test part has no training part. IDX_UNUSABLE: two test parts.
    """
    pairs: dict[Part, Pair] = {}
    for part, starts in _PARTS.items():
        for start in starts:
            images, labels = _existing_file(folder, start, "images"), _existing_file(folder, start, "labels")
            if images and labels:
                if part in pairs:
                    raise IDX_UNUSABLE(
                        file=images, because=f"{pairs[part].images.name} in the same folder is the same split; keep one of them"
                    )
                pairs[part] = Pair(images, labels)
            elif images and not labels:
                raise IDX_INCOMPLETE(found=images, missing=_file_name(start, "labels"))
            elif labels and not images:
                raise IDX_INCOMPLETE(found=labels, missing=_file_name(start, "images"))
    if "train" not in pairs:
        raise IDX_INCOMPLETE(found=pairs["test"].images, missing=_file_name("train", "images"))
    return pairs


def idx_layout(folder: Path, cache: Path, tell: Progress) -> Layout:
    """Return the layout of the folder, with images as PNG files in ``cache/archives``, made on first use.

    Train files become train, calibration and validation; t10k files become test. Classes follow the label order.

    Raises:
        IDX_INCOMPLETE: a partner file is missing.
        IDX_UNUSABLE: no IDX file, a damaged one, or one that contradicts its partner.
        CLASS_NAMES_UNUSABLE: ``classes.txt`` does not name every label.
        ONE_CLASS: there is a single label.
        StoreFull, StoreUnusable: the store cannot be written.
    """
    pairs = pairs_in(folder)
    try:
        names = names_in(folder / NAMES_FILE)
    except FileNotFoundError:
        names = None
    made = cached_folder(_cache_name(pairs), cache, lambda fresh: _write_parts(pairs, fresh, tell), tell)
    labels = {part: sorted(int(place.name) for place in (made / part).iterdir() if place.name.isdigit()) for part in pairs}
    if names is not None and len(names) <= (largest := max(map(max, labels.values()))):
        raise CLASS_NAMES_UNUSABLE(
            file=folder / NAMES_FILE, because=f"it has {len(names):,} names, but there is a label {largest}"
        )
    if strange := set(labels.get("test", ())) - set(labels["train"]):
        raise IDX_UNUSABLE(file=pairs["test"].labels, because=f"no training image has the label {min(strange)}")
    if len(labels["train"]) == 1:
        raise ONE_CLASS(folder=folder, name=str(labels["train"][0]))
    known_labels = range(len(names)) if names is not None else labels["train"]
    classes = tuple(names if names is not None else map(str, known_labels))
    if len(pairs) == 1:
        folders = tuple(ClassFolder("train", known_labels.index(label), f"{label}") for label in labels["train"])
        return Layout(made / "train", classes, {}, folders, ())
    folders = tuple(ClassFolder(part, known_labels.index(label), f"{part}/{label}") for part in pairs for label in labels[part])
    return Layout(made, classes, {part: part for part in pairs}, folders, ())


def _file_name(start: str, kind: str) -> str:
    return f"{start}-{kind}-{_ENDS[kind]}"


def _existing_file(folder: Path, start: str, kind: str) -> Path | None:
    """Return the file, unpacked rather than compressed if both exist. Some tools write a dot instead of the last dash but one."""
    names = (_file_name(start, kind), f"{start}-{kind}.{_ENDS[kind]}")
    return next((place for end in ("", ".gz") for name in names if (place := folder / f"{name}{end}").is_file()), None)


def _cache_name(pairs: Mapping[Part, Pair]) -> str:
    stamps = []
    for part, pair in pairs.items():
        for file in pair:
            with _idx_faults(file):
                stamps.append(stamp_of(f"{part}/{os.path.realpath(file)}", file.stat()))
    return hashlib.sha256(os.fsencode("\n".join(stamps))).hexdigest()[:32]


@contextmanager
def _idx_faults(file: Path) -> Iterator[None]:
    """Report faults of an IDX file as such, apart from those of the store."""
    try:
        yield
    except _DAMAGED as error:
        words = system_reason(error)
        raise IDX_UNUSABLE(file=file, because=words[:1].lower() + words[1:300].rstrip(".")) from error


class _Opened(NamedTuple):
    """A file positioned after its header."""

    file: Path
    source: IO[bytes]
    sizes: tuple[int, ...]

    def read(self, count: int) -> bytes:
        with _idx_faults(self.file):
            data = self.source.read(count)
        if len(data) < count:
            raise IDX_UNUSABLE(file=self.file, because=f"it ends before the {self.sizes[0]:,} that its header states")
        return data

    def end(self) -> None:
        with _idx_faults(self.file):
            if self.source.read(1):
                raise IDX_UNUSABLE(file=self.file, because=f"it continues after the {self.sizes[0]:,} that its header states")


def _open_file(file: Path, kind: str, stack: ExitStack) -> _Opened:
    dimensions = _DIMENSIONS[kind]
    refuse_known_cause(file)
    with _idx_faults(file):
        packed, plain = file.suffix == ".gz", stack.enter_context(open_regular(file))
        source = stack.enter_context(cast("IO[bytes]", gzip.open(plain)) if packed else plain)  # noqa: SIM115
        magic = source.read(4)
        header = source.read(4 * dimensions) if magic[2:] == bytes((_BYTE, dimensions)) else b""
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise IDX_UNUSABLE(file=file, because=f"it begins with 0x{magic.hex() or '00'}, not with 0x{_BYTE << 8 | dimensions:08x}")
    if magic[2] != _BYTE:
        raise IDX_UNUSABLE(file=file, because=f"its values are of type 0x{magic[2]:02x}, not bytes (0x08)")
    if magic[3] != dimensions:
        raise IDX_UNUSABLE(file=file, because=f"it has {magic[3]} dimensions, but {kind} have {dimensions}")
    if len(header) < 4 * dimensions:
        raise IDX_UNUSABLE(file=file, because="it ends inside its header")
    return _Opened(file, source, tuple(int.from_bytes(header[at : at + 4], "big") for at in range(0, len(header), 4)))


def _check_sizes(images: _Opened, labels: _Opened) -> None:
    """Check the files before anything is written."""
    from edgecnn.runner.pixels import MAX_PIXELS  # needs Pillow, which a cached build need not import

    count, rows, columns = images.sizes
    if count != (labelled := labels.sizes[0]):
        raise IDX_UNUSABLE(file=labels.file, because=f"it has {labelled:,} labels for the {count:,} images of {images.file.name}")
    if not count:
        raise IDX_UNUSABLE(file=images.file, because="it has no image")
    if count > FILES_MAX:
        raise IDX_UNUSABLE(file=images.file, because=f"it claims {count:,} images, more than {FILES_MAX:,}")
    if not rows or not columns or rows * columns > MAX_PIXELS:
        raise IDX_UNUSABLE(file=images.file, because=f"its images have {rows:,} × {columns:,} pixels")
    total, packed = count * rows * columns, images.file.stat().st_size
    if total > max(ALLOWED_BYTES, RATIO_MAX * packed):
        raise IDX_UNUSABLE(file=images.file, because=f"it claims {total:,} bytes in {packed:,}, more than {RATIO_MAX} times")


def _write_parts(pairs: Mapping[Part, Pair], out: Path, tell: Progress) -> None:
    with ExitStack() as stack:
        opened = {
            part: (_open_file(pair.images, "images", stack), _open_file(pair.labels, "labels", stack))
            for part, pair in pairs.items()
        }
        for images, labels in opened.values():
            _check_sizes(images, labels)
        for part, (images, labels) in opened.items():
            values = labels.read(labels.sizes[0])
            labels.end()
            for label in set(values):
                (out / part / f"{label}").mkdir(parents=True, exist_ok=True)
            _write_images(images, values, out / part, tell)


def _write_images(images: _Opened, labels: Sequence[int], out: Path, tell: Progress) -> None:
    from PIL import Image

    count, rows, columns = images.sizes
    for number in range(count):
        pixels = images.read(rows * columns)
        Image.frombytes("L", (columns, rows), pixels).save(out / f"{labels[number]}" / f"{number:06d}.png")
        tell.step(f"reading {images.file.name}", number + 1, count, "images")
    images.end()
