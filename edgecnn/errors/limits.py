"""Limits of the process (``ulimit``), which a library reports as another failure."""

from __future__ import annotations

import errno
import resource
from typing import Final, NamedTuple

from edgecnn.errors.base import EdgecnnError, ErrorRow, causes_of

PROCESS_LIMIT = ErrorRow(
    "process-limit",
    "this process reached its limit of {resource}",
    "the limit is {value} (ulimit {flag}){detail}",
    "raise it in this shell, such as with `ulimit {flag} unlimited`, or in the settings of the job",
)
_NO_MEMORY: Final = ("failed to map segment", "cannot allocate memory", "unable to allocate", "std::bad_alloc")
"""Parts of the messages by which the dynamic loader and libraries in C++ report that they got no memory, in lower case."""


class _Limit(NamedTuple):
    number: int
    resource: str
    flag: str
    is_bytes: bool


_MEMORY: Final = (
    _Limit(resource.RLIMIT_AS, "memory", "-v", is_bytes=True),
    _Limit(resource.RLIMIT_DATA, "memory", "-d", is_bytes=True),
)
_FILE_SIZE: Final = (_Limit(resource.RLIMIT_FSIZE, "file size", "-f", is_bytes=True),)
_FILES: Final = (_Limit(resource.RLIMIT_NOFILE, "open files", "-n", is_bytes=False),)


def process_limit(error: BaseException) -> EdgecnnError | None:
    """Return the error that names the limit of this process behind an exception; None if no limit is known to be the cause."""
    for cause in causes_of(error):
        values = {limit: resource.getrlimit(limit.number)[0] for limit in _limits_behind(cause)}
        finite = {limit: value for limit, value in values.items() if value != resource.RLIM_INFINITY}
        if finite:
            limit, value = min(finite.items(), key=lambda pair: pair[1])
            shown = f"{value / 2**20:,.0f} MiB" if limit.is_bytes else f"{value:,}"
            text = str(cause).strip()
            return PROCESS_LIMIT(resource=limit.resource, value=shown, flag=limit.flag, detail=f": {text}" if text else "")
    return None


def _limits_behind(error: BaseException) -> tuple[_Limit, ...]:
    """Return the limits that this exception may report."""
    number, text = getattr(error, "errno", None), str(error).casefold()
    if isinstance(error, MemoryError) or number == errno.ENOMEM or any(part in text for part in _NO_MEMORY):
        return _MEMORY
    if number == errno.EFBIG:
        return _FILE_SIZE
    return _FILES if number == errno.EMFILE else ()
