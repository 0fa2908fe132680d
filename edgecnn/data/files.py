"""List and stamp the files in a folder, and hash each once, on every core.

Stamping 100,000 files takes about a third of a second of CPU time, which is the wait of a cached build. An unchanged file is not
read again, because its digest is stored by path and stamp. Long work reports its progress and stops at once on Ctrl-C.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from edgecnn.errors.base import system_reason
from edgecnn.errors.data import (
    DATA_FOLDER_MISSING,
    DATA_FOLDER_UNREADABLE,
    DATA_NOT_A_FOLDER,
    LINK_LEADS_OUT,
    name_not_unicode,
)
from edgecnn.errors.wording import counted, no_unicode
from edgecnn.runner.causes import count_images, is_image_name, is_left_behind, is_skipped
from edgecnn.runner.machine.environment import available_cores
from edgecnn.store.disk import stamp_from, write_text_atomically
from edgecnn.store.failures import named_failures
from edgecnn.values.dataset import LinkedImages, SkippedBecause, SkippedImages
from edgecnn.values.stage import Progress

QUIET_FOR_S: Final = 1.0
"""100,000 files are listed within this time. Progress is reported only if listing takes longer."""
REPORTED_EVERY_S: Final = 0.25
_LISTING: Final = "listing files"
_SCHEMA: Final = "edgecnn.index/1"
_FRESH_NS: Final = 2_000_000_000
"""A file that changed this recently may change again without a new stamp (the coarsest file systems store times in steps of 2 s),
so its digest is not stored."""
_BATCH: Final = 64
Item = TypeVar("Item")
Result = TypeVar("Result")


def process_on_every_core(
    items: Sequence[Item], work: Callable[[Item], Result], take: Callable[[Item, Result], None], step: str, tell: Progress
) -> None:
    """Run ``work`` on every item in threads, and pass each item with its result to ``take``, in order."""
    batches = [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
    stopped = threading.Event()

    def batch_results(batch: Sequence[Item]) -> list[tuple[Item, Result]]:
        return [(item, work(item)) for item in batch if not stopped.is_set()]

    with ThreadPoolExecutor(max_workers=available_cores()) as pool:
        try:
            done = 0
            for results in pool.map(batch_results, batches):
                for item, result in results:
                    take(item, result)
                done += len(results)
                tell.step(step, done, len(items), "images")
        except BaseException:
            stopped.set()  # Ctrl-C waits for each thread's current image, not for its whole batch
            pool.shutdown(cancel_futures=True)
            raise


class OutwardLinks:
    """Counts the files that links in a data folder reach outside it. With ``refuse``, the first such file is an error."""

    def __init__(self, *, refuse: bool = False) -> None:
        self._refuse = refuse
        self._images = Counter[str]()
        self._real = dict[str, str]()

    def real(self, folder: str) -> str:
        """Return the path of a folder after resolving links. Each folder is resolved once."""
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        return self._real[folder]

    def leads_out(self, target: str, root: Path) -> bool:
        """Whether a resolved path is outside the folder ``root``."""
        inside = self.real(str(root))
        return target != inside and not target.startswith(f"{inside.rstrip(os.sep)}{os.sep}")

    def check(self, path: Path, root: Path) -> None:
        """Count an image if links on its path lead out of ``root``. A path written as one outside ``root`` does not count.

        Raises LINK_LEADS_OUT: links lead out, and are refused.
        """
        folder, name = os.path.split(path)
        target = os.path.realpath(path) if path.is_symlink() else f"{self.real(folder)}{os.sep}{name}"
        if not self.leads_out(target, root) or not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(root)):
            return
        if self._refuse:
            raise LINK_LEADS_OUT(path=path, target=target)
        if is_image_name(name):
            self._images[os.path.dirname(target)] += 1  # noqa: PTH120 - faster than pathlib, for each of 100,000 images

    @property
    def images(self) -> LinkedImages | None:
        """Number and common folder of the counted images; None if there are none."""
        if not self._images:
            return None
        return LinkedImages(images=self._images.total(), folder=os.path.commonpath(self._images))


class ListingProgress:
    """Count listed files, report the count if the listing takes long, and collect skipped images and links to other folders."""

    def __init__(self, tell: Progress, links: OutwardLinks | None = None) -> None:
        self._tell = tell
        self.links = links or OutwardLinks()
        self._count = 0
        self._is_reported = False
        self.contents: dict[Path, FolderContent] = {}
        self._skipped: dict[Path, tuple[int, SkippedBecause]] = {}
        self._unlabelled = set[str]()
        self._due = time.monotonic() + QUIET_FOR_S

    def count_entry(self) -> None:
        """Count one entry of a folder."""
        self._count += 1
        now = time.monotonic()
        if now >= self._due:
            self._due = now + REPORTED_EVERY_S
            self._is_reported = True
            self._tell.step(_LISTING, self._count, None, "files")

    def skip(self, path: Path) -> None:
        """Record a hidden file or folder, or one that a tool made, with its number of images."""
        if path not in self._skipped:
            self._skipped[path] = count_images(path), "left by a tool" if is_left_behind(path.name) else "hidden"

    def skip_outside(self, folder: Path, images: int) -> None:
        """Record the number of images directly in a folder that contains class folders."""
        self._skipped[folder] = images, "not in a class folder"

    def skip_unlabelled(self, file: Path, images: Sequence[Path]) -> None:
        """Record the images of a list whose label means that they have none."""
        self._skipped[file] = len(images), "without a label"
        self._unlabelled.update(map(os.path.normpath, images))

    def skip_unlisted(self, root: Path, listed: Sequence[Sequence[str]]) -> None:
        """Record for each folder under ``root`` the number of images that are not among the ``listed`` stamps.

        Raises DATA_FOLDER_UNREADABLE: as ``stamps_in``.
        """
        known = {os.path.normpath(stamp.rsplit("/", 4)[0]) for stamps in listed for stamp in stamps}
        paths = (stamp.rsplit("/", 4)[0] for stamp in stamps_in(root, self))
        known |= {os.path.relpath(path, root) for path in self._unlabelled}
        unlisted = Counter(path.rpartition("/")[0] for path in paths if is_image_name(path) and path not in known)
        self._skipped |= {root / folder: (images, "not in the list") for folder, images in unlisted.items()}

    def skipped_under(self, root: Path) -> tuple[SkippedImages, ...]:
        """Return all skipped entries that contain images, relative to ``root``."""
        skipped = []
        for path, (images, why) in sorted(self._skipped.items()):
            name = os.fsencode(os.path.relpath(path, root)).decode(errors="backslashreplace")
            if images:
                skipped.append(SkippedImages(path=f"{name}/" if path.is_dir() else name, images=images, why=why))
        return tuple(skipped)

    def finish(self) -> None:
        """Mark the listing as complete."""
        if self._is_reported:
            self._tell.step(_LISTING, self._count, self._count, "files")


def stamps_in(folder: Path, progress: ListingProgress, root: Path | None = None) -> list[str]:
    """Return the stamps of all files under ``folder`` and its sub-folders, sorted; paths are relative to it.

    ``root``: the data folder; files that links reach outside it are counted. None: links are not checked.

    A stamp holds path, size, mtime_ns, inode and ctime_ns, separated by slashes. A file that cannot be stamped, such as a broken
    link, has a size of -1.

    Raises DATA_FOLDER_UNREADABLE: a folder cannot be listed, or is nested too deeply for this process. LINK_LEADS_OUT: see
    ``OutwardLinks``.
    """
    stamps: list[str] = []
    try:
        _Walk(stamps, progress, root).into(folder, "", frozenset())
    except RecursionError as error:
        raise DATA_FOLDER_UNREADABLE(folder=folder, because="its folders are nested too deeply") from error
    stamps.sort()
    return stamps


def skipped_phrases(skipped: Sequence[SkippedImages]) -> Iterator[str]:
    """Yield the phrases by which plans and inspections name skipped entries.

    A recurring name, such as ``@eaDir``, appears once.
    """
    groups = defaultdict[tuple[str, str], list[SkippedImages]](list)
    for entry in skipped:
        groups[entry.path.rstrip("/").rpartition("/")[2], entry.why].append(entry)
    for (name, why), entries in groups.items():
        where = entries[0].path if len(entries) == 1 else f"{name} in {len(entries):,} folders"
        yield f"{where} ({counted(sum(entry.images for entry in entries), 'image')}, {why})"


def stamp_of(name: str, facts: os.stat_result | None) -> str:
    """Return a file's stamp under a name. ``facts``: None for a file that cannot be stamped."""
    return "/".join((name, *map(str, (-1, 0, 0, 0) if facts is None else stamp_from(facts))))


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one. Broken and circular links are not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


class FolderContent(NamedTuple):
    """Direct content of a folder, without hidden files and files of tools."""

    folders: tuple[str, ...]
    files: int
    images: int
    """Number of these files that have an image's suffix."""


def content_of(folder: Path, progress: ListingProgress) -> FolderContent:
    """Return the content of one folder and its number of sub-folders. Each folder is listed once.

    Raises DataFolderMissing, DataNotAFolder, DATA_FOLDER_UNREADABLE, NAME_NOT_UNICODE: the folder cannot be listed.
    """
    if folder in progress.contents:
        return progress.contents[folder]
    names: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_skipped(entry.name):
                    progress.skip(folder / entry.name)
                elif is_folder(entry):
                    progress.count_entry()
                    names.append(entry.name)
                else:
                    files.append(entry.name)
    except FileNotFoundError:
        raise DATA_FOLDER_MISSING(folder=folder) from None
    except NotADirectoryError:
        raise DATA_NOT_A_FOLDER(path=folder) from None
    except OSError as error:
        raise DATA_FOLDER_UNREADABLE(folder=folder, because=system_reason(error)) from error
    for name in names:
        if not name.isprintable() and any(0xDC80 <= ord(letter) <= 0xDCFF for letter in name):  # how os.fsdecode marks such bytes
            raise name_not_unicode(folder=folder, name=name)
    progress.contents[folder] = FolderContent(tuple(sorted(names)), len(files), sum(map(is_image_name, files)))
    return progress.contents[folder]


class _Walk:
    def __init__(self, stamps: list[str], progress: ListingProgress, root: Path | None) -> None:
        self._stamps = stamps
        self._progress = progress
        self._root = root

    def into(self, folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> None:
        # Listing an open folder spares the kernel a path lookup for every file, a sixth of the time.
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                here = os.fstat(handle)
                identity = (here.st_dev, here.st_ino)
                if identity not in above:  # the alternative is a link to a parent folder
                    self._list(handle, folder, prefix, above | {identity})
            finally:
                os.close(handle)
        except OSError as error:
            raise DATA_FOLDER_UNREADABLE(folder=folder, because=system_reason(error)) from error

    def _list(self, handle: int, folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> None:
        links, root = self._progress.links, self._root
        is_outside = root is not None and links.leads_out(links.real(str(folder)), root)
        with os.scandir(handle) as entries:
            for entry in entries:
                name = entry.name
                self._progress.count_entry()
                if is_skipped(name):
                    self._progress.skip(folder / name)
                    continue
                if is_folder(entry):
                    self.into(folder / name, f"{prefix}{name}/", above)
                    continue
                try:
                    facts = entry.stat()
                except OSError:
                    facts = None
                self._stamps.append(stamp_of(f"{prefix}{name}", facts))
                if root is not None and facts is not None and (is_outside or entry.is_symlink()):
                    links.check(folder / name, root)


class Stamped(NamedTuple):
    """A file as a folder lists it. See ``stamps_in`` for the parts of a stamp."""

    path: str
    stamp: str
    mtime_ns: int
    bytes: int
    """-1 for a file that cannot be stamped."""
    ctime_ns: int
    """Unlike ``mtime_ns``, no program can set this back."""


class Fact(NamedTuple):
    """The digest of a file, or the reason why it is not a usable image.

    ``lasting`` is False if the reason may disappear while the file is unchanged, for example because it could not be opened.
    """

    sha256: str
    problem: str
    lasting: bool = True


def parse_stamp(folder: str, stamp: str) -> Stamped:
    """Parse a stamp, with its path relative to the same root as ``folder``."""
    path, size, mtime_ns, _, ctime_ns = stamp.rsplit("/", 4)
    prefix = f"{folder}/" if folder else ""
    return Stamped(f"{prefix}{path}", f"{prefix}{stamp}", int(mtime_ns), int(size), int(ctime_ns))


def now_ns() -> int:
    """Return the wall-clock time, which file stamps use."""
    return time.time_ns()


def is_fresh(file: Stamped, read_ns: int) -> bool:
    """Whether a file changed too recently to trust its stamp. Times far in the future do not count."""
    return min(abs(read_ns - file.mtime_ns), abs(read_ns - file.ctime_ns)) < _FRESH_NS


def read_facts(root: Path, files: Sequence[Stamped], index_file: Path, tell: Progress) -> Mapping[str, Fact]:
    """Return the fact of every file by path: from the index if the stamp is known, else by reading the file.

    Facts are stored even if reading is interrupted, so an interrupted first run can resume.
    """
    known = _stored_facts(index_file, tell)
    facts = {file.path: known[file.stamp] for file in files if file.stamp in known}
    unknown = [file for file in files if file.path not in facts]
    if unknown:
        began_ns = now_ns()

        def take(file: Stamped, fact: Fact) -> None:
            facts[file.path] = fact

        try:
            process_on_every_core(unknown, lambda file: _read_fact(root / file.path), take, "reading images", tell)
        finally:
            kept = {
                file.stamp: facts[file.path][:2]
                for file in files
                if file.path in facts and facts[file.path].lasting and not is_fresh(file, began_ns)
            }
            write_json(index_file, {"schema": _SCHEMA, "pillow": pillow_version(), "files": kept})
    return facts


def _read_fact(path: Path) -> Fact:
    from edgecnn.data.images import problem_of  # importing Pillow takes 60 ms, which a cached build does not need

    try:
        path.name.encode("utf-8")
        problem, data = problem_of(path)
    except UnicodeEncodeError:
        return Fact("", f"its name {no_unicode(path.name)}")
    except OSError as error:
        return Fact("", system_reason(error), lasting=False)
    return Fact("", problem) if problem else Fact(hashlib.sha256(data).hexdigest(), "")


def _stored_facts(index_file: Path, tell: Progress) -> dict[str, Fact]:
    if not index_file.exists():
        return {}
    stored = read_json(index_file)
    try:
        if stored["schema"] != _SCHEMA:
            return {}
        same_pillow = stored["pillow"] == pillow_version()  # another Pillow may read more or fewer formats
        return {
            stamp: Fact(sha256, problem) for stamp, (sha256, problem) in stored["files"].items() if same_pillow or not problem
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        tell.note(f"{index_file} was damaged; every image is read again")
        return {}


def pillow_version() -> str:
    """Return the version of Pillow with its decoders, because one version may be built with different decoders."""
    installed = distribution("pillow")
    built = hashlib.sha256((installed.read_text("RECORD") or "").encode()).hexdigest()
    return f"{installed.version}+{built[:12]}"


def digest_of_stamps(parts: Iterable[Sequence[str]]) -> str:
    """Return one digest over all stamps. It changes if a file is added, removed or changed."""
    digest = hashlib.sha256()
    for stamps in parts:
        digest.update("\n".join(stamps).encode("utf-8", "surrogateescape"))
        digest.update(b"\0\n")
    return digest.hexdigest()


def index_file_for(cache: Path, root: Path) -> Path:
    """Return the file in which the facts of one root are stored."""
    return cache / "manifests" / "index" / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.json"


def write_text(path: Path, text: str) -> None:
    """Write a file atomically. Raises StoreFull: no space. StoreUnusable: no permission."""
    with named_failures(path.parent, "listing the images"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, text)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, as ``write_text`` does."""
    write_text(path, json.dumps(value, separators=(",", ":")))


def read_json(path: Path) -> Any:
    """Return the content of a file of the cache; None if it is absent or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
