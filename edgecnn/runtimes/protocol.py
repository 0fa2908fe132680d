"""What a runtime is at build time: what it computes on a device, how its files are made, checked and run here, how its traces
are read, and what people are told of it.

A module of this room is named as its runtime's ``Runtime`` value and holds one ``BACKEND``. Importing it imports no runtime: the
file that has a library at its top is ``<name>_files``. On a device the runner runs it, inside the kit.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from edgecnn.installed import Glibc, Series
from edgecnn.runtimes.job import Job
from edgecnn.values.candidate import Candidate, Knobs, Method, Precision, Runtime, Scheme, Unsupported
from edgecnn.values.device import Device, Processor
from edgecnn.values.layers import MacTable, Residency
from edgecnn.values.model_file import ModelFile

Logits = npt.NDArray[np.float32]
"""(N, classes)."""
AFTERWARDS = frozenset({Method.POST_TRAINING, Method.MIXED})
"""Methods that round a network to 8 bits after it was trained."""
UNSIGNED = Scheme(activation_dtype="uint8", activation_symmetric=False)
"""In which the CPU runtimes share a network that learned to be rounded. It is ONNX Runtime's. OpenVINO computes it as well as its
own symmetric activations, in which ONNX Runtime is slower than fp32; LiteRT's integers are these minus 128."""


class Way(NamedTuple):
    """What making a candidate takes beyond its runtime's packages."""

    packages: tuple[str, ...] = ()
    calibrates: bool = False
    """Whether it takes ranges from calibration images."""


class OutputCheck(NamedTuple):
    """How a candidate's files are run here to compare their outputs with those of the ONNX file that they were made from."""

    converter: str
    """The program that made the files. A refusal names it."""
    precision: Precision = Precision.FP32
    """The coarsest numbers in that run, weights included. The tolerance follows from it."""
    options: Mapping[str, str] | None = None
    """Session options of that run; None: the candidate's own."""
    unhalved: Candidate | None = None
    """The fp32 candidate of a converter that halves weights. It is compared too, since halved weights hide faults."""
    rounds: bool = False
    """Whether numbers are rounded to 8 bits that the ONNX file leaves alone. What that costs is measured and judged later: only
    files that do not answer as the network does at all are refused."""


class Halves(Enum):
    """What a candidate computes in fp16, and therefore what an activation beyond 65,504 does to it."""

    NONE = "nothing is fp16"
    ALL = "every float layer is fp16: the candidate is refused"
    MIXED = "layers around such an activation stay in fp32"


def halves_of(candidate: Candidate) -> Halves:
    """Return ALL for fp16 and NONE for other precisions: the answer of a runtime that cannot mix."""
    return Halves.ALL if candidate.precision is Precision.FP16 else Halves.NONE


class LeftOut(NamedTuple):
    """What of a device's arithmetic the answers that are made here leave out."""

    what: str | None = None
    """None: nothing but the order in which kernels add."""
    least_tolerance: float = 0.0
    """Share of the logits' spread that a device is granted for that in any case."""


class Line(NamedTuple):
    """How charts draw a runtime."""

    dashes: tuple[int, ...]
    """Lengths of dashes and gaps, pixels."""
    word: str


class Size(NamedTuple):
    """MiB of the wheels, and of the files that pip puts on the disk, on top of ``beyond``."""

    download_mib: float
    disk_mib: float
    beyond: str = "edgecnn without extras"


class Backend(Protocol):
    """One runtime, on the side that builds. Backends inherit from it, so that one without a member does not type-check."""

    @property
    def runtime(self) -> Runtime:
        """The runtime that this module is about."""

    # What people are told of it, and what is installed.

    @property
    def title(self) -> str:
        """Its name as its makers write it."""

    @property
    def adds(self) -> str:
        """What it brings, for ``edgecnn doctor``: a line."""

    @property
    def size(self) -> Size | str:
        """What its extra takes, or why that was not measured."""

    @property
    def line(self) -> Line:
        """How charts draw it. Each runtime has a line of its own."""

    @property
    def licences(self) -> Mapping[str, str]:
        """Distribution to SPDX licence, of those of its packages that had one licence in all their versions."""

    @property
    def extra(self) -> str:
        """The extra of edgecnn that installs what conversion needs."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions that conversion runs, and whose versions therefore bind the bytes."""

    @property
    def runtime_packages(self) -> Mapping[str, str]:
        """Distribution to PEP 440 range: what must be installed where its kits run."""

    @property
    def by_pip(self) -> bool:
        """Whether pip installs it on a device."""

    @property
    def wheels(self) -> tuple[Series, ...]:
        """Which versions have wheels for which Pythons, the oldest first; empty: wheels say nothing of it."""

    @property
    def glibc(self) -> Mapping[str, Glibc]:
        """Machine to the oldest C library that its wheels name."""

    # How its kits are run.

    @property
    def session_module(self) -> str:
        """The module of ``runner/sessions`` that opens its model files: ``<runtime>_`` and the kind of processor."""

    @property
    def reads_onnx(self) -> bool:
        """Whether that session opens an ONNX file as it is."""

    @property
    def fp32_options(self) -> Mapping[str, str]:
        """Session options with which it computes in fp32 on every processor."""

    @property
    def builder(self) -> str | None:
        """The module that makes an engine of the kit's ONNX on a device; None: it opens its files as they are."""

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """Settings that are worth racing for a candidate of this runtime on a device: the default first, and few others.

        None of them changes answers beyond the kit's tolerance, which the kit's own test says again before one is taken.
        """

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """What ran in which precision, from a trace folder that the runner's session of this runtime left.

        Raises TRACE_UNREADABLE: a file of the trace is missing or not in the runtime's format.
        """

    # What it computes, and how its files are made.

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """What can be built for a device, float first, and each precision that cannot, with the reason.

        Empty where the device's file does not name this runtime.
        """

    @property
    def learned(self) -> Scheme | None:
        """How a network is rounded that learns it for this runtime; None: such a network has no candidate here."""

    def way(self, candidate: Candidate) -> Way | None:
        """What making a candidate takes; None where this runtime has none of that precision and method."""

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """Write model files and ``model.json`` into ``out`` from an ONNX file as its converter makes them, without a check.

        Raises MissingPackage: the runtime's converter is not installed.
        """

    def write(self, job: Job) -> dict[str, Any]:
        """Write a candidate's model files and ``model.json``; return facts for ``quantize.json``.

        ``runtimes.candidate`` calls this and runs the checks; see ``way`` for the candidates that come.
        """

    # What keeps a bad kit from shipping.

    def logits(self, folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> Logits:
        """Run model files with the library in this process, or in one of its own, without the runner.

        The golden answers are made so, which the runner must reproduce. ``feed``: as ``model`` wants it.
        """

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """Return how a candidate's outputs are compared with those of the ONNX file that it is made from, on calibration images.

        Every candidate is compared, or its twin is. A copy of the ONNX file needs no run.
        """

    def halves(self, candidate: Candidate) -> Halves:
        """Return what this runtime computes in fp16 for a candidate; also for INT8, whose float layers may be fp16."""

    def sums_saturate(self, candidate: Candidate, processor: Processor) -> bool:
        """Return whether sums of 8-bit products saturate in the kernels that run this candidate on a processor."""

    def left_out(self, candidate: Candidate) -> LeftOut:
        """Return what of the device's arithmetic ``logits`` leaves out."""
