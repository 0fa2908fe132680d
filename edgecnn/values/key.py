"""The one function that makes a key. What cannot be written as stable bytes is refused.

Two processes on two machines must derive the same key from the same request; a lenient fallback (``repr``, pickle) would
break that silently, so there is none.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NewType

from edgecnn.errors.store import UnstableValue

Key = NewType("Key", str)
"""64 hexadecimal digits of SHA-256."""


def canonical_json(value: Any) -> str:
    """JSON with sorted names and no spaces.

    Raises:
        UnstableValue: for anything but None, bool, int, finite float, str, enums of str, mappings with str names, sequences.
    """
    return json.dumps(_stable(value, "value"), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest_of(value: Any) -> Key:
    """SHA-256 of the canonical JSON of a value."""
    return Key(hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest())


def _stable(value: Any, where: str) -> Any:
    if isinstance(value, Enum):
        return _stable(value.value, where)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnstableValue(where=where, value=value)
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise UnstableValue(where=where, value=value)
        return {name: _stable(inner, f"{where}.{name}") for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [_stable(inner, f"{where}[{index}]") for index, inner in enumerate(value)]
    raise UnstableValue(where=where, value=value)
