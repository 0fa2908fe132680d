"""What a sandbox restricts on a machine."""

from __future__ import annotations

from typing import Literal

from edgecnn.values.base import Value

Restriction = Literal["files", "truncation", "network", "signals", "limits"]
"""``truncation``: files outside may be emptied, but not read or changed otherwise. ``limits``: of memory, processor time and the
size of files, which are only missing where a kit runs without a sandbox."""


class Confinement(Value):
    """The sandbox in which untrusted files were read or run."""

    landlock: int
    """Version of Landlock in this kernel; 0: it has none."""
    unrestricted: tuple[Restriction, ...] = ()
    """Everything that is not restricted here."""
