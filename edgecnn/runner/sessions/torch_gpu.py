"""Torch on a CUDA GPU: the desktop baseline that every edge figure is held against, and the variants that stand beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence

import numpy as np
import torch
from torch.export.passes import move_to_device_pass

from ..failure import RunnerError
from ..feeds import TensorSpec
from . import Session, threads_of
from .torch_ways import Captured, Direct, Way, callable_of, check_way, settle_tf32, way_of

if TYPE_CHECKING:
    from ..kit import Kit

KNOBS = ("threads",)


class TorchSession(Session):
    """An exported program on one device. A call copies its feed there and its answer back, and both are inside its time."""

    def __init__(self, kit: Kit, device: str, way: Way) -> None:
        self._device, self._way = torch.device(device), way
        self.no_events = None if self._device.type == "cuda" else "it ran on the processor, which has no CUDA events"
        self.threads = torch.get_num_threads() if self._device.type == "cpu" else None
        self._output = kit.manifest.model.output.name
        self._input = kit.manifest.model.input.name
        self._path = kit.path(kit.manifest.model.entry)
        try:
            program = torch.export.load(str(self._path))
            network = move_to_device_pass(program, device).module()
        except Exception as error:  # noqa: BLE001 - a broken archive fails in many ways without a common class
            what = "{}: torch cannot open it".format(self._path.name)
            raise RunnerError("runtime-refused-model", what, _one_line(error)) from error
        self._shape = _shape_of(program)
        manner = Captured if way.graph == "cuda" else Direct
        self._network: Any = manner(callable_of(network, way, self._device), self._device)

    def inputs(self) -> Sequence[TensorSpec]:
        """The program's one input; None where any number of images is taken."""
        return [TensorSpec(self._input, "float32", self._shape)]

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        """One inference with both copies; it waits for the GPU. The array is the caller's.

        The first one of a shape compiles or captures, where that was asked for.

        Raises:
            RunnerError: inference-failed, in torch's words.
        """
        try:
            with torch.inference_mode():
                answer = self._network.compute(self._network.place(self._tensor(feed)))
                return {self._output: answer.to("cpu").float().numpy()}
        except Exception as error:  # noqa: BLE001 - compilers and drivers fail in many ways without a common class
            what = "{}: torch could not run it with {}".format(self._path.name, self._way.words)
            raise RunnerError("inference-failed", what, _one_line(error)) from error

    def event_ns(self, feed: Mapping[str, Any]) -> int:
        """Nanoseconds between two CUDA events around the network alone: the feed is there already, the answer stays there."""
        with torch.inference_mode():
            there = self._network.place(self._tensor(feed))
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            torch.cuda.synchronize(self._device)
            begin.record()
            self._network.compute(there)
            end.record()
            end.synchronize()
        return round(float(begin.elapsed_time(end)) * 1e6)

    def close(self) -> None:
        """Let the GPU's memory go."""
        self._network = None

    def _tensor(self, feed: Mapping[str, Any]) -> Any:
        return torch.from_numpy(np.ascontiguousarray(feed[self._input]))


def open_session(
    kit: Kit, options: Mapping[str, str], trace_folder: Optional[Path] = None, batch: Optional[int] = None
) -> TorchSession:
    """Open the kit's program.

    Options: ``device``, ``cuda`` unless it is ``cpu``, where the same program can be checked without a GPU; ``gpu``, the name of
    the one to use where there are several (the first unless given); ``threads``, of the CPU; ``precision``, fp32 with TF32 off
    (the default), tf32, or automatic mixed precision of fp16 or bf16; ``graph``, ``cuda`` for a captured CUDA graph;
    ``compile``, ``inductor`` or ``tensorrt`` for what torch.compile makes of the program. ``batch`` is not used: a shape is
    compiled or captured when it first comes. cuDNN may try its algorithms and take the fastest, which happens while warming up.

    Raises:
        RunnerError: no-trace, no-gpu, other-gpu, runtime-refused-model, or what ``check_way`` refuses.
    """
    remaining: Dict[str, str] = dict(options)
    way = way_of(remaining)
    threads, device, wanted = threads_of(remaining), remaining.pop("device", "cuda"), remaining.pop("gpu", None)
    if trace_folder is not None:
        raise RunnerError("no-trace", "torch_gpu does not trace: what precision a layer really had is not read back")
    if device == "cuda":
        device = "cuda:{}".format(_gpu(wanted))
        torch.cuda.set_device(device)
    check_way(way, torch.device(device))
    torch.set_num_threads(threads)
    settle_tf32(way)
    torch.backends.cudnn.benchmark = True
    return TorchSession(kit, device, way)


def _gpu(wanted: Optional[str]) -> int:
    """The number of the GPU of that name: torch orders them by speed, and a figure under another one's name would be a lie."""
    if not torch.cuda.is_available():
        why = "this torch {} was built without CUDA".format(torch.__version__)
        if torch.version.cuda is not None:
            why = "torch {} (CUDA {}) finds none".format(torch.__version__, torch.version.cuda)
        raise RunnerError("no-gpu", "no NVIDIA GPU can be used here", why, "check it with nvidia-smi", missing=True)
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if wanted is not None and wanted not in names:
        available = ", ".join(names)
        raise RunnerError("other-gpu", "torch sees no {} here".format(wanted), "it sees {}".format(available), missing=True)
    return 0 if wanted is None else names.index(wanted)


def _shape_of(program: Any) -> Any:
    """Of the program's one image input, from its own record of it."""
    name = program.graph_signature.user_inputs[0]
    node = next(candidate for candidate in program.graph.nodes if candidate.name == name)
    return tuple(size if isinstance(size, int) else None for size in node.meta["val"].shape)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__
