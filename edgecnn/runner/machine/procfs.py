"""Small files in which Linux describes the machine: a value is there or it is not; nothing stands in for it."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Optional

ROOT = Path("/")


def read_text(path: Path) -> Optional[str]:
    """A small file's text without surrounding spaces and zero bytes, or None where it is absent, refused or empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n\t") or None
    except OSError:
        return None


def listed(folder: Path, pattern: str) -> List[Path]:
    """What a pattern matches in a folder, sorted; nothing where the folder is absent or may not be looked into."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def cpuinfo(root: Path = ROOT) -> Dict[str, str]:
    """The first processor's fields of /proc/cpuinfo."""
    fields: Dict[str, str] = {}
    for line in (read_text(root / "proc/cpuinfo") or "").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    return fields
