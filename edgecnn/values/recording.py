"""What a machine said of itself, as ``hosts/recorder.py`` wrote it down: raw texts, judged nowhere."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from edgecnn.values.base import Value


class RecordedPython(Value):
    """The interpreter that kits would run with."""

    version: tuple[int, int, int]
    implementation: str
    executable: str
    bits: int
    """Of a pointer: 32 where a 64-bit kernel carries 32-bit programs."""
    in_environment: bool
    managed: bool
    """The system keeps pip out of it (PEP 668)."""
    ensurepip: bool
    packages: Mapping[str, str]
    glibc: str
    """As ``2.36``; empty: another C library."""


class RecordedDisk(Value):
    """The file system of the home folder."""

    free_mib: int
    noexec: bool


class Recording(Value):
    """One machine at one moment."""

    machine: str
    """``uname -m``."""
    kernel: str
    page_bytes: int
    cores: int
    user: int
    python: RecordedPython
    disk: RecordedDisk
    nodes: Mapping[str, bool]
    """Device files, relative to the root, and whether the user may use them."""
    commands: Mapping[str, str]
    files: Mapping[str, str] = Field(max_length=10_000)
    """Texts by path relative to the root."""
    refused: Mapping[str, str]
    """Paths that are there and may not be read, and why."""
