"""``build-engine``: build engines from the kit's ONNX, each in a fresh process without address randomization.

TensorRT orders some of its work by pointer values, so engines are reproducible only with the same addresses. ``setarch -R`` gives
them; if it is missing or forbidden, the record says that addresses were random. It guarantees nothing: engines of some networks
(MobileNetV3 in fp16) hold internal names that depend on the builder's timing.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from ..files import make_folder, read_json, sha256_of, write_json
from ..kit import Kit
from ..machine.cudart import Cuda
from ..machine.sensors import gpu_models
from ..messages import RunnerError
from ..model_files import check_model
from .builder import KEEP_LOG, Order

SCHEMA = "edgecnn.engine-build/1"
LOG = "build.log"
RECORD = "build.json"
Tell = Callable[[str, int, int, str], None]


class BuildRequest(NamedTuple):
    """Options of a build."""

    package: Optional[str] = None
    """The builder's module; None: the kit's."""
    capabilities: Sequence[str] = ()
    """The GPUs to build an engine for, such as ``8.6``; empty: the GPU of this machine."""
    timing_cache: Optional[Path] = None
    """A file to read, if it exists, and to write."""


PLAIN = BuildRequest()
"""The kit's builder, for the GPU of this machine."""


def build_engines(kit_folder: Path, out: Path, request: BuildRequest = PLAIN, tell: Optional[Tell] = None) -> Dict[str, Any]:
    """Build the kit's network; write ``build.json`` last, and return it.

    Args:
        kit_folder: folder of ``kit.json``; nothing is written there.
        out: folder of the engines, ``build.log`` and ``build.json``; created if absent.
        request: builder, GPUs and timing cache.
        tell: called with (what, done, total, unit).

    Raises:
        RunnerError: see ``builder``; kit-needs-no-engine; builder-died; the errors of ``check_model``.
    """
    kit = read_json(kit_folder / "kit.json")
    if not kit.get("engine"):
        raise RunnerError("kit-needs-no-engine", "%s runs without an engine" % kit["name"])
    check_model(Kit.open(kit_folder))
    make_folder(out)
    began = time.monotonic()
    targets: List[Optional[str]] = list(request.capabilities) or [None]
    orders = [_build_order(kit, kit_folder.resolve(), out.resolve(), request, target) for target in targets]
    prefix = steady_addresses()
    results: List[Dict[str, Any]] = []
    with (out / LOG).open("w", encoding="utf-8") as log:
        for order in orders:
            if tell is not None:
                tell("build-engine", len(results), len(orders), "engines")
            results.append(_run_builder(order, prefix, log))
    record = _record(kit["engine"]["onnx"], orders, results)
    record.update(address_randomization="off" if prefix else "on", seconds=round(time.monotonic() - began, 3))
    write_json(out / RECORD, record)
    return record


def _build_order(kit: Dict[str, Any], kit_folder: Path, out: Path, request: BuildRequest, capability: Optional[str]) -> Order:
    return Order(
        package=request.package or kit["engine"]["builder"],
        onnx=str(kit_folder / kit["engine"]["onnx"]),
        engine=str(out / engine_name(capability)),
        log=str(out / "part.log"),
        capability=capability,
        batch_max=int(kit["model"]["batch_max"]),
        min_version=kit["engine"].get("min_version"),
        flags=list(kit["engine"].get("flags") or []),
        timing_cache=None if request.timing_cache is None else str(request.timing_cache.resolve()),
    )


def _record(onnx: str, orders: Sequence[Order], results: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    warnings: Dict[str, int] = {}
    for result in results:
        for text in result["warnings"]:
            warnings[text] = warnings.get(text, 0) + 1
    return {
        "schema": SCHEMA,
        "package": orders[0].package,
        "version": results[0]["version"],
        "capabilities": [order.capability for order in orders if order.capability is not None],
        "batch_max": orders[0].batch_max,
        "onnx": onnx,
        "network_sha256": sha256_of(Path(orders[0].onnx)),
        "engines": [_engine_facts(order, result) for order, result in zip(orders, results)],
        "warnings": [{"text": text, "times": times} for text, times in warnings.items()],
    }


def _engine_facts(order: Order, result: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "file": Path(order.engine).name,
        "capability": order.capability,
        "bytes": result["bytes"],
        "sha256": sha256_of(Path(order.engine)),
        "seconds": result["seconds"],
        "built_for": _built_for(order.capability),
        "timing_cache": result["timing_cache"],
    }


def _built_for(capability: Optional[str]) -> Dict[str, Any]:
    """Return the GPU of an engine: the named one, or this machine's; empty if CUDA cannot tell."""
    if capability is not None:
        return {"capability": capability}
    try:
        return {"capability": Cuda().capability(), "models": gpu_models()}
    except RunnerError:
        return {}


def engine_name(capability: Optional[str]) -> str:
    """Return ``engine-sm86.plan`` for a named GPU, ``engine.plan`` for this machine's."""
    return "engine.plan" if capability is None else "engine-sm%s.plan" % capability.replace(".", "")


def steady_addresses() -> List[str]:
    """Return the prefix of a command that turns address randomization off; empty if that is not allowed."""
    setarch, true = shutil.which("setarch"), shutil.which("true")
    if setarch is None or true is None:
        return []
    prefix = [setarch, platform.machine(), "-R"]
    tried = subprocess.run(prefix + [true], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return prefix if tried.returncode == 0 else []


def _run_builder(order: Order, prefix: List[str], log: Any) -> Dict[str, Any]:
    """Run the build in a child process; append its log to ``log`` even if it fails."""
    package = __package__ or "runner.engines"
    root = str(Path(__file__).resolve().parents[len(package.split("."))])
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", PYTHONHASHSEED="0")
    environment["PYTHONPATH"] = os.pathsep.join([root] + [path for path in [os.environ.get("PYTHONPATH")] if path])
    process = subprocess.run(
        prefix + [sys.executable, "-m", package + ".builder"],
        input=json.dumps(order._asdict()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    log.write("== %s for %s\n" % (Path(order.engine).name, order.capability or "the GPU of this machine"))
    part = Path(order.log)
    if part.exists():
        with part.open(encoding="utf-8", errors="replace") as part_log:
            shutil.copyfileobj(part_log, log)
        part.unlink()
    return _builder_result(order, process)


def _builder_result(order: Order, process: "subprocess.CompletedProcess[str]") -> Dict[str, Any]:
    lines = [line for line in process.stdout.splitlines() if line.strip()]
    try:
        result: Dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        ending = "signal %d" % -process.returncode if process.returncode < 0 else "exit code %d" % process.returncode
        error_lines = [line for line in process.stderr.splitlines() if line.strip()]
        raise RunnerError(
            "builder-died",
            "%s ended by %s while it built %s" % (order.package, ending, Path(order.engine).name),
            error_lines[-1] if error_lines else None,
            KEEP_LOG % order.package,
        ) from None
    if not result.get("ok"):
        raise RunnerError(**result["error"])
    return result
