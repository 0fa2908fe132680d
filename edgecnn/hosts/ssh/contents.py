"""What a board holds, by SHA-256: what it lacks is sent in one stream, and no file that was not changed is hashed twice."""

from __future__ import annotations

import hashlib
import tarfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

from edgecnn.errors.board import BoardDiskFull
from edgecnn.hosts.ssh.board import Board
from edgecnn.store.disk import sha256_of

_ROOM = 32 * 1024 * 1024
"""Bytes that stay free beside what is sent: logits, traces and a library's own files."""
_IGNORED = "__pycache__"


class Contents:
    """Files of this machine that a board is given."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._digests: dict[tuple[str, int, int], str] = {}
        self.sent_bytes = 0
        """Over this connection, of files' contents."""

    def of_folder(self, folder: Path) -> dict[str, Path]:
        """Every file of a folder by its name in it, byte code apart."""
        found = sorted(path for path in folder.rglob("*") if path.is_file() and _IGNORED not in path.parts)
        return {path.relative_to(folder).as_posix(): path for path in found}

    def digest(self, path: Path) -> str:
        """SHA-256 of a file."""
        facts = path.stat()
        known = (str(path), facts.st_size, facts.st_mtime_ns)
        if known not in self._digests:
            self._digests[known] = sha256_of(path)
        return self._digests[known]

    def send(self, paths: Iterable[Path]) -> dict[Path, str]:
        """Let the board hold these files; returns the SHA-256 of each.

        Raises:
            BoardDiskFull: it has no room for what it lacks.
        """
        digests = {path: self.digest(path) for path in paths}
        here = {sha256: path for path, sha256 in digests.items()}
        said = self._board.ask("have", sha256=sorted(here))
        missing = {sha256: here[sha256] for sha256 in said["missing"]}
        size = sum(path.stat().st_size for path in missing.values())
        if missing and size + _ROOM > said["free_bytes"]:
            free = int(said["free_bytes"])
            raise BoardDiskFull(board=self._board.name, folder=self._board.folder, needed_bytes=size + _ROOM, free_bytes=free)
        if missing:
            with _Stream(missing) as stream:
                self._board.ask("put", given=stream)
            self.sent_bytes += size
        return digests

    def folder(self, files: Mapping[str, Path], kind: str) -> str:
        """Lay a folder of such files out there under the digest of its listing; returns its path there."""
        digests = self.send(files.values())
        listing = {name: digests[path] for name, path in files.items()}
        named = hashlib.sha256(repr(sorted(listing.items())).encode()).hexdigest()[:32]
        return str(self._board.ask("lay", folder=f"{kind}/{named}", files=listing, fresh=True)["path"])


class _Stream:
    """A tar of files as it is read, so that nothing is copied here first."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def __enter__(self) -> IO[bytes]:
        import os

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
            return  # nobody reads any more, or a file went: the board says what it lacks
