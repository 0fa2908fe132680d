"""What dividing a folder of images made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.dataset import SplitRole
from edgecnn.values.key import Key


class DataDivision(Value):
    """``edgecnn data split FOLDER --out FOLDER``, schema edgecnn.division/2."""

    schema_: Literal["edgecnn.division/2"] = Field(default="edgecnn.division/2", alias="schema")
    version: str
    root: str
    out: str
    seed: int
    content: Key
    """Of the folder that was divided, as a build names it."""
    images: Mapping[Literal["train", "validation", "test"], int]
    roles: Mapping[SplitRole, int]
    """As a build draws them, of either folder: train/ holds train and calibration."""
    roles_from: str
    linked: bool
    """Hard links: both names are one file, and whoever writes into one changes the other."""
    skipped: tuple[str, ...]
    """Files that are no readable image, with the reason."""
    copies: tuple[str, ...]
    """Left out: the same bytes stand in another split or under another class."""
