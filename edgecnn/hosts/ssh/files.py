"""Files on both sides: contents that a board stores by SHA-256, and the results folder that it writes.

Missing contents are sent in one stream.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from edgecnn.errors.hosts import board_disk_full, board_failed, link_lost
from edgecnn.hosts.ssh.board import SILENCE_S, Board
from edgecnn.hosts.wire import Incoming, Silence, Tail, Unusable, document_in, last_lines, usable
from edgecnn.runner.runs.processes import kill_group
from edgecnn.store.disk import Stamp, sha256_of, stamp_from

_ROOM = 32 * 1024 * 1024
"""Bytes that must stay free in addition to the sent files, for logits, traces and files of libraries."""
_IGNORED = "__pycache__"
_FETCHING = "fetching results"


class Contents:
    """Files of this machine that a board needs."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._digests: dict[tuple[str, Stamp], str] = {}
        self.sent_bytes = 0
        """Bytes of contents that were sent over this connection."""

    def files_in(self, folder: Path) -> dict[str, Path]:
        """Return every file of a folder by its relative name, without byte code."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and _IGNORED not in path.parts)
        return {path.relative_to(folder).as_posix(): path for path in paths}

    def digest(self, path: Path) -> str:
        """Return SHA-256 of a file. An unchanged file is hashed only once."""
        identity = (str(path), stamp_from(path.stat()))
        if identity not in self._digests:
            self._digests[identity] = sha256_of(path)
        return self._digests[identity]

    def send(self, paths: Iterable[Path]) -> dict[Path, str]:
        """Send the files that a board lacks, and return the SHA-256 of each file.

        Raises BoardDiskFull: the board has too little space.
        """
        digests = {path: self.digest(path) for path in paths}
        here = {sha256: path for path, sha256 in digests.items()}
        answer = self._board.ask("have", sha256=sorted(here))
        with usable(self._board.name, "have"):
            if not here.keys() >= set(answer["missing"]):
                raise Unusable("missing: it names a SHA-256 that was not requested")
        missing = {sha256: here[sha256] for sha256 in answer["missing"]}
        size = sum(path.stat().st_size for path in missing.values())
        if missing and size + _ROOM > answer["free_bytes"]:
            free = int(answer["free_bytes"])
            raise board_disk_full(board=self._board.name, folder=self._board.folder, needed_bytes=size + _ROOM, free_bytes=free)
        if missing:
            with _TarStream(missing) as stream:
                self._board.ask("put", stdin=stream)
            self.sent_bytes += size
        return digests

    def make_folder(self, files: Mapping[str, Path], kind: str) -> str:
        """Make a folder with these files on the board, named after the digest of its listing, and return its path."""
        digests = self.send(files.values())
        listing = {name: digests[path] for name, path in files.items()}
        name = hashlib.sha256(repr(sorted(listing.items())).encode()).hexdigest()[:32]
        return str(self._board.ask("lay", folder=f"{kind}/{name}", files=listing, fresh=True)["path"])


class _TarStream:
    """A tar of files that is written while it is read, without a copy here."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def __enter__(self) -> IO[bytes]:
        reading, writing = os.pipe()
        self._read, write = os.fdopen(reading, "rb"), os.fdopen(writing, "wb")
        self._thread = threading.Thread(target=self._fill, args=(write,), daemon=True)
        self._thread.start()
        return self._read

    def __exit__(self, *_: object) -> None:
        self._read.close()
        self._thread.join()

    def _fill(self, write: IO[bytes]) -> None:
        try:
            with write, tarfile.open(fileobj=write, mode="w|", bufsize=1 << 20) as archive:
                for sha256, path in self._files.items():
                    member = tarfile.TarInfo(sha256)
                    member.size = path.stat().st_size
                    with path.open("rb") as content:
                        archive.addfile(member, content)
        except OSError:
            return  # the reader has ended, or a file is gone: the board reports what it lacks


PLACE = ".there.json"


class Results:
    """One results folder, here and on a board.

    A file in the folder here names the board's folder. It is written before anything runs, so that the next call finds the
    results of an interrupted call. If the folder here is emptied, the next call starts a new folder on the board.
    """

    def __init__(self, board: Board, contents: Contents, out: Path) -> None:
        self._board, self._contents, self._out = board, contents, out

    @property
    def is_begun(self) -> bool:
        """Whether an earlier call left results on this board."""
        return self._folder_there() is not None

    @property
    def folder(self) -> str:
        """Name of the folder in the board's private folder; chosen now if there is none."""
        folder = self._folder_there()
        if folder is not None:
            return folder
        name = f"results/{uuid.uuid4().hex}"
        self._out.mkdir(parents=True, exist_ok=True)
        path = self._out / PLACE
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps({**self._folders(), self._board.name: name}, indent=1), encoding="utf-8")
        partial.replace(path)
        return name

    def send(self) -> str:
        """Send the files that the board lacks, and return the folder's path on the board."""
        listed, files = self._listing(), self._contents.files_in(self._out)
        files = {name: path for name, path in files.items() if _is_result(name) and name not in listed}
        digests = self._contents.send(files.values()) if files else {}
        listing = {name: digests[path] for name, path in files.items()}
        return str(self._board.ask("lay", folder=self.folder, files=listing, fresh=False)["path"])

    def fetch(self) -> None:
        """Fetch the finished files that differ from those here, with their dates."""
        changed = {}
        for name, facts in self._listing().items():
            path = self._out / name
            is_same = path.is_file() and path.stat().st_size == facts["bytes"] and sha256_of(path) == facts["sha256"]
            if _is_result(name) and not is_same:
                changed[name] = facts
        if changed:
            self._fetch_files(changed)

    def _folders(self) -> dict[str, str]:
        try:
            return dict(json.loads((self._out / PLACE).read_bytes()))
        except (OSError, ValueError):
            return {}

    def _folder_there(self) -> str | None:
        return self._folders().get(self._board.name)

    def _listing(self) -> Mapping[str, Mapping[str, Any]]:
        files: Mapping[str, Mapping[str, Any]] = self._board.ask("list", folder=self.folder)["files"]
        return files

    def _fetch_files(self, changed: Mapping[str, Mapping[str, Any]]) -> None:
        names, size = sorted(changed), sum(facts["bytes"] for facts in changed.values())
        process = self._board.start("get", folder=self.folder, names=names)
        assert process.stdout is not None and process.stderr is not None
        incoming, stderr = Incoming(process.stdout, size), Tail(process.stderr)
        try:
            with usable(self._board.name, _FETCHING):
                while (line := incoming.read_line(SILENCE_S)) and "sends" not in (document_in(line) or {}):
                    continue
                if line is None:
                    raise Silence
                for name in names:
                    self._fetch_file(name, changed[name], incoming)
        except Silence as error:
            raise link_lost(board=self._board.name, doing=_FETCHING, because=f"no data for {SILENCE_S:g} s") from error
        except (OSError, EOFError) as error:
            if self._board.link.is_lost():
                raise link_lost(board=self._board.name, doing=_FETCHING) from error
            raise board_failed(
                board=self._board.name, doing=_FETCHING, lines=[*last_lines(stderr.text, 1), str(error)]
            ) from error
        finally:
            kill_group(process)

    def _fetch_file(self, name: str, facts: Mapping[str, Any], incoming: Incoming) -> None:
        """Fetch a complete file, and compare its SHA-256."""
        path = self._out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        try:
            with partial.open("wb") as target:
                for block in incoming.read_exactly(facts["bytes"], SILENCE_S):
                    target.write(block)
            if sha256_of(partial) != facts["sha256"]:
                raise board_failed(board=self._board.name, doing=_FETCHING, lines=[f"{name} was changed on the way"])
            written = time.time() - facts["age_s"]
            os.utime(partial, (written, written))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _is_result(name: str) -> bool:
    return Path(name).name != PLACE and not name.endswith(".partial")
