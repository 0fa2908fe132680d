"""From a runtime's name to its module: a new runtime is one module, and nothing here changes."""

from __future__ import annotations

from importlib import import_module
from typing import Literal, cast

from edgecnn.backends.protocol import Backend
from edgecnn.runner.runtimes import distribution_of
from edgecnn.values.candidate import Candidate, Method, Runtime, Unsupported
from edgecnn.values.device import Device, Processor
from edgecnn.values.profile import Environment


def backend_for(runtime: Runtime) -> Backend:
    """The backend of a runtime: ``BACKEND`` of the module of that name."""
    return cast(Backend, import_module(f"edgecnn.backends.{runtime.value}").BACKEND)


def versions_taken(runtime: Runtime) -> str:
    """What kits of a runtime need of it: a range of versions."""
    return backend_for(runtime).runtime_packages[distribution_of(runtime)]


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


def all_backends() -> tuple[Backend, ...]:
    """One backend for each runtime that ships, in the order of ``Runtime``."""
    return tuple(backend_for(runtime) for runtime in Runtime if runtime.ships)
