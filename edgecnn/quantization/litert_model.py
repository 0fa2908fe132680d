"""A float32 LiteRT model from an ONNX file. No runtime is imported: the doctor tries each runtime in a process of its own."""

from __future__ import annotations

from pathlib import Path

from edgecnn.backends.litert import ENTRY, WRITER, write_described
from edgecnn.errors.devices import ConverterFailed, LayerNotConverted
from edgecnn.graph.onnx_file import load_model
from edgecnn.quantization.litert_writer.flatbuffer import BYTES_MAX, TooLarge
from edgecnn.quantization.litert_writer.writer import LayerWithoutForm, litert_model
from edgecnn.store.failures import told_by_system
from edgecnn.values.candidate import Candidate, Precision


def convert(onnx: Path, candidate: Candidate, out: Path) -> None:
    """Write ``model.tflite`` and ``model.json`` in fp32, without comparing it. Raises LayerNotConverted, ConverterFailed."""
    write_model(onnx, candidate, out / ENTRY)
    write_described(onnx, candidate, out)


def write_model(onnx: Path, candidate: Candidate, made: Path) -> None:
    """Write an ONNX network as a float32 ``.tflite`` for one image a call, in the form that suits the candidate's precision.

    Raises LayerNotConverted: a layer has no form. ConverterFailed: the model is larger than a FlatBuffer.
    """
    model = load_model(onnx)
    try:
        content = litert_model(model, splits_hard_swish=candidate.precision is Precision.INT8)
    except LayerWithoutForm as error:
        node = error.node
        raise LayerNotConverted(converter=WRITER, candidate=candidate.id, layer=node.op, name=node.name, why=error.why) from error
    except TooLarge as error:
        why = f"its weights take more than the {BYTES_MAX:,} bytes of a FlatBuffer"
        raise ConverterFailed(converter=WRITER, candidate=candidate.id, why=why) from error
    with told_by_system(made, len(content)):
        made.write_bytes(content)
