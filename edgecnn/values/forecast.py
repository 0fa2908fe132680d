"""Predicted latency on devices that are not attached: public tables, forecasts from them, and reasons for missing forecasts.

Every forecast is shown with ``MARK``, and no gate accepts it.
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
"""Shown next to every predicted figure."""
CONFIDENCE: Final = 0.9
"""Two-sided, for every forecast's interval."""


class Work(Value):
    """Counted work of one image: the features of a forecast."""

    pointwise_macs: NonNegativeInt
    """Multiply-adds of 1×1 convolutions."""
    spatial_macs: NonNegativeInt
    """Multiply-adds of larger convolutions without groups."""
    depthwise_macs: NonNegativeInt
    grouped_macs: NonNegativeInt
    dense_macs: NonNegativeInt
    """Multiply-adds of fully connected layers, and of convolutions on a single position, as in squeeze-and-excitation."""
    moved: PositiveInt
    """Numbers that these layers read and write, without weights."""
    weights: PositiveInt
    layers: PositiveInt
    """Number of multiplying layers."""

    @model_validator(mode="after")
    def _multiplies(self) -> Self:
        if not self.macs:
            raise ValueError("no kind of layer has multiply-adds")
        return self

    @property
    def macs(self) -> int:
        """Total multiply-adds."""
        return self.pointwise_macs + self.spatial_macs + self.depthwise_macs + self.grouped_macs + self.dense_macs


class PublicSource(Value):
    """Where a table was published."""

    title: str
    url: str
    commit: str
    date: str
    """Date of the last change to the file at that commit, such as 2026-03-30."""
    sha256: str
    """SHA-256 of the imported file."""
    licence: str


class PublicNetwork(Value):
    """One network of a table."""

    arch: str | None
    """Its row of the catalogue; None if there is none."""
    resolution_px: Resolution
    classifies: bool
    work: Work


class PublicBoard(Value):
    """One machine of a table."""

    title: str
    """Name in the table."""
    device: str | None
    """The device file that describes it; None if there is none."""


class PublicRun(Value):
    """One measurement of several networks under the same conditions, at batch 1."""

    board: str
    runtime: Runtime
    runtime_version: str | None
    precision: Precision
    threads: PositiveInt | None
    """None for a GPU."""
    cores: Literal["all", "fast", "small", "gpu"]
    """The cores that the threads run on."""
    power_mode: str | None
    date: str
    """Date of publication."""
    line: PositiveInt
    """Line in the source."""
    note: str | None = None
    ms: Mapping[str, Annotated[FiniteFloat, Field(gt=0)]]
    """Name of a network in the table to its time for one image."""


class PublicTable(Value):
    """Schema edgecnn.public-table/1: times published by others, with source and conditions. Nothing was measured here."""

    schema_: Literal["edgecnn.public-table/1"] = Field(default="edgecnn.public-table/1", alias="schema")
    name: str
    source: PublicSource
    statistic: str
    """The statistic of repeated calls that ``ms`` is."""
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
    """The basis of a forecast of one network on one device, the strongest first."""

    MEASURED = "measured"
    """An evidence record has this network on this device."""
    PUBLISHED = "published"
    """A public table has this network on this device."""
    TRANSFERRED = "transferred"
    """The network was timed elsewhere: on this computer, or on other machines of the tables."""
    COUNTED = "counted"
    """The network was never timed; only its counted work is known."""


class Why(StrEnum):
    """Why there is no forecast."""

    DEVICE_WITHOUT_TABLE = "device-without-table"
    RUNTIME_WITHOUT_TABLE = "runtime-without-table"
    PRECISION_WITHOUT_TABLE = "precision-without-table"
    THREADS_BEYOND_TABLE = "threads-beyond-table"
    NETWORK_OUTSIDE_SUPPORT = "network-outside-support"


class ForecastSource(Value):
    """The run of a table, or the record, that shows the device's speed."""

    title: str
    url: str | None
    date: str
    board: str
    """The machine, by its source's name."""
    networks: PositiveInt
    """Number of timed networks behind the device's speed."""
    kind_only: bool = False
    """Whether the device file describes a kind of machine, and the source timed one such board."""


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
    """Two-sided at ``CONFIDENCE``, for another board of the device than the source's."""
    basis: ForecastBasis
    off_percent: NonNegativeFloat
    """Median error of this method on left-out networks and devices, in percent. For a measured or published time: the difference
    between two boards of one device."""
    off_networks: NonNegativeInt
    """Networks behind ``off_percent``: left out in turn, or timed on two boards of one device."""
    off_devices: NonNegativeInt = 0
    """Devices behind ``off_percent``."""
    source: ForecastSource
    processor: Literal["cpu", "gpu"] = "cpu"
    """Threads of the network."""
    built: bool | None = None
    """Whether edgecnn builds a candidate of this runtime and precision for the device; None for a board without a device file."""
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
    """One line for people."""
    nearest: tuple[str, ...] = ()
    """The most similar devices, networks or runtimes with a table."""


class ExpectedKit(Value):
    """The kit that a build for a device that is not attached ships, if the accuracy of all candidates is within the budget."""

    network: str
    resolution_px: Resolution
    device: str
    candidate: str
    runtime: Runtime
    precision: Precision
    forecast: Forecast | None
    """None if no public table supports one of this kit, even if there is one of another kit."""
    without: str | None = None
    """Why there is no forecast."""
    untested: bool = False
    """Whether the machine that builds computes its accuracy in another arithmetic, so that only the device shows the accuracy."""
    tested: Runtime | None = None
    """For an untested kit: another runtime of the target, with a kit whose accuracy can be computed here."""
    by: Literal["record", "forecast", "default"]
    """The evidence behind the choice: measurements on such a device, a forecast, or the default order of the precisions."""


class ForecastReport(Value):
    """Schema edgecnn.forecast/1: `edgecnn forecast --json`."""

    schema_: Literal["edgecnn.forecast/1"] = Field(default="edgecnn.forecast/1", alias="schema")
    forecasts: tuple[Forecast, ...]
    without: tuple[NoForecast, ...]
    kits: tuple[ExpectedKit, ...] = ()
    """The kit that a build ships, of each network on each device with a device file. Empty with stated threads or own times."""
    timed_here: tuple[str, ...] = ()
    """Networks that were first timed with ncnn on this computer."""
    not_timed_here: Mapping[str, str] = {}
    """Networks that could not be timed on this computer, to the reason. Empty without ``--timing``."""
    notes: tuple[str, ...] = ()
