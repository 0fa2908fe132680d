"""The session options that a kit may set, with their allowed values, and the knobs in a bundle's ``choice.json``.

Some options of runtimes name files to read and to write, or exhaust a machine. Kits come from other people, so options that are
not listed here are refused: by this runner before it opens a session, and by ``edgecnn bundle verify``.

Knobs are options that change the speed of a kit and not its logits. They are not part of the kit: a schedule states them for a
run, and the default is the ``choice.json`` of the bundle around the kit.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Mapping

from .files import read_json
from .messages import RunnerError

if TYPE_CHECKING:
    from .kit import Kit


CHOICE = "choice.json"
CHOICE_SCHEMA = "edgecnn.choice/1"
CHOICE_BYTES_MAX = 16 << 20
"""The largest ``choice.json`` that is read. One with a thousand kits has a tenth of this size."""
THREADS_MAX = 1024
"""More than the cores of any board or server. A million threads would exhaust a machine."""
_TEXT_MAX = 200


# Each check returns why a value is refused, or an empty text.


def _one_of(*allowed: str) -> Callable[[str], str]:
    return lambda value: "" if value in allowed else "is not one of {}".format(", ".join(allowed))


def _threads(value: str) -> str:
    is_count = value.isascii() and value.isdigit() and len(value) <= len(str(THREADS_MAX)) and 1 <= int(value) <= THREADS_MAX
    return "" if is_count else "is not a whole number from 1 to {}".format(THREADS_MAX)


def _name(value: str) -> str:
    is_name = value.isprintable() and 0 < len(value) <= _TEXT_MAX
    return "" if is_name else "is not a name of at most {} characters".format(_TEXT_MAX)


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    leaves = not path.parts or path.is_absolute() or ".." in path.parts or "\\" in value or ":" in value or _name(value)
    return "leaves the kit" if leaves else ""


_BIT, _SWITCH = _one_of("0", "1"), _one_of("YES", "NO")
_NCNN_SWITCHES = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
    "use_int8_packed",
    "use_int8_storage",
    "use_int8_arithmetic",
    "use_int8_inference",
    "use_packing_layout",
    "use_sgemm_convolution",
    "use_winograd_convolution",
)

OPTIONS: Mapping[str, Dict[str, Callable[[str], str]]] = {
    "onnxruntime_cpu": {
        "threads": _threads,
        "graph_optimization_level": _one_of("disable", "basic", "extended", "all"),
        "pin_threads": _BIT,
        "session.intra_op.allow_spinning": _BIT,
        "session.disable_quant_qdq": _BIT,
        "session.x64quantprecision": _BIT,
    },
    "openvino_cpu": {
        "threads": _threads,
        "PERFORMANCE_HINT": _one_of("LATENCY", "THROUGHPUT"),
        "INFERENCE_PRECISION_HINT": _one_of("f32", "bf16", "f16"),
        "ENABLE_CPU_PINNING": _SWITCH,
        "ENABLE_HYPER_THREADING": _SWITCH,
        "SCHEDULING_CORE_TYPE": _one_of("ANY_CORE", "PCORE_ONLY", "ECORE_ONLY"),
    },
    "ncnn_cpu": dict({"threads": _threads}, **dict.fromkeys(_NCNN_SWITCHES, _BIT)),
    "litert_cpu": {"threads": _threads, "force_fp16": _BIT},
    "wasm_browser": {"threads": _threads},
    "webgpu_browser": {},
    "tensorrt_gpu": {"engine": _inside},
    "torch_gpu": {
        "threads": _threads,
        "device": _one_of("cuda", "cpu"),
        "gpu": _name,
        "precision": _one_of("fp32", "tf32", "fp16", "bf16"),
        "graph": _one_of("off", "cuda"),
        "compile": _one_of("off", "inductor", "tensorrt"),
    },
}
"""Options by session module. Each module's ``open_session`` documents them."""


def check_options(module: str, options: Mapping[str, str]) -> None:
    """Refuse options that the module does not have.

    Raises:
        RunnerError: bad-option, with the first such option; outside-the-kit for a file outside the kit.
    """
    checks = OPTIONS.get(module, {})
    for name, value in sorted(options.items()):
        if name not in checks:
            why = "it takes {}".format(", ".join(sorted(checks)) or "none")
            raise RunnerError("bad-option", "session option {} is not one that {} takes".format(_shown(name), module), why)
        fault = checks[name](value)
        if fault:
            ref = "outside-the-kit" if checks[name] is _inside else "bad-option"
            raise RunnerError(ref, "session option {} = {} {}".format(name, _shown(value), fault))


def _shown(text: str) -> str:
    return ascii(text)[:_TEXT_MAX]


def chosen_knobs(kit: Kit) -> Dict[str, str]:
    """Return this kit's knobs in the ``choice.json`` of the bundle around it; none if there is no bundle.

    Raises:
        RunnerError: unreadable-file or bad-knobs.
    """
    folder = kit.folder.parent.parent
    path = folder / CHOICE
    if not path.is_file():
        return {}
    choice = read_json(path, CHOICE_BYTES_MAX)
    if not isinstance(choice, dict) or choice.get("schema") != CHOICE_SCHEMA or not isinstance(choice.get("kits"), dict):
        return {}
    for entry in choice["kits"].values():
        is_kit = isinstance(entry, dict) and entry.get("sha256") == kit.sha256
        if is_kit and (folder / str(entry.get("folder"))).resolve() == kit.folder:
            return knobs_of(entry, path)
    return {}


def knobs_of(entry: Mapping[str, Any], path: Path) -> Dict[str, str]:
    """Return the knobs of a kit in ``choice.json``; an old bundle has none.

    Raises:
        RunnerError: bad-knobs.
    """
    knobs = entry.get("knobs", {})
    if not isinstance(knobs, dict) or not all(isinstance(text, str) for text in knobs.values()):
        raise RunnerError("bad-knobs", "{}: knobs must hold texts only".format(path))
    return dict(knobs)


def parse_knobs(texts: Iterable[str]) -> Dict[str, str]:
    """Parse ``NAME=VALUE`` words into options.

    Raises:
        RunnerError: bad-knobs.
    """
    knobs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise RunnerError("bad-knobs", "--knob {!r} is not NAME=VALUE".format(text))
        knobs[name] = value
    return knobs
