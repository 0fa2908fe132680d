"""Find runtimes' backends by name, and derive facts from them. A new runtime is one module and changes nothing here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Literal, cast

from packaging.specifiers import SpecifierSet

from edgecnn.installed import Glibc, PythonVersion, Series
from edgecnn.runner.packages import distribution_of, runtime_of
from edgecnn.runtimes.protocol import Backend, Way
from edgecnn.values.board import LocalFacts
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Unsupported
from edgecnn.values.device import Device, Processor
from edgecnn.values.profile import Environment


def backend_for(runtime: Runtime) -> Backend:
    """Return the backend of a runtime: ``BACKEND`` of the module with its name."""
    return cast(Backend, import_module(f"edgecnn.runtimes.{runtime.value}").BACKEND)


def every_backend() -> tuple[Backend, ...]:
    """Return the backends of all runtimes, in the order of ``Runtime``."""
    return tuple(backend_for(runtime) for runtime in Runtime)


def all_backends() -> tuple[Backend, ...]:
    """Return the backends of the runtimes that ship, in the order of ``Runtime``."""
    return tuple(backend_for(runtime) for runtime in Runtime if runtime.ships)


def backend_of_session(module: str) -> Backend:
    """Return the backend of a module of ``runner/sessions``."""
    return backend_for(Runtime(runtime_of(module)))


def runtime_licences() -> Mapping[str, str]:
    """Return the SPDX licence of each distribution, without TensorRT, NumPy and Pillow, whose licences differ by version."""
    return {name: licence for backend in every_backend() for name, licence in backend.licences.items()}


def offers(runtime: Runtime, device: Device) -> tuple[Candidate | Unsupported, ...]:
    """Return what a runtime supports on a device. Precisions that the device's file rules out are unsupported."""
    facts = device.runtimes.get(runtime)
    if facts is None:
        return ()
    supported = backend_for(runtime).supports(device)
    return tuple(
        Unsupported(runtime=runtime, precision=entry.precision, why=why)
        if isinstance(entry, Candidate) and (why := facts.rules_out(entry.precision)) is not None
        else entry
        for entry in supported
    )


def way_to(candidate: Candidate) -> Way:
    """Return what a candidate's conversion needs in addition to its runtime's packages."""
    way = backend_for(candidate.runtime).way(candidate)
    if way is None:
        raise LookupError(f"{candidate.runtime} does not make {candidate.id}: {candidate.precision}, {candidate.method}")
    return way


def packages_for(candidate: Candidate) -> tuple[str, ...]:
    """Return the distributions that make a candidate: its runtime's, those of its way, and ONNX Runtime, which runs the trunk."""
    return tuple(sorted({*backend_for(candidate.runtime).packages, *way_to(candidate).packages, "onnxruntime"}))


def versions_taken(runtime: Runtime) -> str:
    """Return the range of versions of a runtime that its kits need."""
    return backend_for(runtime).runtime_packages[distribution_of(runtime)]


def series_for(runtime: Runtime, python: PythonVersion) -> Series | None:
    """Return the versions with wheels for a Python; None if there are none, or if wheels do not decide."""
    return next((series for series in backend_for(runtime).wheels if series.first <= python <= series.last), None)


def oldest_glibc(runtime: Runtime, machine: str) -> Glibc | None:
    """Return the oldest C library for the wheels on a machine; None if there are no wheels."""
    return backend_for(runtime).glibc.get(machine)


def pythons_with_wheels(runtime: Runtime, versions: str) -> tuple[PythonVersion, PythonVersion] | None:
    """Return the first and last Python with wheels of these versions; None if wheels do not decide."""
    series = backend_for(runtime).wheels
    fitting = [entry for entry in series if entry.newest is None or SpecifierSet(versions).contains(entry.newest)]
    return (fitting[0].first, fitting[-1].last) if fitting else None


_HALF_FLAGS = {Precision.FP16: {"asimdhp"}, Precision.BF16: {"bf16", "avx512_bf16", "amx_bf16"}}


def computes_otherwise(candidate: Candidate, here: LocalFacts) -> bool:
    """Return whether accuracy that a machine computes for another device leaves out the device's arithmetic.

    The trace of a build shows the same later (``arithmetic_differs``). Engines have a twin, which rounds as the engine does.
    LiteRT's fp16 kernels also run on x86 processors that convert halves, as all with AVX2 do.
    """
    if candidate.needs_engine:
        return False
    if (flags := _HALF_FLAGS.get(candidate.precision)) is not None:
        litert = candidate.runtime is Runtime.LITERT and "avx2" in here.isa
        return not litert and not flags & set(here.isa)
    answering = Environment(conditions={"isa": " ".join(here.isa)}, observed={"architecture": here.architecture})
    return saturates_on(candidate, answering) is not None


def saturates_on(candidate: Candidate, answering: Environment) -> Literal["device", "answering machine"] | None:
    """Return where sums of 8-bit products saturate: on a candidate's device, or on the machine that computed its logits.

    None if they saturate on both or on neither, or if the answering processor is not recorded. The candidate implies its device:
    the planner gives it weights of 7 bits, which never saturate, unless the device adds exactly. A file that came quantized
    keeps its weights of 8 bits.
    """
    if not {"isa", "architecture"} & {*answering.conditions, *answering.observed}:
        return None  # the answering processor is not recorded
    backend = backend_for(candidate.runtime)
    isa, read = tuple((answering.conditions.get("isa") or "").split()), answering.observed.get("architecture")
    architecture: Literal["aarch64", "any"] = "aarch64" if read == "aarch64" else "any"
    worst = Processor(architecture="any", model="", source="a device whose sums saturate")
    there = backend.sums_saturate(candidate, worst.model_copy(update={"architecture": architecture, "isa": isa}))
    device = candidate.method is Method.ORIGINAL and backend.sums_saturate(candidate, worst)
    if device == there:
        return None
    return "device" if device else "answering machine"
