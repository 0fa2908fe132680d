"""A packaged kit that is measured: its folder, and the digest under which its profiles are stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.runner.files import bounded_content
from edgecnn.runner.manifest import MANIFEST_BYTES_MAX
from edgecnn.runner.packages import runs_on_gpu, runtime_of
from edgecnn.values.artifact import Artifact
from edgecnn.values.base import Value
from edgecnn.values.candidate import DEFAULT, Candidate, Knobs

_MIB = 1024 * 1024


class KitRef(Value):
    """A packaged kit."""

    candidate: Candidate
    folder: Path
    digest: str
    """SHA-256 of ``kit.json``, which contains the SHA-256 of every other file."""
    runtime: str
    """Runtime of the kit's session; for a twin, it differs from the candidate's runtime."""
    on_gpu: bool = False
    """Whether the session computes on an NVIDIA GPU."""
    stands_for: str | None = None
    """Digest of the device's kit, if this kit is its emulated twin."""
    made_here: bool = False
    """Whether the kit is from this store, which is trusted. A kit in a bundle may be from anyone, so it runs in a sandbox."""
    knobs: Knobs = DEFAULT
    """Settings of the session when it is timed, which are not part of the kit or its digest."""

    @classmethod
    def of(cls, candidate: Candidate, artifact: Artifact) -> KitRef:
        """Return the kit in a package artifact, whose record already has the digest."""
        digest = artifact.record.files["kit.json"].sha256
        described = cls._described(candidate, artifact.folder, digest, _manifest(artifact.folder))
        return described.model_copy(update={"made_here": True})

    @classmethod
    def at(cls, folder: Path, *, made_here: bool = False) -> KitRef:
        """Return a kit in any folder, such as one of a bundle.

        Raises OSError, ValueError, KeyError, TypeError: there is no valid ``kit.json``.
        """
        text = bounded_content(folder / "kit.json", MANIFEST_BYTES_MAX)
        manifest = json.loads(text)
        candidate = Candidate.model_validate(manifest["candidate"])
        described = cls._described(candidate, folder.resolve(), hashlib.sha256(text).hexdigest(), manifest)
        return described.model_copy(update={"made_here": made_here})

    @classmethod
    def _described(cls, candidate: Candidate, folder: Path, digest: str, manifest: dict[str, Any]) -> KitRef:
        return cls(
            candidate=candidate,
            folder=folder,
            digest=digest,
            runtime=runtime_of(manifest["session"]["module"]),
            on_gpu=runs_on_gpu(manifest["session"]["module"]),
            stands_for=(manifest["stands_for"] or {}).get("kit"),
        )

    def with_knobs(self, knobs: Knobs) -> KitRef:
        """Return the kit with other knobs."""
        return self.model_copy(update={"knobs": knobs})

    @property
    def entrant(self) -> str:
        """The identity of this kit and its knobs in a race: the digest alone if no knob is set."""
        return entrant_of(self.digest, self.knobs.options)

    @property
    def compiles(self) -> bool:
        """Whether the session compiles the network in every process."""
        return self.candidate.session_options.get("compile", "off") != "off"

    @property
    def batch_max(self) -> int:
        """Largest batch of the model."""
        return int(_manifest(self.folder)["model"]["batch_max"])

    @property
    def size_mib(self) -> float:
        """Size of the model's files, without the runner and the golden set."""
        manifest = _manifest(self.folder)
        return sum(int(manifest["files"][name]["bytes"]) for name in manifest["model"]["files"]) / _MIB

    @property
    def whole_mib(self) -> float:
        """Size of all files that are copied to a device, without ``kit.json``."""
        return sum(int(fact["bytes"]) for fact in _manifest(self.folder)["files"].values()) / _MIB

    @property
    def manifest(self) -> dict[str, Any]:
        """The content of ``kit.json``."""
        return _manifest(self.folder)


def entrant_of(kit: str | None, knobs: Mapping[str, str]) -> str:
    """Return ``KitRef.entrant`` from the digest and the knobs of a run file or a profile."""
    return "+".join([kit or "", *(f"{name}={value}" for name, value in sorted(knobs.items()))])


def _manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "kit.json").read_text(encoding="utf-8"))
    return manifest
