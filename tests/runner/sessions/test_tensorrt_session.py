"""The GPU session's own work, against a TensorRT and a CUDA that live in host memory: buffers, shapes, order of calls, trace.

What NVIDIA's libraries do with these calls is not shown here; that needs a GPU.
"""

from __future__ import annotations

import ctypes
import json
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgecnn.runner.machine.cudart import Cuda
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.sessions.tensorrt_gpu import TensorRtSession

BATCH_MAX = 4
Shape = tuple[int, ...]


class HostMemory:
    """Device memory, in the host's."""

    def __init__(self) -> None:
        self.blocks: dict[int, Any] = {}
        self.streams = 0
        self.order: list[str] = []

    def allocate(self, size: int) -> int:
        block = ctypes.create_string_buffer(size)
        self.blocks[ctypes.addressof(block)] = block
        return ctypes.addressof(block)

    def free(self, address: int) -> None:
        del self.blocks[address]

    def stream(self) -> int:
        self.streams += 1
        return 7

    def destroy_stream(self, stream: int) -> None:
        assert stream == 7
        self.streams -= 1

    def copy_to_device(self, address: int, array: Any, stream: int) -> None:
        assert array.flags["C_CONTIGUOUS"]
        assert array.nbytes <= len(self.blocks[address])
        ctypes.memmove(address, array.ctypes.data, array.nbytes)
        self.order.append("copied there")

    def copy_to_host(self, array: Any, address: int, stream: int) -> None:
        assert array.nbytes <= len(self.blocks[address])
        ctypes.memmove(array.ctypes.data, address, array.nbytes)
        self.order.append("copied back")

    def wait(self, stream: int) -> None:
        self.order.append("waited")

    def event(self) -> int:
        return len(self.order)

    def record(self, event: int, stream: int) -> None:
        self.order.append("event")

    def elapsed_ns(self, begin: int, end: int) -> int:
        return 1500


class Context:
    """Runs (N, 3, 2, 2) → the sum of each image, in three equal logits."""

    def __init__(self) -> None:
        self.shape: Shape = (-1, 3, 2, 2)
        self.addresses: dict[str, int] = {}
        self.profiler: Any = None

    def set_input_shape(self, name: str, shape: Shape) -> bool:
        if name != "image" or shape[1:] != (3, 2, 2) or not 1 <= shape[0] <= BATCH_MAX:
            return False
        self.shape = shape
        return True

    def get_tensor_shape(self, name: str) -> Shape:
        return self.shape if name == "image" else (self.shape[0], 3)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        count = int(np.prod(self.shape))
        image = np.ctypeslib.as_array((ctypes.c_float * count).from_address(self.addresses["image"])).reshape(self.shape)
        logits = np.repeat(image.sum(axis=(1, 2, 3))[:, None], 3, axis=1).astype(np.float32)
        ctypes.memmove(self.addresses["logits"], logits.ctypes.data, logits.nbytes)
        if self.profiler is not None:
            self.profiler.report_layer_time("conv_a", 0.25)
        return True


class Mode(Enum):
    INPUT = 0
    OUTPUT = 1


class Engine:
    num_io_tensors = 2
    create_execution_context = Context

    def get_tensor_name(self, index: int) -> str:
        return ("image", "logits")[index]

    def get_tensor_mode(self, name: str) -> Mode:
        return Mode.INPUT if name == "image" else Mode.OUTPUT

    def get_tensor_dtype(self, name: str) -> str:
        return "float32"

    def get_tensor_shape(self, name: str) -> Shape:
        return (-1, 3, 2, 2) if name == "image" else (-1, 3)

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[Shape]:
        assert profile == 0
        return [(1, 3, 2, 2), (1, 3, 2, 2), (BATCH_MAX, 3, 2, 2)]

    def create_engine_inspector(self) -> Any:
        return SimpleNamespace(get_engine_information=lambda form: f"Layers:\nName: conv_a as {form}")


class Base:
    def __init__(self) -> None: ...


def tensorrt(accepts: bytes = b"plan") -> Any:
    """A module with the names that the session uses."""

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
            if plan == accepts:
                return Engine()
            self.logger.log("ILogger.Severity.ERROR", "expecting compute 8.7\n got compute 8.9, please rebuild.")
            return None

    return SimpleNamespace(
        ILogger=Base,
        IProfiler=Base,
        Runtime=Runtime,
        TensorIOMode=Mode,
        nptype=np.dtype,
        LayerInformationFormat=SimpleNamespace(ONELINE="ONELINE"),
    )


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "engine.plan"
    path.write_bytes(b"plan")
    return path


def opened(plan: Path, memory: HostMemory, batch: int | None = None, trace: Path | None = None) -> TensorRtSession:
    return TensorRtSession(tensorrt(), memory, plan, batch, trace)  # type: ignore[arg-type]


def images(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).random((count, 3, 2, 2)).astype(np.float32)


def test_batches_of_any_size_share_buffers_of_the_largest(plan: Path) -> None:
    memory = HostMemory()
    session = opened(plan, memory)
    assert [(spec.name, spec.dtype, spec.shape) for spec in session.inputs()] == [("image", "float32", (None, 3, 2, 2))]
    assert sorted(len(block) for block in memory.blocks.values()) == [BATCH_MAX * 3 * 4, BATCH_MAX * 12 * 4]
    for count in (1, BATCH_MAX, 2):
        feed = images(count, seed=count)
        logits = session.run({"image": feed})["logits"]
        assert logits.shape == (count, 3)
        assert np.allclose(logits[:, 0], feed.sum(axis=(1, 2, 3)))
    assert len(memory.blocks) == 2


def test_between_two_events_there_is_the_engine_alone(plan: Path) -> None:
    memory = HostMemory()
    session = opened(plan, memory)
    execute = session._context.execute_async_v3
    session._context.execute_async_v3 = lambda stream: memory.order.append("ran") or execute(stream)
    assert session.no_events is None
    assert session.event_ns({"image": images(1)}) == 1500
    assert memory.order == ["copied there", "waited", "event", "ran", "event"]


def test_what_a_call_returned_outlives_the_next_call(plan: Path) -> None:
    session = opened(plan, HostMemory(), batch=1)
    first = session.run({"image": images(1)})["logits"]
    kept = first.copy()
    session.run({"image": images(1, seed=1)})
    assert np.array_equal(first, kept)


def test_a_known_batch_takes_room_for_that_batch_alone_and_refuses_a_larger_one(plan: Path) -> None:
    memory = HostMemory()
    session = opened(plan, memory, batch=1)
    assert sorted(len(block) for block in memory.blocks.values()) == [3 * 4, 12 * 4]
    with pytest.raises(RunnerError) as refused:
        session.run({"image": images(2)})
    assert refused.value.what == "input image: the engine does not accept 2x3x2x2"


def test_an_array_with_gaps_or_of_another_type_is_laid_out_first(plan: Path) -> None:
    feed = np.transpose(images(2).astype(np.float64), (0, 1, 3, 2))
    logits = opened(plan, HostMemory()).run({"image": feed})["logits"]
    assert np.allclose(logits[:, 0], feed.sum(axis=(1, 2, 3)))


def test_closing_gives_everything_back_and_may_be_repeated(plan: Path) -> None:
    memory = HostMemory()
    session = opened(plan, memory)
    session.close()
    session.close()
    assert (memory.blocks, memory.streams) == ({}, 0)


def test_an_engine_for_another_gpu_is_refused_in_tensorrt_s_own_words(tmp_path: Path) -> None:
    other = tmp_path / "engine.plan"
    other.write_bytes(b"for another GPU")
    with pytest.raises(RunnerError) as refused:
        opened(other, HostMemory())
    assert refused.value.ref == "engine-refused"
    assert refused.value.because == "expecting compute 8.7 got compute 8.9, please rebuild."
    assert refused.value.hint == "python3 -m runner build-engine --out build, inside the kit"


def test_a_traced_session_leaves_the_engine_s_layers_and_their_mean_times(plan: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.mkdir()
    session = opened(plan, HostMemory(), trace=trace)
    session.run({"image": images(1)})
    session.run({"image": images(1)})
    session.close()
    assert (trace / "layers.txt").read_text() == "Layers:\nName: conv_a as ONELINE"
    assert json.loads((trace / "times.json").read_text()) == {"conv_a": 250.0}


def test_nvidia_s_own_library_says_why_there_is_no_gpu() -> None:
    """Where PyTorch brought the library and this machine has no driver, the real one answers."""
    packaged = [
        path for folder in __import__("site").getsitepackages() for path in Path(folder).glob("nvidia/cu*/lib/libcudart.so.*")
    ]
    if not packaged:
        pytest.skip("no libcudart is installed with Python packages here")
    try:
        Cuda([str(packaged[0])])
    except RunnerError as refused:
        assert (refused.ref, refused.what, refused.missing) == ("no-gpu", "no NVIDIA GPU is available", True)
        assert refused.because
