"""PyTorch, the baseline on a desktop GPU. No device file names it and no bundle ships it: the ``program`` and ``variant`` stages
make its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.installed import Glibc, Series
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.protocol import Backend, Halves, Line, Logits, OmittedArithmetic, OutputCheck, Size, Way
from edgecnn.values.candidate import DEFAULT, Candidate, Knobs, Runtime, Scheme, Unsupported
from edgecnn.values.device import Device, Processor
from edgecnn.values.layers import MacTable, Residency
from edgecnn.values.model_file import ModelFile

COMPILER_PACKAGES: Mapping[str, str] = {"torch-tensorrt": ">=2.11,<2.16"}
"""Packages of kits that compile with Torch-TensorRT. Its minor version is torch's."""


class TorchBackend(Backend):
    """``torch`` on an NVIDIA GPU."""

    runtime = Runtime.TORCH
    title = "PyTorch"
    adds = "training, export to ONNX, and the desktop GPU as a baseline"
    size: Size | str = Size(2902, 5461)
    """The default Linux build, most of which is CUDA libraries."""
    line = Line((8, 3, 2, 3), "dash-dotted")
    licences: Mapping[str, str] = {}
    extra = "train"
    packages: tuple[str, ...] = ("torch",)
    runtime_packages: Mapping[str, str] = {"torch": ">=2.11,<2.16"}
    """The format of a program depends on torch's minor version."""
    pip_installs = True
    wheels: tuple[Series, ...] = ()
    glibc: Mapping[str, Glibc] = {}
    session_module = "torch_gpu"
    reads_onnx = False
    fp32_options: Mapping[str, str] = {}
    exact_options: Mapping[str, str] = {}
    builder: str | None = None
    learned: Scheme | None = None

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``. No device has candidates."""
        return ()

    def way(self, candidate: Candidate) -> Way | None:
        """See ``Backend.way``."""
        return None

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """See ``Backend.convert``. Raises LookupError: torch does not use the ONNX file."""
        raise LookupError(f"{candidate.id} is made by the program stage")

    def write(self, job: Job) -> dict[str, Any]:
        """See ``Backend.write``. Raises LookupError: see ``convert``."""
        raise LookupError(f"{job.candidate.id} is made by the program stage")

    def logits(self, folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> Logits:
        """See ``Backend.logits``. A program for a GPU runs on this machine's CPU."""
        import torch

        from edgecnn.graph.export import fixed_threads

        network = torch.export.load(folder / model.model.entry).module()
        with torch.inference_mode(), fixed_threads():
            return np.asarray(network(torch.from_numpy(feed)).numpy(), np.float32)

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """See ``Backend.output_check``. The baseline does not share the ONNX exporter, nor its faults."""
        return OutputCheck("torch.export", candidate.precision)

    def halves(self, candidate: Candidate) -> Halves:
        """See ``Backend.halves``. The fp16 variants convert nothing in advance."""
        return Halves.NONE

    def sums_saturate(self, candidate: Candidate, processor: Processor) -> bool:
        """See ``Backend.sums_saturate``. There is no INT8."""
        return False

    def left_out(self, candidate: Candidate) -> OmittedArithmetic:
        """See ``Backend.left_out``."""
        return OmittedArithmetic("a GPU's kernels")

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``."""
        return (DEFAULT,)

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``. Raises TRACE_UNREADABLE: the session writes no trace."""
        raise TRACE_UNREADABLE(path=trace, why="torch's session writes no trace")


BACKEND = TorchBackend()
