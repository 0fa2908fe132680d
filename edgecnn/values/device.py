"""A device as its file describes it: nominal facts, each with a source. The state of one machine is an Environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import Field, PositiveInt, field_validator

from edgecnn.values.base import Value
from edgecnn.values.candidate import ALL_RUNTIMES, Precision, Runtime, TargetRuntime

Support = Literal["native", "slow", "none"]
"""native: the hardware has the arithmetic; slow: accepted, but computed in a wider precision; none: refused."""


class Sourced(Value):
    """A fact and the page that states it."""

    source: str = Field(min_length=1)


class Processor(Sourced):
    """The CPU."""

    architecture: Literal["x86_64", "aarch64", "any"]
    model: str
    cores: PositiveInt | None = None
    isa: tuple[str, ...] = ()
    """Instructions that decide the INT8 scheme, with Linux's names: avx2, avx512_vnni, avx_vnni, avx512_bf16, asimddp, asimdhp,
    i8mm, …"""


class Accelerator(Sourced):
    """The GPU."""

    model: str
    vendor: Literal["nvidia", "intel", "arm", "broadcom"]
    compute_capability: str | None = None
    memory_mib: PositiveInt | None = None
    """The card's own memory; unset if it shares main memory."""


class Memory(Sourced):
    """Main memory, shared with the GPU if ``shared``."""

    mib: PositiveInt
    shared: bool = False


class RuntimeFacts(Sourced):
    """One runtime on this device, and the files that it can read."""

    versions: str
    """A PEP 440 range of its versions."""
    python: str
    """The device's Python for this runtime, as a PEP 440 range."""
    onnx_opset_max: PositiveInt
    onnx_ir_max: PositiveInt
    precisions: Mapping[Precision, Support]

    by_default: bool = True
    """False: built only if a target names this runtime (``jetson:onnxruntime``), as for the CPU of a board with a GPU."""

    @field_validator("versions", "python")
    @classmethod
    def _is_a_range(cls, text: str) -> str:
        try:
            SpecifierSet(text)
        except InvalidSpecifier as error:
            raise ValueError(f"{text!r} is not a version range such as '>=1.19,<2'") from error
        return text

    def rules_out(self, precision: Precision) -> str | None:
        """Return why the file rules out all candidates of a precision, or None."""
        return f"the device's file does not list {precision.value}" if self.precisions.get(precision) == "none" else None


class FactsOnly(Sourced):
    """Why edgecnn builds nothing for a device that it knows, and what to do instead; ``source`` supports the reason."""

    why: str = Field(min_length=1)
    """Completes "nothing can be built for NAME: "."""
    instead: str = Field(min_length=1)


class Match(Value):
    """How a machine is recognised as this device; every stated field must match. Empty: no machine, unless ``architecture`` is
    any.
    """

    architecture: Literal["x86_64", "aarch64"] | None = None
    cpu_vendor: str | None = None
    model_contains: str | None = None
    """Part of ``/proc/device-tree/model``, of the GPU's name, or of the processor's name in /proc/cpuinfo."""
    model_is: str | None = None
    """The complete name, for a card whose name is a prefix of others: an RTX 3060 must not match an RTX 3060 Ti."""
    compatible: tuple[str, ...] = ()
    """One of these must be a line of ``/proc/device-tree/compatible``, which names the chip independently of the board."""
    cpu_part: tuple[str, ...] = ()
    """One of these must be the ``CPU part`` of every Arm core, such as 0xd0c."""
    isa: tuple[str, ...] = ()
    """Flags that every core must have."""
    lacks_isa: tuple[str, ...] = ()
    """Flags that at least one core must lack."""


class Device(Value):
    """One file in ``devices/``."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title: str
    aliases: tuple[str, ...] = ()
    role: Literal["target", "baseline"] = "target"
    usually_attached: bool
    """True for machines that builds run on; False for boards reached later. Decides the default of latency gates."""
    match: Match
    processor: Processor
    accelerator: Accelerator | None = None
    memory: Memory | None = None
    runtimes: Mapping[Runtime, RuntimeFacts]
    """Empty only with ``facts_only``."""
    facts_only: FactsOnly | None = Field(default=None, exclude_if=lambda reason: reason is None)
    """Why nothing is built for this device; None if edgecnn builds for it."""
    notes: tuple[str, ...] = ()

    @property
    def is_a_kind(self) -> bool:
        """Whether the file describes a kind of machine by its instructions, rather than one board or chip."""
        return not (self.match.model_contains or self.match.model_is or self.match.compatible)

    @property
    def is_a_browser(self) -> bool:
        """Whether it is a browser, which is a separate device from its machine."""
        return bool(self.runtimes) and all(runtime.runs_in_browser for runtime in self.runtimes)

    def built_for(self, named: TargetRuntime | None) -> tuple[Runtime, ...]:
        """Return the runtimes with candidates: the one that the target names, or ``all``, or else the defaults."""
        if named is None:
            return tuple(runtime for runtime, facts in self.runtimes.items() if facts.by_default)
        return tuple(runtime for runtime in self.runtimes if named in (ALL_RUNTIMES, runtime))

    def may_ship(self, named: TargetRuntime | None) -> tuple[Runtime, ...]:
        """Return the runtimes that a build may choose: those that the target names, or else all in the file.

        The fp32 baseline is always built for ONNX Runtime, and ships only if the file lists that runtime.
        """
        return tuple(self.runtimes) if named is None else self.built_for(named)

    @field_validator("runtimes")
    @classmethod
    def _ship(cls, runtimes: Mapping[Runtime, RuntimeFacts]) -> Mapping[Runtime, RuntimeFacts]:
        for runtime in runtimes:
            if not runtime.ships:
                raise ValueError(f"{runtime.value} is the desktop-GPU baseline and never ships")
        return runtimes


class EngineBuilder(Value):
    """An engine builder on one machine, as reported by that machine's runner."""

    package: str
    """Python module, such as ``tensorrt``."""
    version: str
    capability: str | None
    """CUDA compute capability, such as ``8.7``. None: there is no GPU, and the builder works ahead of time."""
    gpus: tuple[str, ...] = ()
    """Names of the GPUs, since engines are tuned for one model. Empty for a Jetson, whose driver reports no name."""
    driver: str | None = None
    """Version of NVIDIA's driver, or for a Jetson its Linux release."""


def split_target(text: str) -> tuple[str, str | None]:
    """Split a target ``DEVICE[:RUNTIME]`` into the device's name or path, and the runtime or None.

    A folder's name may contain a colon, so a text that ends like a device file is a path as a whole.
    """
    name, colon, runtime = text.rpartition(":")
    return (name, runtime) if colon and not is_path(runtime) else (text, None)


def is_path(name: str) -> bool:
    """Whether a device is named by its file's path."""
    return name.endswith(".toml") or "/" in name or os.sep in name
