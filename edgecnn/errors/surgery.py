"""Failures of asking for surgery."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError


class NothingToReplace(EdgecnnError):
    """Raised before anything is trained, where a network lacks what surgery is asked to take out."""

    ref = "nothing-to-replace"

    def __init__(self, *, arch: str, setting: str, lacks: str, has: str, fitting: Sequence[str]) -> None:
        name = setting.partition("=")[0]
        super().__init__(
            what=f"surgery.{setting} takes {lacks} out of {arch}, which has none",
            because=f"it has {has}",
            hint=f"--set surgery.{name}=keep, or a network that has {lacks}: {', '.join(fitting)}",
        )
