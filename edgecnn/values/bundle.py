"""A bundle's own manifest, and what became of verifying it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from edgecnn.values.artifact import FileFact
from edgecnn.values.base import Value

Version = Annotated[int, Field(ge=1, le=2**53)]
"""Counts up with every change of a bundle's files; beyond 2^53 readers of JSON differ (RFC 8259, 6)."""


class BundleManifest(Value):
    """``bundle.json``, schema edgecnn.bundle/1: every other file of a bundle. This is what is signed."""

    schema_: Literal["edgecnn.bundle/1"] = Field(default="edgecnn.bundle/1", alias="schema")
    name: Annotated[str, Field(min_length=1, max_length=255)]
    """Of the build's folder; a device that remembers versions keeps one for each name."""
    version: Version
    files: Mapping[str, FileFact]
    """Path inside the bundle, with slashes, to what lies there."""


class BundleVerification(Value):
    """``edgecnn verify BUNDLE --json``, schema edgecnn.verification/1. There is none of a bundle that was refused."""

    schema_: Literal["edgecnn.verification/1"] = Field(default="edgecnn.verification/1", alias="schema")
    path: str
    form: Literal["folder", "zip"]
    name: str
    version: int
    sha256: str
    """Of ``bundle.json``, by which the whole bundle is known."""
    files: int
    bytes: int
    """Of all files together, without ``bundle.json`` and its signature."""
    kits: tuple[str, ...]
    chosen: str | None
    signature: Literal["none", "unchecked", "good"]
    """unchecked: there is one, and no ``--allowed-signers`` to hold it against."""
    signer: str | None = None
    """The identity in the file of allowed signers, of a good signature."""
    made_here: tuple[str, ...] = ()
    """Files that ``--made-here`` let pass: no manifest lists them, and nothing is known of them."""
    remembered: int | None = None
    """The version that this machine had accepted before; None where it keeps no record, or had none of this name."""
    warnings: tuple[str, ...] = ()
