"""A kit as measuring sees it: a folder and the digest that its profiles are filed under."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from edgecnn.values.artifact import Artifact
from edgecnn.values.base import Value
from edgecnn.values.candidate import Candidate


class KitRef(Value):
    """One packaged kit."""

    candidate: Candidate
    folder: Path
    digest: str
    """sha256 of ``kit.json``, which holds the sha256 of every other file."""
    stands_for: str | None = None
    """The device kit's digest, where this one is an emulated twin."""

    @classmethod
    def of(cls, candidate: Candidate, artifact: Artifact) -> KitRef:
        """The kit in a package artifact. Its record already has the digest, so nothing is read again to hash it."""
        stands_for = (artifact.record.payload["inputs"] or {}).get("kit") and _manifest(artifact.folder)["stands_for"]["kit"]
        digest = artifact.record.files["kit.json"].sha256
        return cls(candidate=candidate, folder=artifact.folder, digest=digest, stands_for=stands_for or None)

    @property
    def model_bytes(self) -> int:
        """Bytes of the model's own files: what the network costs on the device's disk, without runner and golden set."""
        manifest = _manifest(self.folder)
        return sum(int(manifest["files"][name]["bytes"]) for name in manifest["model"]["files"])


def _manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "kit.json").read_text())
    return manifest


def kit_digest(folder: Path) -> str:
    """sha256 of a kit's manifest."""
    return hashlib.sha256((folder / "kit.json").read_bytes()).hexdigest()
