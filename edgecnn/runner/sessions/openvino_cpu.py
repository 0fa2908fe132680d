"""OpenVINO on the CPU. The kit sets the precision: by default, OpenVINO computes in bf16 if the processor can."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from ..feeds import TensorSpec
from ..files import write_bytes
from ..messages import RunnerError
from . import Session, error_line, threads_of

# Importing openvino sends usage events over the network, unless this package cannot be imported.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
import openvino  # noqa: E402

if TYPE_CHECKING:
    from ..kit import Kit

KNOBS = ("threads", "ENABLE_CPU_PINNING", "ENABLE_HYPER_THREADING", "SCHEDULING_CORE_TYPE")
"""``INFERENCE_PRECISION_HINT`` is not a knob: it changes logits, so it belongs to the kit."""
_DTYPES = {"f32": "float32", "u8": "uint8", "f16": "float16", "i8": "int8"}


class OpenVinoSession(Session):
    """A model in OpenVINO's CPU plugin, compiled for one batch size if it is known."""

    def __init__(self, kit: Kit, options: Dict[str, str], trace_folder: Optional[Path], batch: Optional[int]) -> None:
        model = kit.path(kit.manifest.model.entry)
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": str(threads_of(options)), **options}
        if trace_folder is not None:
            config["PERF_COUNT"] = "YES"
        try:
            graph = openvino.Core().read_model(str(model))
            if batch is not None:
                # With a variable batch, shapes are inferred in every call.
                graph.reshape({port: [batch] + list(port.partial_shape)[1:] for port in graph.inputs})
            self._compiled = openvino.Core().compile_model(graph, "CPU", config)
        except Exception as error:  # noqa: BLE001 - the runtime raises RuntimeError, TypeError and others without a base class
            raise RunnerError(
                "runtime-refused-model", "{}: OpenVINO cannot open it".format(model.name), error_line(error)
            ) from error
        self.threads = int(self._compiled.get_property("INFERENCE_NUM_THREADS"))  # may be fewer than requested
        self._trace_folder = trace_folder
        self._request = self._compiled.create_infer_request()
        self._inputs: List[str] = [_port_name(port, kit.manifest.model.input.name) for port in self._compiled.inputs]
        self._outputs: List[str] = [_port_name(port, kit.manifest.model.output.name) for port in self._compiled.outputs]

    def inputs(self) -> Sequence[TensorSpec]:
        """Return the inputs of the compiled model."""
        return [
            TensorSpec(
                name,
                _DTYPES.get(port.element_type.get_type_name(), port.element_type.get_type_name()),
                tuple(size.get_length() if size.is_static else None for size in port.partial_shape),
            )
            for name, port in zip(self._inputs, self._compiled.inputs)
        ]

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run one synchronous call. The feed is read in place; the outputs are copies."""
        values = self._request.infer([feed[name] for name in self._inputs], share_inputs=True)
        return dict(zip(self._outputs, values.to_tuple()))

    def close(self) -> None:
        """Release the model; a traced session writes ``layers.json``: executed layers, their mean times, inputs and outputs."""
        if self._trace_folder is not None:
            text = json.dumps(_layers(self._compiled, self._request), indent=1)
            write_bytes(self._trace_folder / "layers.json", text.encode("utf-8"))
            self._trace_folder = None
        # The request must be released before the compiled model.
        self._request = None
        self._compiled = None


def open_session(
    kit: Kit, options: Mapping[str, str], trace_folder: Optional[Path] = None, batch: Optional[int] = None
) -> OpenVinoSession:
    """Open the kit's IR or ONNX file.

    Options: ``threads`` (``INFERENCE_NUM_THREADS``); ``PERFORMANCE_HINT``, by default ``LATENCY``; others in ``session_options``
    go to ``compile_model``, which also has options that read and write files (``CACHE_DIR``).

    Raises:
        RunnerError: bad-option or runtime-refused-model.
    """
    return OpenVinoSession(kit, dict(options), trace_folder, batch)


def _port_name(port: Any, packaged: str) -> str:
    """Return the kit's name if the port has it: a port has the names of all tensors merged into it."""
    return packaged if packaged in port.get_names() else str(port.get_any_name())


def _layers(compiled: Any, request: Any) -> List[Dict[str, Any]]:
    spent = {layer.node_name: layer.real_time.total_seconds() * 1e6 for layer in request.profiling_info}
    layers = []
    for op in compiled.get_runtime_model().get_ordered_ops():
        facts = op.get_rt_info()
        layers.append(
            {
                "name": op.get_friendly_name(),
                "layer_type": _text_fact(facts, "layerType"),
                "runtime_precision": _text_fact(facts, "runtimePrecision"),
                "primitive_type": _text_fact(facts, "primitiveType"),
                "original_names": [name for name in _text_fact(facts, "originalLayersNames").split(",") if name],
                "time_us": spent.get(op.get_friendly_name()),
                "inputs": [_tensor_facts(port) for port in op.inputs()],
                "outputs": [_tensor_facts(port) for port in op.outputs()],
            }
        )
    return layers


def _tensor_facts(port: Any) -> Dict[str, Any]:
    """Return the element type and the shape of a port; no shape if it is variable."""
    shape = port.get_partial_shape()
    sizes = [int(size) for size in shape.to_shape()] if shape.is_static else None
    return {"type": port.get_element_type().get_type_name(), "shape": sizes}


def _text_fact(facts: Any, name: str) -> str:
    return str(facts[name].astype(str)) if name in facts else ""
