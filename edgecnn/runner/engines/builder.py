"""Build one engine in one process, by the common interface of ``tensorrt`` (10.3 and later) and ``tensorrt_rtx_bindings``.

A builder that failed makes later engines of its process larger, and a native crash ends the process. So ``engine`` starts this
module as a process, and reads only the last line of its output. All messages go to a log file: they are the only source of why
TensorRT refused, and of warnings about misread files.

A timing cache holds a builder's timings of its kernels, so that the next build chooses the same kernels. It decides an engine's
kernels, so it is used only if it is byte for byte the file of an earlier build: a file next to it holds its SHA-256 and the
builder's package and version.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..files import read_json, write_bytes, write_json
from ..messages import RunnerError
from ..packages import matches

WORKSPACE_BYTES = 1 << 30
"""The builder's scratch memory: half of the free memory of a 4 GB board with a desktop."""
MISREAD = "Defaulting to INT8"
"""The warning that counts as an error: uint8 is then read as int8 with the scale of uint8, and predictions are random."""
KEEP_LOG = "read build/build.log after this command in the kit's folder: python -m runner build-engine --package %s --out build"


class Order(NamedTuple):
    """The engine to build. ``capability``: such as ``8.6``, or None for the GPU of this machine."""

    package: str
    onnx: str
    engine: str
    log: str
    capability: Optional[str]
    batch_max: int
    min_version: Optional[str]
    timing_cache: Optional[str] = None
    """A file of kernel timings to read, if it exists, and to write."""
    flags: Sequence[str] = ()
    """Precisions that the builder may choose in a weakly typed network, in addition to fp32. Empty: strongly typed."""


def build(order: Order) -> Dict[str, Any]:
    """Parse and build; return version, bytes, seconds and warnings.

    Raises:
        RunnerError: the package is absent or too old, the GPU is unknown, the timing cache was changed, the file does not parse
            or build, or uint8 was misread.
    """
    began = time.monotonic()
    trt = import_builder(order.package, order.min_version)
    # The length of a path would shift the builder's later allocations, and engines depend on addresses.
    os.chdir(Path(order.onnx).parent)
    # Line-buffered: after a native crash the log ends where the builder ended.
    with Path(order.log).open("w", encoding="utf-8", errors="replace", buffering=1) as file:
        messages = MessageLog(file)
        builder, network, parser = _parse_network(trt, order, messages)
        _refuse_misreading(order, messages)
        config = _builder_config(trt, order, builder, network)
        begun_from = _use_timing_cache(trt, order, config)
        serialized = builder.build_serialized_network(network, config)
        _refuse_misreading(order, messages)
        if serialized is None:
            gpu = "" if order.capability is None else " for compute capability %s" % order.capability
            raise RunnerError(
                "engine-build-failed",
                "%s: %s builds no engine%s" % (_onnx_name(order), order.package, gpu),
                messages.last_error(),
                KEEP_LOG % order.package,
            )
        write_bytes(Path(order.engine), bytes(memoryview(serialized)))
        timing_cache = None  # type: Optional[Dict[str, Any]]
        if order.timing_cache is not None:
            content = bytes(memoryview(config.get_timing_cache().serialize()))
            facts = keep_cache(Path(order.timing_cache), content, order.package, str(trt.__version__))
            timing_cache = {"begun_from_sha256": begun_from, "sha256": facts["sha256"], "bytes": facts["bytes"]}
        del parser
    return {
        "version": str(trt.__version__),
        "bytes": serialized.nbytes,
        "seconds": round(time.monotonic() - began, 3),
        "warnings": messages.warnings,
        "timing_cache": timing_cache,
    }


def import_builder(package: str, min_version: Optional[str]) -> Any:
    """Import the builder's module.

    Raises:
        RunnerError: builder-missing; builder-too-old, below ``min_version`` of ``tensorrt``. RTX has other version numbers.
    """
    try:
        trt = importlib.import_module(package)
    except (ImportError, OSError) as error:
        distributions = "tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings" if "rtx" in package else package
        raise RunnerError(
            "builder-missing",
            "the builder %s cannot be imported by %s" % (package, sys.executable),
            str(error),
            "on a Jetson, use the system's python3; elsewhere: pip install %s" % distributions,
            missing=True,
        ) from error
    if package == "tensorrt" and min_version and not matches(trt.__version__, ">=" + min_version):
        raise RunnerError(
            "builder-too-old",
            "tensorrt %s is older than %s, which this kit's network needs" % (trt.__version__, min_version),
            None,
            "on a Jetson, TensorRT is part of JetPack: JetPack 6.1 has 10.3",
            missing=True,
        )
    return trt


def _parse_network(trt: Any, order: Order, messages: MessageLog) -> Tuple[Any, Any, Any]:
    """Return builder, network and parser. The parser owns the weights, so it must outlive the build."""
    log = logger_of(trt, messages)
    try:
        builder = trt.Builder(log)
    except (TypeError, RuntimeError) as error:
        raise RunnerError(
            "builder-not-started",
            "%s cannot start its builder" % order.package,
            messages.last_error() or str(error),
            "tensorrt needs an NVIDIA GPU and its driver; tensorrt_rtx_bindings also builds without them",
            missing=True,
        ) from error
    network = builder.create_network(1 << int(_typing_flag(trt, order)))
    parser = trt.OnnxParser(network, log)
    if parser.parse_from_file(_onnx_name(order)) and parser.num_errors == 0:
        return builder, network, parser
    errors = [_parser_error(parser.get_error(index)) for index in range(parser.num_errors)]
    raise RunnerError(
        "engine-parse-failed",
        "%s: %s cannot read it" % (_onnx_name(order), order.package),
        "; ".join(errors) or messages.last_error(),
        KEEP_LOG % order.package,
    )


def _typing_flag(trt: Any, order: Order) -> Any:
    if not order.flags:
        return trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    if not all(hasattr(trt.BuilderFlag, name) for name in order.flags):
        raise RunnerError(
            "builder-types-strongly",
            "%s %s builds no weakly typed network, which %s is" % (order.package, trt.__version__, _onnx_name(order)),
            "it has no builder flags %s" % ", ".join(order.flags),
            "it is for TensorRT 8.5, on a board with JetPack 5",
            missing=True,
        )
    return trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH


def _parser_error(error: Any) -> str:
    code = str(error.code()).rsplit(".", 1)[-1]
    if not hasattr(error, "node_name"):  # TensorRT 8.5 has only the node's number
        return "node %s: %s, %s" % (error.node(), code, " ".join(error.desc().split()))
    return "node %s (%s): %s, %s" % (
        error.node_name() or error.node(),
        error.node_operator(),
        code,
        " ".join(error.desc().split()),
    )


def _builder_config(trt: Any, order: Order, builder: Any, network: Any) -> Any:
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    # Tensors typed fp32 are computed in fp32: TF32 rounds products to 10 bits and is on by default.
    config.clear_flag(trt.BuilderFlag.TF32)
    for name in order.flags:
        config.set_flag(getattr(trt.BuilderFlag, name))
    if order.capability is not None:
        _set_target_gpu(trt, order, config)
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shape = tuple(tensor.shape)
        if -1 in shape:
            smallest, largest = (tuple(size if axis == -1 else axis for axis in shape) for size in (1, order.batch_max))
            profile.set_shape(tensor.name, smallest, smallest, largest)
    config.add_optimization_profile(profile)
    return config


def _use_timing_cache(trt: Any, order: Order, config: Any) -> Optional[str]:
    """Pass the timing cache to the builder; return the SHA-256 of its content, or None if it was empty."""
    if order.timing_cache is None:
        return None
    content = read_cache(Path(order.timing_cache), order.package, str(trt.__version__))
    # False: the builder refuses a cache of another version or GPU.
    if not config.set_timing_cache(config.create_timing_cache(content), False):
        raise RunnerError(
            "timing-cache-of-another-builder",
            "%s: %s refuses this timing cache" % (order.timing_cache, order.package),
            "it was measured on another GPU or driver",
            "name another file, so that the builder measures again",
        )
    return hashlib.sha256(content).hexdigest() if content else None


def _set_target_gpu(trt: Any, order: Order, config: Any) -> None:
    """Set the target GPU, which need not be in this machine. Only TensorRT-RTX can."""
    capabilities = getattr(trt, "ComputeCapability", None)
    if capabilities is None or not hasattr(config, "set_compute_capability"):
        raise RunnerError(
            "capability-not-selectable",
            "%s builds for the GPU of this machine only, not for %s" % (order.package, order.capability),
            None,
            "leave out --capability, or build ahead of time with --package tensorrt_rtx_bindings",
        )
    target = getattr(capabilities, "SM%s" % str(order.capability).replace(".", ""), None)
    if target is None:
        names = [name[2:] for name in dir(capabilities) if name.startswith("SM")]
        listed = ", ".join("%s.%s" % (digits[:-1], digits[-1]) for digits in sorted(names, key=int))
        raise RunnerError(
            "capability-unknown",
            "%s %s knows no GPU of compute capability %s" % (order.package, trt.__version__, order.capability),
            "it builds for %s" % listed,
            "a Jetson's engine is built on the Jetson, by the kit's build-engine",
        )
    config.num_compute_capabilities = 1
    if not config.set_compute_capability(target, 0):
        raise RunnerError("capability-unknown", "%s refuses compute capability %s" % (order.package, order.capability))


def _refuse_misreading(order: Order, messages: MessageLog) -> None:
    misread = [text for text in messages.warnings + messages.errors if MISREAD in text]
    if misread:
        raise RunnerError(
            "uint8-read-as-int8",
            "%s: %s reads uint8 numbers as int8 with the same scale, so the engine's predictions would be random"
            % (_onnx_name(order), order.package),
            " ".join(misread[0].split()),
            "quantize activations to int8 with zero-point 0",
        )


def _onnx_name(order: Order) -> str:
    return Path(order.onnx).name


def pin_of(cache: Path) -> Path:
    """Return the path of the file that identifies the cache."""
    return cache.with_name(cache.name + ".json")


def read_cache(cache: Path, package: str, version: str) -> bytes:
    """Return the cache's bytes; none if there is no cache yet.

    Raises:
        RunnerError: timing-cache-altered, or timing-cache-of-another-builder.
    """
    pin = pin_of(cache)
    if not cache.exists() and not pin.exists():
        return b""
    hint = "delete the cache and {}, then build again: the builder measures again".format(pin.name)
    if not cache.is_file() or not pin.is_file():
        lacking = cache if pin.is_file() else pin
        raise RunnerError("timing-cache-altered", "{}: incomplete".format(cache), "{} is missing".format(lacking), hint)
    content, facts = cache.read_bytes(), read_json(pin)
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        why = "its SHA-256 is not the one in {}".format(pin.name)
        raise RunnerError("timing-cache-altered", "{}: not what the last build left".format(cache), why, hint)
    if (facts["package"], facts["version"]) != (package, version):
        why = "left by {} {}, this is {} {}".format(facts["package"], facts["version"], package, version)
        raise RunnerError("timing-cache-of-another-builder", "{}: not of this builder".format(cache), why, hint)
    return content


def keep_cache(cache: Path, content: bytes, package: str, version: str) -> Dict[str, Any]:
    """Write the cache, then the file that identifies it; return the content of that file."""
    facts = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "package": package, "version": version}
    write_bytes(cache, content)
    write_json(pin_of(cache), facts)
    return facts


class MessageLog:
    """TensorRT's warnings and errors, and an optional log file of all its messages."""

    def __init__(self, file: Optional[Any] = None) -> None:
        self._file = file
        self.warnings: List[str] = []
        self.errors: List[str] = []

    def keep(self, severity: str, text: str) -> None:
        """Record a message; ``severity`` is the name of TensorRT's level."""
        if self._file is not None:
            self._file.write("[{}] {}\n".format(severity, text))
        if severity == "WARNING":
            self.warnings.append(text)
        elif severity in ("ERROR", "INTERNAL_ERROR"):
            self.errors.append(text)

    def last_error(self) -> Optional[str]:
        """Return the last error on one line, or None."""
        return " ".join(self.errors[-1].split()) if self.errors else None


def logger_of(trt: Any, messages: MessageLog) -> Any:
    """Return a logger for TensorRT that keeps messages of every level: planned layers are logged at the lowest.

    Args:
        trt: ``tensorrt`` or a module with the same names.
        messages: receives the messages.
    """

    class Log(trt.ILogger):  # type: ignore[misc]
        """TensorRT calls ``log`` from its threads, one at a time."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            messages.keep(str(severity).rsplit(".", 1)[-1], msg)

    return Log()


def main() -> int:
    """Read the order from standard input as JSON; print the result as the last line."""
    order = Order(**json.loads(sys.stdin.read()))
    try:
        result: Dict[str, Any] = dict(build(order), ok=True)
    except RunnerError as refused:
        result = {"ok": False, "error": refused.facts()}
    print("\n" + json.dumps(result), flush=True)
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
