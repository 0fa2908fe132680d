"""The interface of a runtime at build time: its candidates for a device, its files and their checks, its traces, its description.

The module of a runtime has the name of its ``Runtime`` value and one ``BACKEND``. Importing it imports no runtime library:
``<name>_files`` does. On a device, the runner inside the kit runs the runtime.
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
from edgecnn.values.device import Device, Processor, RuntimeFacts
from edgecnn.values.layers import MacTable, Residency
from edgecnn.values.model_file import TRUNK_IR, TRUNK_OPSET, ModelFile

Logits = npt.NDArray[np.float32]
"""(N, classes)."""
AFTERWARDS = frozenset({Method.POST_TRAINING, Method.MIXED})
"""Methods that round a trained network to 8 bits."""
UNSIGNED = Scheme(activation_dtype="uint8", activation_symmetric=False)
"""The scheme in which the CPU runtimes share a network that learned its rounding. OpenVINO runs it as fast as symmetric
activations, with which ONNX Runtime is slower than fp32. LiteRT's integers are these minus 128."""


class Way(NamedTuple):
    """Needs of a candidate's conversion in addition to its runtime's packages."""

    packages: tuple[str, ...] = ()
    calibrates: bool = False
    """Whether ranges come from calibration images."""


class OutputCheck(NamedTuple):
    """A run of a candidate's files on this machine, whose outputs are compared with those of their ONNX file."""

    converter: str
    """The program that made the files, for the error."""
    precision: Precision = Precision.FP32
    """The coarsest numbers in the run, weights included. The tolerance follows from it."""
    options: Mapping[str, str] | None = None
    """Session options of the run; None: the candidate's options."""
    unhalved: Candidate | None = None
    """The fp32 candidate of a converter that writes fp16 weights. It is compared too, since fp16 weights hide faults."""
    rounds: bool = False
    """Whether the converter rounds to 8 bits. The loss of accuracy is measured and judged later, so only files whose outputs do
    not resemble the network's are refused."""


class Halves(Enum):
    """Layers that a candidate computes in fp16. They decide the effect of an activation above 65,504."""

    NONE = "nothing is fp16"
    ALL = "every float layer is fp16: the candidate is refused"
    MIXED = "layers around such an activation stay in fp32"


def halves_of(candidate: Candidate) -> Halves:
    """Return ALL for fp16 and NONE for other precisions, for a runtime that cannot mix precisions."""
    return Halves.ALL if candidate.precision is Precision.FP16 else Halves.NONE


def cannot_read_trunk(runtime: str, facts: RuntimeFacts) -> str | None:
    """Return why a device's runtime cannot read a trunk's ONNX version; None if it can."""
    if facts.onnx_opset_max < TRUNK_OPSET:
        return f"{runtime} {facts.versions} reads ONNX up to opset {facts.onnx_opset_max}, but the model has opset {TRUNK_OPSET}"
    if facts.onnx_ir_max < TRUNK_IR:
        return f"{runtime} {facts.versions} reads ONNX up to IR {facts.onnx_ir_max}, but the model has IR {TRUNK_IR}"
    return None


class OmittedArithmetic(NamedTuple):
    """The part of a device's arithmetic that logits computed on this machine do not reproduce."""

    what: str | None = None
    """None: nothing except the order of additions in kernels."""
    least_tolerance: float = 0.0
    """Smallest tolerance for the device, as a share of the logits' spread."""


class Line(NamedTuple):
    """A runtime's line in charts."""

    dashes: tuple[int, ...]
    """Lengths of dashes and gaps, in pixels."""
    word: str


class Size(NamedTuple):
    """MiB of the wheels and of the installed files, in addition to ``beyond``."""

    download_mib: float
    disk_mib: float
    beyond: str = "edgecnn without extras"


class Backend(Protocol):
    """One runtime at build time. Backends inherit from it, so that a missing member does not type-check."""

    @property
    def runtime(self) -> Runtime:
        """The runtime of this module."""

    # Description and packages.

    @property
    def title(self) -> str:
        """The name as its makers write it."""

    @property
    def adds(self) -> str:
        """One line for ``edgecnn doctor``: the candidates or features that it adds."""

    @property
    def size(self) -> Size | str:
        """Size of the extra, or why it was not measured."""

    @property
    def line(self) -> Line:
        """The line in charts, which no other runtime has."""

    @property
    def licences(self) -> Mapping[str, str]:
        """Distribution to SPDX licence, for packages with the same licence in all versions."""

    @property
    def extra(self) -> str:
        """The extra of edgecnn that installs the packages for conversion."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions that conversion runs. Their versions are part of keys."""

    @property
    def runtime_packages(self) -> Mapping[str, str]:
        """Distribution to PEP 440 range: the packages that kits need."""

    @property
    def pip_installs(self) -> bool:
        """Whether pip installs the runtime on a device."""

    @property
    def wheels(self) -> tuple[Series, ...]:
        """Versions with wheels for a range of Pythons, oldest first; empty if wheels do not decide."""

    @property
    def glibc(self) -> Mapping[str, Glibc]:
        """Machine to the oldest C library that the wheels support."""

    # Running kits.

    @property
    def session_module(self) -> str:
        """The module of ``runner/sessions`` that opens the model files: ``<runtime>_`` and the kind of processor."""

    @property
    def reads_onnx(self) -> bool:
        """Whether the session opens ONNX files."""

    @property
    def fp32_options(self) -> Mapping[str, str]:
        """Session options for fp32 on every processor."""

    @property
    def exact_options(self) -> Mapping[str, str]:
        """Session options that prevent sums of 8-bit products from saturating. Empty if every candidate's own options do."""

    @property
    def builder(self) -> str | None:
        """The module that builds an engine from the kit's ONNX on a device; None: no engine is needed."""

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """Return the settings worth racing for a candidate on a device: the default first, then a few others.

        None of them may change logits beyond the kit's tolerance. The kit's self-test checks this before one is chosen.
        """

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """Return the precisions that ran, from the trace folder of this runtime's session.

        Raises TRACE_UNREADABLE: a file of the trace is missing or not in the runtime's format.
        """

    # Candidates and their files.

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """Return the candidates for a device, float first, and each unsupported precision with the reason.

        Empty if the device's file does not name this runtime.
        """

    @property
    def learned(self) -> Scheme | None:
        """The scheme of networks that learn their rounding for this runtime; None: they have no candidate here."""

    def way(self, candidate: Candidate) -> Way | None:
        """Return what a candidate's conversion needs; None if this runtime lacks its precision or method."""

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """Write model files and ``model.json`` into ``out`` from an ONNX file, without a check.

        Raises MissingPackage: the runtime's converter is not installed.
        """

    def write(self, job: Job) -> dict[str, Any]:
        """Write a candidate's model files and ``model.json``; return facts for ``quantize.json``.

        ``runtimes.candidate`` calls this for the candidates that have a ``way``, and runs the checks.
        """

    # Checks before a kit ships.

    def logits(self, folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> Logits:
        """Run model files without the runner, by the library in this process or in a separate one.

        These are the golden logits, which the runner must reproduce. ``feed``: in the type and layout of ``model``.
        """

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """Return how to compare a candidate's outputs on calibration images with those of its ONNX file.

        Every candidate, or its twin, is compared. A copy of the ONNX file needs no run.
        """

    def halves(self, candidate: Candidate) -> Halves:
        """Return what this runtime computes in fp16 for a candidate. The float layers of INT8 may be fp16 too."""

    def sums_saturate(self, candidate: Candidate, processor: Processor) -> bool:
        """Return whether sums of 8-bit products saturate in this candidate's kernels on a processor."""

    def left_out(self, candidate: Candidate) -> OmittedArithmetic:
        """Return the part of the device's arithmetic that ``logits`` leaves out."""
