"""What a runtime says of itself at build time: what it computes on a device, how its files are made, how its traces are read.

No runtime runs here: that is the runner's part, inside the kit. A module of this package is named as its runtime's ``Runtime``
value and holds one ``BACKEND``; importing it imports no runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol

from edgecnn.values.candidate import Candidate, Knobs, Precision, Runtime, Unsupported
from edgecnn.values.device import Device, Processor
from edgecnn.values.layers import MacTable, Residency


class OutputCheck(NamedTuple):
    """How a candidate's files are run here to compare their outputs with those of the ONNX file that they were converted from."""

    converter: str
    """The program that made the files. A refusal names it."""
    precision: Precision = Precision.FP32
    """The coarsest numbers in that run, weights included. The tolerance follows from it."""
    options: Mapping[str, str] | None = None
    """Session options of that run; None: the candidate's own."""
    unhalved: Candidate | None = None
    """The fp32 candidate of a converter that halves weights. It is compared too, since halved weights hide faults."""
    not_compared: str | None = None
    """Why a run here would say nothing of the candidate; None where it is compared."""


class Halves(Enum):
    """What a candidate computes in fp16, and therefore what an activation beyond 65,504 does to it."""

    NONE = "nothing is fp16"
    ALL = "every float layer is fp16: the candidate is refused"
    MIXED = "layers around such an activation stay in fp32"


def halves_of(candidate: Candidate) -> Halves:
    """Return ALL for fp16 and NONE for other precisions: the answer of a runtime that cannot mix."""
    return Halves.ALL if candidate.precision is Precision.FP16 else Halves.NONE


class Backend(Protocol):
    """One runtime, on the side that builds. Backends inherit from it, so that one without a member does not type-check."""

    @property
    def runtime(self) -> Runtime:
        """The runtime that this module is about."""

    @property
    def extra(self) -> str:
        """The extra of edgecnn that installs what conversion needs."""

    @property
    def session_module(self) -> str:
        """The module of ``runner/sessions`` that opens its model files."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions that conversion runs, and whose versions therefore bind the bytes."""

    @property
    def runtime_packages(self) -> Mapping[str, str]:
        """Distribution to PEP 440 range: what must be installed where its kits run."""

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """What can be built for a device, float first, and each precision that cannot, with the reason.

        Empty where the device's file does not name this runtime.
        """

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """Write a candidate's model files and ``model.json`` into ``out``, from an ONNX file that needs no more quantization:
        the trunk for a float candidate, what the aware stage made for a quantization-aware one.

        Raises MissingPackage: the runtime's converter is not installed.
        """

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """Return how a candidate's outputs are compared with those of the ONNX file that it is made from, on calibration images.

        Every float candidate is compared, and every one that ``convert`` makes. A copy of the ONNX file needs no run.
        """

    def halves(self, candidate: Candidate) -> Halves:
        """Return what this runtime computes in fp16 for a candidate; also for INT8, whose float layers may be fp16."""

    def sums_saturate(self, candidate: Candidate, processor: Processor) -> bool:
        """Return whether sums of 8-bit products saturate in the kernels that run this candidate on a processor."""

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """Settings that are worth racing for a candidate of this runtime on a device: the default first, and few others.

        None of them changes answers beyond the kit's tolerance, which the kit's own test says again before one is taken.
        """

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """What ran in which precision, from a trace folder that the runner's session of this runtime left.

        Raises TRACE_UNREADABLE: a file of the trace is missing or not in the runtime's format.
        """
