"""What a runtime says of itself at build time: what it computes on a device, how its files are made, how its traces are read.

No runtime runs here: that is the runner's part, inside the kit. A module of this package is named as its runtime's ``Runtime``
value and holds one ``BACKEND``; importing it imports no runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from edgecnn.values.candidate import Candidate, Runtime, Unsupported
from edgecnn.values.device import Device
from edgecnn.values.knobs import Knobs
from edgecnn.values.layers import MacTable, Residency

TRUNK_OPSET = 20
"""Opset of the ONNX trunk that every candidate is made from."""
TRUNK_IR = 10
"""ONNX IR version of the trunk: onnxruntime 1.19, the last for Python 3.8, reads no newer one."""


class Backend(Protocol):
    """One runtime, on the side that builds."""

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

        Raises:
            MissingPackage: the runtime's converter is not installed.
        """

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """Settings that are worth racing for a candidate of this runtime on a device: the default first, and few others.

        None of them changes answers beyond the kit's tolerance, which the kit's own test says again before one is taken.
        """

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """What ran in which precision, from a trace folder that the runner's session of this runtime left.

        Raises:
            TraceUnreadable: a file of the trace is missing or not in the runtime's format.
        """
