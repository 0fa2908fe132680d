"""A builder's timings of its kernels, kept for the next build so that it chooses the same kernels.

A cache decides an engine's kernels, so it is used only if it is byte for byte the file of an earlier build: a file next to it
holds its SHA-256 and the builder's package and version.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Dict

from ..failure import RunnerError
from ..files import read_json, write_bytes, write_json

_AGAIN = "delete the cache and {}, then build again: the builder measures again"


def pin_of(cache: Path) -> Path:
    """Return the path of the file that identifies the cache."""
    return cache.with_name(cache.name + ".json")


def read_cache(cache: Path, package: str, version: str) -> bytes:
    """Return the cache's bytes; none if there is no cache yet.

    Raises:
        RunnerError: timing-cache-altered, or timing-cache-of-another-builder.
    """
    pin = pin_of(cache)
    if not cache.exists() and not pin.exists():
        return b""
    hint = _AGAIN.format(pin.name)
    if not cache.is_file() or not pin.is_file():
        lacking = cache if pin.is_file() else pin
        raise RunnerError("timing-cache-altered", "{}: incomplete".format(cache), "{} is missing".format(lacking), hint)
    content, facts = cache.read_bytes(), read_json(pin)
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        why = "its SHA-256 is not the one in {}".format(pin.name)
        raise RunnerError("timing-cache-altered", "{}: not what the last build left".format(cache), why, hint)
    if (facts["package"], facts["version"]) != (package, version):
        why = "left by {} {}, this is {} {}".format(facts["package"], facts["version"], package, version)
        raise RunnerError("timing-cache-of-another-builder", "{}: not of this builder".format(cache), why, hint)
    return content


def keep_cache(cache: Path, content: bytes, package: str, version: str) -> Dict[str, Any]:
    """Write the cache, then the file that identifies it; return the content of that file."""
    facts = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "package": package, "version": version}
    write_bytes(cache, content)
    write_json(pin_of(cache), facts)
    return facts
