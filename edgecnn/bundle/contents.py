"""What a bundle's files say of each other and of their tensors, once their bytes are known to be those that were packed."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple
from xml.etree import ElementTree

import numpy as np

from edgecnn.backends.installed import installed_version
from edgecnn.bundle.manifest import BundleManifest
from edgecnn.bundle.opened import Opened
from edgecnn.errors.bundle import BundleInconsistent, BundleModelRefused
from edgecnn.results.folder import CHOICE
from edgecnn.runner.engine_record import PACKAGES
from edgecnn.runner.failure import RunnerError
from edgecnn.runner.knobs import CHOICE_SCHEMA, knobs_of
from edgecnn.runner.manifest import Manifest, parse_manifest
from edgecnn.runner.session_options import check_options

_KIT = "kit.json"


class Contents(NamedTuple):
    """The kits of a bundle, and which one is used."""

    kits: tuple[str, ...]
    chosen: str | None
    not_looked_into: tuple[str, ...]
    """Sentences on model files whose tensors nothing here could read."""


def read_contents(opened: Opened, manifest: BundleManifest) -> Contents:
    """``choice.json``, every ``kit.json`` and every model, each held against the rest.

    Raises BundleInconsistent: they are not of one bundle, or no kit's. BundleModelRefused: a model or an array says of its
    tensors what cannot be, or a kit would open what is not looked into.
    """
    kits, chosen = _choice(opened, manifest)
    unread: list[str] = []
    for name, entry in kits.items():
        unread += _check_kit(opened, manifest, f"kits/{name}/", entry)
    return Contents(tuple(kits), chosen, tuple(unread))


def _choice(opened: Opened, manifest: BundleManifest) -> tuple[dict[str, Mapping[str, Any]], str | None]:
    choice = _json(opened, manifest, CHOICE)
    try:
        kits: Mapping[str, Mapping[str, Any]] = choice["kits"]
        chosen, state = choice["choice"]["candidate"], choice["schema"]
        named = {f"{each['folder']}/{_KIT}": each["sha256"] for each in kits.values()}
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleInconsistent(path=opened.path, file=CHOICE, because=f"it lacks {error}") from error
    if state != CHOICE_SCHEMA:
        raise BundleInconsistent(path=opened.path, file=CHOICE, because=f"its schema is not {CHOICE_SCHEMA}")
    there = {name for name in manifest.files if name.count("/") == 2 and name.endswith(f"/{_KIT}")}
    if set(named) != {f"kits/{name}/{_KIT}" for name in kits} or there != set(named):
        raise BundleInconsistent(path=opened.path, file=CHOICE, because="it does not name the kits that are there")
    for file, digest in named.items():
        if manifest.files[file].sha256 != digest:
            raise BundleInconsistent(path=opened.path, file=file, because=f"{CHOICE} names another")
    if chosen is not None and chosen not in list(kits):
        because = f"it chose {ascii(chosen)[:100]}, and carries no such kit"
        raise BundleInconsistent(path=opened.path, file=CHOICE, because=because)
    return dict(sorted(kits.items())), chosen


def _check_kit(opened: Opened, manifest: BundleManifest, folder: str, chosen: Mapping[str, Any]) -> list[str]:
    """Its manifest lists what the bundle's lists below its folder; sentences on what could not be looked into."""
    try:
        kit = parse_manifest(_json(opened, manifest, f"{folder}{_KIT}"))
    except (RunnerError, TypeError) as error:
        raise BundleInconsistent(path=opened.path, file=f"{folder}{_KIT}", because=str(error)) from error
    try:
        check_options(kit.session.module, knobs_of(chosen, Path(CHOICE)))
    except RunnerError as error:
        raise BundleInconsistent(path=opened.path, file=CHOICE, because=str(error)) from error
    listed = {f"{folder}{name}": (fact.sha256, fact.bytes) for name, fact in kit.files.items()}
    of_kit = {name: (fact.sha256, fact.bytes) for name, fact in manifest.files.items() if name.startswith(folder)}
    of_kit.pop(f"{folder}{_KIT}")
    if listed != of_kit:
        differs = min(name for name in {*listed, *of_kit} if listed.get(name) != of_kit.get(name))
        raise BundleInconsistent(path=opened.path, file=differs, because=f"{folder}{_KIT} and bundle.json differ in it")
    if (fault := opening_fault(kit)) != "":
        raise BundleModelRefused(path=opened.path, file=f"{folder}{_KIT}", because=fault)
    beside = {name: fact.bytes for name, fact in kit.files.items()}
    unread = []
    for name in filter(looked_into, beside):
        if (why := unreadable_here(f"{folder}{name}")) != "":
            unread.append(why)
            continue
        with opened.open(f"{folder}{name}") as stream:
            fault = fault_of(name, stream.read(beside[name]), _around(name, beside))
        if fault:
            raise BundleModelRefused(path=opened.path, file=f"{folder}{name}", because=fault)
    return unread


def _around(name: str, files: Mapping[str, int]) -> dict[str, int]:
    """The files of the folder that ``name`` lies in, as seen from there: weights beside a model are named so."""
    folder = name[: name.rfind("/") + 1]
    return {each.removeprefix(folder): size for each, size in files.items() if each.startswith(folder)}


def _json(opened: Opened, manifest: BundleManifest, name: str) -> Any:
    if name not in manifest.files:
        raise BundleInconsistent(path=opened.path, file=name, because="a bundle has one, and bundle.json does not list it")
    with opened.open(name) as stream:
        content = stream.read(manifest.files[name].bytes)
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BundleInconsistent(path=opened.path, file=name, because="it is no JSON") from error


_ENTRIES: Final = {"onnxruntime_cpu": (".onnx",), "openvino_cpu": (".xml",), "tensorrt_gpu": (".onnx",)}
"""Of the sessions that a bundle's kits have; a program of torch runs where it was made, and no bundle carries one."""
_BESIDE: Final[Mapping[str, tuple[str, ...]]] = {"openvino_cpu": (".bin",), "tensorrt_gpu": (".plan",)}


def opening_fault(kit: Manifest) -> str:
    """What is wrong with the files that a kit's session would open; empty where nothing is."""
    module = kit.session.module
    if module not in _ENTRIES:
        return f"its session {ascii(module)[:100]} is none that a bundle has"
    kinds = (*_ENTRIES[module], *_BESIDE.get(module, ()))
    if PurePosixPath(kit.model.entry).suffix not in _ENTRIES[module]:
        return f"model.entry {ascii(kit.model.entry)[:100]} is no {_ENTRIES[module][0]}, which is what {module} opens"
    strange = [name for name in kit.model.files if PurePosixPath(name).suffix not in kinds]
    if strange:
        return f"model.files has {ascii(strange[0])[:100]}, and {module} opens {', '.join(kinds)}"
    return "" if kit.engine is None else _building_fault(kit.engine, kit)


def _building_fault(engine: Mapping[str, Any], kit: Manifest) -> str:
    """What ``build-engine`` reads, and what it imports."""
    onnx, builder = engine.get("onnx"), engine.get("builder")
    if onnx not in list(kit.files) or PurePosixPath(str(onnx)).suffix != ".onnx":
        return f"engine.onnx {ascii(onnx)[:100]} is no .onnx of the kit"
    return "" if builder in PACKAGES else f"engine.builder {ascii(builder)[:100]} is not {' or '.join(PACKAGES)}"


_BITS: Final = {
    **dict.fromkeys(("f64", "i64", "u64"), 64),
    **dict.fromkeys(("f32", "i32", "u32"), 32),
    **dict.fromkeys(("f16", "bf16", "i16", "u16"), 16),
    **dict.fromkeys(("i8", "u8", "boolean", "f8e4m3", "f8e5m2", "f8e8m0"), 8),
    **dict.fromkeys(("i4", "u4", "nf4", "f4e2m1"), 4),
}
"""Of OpenVINO's element types (openvino/core/type/element_type.hpp); others are counted as one bit, as their least."""


def looked_into(name: str) -> bool:
    """Whether a file of that name has tensors that can be checked."""
    return PurePosixPath(name).suffix in (".onnx", ".xml", ".npy")


def unreadable_here(name: str) -> str:
    """Why a file cannot be looked into on this machine; empty where it can."""
    lacking = PurePosixPath(name).suffix == ".onnx" and installed_version("onnx") is None
    return f"{name} was not looked into: pip install onnx" if lacking else ""


def fault_of(name: str, content: bytes, beside: Mapping[str, int]) -> str:
    """What is wrong with a file's tensors; empty where nothing is.

    Args:
        name: inside its kit.
        content: the whole file.
        beside: every file of its folder, name to bytes.
    """
    suffix = PurePosixPath(name).suffix
    if suffix == ".onnx":
        from edgecnn.graph.tensor_claims import false_claim

        return false_claim(content, beside)
    if suffix == ".xml":
        return _ir_fault(content, beside.get(PurePosixPath(name).with_suffix(".bin").name, 0))
    return _array_fault(content)


def _array_fault(content: bytes) -> str:
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except (ValueError, EOFError, SyntaxError) as error:
        return f"it is no array of NumPy ({str(error)[:100]})"
    if dtype.hasobject:
        return "it holds objects, which are code"
    wanted, held = prod(shape) * dtype.itemsize, len(content) - stream.tell()
    return "" if wanted == held and min(shape, default=0) >= 0 else f"it has the shape {list(shape)}, and {held:,} bytes"


def _ir_fault(content: bytes, weights: int) -> str:
    """OpenVINO's IR: each constant says from where to where in the ``.bin`` it lies."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\0" in content:
        return "it declares entities, which can grow beyond all bounds"
    try:
        constants = list(ElementTree.fromstring(content.decode("utf-8")).iter("data"))
    except (ElementTree.ParseError, UnicodeDecodeError, RecursionError) as error:
        return f"it is no OpenVINO model ({str(error)[:100]})"
    for data in constants:
        if "offset" not in data.attrib:
            continue
        said = data.get("offset", ""), data.get("size", ""), *(side.strip() for side in data.get("shape", "").split(",") if side)
        if not all(text.isascii() and text.isdigit() and len(text) < 20 for text in said):
            return f"a constant of it says {ascii(dict(data.attrib))[:200]}"
        start, size, *shape = map(int, said)
        if start + size > weights or prod(shape) * _BITS.get(data.get("element_type", ""), 1) > 8 * size:
            return f"a constant of the shape {shape} would be read from beyond the {weights:,} bytes of its weights"
    return ""
