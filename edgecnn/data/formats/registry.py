"""What a data path is, by one row a format, and which files it names: the first format that fits reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.data.demo import DEMO
from edgecnn.data.files import ListingProgress, stamps_in
from edgecnn.data.formats.archive import told_of, unpacked
from edgecnn.data.formats.cells import READERS
from edgecnn.data.formats.foreign import refuse_foreign
from edgecnn.data.formats.idx import idx_layout, is_idx
from edgecnn.data.formats.ilsvrc import flat_imagenet, flat_layout
from edgecnn.data.formats.json_labels import EDGE_IMPULSE, is_json_labels
from edgecnn.data.formats.label_files import Inside, LabelFiles
from edgecnn.data.formats.members import TARS, ZIP, bare_name, is_archive, is_archive_name
from edgecnn.data.formats.published import PREFIX, is_published, published_folder, published_order
from edgecnn.data.formats.sample_pairs import PAIRS
from edgecnn.data.formats.table import is_table, read_table
from edgecnn.data.layout import Layout, find_layout, root_of, unlabelled_layout
from edgecnn.data.split_names import split_claims, split_name
from edgecnn.errors.base import system_reason
from edgecnn.errors.data.folder import DataFolderUnreadable, NoClassFolders
from edgecnn.errors.data.formats import ArchivesOfOneName, ListWithoutLabels
from edgecnn.errors.data.lists import DataIsAddress, DataNotRead
from edgecnn.errors.wording import first_of, plural
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Progress

Stamps = list[list[str]]
_NAMED: Final = 5
_ADDRESS: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/.*")


class Reading(NamedTuple):
    """Everything that a format is read with."""

    choice: DataChoice
    cache: Path
    """The store's root."""
    seen: ListingProgress
    tell: Progress

    @property
    def is_labelled(self) -> bool:
        """Whether labels are wanted."""
        return self.choice.labels is not False


class DataFormat(NamedTuple):
    """A form in which images come."""

    reads: str
    """As the list of all forms names it."""
    read: Callable[[Path, Reading], tuple[Layout, Stamps] | None]
    """The files at a path, by class folder; None where it is of another form."""


def data_files(reading: Reading) -> tuple[Path, Layout, Stamps]:
    """What ``data.path`` names, and its files by class folder.

    Raises DataIsAddress, DataNotRead, FormNotRead: no format reads the path. EdgecnnError: one of ``errors.data``, of its format.
    """
    path = reading.choice.path
    if is_published(path):
        folder = published_folder(path, reading.cache, reading.tell)
        layout, stamps = _read(folder, reading)
        order = published_order(folder) if reading.is_labelled else None
        return folder, layout if order is None else layout.in_order(order), stamps
    if is_address(path):
        raise DataIsAddress(address=path, reads=edgecnn_reads())
    source = root_of(path)
    return source, *_read(source, reading)


def is_address(text: str) -> bool:
    """Whether a text is an address, such as https://example.org/photos.zip, and no path."""
    return _ADDRESS.fullmatch(text) is not None and not Path(text).exists()


def is_on_disk(text: str) -> bool:
    """Whether a data path names a place on the disk, and neither the demo nor a published set."""
    return text != DEMO and not is_published(text)


def is_list(place: Path) -> bool:
    """Whether a data path names a file that lists images, which may be anywhere."""
    with suppress(PermissionError):  # reading it then names the folder
        return is_table(place) or is_json_labels(place)
    return False


def has_own_order(root: str) -> bool:
    """Whether a data set itself states the order of its classes: a published one, or IDX files."""
    return is_published(root) or is_idx(Path(root))


def edgecnn_reads() -> str:
    """Every form, in one line."""
    return "; ".join([*(form.reads for form in reversed(FORMATS) if form.reads), f"{PREFIX}NAME", DEMO])


def _read(place: Path, reading: Reading) -> tuple[Layout, Stamps]:
    try:
        for form in FORMATS:
            if (files := form.read(place, reading)) is not None:
                return files
    except PermissionError as error:  # the folder, or one above it, may not be entered
        raise DataFolderUnreadable(folder=place, because=system_reason(error)) from error
    raise AssertionError("the last format reads or refuses everything")


def _list(place: Path, reading: Reading) -> tuple[Layout, Stamps] | None:
    if not is_list(place):
        return None
    if not reading.is_labelled:
        raise ListWithoutLabels(file=place)
    if is_table(place):
        return read_table(place, reading.choice, reading.seen, reading.tell)
    return LabelFiles(place.parent, reading.choice, reading.seen, reading.tell, is_confined=False).of_file(place)


def _archive(place: Path, reading: Reading) -> tuple[Layout, Stamps] | None:
    return _unpacked(place, {"": place}, reading) if is_archive(place) else None


def _unpacked(place: Path, archives: dict[str, Path], reading: Reading) -> tuple[Layout, Stamps]:
    root = unpacked(archives, reading.cache, reading.tell)
    with told_of(place, root):
        if reading.is_labelled and (root / PAIRS).is_file():
            own = DataChoice(path=str(root / PAIRS), group_by=reading.choice.group_by)
            return _without_unlisted(read_table(root / PAIRS, own, reading.seen, reading.tell), reading)
        return _in_folder(root, reading)


def _in_folder(root: Path, reading: Reading) -> tuple[Layout, Stamps]:
    files = (form.read(root, reading) for form in FORMATS if form.reads not in (_LISTS, _ARCHIVES))
    return next(found for found in files if found is not None)


def _imagenet(place: Path, reading: Reading) -> tuple[Layout, Stamps] | None:
    flat = flat_imagenet(place) if reading.is_labelled else None
    return None if flat is None else flat_layout(flat, reading.seen, trains=reading.choice.train)


def _idx(place: Path, reading: Reading) -> tuple[Layout, Stamps] | None:
    if not is_idx(place):
        return None
    if not reading.is_labelled:
        raise ListWithoutLabels(file=place)
    return _with_stamps(idx_layout(place, reading.cache, reading.tell), reading)


def _archives(place: Path, reading: Reading) -> tuple[Layout, Stamps] | None:
    """A folder of archives: one class, one split or one shard each, and nothing else that holds images."""
    archives = _archives_in(place) if place.is_dir() else {}
    if not archives:
        return None
    names = [path.name for path in list(archives.values())[:_NAMED]]
    reading.tell.note(f"{place}: unpacks {', '.join(names)}{' …' if len(archives) > _NAMED else ''}")
    if reading.is_labelled and (lists := Inside.of(place).lists):
        unused = first_of([str(place / name) for name in lists], _NAMED)
        are, way_out = plural(len(lists), "is", "are"), "unpack them and pass the folder to use a list"
        reading.tell.note(f"{unused} {are} not used: classes come from the archives; {way_out}")
    return _unpacked(place, archives, reading)


def _archives_in(place: Path) -> dict[str, Path]:
    inside = Inside.of(place)
    packed = [name for name in inside.files if is_archive_name(name)]
    if inside.has_images or (inside.folders and packed):
        return {}
    if packed:
        return _by_bare_name(place, "", packed)
    held = {name: Inside.of(place / name) for name in inside.folders if split_name(name) is not None}
    if len(held) < len(inside.folders) or any(part.has_images or part.folders for part in held.values()):
        return {}
    archives = (_by_bare_name(place, f"{part}/", filter(is_archive_name, inner.files)) for part, inner in held.items())
    return {name: path for inside in archives for name, path in inside.items()}


def _by_bare_name(place: Path, prefix: str, names: Iterable[str]) -> dict[str, Path]:
    archives: dict[str, Path] = {}
    for name in names:
        path = place / prefix / name
        if (other := archives.setdefault(f"{prefix}{bare_name(path)}", path)) != path:
            raise ArchivesOfOneName(folder=path.parent, names=[other.name, name], bare=bare_name(path))
    return archives


def _label_files(place: Path, reading: Reading) -> tuple[Layout, Stamps] | None:
    if not reading.is_labelled or not place.is_dir():
        return None
    while (files := LabelFiles(place, reading.choice, reading.seen, reading.tell).read()) is None:
        inside = Inside.of(place)
        if len(inside.folders) != 1 or inside.has_images:
            break
        (name,) = inside.folders
        if split_name(name) is not None and not split_claims(Inside.of(place / name).folders):
            break
        place /= name
    return None if files is None else _without_unlisted(files, reading)


def _without_unlisted(files: tuple[Layout, Stamps], reading: Reading) -> tuple[Layout, Stamps]:
    """The files of a list; the images next to them that the list lacks are remembered."""
    layout, stamps = files
    reading.seen.skip_unlisted(layout.root, stamps)
    return files


def _class_folders(place: Path, reading: Reading) -> tuple[Layout, Stamps]:
    if place.is_file():
        refuse_foreign(place, [place.name])
        raise DataNotRead(path=place, reads=edgecnn_reads())
    if not reading.is_labelled:
        return _with_stamps(unlabelled_layout(place, reading.seen), reading)
    try:
        layout = find_layout(place, reading.seen, reading.choice.folders)
    except NoClassFolders:
        refuse_foreign(place, Inside.of(place).files)
        raise
    return _with_stamps(layout, reading)


def _with_stamps(layout: Layout, reading: Reading) -> tuple[Layout, Stamps]:
    return layout, [stamps_in(layout.root / folder.path, reading.seen) for folder in layout.folders]


_LISTS: Final = f"a list ({', '.join(READERS)}, COCO's .json, {EDGE_IMPULSE})"
_ARCHIVES: Final = f"an archive ({', '.join((ZIP, *TARS))})"
FORMATS: Final = (
    DataFormat(_LISTS, _list),
    DataFormat(_ARCHIVES, _archive),
    DataFormat("", _imagenet),
    DataFormat("a folder of IDX files", _idx),
    DataFormat("a folder of archives", _archives),
    DataFormat("a folder of images with a label file", _label_files),
    DataFormat("a folder with a sub-folder a class", _class_folders),
)  # fmt: skip
"""In the order in which they are tried. torchvision:NAME becomes such a folder first."""
