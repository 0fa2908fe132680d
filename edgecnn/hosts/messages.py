"""What another process or machine says is parsed, and checked before any of it is believed: it may be broken, or hostile."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, ValidationError

from edgecnn.errors.hosts.board import AnswerUnusable, OwnAnswerUnusable
from edgecnn.errors.wording import first_problem

_KEPT_SIGNS = 10_000
_LARGEST = 10**19
"""No number that is measured is beyond it: nanoseconds since 1970 are a tenth of that."""


class Unusable(Exception):
    """Why something that was said cannot be used, without who said it."""


@contextmanager
def usable(board: str | None, doing: str) -> Iterator[None]:
    """What is read in the block came from there; ``board``: None of this machine. Raises AnswerUnusable: it cannot be used."""
    try:
        yield
    except Unusable as error:
        if board is None:
            raise OwnAnswerUnusable(doing=doing, because=str(error)) from error
        raise AnswerUnusable(board=board, doing=doing, because=str(error)) from error


class Message(BaseModel):
    """What another side says: it may say more, as a newer one does."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


Words = Annotated[str, AfterValidator(lambda text: text[:_KEPT_SIGNS])]
"""A text of any length, of which the beginning is kept."""
Count = Annotated[int, Field(ge=0, le=_LARGEST)]
Said = TypeVar("Said", bound=BaseModel)


def parsed(text: bytes | str) -> Any:
    """JSON from elsewhere. Raises Unusable: it is none, is nested too deeply, or has a number in it that nothing measures."""
    try:
        return json.loads(text, parse_int=_whole, parse_float=_number, parse_constant=_number)
    except (ValueError, RecursionError) as error:
        raise Unusable(f"no JSON: {error}") from error


def checked(kind: type[Said], value: Any) -> Said:
    """The value as one of this kind. Raises Unusable: it is none, with the first field that is wrong."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise Unusable(first_problem(error)) from error


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) > _LARGEST:
        raise ValueError(f"{text[:20]}… is no number that is measured")
    return number


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or abs(number) > _LARGEST:
        raise ValueError(f"{text[:20]} is no number that is measured")
    return number


class Failure(Message):
    """What a runner says of its failure."""

    ref: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)
    what: Words
    because: Words | None = None
    hint: Words | None = None
    missing: bool = False


class _Step(Message):
    what: Words
    done: Count
    total: Count | None = None
    unit: Words = ""


class Line(Message):
    """A line of a runner that is a message."""

    progress: _Step | None = None
    note: Words | None = None
    ok: StrictBool | None = None
    error: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, line: bytes) -> tuple[Line, Mapping[str, Any]] | None:
        """The message with all that it says, or None: a runtime may print too. Raises Unusable: see ``checked``."""
        if not line.lstrip().startswith(b"{"):
            return None
        try:
            value = parsed(line)
        except Unusable:
            return None
        if not isinstance(value, dict) or not (isinstance(value.get("progress"), dict) or "note" in value or "ok" in value):
            return None
        return checked(cls, value if isinstance(value.get("progress"), dict) else {**value, "progress": None}), value
