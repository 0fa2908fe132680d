"""What a user of one tool would run on the same trained network: each by that library's own defaults, on as many threads.

``make`` leaves files in a folder, once; ``open`` gives a call from float32 NCHW to logits. The worker runs either in a process of
its own. Inputs are normalized before the clock starts, as they are for the kits; every tool knows that one image comes at a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ladder.own_environments import (
    executorch_fp32,
    executorch_int8,
    executorch_on,
    mnn_fp32,
    mnn_int8,
    mnn_on,
    olive_int8,
)
from benchmarks.ladder.rival import THREADS, Call, Network, Rival, torch_module


def nothing(network: Network, out: Path) -> None:
    """The trained network is used as it is."""


def torch_eager(network: Network, made: Path, batch: int | None) -> Call:
    """``model(x)`` under ``inference_mode``."""
    return _called(torch_module(network))


def torch_compiled(network: Network, made: Path, batch: int | None) -> Call:
    """``torch.compile(model)`` with its default mode."""
    import torch

    return _called(torch.compile(torch_module(network)))


def _called(module: Any) -> Call:
    import torch

    def call(feed: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            answer: NDArray[np.float32] = module(torch.from_numpy(feed)).numpy()
        return answer

    return call


def onnxruntime_on(path: Path) -> Call:
    """A session with its defaults."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def call(feed: NDArray[np.float32]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = session.run(None, {name: feed})[0]
        return answer

    return call


def onnxruntime_int8(network: Network, out: Path) -> None:
    """``quant_pre_process``, then ``quantize_static``: Q/DQ, unsigned activations, signed weights a channel."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    name = _input_name(network.onnx)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.feeds = ({name: feed} for feed in network.calibration())

        def get_next(self) -> dict[str, Any] | None:
            return next(self.feeds, None)

    prepared = out / "prepared.onnx"
    quant_pre_process(network.onnx, str(prepared))
    quantize_static(
        str(prepared),
        str(out / "model.onnx"),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    prepared.unlink()


def _input_name(path: str) -> str:
    import onnx

    return str(onnx.load(path, load_external_data=False).graph.input[0].name)


def openvino_on(model: Any, batch: int | None, config: dict[str, str]) -> Call:
    """``compile_model`` with its defaults, for the batch that comes."""
    from edgecnn.runtimes.openvino import import_openvino

    openvino = import_openvino()
    if batch is not None:
        model.reshape([batch, *list(model.input(0).partial_shape)[1:]])
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": THREADS, **config})

    def call(feed: NDArray[np.float32]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = compiled(feed)[0]
        return answer

    return call


def read(path: Path) -> Any:
    """``Core.read_model``: an IR, or a file that is quantized already."""
    from edgecnn.runtimes.openvino import import_openvino

    return import_openvino().Core().read_model(str(path))


def converted(path: str) -> Any:
    """``ov.convert_model``, of the trained network."""
    from edgecnn.runtimes.openvino import import_openvino

    return import_openvino().convert_model(str(path))


def nncf_int8(network: Network, out: Path) -> None:
    """``nncf.quantize`` of ``ov.convert_model``'s network, with its defaults; ``ov.save_model`` without fp16 weights."""
    from edgecnn.runtimes.openvino import import_nncf, import_openvino

    nncf = import_nncf()
    quantized = nncf.quantize(converted(network.onnx), nncf.Dataset(list(network.calibration())))
    import_openvino().save_model(quantized, str(out / "model.xml"), compress_to_fp16=False)


F32 = {"INFERENCE_PRECISION_HINT": "f32"}
RIVALS = (
    Rival("torch-eager", "torch eager", nothing, torch_eager),
    Rival("torch-compile", "torch.compile", nothing, torch_compiled),
    Rival("ort-fp32", "ONNX Runtime fp32", nothing, lambda network, made, batch: onnxruntime_on(Path(network.onnx))),
    Rival(
        "ort-int8",
        "ONNX Runtime INT8 u8",
        onnxruntime_int8,
        lambda network, made, batch: onnxruntime_on(made / "model.onnx"),
        ("model.onnx",),
    ),
    Rival("ov-f32", "OpenVINO f32", nothing, lambda network, made, batch: openvino_on(converted(network.onnx), batch, F32)),
    Rival(
        "ov-bf16",
        "OpenVINO bf16 (default)",
        nothing,
        lambda network, made, batch: openvino_on(converted(network.onnx), batch, {}),
    ),
    Rival(
        "ov-nncf",
        "OpenVINO NNCF INT8",
        nncf_int8,
        lambda network, made, batch: openvino_on(read(made / "model.xml"), batch, {}),
        ("model.xml", "model.bin"),
    ),
    Rival(
        "ov-on-ort-int8",
        "OpenVINO on ORT's u8 file",
        nothing,
        lambda network, made, batch: openvino_on(read(made / "model.onnx"), batch, {}),
        ("model.onnx",),
        needs="ort-int8",
    ),
    Rival(
        "olive",
        "Olive INT8",
        olive_int8,
        lambda network, made, batch: onnxruntime_on(made / "model.onnx"),
        ("model.onnx",),
        python="olive_python",
    ),
    *(
        Rival(
            f"{tool}-{precision}",
            f"{title} {precision.upper() if precision == 'int8' else precision}",
            make,
            lambda network, made, batch, opens=opens, file=file: opens(made / file),  # type: ignore[misc]
            (file,),
            python=f"{tool}_python",
            is_run_there=True,
        )
        for tool, title, precision, make, opens, file in (
            ("executorch", "ExecuTorch (XNNPACK)", "fp32", executorch_fp32, executorch_on, "model.pte"),
            ("executorch", "ExecuTorch (XNNPACK)", "int8", executorch_int8, executorch_on, "model.pte"),
            ("mnn", "MNN", "fp32", mnn_fp32, mnn_on, "model.mnn"),
            ("mnn", "MNN", "int8", mnn_int8, mnn_on, "model.mnn"),
        )
    ),
)
BASE = "ort-fp32"
"""What the geometric mean is against."""
