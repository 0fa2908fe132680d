"""The checks of an OpenVINO IR file, whose constants are ranges of the ``.bin`` next to it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Mapping
from xml.etree import ElementTree

_BITS = {
    **dict.fromkeys(("f64", "i64", "u64"), 64),
    **dict.fromkeys(("f32", "i32", "u32"), 32),
    **dict.fromkeys(("f16", "bf16", "i16", "u16"), 16),
    **dict.fromkeys(("i8", "u8", "boolean", "f8e4m3", "f8e5m2", "f8e8m0"), 8),
    "u6": 6,
    **dict.fromkeys(("i4", "u4", "nf4", "f4e2m1"), 4),
    "u3": 3,
    "u2": 2,
    "u1": 1,
}
"""OpenVINO's element types of a fixed size (openvino/core/type/element_type.hpp). Others, such as strings, are refused."""
_DIMENSIONS_MAX = 32
_BYTES_MAX, _ELEMENTS_MAX = 32 << 20, 500000
"""A DenseNet-201 has 1 MiB and 29,000 elements."""


def ir_fault(name: str, content: Any, sizes: Mapping[str, int]) -> str:
    """Return what is wrong with a model, or an empty text; see ``model_fault``."""
    if len(content) > _BYTES_MAX:
        return "it is longer than the network of any image classifier"
    content, weights = bytes(content), sizes.get(PurePosixPath(name).with_suffix(".bin").name, 0)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\0" in content:
        return "it declares entities, which can grow beyond all bounds"
    parser = ElementTree.XMLParser(target=_Elements(weights))
    try:
        parser.feed(content.decode("utf-8"))
        parser.close()
    except _Fault as fault:
        return str(fault)
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        return "it is not an OpenVINO model: {}".format(str(error)[:100])
    return ""


class _Fault(Exception):
    pass


class _Elements:
    """Checks each element when it is read, and keeps none."""

    def __init__(self, weights: int) -> None:
        self._weights, self._left = weights, _ELEMENTS_MAX

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._left -= 1
        if self._left < 0:
            raise _Fault("it has more elements than the network of any image classifier")
        for word in (tag, *attributes):
            # OpenVINO's own parser reads <data xmlns="x"> as <data>, and this one does not
            if ":" in word or "{" in word:
                raise _Fault("it has the namespace {}".format(ascii(word)[:100]))
        if tag == "data" and "offset" in attributes:
            _check_constant(attributes, self._weights)

    def close(self) -> None:
        pass


def _check_constant(attributes: Mapping[str, str], weights: int) -> None:
    sides = [side.strip() for side in attributes.get("shape", "").split(",") if side]
    words = (attributes.get("offset", ""), attributes.get("size", ""), *sides)
    if len(sides) > _DIMENSIONS_MAX or not all(word.isascii() and word.isdigit() and len(word) < 20 for word in words):
        raise _Fault("a constant has invalid attributes: {}".format(ascii(dict(attributes))[:200]))
    element_type = attributes.get("element_type", "")
    if element_type not in _BITS:
        raise _Fault("a constant has the unknown element type {}".format(ascii(element_type)[:100]))
    start, size, *shape = map(int, words)
    bits = _BITS[element_type]
    for side in shape:
        bits *= side
    if start + size > weights or bits > 8 * size:
        raise _Fault("a constant of the shape {} is outside the {:,} bytes of the weights file".format(shape, weights))
