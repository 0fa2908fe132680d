"""What a bundle's files say of each other, once their bytes are known to be those that were packed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from edgecnn.bundle.manifest import BundleManifest
from edgecnn.bundle.opening import Opened
from edgecnn.bundle.tensors import fault_of, has_tensors, unreadable_here
from edgecnn.errors.bundle import bundle_inconsistent, bundle_model_refused
from edgecnn.results.folder import CHOICE
from edgecnn.runner.engines.record import PACKAGES
from edgecnn.runner.failure import RunnerError
from edgecnn.runner.knobs import CHOICE_SCHEMA, knobs_of
from edgecnn.runner.manifest import Manifest, parse_manifest
from edgecnn.runner.model_files import FolderSizes
from edgecnn.runner.session_options import check_options

_KIT = "kit.json"


class Contents(NamedTuple):
    """The kits of a bundle, and which one is used."""

    kits: tuple[str, ...]
    chosen: str | None
    unchecked: tuple[str, ...]
    """Sentences on model files whose tensors nothing here could read."""
    manifests: Mapping[str, Manifest]
    """Of each kit, by its name."""


def read_contents(opened: Opened, manifest: BundleManifest) -> Contents:
    """``choice.json``, every ``kit.json`` and every model, each held against the rest.

    Raises BUNDLE_INCONSISTENT: they are not of one bundle, or no kit's. BUNDLE_MODEL_REFUSED: a model or an array says of its
    tensors what cannot be, or a kit would open what is not looked into.
    """
    kits, chosen = _choice(opened, manifest)
    unread: list[str] = []
    manifests = {}
    for name, entry in kits.items():
        manifests[name], unreadable = _check_kit(opened, manifest, f"kits/{name}/", entry)
        unread += unreadable
    return Contents(tuple(kits), chosen, tuple(unread), manifests)


def _choice(opened: Opened, manifest: BundleManifest) -> tuple[dict[str, Mapping[str, Any]], str | None]:
    choice = _json(opened, manifest, CHOICE)
    try:
        kits: Mapping[str, Mapping[str, Any]] = choice["kits"]
        chosen, state = choice["choice"]["candidate"], choice["schema"]
        digests = {f"{entry['folder']}/{_KIT}": entry["sha256"] for entry in kits.values()}
    except (KeyError, TypeError, AttributeError) as error:
        because = (
            f"it lacks {error}" if isinstance(error, KeyError) else "what it says of its kits and its choice is of another kind"
        )
        raise bundle_inconsistent(path=opened.path, file=CHOICE, because=because) from error
    if state != CHOICE_SCHEMA:
        raise bundle_inconsistent(path=opened.path, file=CHOICE, because=f"its schema is not {CHOICE_SCHEMA}")
    listed = {name for name in manifest.files if name.count("/") == 2 and name.endswith(f"/{_KIT}")}
    if set(digests) != {f"kits/{name}/{_KIT}" for name in kits} or listed != set(digests):
        raise bundle_inconsistent(path=opened.path, file=CHOICE, because="it does not name the kits that are there")
    for file, digest in digests.items():
        if manifest.files[file].sha256 != digest:
            raise bundle_inconsistent(path=opened.path, file=file, because=f"{CHOICE} names another")
    if chosen is not None and chosen not in list(kits):
        because = f"it chose {ascii(chosen)[:100]}, and carries no such kit"
        raise bundle_inconsistent(path=opened.path, file=CHOICE, because=because)
    return dict(sorted(kits.items())), chosen


def _check_kit(opened: Opened, manifest: BundleManifest, folder: str, chosen: Mapping[str, Any]) -> tuple[Manifest, list[str]]:
    """Its manifest, which lists what the bundle's lists below its folder; sentences on what could not be looked into."""
    try:
        kit = parse_manifest(_json(opened, manifest, f"{folder}{_KIT}"))
    except (RunnerError, TypeError) as error:
        raise bundle_inconsistent(path=opened.path, file=f"{folder}{_KIT}", because=str(error)) from error
    try:
        check_options(kit.session.module, knobs_of(chosen, Path(CHOICE)))
    except RunnerError as error:
        raise bundle_inconsistent(path=opened.path, file=CHOICE, because=str(error)) from error
    listed = {f"{folder}{name}": (fact.sha256, fact.bytes) for name, fact in kit.files.items()}
    packed = {name: (fact.sha256, fact.bytes) for name, fact in manifest.files.items() if name.startswith(folder)}
    packed.pop(f"{folder}{_KIT}")
    if listed != packed:
        differs = min(name for name in {*listed, *packed} if listed.get(name) != packed.get(name))
        raise bundle_inconsistent(path=opened.path, file=differs, because=f"{folder}{_KIT} and bundle.json differ in it")
    if (fault := opening_fault(kit)) != "":
        raise bundle_model_refused(path=opened.path, file=f"{folder}{_KIT}", because=fault)
    sizes = {name: fact.bytes for name, fact in kit.files.items()}
    unread = []
    for name in filter(has_tensors, sizes):
        if (why := unreadable_here(f"{folder}{name}")) != "":
            unread.append(why)
        with opened.open(f"{folder}{name}") as stream:
            fault = fault_of(name, stream.read(sizes[name]), FolderSizes(sizes, name))
        if fault:
            raise bundle_model_refused(path=opened.path, file=f"{folder}{name}", because=fault)
    return kit, unread


def _json(opened: Opened, manifest: BundleManifest, name: str) -> Any:
    if name not in manifest.files:
        raise bundle_inconsistent(path=opened.path, file=name, because="a bundle has one, and bundle.json does not list it")
    with opened.open(name) as stream:
        content = stream.read(manifest.files[name].bytes)
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise bundle_inconsistent(path=opened.path, file=name, because="it is no JSON") from error


_ENTRIES: Final = {
    "onnxruntime_cpu": ".onnx",
    "openvino_cpu": ".xml",
    "tensorrt_gpu": ".onnx",
    "ncnn_cpu": ".param",
    "litert_cpu": ".tflite",
    "wasm_browser": ".onnx",
    "webgpu_browser": ".onnx",
}
"""Of the sessions that a bundle's kits have; a program of torch runs where it was made, and no bundle carries one."""
_BESIDE: Final = {"openvino_cpu": ".bin", "tensorrt_gpu": ".plan", "ncnn_cpu": ".bin"}


def opening_fault(kit: Manifest) -> str:
    """What is wrong with the files that a kit's session would open; empty where nothing is."""
    module = kit.session.module
    if module not in _ENTRIES:
        return f"its session {ascii(module)[:100]} is none that a bundle has"
    kinds = [_ENTRIES[module], *([_BESIDE[module]] if module in _BESIDE else [])]
    if PurePosixPath(kit.model.entry).suffix != _ENTRIES[module]:
        return f"model.entry {ascii(kit.model.entry)[:100]} is no {_ENTRIES[module]}, which is what {module} opens"
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
