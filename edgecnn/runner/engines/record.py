"""Check by the record of ``build-engine`` whether an engine may run here, before TensorRT reads it.

An engine belongs to one network, one TensorRT version and one GPU. TensorRT refuses some mismatches with a number, runs others
slowly after a warning, and trusts the bytes. Here each mismatch has an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from ..files import read_json, sha256_of
from ..machine.cudart import Cuda
from ..machine.environment import read_conditions
from ..machine.sensors import gpu_models
from ..messages import RunnerError
from .builder import import_builder
from .engine import RECORD, SCHEMA, BuildRequest, engine_name

if TYPE_CHECKING:
    from ..kit import Kit

BUILD = "python3 -m runner build-engine --out build, inside the kit"
PACKAGES = ("tensorrt", "tensorrt_rtx_bindings")
"""The modules that run engines. A record may name no other module."""


def read_record(kit: Kit, engine: Path) -> Dict[str, Any]:
    """Return ``build.json`` of an unchanged engine of the kit's network.

    Raises:
        RunnerError: engine-not-built, engine-record-refused, engine-of-another-network, or engine-altered.
    """
    record_file = engine.parent / RECORD
    if not engine.is_file() or not record_file.is_file():
        raise RunnerError("engine-not-built", "{}: this kit's engine was not built here".format(engine), hint=BUILD, missing=True)
    record: Dict[str, Any] = read_json(record_file)
    fault = _fault(record)
    if fault:
        raise RunnerError("engine-record-refused", "{}: not a record that build-engine wrote".format(record_file), fault, BUILD)
    onnx = (kit.manifest.engine or {}).get("onnx", kit.manifest.model.entry)
    if record["network_sha256"] != kit.manifest.files[onnx].sha256:
        why = "{} names another {} than kit.json".format(record_file, onnx)
        raise RunnerError("engine-of-another-network", "{}: not built from this kit's network".format(engine), why, BUILD)
    if sha256_of(engine) != engine_facts(record, engine)["sha256"]:
        why = "its SHA-256 is not the one in {}".format(record_file)
        raise RunnerError("engine-altered", "{}: not the engine that was built".format(engine), why, BUILD)
    return record


def describe_builder(package: str) -> Dict[str, Any]:
    """Return the facts that engines depend on: ``package``, ``version``, ``capability``, ``gpus`` and ``driver``.

    ``capability`` is None for an ahead-of-time builder on a machine without a GPU, ``driver`` if it cannot be read.

    Raises:
        RunnerError: builder-missing; no-gpu or cuda-runtime-missing if the builder needs a GPU.
    """
    trt = import_builder(package, None)
    capability = None  # type: Optional[str]
    try:
        capability = Cuda().capability()
    except RunnerError:
        if package == PACKAGES[0]:
            raise
    facts = {"package": package, "version": str(trt.__version__), "capability": capability, "gpus": gpu_models()}
    return dict(facts, driver=read_conditions().get("driver"))


def reusable_record(kit: Kit, out: Path, request: BuildRequest) -> Optional[Dict[str, Any]]:
    """Return the record of the engines in ``out`` if a build would make the same engines now; else None.

    Raises:
        RunnerError: see ``describe_builder``.
    """
    package = request.package or str((kit.manifest.engine or {}).get("builder"))
    names = [engine_name(capability) for capability in request.capabilities] or [engine_name(None)]
    if not all((out / name).is_file() for name in names) or not (out / RECORD).is_file():
        return None
    now = describe_builder(package)
    try:
        for name in names:
            record = read_record(kit, out / name)
            check_version(record, out / name, now["version"])
            if not request.capabilities:
                check_gpu(record, out / name, now["capability"], now["gpus"])
    except RunnerError:
        return None
    return record if record["package"] == package else None


def _fault(record: Any) -> str:
    """Return why ``build-engine`` cannot have written the record, or an empty text. Every field that is read later is checked."""
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        return "its schema is not {}".format(SCHEMA)
    if record.get("package") not in PACKAGES:
        return "its package is {}, and engines are run by {}".format(ascii(record.get("package"))[:100], " or ".join(PACKAGES))
    for name in ("version", "network_sha256"):
        if not isinstance(record.get(name), str):
            return "its {} is no text".format(name)
    if not isinstance(record.get("engines"), list):
        return "its engines are no list"
    return next(filter(None, map(_engine_fault, record["engines"])), "")


def _engine_fault(facts: Any) -> str:
    if not isinstance(facts, dict) or not all(isinstance(facts.get(name), str) for name in ("file", "sha256")):
        return "an engine of it lacks file or sha256"
    built = facts.get("built_for") or {}
    if not isinstance(built, dict) or not isinstance(built.get("capability"), (str, type(None))):
        return "an engine of it lacks the GPU that it was built for"
    models = built.get("models", [])
    if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
        return "an engine of it lists no GPUs by name"
    return ""


def engine_facts(record: Dict[str, Any], engine: Path) -> Dict[str, Any]:
    """Return the record's facts of an engine file.

    Raises:
        RunnerError: engine-not-built, if the record does not name the file.
    """
    for facts in record["engines"]:
        if facts["file"] == engine.name:
            return dict(facts)
    why = "{} does not name it".format(engine.parent / RECORD)
    raise RunnerError("engine-not-built", "{}: this kit's engine was not built here".format(engine), why, BUILD, missing=True)


def check_version(record: Dict[str, Any], engine: Path, version: str) -> None:
    """Compare the builder's version with this machine's.

    Raises:
        RunnerError: engine-of-another-version.
    """
    if record["version"] != version:
        why = "built by {}, this machine has {}".format(record["version"], version)
        raise RunnerError("engine-of-another-version", "{}: an engine of another TensorRT version".format(engine), why, BUILD)


def check_gpu(record: Dict[str, Any], engine: Path, capability: str, models: List[str]) -> None:
    """Compare the GPU that the engine was built for with this machine's, as far as it is recorded.

    A compute capability has several models, and tactics are timed on one of them. So an engine that was built on its machine must
    match the model too.

    Args:
        record: the result of ``read_record``.
        engine: the engine's file.
        capability: this machine's compute capability, such as ``8.7``.
        models: the names of this machine's GPUs.

    Raises:
        RunnerError: engine-of-another-gpu.
    """
    facts = engine_facts(record, engine)
    built = facts.get("built_for") or {}
    differs = built.get("capability") not in (None, capability)
    if not differs and not (built.get("models") and models and built["models"] != models):
        return
    why = "built for {}, this machine has {}".format(
        _gpu_description(built.get("capability"), built.get("models", [])), _gpu_description(capability, models)
    )
    raise RunnerError("engine-of-another-gpu", "{}: an engine of another GPU".format(engine), why, BUILD)


def _gpu_description(capability: Any, models: List[str]) -> str:
    return "{} of compute capability {}".format("; ".join(models) or "a GPU", capability or "unknown")
