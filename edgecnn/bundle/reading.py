"""Reading a bundle's file to its end, with its SHA-256 on the way: what was compared once may be another when it is used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import IO, Final

from edgecnn.bundle.opened import Opened
from edgecnn.errors.base import system_reason
from edgecnn.errors.bundle import BundleEntryRefused, BundleFileChanged

_CHUNK: Final = 1 << 20


def read_through(opened: Opened, name: str, take: Callable[[bytes], object] | None = None) -> str:
    """SHA-256 of a file, in hexadecimal; ``take`` is given its bytes, and what it raises passes.

    Raises:
        BundleFileMissing: it is gone since the bundle was listed.
        BundleEntryRefused: it cannot be read.
    """
    digest = hashlib.sha256()
    with opened.open(name) as source:
        while chunk := _next(opened, name, source):
            digest.update(chunk)
            if take is not None:
                take(chunk)
    return digest.hexdigest()


def copy_compared(opened: Opened, name: str, sha256: str, take: Callable[[bytes], object]) -> None:
    """Give ``take`` the bytes of a file that was verified.

    Raises:
        BundleFileChanged: they are no longer those; what was taken is not to be used.
        BundleFileMissing, BundleEntryRefused: see ``read_through``.
    """
    if read_through(opened, name, take) != sha256:
        raise BundleFileChanged(path=opened.path, file=name, because="it changed while it was copied")


def _next(opened: Opened, name: str, source: IO[bytes]) -> bytes:
    try:
        return source.read(_CHUNK)
    except OSError as error:
        raise BundleEntryRefused(path=opened.path, entry=name, because=f"cannot be read ({system_reason(error)})") from error
