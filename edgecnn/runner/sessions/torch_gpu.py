"""Torch on a CUDA GPU, eagerly and in fp32 with TF32 off: the desktop baseline that every edge figure is held against."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence

import numpy as np
import torch
from torch.export.passes import move_to_device_pass

from ..failure import RunnerError
from ..feeds import TensorSpec
from . import Session, threads_of

if TYPE_CHECKING:
    from ..kit import Kit

DEVICES = ("cuda", "cpu")


class TorchSession(Session):
    """An exported program on one device. A call copies its feed there and its answer back, and both are inside its time."""

    def __init__(self, kit: Kit, device: str) -> None:
        self._device = torch.device(device)
        self._output = kit.manifest.model.output.name
        self._input = kit.manifest.model.input.name
        path = kit.path(kit.manifest.model.entry)
        try:
            program = torch.export.load(str(path))
            self._network: Any = move_to_device_pass(program, device).module()
        except Exception as error:  # noqa: BLE001 - a broken archive fails in many ways without a common class
            said = " ".join(str(error).split())[:500] or type(error).__name__
            raise RunnerError("runtime-refused-model", "{}: torch cannot open it".format(path.name), said) from error
        self._shape = _shape_of(program)

    def inputs(self) -> Sequence[TensorSpec]:
        """The program's one input; None where any number of images is taken."""
        return [TensorSpec(self._input, "float32", self._shape)]

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        """One inference with both copies; it waits for the GPU. The array is the caller's."""
        with torch.inference_mode():
            there = torch.from_numpy(np.ascontiguousarray(feed[self._input])).to(self._device)
            return {self._output: self._network(there).to("cpu").numpy()}

    def close(self) -> None:
        """Let the GPU's memory go."""
        self._network = None


def open_session(
    kit: Kit, options: Mapping[str, str], trace_folder: Optional[Path] = None, batch: Optional[int] = None
) -> TorchSession:
    """Open the kit's program.

    Options: ``device``, ``cuda`` unless it is ``cpu``, where the same program can be checked without a GPU; ``threads``, of the
    CPU. ``batch`` is not used: nothing is compiled. TF32 is off, since torch leaves cuDNN's on and calls the result fp32
    (https://docs.pytorch.org/docs/stable/notes/cuda.html); cuDNN may try its algorithms and take the fastest, which happens
    while warming up.

    Raises:
        RunnerError: bad-option, no-trace, no-gpu or runtime-refused-model.
    """
    given: Dict[str, str] = dict(options)
    threads, device = threads_of(given), given.pop("device", "cuda")
    if device not in DEVICES:
        raise RunnerError("bad-option", "session option device = {!r} is not one of {}".format(device, ", ".join(DEVICES)))
    if given:
        raise RunnerError("bad-option", "session option {!r} is not one that torch_gpu knows".format(sorted(given)[0]))
    if trace_folder is not None:
        raise RunnerError("no-trace", "torch_gpu does not trace: the baseline's layers are all fp32")
    if device == "cuda":
        _check_gpu()
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    return TorchSession(kit, device)


def _check_gpu() -> None:
    if torch.cuda.is_available():
        return
    built = torch.version.cuda
    why = "this torch {} was built without CUDA".format(torch.__version__)
    if built is not None:
        why = "torch {} (CUDA {}) finds none".format(torch.__version__, built)
    raise RunnerError("no-gpu", "no NVIDIA GPU can be used here", why, "check it with nvidia-smi", missing=True)


def _shape_of(program: Any) -> Any:
    """Of the program's one image input, from its own record of it."""
    name = program.graph_signature.user_inputs[0]
    node = next(each for each in program.graph.nodes if each.name == name)
    return tuple(size if isinstance(size, int) else None for size in node.meta["val"].shape)
