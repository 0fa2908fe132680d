"""``bundle.json``: every file of a bundle with its size and SHA-256, the bundle's name and a version that only counts up.

What lies beside those files is no part of the bundle: what a device measured, engines that it built, byte code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from edgecnn.errors.base import system_reason
from edgecnn.errors.bundle import BundleManifestUnreadable
from edgecnn.measure.kits import KitRef
from edgecnn.values.artifact import FileFact
from edgecnn.values.bundle import BundleManifest

MANIFEST: Final = "bundle.json"
SIGNATURE: Final = "bundle.json.sig"
"""An SSHSIG over the bytes of ``bundle.json``."""
MANIFEST_BYTES_MAX: Final = 16 << 20
"""Of about 100,000 files."""


def manifest_of(name: str, version: int, kits: Mapping[str, KitRef], texts: Mapping[str, str]) -> BundleManifest:
    """The manifest of a bundle, from its kits' own manifests: no model is read again.

    Args:
        name: of the build.
        version: at least 1.
        kits: those that it carries, by candidate.
        texts: the bundle's other files.
    """
    files = {file: _fact(text.encode("utf-8")) for file, text in texts.items()}
    for kit_name, kit in kits.items():
        content = (kit.folder / "kit.json").read_bytes()
        files[f"kits/{kit_name}/kit.json"] = _fact(content)
        listed: Mapping[str, Mapping[str, Any]] = json.loads(content)["files"]
        files.update({f"kits/{kit_name}/{file}": FileFact.model_validate(dict(fact)) for file, fact in listed.items()})
    return BundleManifest(name=name, version=version, files=dict(sorted(files.items())))


def manifest_text(manifest: BundleManifest) -> str:
    """The bytes of ``bundle.json``, which are signed."""
    return json.dumps(manifest.model_dump(mode="json", by_alias=True), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def parse_manifest(content: bytes, where: str) -> BundleManifest:
    """``bundle.json`` as a value.

    Args:
        content: its bytes.
        where: how an error calls it.

    Raises:
        BundleManifestUnreadable: no JSON, of another schema, with an unknown or doubled key, or too long.
    """
    if len(content) > MANIFEST_BYTES_MAX:
        raise BundleManifestUnreadable(path=where, because=f"it is longer than {MANIFEST_BYTES_MAX:,} bytes")
    try:
        return BundleManifest.model_validate(json.loads(content.decode("utf-8"), object_pairs_hook=_once), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BundleManifestUnreadable(path=where, because=f"{ascii(field)[1:-1]}: {first['msg'].lower()}") from error
    except (ValueError, RecursionError) as error:
        raise BundleManifestUnreadable(path=where, because=f"it is no JSON ({type(error).__name__})") from error


def published_manifest(bundle: Path) -> BundleManifest | None:
    """What a bundle that was published here says of itself; None where there is none, or one from before there were manifests.

    Raises:
        BundleManifestUnreadable: it is there and cannot be read, so that its version is not known.
    """
    path = bundle / MANIFEST
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BundleManifestUnreadable(path=str(path), because=system_reason(error)) from error
    return parse_manifest(content, str(path))


def _fact(content: bytes) -> FileFact:
    return FileFact(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values under one name, readers differ in which they take."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
