"""The checks of an OpenVINO IR file, whose constants are ranges of the ``.bin`` beside it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Mapping
from xml.etree import ElementTree

_BITS = {
    **dict.fromkeys(("f64", "i64", "u64"), 64),
    **dict.fromkeys(("f32", "i32", "u32"), 32),
    **dict.fromkeys(("f16", "bf16", "i16", "u16"), 16),
    **dict.fromkeys(("i8", "u8", "boolean", "f8e4m3", "f8e5m2", "f8e8m0"), 8),
    **dict.fromkeys(("i4", "u4", "nf4", "f4e2m1"), 4),
}
"""Of OpenVINO's element types (openvino/core/type/element_type.hpp); others are counted as one bit, as their least."""


def ir_fault(name: str, content: Any, sizes: Mapping[str, int]) -> str:
    """Return what is wrong with a model, or nothing; see ``model_fault``."""
    content, weights = bytes(content), sizes.get(PurePosixPath(name).with_suffix(".bin").name, 0)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\0" in content:
        return "it declares entities, which can grow beyond all bounds"
    try:
        elements = list(ElementTree.fromstring(content.decode("utf-8")).iter())
    except (ElementTree.ParseError, UnicodeDecodeError, RecursionError) as error:
        return "it is no OpenVINO model ({})".format(str(error)[:100])
    for element in elements:
        # OpenVINO's own parser reads <data xmlns="x"> as <data>, and this one does not
        named = next((word for word in (element.tag, *element.attrib) if ":" in word or "{" in word), None)
        if named is not None:
            return "it has the namespace {}".format(ascii(named)[:100])
    for data in (element for element in elements if element.tag == "data" and "offset" in element.attrib):
        fault = _constant_fault(data.attrib, weights)
        if fault:
            return fault
    return ""


def _constant_fault(facts: Mapping[str, str], weights: int) -> str:
    sides = [side.strip() for side in facts.get("shape", "").split(",") if side]
    words = (facts.get("offset", ""), facts.get("size", ""), *sides)
    if not all(word.isascii() and word.isdigit() and len(word) < 20 for word in words):
        return "a constant of it says {}".format(ascii(dict(facts))[:200])
    start, size, *shape = map(int, words)
    bits = _BITS.get(facts.get("element_type", ""), 1)
    for side in shape:
        bits *= side
    if start + size > weights or bits > 8 * size:
        return "a constant of the shape {} would be read from beyond the {:,} bytes of its weights".format(shape, weights)
    return ""
