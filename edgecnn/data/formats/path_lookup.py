"""Where the files of a list are, if no path leads to one: below a sub-folder, with a suffix, or written in another way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.data.files import ListingProgress
from edgecnn.data.formats.rows import Row
from edgecnn.errors.data.lists import listed_file_twice, listed_files_missing
from edgecnn.errors.wording import counted
from edgecnn.runner.causes.left_behind import is_image_name, is_skipped
from edgecnn.values.stage import Progress

_TRIED: Final = 100
"""Paths that are tried as they are written before files are searched."""
_DEEPEST: Final = 6
_FILES_MAX: Final = 5_000_000


class PathLookup(NamedTuple):
    """Finds the files of a list in a folder."""

    file: Path
    """The list."""
    folder: Path
    """From which its paths count."""
    progress: ListingProgress
    tell: Progress

    def located(self, rows: Sequence[Row]) -> Mapping[str, str]:
        """The path under which a file exists, for each path that leads nowhere; nothing where some of the first lead to files.

        Raises LISTED_FILES_MISSING: no file of the list exists. LISTED_FILE_TWICE: two files fit a path.
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
        """The file that each path fits."""
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
        """Yield the paths of likely images below the folder, relative to it."""
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
    """Every path that fits a place: its last parts, with its suffix or without."""
    parts = place.split("/")
    for bare in {parts[-1], os.path.splitext(parts[-1])[0]}:  # noqa: PTH122 - of millions of names
        for first in range(len(parts)):
            yield "/".join((*parts[first:-1], bare))


def _fitting(text: str, places: list[str]) -> list[str]:
    """The places of a path; the path itself where it is one."""
    return [text] if text in places else places
