"""Which files of a kit its session opens, by ``kit.json``: these are of a kind that is looked into, and lie in the kit.

What is looked into goes by a file's suffix, what is opened by what the kit says; a runtime takes a model under any name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from edgecnn.runner.engine_record import PACKAGES
from edgecnn.runner.manifest import Manifest

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
