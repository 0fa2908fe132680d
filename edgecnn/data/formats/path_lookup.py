"""Find the files of a list whose paths do not exist as written: in a sub-folder, with a suffix added, or spelled differently."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.data.files import ListingProgress
from edgecnn.data.formats.rows import Row
from edgecnn.errors.labels import listed_file_twice, listed_files_missing
from edgecnn.errors.wording import counted
from edgecnn.runner.causes import is_image_name, is_skipped
from edgecnn.values.stage import Progress

_TRIED: Final = 100
"""Number of paths to try as written before searching for files."""
_DEEPEST: Final = 6
_FILES_MAX: Final = 5_000_000


class PathLookup(NamedTuple):
    """Finds the files of a list in a folder."""

    file: Path
    """The list."""
    folder: Path
    """The folder that its paths are relative to."""
    progress: ListingProgress
    tell: Progress

    def located(self, rows: Sequence[Row]) -> Mapping[str, str]:
        """Return the existing path for each path that does not exist; nothing if some of the first paths exist.

        Raises LISTED_FILES_MISSING: no file of the list exists. LISTED_FILE_TWICE: two files match a path.
        """
        paths = list(dict.fromkeys(row.path for row in rows))
        if any(self._exists(path) for path in paths[:_TRIED]):
            return {}
        place_of = self._searched(paths)
        if not place_of:
            if any(map(self._exists, paths)):
                return {}
            raise listed_files_missing(file=self.file, root=self.folder, paths=paths, has_root=self.folder.is_dir())
        first = next(path for path in paths if path in place_of)
        example = f"{first} as {place_of[first]}"
        self.tell.note(f"{self.file}: reads {counted(len(place_of), 'path')} of {len(paths):,} as other paths, such as {example}")
        return place_of

    def _exists(self, path: str) -> bool:
        return os.path.isfile(self.folder / path)  # noqa: PTH113 - False, too, of a path that is too long

    def _searched(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Return the file that matches each path."""
        wanted = {path: path.replace("\\", "/").removeprefix("./") for path in paths}
        texts = set(wanted.values())
        folded = {text.casefold() for text in texts}
        files: dict[str, list[str]] = {}
        loosely: dict[str, list[str]] = {}
        for place in self._files():
            for end in _ends(place):
                if end in texts:
                    files.setdefault(end, []).append(place)
                if end.casefold() in folded:
                    loosely.setdefault(end.casefold(), []).append(place)
        fitting = {path: _fitting(text, files.get(text) or loosely.get(text.casefold(), [])) for path, text in wanted.items()}
        for path, places in fitting.items():
            if len(places) > 1:
                raise listed_file_twice(file=self.file, path=path, files=places)
        return {path: places[0] for path, places in fitting.items() if places}

    def _files(self) -> Iterator[str]:
        """Yield the paths of probable images in the folder, relative to it."""
        count = 0
        for place, folders, names in os.walk(self.folder):
            here = os.path.relpath(place, self.folder)
            depth = 0 if here == "." else here.count("/") + 1
            folders[:] = sorted(name for name in folders if not is_skipped(name) and depth < _DEEPEST)
            for name in names:
                self.progress.one()
                count += 1
                if count > _FILES_MAX:
                    return
                if is_image_name(name) and not is_skipped(name):
                    yield name if depth == 0 else f"{here}/{name}"


def _ends(place: str) -> Iterator[str]:
    """Yield every path that matches a file: its last parts, with and without its suffix."""
    parts = place.split("/")
    for bare in {parts[-1], os.path.splitext(parts[-1])[0]}:  # noqa: PTH122 - of millions of names
        for first in range(len(parts)):
            yield "/".join((*parts[first:-1], bare))


def _fitting(text: str, places: list[str]) -> list[str]:
    """Return the files that match a path; the path itself if it is one of them."""
    return [text] if text in places else places
