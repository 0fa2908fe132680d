"""Whether a published bundle still is what was published, told without reading it again each time.

A file whose stamp is the one that was kept beside the bundle is taken to be unchanged; any other is hashed. The stamp holds the
kernel's own date of the last change (ctime), which no copying or dating tool can set. A stamp is kept only where a later change
must have another: a file that was changed within the same tick of the kernel's clock for files is hashed once more.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.measure.kits import KitRef
from edgecnn.store.disk import files_under, sha256_of
from edgecnn.store.entry import read_stamps, write_stamps

STAMPS = ".edgecnn.stamps.json"
"""Beside the bundle, since it is true on this machine alone."""
_TICK_S = 0.011
"""A tick of the kernel's clock for files lasts 10 ms at the most (CONFIG_HZ is 100 to 1000)."""
Stamp = tuple[int, int, int, int]
"""(size in bytes, mtime in ns, inode, ctime in ns)."""


def is_intact(bundle: Path, carried: Mapping[str, KitRef]) -> bool:
    """True where the manifests are the kits', and every file is as its manifest states it; its stamps are then kept.

    Args:
        bundle: as it lies in the output folder.
        carried: the kits that belong into it, by name.
    """
    facts: dict[str, Mapping[str, Any]] = {}
    for name, kit in carried.items():
        manifest = bundle / "kits" / name / "kit.json"
        if not manifest.is_file() or sha256_of(manifest) != kit.digest:
            return False
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        facts.update({f"kits/{name}/{file}": fact for file, fact in files.items()})
    stamps: dict[str, Stamp] = {}
    for file, fact in facts.items():
        stamp = _stamp(bundle / file)
        if stamp is None or stamp[0] != fact["bytes"]:
            return False
        stamps[file] = stamp
    known = read_stamps(bundle.parent / STAMPS)
    unknown = [file for file, stamp in stamps.items() if stamp != known.get(file)]
    if unknown:
        now_ns = _clock_ns(bundle.parent)  # before the bytes are read: what changes meanwhile gets a later date than its stamp
        if any(sha256_of(bundle / file) != facts[file]["sha256"] for file in unknown):
            return False
        write_stamps(bundle.parent / STAMPS, {file: stamp for file, stamp in stamps.items() if stamp[3] < now_ns})
    return True


def settled_stamps(bundle: Path) -> dict[str, Stamp]:
    """The stamps of a bundle's kits that was just written and that nobody else has seen, by path below it."""
    time.sleep(_TICK_S)
    now_ns = _clock_ns(bundle)
    stamps = {f"kits/{name}": _stamp(path) for name, path in files_under(bundle / "kits")}
    return {name: stamp for name, stamp in stamps.items() if stamp is not None and stamp[3] < now_ns}


def _stamp(path: Path) -> Stamp | None:
    """None where there is no file."""
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (facts.st_size, facts.st_mtime_ns, facts.st_ino, facts.st_ctime_ns) if stat.S_ISREG(facts.st_mode) else None


def _clock_ns(folder: Path) -> int:
    """What the file system of ``folder`` would date a change with now; it may tick slowly, or be another machine's."""
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"x")
        probe.flush()
        return os.fstat(probe.fileno()).st_ctime_ns
