"""How fast a network would be on a device that is away: public tables, forecasts from them, and reasons why there is none.

A forecast is predicted. It carries ``MARK`` wherever it is shown, and no gate takes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import Field, FiniteFloat, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from edgecnn.values.base import Value
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.verdict import Fidelity, Interval

MARK: Final = "▲"
"""Stands next to every predicted figure that a person reads."""
CONFIDENCE: Final = 0.9
"""Two-sided, of every forecast's interval."""


class Work(Value):
    """What one image costs a network, counted: the features that a forecast reads."""

    pointwise_macs: NonNegativeInt
    """Multiply-adds of 1×1 convolutions."""
    spatial_macs: NonNegativeInt
    """Of larger convolutions without groups."""
    depthwise_macs: NonNegativeInt
    grouped_macs: NonNegativeInt
    dense_macs: NonNegativeInt
    """Of fully connected layers, and of convolutions on a single position, as in squeeze-and-excitation."""
    moved: PositiveInt
    """Numbers that these layers read and write, weights excluded."""
    weights: PositiveInt
    layers: PositiveInt
    """Layers that multiply."""

    @model_validator(mode="after")
    def _multiplies(self) -> Self:
        if not self.macs:
            raise ValueError("no kind of layer has multiply-adds")
        return self

    @property
    def macs(self) -> int:
        """All multiply-adds."""
        return self.pointwise_macs + self.spatial_macs + self.depthwise_macs + self.grouped_macs + self.dense_macs


class PublicSource(Value):
    """Where a table was published."""

    title: str
    url: str
    commit: str
    date: str
    """Of the last change to the file at that commit, as 2026-03-30."""
    sha256: str
    """Of the file that was imported."""
    licence: str


class PublicNetwork(Value):
    """One network of a table."""

    arch: str | None
    """The row of the catalogue that it is; None where the catalogue does not have it."""
    resolution_px: Resolution
    classifies: bool
    work: Work


class PublicBoard(Value):
    """One machine of a table."""

    title: str
    """As the table names it."""
    device: str | None
    """The device file that describes it; None where there is none."""


class PublicRun(Value):
    """One measurement of several networks under the same conditions, at batch 1."""

    board: str
    runtime: Runtime
    runtime_version: str | None
    precision: Precision
    threads: PositiveInt | None
    """None on a GPU."""
    cores: Literal["all", "fast", "small", "gpu"]
    """On which cores the threads run."""
    power_mode: str | None
    date: str
    """When the figures were published."""
    line: PositiveInt
    """In the source."""
    note: str | None = None
    ms: Mapping[str, Annotated[FiniteFloat, Field(gt=0)]]
    """Name of a network in the table to its time for one image."""


class PublicTable(Value):
    """Schema edgecnn.public-table/1: times that someone else published, with source and conditions. Nothing was measured here."""

    schema_: Literal["edgecnn.public-table/1"] = Field(default="edgecnn.public-table/1", alias="schema")
    name: str
    source: PublicSource
    statistic: str
    """Of repeated calls, which figure ``ms`` is."""
    networks: Mapping[str, PublicNetwork]
    boards: Mapping[str, PublicBoard]
    runs: tuple[PublicRun, ...]

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for run in self.runs:
            if run.board not in self.boards:
                raise ValueError(f"the run of line {run.line} names {run.board}, which is not in boards")
            if unknown := sorted(run.ms.keys() - self.networks.keys()):
                raise ValueError(f"the run of line {run.line} names {unknown[0]}, which is not in networks")
        return self


class ForecastBasis(StrEnum):
    """What a forecast of one network on one device rests on, the strongest first."""

    MEASURED = "measured"
    """An evidence record has this network on this device."""
    PUBLISHED = "published"
    """A public table has this network on this device."""
    TRANSFERRED = "transferred"
    """The network was timed elsewhere: on this computer, or on other machines of the tables."""
    COUNTED = "counted"
    """The network was timed nowhere: its counted work alone."""


class Why(StrEnum):
    """Why there is no forecast."""

    DEVICE_WITHOUT_TABLE = "device-without-table"
    RUNTIME_WITHOUT_TABLE = "runtime-without-table"
    PRECISION_WITHOUT_TABLE = "precision-without-table"
    THREADS_BEYOND_TABLE = "threads-beyond-table"
    NETWORK_OUTSIDE_SUPPORT = "network-outside-support"


class ForecastSource(Value):
    """The run of a table, or the record, that says how fast the device is."""

    title: str
    url: str | None
    date: str
    board: str
    """The machine, as its source names it."""
    networks: PositiveInt
    """Timed networks behind the device's speed."""
    kind_only: bool = False
    """Whether the device file describes a kind of machine, of which the source timed this board."""


class Forecast(Value):
    """The predicted latency of one network on one device, with one runtime, precision and number of threads, at batch 1."""

    network: str
    resolution_px: Resolution
    device: str
    runtime: Runtime
    precision: Precision
    threads: PositiveInt | None
    fidelity: Literal[Fidelity.PREDICTED] = Fidelity.PREDICTED
    p50_ms: Interval
    """Two-sided at ``CONFIDENCE``, for another board of the device than those of the source."""
    basis: ForecastBasis
    off_percent: NonNegativeFloat
    """Median error of this method on networks and devices that were left out, in percent. Of a measured or published time: how
    far two boards of one device are apart."""
    off_networks: NonNegativeInt
    """Networks behind ``off_percent``: left out in turn, or timed on two boards of one device."""
    off_devices: NonNegativeInt = 0
    """Devices behind ``off_percent``."""
    source: ForecastSource
    processor: Literal["cpu", "gpu"] = "cpu"
    """On which the network runs."""
    built: bool | None = None
    """Whether edgecnn builds a candidate of this runtime and precision for the device; None of a board without a device file."""
    note: str | None = None

    @property
    def images_per_s(self) -> Interval:
        """Images per second, one at a time: 1000 / p50."""
        ms = self.p50_ms
        return ms.model_copy(update={"estimate": 1e3 / ms.estimate, "low": 1e3 / ms.high, "high": 1e3 / ms.low})


class NoForecast(Value):
    """Why no figure is given."""

    network: str
    device: str
    runtime: Runtime | None
    precision: Precision | None
    threads: PositiveInt | None = None
    why: Why
    sentence: str
    """For people, in one line."""
    nearest: tuple[str, ...] = ()
    """Devices, networks or runtimes with a table that are nearest to what was asked."""


class ForecastReport(Value):
    """Schema edgecnn.forecast/1: `edgecnn forecast --json`."""

    schema_: Literal["edgecnn.forecast/1"] = Field(default="edgecnn.forecast/1", alias="schema")
    forecasts: tuple[Forecast, ...]
    without: tuple[NoForecast, ...]
    timed_here: tuple[str, ...] = ()
    """Networks that were timed with ncnn on this computer first."""
    not_timed_here: Mapping[str, str] = {}
    """Networks that were to be timed on this computer and were not, to the reason. Empty with ``--no-timing``."""
    notes: tuple[str, ...] = ()
