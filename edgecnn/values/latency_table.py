"""What networks cost on one machine, measured: from this a latency of others is predicted, and nothing else is claimed of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.profile import Environment
from edgecnn.values.training import AS_IT_IS, Form
from edgecnn.values.verdict import Fidelity


class Probe(Value):
    """A network that is timed with weights that learned nothing: its arithmetic is that of a trained one."""

    arch: str
    """Of the catalogue, or a scaled one by its own name, such as ``mobilenet-v2-d0.8-w0.5``."""
    resolution_px: PositiveInt
    classes: PositiveInt
    form: Form = Field(default=AS_IT_IS, exclude_if=lambda form: not form.suffix)

    @property
    def name(self) -> str:
        """For people and files."""
        form = self.form.suffix
        return f"{self.arch}{f'-{form}' if form else ''}@{self.resolution_px}x{self.classes}"


class TimedProbe(Value):
    """One candidate of one probe, timed in fresh processes that took turns with the others of its batch."""

    probe: Probe
    medians_ms: tuple[PositiveFloat, ...]
    """Of each process; the statistical unit."""
    disturbed: str | None = None
    """Why these figures are of a machine that did other work; None: it did not."""


class LatencyTable(Value):
    """Schema edgecnn.latency-table/1. Measured; what is predicted from it is marked as predicted wherever it is shown."""

    schema_: Literal["edgecnn.latency-table/1"] = Field(default="edgecnn.latency-table/1", alias="schema")
    version: str
    """Of edgecnn, whose catalogue names the networks."""
    device: str
    """The device file that was named."""
    machine: str
    """The concrete machine, for people."""
    fidelity: Fidelity
    """``emulated``: an emulated processor's times are of nothing but the emulator."""
    environment: Environment
    """The machine's, without the conditions that only a kit decides."""
    runtimes: Mapping[str, str]
    """Runtime to the version that ran there."""
    observed_at: str
    seconds: NonNegativeFloat
    """That measuring took, making what is measured included; what was stored already took none."""
    timed: Mapping[str, tuple[TimedProbe, ...]]
    """Candidate, such as ``openvino-int8``, to what was timed of it."""
    failed: Mapping[str, str] = {}
    """``candidate of probe`` to why it has no time."""
    left: NonNegativeInt = 0
    """Probes of the plan for which no time was left; the same command goes on with them."""
