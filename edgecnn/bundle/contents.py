"""Compare a bundle's files with each other, once their bytes are verified."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

import numpy as np

from edgecnn.bundle.manifest import BundleManifest, Unlearned
from edgecnn.bundle.opening import Opened
from edgecnn.errors.bundle import bundle_inconsistent, bundle_model_refused
from edgecnn.results.folder import CHOICE
from edgecnn.runner.choice import CHOICE_BYTES_MAX, CHOICE_SCHEMA, knobs_of, unlearned_in
from edgecnn.runner.engines.record import PACKAGES
from edgecnn.runner.manifest import Manifest, parse_manifest
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.model_files import FolderSizes, is_checked, model_fault
from edgecnn.runner.session_options import check_options

_KIT = "kit.json"
_ENTRY_SUFFIXES: Final = {
    "onnxruntime_cpu": ".onnx",
    "openvino_cpu": ".xml",
    "tensorrt_gpu": ".onnx",
    "ncnn_cpu": ".param",
    "litert_cpu": ".tflite",
    "wasm_browser": ".onnx",
    "webgpu_browser": ".onnx",
}
"""Sessions of a bundle's kits, and the suffix of ``model.entry``. A program of torch runs only on the machine that made it."""
_OTHER_SUFFIXES: Final = {"openvino_cpu": ".bin", "ncnn_cpu": ".bin"}


class Contents(NamedTuple):
    """The kits of a bundle, and the chosen one."""

    kits: tuple[str, ...]
    chosen: str | None
    manifests: Mapping[str, Manifest]
    """Manifest of each kit, by its name."""
    unlearned: Mapping[str, Unlearned]
    """Kits whose network is not shown to have learned."""


def read_contents(opened: Opened, manifest: BundleManifest) -> Contents:
    """Check ``choice.json``, every ``kit.json`` and every model against the others.

    Raises BUNDLE_INCONSISTENT: they do not belong to one bundle, or are not those of kits. BUNDLE_MODEL_REFUSED: a model
    names weights outside its kit, an array states an impossible shape, or a kit would open a file of another kind.
    """
    kits, chosen = _kits_and_choice(opened, manifest)
    manifests = {name: _check_kit(opened, manifest, f"kits/{name}/", entry) for name, entry in kits.items()}
    known = {name: facts for name, entry in kits.items() if (facts := unlearned_in(entry)) is not None}
    unlearned = {name: Unlearned.model_validate(facts._asdict()) for name, facts in known.items()}
    return Contents(tuple(kits), chosen, manifests, unlearned)


def _kits_and_choice(opened: Opened, manifest: BundleManifest) -> tuple[dict[str, Mapping[str, Any]], str | None]:
    choice = _read_json(opened, manifest, CHOICE)
    try:
        kits: Mapping[str, Mapping[str, Any]] = choice["kits"]
        chosen, state = choice["choice"]["candidate"], choice["schema"]
        digests = {f"{entry['folder']}/{_KIT}": entry["sha256"] for entry in kits.values()}
    except (KeyError, TypeError, AttributeError) as error:
        because = f"it lacks {error}" if isinstance(error, KeyError) else "its kits or its choice are not valid"
        raise bundle_inconsistent(path=opened.path, file=CHOICE, because=because) from error
    if state != CHOICE_SCHEMA:
        raise bundle_inconsistent(path=opened.path, file=CHOICE, because=f"its schema is not {CHOICE_SCHEMA}")
    listed = {name for name in manifest.files if name.count("/") == 2 and name.endswith(f"/{_KIT}")}
    if set(digests) != {f"kits/{name}/{_KIT}" for name in kits} or listed != set(digests):
        raise bundle_inconsistent(path=opened.path, file=CHOICE, because="its kits are not those in kits/")
    for file, digest in digests.items():
        if manifest.files[file].sha256 != digest:
            raise bundle_inconsistent(path=opened.path, file=file, because=f"its SHA-256 differs from that in {CHOICE}")
    if chosen is not None and chosen not in list(kits):
        because = f"it chooses {ascii(chosen)[:100]}, which is not a kit of the bundle"
        raise bundle_inconsistent(path=opened.path, file=CHOICE, because=because)
    return dict(sorted(kits.items())), chosen


def _check_kit(opened: Opened, manifest: BundleManifest, folder: str, chosen: Mapping[str, Any]) -> Manifest:
    """Check a kit against the bundle's manifest, and return its manifest."""
    try:
        kit = parse_manifest(_read_json(opened, manifest, f"{folder}{_KIT}"))
    except (RunnerError, TypeError) as error:
        because = error.what if isinstance(error, RunnerError) else str(error)
        raise bundle_inconsistent(path=opened.path, file=f"{folder}{_KIT}", because=because) from error
    try:
        check_options(kit.session.module, knobs_of(chosen, Path(CHOICE)))
    except RunnerError as error:
        raise bundle_inconsistent(path=opened.path, file=CHOICE, because=error.what) from error
    listed = {f"{folder}{name}": (fact.sha256, fact.bytes) for name, fact in kit.files.items()}
    packed = {name: (fact.sha256, fact.bytes) for name, fact in manifest.files.items() if name.startswith(folder)}
    packed.pop(f"{folder}{_KIT}")
    if listed != packed:
        differs = min(name for name in {*listed, *packed} if listed.get(name) != packed.get(name))
        raise bundle_inconsistent(path=opened.path, file=differs, because=f"{folder}{_KIT} and bundle.json disagree about it")
    if (fault := opening_fault(kit)) != "":
        raise bundle_model_refused(path=opened.path, file=f"{folder}{_KIT}", because=fault)
    sizes = {name: fact.bytes for name, fact in kit.files.items()}
    for name in filter(has_tensors, sizes):
        with opened.open(f"{folder}{name}") as stream:
            fault = tensor_fault(name, stream.read(sizes[name]), FolderSizes(sizes, name))
        if fault:
            raise bundle_model_refused(path=opened.path, file=f"{folder}{name}", because=fault)
    return kit


def _read_json(opened: Opened, manifest: BundleManifest, name: str) -> Any:
    if name not in manifest.files:
        raise bundle_inconsistent(path=opened.path, file=name, because="bundle.json does not list it")
    if manifest.files[name].bytes > CHOICE_BYTES_MAX:
        raise bundle_inconsistent(path=opened.path, file=name, because=f"it is longer than {CHOICE_BYTES_MAX:,} bytes")
    with opened.open(name) as stream:
        content = stream.read(manifest.files[name].bytes)
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise bundle_inconsistent(path=opened.path, file=name, because="it is not valid JSON") from error


def opening_fault(kit: Manifest) -> str:
    """Return why a kit's session must not open its files, or an empty text."""
    module = kit.session.module
    if module not in _ENTRY_SUFFIXES:
        return f"its session {ascii(module)[:100]} is not allowed in a bundle"
    kinds = [_ENTRY_SUFFIXES[module], *([_OTHER_SUFFIXES[module]] if module in _OTHER_SUFFIXES else [])]
    if PurePosixPath(kit.model.entry).suffix != _ENTRY_SUFFIXES[module]:
        return f"model.entry {ascii(kit.model.entry)[:100]} must be a {_ENTRY_SUFFIXES[module]} file for {module}"
    strange = [name for name in kit.model.files if PurePosixPath(name).suffix not in kinds]
    if strange:
        return f"model.files has {ascii(strange[0])[:100]}; {module} opens {', '.join(kinds)}"
    if kit.engine is None:
        return ""
    onnx, builder = kit.engine.get("onnx"), kit.engine.get("builder")  # the file and the package that ``build-engine`` uses
    if onnx not in list(kit.files) or PurePosixPath(str(onnx)).suffix != ".onnx":
        return f"engine.onnx {ascii(onnx)[:100]} is not an .onnx file of the kit"
    return "" if builder in PACKAGES else f"engine.builder {ascii(builder)[:100]} is not {' or '.join(PACKAGES)}"


def has_tensors(name: str) -> bool:
    """Whether a file with this name is checked: the names in a model, and the header of an array."""
    return is_checked(name) or PurePosixPath(name).suffix == ".npy"


def tensor_fault(name: str, content: bytes, sizes: Mapping[str, int]) -> str:
    """Return the fault of a file, or an empty text.

    ``sizes``: every file of its folder, name to bytes.
    """
    return model_fault(PurePosixPath(name).name, content, sizes) if is_checked(name) else _array_fault(content)


def _array_fault(content: bytes) -> str:
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except (ValueError, EOFError, SyntaxError) as error:
        return f"it is not a NumPy array ({str(error)[:100]})"
    if dtype.hasobject:
        return "it holds Python objects, which may run code"
    expected, available = prod(shape) * dtype.itemsize, len(content) - stream.tell()
    return (
        "" if expected == available and min(shape, default=0) >= 0 else f"it has the shape {list(shape)}, but {available:,} bytes"
    )
