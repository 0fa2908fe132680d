"""From the ONNX trunk to ncnn's two files, by the program inside pnnx's wheel: a process of its own, in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from edgecnn.errors.devices import ConverterFailed, LayerNotConverted
from edgecnn.runner.interpreters import asked, own_python
from edgecnn.runner.schedule import clean_environment, ending, kill_group

TIMEOUT_S = 600.0
"""The largest network of the catalogue takes seconds."""
_INPUT, _OUTPUT = "in0", "out0"
_LAST_LINES = 3


def convert_trunk(onnx: Path, candidate: str, out: Path) -> int:
    """Write ``model.param`` and ``model.bin`` for one image a call, weights in fp32; how many classes it tells apart.

    Raises:
        ConverterFailed: pnnx crashed, hung, or left no model.
        LayerNotConverted: it left a layer that ncnn does not have.
    """
    from onnx import load

    graph = load(onnx, load_external_data=False).graph
    sizes = [axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim[1:]]
    classes = int(graph.output[0].type.tensor_type.shape.dim[1].dim_value)
    with tempfile.TemporaryDirectory(prefix="edgecnn-pnnx-") as name:
        work = Path(name)  # it leaves files of other forms beside its input
        shutil.copyfile(onnx, work / "model.onnx")
        shape = ",".join(str(size) for size in (1, *sizes))
        words = ("model.onnx", f"inputshape=[{shape}]f32", "fp16=0", "ncnnparam=model.param", "ncnnbin=model.bin")
        said = _run([str(_program()), *words], work, candidate)
        for each in ("model.param", "model.bin"):
            if not (work / each).is_file() or not (work / each).stat().st_size:
                raise ConverterFailed(converter="pnnx", candidate=candidate, why=_last(said) or f"it left no {each}")
        _check_layers(work / "model.param", candidate)
        for each in ("model.param", "model.bin"):
            shutil.copyfile(work / each, out / each)
    return classes


def _program() -> Path:
    """pnnx's own executable, in the environment that holds it: its Python module would import torch."""
    python = own_python("ncnn")
    root = Path(str(metadata.distribution("pnnx").locate_file(""))) if python is None else Path(asked(python).places["pnnx"])
    return root / "pnnx" / ("pnnx.exe" if sys.platform == "win32" else "pnnx")


def _run(words: list[str], work: Path, candidate: str) -> str:
    try:
        process = subprocess.Popen(
            words,
            cwd=work,
            env=clean_environment(work),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise ConverterFailed(converter="pnnx", candidate=candidate, why=str(error)) from error
    try:
        said, _ = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise ConverterFailed(
            converter="pnnx", candidate=candidate, why=f"it did not end in {TIMEOUT_S:g} s and was killed"
        ) from error
    finally:
        kill_group(process)
    if process.returncode:
        why = f"{ending(process.returncode)}; it said last: {_last(said)}"
        raise ConverterFailed(converter="pnnx", candidate=candidate, why=why)
    return said


def _check_layers(param: Path, candidate: str) -> None:
    """What pnnx cannot express it writes under its own or torch's name (``pnnx.Expression``, ``F.mish``, ``aten::erf``)."""
    layers = [line.split() for line in param.read_text(encoding="utf-8").splitlines()[2:] if line.strip()]
    for kind, name, *_ in layers:
        if "." in kind or "::" in kind:
            raise LayerNotConverted(converter="pnnx", candidate=candidate, layer=kind, name=name)
    tensors = {word for line in layers for word in line[4:] if "=" not in word}
    if not {_INPUT, _OUTPUT} <= tensors:
        raise ConverterFailed(converter="pnnx", candidate=candidate, why=f"its network has no {_INPUT} or no {_OUTPUT}")


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return " | ".join(lines[-_LAST_LINES:])
