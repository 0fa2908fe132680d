"""Linux's small files about the machine, and the limits of a container or a service unit on this process.

A missing value is None, never a default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

ROOT = Path("/")


def read_text(path: Path) -> Optional[str]:
    """Return a small file's text without surrounding spaces and zero bytes; None if it is absent, unreadable or empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n\t") or None
    except OSError:
        return None


def read_count(path: Path) -> Optional[int]:
    """Return the whole number of at least 0 in a small file; None if there is none."""
    text = read_text(path)
    return int(text) if text and text.isdigit() else None


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


UNIFIED = ""
"""The key of version 2's only hierarchy."""
_WITHOUT_MOUNTINFO = {UNIFIED: ("/", "sys/fs/cgroup"), "cpu": ("/", "sys/fs/cgroup/cpu"), "memory": ("/", "sys/fs/cgroup/memory")}
_NO_LIMIT_BYTES = 1 << 60
"""Version 1 states 'no limit' as the largest multiple of a page in 63 bits."""


class Limits(NamedTuple):
    """The lowest limits of all groups, None without a limit. ``known`` is False if no group could be read."""

    cores: Optional[float]
    memory_mib: Optional[int]
    known: bool


def read_limits(root: Path = ROOT) -> Limits:
    """Return the limits of this process's control group and of all groups above it, up to the mounted root.

    Both versions of Linux's control groups are read. A group's path is relative to the mounted group, which inside a container is
    the container's own. So /proc/self/cgroup may name folders that do not exist; these set no limit. Sources: cgroups(7),
    Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst of the kernel.

    Args:
        root: the folder of ``proc`` and ``sys``.
    """
    unified = list(_group_folders(root, UNIFIED))
    quotas = [((read_text(folder / "cpu.max") or "").partition(" "))[::2] for folder in unified]
    quotas += [
        (read_text(folder / "cpu.cfs_quota_us") or "", read_text(folder / "cpu.cfs_period_us") or "")
        for folder in _group_folders(root, "cpu")
    ]
    # ``max`` (version 2) and -1 (version 1) set no limit.
    cores = [int(quota) / int(period) for quota, period in quotas if quota.isdigit() and period.isdigit() and int(period) > 0]
    files = [folder / "memory.max" for folder in unified]
    files += [folder / "memory.limit_in_bytes" for folder in _group_folders(root, "memory")]
    sizes = [size for size in map(read_count, files) if size is not None and size < _NO_LIMIT_BYTES]
    known = bool(cores or sizes or read_text(root / "proc/self/cgroup"))
    return Limits(min(cores) if cores else None, min(sizes) // (1024 * 1024) if sizes else None, known)


def _group_folders(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the process's group in a hierarchy and of its ancestors, up to the mounted group."""
    mounted = _mounts(root).get(controller)
    if mounted is None:
        return
    top, place = mounted[0].rstrip("/"), mounted[1]
    group = _groups(root).get(controller, "/")
    is_inside = group == top or group.startswith(top + "/")
    parts = [part for part in group[len(top) :].split("/") if part] if is_inside else []
    if ".." in parts:
        parts = []
    for count in range(len(parts), -1, -1):
        yield root.joinpath(place, *parts[:count])


def _groups(root: Path) -> Dict[str, str]:
    groups: Dict[str, str] = {}
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        fields = line.split(":", 2)
        if len(fields) == 3:
            for controller in fields[1].split(","):
                groups[controller] = fields[2]
    return groups


def _mounts(root: Path) -> Dict[str, Tuple[str, str]]:
    """Return the mounted group and its folder, relative to ``root``, of each controller."""
    mounts: Dict[str, Tuple[str, str]] = {}
    for line in (read_text(root / "proc/self/mountinfo") or "").splitlines():
        before, _, after = line.partition(" - ")
        mount, filesystem = before.split(), after.split()
        if len(mount) < 5 or len(filesystem) < 3 or filesystem[0] not in ("cgroup", "cgroup2"):
            continue
        names: List[str] = [UNIFIED] if filesystem[0] == "cgroup2" else filesystem[2].split(",")
        for name in names:
            mounts.setdefault(name, (mount[3], mount[4].lstrip("/")))
    return mounts or dict(_WITHOUT_MOUNTINFO)
