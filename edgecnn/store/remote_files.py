"""A remote folder, bucket or server folder, reached by fsspec."""

from __future__ import annotations

import re
import secrets
from collections.abc import Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

from edgecnn.errors.store import (
    NOTHING_COLLECTED,
    REMOTE_UNUSABLE,
    RemoteUnusable,
    remote_needs_package,
)
from edgecnn.errors.wording import first_line

_AT_ONCE: Final = 8
"""Number of simultaneous requests."""
_PACKAGES: Final = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", None), "gcs": ("gcsfs", None),
                    "sftp": ("sshfs", None), "ssh": ("sshfs", None)}  # fmt: skip
"""The package that reaches each scheme, and the extra of edgecnn that installs it."""
_SSH: Final = ("sftp", "ssh")
_LOCAL: Final = ("file", "local")


_PART: Final = re.compile(r".+\.[0-9a-f]{16}\.part")


class RemoteFile(NamedTuple):
    """A remote file."""

    bytes: int
    changed: float
    """Time of the last change by the remote clock, in seconds since 1970."""


def redacted(url: str) -> str:
    """Return the URL without user and password."""
    return re.sub(r"//[^/]*@", "//…@", url)


def has_credentials(url: str) -> bool:
    """Whether the URL holds a user or more before the host."""
    return redacted(url) != url


def is_part(path: str) -> bool:
    """Whether a killed ``RemoteFiles.write`` may have left the file."""
    return _PART.fullmatch(path) is not None


class RemoteFiles:
    """The files of a remote folder. The client finds the credentials; edgecnn never stores them."""

    def __init__(self, url: str) -> None:
        """Raises RemoteNeedsPackage: a package for this scheme is missing. RemoteUnusable: the URL is not valid."""
        self.url = redacted(url)
        try:  # an extra, which a store without a remote store does not need
            import fsspec
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise remote_needs_package(url=self.url, package="fsspec", extra="remote") from error
        scheme = url.partition("://")[0] if "://" in url else "file"
        try:
            if scheme in _SSH and find_spec("sshfs") is None:
                raise ImportError  # fsspec's own client accepts any host key
            self._fs, self._root = url_to_fs(url, skip_instance_cache=True, **_client_options(scheme))
        except (ImportError, ValueError) as error:
            package, extra = _PACKAGES.get(scheme, (None, None))
            if package is None:
                known = ", ".join(sorted({"file", *_PACKAGES} & set(fsspec.available_protocols())))
                because = f"{scheme} is not a known kind of place; known are {known}"
                raise REMOTE_UNUSABLE(url=self.url, because=because) from error
            raise remote_needs_package(url=self.url, package=package, extra=extra) from error
        except Exception as error:  # SSH connects at once
            raise REMOTE_UNUSABLE(url=self.url, because=f"connecting: {first_line(error)}") from error
        self._has_folders = scheme in _SSH or not self._fs.async_impl
        self.at_once = _AT_ONCE if self._fs.async_impl or scheme in _LOCAL else 1
        """Simultaneous requests; clients of other schemes share one unprotected connection."""

    def has_any(self, folders: Iterable[str]) -> bool:
        """Whether one of these folders exists. Raises RemoteUnusable."""
        places = {self._remote_path(folder) for folder in folders}
        with self.reached("listing it"):
            try:
                return any(place.rstrip("/") in places for place in self._fs.ls(self._root, detail=False))
            except FileNotFoundError:
                return False

    def list_files(self, folders: Iterable[str]) -> dict[str, RemoteFile]:
        """Return every file below the folders by its path.

        A client's own search ignores unreadable folders; here they are errors.

        Raises RemoteUnusable. NothingCollected: the client reports no times.
        """
        infos = dict[str, Mapping[str, Any]]()
        with self.reached("listing it"), ThreadPoolExecutor(self.at_once) as pool:
            tops = {self._remote_path(folder) for folder in folders}
            level = [path for place in self._fs.ls(self._root, detail=False) if (path := place.rstrip("/")) in tops]
            while level:
                listed = list(pool.map(self._list_folder, level))
                by_folder = zip(level, listed, strict=True)
                inside = [(folder, info["name"].rstrip("/"), info) for folder, children in by_folder for info in children]
                infos |= {path: info for folder, path, info in inside if info["type"] == "file" or path == folder}
                level = [
                    path for _, path, _ in inside if path not in infos
                ]  # links too, because only a listing shows what they are
        there = {path: info for path, info in infos.items() if info["type"] != "directory"}
        return {
            path.removeprefix(self._remote_path("")): RemoteFile(int(info["size"]), self._time_of_change(info))
            for path, info in there.items()
        }

    def write(self, path: str, content: bytes) -> None:
        """Write a small file, completely or not at all. Raises RemoteUnusable."""
        with self.reached("writing to it"):
            if not self._has_folders:  # a bucket shows only complete files
                self._fs.pipe_file(self._remote_path(path), content)
                return
            aside = self._remote_path(f"{path}.{secrets.token_hex(8)}.part")
            self._fs.makedirs(aside.rpartition("/")[0], exist_ok=True)
            try:
                self._fs.pipe_file(aside, content)
                self._fs.mv(aside, self._remote_path(path))
            except BaseException:
                with suppress(Exception):
                    self._fs.rm_file(aside)
                raise

    def remove(self, path: str) -> None:
        """Delete a file if it exists. Raises RemoteUnusable: usually without permission."""
        with self.reached(f"deleting {path}"), suppress(FileNotFoundError):
            self._fs.rm_file(self._remote_path(path))

    def move(self, path: str, to: str) -> None:
        """Move a file if it exists, by renaming; in buckets by a copy on the server. Raises RemoteUnusable."""
        with self.reached(f"moving {path}"), suppress(FileNotFoundError):
            if not self._has_folders:  # a bucket's own move hides that deleting is not permitted
                self._fs.cp_file(self._remote_path(path), self._remote_path(to))
                self._fs.rm_file(self._remote_path(path))
            else:
                self._fs.makedirs(self._remote_path(to).rpartition("/")[0], exist_ok=True)
                self._fs.mv(self._remote_path(path), self._remote_path(to))

    @contextmanager
    def reached(self, doing: str, passing: Container[int | None] = ()) -> Iterator[None]:
        """Turn all exceptions of a client, which share no class, into RemoteUnusable.

        ``passing``: error numbers of this machine, whose OSError is raised unchanged. Raises RemoteUnusable, OSError.
        """
        try:
            yield
        except Exception as error:
            if isinstance(error, OSError) and error.errno in passing:
                raise
            raise REMOTE_UNUSABLE(url=self.url, because=f"{doing}: {first_line(error)}") from error

    def _list_folder(self, folder: str) -> list[Mapping[str, Any]]:
        try:
            return list(self._fs.ls(folder, detail=True))
        except FileNotFoundError:
            if not self._has_folders:  # in a bucket, a folder disappears with its last file
                return []
            raise

    def _remote_path(self, below: str) -> str:
        return f"{self._root.rstrip('/')}/{below}"

    def _time_of_change(self, info: Mapping[str, Any]) -> float:
        when = info.get("mtime") or info.get("LastModified")
        try:
            with self.reached("dating its files"):
                when = when or self._fs.modified(info["name"])
                return when.timestamp() if isinstance(when, datetime) else float(when)
        except RemoteUnusable as error:
            hint = "use a place whose client tells them: a folder, s3://, gs:// or sftp://"
            raise NOTHING_COLLECTED(url=self.url, because="it does not report when its files changed", hint=hint) from error


def _client_options(scheme: str) -> dict[str, Any]:
    if scheme in _SSH:
        return {"known_hosts": ()}  # asyncssh then reads ~/.ssh; without it, sshfs accepts any host
    return {"use_listings_cache": False, **({"auto_mkdir": True} if scheme in _LOCAL else {})}
