"""What a builder measured of its kernels, kept from one build to the next so that the next one chooses the same ones.

A cache decides which kernels an engine has, so it is used only where it is, byte for byte, what an earlier build left: its
SHA-256, the builder's package and version lie beside it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Dict

from ..failure import RunnerError
from ..files import read_json, write_bytes, write_json

_AGAIN = "remove it and {}, and build again: the builder then measures anew"


def pin_of(cache: Path) -> Path:
    """The file that says what the cache was when it was left."""
    return cache.with_name(cache.name + ".json")


def read_cache(cache: Path, package: str, version: str) -> bytes:
    """The cache's bytes; none where there is no cache yet.

    Raises:
        RunnerError: timing-cache-altered, or timing-cache-of-another-builder.
    """
    pin = pin_of(cache)
    if not cache.exists() and not pin.exists():
        return b""
    hint = _AGAIN.format(pin.name)
    if not cache.is_file() or not pin.is_file():
        lacking = cache if pin.is_file() else pin
        raise RunnerError("timing-cache-altered", "{}: half of it is gone".format(cache), "{} is missing".format(lacking), hint)
    content, left = cache.read_bytes(), read_json(pin)
    if hashlib.sha256(content).hexdigest() != left["sha256"]:
        why = "its SHA-256 is not the one in {}".format(pin.name)
        raise RunnerError("timing-cache-altered", "{}: not what the last build left".format(cache), why, hint)
    if (left["package"], left["version"]) != (package, version):
        why = "left by {} {}, this is {} {}".format(left["package"], left["version"], package, version)
        raise RunnerError("timing-cache-of-another-builder", "{}: not of this builder".format(cache), why, hint)
    return content


def keep_cache(cache: Path, content: bytes, package: str, version: str) -> Dict[str, Any]:
    """Write the cache, then what it is; returns the latter."""
    facts = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "package": package, "version": version}
    write_bytes(cache, content)
    write_json(pin_of(cache), facts)
    return facts
