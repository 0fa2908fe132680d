"""Right files with a few changes: of their bytes, of the fields of a protobuf message or a JSON document, of entries of a zip."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from google.protobuf.message import DecodeError, Message

Mutation = Callable[[bytes, Random], bytes]

_NUMBERS = (0, 1, -1, 2, 255, 2**31 - 1, -(2**31), 2**32, 2**62, -(2**63))
_FLOATS = (0.0, -1.0, 1e308, -1e-308, float("nan"), float("inf"))
TEXTS = (
    "",
    "\0",
    "../../etc/passwd",
    "/dev/zero",
    "\x1b[2J",
    "a\nb",
    "\u202ename",
    "x" * 5000,
    "9" * 5000,
    "ünï",
    "%s%n",
    "{0}",
)
_BYTES = (b"", b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"PK\x03\x04", b"\n", b"[" * 300, b"9" * 5000, b'"')


def of_bytes(content: bytes, draw: Random) -> bytes:
    """One to four slips: bits turned, ranges cut, doubled, moved or overwritten."""
    held = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(held) + 1)
        until = min(len(held), at + draw.choice((1, 1, 2, 4, 8, 64, 1024)))
        kind = draw.randrange(6)
        if kind == 0 and at < len(held):
            held[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del held[at:until]
        elif kind == 2:
            held[at:at] = held[at:until] * draw.choice((1, 2, 100))
        elif kind == 3:
            held[at : at + draw.choice((0, 1, 4))] = draw.choice(_BYTES)
        elif kind == 4:
            to = draw.randrange(len(held) + 1)
            held[to:to] = held[at:until]
        else:
            del held[at:]
    return bytes(held)


def of_words(content: bytes, draw: Random) -> bytes:
    """One to three offsets, lengths or numbers of four bytes are others; one in five inputs has wrong bytes instead."""
    if len(content) < 4 or draw.randrange(5) == 0:
        return of_bytes(content, draw)
    held = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        at = 4 * draw.randrange(len(held) // 4)
        number = draw.choice((*_NUMBERS, len(held), len(held) - at, draw.randrange(len(held))))
        held[at : at + 4] = (number & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(held)


def of_message(kind: type[Message]) -> Mutation:
    """Fields anywhere in such a message are set, emptied, doubled or exchanged; one in five inputs has wrong bytes instead."""

    def mutated(content: bytes, draw: Random) -> bytes:
        if draw.randrange(5) == 0:
            return of_bytes(content, draw)
        message = kind()
        try:
            message.ParseFromString(content)
        except DecodeError:
            return of_bytes(content, draw)
        for _ in range(draw.randint(1, 3)):
            _change_one(draw.choice(list(_messages(message))), draw)
        return message.SerializePartialToString()

    return mutated


def _messages(message: Message) -> Iterator[Message]:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if field.is_repeated else (value,):
                yield from _messages(each)


def _change_one(message: Message, draw: Random) -> None:
    field = draw.choice(message.DESCRIPTOR.fields)
    value = getattr(message, field.name)
    if draw.randrange(6) == 0 or (field.message_type is not None and not field.is_repeated):
        message.ClearField(field.name)
    elif field.message_type is not None:
        _change_repeated(value, draw)
    elif field.is_repeated:
        if value and draw.randrange(2):
            value[draw.randrange(len(value))] = _scalar(field, draw)
        else:
            value.append(_scalar(field, draw))
    else:
        setattr(message, field.name, _scalar(field, draw))


def _change_repeated(values: Any, draw: Random) -> None:
    if not values:
        values.add()
        return
    at = draw.randrange(len(values))
    kind = draw.randrange(3)
    if kind == 0:
        del values[at]
    elif kind == 1:
        values.add().CopyFrom(values[at])
    else:
        values[at].CopyFrom(values[draw.randrange(len(values))])


def _scalar(field: Any, draw: Random) -> Any:
    if field.enum_type is not None:
        return draw.choice(field.enum_type.values).number
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return draw.choice(_FLOATS)
    if field.type == field.TYPE_STRING:
        return draw.choice(TEXTS)
    if field.type == field.TYPE_BYTES:
        return draw.choice(_BYTES)
    if field.cpp_type == field.CPPTYPE_BOOL:
        return draw.random() < 0.5
    low, high = {field.CPPTYPE_INT32: (-(2**31), 2**31 - 1), field.CPPTYPE_UINT32: (0, 2**32 - 1)}.get(
        field.cpp_type, (0 if field.cpp_type == field.CPPTYPE_UINT64 else -(2**63), 2**63 - 1)
    )
    return max(low, min(high, draw.choice(_NUMBERS)))


def of_json(content: bytes, draw: Random) -> bytes:
    """Values anywhere are exchanged for others, of their own kind or not, or are gone."""
    if draw.randrange(5) == 0:
        return of_bytes(content, draw)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return of_bytes(content, draw)
    for _ in range(draw.randint(1, 3)):
        found = list(places(document))
        if found:
            holder, key = draw.choice(found) if draw.randrange(2) else _down(document, draw)
            if draw.randrange(4) == 0:
                del holder[key]
            else:
                holder[key] = draw.choice((*_NUMBERS, *_FLOATS, *TEXTS, 10**400, None, True, [], {}, [[]], {"": {}}))
    return json.dumps(document).encode()


def _down(document: Any, draw: Random) -> tuple[Any, Any]:
    """A place on the way down from the top, so that a long table is no more likely to be met than the field beside it."""
    holder, key = document, None
    while True:
        key = draw.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        inner = holder[key]
        if not isinstance(inner, (dict, list)) or not inner or draw.randrange(4) == 0:
            return holder, key
        holder = inner


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """The holder and the key of everything inside a JSON value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from places(inner)


def of_zip(inner: Mutation) -> Mutation:
    """An archive with right sums of entries that are not: changed, doubled, left out, renamed; or an archive with wrong bytes."""

    def mutated(content: bytes, draw: Random) -> bytes:
        if draw.randrange(3) == 0:
            return of_bytes(content, draw)
        entries = _entries(content)
        if not entries:
            return of_bytes(content, draw)
        at, kind = draw.randrange(len(entries)), draw.randrange(5)
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as new:
            for number, (entry, held) in enumerate(entries):
                name = entry.filename
                if number == at and kind == 0:
                    continue
                if number == at and kind == 1:
                    name = draw.choice((f"../{name}", f"/{name}", name.upper(), "a\\b", draw.choice(entries)[0].filename))
                content = inner(held, draw) if number == at and kind > 1 and held else held
                new.writestr(zipfile.ZipInfo(name, entry.date_time), content, entry.compress_type)
        return made.getvalue()

    return mutated


def _entries(content: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    """Those of an archive; none where it has become unreadable."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as old:
            return [(each, old.read(each)) for each in old.infolist()]
    except Exception:  # noqa: BLE001 - whatever zipfile makes of wrong bytes
        return []


def of_entry(content: bytes, draw: Random) -> bytes:
    """An entry of an archive: a document, or bytes."""
    return of_json(content, draw) if content[:1] in (b"{", b"[") else of_bytes(content, draw)
