"""The formats of image data, one row each. The first format that claims a data path reads it.

To add a format, write its module next to this one and its row in ``FORMATS``. Other rooms use only the functions of this file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from edgecnn.data.demo import DEMO
from edgecnn.data.files import ListingProgress, stamps_in
from edgecnn.data.formats.archive import (
    PAIRS,
    TARS,
    ZIP,
    bare_name,
    is_archive,
    is_archive_name,
    name_archive_in_errors,
    unpacked_folder,
)
from edgecnn.data.formats.csv_cells import READERS
from edgecnn.data.formats.idx import idx_layout, is_idx, pairs_in
from edgecnn.data.formats.ilsvrc import flat_imagenet, flat_layout
from edgecnn.data.formats.label_files import EDGE_IMPULSE, Inside, LabelFiles, is_json_labels
from edgecnn.data.formats.published import PREFIX, is_published, published_folder, published_order
from edgecnn.data.formats.table import is_table, read_table
from edgecnn.data.layout import Layout, find_layout, root_of, unlabelled_layout
from edgecnn.data.split_names import split_claims, split_name
from edgecnn.errors.base import system_reason
from edgecnn.errors.data import (
    ARCHIVES_OF_ONE_NAME,
    DATA_FOLDER_UNREADABLE,
    DEMO_HAS_NO_FOLDER,
    LIST_WITHOUT_LABELS,
    NoClassFolders,
)
from edgecnn.errors.labels import DATA_IS_ADDRESS, DATA_NOT_READ, FORM_NOT_READ
from edgecnn.errors.wording import first_of, plural
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Progress

Stamps = list[list[str]]
_NAMED: Final = 5
_ADDRESS: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/.*")
Source = Literal["name", "list", "archive", "folder"]
_AS_FILES: Final = "write each image to a file CLASS/NUMBER.png"


class Reading(NamedTuple):
    """Everything that a format needs to read a data path."""

    choice: DataChoice
    cache: Path
    """The store's root."""
    progress: ListingProgress
    tell: Progress

    @property
    def is_labelled(self) -> bool:
        """Whether the data needs labels."""
        return self.choice.labels is not False


@dataclass(frozen=True)
class DataFormat:
    """A format of images. Every member is required, so a new format has to decide each question."""

    reads: str
    """The name in the list of all formats; empty if another row has it already."""
    source: Source
    """The kind of data path. A list names images in any folder; an archive is searched for folders."""
    without_labels: Literal["reads", "skips", "refuses"]
    """Behaviour if labels are not needed: read the data, let another format read the folder, or raise an error."""
    has_class_order: bool
    """Whether the data set itself states the order of its classes."""
    claims: Callable[[str], bool]
    """Whether a data path may have this format, by a quick check."""
    lay_out: Callable[[Path, Reading], tuple[Layout, Stamps] | None] | None
    """The files at a path by class folder; None if a closer check shows another format. A format without this has no folder."""


def data_files(reading: Reading) -> tuple[Path, Layout, Stamps]:
    """Return the source that ``data.path`` names, its layout, and its files by class folder.

    Raises DATA_IS_ADDRESS, DATA_NOT_READ, FORM_NOT_READ: no format reads the path. EdgecnnError: an error of ``errors.data`` from
    its format.
    """
    path = reading.choice.path
    if (form := _format_named(path)) is not None:
        files = None if form.lay_out is None else form.lay_out(Path(path), reading)
        if files is None:
            raise DEMO_HAS_NO_FOLDER()
        return files[0].root, *files
    if is_address(path):
        raise DATA_IS_ADDRESS(address=path, reads=readable_formats())
    source = root_of(path)
    return source, *_read_source(source, reading)


def is_address(text: str) -> bool:
    """Whether a text is a URL, such as https://example.org/photos.zip, and not a path."""
    return _ADDRESS.fullmatch(text) is not None and not Path(text).exists()


def is_on_disk(text: str) -> bool:
    """Whether a data path is on the disk, and not the demo or a published set."""
    return _format_named(text) is None


def has_folder(text: str) -> bool:
    """Whether a data path is or becomes a folder of images. The demo's images are inside edgecnn."""
    form = _format_named(text)
    return form is None or form.lay_out is not None


def is_list(path: Path) -> bool:
    """Whether a data path is a file that lists images, which may be in any folder."""
    with suppress(PermissionError):  # reading it then reports the folder
        return any(form.source == "list" and form.claims(str(path)) for form in FORMATS)
    return False


def has_own_order(root: str) -> bool:
    """Whether a data set states the order of its classes: published sets and IDX files do."""
    return any(form.has_class_order and form.claims(root) for form in FORMATS)


def readable_formats() -> str:
    """Return all formats in one line."""
    return "; ".join(form.reads for form in reversed(FORMATS) if form.reads)


def _format_named(text: str) -> DataFormat | None:
    return next((form for form in FORMATS if form.source == "name" and form.claims(text)), None)


def _read_source(
    path: Path, reading: Reading, sources: tuple[Source, ...] = ("list", "archive", "folder")
) -> tuple[Layout, Stamps]:
    try:
        for form in FORMATS:
            if form.source not in sources or form.lay_out is None or not form.claims(str(path)):
                continue
            if not reading.is_labelled and form.without_labels != "reads":
                if form.without_labels == "refuses":
                    raise LIST_WITHOUT_LABELS(file=path)
                continue
            if (files := form.lay_out(path, reading)) is not None:
                return files
    except PermissionError as error:  # the folder, or a parent folder, cannot be entered
        raise DATA_FOLDER_UNREADABLE(folder=path, because=system_reason(error)) from error
    raise AssertionError("the last format reads or refuses everything")


def _published_files(_: Path, reading: Reading) -> tuple[Layout, Stamps]:
    folder = published_folder(reading.choice.path, reading.cache, reading.tell)
    layout, stamps = _read_source(folder, reading)
    order = published_order(folder) if reading.is_labelled else None
    return layout if order is None else layout.reordered(order), stamps


def _unpacked_files(path: Path, archives: dict[str, Path], reading: Reading) -> tuple[Layout, Stamps]:
    root = unpacked_folder(archives, reading.cache, reading.tell)
    with name_archive_in_errors(path, root):
        if reading.is_labelled and (root / PAIRS).is_file():
            own = DataChoice(path=str(root / PAIRS), group_by=reading.choice.group_by, folders=reading.choice.folders)
            return _note_unlisted(read_table(root / PAIRS, own, reading.progress, reading.tell), reading)
        return _read_source(root, reading, ("folder",))


def _imagenet_files(path: Path, reading: Reading) -> tuple[Layout, Stamps] | None:
    flat = flat_imagenet(path)
    return None if flat is None else flat_layout(flat, reading.progress, trains=reading.choice.train)


def _idx_files(path: Path, reading: Reading) -> tuple[Layout, Stamps]:
    for pair in pairs_in(path).values():
        for file in pair:
            reading.progress.links.check(file, path)
    return _with_stamps(idx_layout(path, reading.cache, reading.tell), reading)


def _archives_layout(path: Path, reading: Reading) -> tuple[Layout, Stamps] | None:
    """Read a folder of archives, each a class, a split or a shard; None if the folder has other images."""
    archives = _archives_in(path)
    if not archives:
        return None
    for archive in archives.values():
        reading.progress.links.check(archive, path)
    names = [archive.name for archive in list(archives.values())[:_NAMED]]
    reading.tell.note(f"{path}: unpacks {', '.join(names)}{' …' if len(archives) > _NAMED else ''}")
    if reading.is_labelled and (lists := Inside.of(path).lists):
        unused = first_of([str(path / name) for name in lists], _NAMED)
        are, way_out = plural(len(lists), "is", "are"), "unpack them and pass the folder to use a list"
        reading.tell.note(f"{unused} {are} not used: classes come from the archives; {way_out}")
    return _unpacked_files(path, archives, reading)


def _archives_in(path: Path) -> dict[str, Path]:
    inside = Inside.of(path)
    packed = [name for name in inside.files if is_archive_name(name)]
    if inside.has_images or (inside.folders and packed):
        return {}
    if packed:
        return _named_archives(path, "", packed)
    held = {name: Inside.of(path / name) for name in inside.folders if split_name(name) is not None}
    if len(held) < len(inside.folders) or any(part.has_images or part.folders for part in held.values()):
        return {}
    archives = (_named_archives(path, f"{part}/", filter(is_archive_name, inner.files)) for part, inner in held.items())
    return {name: archive for inside in archives for name, archive in inside.items()}


def _named_archives(folder: Path, prefix: str, names: Iterable[str]) -> dict[str, Path]:
    archives: dict[str, Path] = {}
    for name in names:
        path = folder / prefix / name
        if (other := archives.setdefault(f"{prefix}{bare_name(path)}", path)) != path:
            raise ARCHIVES_OF_ONE_NAME(folder=path.parent, names=[other.name, name], bare=bare_name(path))
    return archives


def _files_of_label_file(path: Path, reading: Reading) -> tuple[Layout, Stamps] | None:
    while (files := LabelFiles(path, reading.choice, reading.progress, reading.tell).read()) is None:
        inside = Inside.of(path)
        if len(inside.folders) != 1 or inside.has_images:
            break
        (name,) = inside.folders
        if split_name(name) is not None and not split_claims(Inside.of(path / name).folders):
            break
        path /= name
    return None if files is None else _note_unlisted(files, reading)


def _note_unlisted(files: tuple[Layout, Stamps], reading: Reading) -> tuple[Layout, Stamps]:
    """Record the images next to a list that the list does not mention, and return the list's files."""
    layout, stamps = files
    reading.progress.skip_unlisted(layout.root, stamps)
    return files


def _class_folders(path: Path, reading: Reading) -> tuple[Layout, Stamps]:
    if path.is_file():
        refuse_foreign(path, [path.name])
        raise DATA_NOT_READ(path=path, reads=readable_formats())
    if not reading.is_labelled:
        return _with_stamps(unlabelled_layout(path, reading.progress), reading)
    try:
        layout = find_layout(path, reading.progress, reading.choice.folders)
    except NoClassFolders:
        refuse_foreign(path, Inside.of(path).files)
        raise
    return _with_stamps(layout, reading)


def _with_stamps(layout: Layout, reading: Reading) -> tuple[Layout, Stamps]:
    return layout, [stamps_in(layout.root / folder.path, reading.progress, layout.root) for folder in layout.folders]


def _is_dir(text: str) -> bool:
    return Path(text).is_dir()


FORMATS: Final = (
    DataFormat(DEMO, "name", "reads", True, lambda text: text == DEMO, None),
    DataFormat(f"{PREFIX}NAME", "name", "reads", True, is_published, _published_files),
    DataFormat(
        f"a list ({', '.join(READERS)}, COCO's .json, {EDGE_IMPULSE})", "list", "refuses", False,
        lambda text: is_table(Path(text)),
        lambda path, reading: read_table(path, reading.choice, reading.progress, reading.tell),
    ),
    DataFormat(
        "", "list", "refuses", False, lambda text: is_json_labels(Path(text)),
        lambda file, reading: LabelFiles(file.parent, reading.choice, reading.progress, reading.tell, False).read_file(file),
    ),
    DataFormat(
        f"an archive ({', '.join((ZIP, *TARS))})", "archive", "reads", False, lambda text: is_archive(Path(text)),
        lambda path, reading: _unpacked_files(path, {"": path}, reading),
    ),
    DataFormat("", "folder", "skips", False, _is_dir, _imagenet_files),
    DataFormat("a folder of IDX files", "folder", "refuses", True, lambda text: is_idx(Path(text)),
               _idx_files),
    DataFormat("a folder of archives", "folder", "reads", False, _is_dir, _archives_layout),
    DataFormat("a folder of images with a label file", "folder", "skips", False, _is_dir, _files_of_label_file),
    DataFormat("a folder with a sub-folder a class", "folder", "reads", False, lambda text: True, _class_folders),
)  # fmt: skip
"""Formats in the order in which they are tried."""


class ForeignForm(NamedTuple):
    """A format, recognised by file names."""

    name: str
    ends: tuple[str, ...]
    """Endings of file names, in lower case."""
    fix: str
    inside: str = ""
    """Part of the names of files that have no fixed suffix."""

    def has(self, name: str) -> bool:
        """Whether a file name belongs to this format."""
        return name.lower().endswith(self.ends) or (self.inside != "" and self.inside in name.lower())


FORMS: Final = (
    ForeignForm(
        "TFRecord", (".tfrecord", ".tfrecords"),
        f"{_AS_FILES}: tf.data.TFRecordDataset reads the records, tf.io.parse_single_example their features",
        inside=".tfrecord-",
    ),
    ForeignForm("LMDB", (".mdb", ".lmdb"), f"{_AS_FILES}: lmdb.open(FOLDER, readonly=True).begin().cursor() gives the records"),
    ForeignForm("HDF5", (".h5", ".hdf5"), f"{_AS_FILES}: h5py.File(FILE) gives the arrays, PIL.Image.fromarray an image"),
    ForeignForm("NumPy arrays", (".npy", ".npz"), f"{_AS_FILES}: numpy.load(FILE) gives arrays, PIL.Image.fromarray an image"),
    ForeignForm("MATLAB files", (".mat",), f"{_AS_FILES}: scipy.io.loadmat(FILE) gives arrays, PIL.Image.fromarray an image"),
    ForeignForm("RecordIO", (".rec",), f"{_AS_FILES}: mxnet.recordio.MXIndexedRecordIO gives the records"),
    ForeignForm("Arrow files", (".arrow",), f"{_AS_FILES}: datasets.load_from_disk(FOLDER) gives the images"),
    ForeignForm("pickled data", (".pkl", ".pickle"), f"{_AS_FILES}, or pass torchvision:NAME for a known data set"),
    ForeignForm("an archive of another kind", (".rar", ".7z", ".tar.bz2", ".tar.xz", ".tbz2", ".txz", ".gz", ".bz2", ".xz"),
                "unpack it and pass the folder"),
    ForeignForm("videos", (".mp4", ".avi", ".mov", ".mkv", ".webm"),
                "write the frames of each class to a folder: ffmpeg -i VIDEO CLASS/%06d.jpg, and pass --group-by for the video"),
)  # fmt: skip


def refuse_foreign(path: Path, names: Sequence[str]) -> None:
    """Refuse a file, or a folder of files, in a format that edgecnn recognises but does not read.

    Raises FORM_NOT_READ: the format is recognised.
    """
    for form in FORMS:
        if any(form.has(name) for name in names):
            raise FORM_NOT_READ(path=path, form=form.name, fix=form.fix)
