"""What our side on a board has to say to each request; see ``far.py``, which says it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edgecnn.hosts.messages import Count, Message, Words

_MOST_BYTES = 8 * 1024**3
"""Of one folder of results: a trace of the largest network is a tenth of that."""
_CENTURY_S = 100 * 366 * 86400.0
"""A clock that nobody set begins in 1970."""


def _inside(name: str) -> str:
    """A name that stays in its folder here, whatever it is there, and that a terminal may show."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name or name == "." or not name.isprintable():
        raise ValueError("it is no name of a result")
    return name


def _bounded(files: Mapping[str, FileFacts]) -> Mapping[str, FileFacts]:
    if sum(each.bytes for each in files.values()) > _MOST_BYTES:
        raise ValueError(f"they are larger than {_MOST_BYTES >> 30} GiB")
    return files


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FileFacts(Message):
    """A finished file of a folder of results."""

    sha256: Sha256
    bytes: Count
    age_s: float = Field(ge=-_CENTURY_S, le=_CENTURY_S)
    """By the board's clock."""


class _Done(Message):
    ok: Literal[True]


class _Hello(_Done):
    python: tuple[Count, Count, Count]
    folder: str = Field(pattern="^/", max_length=4096)
    free_bytes: Count


class _Have(_Done):
    missing: list[Sha256]
    free_bytes: Count


class _Lay(_Done):
    path: str = Field(pattern="^/", max_length=4096)


class _List(_Done):
    files: Annotated[Mapping[Annotated[str, AfterValidator(_inside)], FileFacts], AfterValidator(_bounded)]


class _Put(_Done):
    put: Count


class _Hold(_Done):
    held: Literal[True]


class _Clean(_Done):
    removed: Words


ANSWERS: Mapping[str, type[Message]] = {
    "hello": _Hello, "have": _Have, "lay": _Lay, "list": _List, "put": _Put, "hold": _Hold, "clean": _Clean,
}  # fmt: skip
"""Request to what answers it."""


class Refusal(Message):
    """What our side there could not do, and why."""

    ref: Literal["board-busy", "board-disk-full", "board-failed"]
    said: Words | None = None
    free_bytes: Count = 0
    owner: Words = "somebody"
    what: Words = ""
    since_s: float | None = Field(default=None, le=_CENTURY_S)
