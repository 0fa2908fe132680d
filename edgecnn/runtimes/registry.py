"""From a runtime's name to its module, and what is asked of all of them. A new runtime is one module; nothing here changes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Literal, cast

from packaging.specifiers import SpecifierSet

from edgecnn.installed import Glibc, PythonVersion, Series
from edgecnn.runner.runtimes import distribution_of, runtime_of
from edgecnn.runtimes.protocol import Backend, Way
from edgecnn.values.candidate import Candidate, Method, Runtime, Unsupported
from edgecnn.values.device import Device, Processor
from edgecnn.values.profile import Environment


def backend_for(runtime: Runtime) -> Backend:
    """The backend of a runtime: ``BACKEND`` of the module of that name."""
    return cast(Backend, import_module(f"edgecnn.runtimes.{runtime.value}").BACKEND)


def every_backend() -> tuple[Backend, ...]:
    """One backend for each runtime, in the order of ``Runtime``."""
    return tuple(backend_for(runtime) for runtime in Runtime)


def all_backends() -> tuple[Backend, ...]:
    """The same of each runtime that ships."""
    return tuple(backend_for(runtime) for runtime in Runtime if runtime.ships)


def backend_of_session(module: str) -> Backend:
    """The backend whose kits a module of ``runner/sessions`` opens."""
    return backend_for(Runtime(runtime_of(module)))


def runtime_licences() -> Mapping[str, str]:
    """Distribution to SPDX licence. Those of TensorRT, NumPy and Pillow differ by version, and are not stated."""
    return {name: licence for backend in every_backend() for name, licence in backend.licences.items()}


def offers(runtime: Runtime, device: Device) -> tuple[Candidate | Unsupported, ...]:
    """What a runtime's backend supports on a device, but for the precisions that the device's file rules out."""
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
    """What making a candidate takes beyond its runtime's packages."""
    way = backend_for(candidate.runtime).way(candidate)
    if way is None:
        raise LookupError(f"{candidate.runtime} does not make {candidate.id}: {candidate.precision}, {candidate.method}")
    return way


def packages_for(candidate: Candidate) -> tuple[str, ...]:
    """Distributions that make it: its runtime's, those of its way, and ONNX Runtime, in which the trunk is run to compare."""
    return tuple(sorted({*backend_for(candidate.runtime).packages, *way_to(candidate).packages, "onnxruntime"}))


def versions_taken(runtime: Runtime) -> str:
    """What kits of a runtime need of it: a range of versions."""
    return backend_for(runtime).runtime_packages[distribution_of(runtime)]


def series_for(runtime: Runtime, python: PythonVersion) -> Series | None:
    """What this Python can have; None where no wheel is for it, or wheels say nothing of this runtime."""
    return next((series for series in backend_for(runtime).wheels if series.first <= python <= series.last), None)


def oldest_glibc(runtime: Runtime, machine: str) -> Glibc | None:
    """The C library that the wheels need on this machine; None where there are none for it."""
    return backend_for(runtime).glibc.get(machine)


def pythons_with_wheels(runtime: Runtime, wanted: str) -> tuple[PythonVersion, PythonVersion] | None:
    """The first and last Python for which a version in the wanted range has wheels; None where wheels say nothing."""
    series = backend_for(runtime).wheels
    fitting = [each for each in series if each.newest is None or SpecifierSet(wanted).contains(each.newest)]
    return (fitting[0].first, fitting[-1].last) if fitting else None


def saturates_on(candidate: Candidate, answering: Environment) -> Literal["device", "answering machine"] | None:
    """Return where sums of 8-bit products saturate, of the device that a candidate is for and the machine that answered for it.

    None where they saturate on both or on neither, or where nothing is recorded of the answering processor. The candidate itself
    says which device it is for: the planner gives it weights of 7 bits, which never saturate, unless the device adds exactly. A
    file that came quantized keeps its weights of 8 bits.
    """
    if not {"isa", "architecture"} & {*answering.conditions, *answering.observed}:
        return None  # nothing is known of that processor
    backend = backend_for(candidate.runtime)
    isa, read = tuple((answering.conditions.get("isa") or "").split()), answering.observed.get("architecture")
    architecture: Literal["aarch64", "any"] = "aarch64" if read == "aarch64" else "any"
    worst = Processor(architecture="any", model="", source="a device whose sums saturate")
    there = backend.sums_saturate(candidate, worst.model_copy(update={"architecture": architecture, "isa": isa}))
    device = candidate.method is Method.ORIGINAL and backend.sums_saturate(candidate, worst)
    if device == there:
        return None
    return "device" if device else "answering machine"
