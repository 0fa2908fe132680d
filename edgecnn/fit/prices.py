"""Find what predicts the latency of a search's networks: a stored latency table, a table measured now, or forecasts.

Forecasts come from public tables, for a device without a latency table. A network chosen from them is provisional, as with the
table of any device that is not attached.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from edgecnn.building.forecasts import AwayBuild, CandidateForecasts, kit_chooser, networks_forecasts
from edgecnn.devices.files import own_folder
from edgecnn.errors.base import system_reason
from edgecnn.errors.fit import (
    TABLE_UNREADABLE,
    TABLE_UNWRITABLE,
    NothingTimed,
    no_table,
    table_of_another,
    table_too_short,
)
from edgecnn.errors.weights import MissingPackage, UnknownArch
from edgecnn.errors.wording import first_line, shortened
from edgecnn.fit.predictor import Prediction, Predictor, Predicts, count_cost
from edgecnn.fit.request import FitRequest
from edgecnn.fit.timing import TablePlan, measure_table
from edgecnn.forecast.networks import Subject as Network
from edgecnn.forecast.networks import counted_catalogue, subject_of_arch, work_of
from edgecnn.installed import resource_folder
from edgecnn.measure.lab import Lab, first_difference
from edgecnn.runner.files import bounded_content
from edgecnn.store.disk import write_text_atomically
from edgecnn.values.candidate import Candidate
from edgecnn.values.device import Device
from edgecnn.values.fit import LEAST_TIMED, LatencyTable, Probe, TableUsed, TimedProbe
from edgecnn.values.forecast import Forecast
from edgecnn.values.stage import Key, digest_of
from edgecnn.values.training import AS_IT_IS
from edgecnn.values.verdict import Fidelity

_BYTES_MAX: Final = 16 << 20
"""The largest table that is read; one of 40 networks in eight candidates has half a MiB."""


def own_table_file(device: str) -> Path:
    """Return the file of a device's own table: ``tables/DEVICE.json`` in the folder of the user's devices."""
    return own_folder() / "tables" / f"{device}.json"


def table_file(device: str) -> Path | None:
    """Return the user's table of a device, else a shipped one; None if there is none."""
    places = (own_table_file(device), resource_folder("devices") / "tables" / f"{device}.json")
    return next((path for path in places if path.is_file()), None)


def require_writable(path: Path) -> None:
    """Check that a table can be written, before it is measured. Raises TABLE_UNWRITABLE."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TABLE_UNWRITABLE(path=path, because=system_reason(error)) from error
    if path.is_dir():
        raise TABLE_UNWRITABLE(path=path, because="it is a folder")
    if not os.access(path.parent, os.W_OK):
        raise TABLE_UNWRITABLE(path=path, because="its folder may not be written")


def write_table(table: LatencyTable, path: Path) -> None:
    """Write a table atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, table.model_dump_json(indent=1, by_alias=True) + "\n")


def read_table_file(path: Path) -> LatencyTable:
    """Read a latency table. Raises TABLE_UNREADABLE: the file cannot be read, or is not a table."""
    try:
        return LatencyTable.model_validate_json(bounded_content(path, _BYTES_MAX))
    except OSError as error:
        raise TABLE_UNREADABLE(path=path, problems=[system_reason(error)]) from error
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        problems = [f"{shortened('.'.join(map(str, fault['loc']))) or 'the file'}: {fault['msg']}" for fault in faults]
        raise TABLE_UNREADABLE(path=path, problems=problems) from error


def require_same_machine(table: LatencyTable, path: Path, lab: Lab) -> None:
    """Compare a table's machine with this machine. Raises TABLE_OF_ANOTHER: names the difference."""
    difference = first_difference(table.environment, lab.environment)
    for runtime, then in table.runtimes.items():
        now = lab.host.runtime_version(runtime)
        if difference is None and now != then:
            difference = f"{runtime} was {then} then and is {now or 'absent'} now"
    if difference is not None:
        raise table_of_another(path=path, difference=difference, device=table.device)


@dataclass(frozen=True)
class TablePrices:
    """Predictors from a latency table."""

    used: TableUsed
    predictors: Mapping[str, Predicts]
    """By candidate."""
    content: Key
    """Digest of the data behind the predictors."""


@dataclass(frozen=True)
class Priced(TablePrices):
    """Predictors for the device of the search."""

    candidates: Mapping[str, Candidate]
    environment: Mapping[str, str]
    """Conditions of the machine, for the records of kits that are made for timing."""
    fastest: Mapping[str, TimedProbe]
    """Candidate to the fastest network of the table."""


def prices_from_table(path: Path, table: LatencyTable, candidates: Iterable[str]) -> TablePrices:
    """Return predictors of the candidates with enough timed networks. Raises TABLE_TOO_SHORT: no candidate has enough."""
    timed = {name: _undisturbed_rows(table.timed.get(name, ())) for name in candidates}
    enough = {name: rows for name, rows in timed.items() if len(rows) >= LEAST_TIMED}
    _require_same_networks(path, (row for rows in enough.values() for row in rows))
    if not enough:
        most = max((len(rows) for rows in timed.values()), default=0)
        raise table_too_short(path=path, device=table.device, most=most, needed=LEAST_TIMED)
    used = TableUsed(
        file=str(path),
        machine=table.machine,
        observed_at=table.observed_at,
        networks=max(len(rows) for rows in enough.values()),
        fidelity=table.fidelity,
    )
    content = digest_of({name: [row.model_dump(mode="json") for row in rows] for name, rows in enough.items()})
    return TablePrices(used, {name: _predictor(path, name, rows) for name, rows in enough.items()}, content)


def _predictor(path: Path, candidate: str, rows: Sequence[TimedProbe]) -> Predictor:
    """Raises TABLE_UNREADABLE: the times contradict each other, so no prediction is possible."""
    try:
        return Predictor(rows)
    except (ValueError, ArithmeticError) as error:
        because = f"nothing can be predicted from its times of {candidate}: {shortened(first_line(error))}"
        raise TABLE_UNREADABLE(path=path, problems=[because]) from error


def _undisturbed_rows(rows: Sequence[TimedProbe]) -> Sequence[TimedProbe]:
    """Return the rows that no other work disturbed if they are enough, else all rows."""
    quiet = [row for row in rows if row.disturbed is None]
    return quiet if len(quiet) >= LEAST_TIMED else rows


def _require_same_networks(path: Path, rows: Iterable[TimedProbe]) -> None:
    """Raises TABLE_UNREADABLE: a name in the table means another network in this version, or none."""
    for row in rows:
        try:
            macs = count_cost(row.probe).macs
        except (MissingPackage, ImportError):
            raise
        except UnknownArch as error:
            raise TABLE_UNREADABLE(
                path=path, problems=[f"{shortened(error.what)}: another version of edgecnn measured it"]
            ) from error
        except Exception as error:  # the errors of networks that cannot be built share no class
            because = f"there is no network {shortened(row.probe.name)}: {shortened(first_line(error))}"
            raise TABLE_UNREADABLE(path=path, problems=[because]) from error
        if macs != row.macs:
            why = f"{row.probe.name} had {row.macs:,} multiply-adds and has {macs:,}: another version of edgecnn measured it"
            raise TABLE_UNREADABLE(path=path, problems=[why])


def priced(request: FitRequest, candidates: Sequence[Candidate], lab: Lab, *, attached: bool) -> Priced:
    """Return predictors from the named table, else the device's own table, else a table that is measured now.

    Candidates with too few timed networks are noted and excluded.

    Raises NO_TABLE: there is no table, and the device is not attached. TABLE_OF_ANOTHER: the table is of another machine.
    TABLE_UNREADABLE: the file is not a table. NothingTimed: there was no table, and no network could be timed.
    """
    runtimes = request.device.built_for(request.recipe.target.runtime)
    shippable = [candidate for candidate in candidates if candidate.runtime in runtimes]
    path, table = _table_for(request, candidates, shippable, lab, attached=attached)
    prices = prices_from_table(path, table, (candidate.id for candidate in shippable))
    by_name = {candidate.id: candidate for candidate in shippable if candidate.id in prices.predictors}
    for candidate in shippable:
        if candidate.id not in by_name:
            few = len(table.timed.get(candidate.id, ()))
            needed = f"the table has {few} of its networks, a prediction needs {LEAST_TIMED}"
            lab.tell.note(f"{candidate.id} is excluded from the search: {needed}")
    fastest = {name: min(_undisturbed_rows(table.timed[name]), key=lambda row: row.least_ms) for name in by_name}
    return Priced(prices.used, prices.predictors, prices.content, by_name, lab.environment.conditions, fastest)


def _table_for(
    request: FitRequest, candidates: Sequence[Candidate], shippable: Sequence[Candidate], lab: Lab, *, attached: bool
) -> tuple[Path, LatencyTable]:
    """Return the table and its file. Candidates that are missing from the device's own table are measured now."""
    name = request.device.name
    path = request.table or table_file(name)
    if path is None:
        if not attached:
            raise no_table(device=name)
        return _write_own(name, _measure_missing(None, tuple(candidates), lab))
    table = read_table_file(path)
    if attached:
        require_same_machine(table, path, lab)
    elif table.device != name and not _is_emulation_of(table, request.device):
        raise table_of_another(path=path, difference=f"it is for {table.device}, but the search is for {name}", device=name)
    lacking = tuple(
        candidate
        for candidate in shippable
        if len(table.timed.get(candidate.id, ())) < LEAST_TIMED and table.failed.get(candidate.id) is None
    )  # without the candidates that never ran
    if request.table is None and attached and lacking:
        return _write_own(name, _measure_missing(table, lacking, lab))
    return path, table


def _is_emulation_of(table: LatencyTable, device: Device) -> bool:
    """Whether the table is of an emulated machine with the device's architecture. Its figures are marked emulated."""
    architecture = table.environment.observed.get("architecture")
    return table.fidelity is Fidelity.EMULATED and architecture == device.processor.architecture


def _write_own(device: str, table: LatencyTable) -> tuple[Path, LatencyTable]:
    path = own_table_file(device)
    write_table(table, path)
    return path, table


def _measure_missing(table: LatencyTable | None, candidates: tuple[Candidate, ...], lab: Lab) -> LatencyTable:
    """Measure these candidates, and merge them into an existing table."""
    which = "" if table is None else " for " + ", ".join(candidate.id for candidate in candidates)
    lab.tell.note(f"measuring the latency table of {lab.device}{which}, once, in about 15 minutes")
    try:
        measured = measure_table(TablePlan(candidates=candidates), lab)
    except NothingTimed as error:
        if table is None:
            raise
        lab.tell.note(error.what)
        return table.model_copy(update={"failed": {**table.failed, **{candidate.id: error.because for candidate in candidates}}})
    if table is None:
        return measured
    both = {name: {**getattr(table, name), **getattr(measured, name)} for name in ("timed", "failed", "runtimes")}
    return measured.model_copy(update={**both, "seconds": round(table.seconds + measured.seconds, 1)})


KNOWN = ("mobilenet-v2", "resnet-50", "efficientnet-b0")
"""Networks whose forecasts show whether a candidate has any, and whether tables or method changed since a stored search."""
_DEVIATIONS = 1.645
"""Standard deviations from the middle of a 90 % interval to its end."""
_IRRELEVANT: Mapping[str, bool | set[str]] = {"built": True, "processor": True, "source": {"kind_only"}}
"""Fields of a forecast that have no effect on a search."""


class Forecasts:
    """Forecasts of the networks of a search, the same as in the plans and reports of their builds."""

    def __init__(self, build: AwayBuild) -> None:
        self._build, self._known = build, dict[Probe, CandidateForecasts]()

    def candidate_forecasts(self, probe: Probe) -> CandidateForecasts:
        """Return the forecasts of a network."""
        if probe not in self._known:
            (self._known[probe],) = networks_forecasts([_network_of(probe)], self._build)
        return self._known[probe]


def _network_of(probe: Probe) -> Network:
    if probe.arch in counted_catalogue().networks and probe.form == AS_IT_IS:
        return subject_of_arch(probe.arch, probe.resolution_px)
    return Network(probe.name, probe.resolution_px, work_of(count_cost(probe).layers))


class ForecastPredictor:
    """Predictions of one candidate, from forecasts."""

    def __init__(self, candidate: str, forecasts: Forecasts) -> None:
        self._candidate, self._forecasts = candidate, forecasts

    def predict(self, probes: Sequence[Probe]) -> tuple[Prediction | None, ...]:
        """Predict each network; None if the public tables do not support a forecast."""
        known = (self._forecasts.candidate_forecasts(probe).by_candidate.get(self._candidate) for probe in probes)
        return tuple(None if forecast is None else _prediction(forecast) for forecast in known)


def _prediction(forecast: Forecast) -> Prediction:
    spread = math.log(forecast.p50_ms.high / forecast.p50_ms.low) / (2 * _DEVIATIONS)
    return Prediction(forecast.p50_ms, spread, ())


def forecast_prices(build: AwayBuild, lab: Lab) -> Priced:
    """Return predictors of the candidates that have forecasts and may ship. Raises NO_TABLE: none has.

    If a record orders the candidates, only the fastest in it ships.
    """
    device, candidates = build.device, build.candidates
    networks = [subject_of_arch(name) for name in KNOWN]
    forecasts = networks_forecasts(networks, build)
    choose = kit_chooser(build)
    kits = [choose(network, known) for network, known in zip(networks, forecasts, strict=True)]
    recorded = {kit.candidate for kit in kits if kit is not None and kit.by == "record"}
    supported = {
        candidate.id: rows
        for candidate in candidates
        if candidate.id in recorded or not recorded
        if (rows := [known.by_candidate[candidate.id] for known in forecasts if candidate.id in known.by_candidate])
    }
    if not supported:
        raise no_table(device=device.name)
    first = next(iter(supported.values()))[0]
    used = TableUsed(
        file=first.source.title,
        machine=first.source.board,
        observed_at=first.source.date,
        networks=first.source.networks,
        fidelity=first.fidelity,
    )
    without = [candidate.id for candidate in candidates if candidate.id not in supported]
    if without:
        lab.tell.note(f"no forecast on {device.name}, so not predicted: {', '.join(without)}; kits with a forecast ship first")
    source = Forecasts(build)
    return Priced(
        used=used,
        predictors={name: ForecastPredictor(name, source) for name in supported},
        content=digest_of(
            {name: [row.model_dump(mode="json", exclude=_IRRELEVANT) for row in rows] for name, rows in supported.items()}
        ),
        candidates={candidate.id: candidate for candidate in candidates if candidate.id in supported},
        environment=lab.environment.conditions,
        fastest={},
    )
