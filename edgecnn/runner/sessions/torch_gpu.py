"""PyTorch on a CUDA GPU: the desktop baseline of all edge figures, and its variants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence

import numpy as np
import torch
from torch.export.passes import move_to_device_pass

from ..failure import RunnerError
from ..feeds import TensorSpec
from . import Session, error_line, threads_of
from .torch_ways import Captured, Direct, Way, callable_of, check_way, settle_tf32, way_of

if TYPE_CHECKING:
    from ..kit import Kit

KNOBS = ("threads",)


class TorchSession(Session):
    """An exported program on one device. The time of a call includes the copies of its feed and its logits."""

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
            raise RunnerError("runtime-refused-model", what, error_line(error)) from error
        self._shape = _shape_of(program)
        manner = Captured if way.graph == "cuda" else Direct
        self._network: Any = manner(callable_of(network, way, self._device), self._device)

    def inputs(self) -> Sequence[TensorSpec]:
        """Return the program's only input; None for any number of images."""
        return [TensorSpec(self._input, "float32", self._shape)]

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run one inference with both copies, and wait for the GPU. The array belongs to the caller.

        The first call of a shape compiles or captures if the options request it.

        Raises:
            RunnerError: inference-failed, with torch's message.
        """
        try:
            with torch.inference_mode():
                answer = self._network.compute(self._network.place(self._tensor(feed)))
                return {self._output: answer.to("cpu").float().numpy()}
        except Exception as error:  # noqa: BLE001 - compilers and drivers fail in many ways without a common class
            what = "{}: torch could not run it with {}".format(self._path.name, self._way.words)
            raise RunnerError("inference-failed", what, error_line(error)) from error

    def event_ns(self, feed: Mapping[str, Any]) -> int:
        """Return the nanoseconds between two CUDA events around the network, without copies of the feed and the logits."""
        with torch.inference_mode():
            placed = self._network.place(self._tensor(feed))
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            torch.cuda.synchronize(self._device)
            begin.record()
            self._network.compute(placed)
            end.record()
            end.synchronize()
        return round(float(begin.elapsed_time(end)) * 1e6)

    def close(self) -> None:
        """Release the GPU's memory."""
        self._network = None

    def _tensor(self, feed: Mapping[str, Any]) -> Any:
        return torch.from_numpy(np.ascontiguousarray(feed[self._input]))


def open_session(
    kit: Kit, options: Mapping[str, str], trace_folder: Optional[Path] = None, batch: Optional[int] = None
) -> TorchSession:
    """Open the kit's program.

    Options: ``device``, ``cuda`` (the default) or ``cpu``, which checks the same program without a GPU; ``gpu``, the name of
    one of several GPUs (default: the first); ``threads``, of the CPU; ``precision``, fp32 with TF32 off (the default), tf32, or
    automatic mixed precision in fp16 or bf16; ``graph``, ``cuda`` for a captured CUDA graph; ``compile``, ``inductor`` or
    ``tensorrt`` for torch.compile. ``batch`` is not used: a shape is compiled or captured on its first call. cuDNN selects its
    fastest algorithms during the warm-up.

    Raises:
        RunnerError: no-trace, no-gpu, other-gpu, runtime-refused-model; the errors of ``check_way``.
    """
    remaining: Dict[str, str] = dict(options)
    way = way_of(remaining)
    threads, device, gpu = threads_of(remaining), remaining.pop("device", "cuda"), remaining.pop("gpu", None)
    if trace_folder is not None:
        raise RunnerError("no-trace", "torch_gpu does not trace: torch does not report a layer's precision")
    if device == "cuda":
        device = "cuda:{}".format(_gpu(gpu))
        torch.cuda.set_device(device)
    check_way(way, torch.device(device))
    torch.set_num_threads(threads)
    settle_tf32(way)
    torch.backends.cudnn.benchmark = True
    return TorchSession(kit, device, way)


def _gpu(name: Optional[str]) -> int:
    """Return the number of the GPU with this name. torch numbers GPUs by speed, so the name must be checked."""
    if not torch.cuda.is_available():
        why = "this torch {} was built without CUDA".format(torch.__version__)
        if torch.version.cuda is not None:
            why = "torch {} (CUDA {}) finds none".format(torch.__version__, torch.version.cuda)
        raise RunnerError("no-gpu", "no NVIDIA GPU is available", why, "check it with nvidia-smi", missing=True)
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if name is not None and name not in names:
        available = ", ".join(names)
        raise RunnerError("other-gpu", "torch sees no {} here".format(name), "it sees {}".format(available), missing=True)
    return 0 if name is None else names.index(name)


def _shape_of(program: Any) -> Any:
    """Return the shape of the program's image input."""
    name = program.graph_signature.user_inputs[0]
    node = next(candidate for candidate in program.graph.nodes if candidate.name == name)
    return tuple(size if isinstance(size, int) else None for size in node.meta["val"].shape)
