"""Read Linux's small files about the machine. A missing value is None, never a default."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Optional

ROOT = Path("/")


def read_text(path: Path) -> Optional[str]:
    """Return a small file's text without surrounding spaces and zero bytes; None if it is absent, unreadable or empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n\t") or None
    except OSError:
        return None


def listed(folder: Path, pattern: str) -> List[Path]:
    """Return the sorted matches of a pattern in a folder; none if the folder is absent or unreadable."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def cpuinfo(root: Path = ROOT) -> Dict[str, str]:
    """Return the first processor's fields of /proc/cpuinfo."""
    fields: Dict[str, str] = {}
    for line in (read_text(root / "proc/cpuinfo") or "").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    return fields
